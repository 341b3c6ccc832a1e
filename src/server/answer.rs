//! What the core answers: a status, headers and a body, or a refusal that becomes an error object.

use serde_json::{Value, json};

/// One answer as plain data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Headers beyond those the transport sets by itself.
    pub(super) headers: Vec<(String, String)>,
    /// The body.
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// A JSON value, served compactly as `application/json`.
    Json(Value),
    #[expect(dead_code, reason = "the deviations that come next serve such bodies")]
    /// Bytes as they are, under a content type of their own; none where it is empty.
    Text {
        /// The `Content-Type`, left out where empty.
        content_type: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl Answer {
    /// A 200 with a JSON body.
    pub(super) fn ok(value: Value) -> Answer {
        Answer {
            status: 200,
            headers: Vec::new(),
            body: Body::Json(value),
        }
    }

    /// The content type and the bytes that travel.
    pub(super) fn content(&self) -> (&str, Vec<u8>) {
        match &self.body {
            Body::Json(value) => ("application/json", value.to_string().into_bytes()),
            Body::Text { content_type, bytes } => (content_type, bytes.clone()),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let mut body = json!({ "error": refusal.error, "code": refusal.code });
        if let Some(detail) = refusal.detail {
            body["detail"] = Value::String(detail);
        }
        Answer {
            status: refusal.status,
            headers: refusal.headers,
            body: Body::Json(body),
        }
    }
}

/// Why a request is not granted (section 7 of the protocol page).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The code of the protocol's table.
    pub(super) code: &'static str,
    /// What went wrong, for people.
    pub(super) error: String,
    /// More about it.
    pub(super) detail: Option<String>,
    /// Headers that go with it.
    pub(super) headers: Vec<(String, String)>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, error: &str) -> Refusal {
        Refusal {
            status,
            code,
            error: error.to_owned(),
            detail: None,
            headers: Vec::new(),
        }
    }

    /// 400: the body or a parameter is malformed, or parts of the request disagree.
    pub(super) fn bad_request(error: &str) -> Refusal {
        Refusal::new(400, "bad_request", error)
    }

    /// 401: no valid token, signature or nonce.
    pub(super) fn unauthorized(error: &str) -> Refusal {
        Refusal::new(401, "unauthorized", error)
    }

    /// 403: the caller may not do this.
    pub(super) fn forbidden(error: &str) -> Refusal {
        Refusal::new(403, "forbidden", error)
    }

    /// 404: no such route, repository or member.
    pub(super) fn not_found(error: &str) -> Refusal {
        Refusal::new(404, "not_found", error)
    }

    /// 405: the route exists, but not for this method. The protocol's table has no row for it; the nearest code is
    /// left to the reader by `bad_request`.
    pub(super) fn wrong_method(allowed: &str) -> Refusal {
        let mut refusal = Refusal::new(405, "bad_request", "this route does not take that method");
        refusal.headers.push(("Allow".to_owned(), allowed.to_owned()));
        refusal
    }

    /// 409: the repository exists already.
    pub(super) fn duplicate() -> Refusal {
        Refusal::new(409, "duplicate_repo", "a repository with this id exists already")
    }

    /// 413: the body is larger than this server takes.
    pub(super) fn too_large() -> Refusal {
        Refusal::new(413, "too_large", "the body is larger than this server takes")
    }

    /// The same refusal with more about it.
    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Refusal {
        self.detail = Some(detail.into());
        self
    }
}
