//! The program against every hostile server: a run ends in bounded time and memory, says what happened, and carries
//! nothing where it does not belong.

#![cfg(target_os = "linux")]
use std::collections::VecDeque;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{Over, Record, load};

use crate::support::bank::{self, Hostile};
use crate::support::program::program;

/// So many runs go on at once.
const AT_ONCE: usize = 4;
/// The most memory that a run may ever have held, in KiB.
const MOST: usize = 128 << 10;
/// The most time that a run may take. It would be a few seconds on a machine that does nothing else.
const LONGEST: Duration = Duration::from_secs(90);
/// The cases of the short runs: a plain one, a race, and refusals.
const SHORT: [&str; 6] = [
    "--filter",
    "push/applied",
    "--filter",
    "races/pushes",
    "--filter",
    "authorization/create-without-token",
];
/// Those that get the whole suite: what hangs, what is large, and what looks like answers.
const WHOLE: [&str; 8] = [
    "silent",
    "serves-one-in-two",
    "endless-body",
    "gzip-bomb",
    "many-keys",
    "deep-json-in-a-field",
    "redirect-to-another-host",
    "refuses-after-two",
];

/// Those whose answers take a while to make.
const LARGE: [&str; 6] = [
    "gzip-bomb",
    "deflate-bomb",
    "nested-bomb",
    "many-keys",
    "calls-many-fields",
    "calls-gzip-bomb",
];

/// What became of one run.
struct Ran {
    code: Option<i32>,
    said: String,
    record: Option<Record>,
    took: Duration,
    peak: usize,
}

fn run(url: &str, timeout: &str, options: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json");
    let started = Instant::now();
    let place = if url.starts_with("grpc") {
        "--grpc"
    } else {
        "--target"
    };
    let mut child = program()
        .args([place, url, "--timeout", timeout, "--cacert"])
        .arg(bank::authority())
        .args(options)
        .args(["--report", &format!("json={}", report.display())])
        .current_dir(home.path())
        .stdout(Stdio::null())
        .stderr(Stdio::from(
            std::fs::File::create(home.path().join("stderr")).unwrap(),
        ))
        .spawn()
        .unwrap();
    let peak = watch(&mut child, started);
    let said = std::fs::read_to_string(home.path().join("stderr")).unwrap();
    Ran {
        code: child.wait().unwrap().code(),
        said,
        record: read(&report),
        took: started.elapsed(),
        peak,
    }
}

/// Waits for the end of a run; the most memory that it ever held, in KiB.
fn watch(child: &mut Child, started: Instant) -> usize {
    let of = |what: &str| format!("/proc/{}/{what}", child.id());
    let (program, status) = (of("exe"), of("status"));
    let own = std::env::current_exe().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        // A process that was just started may still stand in the memory of the one that started it, which is this test's.
        let has_begun = std::fs::read_link(&program).is_ok_and(|program| program != own);
        let held = match has_begun {
            true => std::fs::read_to_string(&status).unwrap_or_default(),
            false => String::new(),
        };
        let line = held.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        peak = peak.max(number.unwrap_or(0));
        if started.elapsed() > LONGEST {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

fn read(report: &Path) -> Option<Record> {
    report
        .exists()
        .then(|| load(report).unwrap_or_else(|error| panic!("{error}")))
}

/// What a run came to in a line, and what is wrong with it.
fn visit(hostile: &Hostile, options: &[&str]) -> (String, Vec<String>) {
    let running = hostile.start();
    // What takes long to make must not be taken for what hangs.
    let timeout = if LARGE.contains(&hostile.name) {
        "20"
    } else {
        "0.3"
    };
    let ran = run(&running.url(), timeout, options);
    let mut wrong = running.trespasses();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    expect(ran.took < LONGEST, "it took too long");
    expect(ran.peak < MOST, "it took too much memory");
    let yields = match &ran.record {
        None => {
            expect(ran.code == Some(3), "without a report, it is not reachable");
            expect(
                ran.said.contains("cannot reach"),
                "it does not say what is the matter",
            );
            ran.said.trim().to_owned()
        }
        Some(record) => {
            let code = match record.verdict {
                RunVerdict::Conformant => None,
                RunVerdict::Nonconformant => Some(1),
                RunVerdict::Incomplete => Some(3),
            };
            expect(code.is_some() && ran.code == code, "the exit code is wrong");
            let bad = |verdict| matches!(verdict, Verdict::Fail | Verdict::Blocked | Verdict::Error);
            // What HTTP alone has is nothing to ask over gRPC.
            let is_unasked = |case: &avp_conform::record::CaseRecord| {
                case.verdict == Verdict::NotApplicable
                    && case.transport == Over::Grpc
                    && case.exchanges.is_empty()
            };
            let is_fine = |case: &avp_conform::record::CaseRecord| bad(case.verdict) || is_unasked(case);
            expect(record.cases.iter().all(is_fine), "a case passed");
            let told = |case: &avp_conform::record::CaseRecord| {
                case.reason.is_some() || case.checks.iter().any(|check| !check.got.is_empty())
            };
            expect(record.cases.iter().all(told), "a case does not say why");
            first_words(record)
        }
    };
    let line = format!(
        "{:30} {:?} {:6.1} s {:6} KiB  {yields} ({})",
        hostile.name,
        ran.code.unwrap_or(-1),
        ran.took.as_secs_f64(),
        ran.peak,
        hostile.about
    );
    let wrong = wrong.iter().map(|wrong| format!("{line}\n    {wrong}"));
    (line.clone(), wrong.collect())
}

/// The verdict and the reason of the first case.
fn first_words(record: &Record) -> String {
    let Some(case) = record.cases.first() else {
        return record.verdict.to_string();
    };
    let got = case.checks.iter().find(|check| check.verdict == case.verdict);
    let stopped = case.stopped.as_ref().map(|stopped| stopped.reason.clone());
    let why = stopped.or(got.map(|check| check.got.clone())).unwrap_or_default();
    format!(
        "{}: {}",
        record.verdict,
        why.chars().take(110).collect::<String>()
    )
}

fn visit_all(targets: Vec<Hostile>, options: &[&str]) {
    let waiting = Mutex::new(VecDeque::from(targets));
    let (lines, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(hostile) = { waiting.lock().unwrap().pop_front() } {
                    let (line, bad) = visit(&hostile, options);
                    lines.lock().unwrap().push(line);
                    wrong.lock().unwrap().extend(bad);
                }
            });
        }
    });
    avp_conform::cli::console::out(&format!("{}\n", lines.into_inner().unwrap().join("\n"))).unwrap();
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_few_cases_against_each() {
    visit_all(bank::bank(), &SHORT);
}

#[test]
fn the_whole_suite_against_some() {
    let some = bank::bank()
        .into_iter()
        .filter(|hostile| WHOLE.contains(&hostile.name));
    visit_all(some.collect(), &[]);
}

#[test]
fn a_few_cases_of_calls_against_each() {
    visit_all(bank::calls(), &SHORT);
}

#[test]
fn all_calls_against_some() {
    let some = [
        "calls-unanswered",
        "calls-settings-flood",
        "calls-gigabyte",
        "calls-no-message",
    ];
    let some = bank::calls()
        .into_iter()
        .filter(|hostile| some.contains(&hostile.name));
    visit_all(some.collect(), &[]);
}
