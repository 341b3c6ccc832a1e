//! Exit codes: what a script can tell from how the program ended.

use crate::record::Record;
use crate::record::verdict::RunVerdict;

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

/// What a run came to, but for failures that are known.
pub fn of(record: &Record) -> u8 {
    let baseline = record.baseline.as_ref();
    match baseline.map_or(record.verdict, |baseline| baseline.verdict) {
        RunVerdict::Nonconformant => NOT_CONFORMANT,
        RunVerdict::Incomplete => UNREACHABLE,
        RunVerdict::Conformant if baseline.is_some_and(|it| !it.out_of_date.is_empty()) => STALE,
        RunVerdict::Conformant => OK,
    }
}
