//! What the core answers: a status, headers and a body, or a refusal that becomes an error object.

use std::time::Duration;

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
    /// How it travels.
    pub(super) manner: Manner,
    /// How long it is held back.
    pub(super) delay: Duration,
}

/// How an answer travels.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Manner {
    /// In one piece, of a length that is stated.
    #[default]
    Whole,
    /// Chunked.
    Chunked,
    /// As HTTP/1.0.
    Http10,
    /// By hand, past the HTTP implementation.
    ByHand(Script),
}

/// What to do with a connection by hand.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    /// What to write, and when.
    pub(super) steps: Vec<Step>,
    /// What becomes of the connection.
    pub(super) then: Then,
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Write these bytes.
    Write(Vec<u8>),
    /// Wait.
    Wait(Duration),
}

/// How a script ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Then {
    /// The next request is read.
    KeepAlive,
    /// The connection is closed.
    Close,
    /// The connection stays open and silent until the client leaves.
    Hang,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// A JSON value, served compactly as `application/json`.
    Json(Value),
    /// Bytes as they are, under a content type of their own; none where it is empty.
    Text {
        /// The `Content-Type`, left out where empty.
        content_type: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl Answer {
    /// An answer with a JSON body.
    pub(super) fn new(status: u16, value: Value) -> Answer {
        let (manner, delay) = (Manner::Whole, Duration::ZERO);
        Answer {
            status,
            headers: Vec::new(),
            body: Body::Json(value),
            manner,
            delay,
        }
    }

    /// A 200 with a JSON body.
    pub(super) fn ok(value: Value) -> Answer {
        Answer::new(200, value)
    }

    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Answer {
        let body = Body::Text {
            content_type: String::new(),
            bytes: Vec::new(),
        };
        Answer {
            body,
            ..Answer::new(status, Value::Null)
        }
    }

    /// An answer with an HTML page.
    pub(super) fn page(status: u16, html: &str) -> Answer {
        let body = Body::Text {
            content_type: "text/html".to_owned(),
            bytes: html.as_bytes().to_vec(),
        };
        Answer {
            body,
            ..Answer::new(status, Value::Null)
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
        let mut body = json!({ "error": refusal.error });
        if !refusal.code.is_empty() {
            body["code"] = json!(refusal.code);
        }
        if let Some(detail) = refusal.detail {
            body["detail"] = Value::String(detail);
        }
        Answer {
            headers: refusal.headers,
            ..Answer::new(refusal.status, body)
        }
    }
}

/// Why a request is not granted (section 7 of the protocol page).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The code of the protocol's table; empty for a status that it does not list.
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

    /// 405: the route exists, but not for this method. The protocol's table has no row, and so no code, for it.
    pub(super) fn wrong_method(allowed: &str) -> Refusal {
        let mut refusal = Refusal::new(405, "", "this route does not take that method");
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

    /// 403: a policy of this deployment stands against it.
    pub(super) fn policy_denied(error: &str) -> Refusal {
        Refusal::new(403, "policy_denied", error)
    }

    /// 429: a limit or rate is exceeded.
    pub(super) fn quota_exceeded(error: &str) -> Refusal {
        Refusal::new(429, "quota_exceeded", error)
    }

    /// 5xx, or a status of no table: what a server answers that has lost control of itself.
    pub(super) fn failure(status: u16, error: &str) -> Refusal {
        Refusal::new(status, "", error)
    }

    /// The same refusal under another status and code.
    pub(super) fn under(mut self, status: u16, code: &'static str) -> Refusal {
        (self.status, self.code) = (status, code);
        self
    }

    /// The same refusal with a header.
    pub(super) fn with_header(mut self, name: &str, value: impl Into<String>) -> Refusal {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same refusal with more about it.
    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Refusal {
        self.detail = Some(detail.into());
        self
    }
}
