//! Where tokens are JWTs and the issuer names its keys, sees whether a token is signed with one of them.
//!
//! Keys are fetched from the target's own origin or the identity provider's, and from nowhere else; no token goes there.
//! They are fetched with the client of the run, which follows no redirect, reads no more than a limit, and has the run's
//! certificates and proxy. Signatures are verified with `ring`, which is here for TLS already, and EdDSA's as strictly as
//! everywhere here: a library for JWTs would bring in a second implementation of every algorithm.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64_URL, Engine as _};
use ed25519_dalek::{Signature, VerifyingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
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
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or("none");
    match holds(algorithm, token, key) {
        Some(true) => "a token's signature is right by the issuer's keys".to_owned(),
        Some(false) => "a token's signature is wrong by the issuer's keys".to_owned(),
        None => {
            let other = visible_cut(algorithm, 20);
            format!("a token's key is among the issuer's; signatures of the kind {other} are not looked at")
        }
    }
}

/// Whether a token is signed with this key (RFC 7518); none where the algorithm is none that a published key could verify.
fn holds(algorithm: &str, token: &str, key: &Value) -> Option<bool> {
    let signed = match algorithm {
        "EdDSA" | "Ed25519" => signed_by_ed25519(token, key),
        "ES256" => signed_by_curve(&ECDSA_P256_SHA256_FIXED, token, key),
        "ES384" => signed_by_curve(&ECDSA_P384_SHA384_FIXED, token, key),
        "RS256" => signed_by_rsa(&RSA_PKCS1_2048_8192_SHA256, token, key),
        "RS384" => signed_by_rsa(&RSA_PKCS1_2048_8192_SHA384, token, key),
        "RS512" => signed_by_rsa(&RSA_PKCS1_2048_8192_SHA512, token, key),
        "PS256" => signed_by_rsa(&RSA_PSS_2048_8192_SHA256, token, key),
        "PS384" => signed_by_rsa(&RSA_PSS_2048_8192_SHA384, token, key),
        "PS512" => signed_by_rsa(&RSA_PSS_2048_8192_SHA512, token, key),
        _ => return None,
    };
    // A signature or a key that cannot be read proves nothing.
    Some(signed == Some(true))
}

/// What a token's signature is over, and the signature.
fn parts(token: &str) -> Option<(&[u8], Vec<u8>)> {
    let (signed, signature) = token.rsplit_once('.')?;
    Some((signed.as_bytes(), BASE64_URL.decode(signature).ok()?))
}

fn member(key: &Value, name: &str) -> Option<Vec<u8>> {
    BASE64_URL.decode(key.get(name)?.as_str()?).ok()
}

fn signed_by_ed25519(token: &str, key: &Value) -> Option<bool> {
    let (signed, signature) = parts(token)?;
    let signature = Signature::from_slice(&signature).ok()?;
    let key = VerifyingKey::from_bytes(&member(key, "x")?.try_into().ok()?).ok()?;
    Some(key.verify_strict(signed, &signature).is_ok())
}

fn signed_by_curve(algorithm: &'static EcdsaVerificationAlgorithm, token: &str, key: &Value) -> Option<bool> {
    let (signed, signature) = parts(token)?;
    // A point that is not compressed (SEC 1, 2.3.3).
    let point = [&[4][..], &member(key, "x")?, &member(key, "y")?].concat();
    let key = UnparsedPublicKey::new(algorithm, point);
    Some(key.verify(signed, &signature).is_ok())
}

fn signed_by_rsa(algorithm: &'static RsaParameters, token: &str, key: &Value) -> Option<bool> {
    let (signed, signature) = parts(token)?;
    let key = RsaPublicKeyComponents {
        n: member(key, "n")?,
        e: member(key, "e")?,
    };
    Some(key.verify(algorithm, signed, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
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

    #[test]
    fn a_signature_on_a_curve_is_held_against_both_coordinates() {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let signer = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let signed = format!("{}.e30", BASE64_URL.encode(r#"{"alg":"ES256"}"#));
        let signature = signer.sign(&random, signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", BASE64_URL.encode(signature));
        let (x, y) = signer.public_key().as_ref()[1..].split_at(32);
        let keys = |x: &[u8], y: &[u8]| {
            let (x, y) = (BASE64_URL.encode(x), BASE64_URL.encode(y));
            json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": x, "y": y }] })
        };
        assert!(verify(&token, &keys(x, y)).contains("right"));
        assert!(verify(&token, &keys(y, x)).contains("wrong"));
        assert!(verify(&token, &json!({ "keys": [{ "kty": "EC" }] })).contains("wrong"));
    }

    /// The example of RFC 7515, A.2.
    #[test]
    fn a_signature_of_rsa_is_held_against_the_modulus() {
        let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
            T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTB\
            EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD\
            TW9gb54h4FRWyuXpoQ";
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y\
            b290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG\
            bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383\
            LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB\
            p0igcN_IoypGlUPQGe77Rw";
        let keys = |n: &str| json!({ "keys": [{ "kty": "RSA", "n": n, "e": "AQAB" }] });
        assert!(verify(token, &keys(modulus)).contains("right"));
        assert!(verify(token, &keys(&modulus.replace("ofgW", "ofgX"))).contains("wrong"));
        assert!(verify("eyJhbGciOiJIUzI1NiJ9.e30.AA", &keys(modulus)).contains("not looked at"));
    }
}
