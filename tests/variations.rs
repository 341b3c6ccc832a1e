//! Never wrong about a conformant server: the whole suite against every freedom that servers use, one test each.
//!
//! Whatever the plain reference server is seen to keep, each variation must be seen to keep, with nothing failed, nothing
//! warned of and nothing left open. A limit may make a case not applicable, but never a requirement. The one warning that
//! is right is that of a 429 that does not say when to come back.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use avp_conform::avp::server::variations;
use avp_conform::http::Timeouts;
use avp_conform::keys::Seed;
use avp_conform::record::verdict::Verdict;
use avp_conform::record::{CaseRecord, CheckRecord, Record};
use avp_conform::serve::{Behaviour, Variation};
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

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trial = |variation: &'static Variation| Trial::test(variation.name, move || check(variation));
    let trials = variations().iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What the plain server is seen to keep.
static PLAIN: LazyLock<BTreeMap<String, Verdict>> = LazyLock::new(|| verdicts(&record(Behaviour::Plain)));

fn check(variation: &'static Variation) -> Result<(), Failed> {
    let record = record(Behaviour::Varied(variation));
    let seen = verdicts(&record);
    let mut wrong: Vec<String> = record.cases.iter().filter_map(describe).collect();
    for (id, verdict) in &*PLAIN {
        let here = seen.get(id).copied().unwrap_or(Verdict::Blocked);
        if *verdict == Verdict::Pass && here != Verdict::Pass && !OPTIONAL.contains(&id.as_str()) {
            wrong.push(format!("{id} is {}", here.as_str()));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failed::from(wrong.join("\n"))),
    }
}

fn record(behaviour: Behaviour) -> Record {
    let (server, foreign) = (servers::start(behaviour), servers::plain());
    let context = RunContext {
        seed: Seed::random(),
        patience: Timeouts::new(Duration::from_secs(10)),
        ..suite::context(&server.url(), &foreign)
    };
    run::record(context, &[])
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
