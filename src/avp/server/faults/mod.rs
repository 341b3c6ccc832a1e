//! The faults: each a small named deviation from the rule that it breaks, one table per area, and beside the table how
//! each bends the decisions of the plain rules.
//!
//! Each is something that is really got wrong: by a handler written in haste, an object mapper, a cache, a proxy. All
//! of them show in what the server answers; what cannot be seen from outside is not here.

pub(super) mod access;
pub(super) mod across;
pub(super) mod auth;
pub(super) mod authorization;
pub(super) mod bodies;
pub(super) mod create;
pub(super) mod errors;
pub(super) mod fidelity;
pub(super) mod grpc;
pub(super) mod jwts;
pub(super) mod malformed;
pub(super) mod members;
pub(super) mod messages;
pub(super) mod neighbours;
pub(super) mod pull;
pub(super) mod push;
pub(super) mod races;
pub(super) mod removal;
pub(super) mod routes;
pub(super) mod tokens;
pub(super) mod transport;

use super::deviation::Hook;
use crate::serve::Fault;

/// Every fault, area by area.
pub(super) fn all() -> Vec<(Fault, &'static [Hook])> {
    [
        auth::ALL,
        tokens::ALL,
        jwts::ALL,
        authorization::ALL,
        create::ALL,
        pull::ALL,
        push::ALL,
        members::ALL,
        removal::ALL,
        neighbours::ALL,
        fidelity::ALL,
        messages::ALL,
        routes::ALL,
        malformed::ALL,
        errors::ALL,
        transport::ALL,
        races::ALL,
        grpc::ALL,
        across::ALL,
    ]
    .concat()
}
