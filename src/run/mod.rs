//! Runs a plan: drives cases side by side, judges each as soon as it was driven, and adds up the record.

mod body_budget;
mod heats;
pub mod own_servers;
pub mod process;
pub mod rejudge;
mod repeat;
mod supervisor;
mod suspects;
pub mod verify;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::case::{CaseHead, selection};
use crate::http::{Concurrency, Timeouts};
use crate::judge::{Context, Transport};
use crate::protocol::Suite;
use crate::record::summarize::nothing_was_judged;
use crate::record::transcript::Transcript;
use crate::record::verdict::{RunVerdict, Verdict};
use crate::record::{
    CaseRecord, ClientCommands, FORMAT, Record, Stopped, Suite as SuiteRecord, Summary, Tool,
};
use crate::session::{LACKS_SERVER, LiveSecrets, RunContext, hide_across};
use crate::text::count;
use body_budget::BodyBudget;
pub use repeat::Repeats;
pub use supervisor::Supervisor;
use suspects::{Proven, Trouble, troubles};

/// How long races may take together, unless told.
pub const RACE_TIME: Duration = Duration::from_secs(1);

/// Why a run ends whose target answers nothing at all.
const NEVER_ANSWERED: &str = "the target accepts connections and has not answered anything in time, twice with nothing beside it; \
    if it is only slow, raise --timeout";

/// Cases that are driven once more use seeds of their own, so far above any other.
const SEEDS_DRIVEN_AGAIN: u32 = 1 << 18;

/// What is to be run, and how.
#[derive(Clone)]
pub struct Run {
    /// All cases.
    pub suite: Arc<Suite>,
    /// Those that run, as indices into the suite.
    pub selected: Vec<usize>,
    /// The target.
    pub target: Arc<RunContext>,
    /// How the target is reached.
    pub transport: Transport,
    /// How many cases are driven at once.
    pub jobs: Jobs,
    /// How long races may take together: they run when nothing else does, one at a time.
    pub races: Duration,
    /// No more cases are begun when so many have failed.
    pub fail_fast: Option<NonZeroUsize>,
    /// What the record is to say about the run.
    pub heading: RunInfo,
}

/// How many cases are driven at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// As many as the target gains from, and no more than this.
    UpTo(usize),
    /// So many, and fewer only where connections fail.
    Exactly(usize),
}

impl Jobs {
    fn concurrency(self) -> Concurrency {
        match self {
            Jobs::UpTo(most) => Concurrency::automatic(most),
            Jobs::Exactly(jobs) => Concurrency::fixed(jobs),
        }
    }
}

/// What a record says about how its run was made.
#[derive(Debug, Clone, Default)]
pub struct RunInfo {
    /// The target's name.
    pub target: String,
    /// The identity provider's, if it is another.
    pub idp: Option<String>,
    /// The address at which it is asked over gRPC, if it is.
    pub grpc: Option<String>,
    /// The addresses of other services, by their names.
    pub services: BTreeMap<String, String>,
    /// The command that started the target, if the run did.
    pub exec: Option<String>,
    /// The commands of the client that is judged, if one is.
    pub client: Option<ClientCommands>,
    /// Whether warnings count.
    pub strict: bool,
    /// The filters as given.
    pub filters: Vec<String>,
    /// The part of the selection, if it is one.
    pub shard: Option<String>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// The share of must faults that the suite is known to catch, percent.
    pub kill_rate: Option<f64>,
}

/// What else a run goes by.
#[derive(Debug, Default)]
pub struct RunLimits<'a> {
    /// When it must be over, and how long that is.
    pub deadline: Option<(Instant, Duration)>,
    /// The process of the target, where the run owns it.
    pub keeper: Option<&'a mut Supervisor>,
}

/// What happens while a run goes on; for a progress line, and for nothing else.
pub enum Event<'a> {
    /// A case was judged.
    Finished(&'a CaseRecord),
}

/// Drives and judges the selected cases. The record's order is that of the suite, whatever came to an end first.
pub async fn run(run: &Run, observe: impl Fn(Event<'_>)) -> Record {
    run_on(run, RunLimits::default(), observe).await
}

/// Like [`run`], on terms.
pub async fn run_on(run: &Run, terms: RunLimits<'_>, observe: impl Fn(Event<'_>)) -> Record {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let run = &with_concurrency(run);
    let (others, lone) = selection::apart(&run.suite, &run.selected);
    let turns = |cases: Vec<usize>| cases.into_iter().map(|index| Turn { index, again: 0 }).collect();
    let mut crew = Crew {
        run,
        one_at_a_time: false,
        observe,
        shelf: BodyBudget::default(),
        done: Vec::with_capacity(run.selected.len()),
        secrets: Vec::new(),
        waiting: turns(selection::longest_first(&run.suite, &others)),
        aside: Vec::new(),
        proven: Proven::default(),
        again: Vec::new(),
        keeper: terms.keeper,
        left: 0,
    };
    let watch = terms.deadline.map(|deadline| watch(run, deadline));
    crew.work().await;
    crew.one_at_a_time = true;
    crew.waiting = turns(lone);
    crew.work().await;
    if let Some(watch) = watch {
        watch.abort();
    }
    crew.close().await;
    let mut notes = notes(run, crew.keeper.as_deref(), &mut crew.again);
    if crew.left > 0 {
        let left = count(crew.left, "case");
        notes.push(format!(
            "enough had failed (--fail-fast): {left} of the selection were not run"
        ));
    }
    let mut done = std::mem::take(&mut crew.done);
    done.sort_by_key(|(index, _)| *index);
    let mut cases: Vec<CaseRecord> = done.into_iter().map(|(_, case)| case).collect();
    hide_across(&mut cases, &crew.secrets);
    record(
        &run.suite,
        &context(run),
        &run.heading,
        started,
        clock,
        cases,
        notes,
    )
}

/// The run with a memory of its own of how many cases at once the target can take.
fn with_concurrency(run: &Run) -> Run {
    let target = RunContext {
        patience: run
            .target
            .patience
            .clone()
            .with_concurrency(Arc::new(run.jobs.concurrency())),
        ..(*run.target).clone()
    };
    Run {
        target: Arc::new(target),
        ..run.clone()
    }
}

/// Ends the run when its time is up.
fn watch(run: &Run, (deadline, budget): (Instant, Duration)) -> tokio::task::JoinHandle<()> {
    let halt = run.target.patience.halt().clone();
    tokio::spawn(async move {
        tokio::time::sleep_until(deadline.into()).await;
        halt.call(format!(
            "the run's budget of {} s was used up",
            budget.as_secs_f64()
        ));
    })
}

/// Where no more cases than this are driven at once in the end, a reader should know why the run took so long.
const FEW_JOBS: usize = 4;
/// So many of the cases that were driven again are named.
const MOST_NAMED: usize = 5;

/// What a reader must know of how the run went.
fn notes(run: &Run, keeper: Option<&Supervisor>, again: &mut Vec<String>) -> Vec<String> {
    let patience = &run.target.patience;
    let mut notes: Vec<String> = keeper.map(|keeper| keeper.notes().to_vec()).unwrap_or_default();
    notes.extend(patience.halt().reason());
    notes.extend(patience.refusals().given_up());
    let hanging = patience.hanging();
    if !hanging.is_empty() {
        notes.push(format!(
            "not answered in time, twice, with nothing else under way: {}",
            hanging.join(", ")
        ));
    }
    if let Some(rate) = run.target.client.pace().found() {
        notes.push(format!(
            "the target grants about {rate:.0} requests a second: it was sent no more from then on"
        ));
    }
    let level = patience.concurrency().level();
    if let Jobs::UpTo(most) = run.jobs
        && level <= FEW_JOBS
        && run.selected.len() > FEW_JOBS
    {
        notes.push(format!(
            "cases driven at once in the end: {level}; more, up to {most}, would have made the target no faster"
        ));
    }
    again.sort();
    again.dedup();
    if !again.is_empty() {
        let more = again.len().saturating_sub(MOST_NAMED);
        let named = again[..again.len() - more].join(", ");
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes.push(format!(
            "driven again with nothing beside them, since connections failed, or answers or programs took too long, while \
             other cases were under way: {named}{more}"
        ));
    }
    notes
}

/// That cases were not run which need a server of their own, and what to do about it.
fn without_servers(record: &Record) -> Option<String> {
    let reasons = record.cases.iter().filter_map(|case| case.reason.as_deref());
    let mut lacking = reasons
        .filter(|reason| reason.starts_with(LACKS_SERVER))
        .peekable();
    let advice = lacking.peek()?.strip_prefix(LACKS_SERVER)?.to_owned();
    let cases = lacking.count();
    let need = match cases {
        1 => "needs",
        _ => "need",
    };
    Some(format!(
        "{} {need} a server of their own{advice}",
        count(cases, "case")
    ))
}

/// One time that a case is driven.
#[derive(Debug, Clone, Copy)]
struct Turn {
    index: usize,
    /// How often it was driven before.
    again: u32,
}

impl Turn {
    fn next(self) -> Turn {
        let again = self.again + 1;
        Turn { again, ..self }
    }
}

/// Those who do the work, and what is left of it.
struct Crew<'a, F> {
    run: &'a Run,
    /// Whether cases are driven one after the other.
    one_at_a_time: bool,
    observe: F,
    shelf: BodyBudget,
    done: Vec<(usize, CaseRecord)>,
    /// What no case may be seen to be served of another.
    secrets: Vec<LiveSecrets>,
    waiting: VecDeque<Turn>,
    /// Cases that may have suffered from the load of the others.
    aside: Vec<(Turn, CaseRecord)>,
    /// What goes wrong without any load.
    proven: Proven,
    /// The ids of the cases that were driven again.
    again: Vec<String>,
    keeper: Option<&'a mut Supervisor>,
    /// How many cases were not begun, because enough had failed.
    left: usize,
}

impl<F: Fn(Event<'_>)> Crew<'_, F> {
    /// Whether so many cases have failed that no more are begun.
    fn has_seen_enough(&self) -> bool {
        let failed = self.done.iter().filter(|(_, case)| case.verdict == Verdict::Fail);
        self.run
            .fail_fast
            .is_some_and(|most| failed.count() >= most.get())
    }

    async fn work(&mut self) {
        while !self.waiting.is_empty() {
            if let Some((how, suspects)) = self.shift().await {
                self.rerun_suspects(&how, suspects).await;
            }
            self.look_into().await;
        }
    }

    /// Works until nothing waits, or until a case was not answered in time, or until the server has died: then it says how,
    /// and which cases may have been hurt by it.
    async fn shift(&mut self) -> Option<(String, Vec<(Turn, CaseRecord)>)> {
        let mut running = JoinSet::new();
        let (mut death, mut hangs) = (None, false);
        let mut suspects = Vec::new();
        let concurrency = self.run.target.patience.concurrency();
        loop {
            if self.has_seen_enough() {
                self.left += self.waiting.len();
                self.waiting.clear();
            }
            while death.is_none() && !hangs && running.len() < self.room() {
                let Some(turn) = self.waiting.pop_front() else {
                    break;
                };
                let run = self.run.clone();
                running.spawn(async move { (turn, one(&run, turn).await) });
            }
            let finished = tokio::select! {
                finished = running.join_next() => finished,
                () = concurrency.changed() => continue,
            };
            let Some(finished) = finished else {
                break;
            };
            let Ok((turn, (record, secrets))) = finished else {
                continue;
            };
            self.secrets.extend(secrets);
            let is_over = self.is_over();
            if let Some(keeper) = self.keeper.as_deref_mut()
                && !is_over
            {
                death = match death {
                    None if supervisor::broken(&record).is_some() => keeper.death().await,
                    // Answers that came all the same may be somebody else's.
                    None => keeper.gone(),
                    known => known,
                };
                if death.is_some() {
                    suspects.push((turn, record));
                    continue;
                }
            }
            let troubles = troubles(&self.run.suite, case(self.run, turn.index), &record);
            if is_over || self.proven.explains(&troubles) {
                self.finish(turn.index, record);
                continue;
            }
            // What hangs costs time wherever it is met again: that is looked into at once.
            hangs |= troubles.iter().any(Trouble::is_timeout);
            self.aside.push((turn, record));
        }
        death.map(|how| (how, suspects))
    }

    /// Drives the cases that were put aside again, with nothing beside them. Only what goes wrong then, twice, counts.
    async fn look_into(&mut self) {
        for (turn, record) in std::mem::take(&mut self.aside) {
            if self.is_over() {
                self.finish(turn.index, record);
                continue;
            }
            if self
                .proven
                .explains(&troubles(&self.run.suite, case(self.run, turn.index), &record))
            {
                // It ended at the first thing that went wrong. Now that this is known, it goes on.
                self.waiting.push_front(turn.next());
                continue;
            }
            let (record, death) = self.again(turn).await;
            if let Some(how) = death {
                self.restart(&how).await;
                self.remark(&format!("; {} ended it", record.name()));
            }
            self.finish(turn.index, record);
        }
    }

    /// Starts the server again and drives each case that its death may have hurt once more, alone. Whichever ends the server
    /// again is at fault.
    async fn rerun_suspects(&mut self, how: &str, suspects: Vec<(Turn, CaseRecord)>) {
        let first = first_hurt(&suspects);
        let exit_report = match self.keeper.as_deref() {
            Some(keeper) => keeper.exit_report(how).await,
            None => return,
        };
        let mut killers = Vec::new();
        let mut up = self.restart(how).await;
        for (turn, record) in &suspects {
            if !up || self.is_over() {
                let mut record = record.clone();
                if supervisor::broken(&record).is_none() {
                    in_error(&mut record, format!("when this case ended, {exit_report}"));
                }
                self.finish(turn.index, record);
                continue;
            }
            let (record, death) = self.again(*turn).await;
            if let Some(how) = death {
                killers.push(record.name().into_owned());
                up = self.restart(&how).await;
                self.remark(&format!("; {} ended it", record.name()));
            }
            self.finish(turn.index, record);
        }
        if killers.is_empty() && up {
            self.remark("; no case that ran at the time ends it when run alone");
            self.hold_up(first, &exit_report).await;
        }
    }

    /// Drives a case with nothing beside it, and where that goes wrong a second time. Says how the server ended, if it did.
    async fn again(&mut self, turn: Turn) -> (CaseRecord, Option<String>) {
        let case = case(self.run, turn.index);
        self.again.push(case.name());
        let turn = turn.next();
        let (record, death) = self.alone(turn, 1).await;
        let first = troubles(&self.run.suite, case, &record);
        if death.is_some() {
            return (record, death);
        }
        if first.iter().all(Trouble::is_slow) {
            self.proven.add(&first, first.clone());
            return (record, death);
        }
        let (record, death) = self.alone(turn.next(), 2).await;
        if death.is_none() {
            let both = self.proven.add(&first, troubles(&self.run.suite, case, &record));
            let patience = &self.run.target.patience;
            for trouble in both.iter().filter(|trouble| trouble.is_timeout()) {
                patience.note_hang(&trouble.key);
            }
            if !both.is_empty() {
                patience.concurrency().excuse();
            }
            // Whoever never answers anything is not asked hundreds of times more.
            if both.iter().any(Trouble::is_timeout) && !patience.was_answered() {
                patience.halt().call(NEVER_ANSWERED.to_owned());
            }
        }
        (record, death)
    }

    /// Drives one case with nothing beside it, and sees whether the server lives.
    async fn alone(&mut self, turn: Turn, attempt: u32) -> (CaseRecord, Option<String>) {
        let patience = self.run.target.patience.clone().alone(attempt);
        let run = on_turn(self.run, turn, patience);
        let (mut transcript, secrets) = driven(&run, turn.index, None).await;
        self.secrets.push(secrets);
        let mut death = None;
        if let Some(keeper) = self.keeper.as_deref_mut()
            && let Some(last) = transcript.exchanges.len().checked_sub(1)
        {
            let broken = transcript.exchanges.iter().position(supervisor::is_broken);
            death = match broken {
                Some(_) => keeper.death().await,
                None => keeper.gone(),
            };
            let at = broken.unwrap_or(last);
            if let Some(how) = &death {
                transcript.truncate(at + 1);
                transcript.stopped = Some(Stopped {
                    step: transcript.exchanges[at].step,
                    reason: keeper.exit_report(how).await,
                    verdict: Verdict::Fail,
                    held_up: false,
                });
            }
        }
        let mut record = judged(&run, turn.index, transcript).await;
        record.generation = Some(run.target.generation);
        (record, death)
    }

    /// Whether the server is up again; else the run ends.
    async fn restart(&mut self, how: &str) -> bool {
        let Some(keeper) = self.keeper.as_deref_mut() else {
            return false;
        };
        let started = keeper.restart(how, &self.run.target.client).await;
        let halt = self.run.target.patience.halt();
        started.map_err(|why| halt.call(why)).is_ok()
    }

    fn remark(&mut self, what: &str) {
        if let Some(keeper) = self.keeper.as_deref_mut() {
            keeper.remark(what);
        }
    }

    /// A death that nobody brought about alone stays unexplained, and the run is not whole: the case that was hurt first
    /// says so.
    async fn hold_up(&mut self, index: Option<usize>, exit_report: &str) {
        if let Some((_, record)) = self.done.iter_mut().find(|(at, _)| Some(*at) == index) {
            let reason =
                format!("while this case ran beside others, {exit_report}; run alone, it did not end it");
            in_error(record, reason);
        }
    }

    /// A server that is gone when the last case was judged leaves the run in doubt: that case says so.
    async fn close(&mut self) {
        let Some(keeper) = self.keeper.as_deref() else {
            return;
        };
        if self.run.target.patience.halt().reason().is_none()
            && let Some(how) = keeper.gone()
        {
            let exit_report = keeper.exit_report(&how).await;
            if let Some((_, record)) = self.done.last_mut() {
                in_error(
                    record,
                    format!("after this case, the last of the run, {exit_report}"),
                );
            }
        }
    }

    /// How many cases may be under way.
    fn room(&self) -> usize {
        match self.one_at_a_time {
            true => 1,
            false => self.run.target.patience.concurrency().room(),
        }
    }

    /// Whether nothing is to be learned any more: the run is to end, or the target answers nothing but 429.
    fn is_over(&self) -> bool {
        let patience = &self.run.target.patience;
        patience.halt().reason().is_some() || patience.refusals().given_up().is_some()
    }

    fn finish(&mut self, index: usize, mut record: CaseRecord) {
        self.shelf.keep(&mut record);
        (self.observe)(Event::Finished(&record));
        self.done.push((index, record));
    }
}

/// Takes what a case was seen to do for uncertain: the harness could not do its work.
fn in_error(record: &mut CaseRecord, reason: String) {
    record.verdict = record.verdict.max(Verdict::Error);
    record.reason = Some(reason.clone());
    record.stopped = Some(Stopped {
        step: None,
        reason,
        verdict: Verdict::Error,
        held_up: false,
    });
}

/// The case whose connection broke first; where none broke, the first that ended.
fn first_hurt(suspects: &[(Turn, CaseRecord)]) -> Option<usize> {
    let when = |record: &CaseRecord| {
        let exchange = supervisor::broken(record)?;
        let after = (exchange.at_us + exchange.took_us) / 1000;
        i64::try_from(after).ok().map(|after| record.began_ms + after)
    };
    let broken = suspects.iter().filter(|(_, record)| when(record).is_some());
    let first = broken.min_by_key(|(_, record)| when(record)).or(suspects.first());
    first.map(|(turn, _)| turn.index)
}

/// One turn of a case, and what of it is secret. A panic while it is driven or judged is the harness's fault, and the other
/// cases go on.
async fn one(run: &Run, turn: Turn) -> (CaseRecord, Vec<LiveSecrets>) {
    let run = on_turn(run, turn, run.target.patience.clone());
    let index = turn.index;
    let (mut record, secrets) = if case(&run, index).is_race() {
        let time = selection::race_time(&run.suite, &run.selected, index, run.races);
        heats::race(&run, index, time).await
    } else {
        let (record, secrets) = once(&run, index, None).await;
        (record, vec![secrets])
    };
    if turn.again > 0 {
        record.generation.get_or_insert(run.target.generation);
    }
    (record, secrets)
}

/// One case, once; the rounds of its races have so much time.
async fn once(run: &Run, index: usize, time: Option<Duration>) -> (CaseRecord, LiveSecrets) {
    let (transcript, secrets) = driven(run, index, time).await;
    (judged(run, index, transcript).await, secrets)
}

/// The run as one turn of a case is driven: what was driven before has left its repositories behind.
fn on_turn(run: &Run, turn: Turn, patience: Timeouts) -> Run {
    let target = RunContext {
        generation: run.target.generation + turn.again * SEEDS_DRIVEN_AGAIN,
        patience,
        ..(*run.target).clone()
    };
    Run {
        target: Arc::new(target),
        ..run.clone()
    }
}

async fn driven(run: &Run, index: usize, time: Option<Duration>) -> (Transcript, LiveSecrets) {
    let task = {
        let run = run.clone();
        tokio::spawn(async move { run.suite.meaning().drive(index, &run.target, time).await })
    };
    task.await
        .unwrap_or_else(|failure| (bug(&failure.to_string()), LiveSecrets::default()))
}

async fn judged(run: &Run, index: usize, transcript: Transcript) -> CaseRecord {
    let task = {
        let run = run.clone();
        tokio::spawn(async move { run.suite.meaning().judge(index, transcript, &context(&run)) })
    };
    match task.await {
        Ok(record) => record,
        Err(failure) => run
            .suite
            .meaning()
            .judge(index, bug(&failure.to_string()), &context(run)),
    }
}

fn case(run: &Run, index: usize) -> &CaseHead {
    &run.suite.cases[index]
}

fn bug(why: &str) -> Transcript {
    not_driven(format!("a bug in the harness: {why}"))
}

/// The transcript of a case that was not driven.
fn not_driven(reason: String) -> Transcript {
    let stopped = Some(Stopped {
        step: None,
        reason,
        verdict: Verdict::Error,
        held_up: false,
    });
    Transcript {
        stopped,
        ..Transcript::default()
    }
}

/// The record of a run that came to nothing: every selected case is in error.
pub fn undone(
    suite: &Suite,
    selected: &[usize],
    context: &Context<'_>,
    heading: &RunInfo,
    why: &str,
) -> Record {
    let one = |index: &usize| suite.meaning().judge(*index, not_driven(why.to_owned()), context);
    let cases = selected.iter().map(one).collect();
    let notes = vec![why.to_owned()];
    record(
        suite,
        context,
        heading,
        Timestamp::now(),
        Instant::now(),
        cases,
        notes,
    )
}

fn context(run: &Run) -> Context<'_> {
    Context {
        spec: run.target.spec,
        seed: &run.target.seed,
        generation: run.target.generation,
        transport: run.transport,
    }
}

fn record(
    suite: &Suite,
    context: &Context<'_>,
    heading: &RunInfo,
    started: Timestamp,
    clock: Instant,
    cases: Vec<CaseRecord>,
    notes: Vec<String>,
) -> Record {
    let heading = heading.clone();
    let mut record = Record {
        format: FORMAT,
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        protocol: suite.protocol.info(),
        suite: SuiteRecord {
            hash: suite.hash.clone(),
            cases: suite.cases.len(),
            kill_rate: heading.kill_rate,
        },
        target: heading.target,
        idp: heading.idp,
        grpc: heading.grpc,
        services: heading.services,
        exec: heading.exec,
        client: heading.client,
        spec: context.spec,
        seed: context.seed.to_string(),
        generation: context.generation,
        strict: heading.strict,
        filters: heading.filters,
        shard: heading.shard,
        missing: Vec::new(),
        notes: [heading.notes, notes].concat(),
        verdict: RunVerdict::Incomplete,
        summary: Summary::default(),
        baseline: None,
        started: started
            .round(jiff::Unit::Millisecond)
            .unwrap_or(started)
            .to_string(),
        duration_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        requests: None,
        throttled_ms: cases.iter().map(|case| case.throttled_ms).sum(),
        latency: Vec::new(),
        diagnosis: None,
        claim: None,
        requirements: Vec::new(),
        cases,
    };
    suite.summarize(&mut record);
    record.notes.extend(without_servers(&record));
    if let Some(why) = nothing_was_judged(&record) {
        let note = format!("nothing was judged: no case of the selection is applicable: {why}");
        record.notes.push(note);
    }
    record
}
