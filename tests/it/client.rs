//! Clients under test: the reference client and its faults, clients that do nothing, clients of other kinds.

use std::path::Path;

use avp_conform::avp::client_suite::AVP_CLIENT;
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{Record, Side, Wire};
use avp_conform::selftest::{SelftestOutcome, Settings};

use crate::support::matrix::self_test;
use crate::support::program::{ran, reported};

fn verdict(record: &Record, id: &str) -> Verdict {
    record.requirements.iter().find(|it| it.id == id).unwrap().verdict
}

/// The program as a client of itself.
fn own(rest: &str) -> String {
    format!("{} {rest}", env!("CARGO_BIN_EXE_avp-conform"))
}

#[test]
fn every_fault_is_caught_and_no_freedom_is_blamed() {
    let (_, matrix, shown) = self_test(&AVP_CLIENT, Settings::default(), |_| true);
    assert_eq!(matrix.standing, SelftestOutcome::Sound, "{shown}");
}

#[test]
fn the_built_in_client_is_conformant_and_its_record_says_who_asked() {
    let done = reported(&["client", "--seed", &"7".repeat(64)]);
    assert_eq!(done.code, 0, "{}", done.out);
    assert_eq!(done.record.verdict, RunVerdict::Conformant);
    assert_eq!(done.record.protocol.name, "avp-client");
    assert_eq!(done.record.target, "built-in");
    assert_eq!(done.record.requirements.len(), 23);
    let exchanges = || done.record.cases.iter().flat_map(|case| &case.exchanges);
    assert!(exchanges().any(|it| it.side == Side::Answered && it.wire == Wire::Http));
    assert!(exchanges().any(|it| it.side == Side::Asked && it.wire == Wire::Command));
    let text = serde_json::to_string(&done.record).unwrap();
    assert!(!text.contains("Bearer ey") && text.contains("[token:alice:1]"));
    let secret = "ed25519Secret\\\":\\\"[private-key:alice]";
    assert!(text.contains(secret), "keys are hidden");
}

#[test]
fn a_stored_record_is_judged_alike() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("client.json");
    let json = format!("json={}", report.display());
    let (code, out, err) = ran(&["client", "--filter", "!walk/*", "--report", &json]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = ran(&["rejudge", report.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
}

#[cfg(unix)]
#[test]
fn a_walk_is_judged_by_what_it_shows_and_the_rest_is_not_applicable() {
    let done = reported(&["client", "--walk", &own("walk")]);
    assert_eq!(done.code, 0, "{}", done.out);
    for id in [
        "AVP-3-20",
        "AVP-3-21",
        "AVP-3-22",
        "AVP-4-22",
        "AVP-6-31",
        "AVP-6-32",
        "AVP-6-34",
        "AVP-7-21",
        "AVP-10-20",
    ] {
        assert_eq!(verdict(&done.record, id), Verdict::Pass, "{id}: {}", done.out);
    }
    for id in [
        "AVP-4-20", "AVP-4-21", "AVP-4-23", "AVP-6-33", "AVP-8-20", "AVP-9-20",
    ] {
        assert_eq!(verdict(&done.record, id), Verdict::NotApplicable, "{id}");
    }
    assert!(done.out.contains("--adapter"), "{}", done.out);
}

/// What every request of a run went over, as its redirects tell: the origin that they lead to.
fn elsewhere(record: &Record) -> Vec<&str> {
    let exchanges = record.cases.iter().flat_map(|case| &case.exchanges);
    let answers = exchanges.filter_map(|it| it.outcome.answer());
    let headers = answers.flat_map(|answer| &answer.headers);
    headers
        .filter(|(name, _)| name == "location")
        .filter_map(|(_, value)| value.split_once("://").map(|(scheme, _)| scheme))
        .collect()
}

#[cfg(unix)]
#[test]
fn a_client_is_judged_over_tls_if_it_is_told_the_authority() {
    let some = [
        "--filter",
        "walk/*",
        "--filter",
        "sealing/*",
        "--filter",
        "login/*",
    ];
    let built_in = reported(&[["client", "--tls"].as_slice(), &some].concat());
    let (walk, adapter) = (own("walk"), own("adapter"));
    let commands = ["client", "--tls", "--walk", &walk, "--adapter", &adapter];
    let programs = reported(&[commands.as_slice(), &some].concat());
    for done in [&built_in, &programs] {
        assert_eq!(done.record.verdict, RunVerdict::Conformant, "{}", done.out);
        let schemes = elsewhere(&done.record);
        assert!(
            !schemes.is_empty() && schemes.iter().all(|scheme| *scheme == "https"),
            "{schemes:?}"
        );
    }
    assert!(programs.record.client.is_some_and(|client| client.tls));
    // Whoever does not heed the authority asks nothing.
    let deaf = own("walk --cacert tests/no-such-file.pem");
    let done = reported(&["client", "--tls", "--walk", &deaf, "--filter", "walk/plain"]);
    assert_eq!(done.case("walk/plain").verdict, Verdict::Blocked, "{}", done.out);
    let deaf = format!("env -u AVP_CACERT -u SSL_CERT_FILE {}", own("walk"));
    let done = reported(&["client", "--tls", "--walk", &deaf, "--filter", "walk/plain"]);
    assert_eq!(done.case("walk/plain").verdict, Verdict::Blocked, "{}", done.out);
}

#[cfg(unix)]
#[test]
fn faults_of_walks_and_adapters_that_are_programs_are_seen() {
    for (option, command, id) in [
        (
            "--walk",
            own("walk --target {url} --fault nonce-text-signed"),
            "AVP-3-20",
        ),
        ("--walk", own("walk --fault redirect-with-token"), "AVP-3-21"),
        ("--walk", own("walk --fault private-key-logged"), "AVP-10-20"),
        (
            "--adapter",
            own("adapter --fault private-key-logged"),
            "AVP-10-20",
        ),
        ("--adapter", own("adapter --fault aad-little-endian"), "AVP-4-20"),
        (
            "--adapter",
            own("adapter --fault rotation-keeps-the-key"),
            "AVP-6-33",
        ),
    ] {
        let done = reported(&["client", option, &command]);
        assert_eq!(done.code, 1, "{command}: {}", done.out);
        let broken: Vec<&str> = done
            .record
            .requirements
            .iter()
            .filter(|it| it.verdict == Verdict::Fail)
            .map(|it| it.id.as_str())
            .collect();
        assert_eq!(broken, [id], "{command}");
        let causes = done.record.diagnosis.unwrap();
        assert_eq!(causes[0].requirement, id, "{command}");
    }
}

/// Whatever these clients do, it verifies nothing.
#[cfg(unix)]
#[test]
fn clients_that_do_nothing_verify_nothing() {
    let garbage = "i=0; while read l; do i=$((i+1)); echo \"{\\\"id\\\":$i,\\\"ok\\\":{}}\"; done";
    let fetches = "python3 -c 'import urllib.request as u; u.urlopen(\"{url}/.well-known/avp\")'";
    for (walk, adapter) in [
        ("true", "true"),
        ("exit 7", "exit 7"),
        (fetches, "cat"),
        ("echo $AVP_SERVER_URL", garbage),
        ("no-such-program", "no-such-program"),
    ] {
        let done = reported(&["client", "--walk", walk, "--adapter", adapter]);
        assert_eq!(done.code, 1, "{walk}, {adapter}: {}", done.out);
        for requirement in &done.record.requirements {
            assert_ne!(
                requirement.verdict,
                Verdict::Pass,
                "{walk}, {adapter}: {}",
                requirement.id
            );
            // `cat` says the keys that it is given, and that is a leak.
            let may_fail = adapter == "cat" && requirement.id == "AVP-10-20";
            assert!(
                may_fail || requirement.verdict != Verdict::Fail,
                "{walk}, {adapter}: {}",
                requirement.id
            );
        }
    }
}

/// An adapter may say so of each function.
#[cfg(target_os = "linux")]
#[test]
fn what_a_client_has_no_function_for_is_not_applicable() {
    let unsupported = r#"s/"ok":{"address":[^}]*}/"error":{"kind":"unsupported","message":"none"}/"#;
    let adapter = format!("{} | sed -u '{unsupported}'", own("adapter"));
    let done = reported(&["client", "--adapter", &adapter, "--filter", "joining/*"]);
    assert_eq!(done.code, 0, "{}", done.out);
    let of = |id: &str| {
        done.record
            .requirements
            .iter()
            .find(|it| it.id == id)
            .map(|it| it.verdict)
    };
    assert_eq!(of("AVP-8-21"), Some(Verdict::NotApplicable), "{}", done.out);
    assert_eq!(of("AVP-8-20"), Some(Verdict::Pass), "{}", done.out);
}

/// A recording of a walk, sent again: its nonces are others', so that nobody lets it in.
#[cfg(unix)]
#[test]
fn a_recording_that_is_played_again_verifies_nothing() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("walk.json");
    let json = format!("json={}", report.display());
    ran(&["client", "--filter", "walk/plain", "--report", &json]);
    let record = avp_conform::record::load(&report).unwrap();
    let exchanges = record.cases[0]
        .exchanges
        .iter()
        .filter(|it| it.wire == Wire::Http);
    let script: String = exchanges
        .enumerate()
        .map(|(at, exchange)| {
            let body = exchange.request.body.as_ref().map(|body| body.to_text().into_owned());
            let file = home.path().join(format!("{at}.json"));
            std::fs::write(&file, body.unwrap_or_default()).unwrap();
            let request = &exchange.request;
            format!(
                "curl -s -X {} -H 'content-type: application/json' -H 'authorization: Bearer x' --data-binary @{} '{{url}}{}'\n",
                request.method, file.display(), request.path
            )
        })
        .collect();
    let done = reported(&["client", "--walk", &script, "--filter", "walk/plain"]);
    assert_eq!(done.code, 1, "{}", done.out);
    assert!(
        done.record
            .requirements
            .iter()
            .all(|it| it.verdict != Verdict::Pass),
        "{}",
        done.out
    );
}

#[cfg(unix)]
#[test]
fn a_client_that_hangs_or_floods_ends_in_time() {
    let flood = "while :; do curl -s {url}/x >/dev/null || exit 9; done";
    for walk in ["sleep 300", "yes", flood] {
        let done = reported(&[
            "client",
            "--walk",
            walk,
            "--filter",
            "walk/plain",
            "--case-timeout",
            "3",
        ]);
        assert_ne!(done.code, 0, "{walk}: {}", done.out);
        assert!(done.took.as_secs() < 60, "{walk}: {:?}", done.took);
    }
    let silent = "sleep 300";
    let done = reported(&[
        "client",
        "--adapter",
        silent,
        "--filter",
        "login/signature",
        "--case-timeout",
        "2",
    ]);
    assert_ne!(done.code, 0, "{}", done.out);
}

/// The client that is written in Python, with the standard library and `cryptography`.
#[cfg(unix)]
#[test]
fn the_example_in_python_is_conformant() {
    let there = program_of_python();
    if !there {
        eprintln!("skipped: python3 with `cryptography` is not there");
        return;
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let command = |name: &str| format!("python3 {}", examples.join(name).display());
    let (walk, adapter) = (command("avp_client.py"), command("avp_adapter.py"));
    let done = reported(&["client", "--walk", &walk, "--adapter", &adapter]);
    assert_eq!(done.code, 0, "{}", done.out);
}

fn program_of_python() -> bool {
    let asked = std::process::Command::new("python3")
        .args(["-c", "import cryptography"])
        .output();
    asked.is_ok_and(|output| output.status.success())
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_started() {
    for (arguments, wanted) in [
        (&["client", "--exec", "x"] as &[&str], "--exec is for servers"),
        (&["client", "--walk", " "], "--walk is empty"),
        (&["client", "--protocol", "keypackage"], "no cases for clients"),
        (&["client", "--filter", "nonsense/*"], "nonsense"),
        (&["client", "--walk"], "--walk"),
    ] {
        let (code, _, err) = ran(arguments);
        assert!(code == 2 || code == 5, "{arguments:?}: {code} {err}");
        assert!(err.contains(wanted), "{arguments:?}: {err}");
    }
}

#[test]
fn commands_that_look_at_the_suite_know_clients() {
    let (code, out, _) = ran(&["list", "--protocol", "avp-client"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("walk/plain") && out.contains("rotation/removal"),
        "{out}"
    );
    let (code, out, _) = ran(&["coverage", "--protocol", "avp-client"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("AVP-4-20"), "{out}");
    assert_eq!(ran(&["lint", "--protocol", "avp-client"]).0, 0);
    let (code, out, _) = ran(&["explain", "--protocol", "avp-client", "iv-reused"]);
    assert_eq!(code, 0);
    assert!(out.contains("AVP-4-22"), "{out}");
}
