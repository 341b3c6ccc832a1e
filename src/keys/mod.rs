//! Keys of actors and what is done with them: Ed25519 identities, signatures and ways to spoil them, weak keys, and the seed
//! from which all of a run's keys, ids and ivs are derived.
//!
//! Everything here is a function of the run's [`Seed`] and of labels, so a run can be made again byte for byte; the one
//! source of randomness is [`Seed::random`]. All keys are test keys: a run's seed is published in its report.
//!
//! The primitives are fixed by the vectors of RFC 8032, RFC 7748, RFC 5869 and NIST.

pub mod encoding;
mod identity;
mod lookalike;
mod named;
pub mod primitives;
mod seed;
mod signature;
mod weak;

pub use encoding::EncodingError;
pub use identity::Identity;
pub use lookalike::{in_other_case, with_head_of};
pub use named::NamedKey;
pub use seed::{Seed, SeedError};
pub use signature::{SignatureForm, s_plus_l, sign_nonce, verify_ed25519};
pub use weak::{
    IDENTITY_FORGERY, NOT_A_POINT, WeakKey, forge_for_small_order_key, non_canonical_keys, small_order_keys,
};
