//! First contact: whether what answers at a target is an AVP server at all, or something else, or a wrong base path.

use serde_json::{Value, json};

use crate::avp::grpc::NOT_OFFERED;
use crate::avp::{IDP, Operation, VAULT};
use crate::http::{Answer, Body, Client, Failure, FailureKind, Outcome, Request, Service, Wire};
use crate::keys::{Identity, Seed};
use crate::protocol::Met;
use crate::text::visible_cut;

/// What is said of a server of gRPC that has no method of the vault.
const NO_METHODS: &str = "CreateRepo, Pull and FetchMemberKey of avp.Vault are answered UNIMPLEMENTED.\nIs the package avp, and the service Vault, as in schema/avp.proto?";

/// Asks three methods, and three routes. Whoever is a stranger answers none of them as an AVP server does: each is unknown, or answered
/// with a page.
pub(super) async fn stranger(client: &Client, seed: &Seed) -> Met {
    if client.grpc().is_some() && !has_methods(client).await {
        return Met::NoMethods(NO_METHODS.to_owned());
    }
    if !client.speaks_http(&VAULT) {
        return Met::Perhaps;
    }
    let identity = Identity::derive(seed, &["first-contact"]);
    let key = json!({ "ed25519PublicKey": identity.member_id() });
    let asked = [
        (Operation::Challenge, IDP, Some(key)),
        (Operation::CreateRepo, VAULT, Some(json!({}))),
        (Operation::Discovery, VAULT, None),
    ];
    let (mut said, mut mute) = (Vec::new(), 0);
    for (operation, service, body) in asked {
        match ask(client, operation, service, body).await {
            Outcome::Answer(answer) if is_strange(&answer) => said.push(format!(
                "{} {} is answered {}",
                operation.method(),
                operation.path("", ""),
                about(&answer)
            )),
            Outcome::Failure(failure) if is_mute(&failure) => mute += 1,
            Outcome::Answer(_) | Outcome::Failure(_) => return Met::Perhaps,
        }
    }
    match (said.is_empty(), mute) {
        (true, _) => Met::NoHttp,
        (false, 0) => Met::Stranger(said.join("; ")),
        (false, _) => Met::Perhaps,
    }
}

/// Whether any of three methods of the vault is answered otherwise than as one that the server does not have.
async fn has_methods(client: &Client) -> bool {
    for operation in [Operation::CreateRepo, Operation::Pull, Operation::FetchMemberKey] {
        let request = Request {
            service: VAULT,
            method: operation.method().to_owned(),
            path: operation.rpc().unwrap_or_default().to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Some(Body::from("{}")),
        };
        let mut lane = client.lane();
        lane.over(Wire::Grpc);
        match lane.send(&request, client.timeout()).await.outcome {
            Outcome::Answer(answer) if answer.status == NOT_OFFERED => {}
            _ => return true,
        }
    }
    false
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

/// Whether somebody was there, and no HTTP came.
fn is_mute(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Malformed | FailureKind::Closed)
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
