//! Races: several requests written to connections of their own at the same moment, over several rounds.
//!
//! Everything that takes time is done before: keys, tokens, nonces, connections, and all of each request but its last byte.
//! What is left is one byte each, written in one go.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::draft::{Draft, Mask};
use super::read_back::Readers;
use super::throttle::is_told_limit;
use super::world::cast;
use super::{CONNECTING, CaseResult, Driver, ExchangeMeta, came, patience_key};
use crate::avp::Operation;
use crate::avp::cases::Action;
use crate::avp::cases::model::{AddMember, Create, Step};
use crate::avp::outcome::AnswerClass;
use crate::http::{
    Answer, Connections, Failure, FailureKind, Loaded, Outcome, Over, Request, Role, Sent, Wire,
};
use crate::keys::SignatureForm;

/// So many rounds of a case are run even where there is no time for them; of each of its forms, as many as that makes.
const LEAST_ROUNDS: usize = 3;

/// Fewer than this make no race.
const LEAST_RUNNERS: usize = 2;

/// Where nobody more is let in for so long, and for so many times as long as the slowest of those before, they are too many.
const CROWDED: Duration = Duration::from_secs(2);
const CROWDED_TIMES: u32 = 4;

/// One participant of one round.
struct Runner {
    name: String,
    draft: Draft,
    request: Request,
    mask: Mask,
    loaded: Loaded,
}

/// What became of a participant.
struct Run {
    name: String,
    draft: Draft,
    reading: AnswerClass,
}

impl Driver<'_> {
    pub(super) async fn race(&mut self, step: &Step, index: usize) -> CaseResult<()> {
        let end = self.end_of_race(index);
        let races = self
            .case
            .case
            .steps
            .iter()
            .filter(|step| step.get_ref().is_race());
        let least = LEAST_ROUNDS.div_ceil(races.count());
        let names: Vec<String> = step.actor_names().into_iter().map(str::to_owned).collect();
        let rivals = step.against.as_ref().map_or(0, |rival| rival.actors.len());
        let count = names.len() + rivals;
        let mut lanes: Vec<Connections> = (0..count).map(|_| self.target.client.lane()).collect();
        for round in 0..step.count_rounds() {
            if round >= least && end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            let (mut attempt, first) = (0, Instant::now());
            // A round in which nobody's request was executed did not happen.
            while let Some(refusal) = self.round(step, &names, &mut lanes, round).await? {
                if self.is_final_429(attempt) {
                    return Err(self.limited(429));
                }
                self.wait_out(&refusal, attempt, first).await?;
                attempt += 1;
            }
        }
        Ok(())
    }

    /// When the rounds of a race end: its part of the time that is left for this race and those behind it.
    fn end_of_race(&self, index: usize) -> Option<Instant> {
        let steps = self.case.case.steps[index..].iter();
        let weights: Vec<u32> = steps.map(|step| step.get_ref().race_weight()).collect();
        let all: f64 = weights.iter().copied().map(f64::from).sum();
        let now = Instant::now();
        let left = self.races_end?.saturating_duration_since(now);
        Some(now + left.mul_f64(f64::from(weights[0]) / all))
    }

    /// One round. An answer comes back where all were refused for the rate of requests.
    async fn round(
        &mut self,
        step: &Step,
        names: &[String],
        lanes: &mut [Connections],
        round: usize,
    ) -> CaseResult<Option<Answer>> {
        let repo = self.arena(step, names, round).await?;
        let runners = loop {
            let mut drafts = self.line_up(step, names, &repo, round).await?;
            self.leave_out(&mut drafts, names.len());
            self.weigh_all(&names[0], &repo, &drafts);
            if let Some(runners) = self.prime(drafts, lanes, &repo, round).await? {
                break runners;
            }
        };
        match self.start(runners, &repo, round).await? {
            Ok(readings) => {
                self.heed_limits(readings.len())?;
                self.read_back_after(&repo, &readings, round).await?;
                Ok(None)
            }
            Err(refusal) => Ok(Some(refusal)),
        }
    }

    /// The repository of a round. A race of creations has a new one each time; in any other the members of the case are
    /// members again.
    async fn arena(&mut self, step: &Step, names: &[String], round: usize) -> CaseResult<String> {
        if let Action::Create(create) = step.action() {
            let name = format!("{}-{round}", step.repo);
            let style = Create {
                id: Some(format!("{{id}}-{name}")),
                ..create.clone()
            };
            self.world.repo(&name, &style);
            return Ok(name);
        }
        for member in cast(&self.case.case) {
            let id = self.world.member_id(&member);
            let was_member = self
                .case
                .case
                .repo
                .as_ref()
                .is_some_and(|repo| repo.members.contains(&member));
            let gone = self
                .world
                .stored(&step.repo)
                .is_some_and(|stored| stored.member(&id).is_none());
            if was_member && gone {
                let add = AddMember {
                    member,
                    other_keys: false,
                    same_entry: false,
                    bound: false,
                    again: false,
                };
                // A faulty target may have lost them all.
                let who = self.eyes(&step.repo, &names[0], Readers::One(0)).pop();
                let who = who.unwrap_or_else(|| names[0].clone());
                self.set_up_write(&step.repo, &who, Action::AddMember(&add))
                    .await?;
                // A set-up write of a race is looked at once, so that the judge knows where the round begins.
            }
        }
        Ok(step.repo.clone())
    }

    /// The requests of a round, with the actors who make them.
    async fn line_up(
        &mut self,
        step: &Step,
        names: &[String],
        repo: &str,
        round: usize,
    ) -> CaseResult<Vec<(String, Draft)>> {
        let mut drafts = Vec::new();
        if let Action::Redeem(redeem) = step.action() {
            let form = redeem.sign.first().copied().unwrap_or(SignatureForm::Valid);
            let draft = self.redeem_draft(&names[0], redeem, form).await?;
            return Ok(names.iter().map(|name| (name.clone(), draft.clone())).collect());
        }
        for (index, name) in names.iter().enumerate() {
            if let Some(draft) = self.runner_draft(step.action(), name, repo, round, index) {
                drafts.push((name.clone(), draft));
            }
        }
        if let Some(rival) = &step.against {
            let actions = rival.actions();
            for (index, name) in rival.actors.iter().enumerate() {
                let lane = names.len() + index;
                for action in &actions {
                    if let Some(draft) = self.runner_draft(*action, name, repo, round, lane) {
                        drafts.push((name.clone(), draft));
                    }
                }
            }
        }
        Ok(drafts)
    }

    /// Leaves out whom the target does not take in. Those who do the same, `alike` of them, stand before their rivals, and one of
    /// them stays at least.
    fn leave_out(&self, drafts: &mut Vec<(String, Draft)>, alike: usize) {
        let too_many = drafts.len().saturating_sub(self.most_at_once);
        if too_many > 0 {
            drafts.drain(1..1 + too_many.min(alike.saturating_sub(1)));
            drafts.truncate(self.most_at_once);
        }
    }

    /// What all requests of a round ask for together.
    fn weigh_all(&mut self, who: &str, repo: &str, drafts: &[(String, Draft)]) {
        let Some((_, first)) = drafts.first() else { return };
        self.measure_demand(who, repo, first);
        let adds = |(_, draft): &&(String, Draft)| draft.operation == Some(Operation::AddMember);
        let members = self.world.stored(repo).map_or(0, |stored| stored.members.len());
        let together = members + drafts.iter().filter(adds).count();
        self.demand.members = self.demand.members.max(together);
        // Any of them may win, and so be the one who has another already.
        let created = drafts.iter().map(|(name, _)| self.world.created_by(name)).max();
        if self.demand.repos > 0 {
            self.demand.repos = created.unwrap_or(0) + 1;
        }
    }

    /// Ends the race where a request of the round asked for more than a limit of the target's allows. A single 429 is a rate.
    fn heed_limits(&self, length: usize) -> CaseResult<()> {
        let round = self.talk.transcript.exchanges.iter().rev().take(length);
        let mut answers = round
            .filter_map(|exchange| exchange.outcome.answer())
            .filter(|answer| answer.status != 429);
        match answers.find(|answer| self.demand.meets_limit(answer) || is_told_limit(answer)) {
            Some(answer) if self.demand.meets_limit(answer) => Err(self.limited(answer.status)),
            Some(answer) if self.demand.repos > 0 => Err(self.full(answer.status)),
            _ => Ok(()),
        }
    }

    fn runner_draft(
        &mut self,
        action: Action<'_>,
        name: &str,
        repo: &str,
        round: usize,
        lane: usize,
    ) -> Option<Draft> {
        let Action::AddMember(add) = action else {
            return self.valid_draft(name, repo, action);
        };
        let step = self.talk.current_step().unwrap_or(0);
        let member = match add.member.as_str() {
            "{new}" => format!("new-{step}-{round}-{lane}"),
            "{one}" => format!("new-{step}-{round}"),
            _ => return self.valid_draft(name, repo, action),
        };
        let fresh = AddMember {
            member,
            ..add.clone()
        };
        self.valid_draft(name, repo, Action::AddMember(&fresh))
    }

    /// All but the last byte of each request on its way; none where the target takes fewer connections at a time, which is
    /// remembered.
    async fn prime(
        &mut self,
        drafts: Vec<(String, Draft)>,
        lanes: &mut [Connections],
        repo: &str,
        round: usize,
    ) -> CaseResult<Option<Vec<Runner>>> {
        let mut runners = Vec::with_capacity(drafts.len());
        let mut slowest = Duration::ZERO;
        // Tokens may be good for seconds only: those that ran low while others were fetched are fetched again.
        for _ in 0..2 {
            for (name, draft) in &drafts {
                if draft.token == Some(None) {
                    self.ensure_token(name).await?;
                }
            }
        }
        for (index, ((name, mut draft), lane)) in drafts.into_iter().zip(lanes).enumerate() {
            // Where both transports lead to one vault, who meets comes over either.
            let is_of_both = |operation: Operation| operation.needs_token() || operation == Operation::Token;
            if self.over == Over::Both && draft.operation.is_some_and(is_of_both) {
                let first = index.is_multiple_of(2) == (self.step_wire == Wire::Http);
                draft.wire = Some(if first { Wire::Http } else { Wire::Grpc });
            }
            let (request, mask) = self.with_token(&draft, &name).await?;
            let mut limit = self.talk.limit(CONNECTING, 1)?;
            if runners.len() >= LEAST_RUNNERS {
                limit = limit.min(CROWDED.max(slowest * CROWDED_TIMES));
            }
            lane.over(self.wire(&draft));
            lane.send_once(draft.operation.is_none_or(Operation::is_spent_by_use));
            let began = Instant::now();
            let loading = async { lane.prime(&request).await?.load().await };
            let loaded = match timeout(limit, loading).await {
                Ok(Ok(loaded)) => loaded,
                failed => {
                    let failure = failed.ok().and_then(Result::err).unwrap_or_else(|| Failure {
                        kind: FailureKind::Connect,
                        message: "no connection in time".to_owned(),
                        begun: false,
                    });
                    let sent = Sent {
                        outcome: Outcome::Failure(failure.clone()),
                        took: began.elapsed(),
                        reused: false,
                        resent: false,
                    };
                    // A server that does one thing at a time waits for the first of them, and has room for a few to wait.
                    let is_crowded = failure.kind == FailureKind::Connect && runners.len() >= LEAST_RUNNERS;
                    let errand = ExchangeMeta {
                        draft: &draft,
                        who: &name,
                        repo: draft
                            .operation
                            .is_some_and(Operation::needs_token)
                            .then_some(repo),
                        role: if is_crowded { Role::Abandoned } else { Role::Setup },
                        round,
                    };
                    let reading = self.note(&errand, request, mask, self.talk.now(), sent);
                    if is_crowded {
                        self.most_at_once = runners.len();
                        return Ok(None);
                    }
                    self.talk
                        .heed(CONNECTING, 1, false, &came(&reading), began.elapsed())?;
                    return Err(self.talk.error(failure.message));
                }
            };
            slowest = slowest.max(began.elapsed());
            runners.push(Runner {
                name,
                draft,
                request,
                mask,
                loaded,
            });
        }
        Ok(Some(runners))
    }

    /// Lets all go at once and writes the exchanges down in the order of the line-up. Where none was executed, one of the
    /// answers comes back.
    async fn start(
        &mut self,
        runners: Vec<Runner>,
        repo: &str,
        round: usize,
    ) -> CaseResult<Result<Vec<Run>, Answer>> {
        let at = self.talk.now();
        let operation = runners.first().map_or("", |runner| patience_key(&runner.draft));
        let key = format!("concurrent {operation}");
        let limit = self
            .talk
            .limit(operation, runners.len())?
            .max(self.talk.limit(&key, 1)?);
        let mut notes = Vec::new();
        let mut loaded = Vec::new();
        for runner in runners {
            loaded.push(runner.loaded);
            notes.push((runner.name, runner.draft, (runner.request, runner.mask)));
        }
        // Nothing but the last byte of each is missing.
        for place in start_order(&notes, round) {
            loaded[place].let_go(limit);
        }
        let mut running = JoinSet::new();
        for (index, loaded) in loaded.into_iter().enumerate() {
            running.spawn(async move { (index, loaded.answer().await) });
        }
        let mut sent: Vec<(usize, Sent)> = running.join_all().await;
        sent.sort_by_key(|(index, _)| *index);
        let late: Vec<bool> = notes
            .iter()
            .zip(&sent)
            .map(|((name, draft, _), (_, sent))| self.came_too_late(name, draft, sent))
            .collect();
        let refusal = refusal_of_all(&sent, &late);
        let (mut runs, mut times) = (Vec::new(), Vec::new());
        for (((name, draft, (request, mask)), (_, sent)), late) in notes.into_iter().zip(sent).zip(late) {
            let took = sent.took;
            let needs_token = draft.operation.is_some_and(Operation::needs_token);
            let role = if late || refusal.is_some() {
                Role::Throttled
            } else {
                Role::Step
            };
            let errand = ExchangeMeta {
                draft: &draft,
                who: &name,
                repo: needs_token.then_some(repo),
                role,
                round,
            };
            let reading = self.note(&errand, request, mask, at, sent);
            if late {
                self.world.actor(&name).token = None;
            }
            runs.push(Run { name, draft, reading });
            times.push(took);
        }
        if let Some(refusal) = refusal {
            return Ok(Err(refusal));
        }
        for (run, took) in runs.iter().zip(times) {
            let key = format!("concurrent {}", patience_key(&run.draft));
            self.talk
                .heed(&key, runs.len(), false, &came(&run.reading), took)?;
        }
        Ok(Ok(runs))
    }

    /// Whether a request was refused because its token had run out by the time it came.
    fn came_too_late(&mut self, name: &str, draft: &Draft, sent: &Sent) -> bool {
        let refused = sent.outcome.answer().is_some_and(|answer| answer.status == 401);
        refused && draft.token == Some(None) && self.may_have_run_out(name)
    }

    /// What became of the round: the driver takes for stored what one granted request wrote, and then what members see.
    async fn read_back_after(&mut self, repo: &str, runs: &[Run], round: usize) -> CaseResult<()> {
        for run in runs {
            if run.draft.operation == Some(Operation::Token) {
                self.keep_token(&runs[0].name, &run.reading);
            }
            self.apply(&run.name, repo, &run.draft, &run.reading);
        }
        let writes = runs
            .iter()
            .any(|run| run.draft.operation.is_some_and(Operation::writes));
        if writes {
            self.audit(repo, &runs[0].name, Readers::All, round).await
        } else {
            Ok(())
        }
    }
}

/// Who goes when: readers first, so that the target is wide awake when the writers come, and each round another writer.
fn start_order<T>(runners: &[(String, Draft, T)], round: usize) -> Vec<usize> {
    let writes = |at: &usize| {
        let operation = runners[*at].1.operation;
        operation.is_some_and(|operation| operation != Operation::Pull)
    };
    let (mut writers, mut order): (Vec<usize>, Vec<usize>) = (0..runners.len()).partition(writes);
    let first = round % writers.len().max(1);
    writers.rotate_left(first);
    order.extend(writers);
    order
}

/// An answer of a round in which nothing was executed: all were 429, or came too late.
fn refusal_of_all(sent: &[(usize, Sent)], late: &[bool]) -> Option<Answer> {
    let refusal = |((_, sent), late): (&(usize, Sent), &bool)| {
        let answer = sent.outcome.answer();
        answer.filter(|answer| answer.status == 429 || *late).cloned()
    };
    let refusals = sent.iter().zip(late).map(refusal);
    refusals.collect::<Option<Vec<_>>>()?.pop()
}
