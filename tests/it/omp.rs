//! The objects API, a protocol of plain HTTP: its suite is data, a schema and a signer. Three servers, one for each mode.

use avp_conform::omp::{OMP, server};
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::selftest::{Matrix, MutantStatus, SelftestOutcome};
use avp_conform::serve::{Reference, ServeOptions};

use crate::support::files;
use crate::support::http::{Answer, constant};
use crate::support::program::{ran, reported};

const PROTOCOL: [&str; 2] = ["--protocol", "omp"];

/// A reference server of one mode.
fn serve(mode: &str, keys: &[(&str, &str)]) -> Box<dyn Reference> {
    let keys = keys
        .iter()
        .map(|(id, key)| ((*id).to_owned(), (*key).to_owned()))
        .collect();
    let options = ServeOptions {
        mode: Some(mode.to_owned()),
        keys,
        ..ServeOptions::default()
    };
    server::start(options).unwrap_or_else(|error| panic!("{error}"))
}

/// The keys that a server is told of which the harness starts: what the message says of them.
fn told(message: &str) -> Vec<(String, String)> {
    let lines = message
        .lines()
        .filter_map(|line| line.trim().strip_prefix("OMP_SIG_PUB_"));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(id, key)| (id.to_owned(), key.to_owned()))
        .collect()
}

#[test]
fn the_reference_servers_are_conformant_and_every_requirement_that_can_be_seen_is_verified() {
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
        .filter(|found| found.verdict != Verdict::Pass)
        .map(|found| found.id.as_str())
        .collect();
    assert_eq!(open, Vec::<&str>::new(), "{}", done.out);
    assert!(
        done.out.contains("OMP 0.1") && !done.out.contains("AVP"),
        "{}",
        done.out
    );
    assert!(done.notes().contains("advice on signatures"), "{}", done.notes());
}

#[test]
fn every_fault_is_caught_and_no_variation_is_blamed() {
    let (code, out, err) = ran(&["selftest", PROTOCOL[0], PROTOCOL[1]]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("\nsound: "), "{out}");
    // The README says how many there are.
    let (faults, variations) = (server::faults().len(), server::variations().len());
    let said = format!("catches {faults} of its {faults} faults and blames none of its {variations}");
    assert!(files::text("README.md").contains(&said), "{said}");
}

#[test]
fn the_published_matrix_is_that_of_this_suite_and_this_server() {
    let remedy = "run `avp-conform selftest --protocol omp --accept`";
    let matrix: Matrix = serde_json::from_str(&files::text("reports/omp.selftest.json")).unwrap();
    let suite = (OMP.load)((OMP.sources)()).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(matrix.suite, suite.hash, "{remedy}");
    assert_eq!(matrix.standing, SelftestOutcome::Sound, "{remedy}");
    let mut named: Vec<&str> = matrix.faults.iter().map(|row| row.name.as_str()).collect();
    let mut known: Vec<&str> = server::faults().iter().map(|fault| fault.name).collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known, "{remedy}");
    assert!(
        matrix.faults.iter().all(|row| row.fate == MutantStatus::Killed),
        "{remedy}"
    );
    assert_eq!(matrix.variations.len(), server::variations().len(), "{remedy}");
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
    assert!(code == 0 && out.contains("list and search"), "{out}{err}");
    let (code, out, err) = ran(&["explain", "OMP-SIG-11"]);
    assert!(code == 0 && out.contains("signatures/bound"), "{out}{err}");
    for command in ["coverage", "lint"] {
        let (code, out, err) = ran(&[command, PROTOCOL[0], PROTOCOL[1]]);
        assert_eq!(code, 0, "{out}{err}");
    }
    // Whoever has a signature that was taken may use it again.
    let text = std::fs::read_to_string(report).unwrap();
    assert!(text.contains("[signature]"));
}

#[test]
fn of_a_single_target_the_mode_is_found_out_and_the_rest_is_not_applicable() {
    let strict = serve("strict", &[]);
    let (code, _, err) = ran(&[PROTOCOL[0], PROTOCOL[1], "--target", &strict.url()]);
    assert_eq!(code, 2, "{err}");
    let told = told(&err);
    assert_eq!(told.len(), 2, "{err}");
    let told: Vec<(&str, &str)> = told.iter().map(|(id, key)| (id.as_str(), key.as_str())).collect();
    for (mode, verified, other) in [
        ("strict", "OMP-SIG-09", "OMP-SIG-02"),
        ("permissive", "OMP-SIG-03", "OMP-SIG-09"),
        ("off", "OMP-SIG-01", "OMP-SIG-03"),
    ] {
        let server = serve(mode, &told);
        let done = reported(&[PROTOCOL[0], PROTOCOL[1], "--target", &server.url()]);
        assert_eq!(
            (done.code, done.record.verdict),
            (0, RunVerdict::Conformant),
            "{mode}: {}",
            done.out
        );
        let verdict = |id: &str| {
            let mut all = done.record.requirements.iter();
            all.find(|found| found.id == id).map(|found| found.verdict)
        };
        assert_eq!(verdict(verified), Some(Verdict::Pass), "{mode}: {}", done.out);
        assert_eq!(
            verdict(other),
            Some(Verdict::NotApplicable),
            "{mode}: {}",
            done.out
        );
        assert_eq!(verdict("OMP-OBJ-03"), Some(Verdict::Pass), "{mode}: {}", done.out);
        assert_eq!(done.record.services.keys().collect::<Vec<_>>(), [mode]);
    }
}

#[test]
fn servers_are_named_with_their_modes_and_the_keys_that_they_know() {
    // The private key of 32 zero bytes, and its public key.
    let private = "0".repeat(64);
    let public = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik";
    let [strict, off] = ["strict", "off"].map(|mode| serve(mode, &[("own", public)]));
    let services =
        [("strict", &strict), ("off", &off)].map(|(mode, server)| format!("{mode}={}", server.url()));
    let done = reported(&[
        PROTOCOL[0],
        PROTOCOL[1],
        "--service",
        &services[0],
        "--service",
        &services[1],
        "--sign-with",
        &format!("own={private}"),
    ]);
    assert_eq!(done.code, 0, "{}", done.out);
    let verdict = |id: &str| {
        let mut all = done.record.requirements.iter();
        all.find(|found| found.id == id).map(|found| found.verdict)
    };
    assert_eq!(verdict("OMP-SIG-09"), Some(Verdict::Pass), "{}", done.out);
    // There is no second key, and nobody permissive.
    for id in ["OMP-SIG-13", "OMP-SIG-02"] {
        assert_eq!(verdict(id), Some(Verdict::NotApplicable), "{id}: {}", done.out);
    }
}

#[test]
fn a_command_is_started_once_for_each_mode() {
    let program = env!("CARGO_BIN_EXE_avp-conform");
    let command = format!("{program} serve --protocol omp --port {{port}}");
    let done = reported(&[PROTOCOL[0], PROTOCOL[1], "--exec", &command]);
    assert_eq!(
        (done.code, done.record.verdict),
        (0, RunVerdict::Conformant),
        "{}",
        done.out
    );
    let not_applicable = done
        .record
        .cases
        .iter()
        .filter(|case| case.verdict != Verdict::Pass);
    assert_eq!(
        not_applicable.map(|case| case.id.as_str()).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
    assert_eq!(done.record.services.len(), 3);
}

#[test]
fn servers_that_store_nothing_verify_nothing() {
    const OBJECT: &str = r#"{"id":"a","namespace":"n","key":"k","created_at":"2024-01-01T00:00:00Z","metadata":{},"content":{},"items":[]}"#;
    const ERROR: &str = r#"{"error":{"code":"unauthorized","message":"no","status":401,"details":null}}"#;
    let answers: [Answer; 6] = [
        |_| (404, ""),
        |_| (401, ERROR),
        |_| (500, ""),
        |_| (200, "{}"),
        |_| (200, OBJECT),
        |asked| match asked.whole().starts_with("POST") {
            true => (201, OBJECT),
            false => (200, OBJECT),
        },
    ];
    for answer in answers {
        let url = constant(answer);
        let services = ["strict", "permissive", "off"].map(|mode| format!("{mode}={url}"));
        let options = services
            .iter()
            .flat_map(|service| ["--service", service.as_str()]);
        let options: Vec<&str> = PROTOCOL.into_iter().chain(options).collect();
        let done = reported(&options);
        assert_eq!(done.code, 1, "{}", done.out);
        assert_eq!(done.verified_musts(), Vec::<&str>::new(), "{}", done.out);
    }
}

#[test]
fn what_is_no_server_of_objects_is_told_at_once() {
    let url = constant(|_| (404, "<h1>Not Found</h1>"));
    let (code, _, err) = ran(&[PROTOCOL[0], PROTOCOL[1], "--target", &url]);
    assert!(
        code == 2 && err.contains("Is the path of --target right?"),
        "{err}"
    );
}
