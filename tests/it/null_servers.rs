//! Servers that do nothing verify nothing: whatever they answer alike, no must comes out as kept, and each says why not.

use std::io::Write;
use std::net::TcpStream;

use avp_conform::avp::crypto::sign_binding;
use avp_conform::catalogue::Level;
use avp_conform::keys::{Identity, Seed};
use avp_conform::record::verdict::{RunVerdict, Verdict};
use serde_json::{Value, json};

use crate::support::http::{self, Message, listen};
use crate::support::suite::context;
use crate::support::{run, servers};

/// A server that answers each request with what `answer` makes of it: a status and a body.
fn null_server(answer: impl Fn(&Message) -> (u16, String) + Send + Sync + 'static) -> String {
    let address = listen(move |_, stream| serve(stream, &answer));
    format!("http://{address}")
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Message) -> (u16, String)) {
    while let Some(asked) = Message::read(&mut stream) {
        let (status, body) = answer(&asked);
        let answer = http::answer(
            &format!("{status} So"),
            "content-type: application/json\r\n",
            &body,
        );
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// No must is verified, and each says why.
fn proves_nothing(answer: impl Fn(&Message) -> (u16, String) + Send + Sync + 'static) {
    let record = run::record(context(&null_server(answer), &servers::plain()), &[]);
    assert_eq!(record.verdict, RunVerdict::Nonconformant);
    let musts = record
        .requirements
        .iter()
        .filter(|requirement| requirement.level == Level::Must);
    let verified: Vec<String> = musts
        .clone()
        .filter(|requirement| requirement.verdict == Verdict::Pass)
        .map(|requirement| {
            format!(
                "{} in {} cases: {:?}",
                requirement.id,
                requirement.cases.len(),
                requirement.cases.first()
            )
        })
        .collect();
    assert_eq!(verified, Vec::<String>::new(), "these were verified");
    for requirement in musts {
        let reason = requirement.reason.as_deref().unwrap_or_default();
        assert!(!reason.is_empty(), "{} does not say why not", requirement.id);
    }
    let passed: Vec<&str> = record
        .cases
        .iter()
        .filter(|case| case.verdict == Verdict::Pass)
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!(passed, Vec::<&str>::new(), "these cases passed");
}

fn refusal(status: u16, code: &'static str) -> impl Fn(&Message) -> (u16, String) {
    move |_| {
        (
            status,
            json!({ "error": "no", "code": code, "detail": "always" }).to_string(),
        )
    }
}

#[test]
fn an_empty_object_for_everything() {
    proves_nothing(|_| (200, "{}".to_owned()));
}

#[test]
fn unauthorized_always() {
    proves_nothing(refusal(401, "unauthorized"));
}

#[test]
fn forbidden_always() {
    proves_nothing(refusal(403, "forbidden"));
}

#[test]
fn not_found_always() {
    proves_nothing(refusal(404, "not_found"));
}

#[test]
fn bad_request_always() {
    proves_nothing(refusal(400, "bad_request"));
}

#[test]
fn an_internal_error_always() {
    proves_nothing(|_| (500, json!({ "error": "no" }).to_string()));
}

#[test]
fn the_request_echoed() {
    proves_nothing(|asked| match asked.text() {
        body if body.is_empty() => (200, "{}".to_owned()),
        body => (200, body),
    });
}

/// Something that is a success on whichever route it is read.
fn any_success() -> Value {
    let mut all = manifest("r");
    let fields = [
        ("manifest", manifest("r")),
        ("envelope", envelope("r")),
        ("unchanged", true.into()),
        ("accepted", true.into()),
        ("conflict", false.into()),
        ("nonce", base64(32)),
        ("token", "token".into()),
        ("expiresAt", 4_102_444_800_000_i64.into()),
        ("profiles", json!(["http-json"])),
    ];
    for (name, value) in fields {
        all[name] = value;
    }
    all
}

#[test]
fn one_success_for_everything() {
    let body = any_success().to_string();
    proves_nothing(move |_| (200, body.clone()));
}

#[test]
fn a_valid_looking_body_for_each_route() {
    proves_nothing(|asked| (200, canned(asked.second_word(), "r").to_string()));
}

/// The most that a server without memory can do: valid bodies for each route, with the ids of the request in them.
#[test]
fn a_body_for_each_route_that_names_what_was_asked_for() {
    proves_nothing(|asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let named = body.get("repoId").or_else(|| body.pointer("/manifest/repoId"));
        let repo = named.and_then(Value::as_str).unwrap_or("r").to_owned();
        match body.get("manifest") {
            Some(manifest) => (200, manifest.to_string()),
            None => (200, canned(asked.second_word(), &repo).to_string()),
        }
    });
}

fn canned(path: &str, repo: &str) -> Value {
    match path.rsplit('/').next() {
        Some("challenge") => json!({ "nonce": base64(32) }),
        Some("token") => json!({ "token": "token", "expiresAt": 4_102_444_800_000_i64 }),
        Some("pull") => json!({ "manifest": manifest(repo), "envelope": envelope(repo), "unchanged": false }),
        Some("push") => json!({ "accepted": true, "payloadVersion": 2, "keyEpoch": 1, "conflict": false }),
        Some("avp") => json!({ "profiles": ["http-json"] }),
        _ if path.contains("/member/") => member(),
        _ => manifest(repo),
    }
}

fn manifest(repo: &str) -> Value {
    json!({
        "repoId": repo, "schemeId": "X25519-HKDF-SHA256-AESGCM-v1", "keyEpoch": 1, "payloadVersion": 1,
        "members": [member()], "shareRefreshTokens": true,
    })
}

fn member() -> Value {
    let identity = Identity::derive(&Seed::random(), &["somebody"]);
    let (ed25519, x25519) = (identity.member_id(), identity.x25519_public_key());
    json!({
        "ed25519PublicKey": ed25519, "x25519PublicKey": x25519, "keyEpoch": 1,
        "keyBindingSig": sign_binding(&identity, ed25519, x25519),
        "wrappedDataKey": {
            "schemeId": "X25519-HKDF-SHA256-AESGCM-v1", "ephemeralPublicKey": base64(32), "iv": base64(12),
            "ciphertext": base64(48),
        },
    })
}

fn envelope(repo: &str) -> Value {
    json!({ "repoId": repo, "payloadVersion": 1, "keyEpoch": 1, "iv": base64(12), "ciphertext": base64(80) })
}

/// Base64 of so many bytes, the same each time.
fn base64(length: usize) -> Value {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    BASE64_STANDARD.encode(vec![0x5A; length]).into()
}
