//! A conformant server that is slow, that pauses, that limits the rate of requests or that forgets connections is
//! conformant, whatever load a run puts on it; and one that hangs is named.
//!
//! Delays are short and verdicts alone are looked at. The full measurements take an hour:
//! `cargo test --release --test it load::measure -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{ADVICE, CaseRecord};

use crate::support::program::{Done, command, reported_by};
use crate::support::servers::plain;
use crate::support::slow_proxy::{Conduct, Proxy};

fn assert_conformant(done: &Done) {
    assert_eq!(
        (done.code, done.record.verdict),
        (0, RunVerdict::Conformant),
        "{}",
        done.out
    );
}

/// The program against the built-in server behind a proxy.
fn run(conduct: Conduct, options: &[&str]) -> Done {
    run_by(&mut command(), conduct, options)
}

fn run_by(command: &mut assert_cmd::Command, conduct: Conduct, options: &[&str]) -> Done {
    let server = plain();
    let proxy = Proxy::start(server.address(), conduct);
    reported_by(command.args(["--target", &proxy.url()]).args(options))
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
    assert_conformant(&done);
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
    assert_conformant(&done);
}

#[test]
fn a_pause_of_the_whole_target_is_no_fault_of_its_operations() {
    assert_conformant(&run_everyday(Conduct::Pause(200, ms(1200)), ["--timeout", "1"]));
}

#[test]
fn an_upload_that_stalls_everybody_is_told_and_no_fault() {
    let done = run(
        Conduct::ReadsOne,
        &["--timeout", "1", "--filter", "held/*-removed-member"],
    );
    assert_conformant(&done);
    let case = done.case("held/push-of-a-removed-member");
    let advice = case.checks.iter().filter(|check| check.name == ADVICE).count();
    assert_eq!(advice, 1, "{}", done.out);
    let said = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("one stalled upload stops all clients"), "{said}");
}

#[test]
fn a_short_queue_of_connections_is_no_fault() {
    assert_conformant(&run_everyday(Conduct::ShortQueue(5, ms(5)), ["--jobs", "64"]));
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
    assert_conformant(&done);
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
fn a_server_that_serves_one_connection_after_the_other_is_judged() {
    let filters = ["races/pushes", "push/stale-is-a-conflict"].map(|id| ["--filter", id]);
    assert_conformant(&run(Conduct::OneByOne(5), filters.as_flattened()));
}

#[test]
fn a_gateway_that_loses_a_request_now_and_then_is_no_fault() {
    let filters = ["malformed/pull-mistyped", "malformed/push-mistyped"].map(|id| ["--filter", id]);
    let options = [["--jobs", "1"], filters[0], filters[1]];
    let done = run(Conduct::Loses("/pull", 10), options.as_flattened());
    assert_conformant(&done);
    let of = |verdict: Verdict| {
        done.record
            .cases
            .iter()
            .filter(|it| it.verdict == verdict)
            .count()
    };
    assert_eq!(of(Verdict::Pass), done.record.cases.len(), "{}", done.out);
}

#[test]
fn what_hangs_is_named() {
    let done = run(
        Conduct::Hangs("/push"),
        &["--timeout", "0.3", "--filter", "push/*", "--filter", "pull/*"],
    );
    assert_eq!(
        (done.code, done.record.verdict),
        (1, RunVerdict::Nonconformant),
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
        (3, RunVerdict::Incomplete),
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
    assert_conformant(&done);
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
                let done = run_by(command().timeout(ms(7_200_000)), conduct, options);
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
