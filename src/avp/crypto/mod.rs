//! The client side of the protocol's cryptography: envelopes, payloads, wrapped keys and key bindings.
//!
//! Everything here is a function of the run's [`Seed`](crate::keys::Seed) and of labels. Byte layouts follow section 5 of the
//! specification. Each is fixed by the vectors in `schema/vectors.json`.

mod binding;
mod envelope;
mod payload;
mod wrap;

pub use binding::{binding_message, sign_binding, verify_binding};
pub use envelope::{DataKey, OpenError, open_payload, payload_aad, seal_payload};
pub use payload::{PlantedAccounts, plant_accounts};
pub use wrap::{WRAP_INFO, wrap_key};
