//! Exit codes: what a script can tell from how the program ended.

/// The target is conformant, or the command did its work.
pub const OK: u8 = 0;
/// The target is not conformant.
pub const NOT_CONFORMANT: u8 = 1;
/// An option, the configuration or a case file is wrong; nothing was sent.
pub const USAGE: u8 = 2;
/// The target cannot be reached, or the harness could not finish its work.
pub const UNREACHABLE: u8 = 3;
/// A list of expected failures is out of date.
pub const STALE: u8 = 4;
/// Nothing was selected to run.
pub const NOTHING_SELECTED: u8 = 5;
/// The run was interrupted.
pub const INTERRUPTED: u8 = 130;
