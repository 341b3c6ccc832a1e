//! The reference client, seen from outside: its walk against servers as they are, as they may be and as they should not be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use avp_conform::avp::client::walk::{Ended, Options, walk};
use avp_conform::avp::client::{FAULTS, Habits};
use avp_conform::avp::server::{Server, variations};
use avp_conform::serve::Behaviour;
use serde_json::{Value, json};

use crate::support::http::{Message, answer, listen};
use crate::support::program::{program, ran};
use crate::support::servers;

/// How a walk ended, and its lines.
fn walked(server: &str, members: usize, habits: Habits) -> (Ended, Vec<Value>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let options = Options {
        server: server.to_owned(),
        authority: None,
        members,
        json: true,
        verbose: true,
        habits,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let take = move |line: &str| {
        // What a faulty client logs is no line of the walk.
        if let Ok(value) = serde_json::from_str(line) {
            sink.lock().unwrap().push(value);
        }
    };
    let ended = runtime.block_on(walk(&options, Arc::new(take)));
    let lines = lines.lock().unwrap().clone();
    (ended, lines)
}

fn last(lines: &[Value]) -> &Value {
    lines.last().unwrap()
}

#[test]
fn a_walk_comes_through_whatever_a_server_may_do() {
    for variation in variations() {
        // Those refuse what a walk needs, or are not to be waited for.
        if variation.area == "limits" {
            continue;
        }
        let server = servers::start(Behaviour::Varied(variation));
        let (ended, lines) = walked(&server.url(), 2, Habits::default());
        assert_eq!(ended, Ended::Well, "{}: {}", variation.name, last(&lines));
    }
}

#[test]
fn a_walk_shows_each_step_and_each_request() {
    let server = servers::plain();
    let (ended, lines) = walked(&format!("{}/", server.url()), 3, Habits::default());
    assert_eq!(ended, Ended::Well);
    let steps: Vec<&Value> = lines.iter().filter(|line| line["step"].is_u64()).collect();
    assert_eq!(last(&lines)["steps"].as_u64().unwrap(), steps.len() as u64);
    let does = |what: &str| {
        let found = steps.iter().filter(|line| line["does"] == what);
        found
            .map(|line| line["member"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(does("login"), ["alice", "bob", "carol"]);
    assert_eq!(does("push at a stale version"), ["alice"]);
    assert_eq!(does("pull and decrypt"), ["bob", "carol"]);
    assert_eq!(does("pull after the removal"), ["bob"]);
    assert_eq!(does("read on"), ["alice", "carol"]);
    let requests = lines.iter().filter(|line| line["request"].is_string());
    assert!(requests.count() > 25);
}

#[test]
fn a_walk_ends_where_a_server_goes_wrong_and_says_what_was_expected() {
    for (fault, at, expected) in [
        (
            "push-ignores-expected",
            "alice, push at a stale version",
            "conflict",
        ),
        (
            "pull-never-unchanged",
            "alice, pull at the known version",
            "unchanged",
        ),
        (
            "remove-answers-204",
            "alice, remove, with a new data key",
            "without them",
        ),
        ("remove-answered-not-stored", "bob, pull after the removal", "403"),
    ] {
        let server = servers::faulty(fault);
        let (ended, lines) = walked(&server.url(), 2, Habits::default());
        assert_eq!(ended, Ended::Badly, "{fault}");
        assert_eq!(last(&lines)["at"], at, "{}", last(&lines));
        assert!(last(&lines)["expected"].as_str().unwrap().contains(expected));
    }
}

#[test]
fn a_walk_tells_a_page_a_wrong_status_and_a_redirect_from_an_answer() {
    for (status, fields, body) in [
        ("200 OK", "content-type: text/html\r\n", "<html>hello</html>"),
        ("204 No Content", "", ""),
        ("307 Temporary Redirect", "location: http://127.0.0.1:9/x\r\n", ""),
        ("500 Internal Server Error", "", "oops"),
        ("429 Too Many Requests", "retry-after: 3600\r\n", "{}"),
    ] {
        let bytes = answer(status, fields, body);
        let address = listen(move |_, mut stream| {
            while Message::read(&mut stream).is_some() {
                if stream.write_all(&bytes).is_err() {
                    break;
                }
            }
        });
        let (ended, lines) = walked(&format!("http://{address}"), 2, Habits::default());
        assert_eq!(ended, Ended::Badly, "{status}: {}", last(&lines));
        assert_eq!(last(&lines)["at"], "alice, login", "{status}");
    }
}

#[test]
fn exit_codes_tell_a_good_walk_a_bad_one_and_nobody() {
    let server = servers::plain();
    let (code, out, err) = ran(&["walk", "--target", &server.url()]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("all as the protocol says\n"), "{out}");
    let (code, out, _) = ran(&["walk", "--target", &server.url(), "--fault", "nonce-text-signed"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("expected: ") && out.contains("got: "), "{out}");
    let (code, out, _) = ran(&["walk", "--target", "http://127.0.0.1:9"]);
    assert_eq!(code, 3, "{out}");
    assert_eq!(ran(&["walk", "--target", "nonsense"]).0, 2);
    let (code, _, err) = ran(&["walk", "--fault", "nonce-text-singed"]);
    assert_eq!(code, 2);
    assert!(err.contains("did you mean \"nonce-text-signed\"?"), "{err}");
}

#[test]
fn the_server_is_told_by_the_environment_as_well() {
    let server = servers::plain();
    let output = program()
        .arg("walk")
        .env("AVP_SERVER_URL", server.url())
        .output()
        .unwrap();
    assert!(output.status.success());
}

/// The adapter as a process: commands go in, answers come out.
struct Spoken {
    child: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
    server: Server,
    id: u64,
}

impl Spoken {
    fn new() -> Spoken {
        let mut child = program()
            .arg("adapter")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Spoken {
            child,
            output,
            server: servers::plain(),
            id: 0,
        }
    }

    fn line(&mut self, line: &str) -> Value {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn ask(&mut self, member: &str, act: Value) -> Value {
        self.id += 1;
        let command = json!({ "id": self.id, "as": member, "do": act });
        let answer = self.line(&command.to_string());
        assert_eq!(answer["id"], self.id);
        answer
    }

    fn identity(&mut self, member: &str, byte: u8) -> Value {
        let secret = |more: u8| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode([byte + more; 32])
        };
        let server = self.server.url();
        let act = json!({ "identity": { "ed25519Secret": secret(0), "x25519Secret": secret(1), "server": server } });
        self.ask(member, act)["ok"].clone()
    }
}

#[test]
fn the_adapter_does_as_it_is_told() {
    let mut spoken = Spoken::new();
    spoken.identity("alice", 1);
    let bob = spoken.identity("bob", 3);
    let alts = json!([{ "uuid": "u1", "username": "one" }]);
    let created = spoken.ask("alice", json!({ "create": { "repo": "r/1", "alts": alts } }));
    assert_eq!(created["ok"], json!({}));
    let add = json!({ "add": {
        "repo": "r/1", "ed25519PublicKey": bob["memberId"], "x25519PublicKey": bob["x25519PublicKey"],
    } });
    assert_eq!(spoken.ask("alice", add)["ok"], json!({}));
    let pulled = spoken.ask("bob", json!({ "pull": { "repo": "r/1" } }));
    assert_eq!(pulled["ok"]["alts"], alts);
    let more = json!([{ "uuid": "u2", "username": "two" }]);
    let saved = spoken.ask("bob", json!({ "save": { "repo": "r/1", "alts": more } }));
    assert_eq!(saved["ok"]["payloadVersion"], 2);
    let removed = spoken.ask(
        "alice",
        json!({ "remove": { "repo": "r/1", "memberId": bob["memberId"] } }),
    );
    assert_eq!(removed["ok"]["keyEpoch"], 2);
    let refused = spoken.ask("bob", json!({ "pull": { "repo": "r/1" } }));
    assert_eq!(
        (&refused["error"]["kind"], &refused["error"]["status"]),
        (&json!("refused"), &json!(403))
    );
    let token = spoken.ask("bob", json!({ "write-invite": {} }))["ok"]["token"].clone();
    let read = spoken.ask("alice", json!({ "read-invite": { "token": token } }));
    assert_eq!(read["ok"]["ed25519PublicKey"], bob["memberId"]);
    let address = json!({ "read-address": { "address": "avp://h:1/a/b" } });
    assert_eq!(
        spoken.ask("alice", address)["ok"],
        json!({ "host": "h:1", "repo": "a/b" })
    );
}

#[test]
fn the_adapter_says_what_is_no_command_and_goes_on() {
    let mut spoken = Spoken::new();
    assert_eq!(spoken.line("nonsense")["error"]["kind"], "usage");
    assert_eq!(spoken.line(r#"{"id":7,"as":"x","do":{"fly":{}}}"#)["id"], 7);
    assert_eq!(
        spoken.ask("carol", json!({ "login": {} }))["error"]["kind"],
        "usage"
    );
    let id = spoken.identity("alice", 1);
    assert!(id["memberId"].is_string());
}

#[test]
fn every_fault_has_a_name_of_its_own_and_breaks_a_requirement_of_clients() {
    let mut names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FAULTS.len());
    for fault in FAULTS {
        for id in fault.breaks {
            let requirement = avp_conform::avp::catalogue().get(id).unwrap();
            assert_eq!(requirement.subject.to_string(), "client", "{}", fault.name);
        }
        let first = avp_conform::avp::catalogue().get(fault.breaks[0]).unwrap();
        assert_eq!(first.level, fault.level, "{}", fault.name);
    }
}
