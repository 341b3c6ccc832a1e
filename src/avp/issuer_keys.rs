//! Where tokens are JWTs and the issuer names its keys, sees whether a token is signed with one of them.
//!
//! Keys are fetched from the target's own origin or the identity provider's, and from nowhere else; no token goes there.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64_URL, Engine as _};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

use super::generation::Caller;
use super::judge::jwt_claims;
use super::{IDP, VAULT};
use crate::http::{Client, ClientOptions, Endpoint};
use crate::keys::{Identity, Seed};
use crate::record::Record;
use crate::text::visible_cut;

/// A sentence on the keys of the issuer; none where there is nothing to say. `options` are those of the run's client.
pub(super) async fn advice(
    client: &Client,
    options: &ClientOptions,
    seed: &Seed,
    record: &Record,
) -> Option<String> {
    jwt_claims::jwts(&record.cases).next()?;
    let (_, discovery) = Caller::new(client).get("/.well-known/avp").await?;
    let url = discovery.get("issuerJwksUrl")?.as_str()?.to_owned();
    Some(format!(
        "advice on tokens: {}",
        check(client, options, seed, &url).await
    ))
}

async fn check(client: &Client, options: &ClientOptions, seed: &Seed, url: &str) -> String {
    let shown = visible_cut(url, 200);
    let Ok(place) = Endpoint::parse(url) else {
        return format!("issuerJwksUrl is no address: {shown}");
    };
    let own = [VAULT, IDP];
    if !own
        .iter()
        .any(|service| client.endpoint(service).is_same_origin(&place))
    {
        return format!("the issuer's keys are at another origin, {shown}, and were not fetched");
    }
    let options = ClientOptions {
        tls: options.tls.clone(),
        proxy: options.proxy.clone(),
        timeout: options.timeout,
        ..ClientOptions::new(place)
    };
    let Ok(fetcher) = Client::new(options) else {
        return format!("the issuer's keys at {shown} cannot be fetched");
    };
    let Some((200, keys)) = Caller::new(&fetcher).get("").await else {
        return format!("the issuer's keys are not served at {shown}");
    };
    let identity = Identity::derive(seed, &["issuer-keys"]);
    match Caller::new(client).login(&identity).await {
        Some(token) => verify(&token, &keys),
        None => "no token was granted to compare with the issuer's keys".to_owned(),
    }
}

/// What the keys say of a token.
fn verify(token: &str, keys: &Value) -> String {
    let header: Value = token
        .split('.')
        .next()
        .and_then(|part| BASE64_URL.decode(part).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let keys = keys
        .get("keys")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let kid = header.get("kid");
    let Some(key) = keys.iter().find(|key| kid.is_none() || key.get("kid") == kid) else {
        return "the `kid` of a token is not among the issuer's keys".to_owned();
    };
    match header.get("alg").and_then(Value::as_str) {
        Some("EdDSA" | "Ed25519") => match is_signed(token, key) {
            Some(true) => "a token's signature is right by the issuer's keys".to_owned(),
            _ => "a token's signature is wrong by the issuer's keys".to_owned(),
        },
        other => {
            let other = visible_cut(other.unwrap_or("none"), 20);
            format!("a token's key is among the issuer's; signatures of the kind {other} are not looked at")
        }
    }
}

fn is_signed(token: &str, key: &Value) -> Option<bool> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = Signature::from_slice(&BASE64_URL.decode(signature).ok()?).ok()?;
    let point = BASE64_URL.decode(key.get("x")?.as_str()?).ok()?;
    let key = VerifyingKey::from_bytes(&point.try_into().ok()?).ok()?;
    Some(key.verify_strict(signed.as_bytes(), &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signature_is_held_against_the_key_that_the_token_names() {
        let signer = SigningKey::from_bytes(&[7; 32]);
        let part = |value: Value| BASE64_URL.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(json!({"alg": "EdDSA", "kid": "1"})),
            part(json!({"sub": "x"}))
        );
        let token = format!(
            "{signed}.{}",
            BASE64_URL.encode(signer.sign(signed.as_bytes()).to_bytes())
        );
        let keys = |kid: &str, seed: u8| {
            let public = SigningKey::from_bytes(&[seed; 32]).verifying_key();
            json!({"keys": [{"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": BASE64_URL.encode(public.as_bytes())}]})
        };
        assert!(verify(&token, &keys("1", 7)).contains("right"));
        assert!(verify(&token, &keys("1", 8)).contains("wrong"));
        assert!(verify(&token, &keys("2", 7)).contains("not among"));
        assert!(verify("opaque", &keys("2", 7)).contains("none"));
    }
}
