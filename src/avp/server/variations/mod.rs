//! The freedoms of section 11 of the protocol page, each as a small named deviation: what a conformant server may do
//! and a harness must not mind.

pub(super) mod form;
pub(super) mod grpc;
pub(super) mod identity;
pub(super) mod limits;
pub(super) mod rules;
pub(super) mod transport;

use super::deviation::Hook;
use crate::serve::Variation;

/// Every variation, group by group.
pub(super) fn all() -> Vec<(Variation, &'static [Hook])> {
    [
        form::ALL,
        identity::ALL,
        rules::ALL,
        limits::ALL,
        transport::ALL,
        grpc::ALL,
    ]
    .concat()
}
