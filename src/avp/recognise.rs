//! First contact: whether what answers at a target is an AVP server at all, or something else, or a wrong base path.

use serde_json::{Value, json};

use crate::avp::{IDP, Operation, VAULT};
use crate::http::{Answer, Body, Client, Failure, FailureKind, Outcome, Request, Service};
use crate::keys::{Identity, Seed};
use crate::text::visible_cut;

/// Says what was answered where nothing of it is what an AVP server answers: each of three routes is unknown, or answered with
/// a page, or all are met by frames of HTTP/2. None where anything looks like AVP, or where nothing came: the cases tell better.
pub(super) async fn stranger(client: &Client, seed: &Seed) -> Option<String> {
    let identity = Identity::derive(seed, &["first-contact"]);
    let key = json!({ "ed25519PublicKey": identity.member_id() });
    let asked = [
        (Operation::Challenge, IDP, Some(key)),
        (Operation::CreateRepo, VAULT, Some(json!({}))),
        (Operation::Discovery, VAULT, None),
    ];
    let (mut said, mut broken, mut frames) = (Vec::new(), false, false);
    for (operation, service, body) in asked {
        let strange = match ask(client, operation, service, body).await {
            Outcome::Answer(answer) if is_strange(&answer) => format!("is answered {}", about(&answer)),
            Outcome::Failure(failure) if is_frame(&failure) => {
                frames = true;
                format!("is met by {}", failure.message)
            }
            // Who speaks HTTP/2 alone may also just close the connection.
            Outcome::Failure(failure) if failure.kind == FailureKind::Closed => {
                broken = true;
                failure.message
            }
            Outcome::Answer(_) | Outcome::Failure(_) => return None,
        };
        said.push(format!(
            "{} {} {strange}",
            operation.method(),
            operation.path("", "")
        ));
    }
    (frames || !broken).then(|| said.join("; "))
}

async fn ask(client: &Client, operation: Operation, service: Service, body: Option<Value>) -> Outcome {
    let request = Request {
        service,
        method: operation.method().to_owned(),
        path: operation.path("", ""),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.map(|body| Body::from(body.to_string())),
    };
    client.lane().send(&request, client.timeout()).await.outcome
}

/// Whether what came in place of HTTP/1 begins like a frame of HTTP/2 (RFC 9113, 4.1): a length of less than 64 KiB in three bytes.
fn is_frame(failure: &Failure) -> bool {
    failure.message.contains("\"\\x00\\x00")
}

/// Whether an answer is none that an AVP server gives, however wrong it is otherwise: the route is unknown, or it is a page.
fn is_strange(answer: &Answer) -> bool {
    let is_page = || {
        let content_type = answer.header("content-type").unwrap_or_default();
        content_type.trim_start().starts_with("text/html")
            || answer.body.to_text().trim_start().starts_with('<')
    };
    matches!(answer.status, 404 | 405 | 410 | 501) || (200..300).contains(&answer.status) && is_page()
}

/// `404, text/html`
fn about(answer: &Answer) -> String {
    let content_type = answer.header("content-type").map(|value| visible_cut(value, 60));
    let content_type = content_type.unwrap_or_else(|| "no content type".to_owned());
    format!("{}, {content_type}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: Body::from(body),
        }
    }

    #[test]
    fn frames_are_told_from_broken_http() {
        let is_frame = |message: &str| {
            is_frame(&Failure {
                kind: FailureKind::Malformed,
                message: message.to_owned(),
                begun: true,
            })
        };
        assert!(is_frame(
            r#"the answer is not HTTP (x); it begins "\x00\x00\x00\x04""#
        ));
        assert!(is_frame(
            r#"something that nobody had asked for: "\x00\x00\x00\x04""#
        ));
        assert!(!is_frame(
            r#"the answer is not HTTP (x); it begins "HTTP/1.1 200 OK""#
        ));
    }

    #[test]
    fn pages_and_unknown_routes_are_strange_and_whatever_else_is_not() {
        assert!(is_strange(&answer(404, "{}")) && is_strange(&answer(200, "<h1>")));
        let json = Answer {
            headers: Vec::new(),
            ..answer(200, "[]")
        };
        assert!(!is_strange(&json));
        for status in [302, 400, 401, 500] {
            assert!(!is_strange(&answer(status, "<h1>")), "{status}");
        }
        assert_eq!(about(&answer(404, "")), "404, text/html");
    }
}
