//! The keys and ids of a case's devices: driver and judge derive the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::keys::encoding::hex;
use crate::keys::{Identity, Seed};

/// The keys of a device of a case.
pub(super) fn device(seed: &Seed, generation: u32, case: &str, name: &str) -> Identity {
    Identity::derive(seed, &["device", &generation.to_string(), case, name])
}

/// The id of a device: the hex of its public key.
pub(super) fn device_id(device: &Identity) -> String {
    hex(&STANDARD.decode(device.member_id()).unwrap_or_default())
}
