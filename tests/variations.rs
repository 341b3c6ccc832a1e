//! Never wrong about a conformant server: the whole suite against every freedom that servers use, one test each.
//!
//! Whatever the plain reference server is seen to keep, each variation must be seen to keep, with nothing failed, nothing
//! warned of and nothing left open. A limit may make a case not applicable, but never a requirement. The one warning that
//! is right is that of a 429 that does not say when to come back.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use avp_conform::avp::AVP;
use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::server::{Options, Server, variations};
use avp_conform::case::selection::plan;
use avp_conform::http::{Client, ClientOptions, Endpoint, Timeouts};
use avp_conform::judge::Transport;
use avp_conform::keys::Seed;
use avp_conform::protocol::Suite;
use avp_conform::record::verdict::Verdict;
use avp_conform::record::{CaseRecord, CheckRecord, Record};
use avp_conform::run::{Jobs, RACE_TIME, Run, RunInfo, run};
use avp_conform::serve::{Behaviour, Variation};
use avp_conform::session::RunContext;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// Optional, and not offered by some variations: discovery, and the code of an error.
const OPTIONAL: [&str; 2] = ["AVP-6-19", "AVP-8-01"];

/// A should: some variations answer 429 without `Retry-After`.
const RETRY_AFTER: &str = "AVP-7-02";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = (AVP.load)(embedded_sources()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let bench = Arc::new(Bench {
        suite: Arc::new(suite),
        runtime: Runtime::new().expect("a runtime"),
        plain: OnceLock::new(),
    });
    let trial = |variation: &'static Variation| {
        let bench = Arc::clone(&bench);
        Trial::test(variation.name, move || bench.check(variation))
    };
    let trials = variations().iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

struct Bench {
    suite: Arc<Suite>,
    runtime: Runtime,
    plain: OnceLock<BTreeMap<String, Verdict>>,
}

impl Bench {
    fn check(&self, variation: &'static Variation) -> Result<(), Failed> {
        let plain = self
            .plain
            .get_or_init(|| verdicts(&self.record(Behaviour::Plain)));
        let record = self.record(Behaviour::Varied(variation));
        let seen = verdicts(&record);
        let mut wrong: Vec<String> = record.cases.iter().filter_map(describe).collect();
        for (id, verdict) in plain {
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

    fn record(&self, behaviour: Behaviour) -> Record {
        let behaviours = [behaviour, Behaviour::Plain];
        let servers = behaviours.map(|behaviour| {
            let options = Options {
                behaviour,
                ..Options::default()
            };
            Server::start(options).expect("a loopback port is free")
        });
        let client = |server: &Server| {
            let endpoint = Endpoint::parse(&server.url()).expect("a server has a URL");
            Client::new(ClientOptions::new(endpoint)).expect("plain options make a client")
        };
        let spec = avp_conform::avp::catalogue().newest();
        let target = RunContext {
            client: client(&servers[0]),
            foreign: Some(client(&servers[1])),
            patience: Timeouts::new(Duration::from_secs(10)),
            seed: Seed::random(),
            generation: 0,
            spec,
            slow: false,
            show_secrets: false,
        };
        let whole = Run {
            selected: plan(&self.suite, &[], spec, false),
            suite: Arc::clone(&self.suite),
            target: Arc::new(target),
            transport: Transport::Loopback,
            jobs: Jobs::Exactly(16),
            races: RACE_TIME,
            heading: RunInfo::default(),
        };
        self.runtime.block_on(run(&whole, |_| {}))
    }
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
