//! Runs a plan: drives cases side by side, judges each as soon as it was driven, and adds up the record.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::case::{LoadedCase, Suite};
use crate::drive::{Target, drive};
use crate::judge::{Context, Transport, judge};
use crate::protocol::SpecVersion;
use crate::record::{CaseRecord, FORMAT, Record, Stopped, Suite as SuiteRecord, Summary, Tool};
use crate::tally;
use crate::transcript::Transcript;
use crate::verdict::{RunVerdict, Verdict};

/// What is to be run, and how.
#[derive(Clone)]
pub struct Run {
    /// All cases.
    pub suite: Arc<Suite>,
    /// Those that run, as indices into the suite.
    pub selected: Vec<usize>,
    /// The target.
    pub target: Arc<Target>,
    /// The protocol version to judge by.
    pub spec: SpecVersion,
    /// How the target is reached.
    pub transport: Transport,
    /// How many cases are driven at once.
    pub jobs: usize,
    /// What the record is to say about the run.
    pub heading: Heading,
}

/// What a record says about how its run was made.
#[derive(Debug, Clone, Default)]
pub struct Heading {
    /// The target's name.
    pub target: String,
    /// The identity provider's, if it is another.
    pub idp: Option<String>,
    /// Whether warnings count.
    pub strict: bool,
    /// The filters as given.
    pub filters: Vec<String>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// The share of must faults that the suite is known to catch, percent.
    pub kill_rate: Option<f64>,
}

/// What happens while a run goes on; for a progress line, and for nothing else.
pub enum Event<'a> {
    /// A case was judged.
    Finished(&'a CaseRecord),
}

/// Drives and judges the selected cases. The record's order is that of the suite, whatever came to an end first.
pub async fn run(run: &Run, observe: impl Fn(Event<'_>)) -> Record {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let mut done: Vec<(usize, CaseRecord)> = Vec::with_capacity(run.selected.len());
    let mut waiting = run.selected.iter().copied();
    let mut running = JoinSet::new();
    loop {
        while running.len() < run.jobs {
            let Some(index) = waiting.next() else { break };
            let run = run.clone();
            running.spawn(async move { (index, one(&run, index).await) });
        }
        let Some(finished) = running.join_next().await else {
            break;
        };
        if let Ok((index, record)) = finished {
            observe(Event::Finished(&record));
            done.push((index, record));
        }
    }
    done.sort_by_key(|(index, _)| *index);
    let cases = done.into_iter().map(|(_, case)| case).collect();
    record(run, started, clock, cases)
}

/// One case. A panic while it is driven or judged is the harness's fault, and the other cases go on.
async fn one(run: &Run, index: usize) -> CaseRecord {
    let task = {
        let run = run.clone();
        tokio::spawn(async move {
            let case = &run.suite.cases[index];
            let transcript = drive(case, &run.target).await;
            judge(case, &transcript, &context(&run))
        })
    };
    match task.await {
        Ok(record) => record,
        Err(failure) => broken(run, &run.suite.cases[index], &failure.to_string()),
    }
}

fn broken(run: &Run, case: &LoadedCase, why: &str) -> CaseRecord {
    let reason = format!("a bug in the harness: {why}");
    let stopped = Some(Stopped {
        step: None,
        reason,
        verdict: Verdict::Error,
    });
    judge(
        case,
        &Transcript {
            stopped,
            ..Transcript::default()
        },
        &context(run),
    )
}

fn context(run: &Run) -> Context<'_> {
    Context {
        spec: run.spec,
        seed: &run.target.seed,
        generation: run.target.generation,
        transport: run.transport,
    }
}

fn record(run: &Run, started: Timestamp, clock: Instant, cases: Vec<CaseRecord>) -> Record {
    let heading = run.heading.clone();
    let mut record = Record {
        format: FORMAT,
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        suite: SuiteRecord {
            hash: run.suite.hash.clone(),
            cases: run.suite.cases.len(),
            kill_rate: heading.kill_rate,
        },
        target: heading.target,
        idp: heading.idp,
        spec: run.spec,
        seed: run.target.seed.to_string(),
        generation: run.target.generation,
        strict: heading.strict,
        filters: heading.filters,
        notes: heading.notes,
        verdict: RunVerdict::Incomplete,
        summary: Summary::default(),
        started: started.to_string(),
        duration_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        throttled_ms: cases.iter().map(|case| case.throttled_ms).sum(),
        requirements: Vec::new(),
        cases,
    };
    tally::settle(&mut record, &run.suite);
    record
}
