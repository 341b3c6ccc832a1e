//! The rules of logging in: keys, nonces, signatures and the bearer tokens they lead to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::keys;
use crate::avp::server::answer::Refusal;
use crate::avp::server::decision::{Decision, refuse_unless};
use crate::avp::server::state::State;
use crate::avp::server::vault::text;

/// What a token request claims: that this key signed this nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::avp::server) struct Claim {
    /// The key, which is the member id.
    pub(in crate::avp::server) member_id: String,
    /// The nonce as it was sent.
    pub(in crate::avp::server) nonce_text: String,
    /// The bytes of the nonce: what is signed.
    pub(in crate::avp::server) nonce: Vec<u8>,
    /// The signature.
    pub(in crate::avp::server) signature: Vec<u8>,
}

impl Claim {
    /// Reads a `TokenRequest`. Bodies have been checked, so that what is no base64 does not come here.
    pub(in crate::avp::server) fn read(body: &Value) -> Claim {
        let bytes = |name: &str| STANDARD.decode(text(body, name)).unwrap_or_default();
        Claim {
            member_id: text(body, "ed25519PublicKey").to_owned(),
            nonce_text: text(body, "nonce").to_owned(),
            nonce: bytes("nonce"),
            signature: bytes("signature"),
        }
    }
}

/// A member id is a public key under which signatures prove something.
pub(in crate::avp::server) fn is_public_key(member_id: &str) -> Decision {
    match keys::public_key(member_id) {
        Ok(_) => Ok(()),
        Err(reason) => Err(Refusal::bad_request(reason).into()),
    }
}

/// The nonce was issued to this key, and is neither used nor over.
pub(in crate::avp::server) fn nonce_is_open(state: &State, claim: &Claim) -> Decision {
    refuse_unless(state.nonces().is_open(&claim.nonce, &claim.member_id), || {
        Refusal::unauthorized("the nonce is unknown, used or expired")
    })
}

/// The signature is one over the decoded bytes of the nonce, under the key that is presented.
pub(in crate::avp::server) fn is_signed(claim: &Claim) -> Decision {
    refuse_unless(
        keys::verifies(&claim.member_id, &claim.nonce, &claim.signature),
        || Refusal::unauthorized("the signature does not hold for this nonce and key"),
    )
}

/// Takes the nonce, so that it can be redeemed once: of several who try at the same time one succeeds.
pub(in crate::avp::server) fn take_nonce(state: &State, claim: &Claim) -> Decision {
    refuse_unless(state.nonces().take(&claim.nonce, &claim.member_id), || {
        Refusal::unauthorized("the nonce is used")
    })
}

/// The token of an `Authorization` header. The scheme is compared without regard to case (RFC 9110).
pub(in crate::avp::server) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_compared_without_regard_to_case() {
        assert_eq!(bearer("Bearer x"), Some("x"));
        assert_eq!(bearer("bEARER x"), Some("x"));
        assert_eq!(bearer("Basic x"), None);
        assert_eq!(bearer("Bearer"), Some(""));
    }
}
