//! What a token says where it is a JWT, before it is hidden.

use crate::record::transcript::JsonBody;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64_URL, Engine as _};
use serde_json::{Map, Value, json};

use crate::http::Jwt;

/// Larger tokens are not looked into.
const LARGEST_TOKEN_BYTES: usize = 16 << 10;

/// The readable parts of the token in an answer.
pub(super) fn of(body: &JsonBody) -> Option<Jwt> {
    let token = body
        .as_ref()
        .ok()?
        .get("token")?
        .as_str()
        .filter(|token| token.len() <= LARGEST_TOKEN_BYTES)?;
    let mut parts = token.split('.');
    let jwt = Jwt {
        header: object(parts.next()?)?,
        claims: object(parts.next()?)?,
    };
    (parts.count() == 1).then_some(jwt)
}

/// A JWT of the reference form that nobody signed (`alg` is `none`, RFC 7519, 6) and that is good for an hour.
pub(super) fn unsigned(member_id: &str, now_ms: i64) -> String {
    let header = json!({ "alg": "none", "typ": "JWT" });
    let claims = json!({
        "sub": format!("key:{member_id}"),
        "kind": "keypair",
        "iat": now_ms / 1000,
        "exp": now_ms / 1000 + 3600,
    });
    let part = |value: Value| BASE64_URL.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&BASE64_URL.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(token: &str) -> Option<Jwt> {
        of(&Ok(json!({ "token": token }).into()))
    }

    #[test]
    fn header_and_claims_are_read_and_nothing_else() {
        let part = |value: Value| BASE64_URL.encode(value.to_string());
        let (header, claims) = (part(json!({"alg": "EdDSA"})), part(json!({"sub": "x"})));
        let jwt = told(&format!("{header}.{claims}.c2VjcmV0")).unwrap();
        assert_eq!(
            (jwt.header["alg"].as_str(), jwt.claims["sub"].as_str()),
            (Some("EdDSA"), Some("x"))
        );
        assert!(!format!("{jwt:?}").contains("c2VjcmV0"));
        for other in [
            "opaque",
            "a.b.c",
            &format!("{header}.{claims}"),
            &format!("{header}.{claims}.a.b"),
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
