//! The protocols that the harness knows. Nothing else in the engine names one.

use crate::attesto::ATTESTO;
pub use crate::attesto::relay as reference_relay;
use crate::avp::AVP;
pub use crate::avp::client as reference_client;
use crate::avp::client_suite::AVP_CLIENT;
use crate::keypackage::KEYPACKAGE;
use crate::omp::OMP;
use crate::protocol::Protocol;

/// All of them; the first is the one that is meant unless told.
pub static ALL: [&Protocol; 5] = [&AVP, &OMP, &KEYPACKAGE, &ATTESTO, &AVP_CLIENT];

/// The protocol of a name.
pub fn find(name: &str) -> Option<&'static Protocol> {
    ALL.into_iter().find(|protocol| protocol.name == name)
}

/// The protocol whose subject are clients: what `client` runs.
pub static CLIENTS: &Protocol = &AVP_CLIENT;

/// The protocol whose subject are programs with sub-commands: what `--program` names.
pub static PROGRAMS: &Protocol = &ATTESTO;
