//! A client that is no harness: it sends what it is told, byte for byte, and reads what comes.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use avp_conform::avp::Operation;
use avp_conform::avp::server::Server;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::support::http::Message;

/// One keep-alive connection.
pub(crate) struct Line {
    stream: BufReader<TcpStream>,
}

/// One answer, head and body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.json()["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.json()
        );
        assert!(self.json()["error"].is_string());
        assert!(
            self.head
                .to_ascii_lowercase()
                .contains("content-type: application/json")
        );
    }
}

impl Line {
    pub(crate) fn to(server: &Server) -> Line {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Line {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn read(&mut self) -> Reply {
        let answer = Message::read(&mut self.stream).expect("a whole answer");
        Reply {
            status: answer.second_word().parse().unwrap(),
            head: answer.head,
            body: answer.body,
        }
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&[head.as_bytes(), body].concat());
        self.read()
    }

    pub(crate) fn post(&mut self, path: &str, token: &str, body: &Value) -> Reply {
        self.ask("POST", path, &bearer(token), body.to_string().as_bytes())
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A member with a token.
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) token: String,
}

pub(crate) fn member(line: &mut Line, seed: u8) -> Member {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let id = STANDARD.encode(key.verifying_key().as_bytes());
    let challenge = line
        .post(
            "/api/auth/keypair/challenge",
            "",
            &json!({ "ed25519PublicKey": id }),
        )
        .json();
    let nonce = challenge["nonce"].as_str().unwrap();
    let signature = STANDARD.encode(key.sign(&STANDARD.decode(nonce).unwrap()).to_bytes());
    let body = json!({ "ed25519PublicKey": id, "nonce": nonce, "signature": signature });
    let token = line.post("/api/auth/keypair/token", "", &body).json();
    Member {
        id,
        token: token["token"].as_str().unwrap().to_owned(),
    }
}

pub(crate) fn entry(id: &str, epoch: i64) -> Value {
    json!({
        "ed25519PublicKey": id,
        "x25519PublicKey": STANDARD.encode([3; 32]),
        "wrappedDataKey": {
            "schemeId": "s",
            "ephemeralPublicKey": STANDARD.encode([4; 32]),
            "iv": STANDARD.encode([5; 12]),
            "ciphertext": STANDARD.encode([6; 48]),
        },
        "keyEpoch": epoch,
        "keyBindingSig": null,
    })
}

pub(crate) fn envelope(repo: &str, version: i64, epoch: i64) -> Value {
    json!({
        "repoId": repo,
        "payloadVersion": version,
        "keyEpoch": epoch,
        "iv": STANDARD.encode([7; 12]),
        "ciphertext": STANDARD.encode(version.to_be_bytes()),
    })
}

pub(crate) fn creation(repo: &str, owner: &str) -> Value {
    json!({
        "manifest": {
            "repoId": repo, "schemeId": "s", "keyEpoch": 1, "payloadVersion": 1,
            "members": [entry(owner, 1)], "shareRefreshTokens": true,
        },
        "initialEnvelope": envelope(repo, 1, 1),
    })
}

pub(crate) fn pushing(repo: &str, expected: i64, version: i64) -> Value {
    json!({ "repoId": repo, "envelope": envelope(repo, version, 1), "expectedPayloadVersion": expected })
}

pub(crate) fn created(line: &mut Line, repo: &str, seed: u8) -> Member {
    let owner = member(line, seed);
    let reply = line.post("/v1/repos", &owner.token, &creation(repo, &owner.id));
    assert_eq!(reply.status, 200, "{}", reply.json());
    owner
}

pub(crate) fn pull(line: &mut Line, repo: &str, token: &str) -> Value {
    let body = json!({ "repoId": repo, "knownPayloadVersion": -1 });
    let reply = line.post(&Operation::Pull.path(repo, ""), token, &body);
    assert_eq!(reply.status, 200, "{}", reply.json());
    reply.json()
}
