//! The scripts that `repro` prints do what they say, by curl and openssl.

use std::process::{Command, Output};

use avp_conform::avp::repro::script;
use avp_conform::avp::server::Server;
use avp_conform::record::Record;
use avp_conform::serve::Behaviour;

use crate::support::run;
use crate::support::servers::{fault, plain, start};

/// Whether the script can be run here at all; says so where not.
fn has_tools() -> bool {
    let works = |name: &str, argument: &str| {
        let output = Command::new(name).arg(argument).output();
        output.is_ok_and(|output| output.status.success())
    };
    let old = || {
        let output = Command::new("openssl").arg("version").output().unwrap();
        !String::from_utf8_lossy(&output.stdout).starts_with("OpenSSL 3")
    };
    if !works("curl", "--version") || !works("openssl", "version") || old() {
        eprintln!("skipped: curl and OpenSSL 3 are needed to run scripts");
        return false;
    }
    true
}

fn execute(script: &str, server: &Server) -> Output {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("script.sh");
    std::fs::write(&path, script).unwrap();
    let mut command = Command::new("sh");
    command.arg(path).env("TARGET", server.url()).env_remove("IDP");
    command.output().unwrap()
}

fn scripts(record: &Record) -> Vec<(&str, String)> {
    let script = |case| script(record, case, None).unwrap();
    record
        .cases
        .iter()
        .map(|case| (case.id.as_str(), script(case)))
        .collect()
}

#[test]
fn what_the_plain_server_did_it_does_again() {
    if !has_tools() {
        return;
    }
    let record = run::against(
        Behaviour::Plain,
        &[
            "push/applied",
            "push/stale-is-a-conflict",
            "races/pushes",
            "members/*",
        ],
    );
    let server = plain();
    let scripts = scripts(&record);
    assert!(scripts.len() > 3);
    for (id, script) in scripts.into_iter().take(8) {
        let output = execute(&script, &server);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{id}: {said}\n{script}");
        assert!(said.contains("the same status as recorded"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_failure_is_shown_again_and_is_gone_where_it_is_mended() {
    if !has_tools() {
        return;
    }
    let fault = fault("push-without-token");
    let record = run::against(fault, &["authorization/push-without-token"]);
    let script = script(&record, &record.cases[0], None).unwrap();
    let output = execute(&script, &start(fault));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{script}");
    assert!(said.contains("expected: push by alice is 401"), "{said}");
    let output = execute(&script, &plain());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("another status than recorded: 401"), "{said}");
}

#[test]
fn tokens_that_are_spoiled_are_spoiled_again() {
    if !has_tools() {
        return;
    }
    for name in ["token-compared-without-case", "token-compared-by-prefix"] {
        let fault = fault(name);
        let record = run::against(fault, &["authorization/push-without-token"]);
        assert!(avp_conform::report::is_broken_case(&record.cases[0]), "{name}");
        let script = script(&record, &record.cases[0], None).unwrap();
        let output = execute(&script, &start(fault));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{name}: {said}\n{script}");
        assert_eq!(execute(&script, &plain()).status.code(), Some(1), "{name}");
    }
}

#[test]
fn a_step_can_be_named() {
    let record = run::against(Behaviour::Plain, &["push/stale-is-a-conflict"]);
    let case = &record.cases[0];
    let first = script(&record, case, Some(0)).unwrap();
    assert!(first.contains("say \"step 1: ") && !first.contains("say \"step 2: "));
    let error = script(&record, case, Some(7)).unwrap_err();
    assert_eq!(error, "push/stale-is-a-conflict made no request in step 8");
    for text in [&first, &script(&record, case, None).unwrap()] {
        assert!(!text.contains("[token:"), "{text}");
        for member in ["alice", "bob"] {
            let own = avp_conform::avp::actors::identity(
                &record.seed.parse().unwrap(),
                &avp_conform::avp::actors::scope(0, &case.id),
                member,
            );
            assert!(
                !text.contains(own.member_id()),
                "{member}'s recorded id stands in it"
            );
        }
    }
}
