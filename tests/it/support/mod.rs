//! What several of the tests stand on.

pub(crate) mod bank;
pub(crate) mod certificates;
pub(crate) mod files;
pub(crate) mod fixture;
pub(crate) mod frame_proxy;
pub(crate) mod http;
pub(crate) mod matrix;
pub(crate) mod program;
pub(crate) mod run;
pub(crate) mod servers;
pub(crate) mod slow_proxy;
pub(crate) mod suite;
