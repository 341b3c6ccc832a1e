//! Targets that the program starts, trusts, waits for, gives up or is torn away from, seen from the command line.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use avp_conform::avp::Operation;
use avp_conform::avp::server::{Options, Server};
use avp_conform::http::Role;
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::serve::Tls;

use crate::support::http::{accept, answer, pass_on};
use crate::support::program::{Done, program, reported};
use crate::support::servers::{faulty, plain};

const SEED: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The command of a server that misbehaves on requests with a certain text in them.
fn server(behaviour: &str, text: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let test = format!(
        "\"{}\" --exact target::serve_behind_a_door --ignored --nocapture",
        this.display()
    );
    if cfg!(windows) {
        format!("set BEHAVIOUR={behaviour}&& set TEXT={text}&& {test}")
    } else {
        format!("exec env BEHAVIOUR={behaviour} TEXT={text} {test}")
    }
}

/// No test: the server that [`server`] names. The reference server, behind a door that looks at what passes.
#[test]
#[ignore = "started by the other tests as the server under test"]
fn serve_behind_a_door() {
    let Ok(behaviour) = std::env::var("BEHAVIOUR") else {
        return;
    };
    let text = std::env::var("TEXT").unwrap();
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let server = plain();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    accept(&listener, move |_, client| {
        let inside = TcpStream::connect(server.address()).unwrap();
        let (from, to) = (inside.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || pass_on(from, to));
        pass(client, inside, &behaviour, &text);
    });
}

fn pass(mut client: TcpStream, mut inside: TcpStream, behaviour: &str, text: &str) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let seen = String::from_utf8_lossy(&buffer[..count]);
        match seen.contains(text).then_some(behaviour) {
            Some("dies") => {
                avp_conform::cli::console::out("out of cheese\n").unwrap();
                std::process::exit(7);
            }
            Some("hangs") => {
                // Who wants to know hears of the hanging request, and of the end of this process: nothing else closes the line.
                if let Ok(bell) = std::env::var("BELL") {
                    std::mem::forget(TcpStream::connect(bell).unwrap());
                }
                continue;
            }
            #[cfg(unix)]
            Some("leaves") => {
                // The shell that started this ends when it sees the file; what is asked is answered after that.
                let shell = std::os::unix::process::parent_id();
                std::fs::write(std::env::var("FLAG").unwrap(), "").unwrap();
                while std::os::unix::process::parent_id() == shell {
                    std::thread::yield_now();
                }
            }
            Some("throttles") => {
                let fields = "retry-after: 1\r\ncontent-type: application/json\r\n";
                let _ = client.write_all(&answer(
                    "429 Too Many Requests",
                    fields,
                    r#"{"error":"slow down"}"#,
                ));
                continue;
            }
            Some("echoes") => {
                let body = serde_json::json!({ "error": seen }).to_string();
                let _ = client.write_all(&answer("400 Bad Request", "", &body));
                continue;
            }
            _ => {}
        }
        if inside.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
    let _ = inside.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_server_is_started_used_and_ended() {
    let command = server("serves", "-");
    let done = reported(&["--exec", &command, "--filter", "push/applied"]);
    assert_eq!(
        (done.code, done.record.verdict),
        (0, RunVerdict::Conformant),
        "{}",
        done.out
    );
    assert_eq!(done.record.target, "http://127.0.0.1:{port}");
    assert_eq!(done.record.exec, Some(command));
    assert!(done.out.contains("\nconformant: `"), "{}", done.out);
}

#[test]
fn a_run_that_chose_the_port_is_judged_again_and_made_again() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json").display().to_string();
    let json = format!("json={report}");
    let command = server("serves", "-");
    let ran = program()
        .args(["--exec", &command, "--filter", "push/applied", "--report", &json])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0));
    let said = |arguments: &[&str]| {
        let output = program().args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            text + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, out) = said(&["rejudge", &report]);
    assert_eq!(code, Some(0), "{out}");
    let (code, out) = said(&["repro", "--from", &report, "push/applied"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("\"start the server"), "{out}");
    let (code, out) = said(&["show", "-q", &report]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("conformant: `"), "{out}");
}

#[test]
fn a_server_that_does_not_come_up_is_told_with_its_words() {
    let dies = if cfg!(windows) {
        "echo no database& exit 4"
    } else {
        "echo no database; exit 4"
    };
    let output = program().args(["--exec", dies]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("exited with status 4") && said.contains("no database"),
        "{said}"
    );
}

#[test]
fn the_case_that_ends_the_server_fails_and_the_others_go_on() {
    let command = server("dies", "remove-member");
    let done = reported(&[
        "--exec",
        &command,
        "--filter",
        "challenge/*",
        "--filter",
        "removal/in-one-step",
    ]);
    let guilty = done.case("removal/in-one-step");
    assert_eq!(guilty.verdict, Verdict::Fail, "{}", done.out);
    assert!(
        guilty
            .stopped
            .as_ref()
            .unwrap()
            .reason
            .contains("exited with status 7"),
        "{guilty:?}"
    );
    assert!(done.out.contains("out of cheese"), "{}", done.out);
    assert!(
        done.notes().contains("removal/in-one-step ended it"),
        "{}",
        done.notes()
    );
    let innocent = done.record.cases.iter().filter(|case| case.topic == "challenge");
    for case in innocent {
        assert_ne!(case.verdict, Verdict::Error, "{}: {:?}", case.id, case.reason);
        assert_ne!(case.verdict, Verdict::Fail, "{}: {:?}", case.id, case.reason);
    }
    assert_eq!((done.code, done.record.verdict), (1, RunVerdict::Nonconformant));
}

#[test]
fn a_server_is_not_judged_in_anothers_place() {
    let stranger = plain();
    let command = server("serves", "-");
    let arguments = [
        "--exec",
        &command,
        "--target",
        &stranger.url(),
        "--filter",
        "push/applied",
    ];
    let output = program().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(3), &b""[..]),
        "{said}"
    );
    assert!(
        said.contains(&format!("something answers at {}", stranger.url())),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn a_server_that_ends_while_its_port_is_answered_is_seen() {
    let home = tempfile::tempdir().unwrap();
    let flag = home.path().join("flag").display().to_string();
    let door = server("leaves", "remove-member").replace("exec ", "");
    let command =
        format!("rm -f {flag}; FLAG={flag} {door} & while [ ! -e {flag} ]; do sleep 0.01; done; exit 5");
    let done = reported(&["--exec", &command, "--filter", "removal/in-one-step"]);
    let guilty = done.case("removal/in-one-step");
    assert!(
        guilty
            .stopped
            .as_ref()
            .unwrap()
            .reason
            .contains("exited with status 5"),
        "{guilty:?}"
    );
    assert_eq!((done.code, guilty.verdict), (1, Verdict::Fail), "{}", done.out);
}

#[cfg(unix)]
#[test]
fn what_a_server_leaves_behind_is_told() {
    let home = tempfile::tempdir().unwrap();
    let pid = home.path().join("pid");
    let inner = server("serves", "-").replace('"', "\\\"");
    let command = format!(
        "setsid sh -c \"echo \\$\\$ >{}; {inner}\" & while :; do sleep 1; done",
        pid.display()
    );
    let done = reported(&["--exec", &command, "--filter", "push/applied"]);
    let pid = std::fs::read_to_string(pid).unwrap();
    let ended = Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
    assert!(ended.success(), "it went with the others");
    assert!(
        done.notes().contains("run it in the foreground"),
        "{}: {}",
        done.notes(),
        done.out
    );
}

#[cfg(unix)]
#[test]
fn a_server_does_not_outlive_a_harness_that_is_killed() {
    let bell = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = program()
        .args(["--exec", &server("hangs", "remove-member"), "--timeout", "60"])
        .args(["--filter", "removal/in-one-step"])
        .env("BELL", bell.local_addr().unwrap().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut hanging, _) = bell.accept().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    hanging.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let over = hanging.read(&mut [0]);
    assert!(matches!(over, Ok(0)), "the server lives on: {over:?}");
}

#[test]
fn what_hangs_on_one_operation_is_not_waited_for_again_and_again() {
    let command = server("hangs", "/pull");
    let filters = ["push", "pull", "members", "removal"].map(|topic| ["--filter", topic]);
    let options = ["--exec", &command, "--timeout", "1"];
    let done = reported(&[&options, filters.as_flattened()].concat());
    assert!(done.took < Duration::from_secs(45), "{:?}", done.took);
    let notes = done.notes();
    let given_up = notes.split_once("twice, with nothing else under way: ");
    // What goes out at once with others has a time limit of its own.
    let names = given_up.and_then(|(_, names)| names.lines().next());
    assert!(
        names.is_some_and(|names| names.split(", ").any(|name| name == "pull")),
        "{notes}"
    );
    assert_eq!(done.record.verdict, RunVerdict::Nonconformant, "{}", done.out);
}

#[test]
fn a_target_that_throttles_for_good_is_given_up_soon() {
    let done = reported(&["--exec", &server("throttles", "/v1/"), "--timeout", "2"]);
    assert!(done.took < Duration::from_secs(30), "{:?}", done.took);
    assert!(done.notes().contains("throttles for good"), "{}", done.notes());
    assert_eq!(
        (done.code, done.record.verdict),
        (3, RunVerdict::Incomplete),
        "{}",
        done.out
    );
    assert!(done.record.throttled_ms > 0);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_reports_what_was_done_and_leaves_nothing_behind() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let home = tempfile::tempdir().unwrap();
        let report = home.path().join("report.json");
        let bell = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = program()
            .args(["--exec", &server("hangs", "remove-member"), "--timeout", "60"])
            // No other of these removes a member: what rings is the case that is looked at below.
            .args(["--filter", "removal/in-one-step", "--filter", "push/applied"])
            .args(["--report", &format!("json={}", report.display())])
            .env("BELL", bell.local_addr().unwrap().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut hanging, _) = bell.accept().unwrap();
        let started = Instant::now();
        let status = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        child.wait().unwrap();
        let took = started.elapsed();
        let done = Done::of(&child.wait_with_output().unwrap(), &report, took);
        // A second, and what a busy machine adds.
        assert!(took < Duration::from_secs(4), "{signal}: {took:?}");
        assert_eq!(
            (done.code, done.record.verdict),
            (130, RunVerdict::Incomplete),
            "{signal}: {}",
            done.out
        );
        assert!(done.notes().contains("interrupted"), "{signal}: {}", done.notes());
        assert!(done.out.contains("\nincomplete: `"), "{signal}: {}", done.out);
        let hung = done.case("removal/in-one-step");
        assert_eq!(hung.verdict, Verdict::Error);
        assert!(!hung.exchanges.is_empty(), "what was done is reported");
        hanging.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let over = hanging.read(&mut [0]);
        assert!(matches!(over, Ok(0)), "{signal}: the server lives on: {over:?}");
        assert_eq!(
            home.path().read_dir().unwrap().count(),
            1,
            "{signal}: the report alone"
        );
    }
}

#[test]
fn what_the_budget_does_not_reach_is_an_error() {
    let done = reported(&[
        "--rps",
        "20",
        "--budget",
        "2",
        "--case-timeout",
        "60",
        "--filter",
        "push",
    ]);
    assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
    assert!(done.notes().contains("budget of 2 s"), "{}", done.notes());
    assert_eq!(
        (done.code, done.record.verdict),
        (3, RunVerdict::Incomplete),
        "{}",
        done.out
    );
}

#[test]
fn a_case_has_its_time() {
    let done = reported(&["--rps", "5", "--case-timeout", "1", "--filter", "push/applied"]);
    let case = done.case("push/applied");
    assert_eq!(case.verdict, Verdict::Error);
    assert!(
        case.reason.as_ref().unwrap().contains("not done within 1 s"),
        "{:?}",
        case.reason
    );
}

#[test]
fn configured_headers_are_sent_and_never_shown() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("headers");
    std::fs::write(&file, "# ours\nX-Filed: filed-hunter2\n").unwrap();
    let command = server("echoes", "X-Typed");
    for show in [false, true] {
        let mut options = vec![
            "--exec",
            &command,
            "--filter",
            "push/applied",
            "-v",
            "--header-file",
        ];
        options.push(file.to_str().unwrap());
        options.extend(["--header", "X-Typed: typed-hunter2"]);
        options.extend(show.then_some("--show-secrets"));
        let done = reported(&options);
        let json = serde_json::to_string(&done.record).unwrap();
        assert!(
            json.contains("X-Typed") || json.contains("x-typed"),
            "they went out: {json}"
        );
        assert_eq!(
            json.contains("hunter2") || done.out.contains("hunter2"),
            show,
            "{}",
            done.out
        );
    }
}

#[test]
fn certificates_are_checked_unless_told_and_then_reports_say_so() {
    let options = Options {
        tls: Some(Tls::self_signed().unwrap()),
        ..Options::default()
    };
    let server = Server::start(options).unwrap();
    let url = server.url();
    let strict = program()
        .args(["--target", &url, "--filter", "push/applied"])
        .output()
        .unwrap();
    assert_eq!(strict.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&strict.stderr).contains("certificate not trusted"));
    let lax = reported(&["--target", &url, "--filter", "push/applied", "--insecure"]);
    assert_eq!(lax.code, 0, "{}", lax.out);
    assert!(lax.notes().contains("--insecure"), "{}", lax.notes());
}

#[test]
fn shards_join_into_the_whole() {
    let home = tempfile::tempdir().unwrap();
    let server = plain();
    let url = server.url();
    let at = |name: &str| home.path().join(name).display().to_string();
    for shard in ["1/2", "2/2"] {
        let report = format!("json={}", at(&shard.replace('/', "-")));
        let options = [
            "--target", &url, "--shard", shard, "--seed", SEED, "--filter", "push", "--report", &report,
        ];
        program().args(options).output().unwrap();
    }
    let whole = format!("json={}", at("whole"));
    let output = program()
        .args(["merge", &at("2-2"), &at("1-2"), "--report", &whole])
        .output()
        .unwrap();
    let merged = Done::of(&output, Path::new(&at("whole")), Duration::ZERO);
    let plain = reported(&["--filter", "push", "--transport", "http"]);
    let ids = |done: &Done| {
        done.record
            .cases
            .iter()
            .map(|case| case.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&merged), ids(&plain));
    assert_eq!(
        (merged.code, merged.record.verdict),
        (plain.code, plain.record.verdict)
    );
    assert_eq!(merged.record.shard, None);
    assert!(merged.record.missing.is_empty());
    let verdicts = |done: &Done| {
        let found = done.record.requirements.iter();
        found
            .map(|found| (found.id.clone(), found.verdict))
            .collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&merged), verdicts(&plain));
    let wrong = program()
        .args(["merge", &at("1-2"), &at("1-2")])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let partly = program()
        .args(["merge", &at("2-2"), "--report", &whole])
        .output()
        .unwrap();
    let partly = Done::of(&partly, Path::new(&at("whole")), Duration::ZERO);
    assert_eq!((partly.code, partly.record.verdict), (3, RunVerdict::Incomplete));
    assert!(
        partly.out.contains("\nincomplete without shard 1/2: http://"),
        "{}",
        partly.out
    );
    assert!(partly.out.contains("shard 1/2 is missing"), "{}", partly.out);
    let joined = program()
        .args([
            "merge",
            &at("whole"),
            &at("1-2"),
            "--report",
            &format!("json={}", at("late")),
        ])
        .output()
        .unwrap();
    let joined = Done::of(&joined, Path::new(&at("late")), Duration::ZERO);
    assert_eq!((joined.code, ids(&joined)), (merged.code, ids(&merged)));
    assert!(!joined.out.contains("missing"), "{}", joined.out);
    let unseeded = program().args(["--shard", "1/2"]).output().unwrap();
    assert_eq!(unseeded.status.code(), Some(2));
}

#[test]
fn a_shard_without_a_case_is_a_part_as_well() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    let shard = |shard: &str| {
        let report = format!("json={}", at(&shard.replace('/', "-")));
        let options = [
            "--shard",
            shard,
            "--seed",
            SEED,
            "--filter",
            "push/applied",
            "--transport",
            "http",
            "--report",
            &report,
        ];
        let output = program().args(options).output().unwrap();
        let path = at(&shard.replace('/', "-"));
        Done::of(&output, Path::new(&path), Duration::ZERO)
    };
    let parts = [shard("1/2"), shard("2/2")];
    for part in &parts {
        assert_eq!(
            (part.code, part.record.verdict),
            (0, RunVerdict::Conformant),
            "{}",
            part.out
        );
    }
    let cases: Vec<usize> = parts.iter().map(|part| part.record.cases.len()).collect();
    assert_eq!(cases.iter().sum::<usize>(), 1, "{cases:?}");
    let empty = parts.iter().find(|part| part.record.cases.is_empty()).unwrap();
    assert!(
        empty.notes().contains("no case of the selection is in shard"),
        "{}",
        empty.out
    );
    let merged = program()
        .args(["merge", &at("1-2"), &at("2-2")])
        .output()
        .unwrap();
    assert_eq!(merged.status.code(), Some(0));
}

#[test]
fn a_suite_that_is_repeated_meets_the_target_afresh() {
    let server = plain();
    let done = reported(&[
        "--target",
        &server.url(),
        "--repeat",
        "3",
        "--seed",
        SEED,
        "--filter",
        "push/applied",
    ]);
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(done.notes().contains("run 3 times"), "{}", done.notes());
}

/// A server that takes many a malformed request must not be asked the next one about what it was left with: of a create that
/// was granted the id is taken, of a removal the caller may be locked out.
#[test]
fn each_malformed_form_is_tried_on_a_repository_that_is_known_to_be_good() {
    for name in [
        "types-coerced",
        "nulls-taken",
        "lengths-unchecked",
        "push-refused-but-stored",
    ] {
        let server = faulty(name);
        let done = reported(&[
            "--target",
            &server.url(),
            "--filter",
            "malformed/*",
            "--seed",
            SEED,
        ]);
        let mut granted = 0;
        for case in &done.record.cases {
            assert_ne!(
                case.verdict,
                Verdict::Blocked,
                "{name} {}: {:?}",
                case.id,
                case.reason
            );
            let steps = case
                .exchanges
                .iter()
                .filter(|it| it.role == Role::Step && it.spoiled.is_some());
            let mut spent = BTreeSet::new();
            for exchange in steps.filter(|it| Operation::of(it).is_some_and(Operation::writes)) {
                let status = exchange.outcome.answer().map_or(0, |answer| answer.status);
                let place = (&case.id, &exchange.repo);
                assert!(
                    !spent.contains(&place),
                    "{name}: {} asked about {place:?} again",
                    case.id
                );
                // A create whose roster is not exactly the caller is rightly forbidden.
                let creates = Operation::of(exchange) == Some(Operation::CreateRepo);
                let masked = if creates { status == 409 } else { status == 403 };
                assert!(!masked, "{name}: {} masked by {status}", case.id);
                let answer = exchange.outcome.answer().map(|answer| answer.body.to_text());
                let conflict = answer.is_some_and(|body| body.contains("\"conflict\":true"));
                if status == 200 && !conflict {
                    granted += 1;
                    spent.insert(place);
                }
            }
        }
        assert!(
            granted > 0 || name == "push-refused-but-stored",
            "{name} granted nothing"
        );
    }
}
