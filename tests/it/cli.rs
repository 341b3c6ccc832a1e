//! The contract of the command line: exit codes, what goes where, and what people read.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{Record, load};
use tempfile::TempDir;

use crate::support::http::{Message, listen, pass_on, read_head};
use crate::support::program::{command, program, ran, said};
use crate::support::servers::{faulty, plain};

/// A server that answers every connection with one answer, and counts connections.
fn stub(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let visits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&visits);
    let address = listen(move |_, mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        if Message::read(&mut stream).is_some() {
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (format!("http://{address}"), visits)
}

/// A directory with one case file of our own.
fn cases(text: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("demo.toml"), text).unwrap();
    home
}

const CASE: &str = r#"about = "A demonstration."

[[case]]
id = "demo/pull"
title = "A member may pull"
why = "Nothing works without it."
checks = ["AVP-6-06"]
repo = {}

[[case.step]]
pull = { known = "current-1" }
answer = "changed"
"#;

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What was said, with `DIR` for the directory that changes from run to run.
fn placed(said: &str, home: &Path) -> String {
    let home = shown(home);
    said.replace(home, "DIR")
        .replace(&home.replace('\\', "/"), "DIR")
        .replace("DIR\\", "DIR/")
}

#[test]
fn the_exit_code_says_what_came_of_it() {
    let (code, out, err) = ran(&["--filter", "push/applied", "-q"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with("conformant: ") && out.lines().count() == 1,
        "{out}"
    );
    let server = faulty("push-without-token");
    let (code, out, err) = ran(&[
        "--target",
        &server.url(),
        "--filter",
        "authorization/push-without-token",
    ]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    for part in ["expected: ", "got: ", "again: avp-conform --target "] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn every_command_that_takes_filters_heeds_them_and_says_what_was_meant() {
    for command in ["list", "coverage"] {
        let (code, out, err) = ran(&[command, "--filter", "push/stale-is-a-conflict"]);
        assert_eq!((code, err.as_str()), (0, ""), "{command}");
        assert!(
            !out.contains("races/pushes") && !out.contains("AVP-9-01"),
            "{out}"
        );
    }
    let (_, out, _) = ran(&["coverage", "--filter", "AVP-2-02"]);
    assert!(
        out.starts_with("AVP-2-02 ") && out.contains("1 server requirement,"),
        "{out}"
    );
    for (arguments, code, meant) in [
        (
            &["list", "--filter", "push/stale"] as &[&str],
            5,
            "did you mean 'push/stale-is-a-conflict'?",
        ),
        (
            &["coverage", "--filter", "push/stale"],
            2,
            "did you mean 'push/stale-is-a-conflict'?",
        ),
        (&["--filter", "AVP-6"], 5, "did you mean 'AVP-6*'?"),
        (&["--filter", "pushs/*"], 5, "did you mean 'push/*'?"),
        (
            &["selftest", "--filter", "nonce-shrt"],
            5,
            "did you mean 'nonce-short'?",
        ),
        (&["explain", "push"], 2, "`avp-conform list --filter push`"),
    ] {
        let (came, out, err) = ran(arguments);
        assert_eq!((came, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(meant), "{arguments:?}: {err}");
    }
}

#[test]
fn a_target_that_cannot_be_reached_ends_the_run_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let begin = Instant::now();
    let (code, out, err) = ran(&["--target", &format!("http://{closed}")]);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(
        err.starts_with(&format!("error: cannot reach http://{closed}: ")),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let (url, visits) = stub("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let bad = cases("about = 'x'\n[[case]]\nid = 'demo/x'\n");
    let empty = tempfile::tempdir().unwrap();
    let taken = empty.path().join("file");
    fs::write(&taken, "").unwrap();
    let good = cases(CASE);
    let known = shown(&empty.path().join("known.list")).to_owned();
    fs::write(&known, "# nothing\n").unwrap();
    let twice = format!("json={}", shown(&empty.path().join("twice.json")));
    let over_case = format!("json={}", shown(&good.path().join("demo.toml")));
    let over_list = format!("json={known}");
    let nowhere = format!("json={}/below/report.json", shown(&taken));
    let directory = format!("json={}", shown(empty.path()));
    for (arguments, part) in [
        (
            &["--no-such-option"][..],
            "unexpected argument '--no-such-option'",
        ),
        (&["--seed", "beef"], "invalid value 'beef' for '--seed <HEX>'"),
        (&["--filter", "a["], "is no glob"),
        (&["--filter", ""], "an empty filter selects nothing"),
        (
            &["--spec", "9.9"],
            "--spec: 9.9 is no published version of Alt Vault Protocol: 0.2, 0.3, 0.4",
        ),
        (&["--timeout", "0"], "seconds, above 0"),
        (&["--jobs", "0"], "invalid value '0'"),
        (&["--idp", "ftp://x"], "--idp: \"ftp://x\" is not an address"),
        (&["--service", "idp"], "a service is written as NAME=URL"),
        (
            &["--service", "ipd=http://x"],
            "AVP has no service \"ipd\", only vault, idp",
        ),
        (
            &["--service", "vault=http://x"],
            "the service vault is named twice",
        ),
        (
            &["--service", "idp=http://x", "--idp", "http://y"],
            "the service idp is named twice",
        ),
        (
            &["--protocol", "keypackage", "--idp", "http://y"],
            "KPR has no service \"idp\", only registry",
        ),
        (
            &["--sign-with", "a=beef"],
            "--sign-with: the private key is 64 hexadecimal digits (it is not shown here)",
        ),
        (
            &["--report", "json=-", "--report", "text=/dev/stdout"],
            "cannot write report standard output: a json report goes there as well",
        ),
        (
            &["--report", &twice, "--report", &twice],
            "a json report goes there as well",
        ),
        (
            &["--cases", shown(good.path()), "--report", &over_case],
            "it is a case file, and would be overwritten",
        ),
        (
            &["--baseline", &known, "--report", &over_list],
            "it is the baseline, and would be overwritten",
        ),
        (
            &["--filter", "push/applied", "--filter", "push/stale"],
            "no case matches --filter 'push/stale'; did you mean 'push/stale-is-a-conflict'?",
        ),
        (
            &["--filter", "!push/aplied"],
            "no case matches --filter '!push/aplied'; did you mean '!push/applied'?",
        ),
        (&["--report", "jsn=x"], "did you mean \"json\"?"),
        (&["--report", "json"], "say where the report goes"),
        (&["--report", &nowhere], "cannot write report "),
        (&["--report", &directory], "it is a directory"),
        (&["--cases", shown(bad.path())], "missing field `title`"),
        (
            &["--cases", shown(&empty.path().join("none"))],
            "cannot read cases from ",
        ),
        (
            &["--baseline", shown(&empty.path().join("none.toml"))],
            "`avp-conform baseline update` makes one",
        ),
    ] {
        let (code, out, err) = ran(&[&["--target", &url], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    let (code, _, err) = ran(&["--target", "no url"]);
    assert_eq!(code, 2);
    assert!(
        err.starts_with("error: --target: \"no url\" is not an address"),
        "{err}"
    );
    assert_eq!(fs::read_to_string(good.path().join("demo.toml")).unwrap(), CASE);
    assert_eq!(fs::read_to_string(&known).unwrap(), "# nothing\n");
    assert_eq!(visits.load(Ordering::SeqCst), 0, "nothing was sent");
}

#[test]
fn a_filter_that_selects_nothing_says_so() {
    let (code, out, err) = ran(&["--filter", "push/aplied"]);
    assert_eq!((code, out.as_str()), (5, ""));
    assert_eq!(
        err,
        "error: no case of AVP 0.4 matches 'push/aplied'; did you mean 'push/applied'?\n"
    );
    let (_, _, err) = ran(&["--filter", "AVP-6-8"]);
    assert!(err.ends_with("did you mean 'AVP-6-08'?\n"), "{err}");
}

#[test]
fn a_target_that_is_no_avp_server_fails_cleanly() {
    let page = "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\
                connection: close\r\n\r\n<h1>no</h1>\r\n";
    let (url, _) = stub(page);
    let (code, out, err) = ran(&["--target", &url, "--filter", "push/applied"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(
        err.contains("this is no server of the Alt Vault Protocol"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 3, "{err}");
}

#[test]
fn reports_go_where_they_are_sent_and_nowhere_else() {
    let home = tempfile::tempdir().unwrap();
    let (junit, page) = (home.path().join("a/junit.xml"), home.path().join("b/page.html"));
    let output = command()
        .args(["--filter", "push/applied", "--report", "json=-"])
        .args(["--report", &format!("junit={}", shown(&junit))])
        .args(["--report", &format!("html={}", shown(&page))])
        .output()
        .unwrap();
    let (code, out, err) = said(&output);
    assert_eq!((code, err.as_str()), (0, ""));
    let record: Record = serde_json::from_str(&out).unwrap();
    let names: Vec<_> = record.cases.iter().map(|case| case.name()).collect();
    assert_eq!(names, ["push/applied", "push/applied over gRPC"]);
    assert!(fs::read_to_string(junit).unwrap().starts_with("<?xml"));
    assert!(fs::read_to_string(page).unwrap().starts_with("<!DOCTYPE html>"));
    let left = |name: &str| fs::read_dir(home.path().join(name)).unwrap().count();
    assert_eq!((left("a"), left("b")), (1, 1), "no temporary files stay");
}

#[test]
fn the_suite_can_be_listed() {
    let (code, out, _) = ran(&["list", "--json", "--filter", "push/applied"]);
    assert_eq!(code, 0);
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(rows[0]["id"], "push/applied");
    assert_eq!(rows[0]["file"], "cases/avp/push.toml");
    assert!(
        rows[0]["requirements"]
            .as_array()
            .unwrap()
            .iter()
            .all(|id| id.is_string())
    );
    let home = cases(CASE);
    let (_, out, _) = ran(&["list", "--cases", shown(home.path()), "--filter", "demo"]);
    assert_eq!(out, "demo/pull  A member may pull\n");
}

#[test]
fn cases_requirements_and_faults_are_explained() {
    let home = cases(CASE);
    let (code, out, _) = ran(&["explain", "demo/pull", "--cases", shown(home.path())]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(placed(&out, home.path()));
    for (id, part) in [
        ("AVP-6-08", "AVP-6-08"),
        ("push/applied", "Run it: avp-conform --filter 'push/applied'"),
        ("push-without-token", "AVP-3-10"),
    ] {
        let (code, out, _) = ran(&["explain", id]);
        assert!(code == 0 && out.contains(part), "{id}: {out}");
    }
    let (code, _, err) = ran(&["explain", "push/aplied"]);
    assert_eq!(code, 2);
    assert_eq!(
        err,
        "error: \"push/aplied\" is no case, requirement or fault; did you mean \"push/applied\"?\n"
    );
}

#[test]
fn coverage_is_told_for_every_requirement() {
    let (code, out, _) = ran(&["coverage", "--json"]);
    assert!(code <= 1);
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    let rows = rows.as_array().unwrap();
    let covered = |id: &str| {
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        row["covered"].as_bool().unwrap()
    };
    assert!(rows.len() > 50 && covered("AVP-6-08") && covered("AVP-2-02"));
    let (_, text, _) = ran(&["coverage"]);
    assert_eq!(
        text.lines().filter(|line| line.starts_with("AVP-")).count(),
        rows.len()
    );
}

#[test]
fn bad_case_files_are_shown_at_their_places() {
    let bad = CASE
        .replace("AVP-6-06", "AVP-6-066")
        .replace("changed", "chaned")
        .replace("title =", "titel =");
    for (name, text) in [
        ("spelling", bad.clone()),
        ("requirement", CASE.replace("AVP-6-06", "AVP-6-066")),
        ("answer", CASE.replace("\"changed\"", "\"chaned\"")),
        ("topic", CASE.replace("demo/pull", "other/pull")),
        ("syntax", CASE.replace("repo = {}", "repo = {")),
    ] {
        let home = cases(&text);
        let (code, out, err) = ran(&["lint", shown(home.path())]);
        assert_eq!((code, out.as_str()), (2, ""), "{name}");
        insta::assert_snapshot!(format!("lint_{name}"), placed(&err, home.path()));
    }
    let good = cases(CASE);
    let (code, out, err) = ran(&["lint", shown(good.path())]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "1 case in 1 file, no problems\n");
    assert_eq!(ran(&["lint", "no/such/file.toml"]).0, 2);
}

#[test]
fn a_port_that_is_taken_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (code, out, err) = ran(&["serve", "--port", &port]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(
        err.contains(&format!("127.0.0.1:{port}")) && err.lines().count() == 1,
        "{err}"
    );
    let (code, _, err) = ran(&["serve", "--fault", "push-without-tokn"]);
    assert_eq!(code, 2);
    assert!(err.contains("did you mean \"push-without-token\"?"), "{err}");
}

/// A stored run against a server that pushes without a token.
fn stored(home: &TempDir) -> String {
    let server = faulty("push-without-token");
    let path = home.path().join("report.json");
    let report = format!("json={}", shown(&path));
    let run = [
        "--target",
        &server.url(),
        "--filter",
        "authorization/push-without-token",
        "--filter",
        "push/applied",
    ];
    assert_eq!(ran(&[&run[..], &["--report", &report]].concat()).0, 1);
    shown(&path).to_owned()
}

#[test]
fn a_stored_report_is_shown_compared_and_judged_again() {
    let home = tempfile::tempdir().unwrap();
    let report = stored(&home);
    let (code, out, err) = ran(&["show", &report, "-q"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("nonconformant: ") && out.lines().count() == 1);
    let (_, out, _) = ran(&["show", &report, "-v"]);
    assert!(
        out.contains("--> cases/avp/authorization.toml:") && out.contains(" | [[case.step]]"),
        "{out}"
    );
    let (_, tap, _) = ran(&["show", &report, "--report", "tap=-"]);
    assert!(tap.starts_with("TAP version 14\n1..2\n"), "{tap}");

    let mended = home.path().join("mended.json");
    let filters = [
        "--filter",
        "authorization/push-without-token",
        "--filter",
        "push/applied",
    ];
    let json = format!("json={}", shown(&mended));
    ran(&[&filters[..], &["--report", &json]].concat());
    let (code, out, _) = ran(&["diff", &report, shown(&mended)]);
    assert!(code == 0 && out.contains("fixed: 1"), "{out}");
    let (code, out, _) = ran(&["diff", shown(&mended), &report]);
    assert!(code == 1 && out.contains("newly failing: 1"), "{out}");

    let (code, out, _) = ran(&["rejudge", &report]);
    assert!(
        code == 0 && out.contains("no change: 2 cases judged again"),
        "{out}"
    );
    let changed = fs::read_to_string(&report)
        .unwrap()
        .replace("\"verdict\": \"fail\"", "\"verdict\": \"pass\"");
    let other = home.path().join("changed.json");
    fs::write(&other, changed).unwrap();
    let (code, out, _) = ran(&["rejudge", shown(&other)]);
    assert!(code == 1 && out.contains("would fail: 1"), "{out}");
}

/// Compressed or not, a report says the same, and its causes are among what it says.
#[test]
fn a_report_may_be_compressed() {
    let home = tempfile::tempdir().unwrap();
    let report = stored(&home);
    let packed = home.path().join("report.json.gz");
    let json = format!("json={}", shown(&packed));
    assert_eq!(ran(&["show", &report, "--report", &json]).0, 0);
    let size = |path: &str| fs::metadata(path).unwrap().len();
    assert!(size(shown(&packed)) * 2 < size(&report));
    assert_eq!(ran(&["show", &report]), ran(&["show", shown(&packed)]));
    let plain: serde_json::Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    let causes = plain["diagnosis"].as_array().unwrap();
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!(causes[0]["shown_by"], "authorization/push-without-token");
    assert!(["AVP-3-10"].contains(&causes[0]["requirement"].as_str().unwrap()));
}

#[test]
fn a_report_that_is_none_is_said() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.json");
    fs::write(&path, "{}").unwrap();
    for arguments in [
        &["show", shown(&path)][..],
        &["diff", shown(&path), shown(&path)],
        &["rejudge", shown(&path)],
        &["baseline", "update", "--baseline", "known.toml", shown(&path)],
        &["repro", "--from", shown(&path)],
    ] {
        let (code, out, err) = ran(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(
            err.ends_with("is no report of avp-conform; `--report json=PATH` writes one\n"),
            "{err}"
        );
    }
    assert_eq!(ran(&["diff", "-", "-"]).0, 2);
    assert_eq!(ran(&["show", "no/such.json"]).0, 2);
}

#[test]
fn a_command_does_not_overwrite_what_it_reads() {
    let home = tempfile::tempdir().unwrap();
    let report = stored(&home);
    let before = fs::read(&report).unwrap();
    let json = format!("json={report}");
    for arguments in [
        &["show", &report, "--report", &json][..],
        &["merge", &report, "--report", &json],
        &["baseline", "update", "--baseline", &report, &report],
    ] {
        let (code, out, err) = ran(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains("and would be overwritten"), "{arguments:?}: {err}");
        assert_eq!(fs::read(&report).unwrap(), before, "{arguments:?}");
    }
}

#[test]
fn nothing_that_was_looked_at_is_no_success() {
    let home = cases(CASE);
    let report = home.path().join("report.json");
    let json = format!("json={}", shown(&report));
    let run = [
        "--cases",
        shown(home.path()),
        "--filter",
        "demo/pull",
        "--report",
        &json,
    ];
    assert_eq!(ran(&run).0, 0);
    let (code, _, err) = ran(&["rejudge", shown(&report)]);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("no case of the report is in this suite"), "{err}");
    assert_eq!(
        ran(&["rejudge", shown(&report), "--cases", shown(home.path())]).0,
        0
    );
    let (code, _, err) = ran(&["selftest", "--filter", "nonce-short", "--filter", "nonce-shrt"]);
    assert_eq!(code, 2);
    assert_eq!(
        err,
        "error: no fault or variation matches --filter 'nonce-shrt'; did you mean 'nonce-short'?\n"
    );
    let (code, _, err) = ran(&["list", "--filter", "push", "--filter", "!push/aplied"]);
    assert_eq!(code, 2, "{err}");
}

#[test]
fn known_failures_go_from_a_report_to_a_run_and_out_again() {
    let home = tempfile::tempdir().unwrap();
    let (report, list) = (stored(&home), home.path().join("known.toml"));
    let update = ["baseline", "update", "--baseline", shown(&list)];
    let reason = ["--reason", "being mended", "--issue", "https://example.org/7"];
    let (code, out, err) = ran(&[&update[..], &reason, &[&report]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        placed(&out, home.path()),
        "added    case = \"authorization/push-without-token\"\nDIR/known.toml: 1 change\n"
    );
    insta::assert_snapshot!("known_failures", fs::read_to_string(&list).unwrap());

    let server = faulty("push-without-token");
    let run = [
        "--target",
        &server.url(),
        "--filter",
        "authorization/push-without-token",
        "--baseline",
        shown(&list),
    ];
    let (code, out, _) = ran(&run);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("fail authorization/push-without-token: being mended"),
        "{out}"
    );
    let (code, out, _) = ran(&[
        "--filter",
        "authorization/push-without-token",
        "--baseline",
        shown(&list),
    ]);
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("it fails no more"), "{out}");
    let mended = home.path().join("mended.json");
    let json = format!("json={}", shown(&mended));
    ran(&["--filter", "authorization/push-without-token", "--report", &json]);
    let (_, out, _) = ran(&[&update[..], &[shown(&mended)]].concat());
    assert!(
        out.starts_with("removed  case = \"authorization/push-without-token\": it fails no more\n"),
        "{out}"
    );
    assert_eq!(
        ran(&[
            "--filter",
            "authorization/push-without-token",
            "--baseline",
            shown(&list)
        ])
        .0,
        0
    );
    let (_, out, _) = ran(&[&update[..], &[shown(&mended)]].concat());
    assert!(out.ends_with("known.toml is up to date\n"), "{out}");
    fs::write(&list, "[[known]]\ncase = 'push/*'\nreasn = 'x'\n").unwrap();
    let (code, out, err) = ran(&["--baseline", shown(&list)]);
    assert_eq!((code, out.as_str()), (2, ""));
    insta::assert_snapshot!("known_failures_misspelt", placed(&err, home.path()));
}

#[test]
fn a_script_is_printed() {
    let (code, out, err) = ran(&["repro", "push/applied"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("#!/bin/sh\n# push/applied: "), "{out}");
    assert!(out.contains("TARGET=${TARGET:-'http://localhost:8787'}"));
    let home = tempfile::tempdir().unwrap();
    let report = stored(&home);
    let (code, out, _) = ran(&["repro", "--from", &report]);
    assert!(
        code == 0 && out.starts_with("#!/bin/sh\n# authorization/push-without-token: "),
        "{out}"
    );
    let (code, _, err) = ran(&["repro", "push/aplied"]);
    assert_eq!(
        (code, err.as_str()),
        (
            2,
            "error: there is no case \"push/aplied\"; did you mean \"push/applied\"?\n"
        )
    );
    assert_eq!(ran(&["repro"]).0, 2);
    assert_eq!(ran(&["repro", "push/applied", "--step", "0"]).0, 2);
    assert_eq!(ran(&["repro", "push/applied", "--step", "9"]).0, 2);
}

#[test]
fn reports_of_an_earlier_run_do_not_outlive_one_that_fails() {
    let home = tempfile::tempdir().unwrap();
    let (json, junit) = (home.path().join("a.json"), home.path().join("a.xml"));
    let reports = [
        format!("json={}", shown(&json)),
        format!("junit={}", shown(&junit)),
    ];
    let reports = ["--report", &reports[0], "--report", &reports[1]];
    let run = |more: &[&str]| ran(&[&["--filter", "push/applied"], &reports[..], more].concat());
    assert_eq!(run(&[]).0, 0);
    let record = || load(&json).unwrap();
    assert_eq!(record().verdict, RunVerdict::Conformant);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, out, err) = run(&["--target", &format!("http://{closed}")]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert_eq!(record().verdict, RunVerdict::Incomplete);
    assert_eq!(record().target, format!("http://{closed}"));
    assert_eq!(record().cases[0].verdict, Verdict::Error);
    assert!(record().notes[0].starts_with(&format!("cannot reach http://{closed}")));
    assert!(fs::read_to_string(&junit).unwrap().contains("errors=\"1\""));
    // What was refused is no run: the file is left, and that is said.
    let (code, _, err) = run(&["--seed", &"0".repeat(64), "--shard", "1/2", "--cases", "no/such"]);
    assert_eq!(code, 2);
    assert!(
        err.contains(&format!(
            "note: nothing was run, and {} is not of this run",
            shown(&json)
        )),
        "{err}"
    );
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_leaves_no_green_report() {
    let home = tempfile::tempdir().unwrap();
    let json = home.path().join("a.json");
    let report = format!("json={}", shown(&json));
    assert_eq!(ran(&["--filter", "push/applied", "--report", &report]).0, 0);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut child = program()
        .args(["--filter", "push/applied", "--report", &report, "--target", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _held = silent.accept().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let record = load(&json).unwrap();
    assert_eq!((record.verdict, record.target), (RunVerdict::Incomplete, url));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let home = tempfile::tempdir().unwrap();
    let report = stored(&home);
    let server = faulty("push-without-token");
    let url = server.url();
    for (arguments, expected) in [
        (&["--help"][..], 3),
        (&["--version"], 3),
        (&["list"], 3),
        (&["coverage"], 3),
        (&["lint"], 3),
        (&["man"], 3),
        (&["completions", "bash"], 3),
        (&["explain", "AVP-6-08"], 3),
        (&["serve", "--list-faults"], 3),
        (&["serve", "--port", "0"], 3),
        (&["show", &report], 3),
        (&["show", &report, "--report", "json=-"], 3),
        (&["diff", &report, &report], 3),
        (&["rejudge", &report], 3),
        (&["repro", "--from", &report], 3),
        (&["--filter", "push/applied"], 3),
        (
            &["--target", &url, "--filter", "authorization/push-without-token"],
            1,
        ),
    ] {
        let child = program()
            .args(arguments)
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (code, _, err) = said(&child.wait_with_output().unwrap());
        assert_eq!(code, expected, "{arguments:?}: {err}");
        assert!(
            err.contains("standard output: No space left"),
            "{arguments:?}: {err}"
        );
        let verdict = err.contains("conformant: ");
        assert_eq!(
            verdict,
            arguments[0] == "show" || arguments[0].starts_with("--filter") || arguments[0] == "--target",
            "{arguments:?}: {err}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_written_loses_neither_the_others_nor_the_verdict() {
    let home = tempfile::tempdir().unwrap();
    let junit = home.path().join("a.xml");
    let reports = [
        "--report",
        "json=/dev/full",
        "--report",
        &format!("junit={}", shown(&junit)),
    ];
    let (code, out, err) = ran(&[&["--filter", "push/applied"], &reports[..]].concat());
    assert_eq!(code, 3);
    assert!(
        out.contains("\nconformant: the built-in reference server · "),
        "{out}"
    );
    assert!(err.starts_with("error: cannot write report /dev/full: "), "{err}");
    assert!(fs::read_to_string(&junit).unwrap().contains("failures=\"0\""));
    let server = faulty("push-without-token");
    let run = [
        "--target",
        &server.url(),
        "--filter",
        "authorization/push-without-token",
    ];
    let (code, _, err) = ran(&[&run[..], &reports].concat());
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("/dev/full"), "{err}");
}

#[test]
fn a_mistyped_variable_is_no_target() {
    let with = |name: &str| {
        let mut command = command();
        command.args(["--filter", "push/applied", "-q"]);
        said(&command.env(name, "http://127.0.0.1:1").output().unwrap())
    };
    let (code, out, err) = with("AVP_TARGETS");
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: the environment variable AVP_TARGETS is not read; did you mean AVP_TARGET?\n"
    );
    let (code, out, err) = with("AVP_DATABASE_URL");
    assert_eq!(code, 0);
    assert!(
        out.starts_with("conformant: the built-in reference server · "),
        "{out}"
    );
    assert!(
        err.starts_with("warning: the environment variable AVP_DATABASE_URL is not read"),
        "{err}"
    );
    assert_eq!(with("AVP_TARGET").0, 3);
}

#[test]
fn the_configuration_is_looked_for_upwards() {
    let home = tempfile::tempdir().unwrap();
    let below = home.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let server = faulty("push-without-token");
    let text = format!(
        "target = '{}'\nfilter = ['push/applied']\nreport = ['json=report.json']\nquiet = true\n",
        server.url()
    );
    let path = home.path().join("avp-conform.toml");
    fs::write(&path, &text).unwrap();
    let run = || said(&command().current_dir(&below).output().unwrap());
    let (code, out, err) = run();
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with(&format!("conformant: {} · ", server.url())),
        "{out}"
    );
    assert!(home.path().join("report.json").exists() && !below.join("report.json").exists());
    fs::write(&path, text.replace("json=report.json", "json=avp-conform.toml")).unwrap();
    let (code, _, err) = run();
    assert_eq!(code, 2);
    assert!(
        err.contains("it is the configuration file, and would be overwritten"),
        "{err}"
    );
    fs::write(&path, "exec = 'exit 9'\n").unwrap();
    fs::write(
        home.path().join("a/avp-conform.toml"),
        "filter = ['push/applied']\n",
    )
    .unwrap();
    assert_eq!(run().0, 0, "the nearest decides");
}

#[test]
fn no_message_holds_a_password() {
    let home = tempfile::tempdir().unwrap();
    let url = "http://me:hunter2@127.0.0.1:1/";
    let config = |text: &str| {
        fs::write(home.path().join("avp-conform.toml"), text).unwrap();
    };
    let run = |arguments: &[&str], variable: Option<&str>| {
        let mut command = command();
        command.current_dir(home.path()).args(arguments);
        command.envs(variable.map(|name| (name, url)));
        let output = command.output().unwrap();
        let (code, out, err) = said(&output);
        assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{out}{err}");
        code
    };
    assert_eq!(run(&["--target", url], None), 2);
    assert_eq!(run(&["--target", "http://127.0.0.1:1", "--idp", url], None), 2);
    assert_eq!(run(&["--target", "http://me:hunt/hunter2@host:1"], None), 2);
    assert_eq!(run(&[], Some("AVP_TARGET")), 2);
    assert_eq!(run(&["--target", "http://127.0.0.1:1"], Some("AVP_IDP")), 2);
    assert_eq!(run(&["--help"], Some("AVP_TARGET")), 0);
    assert_eq!(run(&[url], None), 2);
    assert_eq!(run(&["repro", "push/applied", "--target", url], None), 2);
    assert_eq!(run(&["repro", "push/applied"], Some("AVP_TARGET")), 2);
    config(&format!("target = '{url}'"));
    assert_eq!(run(&[], None), 2);
    config(&format!("target = ['{url}']"));
    assert_eq!(run(&[], None), 2);
    config(&format!("report = ['jsn={url}']"));
    assert_eq!(run(&[], None), 2);
    config(&format!(
        "exec = 'echo {url}; exit 3'\nreport = ['json=r.json', 'html=r.html']"
    ));
    assert_eq!(run(&[], None), 3);
    for name in ["r.json", "r.html"] {
        let report = fs::read_to_string(home.path().join(name)).unwrap();
        assert!(report.contains("***") && !report.contains("hunter2"), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_reference_server_ends_when_it_is_asked_to() {
    for signal in ["-TERM", "-INT"] {
        let mut child = program()
            .args(["serve", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        assert!(line.starts_with("serving AVP at http://"), "{line}");
        let id = child.id().to_string();
        let told = Command::new("kill").args([signal, &id]).status();
        assert!(told.unwrap().success());
        // A code, and no signal: it listens, and so it ends as process 1 too.
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_reference_server_tells_what_it_did() {
    for (protocol, fault) in [("avp", "errors-in-message"), ("omp", "errors-as-text")] {
        let mut child = program()
            .args([
                "serve",
                "--protocol",
                protocol,
                "--port",
                "0",
                "--log",
                "--fault",
                fault,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let first_line = |stream: &mut dyn std::io::Read| {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stream), &mut line).unwrap();
            line
        };
        let serving = first_line(child.stdout.as_mut().unwrap());
        let place = serving
            .split(' ')
            .find_map(|word| word.strip_prefix("http://"))
            .unwrap();
        let mut stream = std::net::TcpStream::connect(place.trim_end_matches(',')).unwrap();
        std::io::Write::write_all(&mut stream, b"GET /nope HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let told = first_line(child.stderr.as_mut().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told, format!("GET /nope 404 ({fault})\n"), "{protocol}");
    }
}

#[test]
fn help_says_what_there_is() {
    for words in [
        &["show"][..],
        &["diff"],
        &["rejudge"],
        &["baseline", "update"],
        &["repro"],
    ] {
        let (code, out, _) = ran(&[words, &["--help"]].concat());
        assert_eq!(code, 0);
        insta::assert_snapshot!(format!("help_{}", words.join("_")), out);
    }
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let colored = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command();
        command.args(arguments).envs(variables.iter().copied());
        let (_, out, err) = said(&command.output().unwrap());
        format!("{out}{err}").contains("\u{1b}[")
    };
    let home = cases("about = 7");
    let wrong = shown(home.path());
    for (arguments, variables, wanted) in [
        (
            &["--filter", "push/applied"] as &[&str],
            &[] as &[(&str, &str)],
            false,
        ),
        (&["--filter", "push/applied"], &[("FORCE_COLOR", "1")], true),
        (
            &["--filter", "push/applied", "--color", "never"],
            &[("FORCE_COLOR", "1")],
            false,
        ),
        (
            &["--filter", "push/applied", "--color=always"],
            &[("NO_COLOR", "1")],
            true,
        ),
        (&["lint", wrong, "--color", "always"], &[], true),
        (&["--color", "always", "--no-such-option"], &[], true),
    ] {
        assert_eq!(
            colored(arguments, variables),
            wanted,
            "{arguments:?} {variables:?}"
        );
    }
}

#[test]
fn one_case_file_is_as_good_as_a_directory_and_hidden_ones_are_left_alone() {
    let home = cases(&format!("\u{feff}{}", CASE.replace('\n', "\r\n")));
    fs::write(home.path().join(".demo.toml"), "what an editor left").unwrap();
    fs::write(home.path().join("._demo.toml"), [0xff, 0xfe]).unwrap();
    let file = home.path().join("demo.toml");
    for path in [home.path(), &file] {
        let (code, out, err) = ran(&["--cases", shown(path), "--filter", "demo/pull", "-q"]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert_eq!(
            ran(&["lint", shown(path)]),
            (0, "1 case in 1 file, no problems\n".to_owned(), String::new())
        );
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_any_input() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    let mark = |name: &str, text: &str| fs::write(at(name), format!("\u{feff}{text}")).unwrap();
    mark("headers", "X-Demo: 1\n");
    mark("known.toml", "# nothing yet\n");
    mark("options.toml", "quiet = true\n");
    let report = format!("json={}", at("report.json"));
    let (code, out, err) = ran(&[
        "--filter",
        "push/applied",
        "--config",
        &at("options.toml"),
        "--header-file",
        &at("headers"),
        "--baseline",
        &at("known.toml"),
        "--report",
        &report,
    ]);
    assert_eq!((code, out.lines().count()), (0, 1), "{out}{err}");
    mark("marked.json", &fs::read_to_string(at("report.json")).unwrap());
    let (code, _, err) = ran(&["show", &at("marked.json"), "-q"]);
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn lint_tells_everything_at_once_and_in_other_forms() {
    let wrong = CASE
        .replace("title", "titel")
        .replace("AVP-6-06", "AVP-6-6")
        .replace("'changed'", "'chaned'")
        .replace("\"changed\"", "\"chaned\"")
        + "\n[[case]]\nid = \"push/applied\"\ntitle = \"x\"\nchecks = [\"AVP-6-9\"]\n\
           repo = { members = [\"bob\"] }\n[[case.step]]\nas = \"bbo\"\npush = {}\nanswer = \"granted\"\n";
    let home = cases(&wrong);
    let path = home.path().join("demo.toml");
    let (code, out, err) = ran(&["lint", shown(&path)]);
    assert_eq!((code, out.as_str()), (2, ""));
    for part in [
        "unknown field `titel`",
        "did you mean \"changed\"?",
        "the case id `push/applied` is taken",
        "`push/applied` is no id of this file",
        "did you mean `AVP-6-09`?",
        "nobody else in the case is called `bbo`",
        "did you mean `AVP-6-06`?",
        "7 problems",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let (code, out, err) = ran(&["lint", shown(&path), "--format", "json"]);
    assert_eq!((code, err.as_str()), (2, ""));
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let problems = told["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 7, "{out}");
    let first = &problems[0];
    assert_eq!(
        (
            first["line"].as_u64(),
            first["column"].as_u64(),
            first["end_column"].as_u64()
        ),
        (Some(5), Some(1), Some(6)),
        "{first}"
    );
    let lines: Vec<u64> = problems.iter().map(|it| it["line"].as_u64().unwrap()).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    let (code, out, _) = ran(&["lint", shown(&path), "--format", "github"]);
    assert_eq!((code, out.lines().count()), (2, 7), "{out}");
    let begins = format!(
        "::error file={},line=5,endLine=5,col=1,title=",
        shown(&path).replace('\\', "/")
    );
    assert!(out.replace("%3A", ":").starts_with(&begins), "{out}");
    assert!(
        out.lines().next().unwrap().contains("%0Adid you mean `title`?"),
        "{out}"
    );
    let (code, out, _) = ran(&["lint", "--format", "json"]);
    assert_eq!(code, 0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&out).unwrap()["problems"],
        serde_json::json!([])
    );
}

#[test]
fn lint_reads_standard_input() {
    let lint = |text: &str| {
        let output = command()
            .args(["lint", "-"])
            .write_stdin(text.to_owned())
            .output();
        said(&output.unwrap())
    };
    assert_eq!(
        lint(CASE),
        (0, "1 case in 1 file, no problems\n".to_owned(), String::new())
    );
    let (code, _, err) = lint(&CASE.replace("demo/pull", "demo/Pull"));
    assert!(code == 2 && err.contains("--> -:4:6"), "{err}");
}

/// A proxy that tunnels for whoever knows the password, and how many tunnels it made.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let tunnels = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tunnels);
    let address = listen(move |_, client| tunnel(client, &count));
    (address.to_string(), tunnels)
}

fn tunnel(mut client: TcpStream, count: &AtomicUsize) {
    let head = read_head(&mut client).unwrap();
    let place = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next());
    // me:p@ss
    let is_known = head.contains("Proxy-Authorization: Basic bWU6cEBzcw==\r\n");
    let (Some(place), true) = (place, is_known) else {
        let _ = client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        return;
    };
    count.fetch_add(1, Ordering::SeqCst);
    let target = TcpStream::connect(place).unwrap();
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .unwrap();
    let (back, forth) = (target.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || pass_on(back, client));
    pass_on(forth, target);
}

#[test]
fn a_proxy_is_used_where_one_is_named_and_its_password_stays_hidden() {
    let server = plain();
    let (address, tunnels) = proxy();
    let url = server.url();
    let run = ["--target", &url, "--filter", "push/applied"];
    let plain = command()
        .args(run)
        .envs([("HTTP_PROXY", &address), ("ALL_PROXY", &address)])
        .output()
        .unwrap();
    assert_eq!((said(&plain).0, tunnels.load(Ordering::SeqCst)), (0, 0));
    let with = format!("http://me:p%40ss@{address}");
    let (code, out, err) = ran(&[&run[..], &["--proxy", &with]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(tunnels.load(Ordering::SeqCst) > 0);
    assert!(
        out.contains(&format!("through the proxy http://{address}")),
        "{out}"
    );
    assert!(!out.contains("p%40ss") && !out.contains("p@ss"), "{out}");
    let without = format!("http://{address}");
    let (code, _, err) = ran(&[&run[..], &["--proxy", &without]].concat());
    assert_eq!(code, 3);
    assert!(
        err.contains("it answered CONNECT") && err.contains("407 Proxy Authentication Required"),
        "{err}"
    );
    let (code, _, err) = ran(&["--proxy", &with, "--filter", "push/applied"]);
    assert!(code == 2 && err.contains("--proxy needs --target"), "{err}");
}

#[test]
fn what_init_writes_can_be_used_at_once_and_nothing_is_overwritten() {
    let server = plain();
    let url = server.url();
    for (ci, file) in [
        ("github", Some(".github/workflows/avp-conform.yml")),
        ("gitlab", Some(".gitlab/avp-conform.yml")),
        ("none", None),
    ] {
        let home = tempfile::tempdir().unwrap();
        let within = |arguments: &[&str]| {
            let output = command().current_dir(home.path()).args(arguments).output();
            said(&output.unwrap())
        };
        let (code, out, err) = within(&["init", "--target", &url, "--ci", ci]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert_eq!(out.contains("OWNER"), file.is_some(), "{out}");
        assert_eq!(
            within(&["lint", "conformance"]),
            (0, "1 case in 1 file, no problems\n".to_owned(), String::new())
        );
        let (code, out, err) = within(&["--filter", "first/stale-push", "-q"]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.contains(&url), "{out}");
        assert!(home.path().join("avp-conform-report/report.html").exists());
        if let Some(file) = file {
            let text = fs::read_to_string(home.path().join(file)).unwrap();
            assert!(text.contains(concat!("@v", env!("CARGO_PKG_VERSION"))), "{text}");
        }
        let before = fs::read(home.path().join("avp-conform.toml")).unwrap();
        fs::remove_file(home.path().join("conformance/first.toml")).unwrap();
        let (code, out, err) = within(&["init", "--exec", "server {port}"]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(
            err.contains("avp-conform.toml") && err.contains("nothing was written"),
            "{err}"
        );
        assert_eq!(fs::read(home.path().join("avp-conform.toml")).unwrap(), before);
        assert!(!home.path().join("conformance/first.toml").exists());
    }
    let home = tempfile::tempdir().unwrap();
    let command = "sh -c \"serve 'here' {port}\"";
    assert_eq!(
        ran(&["init", shown(home.path()), "--exec", command, "--ci", "none"]).0,
        0
    );
    let text = fs::read_to_string(home.path().join("avp-conform.toml")).unwrap();
    let written: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(written["exec"].as_str(), Some(command));
    let schema: serde_json::Value = serde_json::from_str(
        &fs::read_to_string(home.path().join("conformance/config.schema.json")).unwrap(),
    )
    .unwrap();
    let written = serde_json::to_value(written).unwrap();
    let wrong = jsonschema::validate(&schema, &written);
    assert!(wrong.is_ok(), "{wrong:?}");
}

#[test]
fn shells_and_readers_of_manuals_are_served() {
    for (options, expected) in [
        (&["completions", "bash"][..], "avp-conform"),
        (&["man"], "avp\\-conform \\- Conformance"),
    ] {
        let (code, out, err) = ran(options);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains(expected), "{out}");
    }
}
