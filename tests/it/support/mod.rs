//! What several of the tests stand on.

pub(crate) mod bank;
pub(crate) mod fixture;
pub(crate) mod live;
mod requirements;
pub(crate) mod slow_proxy;
