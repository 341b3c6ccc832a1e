//! Never wrong about a conformant server: the whole suite, over both transports, against every freedom that servers use. Freedoms of different areas
//! share a server, which saves more than half of the runs; a test has the names of those that it tries.
//!
//! Whatever the plain reference server is seen to keep, each variation must be seen to keep, with nothing failed, nothing
//! warned of and nothing left open. A limit may make a case not applicable, but never a requirement. The one warning that
//! is right is that of a 429 that does not say when to come back.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use avp_conform::avp::server::{Options, Server, variations};
use avp_conform::http::Timeouts;
use avp_conform::keys::Seed;
use avp_conform::record::verdict::Verdict;
use avp_conform::record::{CaseRecord, CheckRecord, Record};
use avp_conform::serve::Variation;
use avp_conform::session::RunContext;
use libtest_mimic::{Arguments, Failed, Trial};

#[path = "it/support"]
#[expect(dead_code, reason = "the tests that share it use the rest")]
mod support {
    pub(crate) mod run;
    pub(crate) mod servers;
    pub(crate) mod suite;
}

use support::{run, servers, suite};

/// Optional, and not offered by some variations: discovery, and the code of an error.
const OPTIONAL: [&str; 2] = ["AVP-6-19", "AVP-8-01"];

/// A should: some variations answer 429 without `Retry-After`.
const RETRY_AFTER: &str = "AVP-7-02";

/// A limit keeps cases from their end, and would hide what comes of other freedoms.
const TRIED_ALONE: &str = "limits";

/// So many servers are tried at once, whatever the processors: limits and latencies make a run wait more than it computes.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let trial = |party: Vec<&'static Variation>| Trial::test(names(&party), move || check(&party));
    let trials = parties().into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Which variations share a server: one of each area, and each limit has its own.
fn parties() -> Vec<Vec<&'static Variation>> {
    let (mut alone, mut shared) = (Vec::new(), Vec::<Vec<&Variation>>::new());
    for variation in variations() {
        if variation.area == TRIED_ALONE {
            alone.push(vec![variation]);
            continue;
        }
        let free = |party: &&mut Vec<&Variation>| party.iter().all(|other| other.area != variation.area);
        match shared.iter_mut().find(free) {
            Some(party) => party.push(variation),
            None => shared.push(vec![variation]),
        }
    }
    // What takes longest goes first: a limited server makes its clients wait.
    [alone, shared].concat()
}

fn names(party: &[&Variation]) -> String {
    let names: Vec<&str> = party.iter().map(|variation| variation.name).collect();
    names.join(" ")
}

/// What the plain server is seen to keep.
static PLAIN: LazyLock<BTreeMap<String, Verdict>> = LazyLock::new(|| verdicts(&visit(&[]).0));

/// Whether nothing is wrong of variations that share a server; where something is, which of them alone it comes of.
fn check(party: &[&'static Variation]) -> Result<(), Failed> {
    let mut wrong = wrong_with(party);
    if party.len() > 1 && !wrong.is_empty() {
        for variation in party {
            wrong.push(format!("{} alone:", variation.name));
            wrong.extend(wrong_with(&[variation]));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failed::from(wrong.join("\n"))),
    }
}

fn wrong_with(party: &[&'static Variation]) -> Vec<String> {
    let (record, idle) = visit(party);
    let seen = verdicts(&record);
    let mut wrong: Vec<String> = record.cases.iter().filter_map(describe).collect();
    for (id, verdict) in &*PLAIN {
        let here = seen.get(id).copied().unwrap_or(Verdict::Blocked);
        let may_lack = OPTIONAL.contains(&id.as_str());
        if *verdict == Verdict::Pass && here != Verdict::Pass && !may_lack {
            wrong.push(format!("{id} is {}", here.as_str()));
        }
    }
    wrong.extend(idle.iter().map(|name| format!("{name} never took effect")));
    wrong
}

/// The whole suite against a server that uses these freedoms: the record, and those that never took effect.
fn visit(party: &[&'static Variation]) -> (Record, Vec<&'static str>) {
    let server = Server::start(Options {
        freedoms: party.to_vec(),
        ..Options::default()
    })
    .expect("a loopback port is free");
    let foreign = servers::plain();
    let context = RunContext {
        seed: Seed::random(),
        // None of them is slow, but the machine may be.
        patience: Timeouts::new(Duration::from_secs(20)),
        ..suite::context_of_both(&server, &foreign)
    };
    let record = run::record_of(&suite::BOTH, context, &[]);
    let names = party.iter().map(|variation| variation.name);
    let idle = names.filter(|name| server.fired(name) == 0).collect();
    (record, idle)
}

fn verdicts(record: &Record) -> BTreeMap<String, Verdict> {
    let requirements = record.requirements.iter();
    requirements.map(|it| (it.id.clone(), it.verdict)).collect()
}

fn is_untold(check: &CheckRecord) -> bool {
    check.verdict == Verdict::Warn && check.requirements == [RETRY_AFTER]
}

/// What is wrong about a case, if anything is.
fn describe(case: &CaseRecord) -> Option<String> {
    let fine = |verdict: Verdict| matches!(verdict, Verdict::Pass | Verdict::NotApplicable);
    if fine(case.verdict) {
        return None;
    }
    let mut lines: Vec<String> = case
        .checks
        .iter()
        .filter(|check| !fine(check.verdict) && !is_untold(check))
        .map(|check| {
            format!(
                "  {}:{}: expected {}; got {}",
                case.file, check.line, check.expected, check.got
            )
        })
        .collect();
    if lines.is_empty() && case.verdict == Verdict::Warn {
        return None;
    }
    lines.truncate(3);
    let reason = case.reason.clone().unwrap_or_default();
    let verdict = case.verdict.as_str();
    Some(format!("{} is {verdict} {reason}\n{}", case.id, lines.join("\n")))
}
