//! Forged JWTs: the claims of a real token of the target, under a signature that its issuer never made.
//!
//! Each is one of the ways in which libraries were talked into taking a token: no signature, an algorithm of the attacker's
//! choice, a key of the attacker's, or the issuer's public key where a secret belongs.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64_URL, Engine as _};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::draft::{Draft, Mask};
use super::{CaseResult, Driver, ExchangeMeta};
use crate::avp::cases::Forgery;
use crate::avp::{IDP, Operation, VAULT};
use crate::http::{Endpoint, Role, Service};

/// Where a file named by `kid` is looked for that is empty on every system that has it.
const EMPTY_FILE: &str = "../../../../../../../../dev/null";
/// A `kid` that makes a query for a key answer `key`.
const INJECTED: &str = "' UNION SELECT 'key' -- ";
/// A `kid` that no key has.
const NOBODYS_KEY: &str = "avp-conform-nobodys";
/// The secret that [`INJECTED`] brings.
const INJECTED_SECRET: &[u8] = b"key";

/// A token taken apart: header and claims as JSON, and the claims and the signature as they are spelt.
struct Parts<'a> {
    header: Map<String, Value>,
    claims: &'a str,
    signature: &'a str,
}

impl Driver<'_> {
    /// A forged token made of an actor's own. Not applicable where that is no JWT, or where the forgery needs a public key that
    /// the target does not publish.
    pub(super) async fn forge(&mut self, forgery: Forgery, own: &str, who: &str) -> CaseResult<String> {
        let Some(parts) = take_apart(own) else {
            return Err(self.talk.not_applicable("the target's tokens are no JWTs"));
        };
        let secret = match forgery {
            Forgery::PublicKeyRaw
            | Forgery::PublicKeyText
            | Forgery::PublicKeyPem
            | Forgery::PublicKeyJwk => {
                let key = self.issuer_key(&parts, who).await?;
                let Some(secret) = as_secret(forgery, &key) else {
                    let reason = "the issuer's key is of a kind that has no such form";
                    return Err(self.talk.not_applicable(reason));
                };
                secret
            }
            _ => Vec::new(),
        };
        let seed = self.world.draw("forger");
        Ok(forged(forgery, &parts, &secret, &SigningKey::from_bytes(&seed)))
    }

    /// The public key that the issuer publishes for a token, as a JWK.
    async fn issuer_key(&mut self, parts: &Parts<'_>, who: &str) -> CaseResult<Value> {
        let discovery = Operation::Discovery.path("", "");
        let url = self.document(discovery, VAULT, who).await?;
        let url = url
            .as_ref()
            .and_then(|document| document.get("issuerJwksUrl")?.as_str());
        let Some((service, path)) = url.and_then(|url| self.own_path(url)) else {
            let reason = "the target does not publish its issuer's keys at an address of its own";
            return Err(self.talk.not_applicable(reason));
        };
        let keys = self.document(path, service, who).await?;
        let keys = keys.as_ref().and_then(|keys| keys.get("keys")?.as_array());
        let kid = parts.header.get("kid");
        let fits = |key: &&Value| kid.is_none() || key.get("kid") == kid;
        match keys.and_then(|keys| keys.iter().find(fits)) {
            Some(key) => Ok(key.clone()),
            None => Err(self
                .talk
                .not_applicable("the issuer's keys do not hold that of its tokens")),
        }
    }

    /// A public document of the target's, if it is JSON. What is not served as such is no exchange to judge: none of them is
    /// the protocol's, but discovery, which other cases look at.
    async fn document(&mut self, path: String, service: Service, who: &str) -> CaseResult<Option<Value>> {
        if !self.target.client.speaks_http(&VAULT) {
            let reason = "the run knows no HTTP address at which the issuer's keys could be published";
            return Err(self.talk.not_applicable(reason));
        }
        let mut draft = Draft::new(Operation::Discovery, path, None);
        draft.operation = None;
        let kept = self.talk.transcript.exchanges.len();
        let errand = ExchangeMeta {
            draft: &draft,
            who,
            repo: None,
            role: Role::Setup,
            round: 0,
        };
        let mut request = draft.request(None);
        request.service = service;
        self.transact(errand, request, Mask::Nothing).await?;
        let answer = self
            .talk
            .transcript
            .exchanges
            .last()
            .and_then(|exchange| exchange.outcome.answer());
        let document = answer
            .filter(|answer| answer.status == 200)
            .and_then(|answer| serde_json::from_slice(answer.body.as_bytes()).ok());
        self.talk.transcript.truncate(kept);
        Ok(document)
    }

    /// The service and the path of an address, where it is at one of the target's own services.
    fn own_path(&self, url: &str) -> Option<(Service, String)> {
        let place = Endpoint::parse(url).ok()?;
        [VAULT, IDP].into_iter().find_map(|service| {
            let endpoint = self.target.client.endpoint(&service);
            let path = place.base().strip_prefix(endpoint.base())?;
            endpoint
                .is_same_origin(&place)
                .then(|| (service, path.to_owned()))
        })
    }
}

/// The parts of a JWT; none where it is no JWT.
fn take_apart(token: &str) -> Option<Parts<'_>> {
    let mut parts = token.split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let json = |part: &str| serde_json::from_slice::<Map<String, Value>>(&BASE64_URL.decode(part).ok()?).ok();
    json(claims)?;
    let whole = Parts {
        header: json(header)?,
        claims,
        signature,
    };
    parts.next().is_none().then_some(whole)
}

/// The forged token. `secret` is what stands in for the issuer's secret, where the forgery wants one.
fn forged(forgery: Forgery, parts: &Parts<'_>, secret: &[u8], forger: &SigningKey) -> String {
    let header = |changes: &[(&str, Value)]| {
        let mut header = parts.header.clone();
        for (name, value) in changes {
            header.insert((*name).to_owned(), value.clone());
        }
        format!(
            "{}.{}",
            BASE64_URL.encode(Value::from(header).to_string()),
            parts.claims
        )
    };
    let of = |alg: &str| ("alg", json!(alg));
    let unsigned = |alg: &str| format!("{}.", header(&[of(alg)]));
    let hmac = |changes: &[(&str, Value)], secret: &[u8]| {
        let signed = header(&[&[of("HS256")], changes].concat());
        let signature = BASE64_URL.encode(hmac_sha256(secret, signed.as_bytes()));
        format!("{signed}.{signature}")
    };
    let own_key = |changes: &[(&str, Value)]| {
        let signed = header(&[&[of("EdDSA")], changes].concat());
        let signature = BASE64_URL.encode(forger.sign(signed.as_bytes()).to_bytes());
        format!("{signed}.{signature}")
    };
    match forgery {
        Forgery::EmptySignature => format!("{}.", header(&[])),
        Forgery::NoSignature => header(&[]),
        Forgery::None => unsigned("none"),
        Forgery::NoneTitle => unsigned("None"),
        Forgery::NoneUpper => unsigned("NONE"),
        Forgery::NoneMixed => unsigned("nOnE"),
        Forgery::NoneSigned => format!("{}.{}", header(&[of("none")]), parts.signature),
        Forgery::OtherAlgorithm => {
            let known = parts.header.get("alg").and_then(Value::as_str);
            let other = if known == Some("HS256") { "HS384" } else { "HS256" };
            format!("{}.{}", header(&[of(other)]), parts.signature)
        }
        Forgery::ZeroSignature => format!("{}.{}", header(&[of("ES256")]), BASE64_URL.encode([0; 64])),
        Forgery::EmptySecret => hmac(&[], b""),
        Forgery::WeakSecret => hmac(&[], b"secret"),
        Forgery::ExampleSecret => hmac(&[], b"your-256-bit-secret"),
        Forgery::KidFile => hmac(&[("kid", json!(EMPTY_FILE))], b""),
        Forgery::KidQuery => hmac(&[("kid", json!(INJECTED))], INJECTED_SECRET),
        Forgery::OwnKey => own_key(&[]),
        Forgery::OwnKeyUnknown => own_key(&[("kid", json!(NOBODYS_KEY))]),
        Forgery::OwnKeyInHeader => {
            let x = BASE64_URL.encode(forger.verifying_key().as_bytes());
            own_key(&[("jwk", json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))])
        }
        Forgery::PublicKeyRaw | Forgery::PublicKeyText | Forgery::PublicKeyPem | Forgery::PublicKeyJwk => {
            hmac(&[], secret)
        }
    }
}

fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// A public key in the form in which a server may hold it where a secret belongs; none where a key of its kind has no such form.
fn as_secret(forgery: Forgery, key: &Value) -> Option<Vec<u8>> {
    let field = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| BASE64_URL.decode(field(name)?.trim_end_matches('=')).ok();
    match forgery {
        Forgery::PublicKeyRaw => bytes("x").or_else(|| bytes("n")),
        Forgery::PublicKeyText => Some(field("x").or_else(|| field("n"))?.as_bytes().to_vec()),
        Forgery::PublicKeyJwk => Some(key.to_string().into_bytes()),
        _ => {
            let info = match (field("kty")?, field("crv")) {
                ("OKP", Some("Ed25519")) => info(&[0x06, 0x03, 0x2b, 0x65, 0x70], &bytes("x")?),
                ("EC", Some("P-256")) => info(EC_P256, &[vec![4], bytes("x")?, bytes("y")?].concat()),
                ("RSA", _) => info(RSA, &sequence(&[integer(&bytes("n")?), integer(&bytes("e")?)])),
                _ => return None,
            };
            Some(pem(&info).into_bytes())
        }
    }
}

/// The algorithm of an RSA key in a SubjectPublicKeyInfo: rsaEncryption with NULL (RFC 3279, 2.3.1).
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// That of a key on the curve P-256: id-ecPublicKey with prime256v1 (RFC 5480, 2.1.1).
const EC_P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];

/// A SubjectPublicKeyInfo (RFC 5280, 4.1) in DER.
fn info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    sequence(&[element(0x30, algorithm), element(0x03, &bits)])
}

fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &items.concat())
}

/// A positive INTEGER: a zero keeps its first bit from being its sign.
fn integer(magnitude: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if magnitude.first().is_some_and(|byte| *byte > 127) {
        &[0]
    } else {
        &[]
    };
    element(0x02, &[sign, magnitude].concat())
}

/// An element of DER: tag, length, content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let size = content.len().to_be_bytes();
    let size = &size[size
        .iter()
        .take_while(|byte| **byte == 0)
        .count()
        .min(size.len() - 1)..];
    let mut out = vec![tag];
    match size {
        [short @ ..128] => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

/// With the line break at its end that files have.
fn pem(info: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(info);
    let mut out = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(character);
    }
    out + "\n-----END PUBLIC KEY-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> String {
        let part = |value: Value| BASE64_URL.encode(value.to_string());
        format!(
            "{}.{}.c2ln",
            part(json!({"alg": "EdDSA", "kid": "1"})),
            part(json!({"sub": "key:a"}))
        )
    }

    fn made(forgery: Forgery, secret: &[u8]) -> String {
        let token = token();
        let parts = take_apart(&token).unwrap();
        forged(forgery, &parts, secret, &SigningKey::from_bytes(&[3; 32]))
    }

    #[test]
    fn every_forgery_keeps_the_claims_and_none_the_token() {
        let token = token();
        let claims = token.split('.').nth(1).unwrap();
        for forgery in Forgery::ALL {
            let forged = made(forgery, b"public");
            assert_eq!(forged.split('.').nth(1), Some(claims), "{forgery:?}");
            assert_ne!(forged, token);
        }
    }

    #[test]
    fn another_algorithm_is_another() {
        let part = |value: Value| BASE64_URL.encode(value.to_string());
        let token = format!("{}.{}.c2ln", part(json!({"alg": "HS256"})), part(json!({})));
        let parts = take_apart(&token).unwrap();
        let forged = forged(
            Forgery::OtherAlgorithm,
            &parts,
            b"",
            &SigningKey::from_bytes(&[3; 32]),
        );
        assert_ne!(forged, token);
    }

    #[test]
    fn only_a_jwt_is_taken_apart() {
        for other in ["opaque", "a.b.c", "e30.e30", "e30.e30.x.y"] {
            assert!(take_apart(other).is_none(), "{other}");
        }
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_mac_is_that_of_the_standard() {
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    /// The key of RFC 8410, 10.1.
    #[test]
    fn a_public_key_is_written_as_files_hold_it() {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"});
        let pem = as_secret(Forgery::PublicKeyPem, &key).unwrap();
        let expected = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                        -----END PUBLIC KEY-----\n";
        assert_eq!(String::from_utf8(pem).unwrap(), expected);
        assert_eq!(as_secret(Forgery::PublicKeyRaw, &key).unwrap().len(), 32);
    }

    #[test]
    fn lengths_of_more_than_127_bytes_take_bytes_of_their_own() {
        assert_eq!(element(4, &[7; 5])[..2], [4, 5]);
        assert_eq!(element(4, &[7; 200])[..3], [4, 0x81, 200]);
        assert_eq!(element(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
    }
}
