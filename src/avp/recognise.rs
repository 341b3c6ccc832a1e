//! First contact: whether what answers at a target is an AVP server at all, or something else, or a wrong base path.

use serde_json::{Value, json};

use crate::avp::{IDP, Operation, VAULT};
use crate::http::{Answer, Body, Client, FailureKind, Outcome, Request, Service};
use crate::keys::{Identity, Seed};
use crate::text::visible_cut;

/// Says what was answered where nothing of it is what an AVP server answers: each of three routes is unknown, or answered with
/// a page, or with what does not even begin like HTTP. None where anything looks like AVP, or where nothing came: the cases tell
/// better.
pub(super) async fn stranger(client: &Client, seed: &Seed) -> Option<String> {
    let identity = Identity::derive(seed, &["first-contact"]);
    let key = json!({ "ed25519PublicKey": identity.member_id() });
    let asked = [
        (Operation::Challenge, IDP, Some(key)),
        (Operation::CreateRepo, VAULT, Some(json!({}))),
        (Operation::Discovery, VAULT, None),
    ];
    let mut said = Vec::new();
    for (operation, service, body) in asked {
        let outcome = ask(client, operation, service, body).await;
        let strange = strangeness(&outcome)?;
        said.push(format!(
            "{} {}: {strange}",
            operation.method(),
            operation.path("", "")
        ));
    }
    Some(said.join("; "))
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

/// What is strange about what came; none where an AVP server may do it, or nothing came.
fn strangeness(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Answer(answer) => is_strange(answer).then(|| format!("answered {}", about(answer))),
        Outcome::Failure(failure) => {
            let is_other =
                failure.kind == FailureKind::Malformed && !failure.message.contains("begins \"HTTP/");
            is_other.then(|| failure.message.clone())
        }
    }
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
    use crate::http::Failure;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: Body::from(body),
        }
    }

    #[test]
    fn what_does_not_begin_like_http_is_strange_and_broken_http_is_not() {
        let malformed = |message: &str| {
            strangeness(&Outcome::Failure(Failure {
                kind: FailureKind::Malformed,
                message: message.to_owned(),
                begun: true,
            }))
        };
        assert!(malformed(r#"the answer is not HTTP (x); it begins "SSH-2.0""#).is_some());
        assert!(malformed(r#"the answer is not HTTP (x); it begins "HTTP/1.1 200 OK""#).is_none());
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
