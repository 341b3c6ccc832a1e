//! A conformant server that is slow, that pauses, that limits the rate of requests or that forgets connections is
//! conformant, whatever load a run puts on it; and one that hangs is named.
//!
//! Delays are short and verdicts alone are looked at. The full measurements take an hour:
//! `cargo test --release --test it load::measure -- --ignored --nocapture`.

use std::process::Command;
use std::time::{Duration, Instant};

use avp_conform::avp::server::{Options, Server};
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{ADVICE, CaseRecord, Record, load};

use crate::support::slow_proxy::{Conduct, Proxy};

/// What a run left behind.
struct Done {
    code: Option<i32>,
    out: String,
    record: Record,
}

impl Done {
    fn case(&self, id: &str) -> &CaseRecord {
        self.record.cases.iter().find(|case| case.id == id).unwrap()
    }

    fn is_conformant(&self) {
        assert_eq!(
            (self.code, self.record.verdict),
            (Some(0), RunVerdict::Conformant),
            "{}",
            self.out
        );
    }
}

/// The program against the built-in server behind a proxy.
fn run(conduct: Conduct, options: &[&str]) -> Done {
    let server = Server::start(Options::default()).unwrap();
    let proxy = Proxy::start(server.address(), conduct);
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_avp-conform"))
        .args(["--target", &proxy.url()])
        .args(options)
        .args(["--report", &format!("json={}", report.display())])
        .current_dir(home.path())
        .output()
        .unwrap();
    let out = [output.stdout.as_slice(), &output.stderr].concat();
    let out = String::from_utf8_lossy(&out).into_owned();
    Done {
        code: output.status.code(),
        record: load(&report).unwrap_or_else(|error| panic!("{error}: {out}")),
        out,
    }
}

/// The cases of what members do every day, with one more option.
fn run_everyday(conduct: Conduct, option: [&str; 2]) -> Done {
    let filters = ["push/*", "pull/*", "members/*"].map(|glob| ["--filter", glob]);
    run(conduct, &[&option, filters.as_flattened()].concat())
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_write_that_went_out_twice_is_not_held_against_the_server() {
    let done = run(Conduct::Forgets("/push"), &["--filter", "push/applied"]);
    done.is_conformant();
    let doubtful = |case: &CaseRecord| case.exchanges.iter().any(|it| it.resent);
    assert!(!doubtful(done.case("push/applied")), "{}", done.out);
}

#[test]
fn one_worker_that_is_slow_is_conformant() {
    // Thirty-two cases at once, or a race of eight, would wait for longer than the limit.
    let done = run(
        Conduct::OneWorker(ms(15)),
        &[
            "--timeout",
            "0.1",
            "--filter",
            "races/pushes",
            "--filter",
            "push/*",
        ],
    );
    done.is_conformant();
}

#[test]
fn a_pause_of_the_whole_target_is_no_fault_of_its_operations() {
    run_everyday(Conduct::Pause(200, ms(1200)), ["--timeout", "1"]).is_conformant();
}

#[test]
fn an_upload_that_stalls_everybody_is_told_and_no_fault() {
    let done = run(
        Conduct::ReadsOne,
        &["--timeout", "1", "--filter", "held/*-removed-member"],
    );
    done.is_conformant();
    let case = done.case("held/push-of-a-removed-member");
    let advice = case.checks.iter().filter(|check| check.name == ADVICE).count();
    assert_eq!(advice, 1, "{}", done.out);
    let said = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("one stalled upload stops all clients"), "{said}");
}

#[test]
fn a_short_queue_of_connections_is_no_fault() {
    run_everyday(Conduct::ShortQueue(5, ms(5)), ["--jobs", "64"]).is_conformant();
}

#[test]
fn a_limited_rate_is_found_and_kept_to() {
    let done = run(
        Conduct::Rate(100),
        &[
            "--filter",
            "push/*",
            "--filter",
            "pull/*",
            "--filter",
            "races/pushes",
        ],
    );
    done.is_conformant();
    assert!(
        done.record
            .notes
            .iter()
            .any(|note| note.contains("requests a second")),
        "{:?}",
        done.record.notes
    );
}

#[test]
fn what_hangs_is_named() {
    let done = run(
        Conduct::Hangs("/push"),
        &["--timeout", "0.3", "--filter", "push/*", "--filter", "pull/*"],
    );
    assert_eq!(
        (done.code, done.record.verdict),
        (Some(1), RunVerdict::Nonconformant),
        "{}",
        done.out
    );
    let push = done
        .record
        .requirements
        .iter()
        .find(|it| it.id == "AVP-6-09")
        .unwrap();
    assert_eq!(push.verdict, Verdict::Fail, "{}", done.out);
    let notes = done.record.notes.join("\n");
    assert!(notes.contains("nothing else under way: push"), "{notes}");
    // What does not push is judged as ever.
    assert_eq!(
        done.case("pull/unknown-repository").verdict,
        Verdict::Pass,
        "{}",
        done.out
    );
}

#[test]
fn a_target_slower_than_any_limit_is_not_judged() {
    let done = run(
        Conduct::Slow(ms(700)),
        &["--timeout", "0.1", "--filter", "push/applied"],
    );
    assert_eq!(
        (done.code, done.record.verdict),
        (Some(3), RunVerdict::Incomplete),
        "{}",
        done.out
    );
    assert!(done.out.contains("raise --timeout"), "{}", done.out);
}

#[test]
fn a_target_a_little_slower_than_the_limit_is_waited_for() {
    let done = run(
        Conduct::Slow(ms(150)),
        &["--timeout", "0.1", "--filter", "push/applied"],
    );
    done.is_conformant();
}

#[test]
#[ignore = "takes an hour: the whole suite against slow targets, side by side"]
fn measure() {
    let conducts = [
        ("one worker, 20 ms a request", Conduct::OneWorker(ms(20))),
        ("one worker, 50 ms a request", Conduct::OneWorker(ms(50))),
        ("one worker, 100 ms a request", Conduct::OneWorker(ms(100))),
        ("one worker, 200 ms a request", Conduct::OneWorker(ms(200))),
        ("a pause of 6 s", Conduct::Pause(500, ms(6000))),
        (
            "a queue of 5 connections, --jobs 64",
            Conduct::ShortQueue(5, ms(1)),
        ),
        ("50 requests a second", Conduct::Rate(50)),
        ("hangs on push", Conduct::Hangs("/push")),
    ];
    std::thread::scope(|scope| {
        for (what, conduct) in conducts {
            scope.spawn(move || {
                let started = Instant::now();
                let options: &[&str] = if what.contains("--jobs") {
                    &["--jobs", "64"]
                } else {
                    &[]
                };
                let done = run(conduct, options);
                let (took, verdict) = (started.elapsed().as_secs_f64(), done.record.verdict);
                let notes = done.record.notes.join("; ");
                avp_conform::cli::console::out(&format!("{what}: {verdict} in {took:.1} s; {notes}\n"))
                    .unwrap();
                if verdict != RunVerdict::Conformant {
                    avp_conform::cli::console::out(&done.out).unwrap();
                }
            });
        }
    });
}
