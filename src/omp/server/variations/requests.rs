//! What a server makes of a request before it looks at what is asked.

use std::sync::atomic::Ordering;

use serde::de::IgnoredAny;

use crate::omp::server::Server;
use crate::omp::server::admission::Look;
use crate::omp::server::answer::{Answer, Body};
use crate::omp::server::rules::signatures::{self as rules, Input, Parts};
use crate::serve::Asked;

/// A server with a limit of requests refuses one of so many.
const REQUESTS_PER_REFUSAL: u64 = 25;
/// The largest body that a server with a limit takes, bytes.
const BODY_LIMIT_BYTES: usize = 64 << 10;

impl Server {
    /// The refusal of a server that limits how many requests it takes.
    pub(in crate::omp::server) fn too_many(&self) -> Option<Answer> {
        if !self.has("rate-limit") {
            return None;
        }
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        if before % REQUESTS_PER_REFUSAL != REQUESTS_PER_REFUSAL - 1 || !self.bends("rate-limit") {
            return None;
        }
        let mut refused = Answer::refused(429, "too many requests");
        refused.headers.push(("retry-after", "0".to_owned()));
        Some(refused)
    }

    /// What follows `/objects` in a path.
    ///
    /// # Errors
    /// The client is sent on to the path with a slash at its end.
    pub(in crate::omp::server) fn path<'a>(&self, asked: &Asked, rest: &'a str) -> Result<&'a str, Answer> {
        if rest == "/" && self.has("sent-on-to-a-slash") {
            return Ok("");
        }
        if !rest.is_empty() || !self.bends("sent-on-to-a-slash") {
            return Ok(rest);
        }
        let query = asked.query.as_ref().map(|query| format!("?{query}"));
        let to = format!("{}/{}", asked.path, query.unwrap_or_default());
        Err(Answer {
            status: 307,
            headers: vec![("location", to)],
            body: Body::Nothing,
        })
    }

    /// Whether a body is taken at all.
    ///
    /// # Errors
    /// It is too large, or of another type than this server demands.
    pub(in crate::omp::server) fn demands(&self, asked: &Asked, body: &[u8]) -> Result<(), Answer> {
        if body.len() > BODY_LIMIT_BYTES && self.bends("body-limit") {
            return Err(Answer::refused(413, "the body is too large"));
        }
        match !asked.content_type.to_lowercase().contains("json") && self.bends("json-type-demanded") {
            true => Err(Answer::refused(415, "the body is to be application/json")),
            false => Ok(()),
        }
    }

    /// Whether the members of a body stand there once.
    ///
    /// # Errors
    /// One stands there twice.
    pub(in crate::omp::server) fn once(&self, body: &[u8]) -> Result<(), Answer> {
        let is_twice = || crate::json::parse(body).is_err_and(|why| why.contains("twice"));
        match self.has("duplicate-members-refused") && is_twice() && self.bends("duplicate-members-refused") {
            true => Err(Answer::refused(400, "a member stands twice")),
            false => Ok(()),
        }
    }

    /// Reads a body before a signature is asked for.
    ///
    /// # Errors
    /// It is not JSON.
    pub(in crate::omp::server) fn body_first(&self, asked: &Asked) -> Result<(), Answer> {
        let body = asked.body.as_deref().unwrap_or_default();
        let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
        let is_sent = matches!(asked.method.as_str(), "POST" | "PUT");
        match is_sent && !is_json && self.bends("body-before-signature") {
            true => Err(Answer::refused(400, "the body is not JSON")),
            false => Ok(()),
        }
    }

    /// What comes of a label that covers components.
    pub(in crate::omp::server) fn covering(
        &self,
        input: &Input,
        parts: &Parts<'_>,
        key: &[u8; 32],
        signature: &[u8; 64],
        look: Look,
    ) -> Look {
        let verifies = || rules::verifies(key, &rfc9421_base(input, parts), signature);
        match self.has("components-verified") && verifies() && self.bends("components-verified") {
            true => Look::Verifies,
            false => look,
        }
    }
}

/// The signature base of RFC 9421 for the components that a request itself has.
fn rfc9421_base(input: &Input, parts: &Parts<'_>) -> String {
    let query = parts.query.map(|query| format!("?{query}")).unwrap_or_default();
    let lines = input.components.split(' ').map(|component| {
        let value = match component.trim_matches('"') {
            "@method" => parts.method.to_owned(),
            "@target-uri" => format!("{}://{}{}{query}", parts.scheme, parts.host, parts.path),
            "@authority" => parts.host.to_owned(),
            "@path" => parts.path.to_owned(),
            _ => String::new(),
        };
        format!("{component}: {value}\n")
    });
    let lines: String = lines.collect();
    format!("{lines}\"@signature-params\": {}", input.written)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn the_published_vector_of_rfc_9421_verifies_over_its_base() {
        let mut seed = [0; 32];
        for (at, byte) in (0..).zip(seed.iter_mut()) {
            *byte = at;
        }
        let key = SigningKey::from_bytes(&seed);
        let input = rules::inputs(r#"sig1=("@method" "@target-uri");created=1700000000;keyid="sig1""#)
            .unwrap()
            .remove(0);
        let parts = Parts {
            method: "POST",
            scheme: "http",
            host: "127.0.0.1:8000",
            path: "/objects",
            query: None,
        };
        let text = "Xfi7t/HBLXUNF9l9fsuyIMX0aBLXgyFFp2NgA3j4G0DIs/C1og0xXYAvUdBF9KSX8n0ZSyE3VZjMTtOaqb8ZBQ==";
        let signature = rules::signature_bytes(text).unwrap();
        assert!(rules::verifies(
            &key.verifying_key().to_bytes(),
            &rfc9421_base(&input, &parts),
            &signature
        ));
    }
}
