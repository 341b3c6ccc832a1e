//! The objects API of the Open Memory Protocol (OMP): objects are created, read, replaced, deleted, listed and searched, and
//! every request may be asked to carry an Ed25519 signature.

mod advice;
mod consequences;
mod judge;
mod protocol;
pub mod repro;
pub mod server;
mod sign;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

pub use protocol::OMP;

use crate::keys::NamedKey;

/// How a server may treat signatures: each is a service, and a server of its own.
const MODES: [&str; 3] = ["strict", "permissive", "off"];
/// The variable that names the mode.
const SERVICE_MODE: &str = "OMP_SIG_MODE";
/// The ids of the keys that servers are told of, unless others are named.
const KEY_IDS: [&str; 2] = ["conform_a", "conform_b"];

/// The keys that servers are told of: each is the hash of its id, so that anybody can make them.
fn keys() -> Vec<NamedKey> {
    let key = |id: &str| NamedKey::new(id, Sha256::digest(format!("avp-conform OMP key {id}")).into());
    KEY_IDS.map(key).to_vec()
}

/// The variables of a server of a mode that is to know these keys.
fn environment(mode: &str, keys: &[NamedKey]) -> Vec<(String, String)> {
    let public = |key: &NamedKey| {
        let name = format!("OMP_SIG_PUB_{}", key.id);
        (name, URL_SAFE_NO_PAD.encode(key.public()))
    };
    std::iter::once((SERVICE_MODE.to_owned(), mode.to_owned()))
        .chain(keys.iter().map(public))
        .collect()
}
