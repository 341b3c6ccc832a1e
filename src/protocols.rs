//! The protocols that the harness knows. Nothing else in the engine names one.

use crate::avp::AVP;
use crate::keypackage::KEYPACKAGE;
use crate::omp::OMP;
use crate::protocol::Protocol;

/// All of them; the first is the one that is meant unless told.
pub static ALL: [&Protocol; 3] = [&AVP, &OMP, &KEYPACKAGE];

/// The protocol of a name.
pub fn find(name: &str) -> Option<&'static Protocol> {
    ALL.into_iter().find(|protocol| protocol.name == name)
}
