//! Key packages, the second protocol: judged by the same engine, from the same command line.

use avp_conform::catalogue::Level;
use avp_conform::keypackage::server as registry;
use avp_conform::record::verdict::{RunVerdict, Verdict};

use crate::support::files;
use crate::support::http::{Answer, constant};
use crate::support::program::{ran, reported};

const PROTOCOL: [&str; 2] = ["--protocol", "keypackage"];

#[test]
fn the_reference_registry_is_conformant_and_every_requirement_that_can_be_seen_is_verified() {
    let done = reported(&PROTOCOL);
    assert_eq!(
        (done.code, done.record.verdict),
        (0, RunVerdict::Conformant),
        "{}",
        done.out
    );
    let open: Vec<&str> = done
        .record
        .requirements
        .iter()
        .filter(|found| found.level > Level::May && found.verdict != Verdict::Pass)
        .filter(|found| {
            !found
                .reason
                .as_deref()
                .unwrap_or_default()
                .contains("from a URL alone")
        })
        .map(|found| found.id.as_str())
        .collect();
    // What shows in the program's help and in the database alone.
    assert_eq!(open, ["KPR-RET-05"]);
    assert!(
        done.out.contains("KPR 0") && !done.out.contains("AVP"),
        "{}",
        done.out
    );
}

#[test]
fn every_fault_of_the_registry_is_caught_and_no_variation_is_blamed() {
    let (code, out, err) = ran(&["selftest", PROTOCOL[0], PROTOCOL[1]]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("\nsound: "), "{out}");
    // The README says how many there are.
    let (faults, variations) = (registry::faults().len(), registry::variations().len());
    let said = format!("catches {faults} of its {faults} faults and blames none of its {variations}");
    assert!(files::text("README.md").contains(&said), "{said}");
}

#[test]
fn a_run_is_judged_again_shown_and_explained_by_its_own_protocol() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json");
    let report = report.to_str().unwrap();
    let json = format!("json={report}");
    let (code, ..) = ran(&[PROTOCOL[0], PROTOCOL[1], "-q", "--report", &json]);
    assert_eq!(code, 0);
    let (code, out, err) = ran(&["rejudge", report]);
    assert!(code == 0 && out.contains("no change"), "{out}{err}");
    let (code, out, err) = ran(&["show", report]);
    assert!(code == 0 && out.contains("retention and storage"), "{out}{err}");
    let (code, out, err) = ran(&["explain", "KPR-PUB-06"]);
    assert!(
        code == 0 && out.contains("publish/signature-over-the-text"),
        "{out}{err}"
    );
    let (code, out, err) = ran(&["coverage", PROTOCOL[0], PROTOCOL[1]]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = ran(&["lint", PROTOCOL[0], PROTOCOL[1]]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn registries_that_store_nothing_verify_nothing() {
    let answers: [Answer; 5] = [
        |_| (404, ""),
        |_| (400, ""),
        |_| (500, ""),
        |asked| {
            if asked.whole().starts_with("POST") {
                (204, "")
            } else {
                (200, "{}")
            }
        },
        |asked| match asked.whole().starts_with("POST") {
            true => (204, ""),
            false => (200, r#"{"payload":"","signature":""}"#),
        },
    ];
    for answer in answers {
        let url = constant(answer);
        let done = reported(&[PROTOCOL[0], PROTOCOL[1], "--target", &url]);
        assert_eq!(done.code, 1, "{}", done.out);
        assert_eq!(done.verified_musts(), Vec::<&str>::new(), "{}", done.out);
    }
}

#[test]
fn a_server_that_keeps_nothing_on_disk_refuses_a_file() {
    let (code, out, err) = ran(&["serve", "--db", "registry.db", "--port", "0"]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("keeps everything in memory"), "{err}");
}

/// The reference registry as a command, with these placeholders.
fn command(placeholders: &str) -> String {
    let program = env!("CARGO_BIN_EXE_avp-conform");
    format!("exec {program} serve --protocol keypackage --port {{port}} {placeholders}")
}

/// What became of the cases on retention.
fn retention(placeholders: &str) -> (i32, Vec<(String, Verdict)>, String) {
    let done = reported(&[
        PROTOCOL[0],
        PROTOCOL[1],
        "--exec",
        &command(placeholders),
        "--filter",
        "retention/*",
    ]);
    let cases = done.record.cases.iter();
    let verdicts = cases.map(|case| (case.id.clone(), case.verdict)).collect();
    (done.code, verdicts, done.out)
}

#[cfg(unix)]
#[test]
fn registries_are_started_for_a_case_with_flags_and_killed_and_started_again() {
    for placeholders in ["--db {dir}/registry.db -- {flags}", "-- {flags}"] {
        let (code, verdicts, out) = retention(placeholders);
        assert_eq!(code, 0, "{out}");
        assert!(
            verdicts.len() >= 6 && verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Pass),
            "{verdicts:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_command_without_a_place_for_flags_is_told_what_it_lacks() {
    let (code, verdicts, out) = retention("");
    assert_eq!(code, 3, "{out}");
    assert!(
        verdicts
            .iter()
            .all(|(_, verdict)| *verdict == Verdict::NotApplicable),
        "{verdicts:?}"
    );
    assert!(
        out.contains("note: 9 cases need a server of their own: write {flags} in the command of --exec")
            && out.contains("nothing was judged"),
        "{out}"
    );
}

#[cfg(unix)]
#[test]
fn a_registry_that_forgets_on_a_restart_is_told() {
    let program = env!("CARGO_BIN_EXE_avp-conform");
    // It takes the flags, and the database of each start is another.
    let command = format!(
        "exec {program} serve --protocol keypackage --port {{port}} --fault restart-forgets --db {{dir}}/registry.db -- {{flags}}"
    );
    let done = reported(&[
        PROTOCOL[0],
        PROTOCOL[1],
        "--exec",
        &command,
        "--filter",
        "retention/restart*",
    ]);
    assert_eq!(done.code, 1, "{}", done.out);
    let verdict = |id: &str| {
        let mut all = done.record.requirements.iter();
        all.find(|found| found.id == id).map(|found| found.verdict)
    };
    assert_eq!(verdict("KPR-RET-07"), Some(Verdict::Fail), "{}", done.out);
}
