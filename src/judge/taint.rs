//! A server that takes what it should have refused goes on to serve it. That is one fault, named where it was made; what
//! follows from it is not held against the server a second time, least of all as a stricter requirement.

use super::tape::Frame;
use crate::case::{LoadedCase, Word};
use crate::protocol::Operation;
use crate::wire::Role;

/// Whether an exchange is a write that was spoiled, was to be refused, and was granted.
pub(super) fn taints(case: &LoadedCase, frame: &Frame<'_>) -> bool {
    let exchange = frame.exchange;
    let writes = exchange.operation.is_some_and(Operation::writes);
    if exchange.role != Role::Step
        || !writes
        || exchange.spoiled.is_none()
        || frame.reading.granted().is_none()
    {
        return false;
    }
    let step = exchange.step.and_then(|index| case.case.steps.get(index));
    let words = step.and_then(|step| step.get_ref().answer.as_ref());
    words.is_some_and(|words| words.get_ref().iter().all(|word: &Word| word.is_refusal()))
}

/// The first such exchange of a case.
pub(super) fn first(case: &LoadedCase, frames: &[Frame<'_>]) -> Option<usize> {
    frames
        .iter()
        .find(|frame| taints(case, frame))
        .map(|frame| frame.index)
}
