//! What the server answers, as plain data, and how it is written.

use serde_json::{Value, json};

use crate::serve::Reply;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Header fields, without the content type.
    pub(super) headers: Vec<(&'static str, String)>,
    /// What it says.
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// There is none.
    Nothing,
    /// A JSON value.
    Json(Value),
    /// The members of an error, which stand in a member of their own.
    Error(Value),
    /// A text, and its content type.
    Text(&'static str, String),
}

impl Body {
    /// The JSON that is written; none where it is another text or nothing.
    pub(super) fn json(&self) -> Option<Value> {
        match self {
            Body::Json(value) => Some(value.clone()),
            Body::Error(error) => Some(json!({ "error": error })),
            Body::Nothing | Body::Text(..) => None,
        }
    }
}

impl Answer {
    /// Success, with nothing to say.
    pub(super) fn done() -> Answer {
        Answer {
            status: 204,
            headers: Vec::new(),
            body: Body::Nothing,
        }
    }

    /// A status and a JSON value.
    pub(super) fn json(status: u16, value: Value) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Body::Json(value),
        }
    }

    /// A refusal, in the one shape that all errors have.
    pub(super) fn refused(status: u16, why: &str) -> Answer {
        let error = json!({ "code": code(status), "message": why, "status": status, "details": null });
        let scheme = (status == 401).then(|| ("www-authenticate", "Signature".to_owned()));
        Answer {
            status,
            headers: scheme.into_iter().collect(),
            body: Body::Error(error),
        }
    }

    /// The refusal of a method that a route does not have.
    pub(super) fn not_allowed(allowed: &str) -> Answer {
        let refused = Answer::refused(405, "this method is not allowed here");
        Answer {
            headers: vec![("allow", allowed.to_owned())],
            ..refused
        }
    }

    /// The reply that says it.
    pub(super) fn reply(self) -> Reply {
        let json = self
            .body
            .json()
            .map(|json| ("application/json", json.to_string()));
        let text = match self.body {
            Body::Text(content_type, text) => Some((content_type, text)),
            _ => json,
        };
        let (content_type, body) = text.unzip();
        let content_type = content_type.map(|name| ("content-type", name.to_owned()));
        Reply {
            status: self.status,
            headers: content_type.into_iter().chain(self.headers).collect(),
            body: body.unwrap_or_default().into_bytes(),
        }
    }
}

/// The word for a status.
fn code(status: u16) -> &'static str {
    match status {
        400 => "bad_request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        429 => "rate_limited",
        500 => "internal_error",
        503 => "unavailable",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_written_in_the_one_shape_and_says_what_would_work() {
        let reply = Answer::refused(401, "no").reply();
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let error = json!({ "code": "unauthorized", "message": "no", "status": 401, "details": null });
        assert_eq!((reply.status, body), (401, json!({ "error": error })));
        assert!(
            reply
                .headers
                .contains(&("www-authenticate", "Signature".to_owned()))
        );
        let reply = Answer::not_allowed("GET").reply();
        assert!(reply.status == 405 && reply.headers.contains(&("allow", "GET".to_owned())));
    }

    #[test]
    fn what_says_nothing_has_no_content_type() {
        let reply = Answer::done().reply();
        assert_eq!((reply.status, reply.headers.len(), reply.body.len()), (204, 0, 0));
    }
}
