//! How a registry writes an answer in another form than the plain one.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use crate::keypackage::server::Registry;
use crate::keypackage::server::answer::Answer;
use crate::keypackage::server::store::Bundle;
use crate::serve::{Asked, Reply};

/// A server with a limit of requests refuses one of so many.
const REQUESTS_PER_REFUSAL: u64 = 25;

impl Registry {
    /// The reply to a request, given what it is answered.
    pub(in crate::keypackage::server) fn written(&self, asked: &Asked, answer: Answer) -> Reply {
        let fetches = asked.path.starts_with("/v0/keypackage/");
        match &answer {
            _ if asked.method == "HEAD" && fetches && self.bends("head-not-allowed") => {
                self.json(&Answer::not_allowed("GET"))
            }
            Answer::Published if self.bends("publish-200") => {
                self.json(&Answer::Object(json!({ "stored": true })))
            }
            Answer::Published => answer.reply(),
            Answer::Object(_) => self.json(&answer),
            Answer::Bundle { device, bundle } => self.bundle(device, bundle.clone()),
            Answer::Refused { status, why, .. } => self.refusal(*status, why, &answer),
        }
    }

    fn bundle(&self, device: &str, mut bundle: Bundle) -> Reply {
        let zero = bundle.payload.iter().position(|byte| *byte == 0);
        if let Some(end) = zero
            && self.bends("payload-ends-at-nul")
        {
            bundle.payload.truncate(end);
        }
        let is_blank = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        let kept = bundle.payload.iter().rposition(|byte| !is_blank(byte));
        let end = kept.map_or(0, |last| last + 1);
        if end < bundle.payload.len() && self.bends("payload-ends-are-trimmed") {
            bundle.payload.truncate(end);
        }
        let safe = URL_SAFE.encode(&bundle.payload);
        let standard = STANDARD.encode(&bundle.payload);
        let payload = match safe != standard && self.bends("payload-url-safe") {
            true => safe,
            false => standard,
        };
        let mut body = json!({ "payload": payload, "signature": STANDARD.encode(&bundle.signature) });
        if bundle.payload.is_empty() && self.bends("empty-payload-is-null") {
            body["payload"] = Value::Null;
        }
        if self.bends("more-members") {
            body["device_id"] = device.into();
            body["served_ms"] = (self.clock)().into();
        }
        let mut reply = self.json(&Answer::Object(body));
        if self.bends("bundle-as-text") {
            reply.headers = vec![("content-type", "text/plain".to_owned())];
        }
        reply
    }

    fn refusal(&self, status: u16, why: &str, answer: &Answer) -> Reply {
        let typed = |content_type: &str, body: &str| Reply {
            headers: vec![("content-type", content_type.to_owned())],
            body: body.as_bytes().to_vec(),
            ..answer.reply()
        };
        let mut reply = match () {
            () if self.bends("errors-as-text") => typed("text/plain", why),
            () if self.bends("errors-empty") => Reply {
                status,
                ..Reply::default()
            },
            () if self.bends("errors-as-html") => {
                typed("text/html", &format!("<h1>{status}</h1><p>{why}</p>"))
            }
            () => self.json(answer),
        };
        let headers = answer.reply().headers;
        let allow = headers.into_iter().find(|(name, _)| *name == "allow");
        reply.headers.retain(|(name, _)| *name != "allow");
        reply
            .headers
            .extend(allow.filter(|(_, methods)| self.tells_allowed(methods)));
        reply
    }

    /// Whether it is told which methods a route has, given those.
    fn tells_allowed(&self, methods: &str) -> bool {
        let hides = self.bends("methods-without-allow")
            || methods == "POST" && self.bends("publishing-without-allow");
        !hides
    }

    /// An answer with a JSON body, as this server writes JSON.
    fn json(&self, answer: &Answer) -> Reply {
        let mut reply = answer.reply();
        let mut text = String::from_utf8_lossy(&reply.body).into_owned();
        if self.has("spaced-json")
            && let Ok(value) = serde_json::from_str::<Value>(&text)
        {
            self.fire("spaced-json");
            text = format!("{value:#}\n");
        }
        if text.contains('/') && self.bends("slashes-escaped") {
            text = text.replace('/', "\\/");
        }
        if self.bends("charset") {
            let is_type = |(name, _): &&mut (&str, String)| *name == "content-type";
            if let Some((_, content_type)) = reply.headers.iter_mut().find(is_type) {
                content_type.push_str("; charset=utf-8");
            }
        }
        reply.body = text.into_bytes();
        reply
    }

    /// The refusal of a server that limits how many requests it takes.
    pub(in crate::keypackage::server) fn too_many(&self) -> Option<Answer> {
        if !self.has("rate-limit") {
            return None;
        }
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        (before % REQUESTS_PER_REFUSAL == REQUESTS_PER_REFUSAL - 1).then(|| {
            self.fire("rate-limit");
            Answer::refused(429, "too many requests")
        })
    }
}
