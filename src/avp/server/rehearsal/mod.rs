//! Plays through the core all that a harness might do, once against each deviation, and asks whether it took effect:
//! one that never does is dead code.

mod stage;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};

use self::stage::{
    CHALLENGE, Stage, TOKEN, adding, bound, creation, entry, id, pushing, removing, rotating, sign,
};
use super::behaviour::{Behaviour, faults, variations};
use crate::avp::Operation;

fn log_in(stage: &Stage) {
    for name in ["alice", "bob"] {
        let (nonce, _) = (stage.nonce(name), stage.nonce(name));
        let raw = STANDARD.decode(&nonce).unwrap_or_default();
        stage.redeem("mallory", &nonce, &sign(name, &raw));
        for bad in [
            sign(name, nonce.as_bytes()),
            Vec::new(),
            vec![1; 64],
            malleable(&sign(name, &raw)),
        ] {
            stage.redeem(name, &nonce, &bad);
        }
        for _ in 0..2 {
            stage.redeem(name, &nonce, &sign(name, &raw));
        }
        let other = stage.nonce(name);
        let raw = STANDARD.decode(&other).unwrap_or_default();
        stage.redeem(name, &other, &[sign(name, &raw), vec![0]].concat());
        stage.redeem(name, &other, &[9; 64]);
    }
    stage.nonce("zoe");
    let mut forged = STANDARD.decode(stage.nonce("alice")).unwrap_or_default();
    forged.iter_mut().take(1).for_each(|byte| *byte ^= 1);
    stage.redeem("alice", &STANDARD.encode(&forged), &sign("alice", &forged));
    let small_order = STANDARD.encode([[1; 1].as_slice(), &[0; 31]].concat());
    stage.post("", CHALLENGE, &json!({ "ed25519PublicKey": small_order }));
    stage.post("", CHALLENGE, &json!({ "ed25519PublicKey": "AAAA" }));
    stage.post(
        "",
        TOKEN,
        &json!({ "ed25519PublicKey": "AAAA", "nonce": "AAAA", "signature": "AAAA" }),
    );
}

/// A signature with the group order added to its S.
fn malleable(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 16] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    ];
    let (mut out, mut carry) = (signature.to_vec(), 0);
    for index in 0..32 {
        let addend = if index == 31 {
            0x10
        } else {
            ORDER.get(index).copied().unwrap_or(0)
        };
        let sum = u16::from(out[32 + index]) + u16::from(addend) + carry;
        out[32 + index] = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    out
}

fn create(stage: &Stage) {
    let mut first = creation("first", "alice");
    stage.post("alice", "/v1/repos", &first);
    for owner in ["alice", "mallory"] {
        let mut again = creation("first", owner);
        again["initialEnvelope"]["ciphertext"] = json!("AAAA");
        stage.post(owner, "/v1/repos", &again);
    }
    first["manifest"]["members"] = json!([bound("bob", 2)]);
    for (id, members) in [
        ("two", json!([bound("alice", 2), bound("bob", 2)])),
        ("none", json!([])),
    ] {
        for part in ["manifest", "initialEnvelope"] {
            first[part]["repoId"] = json!(id);
        }
        first["manifest"]["members"] = members;
        stage.post("alice", "/v1/repos", &first);
    }
    stage.post("alice", "/v1/repos", &creation("other", "bob"));
    let mut quiet = creation("quiet", "alice");
    quiet["manifest"]["shareRefreshTokens"].take();
    quiet["manifest"]
        .as_object_mut()
        .unwrap()
        .remove("shareRefreshTokens");
    quiet["manifest"]["members"] = json!([entry("alice", 2, &Value::Null)]);
    stage.post("alice", "/v1/repos", &quiet);
    quiet["manifest"]["members"][0]
        .as_object_mut()
        .unwrap()
        .remove("keyBindingSig");
    quiet["manifest"]["repoId"] = json!("QUIETER");
    quiet["initialEnvelope"]["repoId"] = json!("QUIETER");
    stage.post("alice", "/v1/repos", &quiet);
    stage.pull("alice", "QUIETER", 9);
    let mut torn = creation("torn", "alice");
    torn["initialEnvelope"]["payloadVersion"] = json!(8);
    stage.post("alice", "/v1/repos", &torn);
}

fn read(stage: &Stage) {
    stage.create("read");
    for known in [3, 2, 0, 99, -5, 3] {
        stage.pull("alice", "read", known);
    }
    stage.to("bob", Operation::Push, &pushing("read", 3, 5));
    for known in [5, 4, 3, 1] {
        stage.pull("alice", "read", known);
        stage.pull("bob", "read", known);
    }
    stage.fetch("alice", "read", "bob");
    stage.fetch("bob", "read", "bob");
    stage.fetch("alice", "read", "mallory");
    stage.fetch_id("alice", "read", &id("bob")[..20]);
    stage.fetch_id("alice", "read", &id("bob").to_lowercase());
    stage.pull("mallory", "read", 0);
    stage.pull("mallory", "nowhere", 0);
    stage.ask("GET", "/.well-known/avp", None, b"");
    stage.ask("GET", "/nothing/here", None, b"");
    stage.ask(
        "GET",
        "/v1/repos",
        Some("Bearer token-of-alice-and-more".to_owned()),
        b"",
    );
}

fn write(stage: &Stage) {
    stage.create("write");
    stage.to("bob", Operation::Push, &pushing("write", 3, 4));
    for (expected, version) in [(3, 4), (3, 5), (9, 10), (4, 4), (4, 2), (4, 6), (6, 20)] {
        stage.to("alice", Operation::Push, &pushing("write", expected, version));
    }
    stage.to("alice", Operation::Push, &rotating("write", 2, &["alice"]));
    stage.to(
        "alice",
        Operation::Push,
        &rotating("write", 20, &["alice", "bob"]),
    );
    stage.fetch("alice", "write", "carol");
    stage.fetch("alice", "write", "bob");
    stage.to("alice", Operation::Push, &pushing("write", 21, 22));
    let mut large = pushing("write", 21, 22);
    large["envelope"]["keyEpoch"] = json!(5);
    large["envelope"]["ciphertext"] = json!("AAAA".repeat(20_000));
    stage.to("alice", Operation::Push, &large);
    stage.pull("alice", "write", 0);
}

fn join(stage: &Stage) {
    stage.create("join");
    stage.to("alice", Operation::AddMember, &adding("join", &bound("bob", 2)));
    let mut rekeyed = bound("bob", 2);
    rekeyed["x25519PublicKey"] = json!(STANDARD.encode([1; 32]));
    stage.to("alice", Operation::AddMember, &adding("join", &rekeyed));
    stage.to(
        "bob",
        Operation::AddMember,
        &adding("join", &entry("dave", 2, &json!("odd"))),
    );
    stage.to(
        "bob",
        Operation::AddMember,
        &adding("join", &entry("erin", 2, &Value::Null)),
    );
    stage.pull("mallory", "join", 0);
    stage.to(
        "alice",
        Operation::AddMember,
        &adding("join", &bound("mallory", 2)),
    );
    stage.pull("mallory", "join", 0);
    stage.fetch("alice", "join", "bob");
    stage.to("alice", Operation::Push, &rotating("join", 3, &["alice", "bob"]));
    stage.fetch("alice", "join", "bob");
}

fn leave(stage: &Stage) {
    stage.create("leave");
    let remove = |name: &str, body: &Value| stage.to(name, Operation::RemoveMember, body);
    remove("bob", &removing("leave", "mallory", 4, 3, &["bob"]));
    remove(
        "bob",
        &removing("leave", "carol", 4, 3, &["alice", "bob", "carol"]),
    );
    stage.create("leave-3");
    for (version, epoch) in [(4, 2), (4, 1), (2, 3)] {
        remove(
            "bob",
            &removing("leave-3", "carol", version, epoch, &["alice", "bob"]),
        );
    }
    stage.create("leave-1");
    let removal = removing("leave-1", "carol", 7, 9, &["alice", "bob"]);
    stage.pull("carol", "leave-1", 0);
    remove("alice", &removal);
    stage.pull("carol", "leave-1", 0);
    stage.to("carol", Operation::Push, &pushing("leave-1", 7, 8));
    stage.to(
        "carol",
        Operation::AddMember,
        &adding("leave-1", &bound("mallory", 9)),
    );
    stage.fetch("carol", "leave-1", "alice");
    stage.fetch("alice", "leave-1", "carol");
    remove("alice", &removal);
    remove("carol", &removing("leave-1", "bob", 10, 11, &["alice"]));
    stage.create("leave-2");
    remove("bob", &removing("leave-2", "alice", 7, 9, &["bob", "carol"]));
    remove("bob", &removing("leave-2", "bob", 8, 10, &["carol"]));
    stage.to(
        "carol",
        Operation::AddMember,
        &adding("leave-2", &bound("mallory", 10)),
    );
}

fn trespass(stage: &Stage) {
    stage.create("ours");
    stage.post("mallory", "/v1/repos", &creation("theirs", "mallory"));
    for (name, target) in [("mallory", "ours"), ("", "ours")] {
        stage.pull(name, target, 0);
        stage.fetch(name, target, "bob");
        stage.to(name, Operation::Push, &pushing(target, 3, 4));
        stage.to(name, Operation::AddMember, &adding(target, &bound("mallory", 2)));
        stage.to(
            name,
            Operation::RemoveMember,
            &removing(target, "bob", 9, 9, &["mallory"]),
        );
        stage.post(name, "/v1/repos", &creation("nobodys", "alice"));
    }
    for (path, body) in [("theirs", "ours"), ("ours", "theirs")] {
        let at = |operation: Operation| operation.path(path, "");
        let pull = json!({ "repoId": body, "knownPayloadVersion": 0 });
        stage.post("mallory", &at(Operation::Pull), &pull);
        stage.post("mallory", &at(Operation::Push), &pushing(body, 3, 4));
        stage.post(
            "mallory",
            &at(Operation::AddMember),
            &adding(body, &bound("dave", 2)),
        );
        stage.post(
            "mallory",
            &at(Operation::RemoveMember),
            &removing(body, "bob", 9, 9, &["mallory"]),
        );
    }
    let own = Operation::Pull.path("ours", "");
    stage.post(
        "alice",
        &own,
        &json!({ "repoId": "theirs", "knownPayloadVersion": 0 }),
    );
    for token in [
        "token-of-alice-and-mora",
        "TOKEN-of-alice-and-more",
        "token-of-alice-and-xxxx",
        "",
        "x.e30.y",
    ] {
        let body = b"{\"repoId\":\"ours\",\"knownPayloadVersion\":0}";
        stage.ask("POST", &own, Some(format!("Bearer {token}")), body);
    }
    stage.ask(
        "POST",
        &own,
        Some("bearer token-of-alice-and-more".to_owned()),
        b"{}",
    );
    stage.ask("POST", "/v1/repos/nowhere/pull", None, b"{}");
}

fn mangle(stage: &Stage) {
    let post = |path: &str, body: &[u8]| {
        let token = Some("Bearer token-of-alice-and-more".to_owned());
        stage.ask("POST", path, token, body);
    };
    stage.create("m");
    let pull = "/v1/repos/m/pull";
    for body in [
        "",
        "nonsense",
        "{}",
        "{\"repoId\":\"m\",\"knownPayloadVersion\":1} x",
        "{\"repoId\":\"m\",\"knownPayloadVersion\":\"1\"}",
        "{\"repoId\":\"m\",\"knownPayloadVersion\":null}",
        "{\"repoId\":\"m\",\"knownPayloadVersion\":1.5}",
        "{\"repoId\":\"m\",\"knownPayloadVersion\":1,\"x\":1}",
    ] {
        post(pull, body.as_bytes());
    }
    post(pull, "[".repeat(500).as_bytes());
    let mut half = pushing("m", 3, 4);
    half["rotatedMembers"] = json!([{ "ed25519PublicKey": "short" }]);
    post("/v1/repos/m/push", half.to_string().as_bytes());
    for (field, value) in [
        ("x25519PublicKey", json!("AAAA")),
        ("x25519PublicKey", json!("no base64")),
    ] {
        let mut member = bound("dave", 2);
        member[field] = value;
        post(
            "/v1/repos/m/add-member",
            adding("m", &member).to_string().as_bytes(),
        );
    }
    let mut removal = removing("m", "carol", 9, 9, &["alice", "bob"]);
    removal["rotatedEnvelope"]["iv"] = json!(7);
    post("/v1/repos/m/remove-member", removal.to_string().as_bytes());
    stage.to("alice", Operation::Push, &pushing("m", 3, 9_007_199_254_740_993));
    stage.pull("alice", "m", 0);
    for id in ["A/b %41+c é.", "a/B%2F", &"long".repeat(30), "dot. "] {
        stage.create(id);
        stage.pull("bob", id, 0);
    }
}

/// What only shows in the second look: repetitions, other spellings, other repositories.
fn come_back(stage: &Stage) {
    let nonce = stage.nonce("alice");
    let raw = STANDARD.decode(&nonce).unwrap_or_default();
    stage.redeem("alice", &nonce, &sign("alice", &raw));
    stage.redeem("alice", &format!("{nonce}\n"), &sign("alice", &raw));
    stage.redeem("bob", &nonce, &sign("bob", &raw));
    let none = STANDARD_NO_PAD.encode(r#"{"alg":"none"}"#);
    let claims = STANDARD_NO_PAD.encode(json!({ "sub": format!("key:{}", id("alice")) }).to_string());
    for token in [
        format!("{none}.{claims}."),
        id("alice"),
        "token-of-alice-and-more x".to_owned(),
    ] {
        stage.ask("POST", "/v1/repos", Some(format!("Bearer {token}")), b"{}");
    }
    stage.create("back");
    let remove = |name: &str, body: &Value| stage.to(name, Operation::RemoveMember, body);
    stage.pull("alice", "back", 3);
    stage.to("mallory", Operation::AddMember, &adding("back", &bound("bob", 2)));
    stage.to("alice", Operation::AddMember, &adding("back", &bound("dave", 7)));
    stage.fetch("alice", "back", "dave");
    stage.pull("alice", "back", 3);
    for expected in [3 + (1 << 32), -1] {
        stage.to("alice", Operation::Push, &pushing("back", expected, 4));
    }
    remove("alice", &removing("back", "dave", 9, 9, &["alice", "erin"]));
    stage.create("back-1");
    let removal = removing("back-1", "bob", 9_007_199_254_740_993, 9, &["alice", "carol"]);
    remove("alice", &removal);
    stage.to("alice", Operation::AddMember, &adding("back-1", &bound("bob", 9)));
    remove("alice", &removal);
    stage.create("back-2");
    let leaving = removing("back-2", "bob", 9, 9, &["alice", "carol"]);
    remove("bob", &leaving);
    remove("bob", &leaving);
    let mut astray = pushing("back-2", 9, 10);
    astray["envelope"]["repoId"] = json!("back-1");
    astray["envelope"]["keyEpoch"] = json!(9);
    stage.to("alice", Operation::Push, &astray);
    for scheme in ["x".repeat(70), "a\0b".to_owned()] {
        let mut odd = creation(&format!("odd-{}", scheme.len()), "alice");
        odd["manifest"]["schemeId"] = json!(scheme);
        stage.post("alice", "/v1/repos", &odd);
    }
    let body = b"{\"repoId\":\"back\",\"knownPayloadVersion\":0}";
    stage.ask("POST", "/v1/repos/back/pull/", None, body);
}

/// Ids, numbers, paths and methods of which no client makes any.
fn stray(stage: &Stage) {
    let nonce = stage.nonce("alice");
    let raw = STANDARD.decode(&nonce).unwrap_or_default();
    stage.redeem("alice", &nonce, &sign("alice", raw.get(..32).unwrap_or_default()));
    let token = || Some("Bearer token-of-alice-and-more".to_owned());
    stage.ask("HEAD", "/v1/repos/stray/member/x", None, b"");
    stage.ask("POST", "/v1/repos/%zz/pull", token(), b"{}");
    stage.create("stray");
    let mut blank = bound("dave", 2);
    blank["keyBindingSig"] = json!(" c2ln ");
    stage.to("alice", Operation::AddMember, &adding("stray", &blank));
    let removal = removing("stray", "bob", 9, 9, &["alice"]);
    stage.to("alice", Operation::RemoveMember, &removal);
    stage.to("alice", Operation::Push, &pushing("stray", 8, 10));
    let empty = json!({ "repoId": "stray", "expectedPayloadVersion": 9 });
    stage.to("alice", Operation::Push, &empty);
    for id in ["2024-01-02T03:04:05Z", "0042", &"long".repeat(80)] {
        stage.post("alice", "/v1/repos", &creation(id, "alice"));
    }
    stage.create("crowd");
    let crowd: Vec<String> = (0..101).map(|at| format!("n{at}")).collect();
    let names: Vec<&str> = crowd.iter().map(String::as_str).chain(["alice"]).collect();
    stage.to("alice", Operation::Push, &rotating("crowd", 3, &names));
    for id in ["crowd", "cro%", "crowd\0x"] {
        stage.pull("alice", id, 0);
    }
    for known in ["NaN", "1e400", "\"\\ud800\""] {
        let body = format!("{{\"repoId\":\"crowd\",\"knownPayloadVersion\":{known}}}");
        stage.ask("POST", "/v1/repos/crowd/pull", token(), body.as_bytes());
    }
}

fn perform(behaviour: Behaviour) -> u64 {
    let stage = Stage::new(behaviour);
    let fired = || behaviour.name().map_or(0, |name| stage.state.fired(name));
    // One effect is enough: the scenes after it need not be played.
    [
        create, read, write, join, leave, trespass, mangle, log_in, come_back, stray,
    ]
    .into_iter()
    .any(|scene| {
        scene(&stage);
        fired() > 0
    });
    if stage.state.lifetimes.token < 2500 {
        std::thread::sleep(std::time::Duration::from_millis(2100));
        let nonce = stage.state.tokens().over();
        stage.ask(
            "POST",
            "/v1/repos",
            nonce.map(|token| format!("Bearer {token}")),
            b"{}",
        );
    }
    fired()
}

/// What shows only under concurrency, or in what the transport does with a connection.
fn shows_elsewhere(name: &str) -> bool {
    name.contains("-race-")
        || name.starts_with("token-jwt-")
        || name.contains("-in-a-global")
        || [
            "unread-body-after-401",
            "membership-before-the-body",
            "unread-chunks-after-401",
            "upgrade-left-hanging",
            "expectation-left-hanging",
            "chunked-taken-for-empty",
            "h2c-spoken",
            "length-required",
            "proxy-header-taken-for-a-login",
            "proxy-header-beside-a-token",
            "token-for-whoever-asked-for-the-nonce",
            "repository-limit-500",
            "create-stores-any-policy-as-true",
            "fetch-cached-by-its-address",
            "names-read-without-case",
            "title-case-headers",
            "idle-close",
            "short-tokens",
            "pull-torn",
        ]
        .contains(&name)
}

#[test]
fn the_plain_server_does_not_deviate() {
    assert_eq!(perform(Behaviour::Plain), 0);
}

#[test]
fn every_deviation_takes_effect() {
    let faults = faults().iter().map(Behaviour::Faulty);
    let all = faults.chain(variations().iter().map(Behaviour::Varied));
    let dead: Vec<&str> = all
        .filter(|behaviour| !shows_elsewhere(behaviour.name().unwrap_or_default()))
        .filter(|behaviour| perform(*behaviour) == 0)
        .filter_map(Behaviour::name)
        .collect();
    assert_eq!(dead, Vec::<&str>::new());
}
