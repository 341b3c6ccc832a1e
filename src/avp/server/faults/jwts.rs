//! What is got wrong by servers whose tokens are JWTs: each believes a token of a kind that anybody can write.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::avp::server::deviation::{Name, faults};
use crate::avp::server::state::State;

faults! { "jwts";
    Rule(UNCHECKED_IF_EMPTY) "token-jwt-empty-signature", Must "AVP-3-11",
        "A JWT whose signature is empty is taken without looking at it.",
        "Anybody writes a token for anybody.",
        "Refuse a token without a signature before you read a claim.";
    Rule(NONE_IN_CAPITALS) "token-jwt-none-in-capitals", Must "AVP-3-11",
        "The algorithm none is refused, but only where it is spelt in small letters.",
        "Anybody writes a token for anybody.",
        "Allow the one algorithm that you issue, instead of forbidding some.";
    Rule(NONE_SIGNED) "token-jwt-none-with-a-signature", Must "AVP-3-11",
        "A JWT under the algorithm none is refused where its signature is empty, and else taken unread.",
        "Anybody writes a token for anybody, with any bytes behind the last dot.",
        "Allow the one algorithm that you issue, instead of looking for an empty signature.";
    Rule(EMPTY_SECRET) "token-jwt-empty-secret", Must "AVP-3-11",
        "A JWT under HS256 is verified with the empty secret, since none is configured.",
        "Anybody writes a token for anybody.",
        "Allow the one algorithm that you issue.";
    Rule(WEAK_SECRET) "token-jwt-weak-secret", Must "AVP-3-11",
        "Tokens under HS256 are taken as well, with the secret of the example that the code was copied from.",
        "Anybody who knows the example writes a token for anybody.",
        "Take the secret from the deployment, 32 random bytes of it, and refuse to start without.";
    Rule(PUBLIC_RAW) "token-jwt-public-key-as-secret", Must "AVP-3-11",
        "The bytes of the issuer's public key verify whatever the token's own algorithm is, HS256 among them.",
        "Everybody who reads the published keys writes a token for anybody.",
        "Bind a key to its algorithm, and allow that one alone.";
    Rule(PUBLIC_PEM) "token-jwt-public-pem-as-secret", Must "AVP-3-11",
        "The file with the issuer's public key verifies whatever the token's own algorithm is, HS256 among them.",
        "Everybody who reads the published keys writes a token for anybody.",
        "Bind a key to its algorithm, and allow that one alone.";
    Rule(HEADER_KEY) "token-jwt-key-from-its-header", Must "AVP-3-11",
        "A JWT is verified with the key that stands in its own header.",
        "Anybody writes a token for anybody.",
        "Take keys from your own store alone, whatever a header says.";
    Rule(KID_FILE) "token-jwt-kid-names-a-file", Must "AVP-3-11",
        "The key of a JWT is the file that `kid` names, wherever that leads.",
        "A file whose content is known, an empty one for instance, makes anybody an issuer.",
        "Look `kid` up among the keys that you have, and refuse what is not found.";
    Rule(KID_QUERY) "token-jwt-kid-in-a-query", Must "AVP-3-11",
        "The key of a JWT is looked up with `kid` pasted into an SQL statement.",
        "A `kid` that answers the query itself makes anybody an issuer.",
        "Bind parameters, and refuse a `kid` that is not found.";
}

/// Whether the tokens of a server are JWTs because of what it gets wrong about them.
pub(in crate::avp::server) fn are_issued(state: &State) -> bool {
    !state.is_faultless() && ALL.iter().any(|(fault, _)| state.is(Name(fault.name)))
}

/// Whether a server with one of these faults believes a token that it did not issue.
pub(in crate::avp::server) fn is_believed(state: &State, token: &str) -> bool {
    let Some(token) = Token::read(token) else {
        return false;
    };
    let public = state.issuer().verifying_key();
    let kid = token.header["kid"].as_str().unwrap_or_default();
    let is_empty = token.signature.is_empty();
    let none = |text: &str| text.eq_ignore_ascii_case("none") && text != "none";
    let algorithm = token.header["alg"].as_str().unwrap_or_default();
    state.is(UNCHECKED_IF_EMPTY) && is_empty && algorithm != "none"
        || state.is(NONE_IN_CAPITALS) && is_empty && none(algorithm)
        || state.is(NONE_SIGNED) && !is_empty && algorithm == "none"
        || state.is(EMPTY_SECRET) && token.holds_under(b"")
        || state.is(WEAK_SECRET) && token.holds_under(b"secret")
        || state.is(PUBLIC_RAW) && token.holds_under(public.as_bytes())
        || state.is(PUBLIC_PEM) && token.holds_under(&file(&public))
        || state.is(HEADER_KEY) && token.holds_by_its_own_key() == Some(true)
        || state.is(KID_FILE) && kid.ends_with("/dev/null") && token.holds_under(b"")
        || state.is(KID_QUERY) && answered(kid).is_some_and(|secret| token.holds_under(secret.as_bytes()))
}

/// A JWT as it came.
struct Token<'a> {
    header: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl Token<'_> {
    fn read(text: &str) -> Option<Token<'_>> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, _) = signed.split_once('.')?;
        Some(Token {
            header: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether it is one under HS256 and this secret.
    fn holds_under(&self, secret: &[u8]) -> bool {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret) else {
            return false;
        };
        let mac = mac.chain_update(self.signed);
        self.header["alg"] == "HS256" && mac.verify_slice(&self.signature).is_ok()
    }

    fn holds_by_its_own_key(&self) -> Option<bool> {
        let point = URL_SAFE_NO_PAD.decode(self.header["jwk"]["x"].as_str()?).ok()?;
        let key = VerifyingKey::from_bytes(&point.try_into().ok()?).ok()?;
        let signature = Signature::from_slice(&self.signature).ok()?;
        Some(key.verify(self.signed.as_bytes(), &signature).is_ok())
    }
}

/// A public key as a file holds it.
fn file(key: &VerifyingKey) -> Vec<u8> {
    let prefix = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let text = STANDARD.encode([&prefix[..], key.as_bytes()].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n").into_bytes()
}

/// What a statement answers whose end is the quoted text of an injected query.
fn answered(kid: &str) -> Option<&str> {
    let (_, query) = kid.split_once("' UNION SELECT '")?;
    Some(query.split_once('\'')?.0)
}
