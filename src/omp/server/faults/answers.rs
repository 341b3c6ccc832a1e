//! How a server writes an error in another form than the plain one.

use serde_json::{Value, json};

use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::answer::{Answer, Body};
use crate::serve::Reply;
use crate::serve::{Fault, fault};

/// How an error is written.
pub(super) const ERRORS: &[Fault] = &[
    fault(
        "errors-as-text",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "Errors are plain text.",
        "Clients cannot tell what is wrong.",
        "Answer every error in the one shape.",
    ),
    fault(
        "errors-without-status",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "The status in an error is null.",
        "Clients that look there fail.",
        "Repeat the HTTP status.",
    ),
    fault(
        "errors-with-a-text-for-details",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "details is a string.",
        "Clients that look there fail.",
        "An object, or null.",
    ),
    fault(
        "errors-with-numbers-for-codes",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "code is a number.",
        "Clients that compare words fail.",
        "A stable word.",
    ),
    fault(
        "errors-in-a-flat-object",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "The members of an error stand in the body itself.",
        "Clients that look into error find nothing.",
        "Put them into a member error.",
    ),
    fault(
        "unknown-routes-as-html",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "Unknown routes are answered with a page.",
        "Clients fail over it.",
        "Let the framework answer in the one shape too.",
    ),
    fault(
        "methods-as-the-framework-does",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "Unknown methods are answered as the framework does it.",
        "Clients fail over it.",
        "Let the framework answer in the one shape too.",
    ),
    fault(
        "errors-with-another-type",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "Errors are JSON, and said to be text/html.",
        "Clients that go by the content type do not read them.",
        "Say application/json where JSON is.",
    ),
];

/// What an error says.
pub(super) const WORDS: &[Fault] = &[
    fault(
        "errors-with-codes-of-their-own",
        "errors",
        &["OMP-ERR-04"],
        Should,
        "Codes are none of the known words.",
        "Clients that know the words do not understand.",
        "Use the known words.",
    ),
    fault(
        "methods-without-allow",
        "errors",
        &["OMP-ERR-05"],
        Should,
        "405 comes without Allow.",
        "Nobody knows which methods there are.",
        "Name the methods (RFC 9110).",
    ),
    fault(
        "401-without-www-authenticate",
        "errors",
        &["OMP-ERR-05"],
        Should,
        "401 comes without WWW-Authenticate.",
        "Clients are not told what is wanted.",
        "Name the scheme (RFC 9110).",
    ),
];

impl Server {
    /// The reply that says an answer.
    pub(in crate::omp::server) fn written(&self, mut answer: Answer) -> Reply {
        if answer.status == 401 && self.bends("401-without-www-authenticate") {
            answer.headers.retain(|(name, _)| *name != "www-authenticate");
        }
        answer.body = match answer.body {
            Body::Error(error) => self.error(answer.status, error),
            other => other,
        };
        self.spelt(answer)
    }

    /// An error as this server writes it, given its members.
    fn error(&self, status: u16, mut error: Value) -> Body {
        if self.bends("errors-without-status") {
            error["status"] = Value::Null;
        }
        if self.bends("errors-with-a-text-for-details") {
            error["details"] = "none".into();
        }
        if self.bends("errors-with-numbers-for-codes") {
            error["code"] = status.into();
        }
        if self.bends("errors-with-codes-of-their-own") {
            error["code"] = format!("E{status}").into();
        }
        let error = self.without_details(error);
        match () {
            () if self.bends("errors-as-text") => Body::Text("text/plain", message(&error)),
            () if self.bends("errors-with-another-type") => {
                Body::Text("text/html", json!({ "error": error }).to_string())
            }
            () if self.bends("errors-in-a-flat-object") => Body::Json(error),
            () => Body::Error(error),
        }
    }

    /// The refusal of an address that names nothing.
    pub(in crate::omp::server) fn no_route(&self, mut refused: Answer) -> Answer {
        if self.bends("unknown-routes-as-html") {
            refused.body = Body::Text("text/html", "<h1>Not Found</h1>".to_owned());
        }
        refused
    }

    /// The refusal of a method that a route does not have.
    pub(in crate::omp::server) fn not_allowed(&self, mut refused: Answer) -> Answer {
        if self.bends("methods-as-the-framework-does") {
            refused.body = Body::Json(json!({ "detail": "Method Not Allowed" }));
        }
        if self.bends("methods-without-allow") {
            refused.headers.retain(|(name, _)| *name != "allow");
        }
        refused
    }
}

/// A refusal with another status than it has by the rules.
pub(in crate::omp::server) fn restated(refused: &Answer, status: u16) -> Answer {
    match &refused.body {
        Body::Error(error) => Answer::refused(status, &message(error)),
        _ => refused.clone(),
    }
}

fn message(error: &Value) -> String {
    error["message"].as_str().unwrap_or_default().to_owned()
}
