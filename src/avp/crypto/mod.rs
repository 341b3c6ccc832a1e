//! The client side of the protocol's cryptography: actors' keys, envelopes, wrapped keys, and named ways to spoil them.
//!
//! Everything here is a function of the run's [`Seed`] and of labels, so a run can be made again byte for byte; the one
//! source of randomness is [`Seed::random`]. All keys are test keys: a run's seed is published in its report.
//!
//! Byte layouts follow section 5 of the protocol page. Each is fixed by the vectors in `schema/vectors.json`, and the
//! primitives by those of RFC 8032, RFC 7748, RFC 5869 and NIST.

mod binding;
mod encoding;
mod envelope;
mod identity;
mod payload;
pub mod primitives;
mod seed;
mod signature;
mod weak;
mod wrap;

pub use binding::{binding_message, sign_binding, verify_binding, verify_ed25519};
pub use encoding::EncodingError;
pub use envelope::{DataKey, OpenError, open_payload, payload_aad, seal_payload};
pub use identity::Identity;
pub use payload::{PlantedAccounts, plant_accounts};
pub use seed::{Seed, SeedError};
pub use signature::{SignatureForm, sign_nonce};
pub use weak::{
    IDENTITY_FORGERY, NOT_A_POINT, WeakKey, forge_for_small_order_key, non_canonical_keys, small_order_keys,
};
pub use wrap::{WRAP_INFO, wrap_key};
