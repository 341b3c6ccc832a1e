//! Which use of a seed against a target it is, and somebody who calls a target beside the cases.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::avp::driver::marker;
use crate::avp::{IDP, Operation, VAULT};
use crate::http::{Body, Client, Connections, Outcome, Request, Service, Wire};
use crate::keys::{Identity, Seed, SignatureForm, sign_nonce};
use crate::session::throttle_wait;

/// How many uses of one seed against one target are told apart.
const MOST_GENERATIONS: u32 = 1000;
/// How often a request is sent again after 429.
const ATTEMPTS_AFTER_429: u32 = 4;

/// Which use of a given seed this is against this target. A target that keeps its data has the repositories of an earlier
/// run: each use leaves a marker, and the first number without one is free.
pub async fn of(client: &Client, seed: &Seed) -> u32 {
    for generation in 0..MOST_GENERATIONS {
        match mark(client, seed, generation).await {
            Some(409) => {}
            _ => return generation,
        }
    }
    MOST_GENERATIONS
}

/// Tries to create the marker of a generation; the status of the answer, if it came to that.
async fn mark(client: &Client, seed: &Seed, generation: u32) -> Option<u16> {
    let identity = Identity::derive(seed, &["generation", &generation.to_string()]);
    let mut caller = Caller::new(client);
    let token = caller.login(&identity).await?;
    let marker = marker(seed, generation, &identity);
    let made = caller.post(Operation::CreateRepo, Some(&token), &marker).await;
    made.map(|(status, _)| status)
}

/// Somebody who calls the target.
pub struct Caller {
    lane: Connections,
    /// Over what tokens are asked for, and repositories.
    login: Wire,
    vault: Wire,
    timeout: Duration,
}

/// Over what a service is asked: HTTP, where it can be.
fn wire(client: &Client, service: &Service) -> Wire {
    match client.speaks_http(service) {
        true => Wire::Http,
        false => Wire::Grpc,
    }
}

impl Caller {
    /// One with connections of its own.
    pub fn new(client: &Client) -> Caller {
        Caller {
            lane: client.lane(),
            login: wire(client, &IDP),
            vault: wire(client, &VAULT),
            timeout: client.timeout(),
        }
    }

    /// A token for a member, if one is to be had.
    pub async fn login(&mut self, identity: &Identity) -> Option<String> {
        let key = json!({ "ed25519PublicKey": identity.member_id() });
        let (_, challenge) = self.post(Operation::Challenge, None, &key).await?;
        let nonce = challenge.get("nonce")?.as_str()?;
        let signature = sign_nonce(identity, nonce, SignatureForm::Valid).ok()?;
        let redeem =
            json!({ "ed25519PublicKey": identity.member_id(), "nonce": nonce, "signature": signature });
        let (_, granted) = self.post(Operation::Token, None, &redeem).await?;
        Some(granted.get("token")?.as_str()?.to_owned())
    }

    /// Asks for a document.
    pub async fn get(&mut self, path: &str) -> Option<(u16, Value)> {
        if self.vault != Wire::Http {
            return None;
        }
        self.lane.over(Wire::Http);
        self.send(request(VAULT, "GET", path)).await
    }

    async fn post(
        &mut self,
        operation: Operation,
        token: Option<&str>,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let (service, wire) = match operation.is_auth() {
            true => (IDP, self.login),
            false => (VAULT, self.vault),
        };
        let path = match wire {
            Wire::Grpc => operation.rpc()?.to_owned(),
            _ => operation.path("", ""),
        };
        self.lane.over(wire);
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        self.send(Request {
            headers,
            body: Some(Body::from(body.to_string())),
            ..request(service, "POST", &path)
        })
        .await
    }

    /// Status and body of the answer; 429 is waited out, if not for ever.
    async fn send(&mut self, request: Request) -> Option<(u16, Value)> {
        for attempt in 0.. {
            let Outcome::Answer(answer) = self.lane.send(&request, self.timeout).await.outcome else {
                return None;
            };
            match throttle_wait(&answer, attempt, Timestamp::now()) {
                Some((wait, _)) if answer.status == 429 && attempt < ATTEMPTS_AFTER_429 => {
                    tokio::time::sleep(wait).await
                }
                _ => {
                    return Some((
                        answer.status,
                        crate::json::parse(answer.body.as_bytes()).unwrap_or_default(),
                    ));
                }
            }
        }
        None
    }
}

fn request(service: Service, method: &str, path: &str) -> Request {
    Request {
        service,
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: None,
    }
}
