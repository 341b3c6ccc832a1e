//! The faults: each a small named deviation at the edge of the rule that it breaks, one table per area.

pub(super) mod push;

use super::behaviour::Fault;

/// Every fault, area by area.
pub(super) fn all() -> Vec<Fault> {
    [push::ALL].concat()
}
