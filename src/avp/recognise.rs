//! First contact: whether what answers at a target is an AVP server at all, or something else, or a wrong base path.

use serde_json::{Value, json};

use crate::avp::Operation;
use crate::http::{Answer, Body, Client, Outcome, Request, Service};
use crate::json;
use crate::keys::{Identity, Seed};
use crate::text::visible_cut;

/// Says what was answered where nothing of it is what an AVP server answers: each of three routes is unknown, or answered with
/// something else than JSON. None where anything looks like AVP, or where nothing came: the cases tell better.
pub(super) async fn stranger(client: &Client, seed: &Seed) -> Option<String> {
    let identity = Identity::derive(seed, &["first-contact"]);
    let key = json!({ "ed25519PublicKey": identity.member_id() });
    let asked = [
        (Operation::Challenge, Service::Idp, Some(key)),
        (Operation::CreateRepo, Service::Vault, Some(json!({}))),
        (Operation::Discovery, Service::Vault, None),
    ];
    let mut said = Vec::new();
    for (operation, service, body) in asked {
        let answer = ask(client, operation, service, body).await?;
        if !is_strange(operation, &answer) {
            return None;
        }
        said.push(format!(
            "{} {} is answered {}",
            operation.method(),
            operation.path("", ""),
            about(&answer)
        ));
    }
    Some(said.join("; "))
}

async fn ask(client: &Client, operation: Operation, service: Service, body: Option<Value>) -> Option<Answer> {
    let request = Request {
        service,
        method: operation.method().to_owned(),
        path: operation.path("", ""),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.map(|body| Body::from(body.to_string())),
    };
    match client.lane().send(&request, client.timeout()).await.outcome {
        Outcome::Answer(answer) => Some(answer),
        Outcome::Failure(_) => None,
    }
}

/// Whether an answer is none that an AVP server gives, however wrong it is otherwise.
fn is_strange(operation: Operation, answer: &Answer) -> bool {
    let is_object = json::parse(answer.body.as_bytes()).is_ok_and(|body| body.is_object());
    match answer.status {
        404 | 405 | 410 | 501 => true,
        // Discovery is optional, and what answers it otherwise is somebody's page.
        _ if operation == Operation::Discovery => answer.status < 500 && !is_object,
        200..400 => !is_object,
        _ => false,
    }
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
    fn pages_and_unknown_routes_are_strange_and_errors_in_json_are_not() {
        for operation in [Operation::Challenge, Operation::CreateRepo, Operation::Discovery] {
            assert!(is_strange(operation, &answer(404, "<h1>")), "{operation}");
            assert!(is_strange(operation, &answer(200, "<h1>")), "{operation}");
            assert!(
                !is_strange(operation, &answer(200, r#"{"nonce":""}"#)),
                "{operation}"
            );
            assert!(!is_strange(operation, &answer(500, "<h1>")), "{operation}");
        }
        assert!(!is_strange(Operation::CreateRepo, &answer(401, "")));
        assert_eq!(about(&answer(404, "")), "404, text/html");
    }
}
