//! Running again: what failed, until something fails, and whenever somebody wants it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use avp_conform::avp::AVP;
use avp_conform::report::{Format, View, render};
use avp_conform::run::Repeats;
use serde_json::Value;

use crate::support::fixture;
use crate::support::program::{program, ran, said};
use crate::support::servers::faulty;

/// A case that failed in one round of two says so in every form, and the requests of both are counted.
#[test]
fn of_a_repeated_run_it_is_said_in_how_many_rounds_a_case_failed() {
    let mut repeats = Repeats::default();
    let rounds = [fixture::conformant(), fixture::one_failure()];
    let requests = rounds
        .iter()
        .flat_map(|round| &round.cases)
        .map(|case| case.exchanges.len());
    let requests: usize = requests.sum();
    rounds.into_iter().for_each(|round| repeats.add(round));
    let record = repeats.finish(&(AVP.rules)()).unwrap();
    assert_eq!(record.requests, Some(requests));
    for format in [
        Format::Text,
        Format::Json,
        Format::Junit,
        Format::Tap,
        Format::Markdown,
        Format::Html,
    ] {
        let shown = String::from_utf8(render(format, &record, &View::default())).unwrap();
        assert!(
            shown.contains("accepted is true (in 1 of 2 rounds)"),
            "{format}: {shown}"
        );
    }
}

/// The ids of the cases of a report.
fn ids(report: &str) -> Vec<String> {
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let cases = report["cases"].as_array().unwrap();
    cases
        .iter()
        .map(|case| case["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_failed_is_run_again_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let [first, second] =
        ["first.json", "second.json"].map(|name| home.path().join(name).display().to_string());
    let into = [&first, &second].map(|path| format!("json={path}"));
    let server = faulty("push-ignores-expected");
    let target = ["--target", &server.url(), "-q"];
    let all = [&target[..], &["--filter", "push/*", "--report", &into[0]]].concat();
    assert_eq!(ran(&all).0, 1);
    let again = [&target[..], &["--failed", &first, "--report", &into[1]]].concat();
    let (code, out, _) = ran(&again);
    assert_eq!(code, 1, "{out}");
    let (all, failed) = (ids(&first), ids(&second));
    assert!(failed.len() > 3 && failed.len() < all.len(), "{failed:?}");
    assert!(
        failed.contains(&"push/stale-is-a-conflict".to_owned()),
        "{failed:?}"
    );

    // Against a server that is mended nothing is left to run.
    assert_eq!(ran(&["-q", "--failed", &first, "--report", &into[1]]).0, 0);
    let (code, _, err) = ran(&["-q", "--failed", &second]);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("no case failed in"), "{err}");
    let (code, _, err) = ran(&["--failed", &first, "--filter", "push/*"]);
    assert_eq!(code, 2, "{err}");
}

#[test]
fn no_more_cases_are_begun_when_enough_have_failed() {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("r.json").display().to_string();
    let server = faulty("push-ignores-expected");
    let run = |more: &[&str]| {
        let url = server.url();
        let target = ["--target", &url, "--jobs", "1", "--filter", "push/*", "--report"];
        let json = format!("json={report}");
        ran(&[&target[..], &[&json], more].concat())
    };
    let (code, out, _) = run(&["--fail-fast=2"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("enough had failed (--fail-fast): "), "{out}");
    let begun = ids(&report).len();
    run(&[]);
    assert!(begun >= 2 && begun < ids(&report).len());
    let (_, out, _) = run(&["--fail-fast"]);
    assert!(out.contains("\n1 failing case, one cause"), "{out}");
}

#[test]
fn a_watched_run_is_made_again_on_enter_until_the_input_ends() {
    let mut child = program()
        .args(["-q", "--filter", "push/applied", "--watch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\n\n").unwrap();
    let (code, out, err) = said(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 3, "{out}");
    assert_eq!(err.matches("press Enter to run again").count(), 3, "{err}");
}

#[test]
fn a_watched_run_is_made_again_when_the_path_changes() {
    let home = tempfile::tempdir().unwrap();
    let built = home.path().join("server");
    fs::write(&built, "one").unwrap();
    let report = home.path().join("r.json");
    let mut child = program()
        .args(["-q", "--filter", "push/applied", "--report"])
        .arg(format!("json={}", report.display()))
        .arg(format!("--watch={}", built.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    assert!(line.starts_with("conformant: "), "{line}");
    fs::write(&built, "two").unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    assert!(line.starts_with("conformant: "), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}
