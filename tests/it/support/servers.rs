//! Reference servers, as they are or deviating.

use avp_conform::avp::server::{Options, Server, find_fault, find_variation};
use avp_conform::serve::Behaviour;

pub(crate) fn plain() -> Server {
    start(Behaviour::Plain)
}

/// A server with one fault.
pub(crate) fn faulty(name: &str) -> Server {
    start(fault(name))
}

pub(crate) fn fault(name: &str) -> Behaviour {
    Behaviour::Faulty(find_fault(name).unwrap_or_else(|| panic!("there is no fault {name}")))
}

pub(crate) fn variation(name: &str) -> Behaviour {
    Behaviour::Varied(find_variation(name).unwrap_or_else(|| panic!("there is no variation {name}")))
}

pub(crate) fn start(behaviour: Behaviour) -> Server {
    Server::start(Options {
        behaviour,
        ..Options::default()
    })
    .unwrap_or_else(|error| panic!("{error}"))
}
