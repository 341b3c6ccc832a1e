//! Servers that do nothing verify nothing: whatever they answer alike, no must comes out as kept, and each says why not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use avp_conform::avp::AVP;
use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::crypto::sign_binding;
use avp_conform::avp::server::{Options, Server};
use avp_conform::catalogue::Level;
use avp_conform::http::{Client, ClientOptions, Endpoint, Timeouts};
use avp_conform::judge::Transport;
use avp_conform::keys::{Identity, Seed};
use avp_conform::record::Record;
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::run::{Jobs, RACE_TIME, Run, RunInfo, run};
use avp_conform::session::RunContext;
use serde_json::{Value, json};

/// A request as a null server sees it.
struct Asked {
    path: String,
    body: String,
}

/// A server that answers each request with what `answer` makes of it: a status and a body.
fn null_server(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, answer.as_ref()));
        }
    });
    endpoint
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Asked) -> (u16, String)) {
    while let Some(asked) = receive(&mut stream) {
        let (status, body) = answer(&asked);
        let head = format!(
            "HTTP/1.1 {status} So\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all([head, body].concat().as_bytes()).is_err() {
            return;
        }
    }
}

/// One request; none at the end of the stream, or where its body is chunked and so of no known length.
fn receive(stream: &mut TcpStream) -> Option<Asked> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    if head.contains("transfer-encoding") {
        return None;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked {
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// The whole suite against one server.
fn suite_against(endpoint: Endpoint) -> Record {
    let suite = (AVP.load)(embedded_sources()).unwrap();
    let other = Server::start(Options::default()).unwrap();
    let client = |endpoint: Endpoint| Client::new(ClientOptions::new(endpoint)).unwrap();
    let target = RunContext {
        client: client(endpoint),
        foreign: Some(client(Endpoint::parse(&other.url()).unwrap())),
        patience: Timeouts::new(Duration::from_secs(5)),
        seed: Seed::random(),
        generation: 0,
        spec: avp_conform::avp::catalogue().newest(),
        slow: false,
        show_secrets: false,
    };
    let selected =
        avp_conform::case::selection::plan(&suite, &[], avp_conform::avp::catalogue().newest(), false);
    let plan = Run {
        suite: Arc::new(suite),
        selected,
        target: Arc::new(target),
        transport: Transport::Loopback,
        jobs: Jobs::Exactly(16),
        races: RACE_TIME,
        heading: RunInfo::default(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(&plan, |_| {}))
}

/// No must is verified, and each says why.
fn proves_nothing(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) {
    let record = suite_against(null_server(answer));
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

fn refusal(status: u16, code: &'static str) -> impl Fn(&Asked) -> (u16, String) {
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
    proves_nothing(|asked| match asked.body.as_str() {
        "" => (200, "{}".to_owned()),
        body => (200, body.to_owned()),
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
    proves_nothing(|asked| (200, canned(&asked.path, "r").to_string()));
}

/// The most that a server without memory can do: valid bodies for each route, with the ids of the request in them.
#[test]
fn a_body_for_each_route_that_names_what_was_asked_for() {
    proves_nothing(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let named = body.get("repoId").or_else(|| body.pointer("/manifest/repoId"));
        let repo = named.and_then(Value::as_str).unwrap_or("r").to_owned();
        match body.get("manifest") {
            Some(manifest) => (200, manifest.to_string()),
            None => (200, canned(&asked.path, &repo).to_string()),
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
