//! Which use of a seed against a target it is, and somebody who calls a target beside the cases.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::avp::driver::marker;
use crate::avp::{IDP, VAULT};
use crate::http::{Body, Client, Connections, Outcome, Request, Service};
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
    let made = caller.post(VAULT, "/v1/repos", Some(&token), &marker).await;
    made.map(|(status, _)| status)
}

/// Somebody who calls the target.
pub struct Caller {
    lane: Connections,
    timeout: Duration,
}

impl Caller {
    /// One with connections of its own.
    pub fn new(client: &Client) -> Caller {
        Caller {
            lane: client.lane(),
            timeout: client.timeout(),
        }
    }

    /// A token for a member, if one is to be had.
    pub async fn login(&mut self, identity: &Identity) -> Option<String> {
        let key = json!({ "ed25519PublicKey": identity.member_id() });
        let (_, challenge) = self.post(IDP, "/api/auth/keypair/challenge", None, &key).await?;
        let nonce = challenge.get("nonce")?.as_str()?;
        let signature = sign_nonce(identity, nonce, SignatureForm::Valid).ok()?;
        let redeem =
            json!({ "ed25519PublicKey": identity.member_id(), "nonce": nonce, "signature": signature });
        let (_, granted) = self.post(IDP, "/api/auth/keypair/token", None, &redeem).await?;
        Some(granted.get("token")?.as_str()?.to_owned())
    }

    /// Asks for a document.
    pub async fn get(&mut self, path: &str) -> Option<(u16, Value)> {
        self.send(request(VAULT, "GET", path)).await
    }

    async fn post(
        &mut self,
        service: Service,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        self.send(Request {
            headers,
            body: Some(Body::from(body.to_string())),
            ..request(service, "POST", path)
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
