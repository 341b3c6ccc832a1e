//! x
use super::{LoadedCase, Problem};
/// x
pub fn lint(_: &[LoadedCase]) -> Vec<Problem> {
    Vec::new()
}
