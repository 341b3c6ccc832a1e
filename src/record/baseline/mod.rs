//! Lists of known failures: what is in them does not fail a run, and an entry that does not fit any more does.
//!
//! An entry names what was seen: which look at which step, and what came. What fails otherwise in the same case is news. An
//! entry that names nothing seen takes in whatever fails in its cases, or speaks against its requirements.
//!
//! A list is for a team that mends its server one thing at a time. It changes no verdict: a target that breaks a must is
//! nonconformant, known or not. It changes what counts as news.

mod apply;
mod list;
mod seen;
mod update;

pub use apply::compare;
pub use list::{Baseline, ListError};
pub use update::{Change, update};
