//! Cases of any protocol: the files they are read from, what is wrong with them at its place, and which of them run.

pub mod file;
mod head;
pub mod http_steps;
mod nearest;
pub mod selection;
mod snippet;
mod source;

pub use head::{CaseHead, Demands, Heads, Rules, StepHead, is_doubtful};
pub use nearest::nearest;
pub use snippet::{Problem, render};
pub(crate) use source::toml_problem;
pub use source::{Source, embedded, hash, read_path};
