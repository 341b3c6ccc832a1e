//! What is got wrong by servers whose tokens are JWTs: each believes a token of a kind that anybody can write.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, Verifier, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::tokens::{Caller, takes_token};
use crate::avp::Operation;
use crate::avp::server::answer::Answer;
use crate::avp::server::decision::Grant;
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::request::Request;
use crate::avp::server::rules::login::Claim;
use crate::avp::server::state::{State, now};
use crate::avp::server::tokens::random;

/// Where the issuer's keys are, on servers that sign their tokens.
const KEYS_PATH: &str = "/.well-known/jwks.json";
/// The name of the issuer's key.
const KID: &str = "1";

faults! { "jwts";
    Caller(unchecked_if_empty) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-empty-signature", Must "AVP-3-11",
        "A JWT whose signature is empty is taken without looking at it.",
        "Anybody writes a token for anybody.",
        "Refuse a token without a signature before you read a claim.";
    Caller(none_in_capitals) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-none-in-capitals", Must "AVP-3-11",
        "The algorithm none is refused, but only where it is spelt in small letters.",
        "Anybody writes a token for anybody.",
        "Allow the one algorithm that you issue, instead of forbidding some.";
    Caller(none_signed) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-none-with-a-signature", Must "AVP-3-11",
        "A JWT under the algorithm none is refused where its signature is empty, and else taken unread.",
        "Anybody writes a token for anybody, with any bytes behind the last dot.",
        "Allow the one algorithm that you issue, instead of looking for an empty signature.";
    Caller(empty_secret) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-empty-secret", Must "AVP-3-11",
        "A JWT under HS256 is verified with the empty secret, since none is configured.",
        "Anybody writes a token for anybody.",
        "Allow the one algorithm that you issue.";
    Caller(weak_secret) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-weak-secret", Must "AVP-3-11",
        "Tokens under HS256 are taken as well, with the secret of the example that the code was copied from.",
        "Anybody who knows the example writes a token for anybody.",
        "Take the secret from the deployment, 32 random bytes of it, and refuse to start without.";
    Caller(public_raw) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-public-key-as-secret", Must "AVP-3-11",
        "The bytes of the issuer's public key verify whatever the token's own algorithm is, HS256 among them.",
        "Everybody who reads the published keys writes a token for anybody.",
        "Bind a key to its algorithm, and allow that one alone.";
    Caller(public_pem) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-public-pem-as-secret", Must "AVP-3-11",
        "The file with the issuer's public key verifies whatever the token's own algorithm is, HS256 among them.",
        "Everybody who reads the published keys writes a token for anybody.",
        "Bind a key to its algorithm, and allow that one alone.";
    Caller(header_key) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-key-from-its-header", Must "AVP-3-11",
        "A JWT is verified with the key that stands in its own header.",
        "Anybody writes a token for anybody.",
        "Take keys from your own store alone, whatever a header says.";
    Caller(kid_unknown) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-kid-unknown", Must "AVP-3-11",
        "A JWT whose `kid` names no known key is taken without looking at its signature.",
        "Anybody writes a token for anybody.",
        "Refuse a `kid` that is not found: no key means no token.";
    Caller(kid_file) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-kid-names-a-file", Must "AVP-3-11",
        "The key of a JWT is the file that `kid` names, wherever that leads.",
        "A file whose content is known, an empty one for instance, makes anybody an issuer.",
        "Look `kid` up among the keys that you have, and refuse what is not found.";
    Caller(kid_query) and Grant(as_jwt) and Answer(publishes_keys) "token-jwt-kid-in-a-query", Must "AVP-3-11",
        "The key of a JWT is looked up with `kid` pasted into an SQL statement.",
        "A `kid` that answers the query itself makes anybody an issuer.",
        "Bind parameters, and refuse a `kid` that is not found.";
}

/// Believes a JWT that was never issued, where `is_believed` does so.
fn believes(
    state: &State,
    request: &Request,
    caller: &mut Caller,
    is_believed: impl FnOnce(&Token<'_>) -> bool,
) -> bool {
    takes_token(state, request, caller, |text| {
        let token = Token::read(text)?;
        claimed_subject(text).filter(|_| is_believed(&token))
    })
}

fn unchecked_if_empty(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| {
        token.signature.is_empty() && token.algorithm() != "none"
    })
}

fn none_in_capitals(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| {
        let none = token.algorithm().eq_ignore_ascii_case("none") && token.algorithm() != "none";
        token.signature.is_empty() && none
    })
}

fn none_signed(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| {
        !token.signature.is_empty() && token.algorithm() == "none"
    })
}

fn empty_secret(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| token.holds_under(b""))
}

fn weak_secret(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| token.holds_under(b"secret"))
}

fn public_raw(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let public = state.issuer().verifying_key();
    believes(state, request, caller, |token| {
        token.holds_under(public.as_bytes())
    })
}

fn public_pem(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let public = state.issuer().verifying_key();
    believes(state, request, caller, |token| token.holds_under(&file(&public)))
}

fn header_key(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| {
        token.holds_by_its_own_key() == Some(true)
    })
}

fn kid_unknown(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| {
        token.algorithm() == "EdDSA" && !["", KID].contains(&token.kid())
    })
}

fn kid_file(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| {
        token.kid().ends_with("/dev/null") && token.holds_under(b"")
    })
}

fn kid_query(state: &State, request: &Request, caller: &mut Caller) -> bool {
    believes(state, request, caller, |token| {
        answered(token.kid()).is_some_and(|secret| token.holds_under(secret.as_bytes()))
    })
}

/// The subject that a JWT claims, verified by nobody.
pub(super) fn claimed_subject(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims["sub"].as_str()?.strip_prefix("key:")?.to_owned())
}

/// Grants a token in the reference form: a JWT that names the member and nothing else about them.
pub(in crate::avp::server) fn as_jwt(state: &State, _: &Claim, grant: &mut Grant) -> bool {
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": KID });
    let claims = json!({
        "iss": "avp-reference",
        "sub": format!("key:{}", grant.member_id),
        "kind": "keypair",
        "iat": now() / 1000,
        "exp": grant.expires / 1000,
        "jti": URL_SAFE_NO_PAD.encode(random(12)),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = state.issuer().sign(signed.as_bytes()).to_bytes();
    grant.token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    true
}

/// Serves the issuer's keys, and names their place in the discovery document.
pub(in crate::avp::server) fn publishes_keys(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    if scene.request.path == KEYS_PATH && scene.request.method == "GET" {
        let key = URL_SAFE_NO_PAD.encode(scene.state.issuer().verifying_key().as_bytes());
        *answer = Answer::ok(json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KID, "x": key }
        ] }));
        return true;
    }
    let host = scene.request.host.as_deref().unwrap_or("localhost");
    let document = message_access::object(answer).filter(|_| scene.on(Operation::Discovery));
    document.is_some_and(|document| {
        let url = json!(format!("http://{host}{KEYS_PATH}"));
        document.insert("issuerJwksUrl".to_owned(), url).is_none()
    })
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

    fn algorithm(&self) -> &str {
        self.header["alg"].as_str().unwrap_or_default()
    }

    fn kid(&self) -> &str {
        self.header["kid"].as_str().unwrap_or_default()
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
