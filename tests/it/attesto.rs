//! Attesto relays and witnesses: programs with sub-commands, judged by a harness that is their receiver.

use std::time::Duration;

use avp_conform::attesto::ATTESTO;
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{Side, Wire};
use avp_conform::selftest::{SelftestOutcome, Settings};
use avp_conform::serve::{Behaviour, Fault};

use crate::support::matrix::self_test;
use crate::support::program::{ran, reported};

const PROTOCOL: [&str; 2] = ["--protocol", "attesto"];
/// Faults that show after a minute: the published matrix has them.
const SLOW_FAULTS: [&str; 3] = ["waits-for-ever", "no-limit-for-the-whole", "takes-any-length"];

#[test]
fn the_reference_relay_is_conformant_and_its_record_says_who_asked() {
    let done = reported(&PROTOCOL);
    assert_eq!(
        (done.code, done.record.verdict),
        (0, RunVerdict::Conformant),
        "{}",
        done.out
    );
    let record = &done.record;
    assert_eq!(
        (record.protocol.name.as_str(), record.target.as_str()),
        ("attesto", "embedded")
    );
    let open: Vec<&str> = record
        .requirements
        .iter()
        .filter(|it| it.verdict != Verdict::Pass)
        .map(|it| it.id.as_str())
        .collect();
    // What takes minutes.
    assert_eq!(open, ["ALV-QUE-03"], "{}", done.out);
    let exchanges = || record.cases.iter().flat_map(|case| &case.exchanges);
    assert!(exchanges().any(|it| it.side == Side::Answered && it.wire == Wire::Http));
    let command = exchanges().find(|it| it.wire == Wire::Command).unwrap();
    let variables = &command.request.headers;
    assert!(
        command.request.path.starts_with("enqueue-json --stream-id "),
        "{}",
        command.request.path
    );
    assert!(
        variables.iter().all(|(_, value)| value == "[set]") && variables.len() >= 8,
        "{variables:?}"
    );
}

#[test]
fn every_fault_is_caught_and_no_freedom_is_blamed() {
    // Faulty relays make the harness wait more than anything else.
    let settings = Settings {
        servers: 12,
        timeout: Duration::from_millis(800),
        ..Settings::default()
    };
    let is_quick = |fault: &Fault| !SLOW_FAULTS.contains(&fault.name);
    let (observations, matrix, shown) = self_test(&ATTESTO, settings, is_quick);
    assert_ne!(matrix.standing, SelftestOutcome::Void, "{shown}");
    let alive: Vec<&str> = observations
        .iter()
        .filter(|it| matches!(it.behaviour, Behaviour::Faulty(_)) && !it.is_caught())
        .filter_map(|it| it.behaviour.name())
        .collect();
    assert_eq!(alive, Vec::<&str>::new(), "{shown}");
    let blamed: Vec<&str> = observations
        .iter()
        .filter(|it| matches!(it.behaviour, Behaviour::Varied(_)))
        .filter(|it| it.fired == 0 || !it.broken.is_empty() || it.verdict != RunVerdict::Conformant)
        .filter_map(|it| it.behaviour.name())
        .collect();
    assert_eq!(blamed, Vec::<&str>::new(), "{shown}");
}

#[test]
fn a_run_is_judged_again_shown_and_explained() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json");
    let report = report.to_str().unwrap();
    let json = format!("json={report}");
    let (code, out, err) = ran(&[
        PROTOCOL[0],
        PROTOCOL[1],
        "--filter",
        "!transport/*",
        "-q",
        "--report",
        &json,
    ]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = ran(&["rejudge", report]);
    assert!(code == 0 && out.contains("no change"), "{out}{err}");
    let (code, out, err) = ran(&["show", report]);
    assert!(code == 0 && out.contains("acknowledgement"), "{out}{err}");
    let (code, out, err) = ran(&["explain", "ALV-ACK-06"]);
    assert!(
        code == 0 && out.contains("acknowledgement/earlier-attempt"),
        "{out}{err}"
    );
    for command in ["coverage", "lint", "list"] {
        let (code, out, err) = ran(&[command, PROTOCOL[0], PROTOCOL[1]]);
        assert_eq!(code, 0, "{out}{err}");
    }
}

#[cfg(unix)]
#[test]
fn the_reference_relay_is_judged_as_a_program_too_and_its_faults_are_seen() {
    let own = |rest: &str| format!("{} relay {rest}", env!("CARGO_BIN_EXE_avp-conform"));
    let run = |command: &str, filters: &[&str]| {
        let mut arguments = vec![PROTOCOL[0], PROTOCOL[1], "--program", command];
        for filter in filters {
            arguments.extend(["--filter", filter]);
        }
        reported(&arguments)
    };
    let some = [
        "request/*",
        "acknowledgement/full",
        "queue/loop",
        "queue/killed-in-flight",
        "secrets/*",
        "transport/plain-http",
        "transport/certificates",
        "witness/*",
    ];
    let done = run(&own(""), &some);
    done.conforms();
    for (fault, filter, id) in [
        ("payload-escaped", "request/beyond-ascii", "ALV-ENV-05"),
        ("signing-key-told", "secrets/keys", "ALV-SEC-01"),
        (
            "certificate-name-unchecked",
            "transport/certificates",
            "ALV-NET-03",
        ),
        ("previous-hash-unchecked", "witness/other-previous", "ALV-WIT-03"),
    ] {
        let done = run(&own(&format!("--fault {fault}")), &[filter]);
        assert_eq!((done.code, done.broken()), (1, vec![id]), "{fault}: {}", done.out);
        let again = format!("--program '{}'", own(&format!("--fault {fault}")));
        assert!(done.out.contains(&again), "{}", done.out);
    }
}

#[cfg(unix)]
#[test]
fn a_relay_that_refuses_plain_http_is_met_over_https() {
    let program = format!(
        "{} relay --vary loopback-refused",
        env!("CARGO_BIN_EXE_avp-conform")
    );
    let done = reported(&[
        PROTOCOL[0],
        PROTOCOL[1],
        "--program",
        &program,
        "--filter",
        "request/plain",
        "--filter",
        "acknowledgement/accepted",
    ]);
    assert_eq!(
        (done.code, done.record.verdict),
        (0, RunVerdict::Conformant),
        "{}",
        done.out
    );
}

#[cfg(unix)]
#[test]
fn programs_that_do_nothing_verify_nothing() {
    let says = |line: &str| format!("echo '{line}' #");
    let programs = [
        "true #".to_owned(),
        "false #".to_owned(),
        says(r#"{"eventId":"lv_1","status":"delivered","sent":true}"#),
        says(
            r#"{"eventId":null,"status":"queued","sent":false,"accepted":false,"receipt":null,"forkEvidence":null}"#,
        ),
    ];
    // Each is waited for most of the time: they are tried side by side.
    std::thread::scope(|scope| {
        for program in &programs {
            scope.spawn(move || {
                let options = ["--program", program, "--timeout", "0.5"];
                let done = reported(&[PROTOCOL.as_slice(), &options].concat());
                assert_eq!(done.code, 1, "{program}: {}", done.out);
                assert_eq!(
                    done.verified_musts(),
                    Vec::<&str>::new(),
                    "{program}: {}",
                    done.out
                );
            });
        }
    });
}

#[test]
fn options_that_mean_nothing_for_a_program_are_refused() {
    for (arguments, why) in [
        (vec!["--program", "x"], "--program is for programs"),
        (
            vec!["--protocol", "attesto", "--program", " "],
            "--program is empty",
        ),
        (
            vec!["--protocol", "attesto", "--exec", "x"],
            "--exec is for servers",
        ),
        (
            vec![
                "--protocol",
                "attesto",
                "--program",
                "x",
                "--target",
                "http://127.0.0.1:1",
            ],
            "--target is for servers",
        ),
        (
            vec!["relay", "--fault", "nothing", "drain-once"],
            "there is no fault",
        ),
    ] {
        let (code, _, err) = ran(&arguments);
        assert!(code == 2 && err.contains(why), "{arguments:?}: {code} {err}");
    }
}

#[test]
fn what_the_reference_relay_sends_and_what_is_answered_fit_the_message_schema() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/attesto.schema.json"),
    );
    let schema: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    let message = |name: &str| {
        let mut schema = schema.clone();
        schema["$ref"] = format!("#/$defs/{name}").into();
        jsonschema::validator_for(&schema).unwrap()
    };
    let names = ["Delivery", "Acknowledgement", "Enqueued", "Drained", "Witnessed"];
    let [delivery, acknowledgement, enqueued, drained, witnessed] = names.map(message);
    let done = reported(&[
        PROTOCOL[0],
        PROTOCOL[1],
        "--filter",
        "request/*",
        "--filter",
        "witness/*",
    ]);
    let mut seen = [0_usize; 5];
    for exchange in done.record.cases.iter().flat_map(|case| &case.exchanges) {
        let answered = exchange
            .outcome
            .answer()
            .map(|answer| answer.body.to_text().into_owned());
        let answered = answered.unwrap_or_default();
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let mut fits = |at: usize, validator: &jsonschema::Validator, text: &str| {
            assert!(validator.is_valid(&read(text)), "{}: {text}", names[at]);
            seen[at] += 1;
        };
        if exchange.side == Side::Answered {
            let body = exchange.request.body.as_ref().unwrap().to_text().into_owned();
            fits(0, &delivery, &body);
            if exchange.spoiled.is_none() {
                fits(1, &acknowledgement, &answered);
            }
        } else if exchange.outcome.answer().is_some_and(|answer| answer.status == 0) {
            match exchange.request.path.split(' ').next().unwrap() {
                "enqueue-json" => fits(2, &enqueued, answered.trim()),
                "drain-once" => fits(3, &drained, answered.trim()),
                "witness-checkpoint" => fits(4, &witnessed, answered.trim()),
                _ => {}
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 2), "{seen:?}");
}

/// The relay that is written in Python, with the standard library and `cryptography`: as it is, and with a line changed.
#[cfg(unix)]
#[test]
fn the_example_in_python_is_conformant_and_what_is_planted_in_it_is_found() {
    let asked = std::process::Command::new("python3")
        .args(["-c", "import cryptography"])
        .output();
    if !asked.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3 with `cryptography` is not there");
        return;
    }
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/attesto_vault.py");
    let text = std::fs::read_to_string(example).unwrap();
    let home = tempfile::tempdir().unwrap();
    let run = |name: &str, text: &str, filters: &[&str]| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        let program = format!("python3 {}", path.display());
        let mut arguments = vec![PROTOCOL[0], PROTOCOL[1], "--program", &program];
        for filter in filters {
            arguments.extend(["--filter", filter]);
        }
        reported(&arguments)
    };
    let some = [
        "request/plain",
        "request/beyond-ascii",
        "acknowledgement/accepted",
        "queue/loop",
        "queue/drift",
        "secrets/payload",
        "witness/other-hash",
        "witness/race",
    ];
    let done = run("vault.py", &text, &some);
    assert_eq!(done.code, 0, "{}", done.out);
    assert_eq!(done.broken(), Vec::<&str>::new(), "{}", done.out);
    for (name, was, is, filter, id) in [
        (
            "ascii.py",
            "ensure_ascii=False",
            "ensure_ascii=True",
            "request/beyond-ascii",
            "ALV-ENV-05",
        ),
        (
            "truthy.py",
            "ack[\"accepted\"] is True",
            "ack[\"accepted\"]",
            "acknowledgement/accepted",
            "ALV-ACK-05",
        ),
        ("readable.py", "0o600", "0o644", "secrets/payload", "ALV-SEC-03"),
        (
            "drift.py",
            "if kept[\"sha\"] != sha:",
            "if False:",
            "queue/drift",
            "ALV-QUE-06",
        ),
    ] {
        assert!(text.contains(was), "{was}");
        let done = run(name, &text.replace(was, is), &[filter]);
        assert_eq!(done.broken(), [id], "{name}: {}", done.out);
    }
}
