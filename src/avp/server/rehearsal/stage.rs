//! A server in one hand and those who use it in the other: requests go straight to the core.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body as AnswerBody};
use crate::avp::server::behaviour::Behaviour;
use crate::avp::server::core::handle;
use crate::avp::server::request::{Body, Request};
use crate::avp::server::state::{Lifetimes, State, now};

/// A server and those who use it.
pub(super) struct Stage {
    pub(super) state: State,
}

pub(super) const CHALLENGE: &str = "/api/auth/keypair/challenge";
pub(super) const TOKEN: &str = "/api/auth/keypair/token";

pub(super) fn key(name: &str) -> SigningKey {
    let mut seed = [7; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    SigningKey::from_bytes(&seed)
}

pub(super) fn id(name: &str) -> String {
    STANDARD.encode(key(name).verifying_key().as_bytes())
}

pub(super) fn entry(name: &str, epoch: i64, binding: &Value) -> Value {
    json!({
        "ed25519PublicKey": id(name),
        "x25519PublicKey": STANDARD.encode([0xfb; 32]),
        "wrappedDataKey": {
            "schemeId": "wrap",
            "ephemeralPublicKey": STANDARD.encode([epoch.to_le_bytes()[0]; 32]),
            "iv": STANDARD.encode([5; 12]),
            "ciphertext": STANDARD.encode([name.len().to_le_bytes()[0]; 48]),
        },
        "keyEpoch": epoch,
        "keyBindingSig": binding,
    })
}

pub(super) fn bound(name: &str, epoch: i64) -> Value {
    entry(
        name,
        epoch,
        &json!(STANDARD.encode([name.len().to_le_bytes()[0]; 64])),
    )
}

pub(super) fn envelope(repo: &str, version: i64, epoch: i64) -> Value {
    let iv = STANDARD.encode([version.to_le_bytes(), [0xff; 8]].concat().get(..12).unwrap());
    let ciphertext = STANDARD.encode(format!("{repo} {version} {epoch} {}", "\u{ff}~".repeat(50)));
    json!({ "repoId": repo, "payloadVersion": version, "keyEpoch": epoch, "iv": iv, "ciphertext": ciphertext })
}

pub(super) fn creation(repo: &str, owner: &str) -> Value {
    json!({
        "manifest": {
            "repoId": repo, "schemeId": "My & <Scheme> é漢😀 of more than 32 characters", "keyEpoch": 2,
            "payloadVersion": 3, "members": [bound(owner, 2)], "shareRefreshTokens": true,
        },
        "initialEnvelope": envelope(repo, 3, 2),
    })
}

pub(super) fn pushing(repo: &str, expected: i64, version: i64) -> Value {
    json!({ "repoId": repo, "envelope": envelope(repo, version, 2), "expectedPayloadVersion": expected })
}

pub(super) fn rotating(repo: &str, expected: i64, names: &[&str]) -> Value {
    let members: Vec<Value> = names.iter().map(|name| bound(name, 5)).collect();
    json!({
        "repoId": repo, "envelope": envelope(repo, expected + 1, 5), "expectedPayloadVersion": expected,
        "rotatedMembers": members,
    })
}

pub(super) fn removing(repo: &str, name: &str, version: i64, epoch: i64, rest: &[&str]) -> Value {
    let rewrapped: Vec<Value> = rest.iter().map(|name| bound(name, epoch)).collect();
    json!({
        "repoId": repo, "removedMemberId": id(name), "rotatedEnvelope": envelope(repo, version, epoch),
        "rewrappedMembers": rewrapped, "newKeyEpoch": epoch,
    })
}

pub(super) fn adding(repo: &str, member: &Value) -> Value {
    json!({ "repoId": repo, "member": member })
}

impl Stage {
    pub(super) fn new(behaviour: Behaviour) -> Stage {
        let state = State::new(behaviour, &[], Lifetimes::default());
        for name in ["alice", "bob", "carol", "mallory"] {
            state
                .tokens()
                .keep(format!("token-of-{name}-and-more"), &id(name), now() + 100_000);
        }
        Stage { state }
    }

    pub(super) fn ask(&self, method: &str, path: &str, authorization: Option<String>, body: &[u8]) -> Answer {
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            authorization,
            content_type: None,
            host: None,
            headers: http::HeaderMap::new(),
            body: Body::Whole(body.to_vec()),
            admitted: false,
        };
        handle(&self.state, &request)
    }

    pub(super) fn post(&self, name: &str, path: &str, body: &Value) -> Answer {
        let header = (!name.is_empty()).then(|| format!("Bearer token-of-{name}-and-more"));
        self.ask("POST", path, header, body.to_string().as_bytes())
    }

    pub(super) fn to(&self, name: &str, operation: Operation, body: &Value) -> Answer {
        let repo = body["repoId"].as_str().unwrap_or("?");
        self.post(name, &operation.path(repo, ""), body)
    }

    pub(super) fn fetch(&self, name: &str, repo: &str, member: &str) -> Answer {
        self.fetch_id(name, repo, &id(member))
    }

    pub(super) fn fetch_id(&self, name: &str, repo: &str, member_id: &str) -> Answer {
        let header = (!name.is_empty()).then(|| format!("Bearer token-of-{name}-and-more"));
        let path = Operation::FetchMemberKey.path(repo, member_id);
        self.ask("GET", &path, header, b"")
    }

    pub(super) fn pull(&self, name: &str, repo: &str, known: i64) -> Answer {
        self.to(
            name,
            Operation::Pull,
            &json!({ "repoId": repo, "knownPayloadVersion": known }),
        )
    }

    pub(super) fn create(&self, repo: &str) {
        self.post("alice", "/v1/repos", &creation(repo, "alice"));
        for name in ["bob", "carol"] {
            self.to("alice", Operation::AddMember, &adding(repo, &bound(name, 2)));
        }
    }

    pub(super) fn nonce(&self, name: &str) -> String {
        let answer = self.post("", CHALLENGE, &json!({ "ed25519PublicKey": id(name) }));
        let AnswerBody::Json(body) = answer.body else {
            return String::new();
        };
        body["nonce"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn redeem(&self, name: &str, nonce: &str, signature: &[u8]) {
        let signature = STANDARD.encode(signature);
        let body = json!({ "ed25519PublicKey": id(name), "nonce": nonce, "signature": signature });
        let answer = self.post("", TOKEN, &body);
        if let AnswerBody::Json(body) = answer.body {
            let token = body["token"].as_str().unwrap_or_default();
            self.ask("POST", "/v1/repos", Some(format!("Bearer {token}")), b"{}");
            let altered = token.get(..token.len().saturating_sub(1)).unwrap_or_default();
            self.ask("POST", "/v1/repos", Some(format!("Bearer {altered}~")), b"{}");
        }
    }
}

pub(super) fn sign(name: &str, message: &[u8]) -> Vec<u8> {
    key(name).sign(message).to_bytes().to_vec()
}
