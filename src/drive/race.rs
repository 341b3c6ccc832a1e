//! Races: several requests written to connections of their own at the same moment, over several rounds.
//!
//! Everything that takes time is done before: keys, tokens, nonces, connections. What is left is one write each.

use std::time::Instant;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::audit::Eyes;
use super::draft::Draft;
use super::throttle::is_limit;
use super::world::cast;
use super::{CONNECTING, Driver, Errand, Flow, error, not_applicable, patience_key};
use crate::case::Action;
use crate::case::model::{AddMember, Create, Step};
use crate::crypto::SignatureForm;
use crate::protocol::Operation;
use crate::reading::Reading;
use crate::record::Stopped;
use crate::wire::{Answer, Failure, FailureKind, Lane, Primed, Request, Role, Sent};

/// How many rounds a race has that does not say.
const ROUNDS: usize = 10;

/// One participant of one round.
struct Runner {
    name: String,
    draft: Draft,
    shown: Request,
    primed: Primed,
}

impl Driver<'_> {
    pub(super) async fn race(&mut self, step: &Step) -> Flow<()> {
        let names: Vec<String> = step.actor_names().into_iter().map(str::to_owned).collect();
        let mut lanes: Vec<Lane> = (0..=names.len()).map(|_| self.target.client.lane()).collect();
        for round in 0..step.rounds.unwrap_or(ROUNDS) {
            let (mut attempt, first) = (0, Instant::now());
            // A round in which everybody was answered 429 did not happen.
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

    /// One round. An answer comes back where all were refused for the rate of requests.
    async fn round(
        &mut self,
        step: &Step,
        names: &[String],
        lanes: &mut [Lane],
        round: usize,
    ) -> Flow<Option<Answer>> {
        let repo = self.arena(step, names, round).await?;
        let drafts = self.line_up(step, names, &repo, round).await?;
        self.weigh_all(&repo, &drafts);
        let runners = self.prime(drafts, lanes).await?;
        match self.start(runners, &repo, round).await? {
            Ok(readings) => {
                self.heed_limits(readings.len())?;
                self.settle(&repo, &names[0], &readings, round).await?;
                Ok(None)
            }
            Err(refusal) => Ok(Some(refusal)),
        }
    }

    /// The repository of a round. A race of creations has a new one each time; in any other the members of the case are
    /// members again.
    async fn arena(&mut self, step: &Step, names: &[String], round: usize) -> Flow<String> {
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
                };
                // A faulty target may have lost them all.
                let who = self.eyes(&step.repo, &names[0], Eyes::One(0)).pop();
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
    ) -> Flow<Vec<(String, Draft)>> {
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
            for action in rival.actions() {
                if let Some(draft) = self.runner_draft(action, &rival.actor, repo, round, names.len()) {
                    drafts.push((rival.actor.clone(), draft));
                }
            }
        }
        Ok(drafts)
    }

    /// What all requests of a round ask for together.
    fn weigh_all(&mut self, repo: &str, drafts: &[(String, Draft)]) {
        let Some((_, first)) = drafts.first() else { return };
        self.weigh(repo, first);
        let adds = |(_, draft): &&(String, Draft)| draft.operation == Some(Operation::AddMember);
        let members = self.world.stored(repo).map_or(0, |stored| stored.members.len());
        let together = members + drafts.iter().filter(adds).count();
        self.demand.members = self.demand.members.max(together);
    }

    /// Ends the race where a request of the round asked for more than a limit of the target's allows. A single 429 is a rate.
    fn heed_limits(&self, length: usize) -> Flow<()> {
        let round = self.transcript.exchanges.iter().rev().take(length);
        let limited = round
            .filter_map(|exchange| exchange.outcome.answer())
            .find(|answer| answer.status != 429 && is_limit(answer));
        match limited {
            Some(answer) if self.demand.is_unusual() => Err(self.limited(answer.status)),
            _ => Ok(()),
        }
    }

    fn limited(&self, status: u16) -> Stopped {
        let reason = format!("a limit of the target's stands before it: status {status}");
        not_applicable(self.step, reason)
    }

    fn runner_draft(
        &mut self,
        action: Action<'_>,
        name: &str,
        repo: &str,
        round: usize,
        lane: usize,
    ) -> Option<Draft> {
        match action {
            Action::AddMember(add) if add.member == "{new}" => {
                let fresh = AddMember {
                    member: format!("new-{round}-{lane}"),
                    ..add.clone()
                };
                self.valid_draft(name, repo, Action::AddMember(&fresh))
            }
            action => self.valid_draft(name, repo, action),
        }
    }

    async fn prime(&mut self, drafts: Vec<(String, Draft)>, lanes: &mut [Lane]) -> Flow<Vec<Runner>> {
        let mut runners = Vec::with_capacity(drafts.len());
        for ((name, draft), lane) in drafts.into_iter().zip(lanes) {
            let (request, shown) = self.with_token(&draft, &name).await?;
            let limit = self.limit(CONNECTING)?;
            let began = Instant::now();
            let primed = match timeout(limit, lane.prime(request)).await {
                Ok(Ok(primed)) => primed,
                failed => {
                    let failure = failed.ok().and_then(Result::err).unwrap_or_else(|| Failure {
                        kind: FailureKind::Connect,
                        message: "no connection in time".to_owned(),
                    });
                    self.heed_failure(CONNECTING, &Reading::Failed(failure.clone()), began.elapsed())?;
                    return Err(error(self.step, failure.message));
                }
            };
            runners.push(Runner {
                name,
                draft,
                shown,
                primed,
            });
        }
        Ok(runners)
    }

    /// Lets all go at once and writes the exchanges down in the order of the line-up. Where all are answered 429, one of
    /// the answers comes back.
    async fn start(
        &mut self,
        runners: Vec<Runner>,
        repo: &str,
        round: usize,
    ) -> Flow<Result<Vec<(Draft, Reading)>, Answer>> {
        let at = self.began.elapsed();
        let operation = runners
            .first()
            .map_or_else(String::new, |runner| patience_key(&runner.draft));
        let key = format!("concurrent {operation}");
        let limit = self.limit(&key)?;
        let mut running = JoinSet::new();
        let mut notes = Vec::new();
        for (index, runner) in runners.into_iter().enumerate() {
            let primed = runner.primed;
            running.spawn(async move { (index, primed.fire(limit).await) });
            notes.push((runner.name, runner.draft, runner.shown));
        }
        let mut sent: Vec<(usize, Sent)> = running.join_all().await;
        sent.sort_by_key(|(index, _)| *index);
        let refusal = refusal_of_all(&sent);
        let role = if refusal.is_some() {
            Role::Throttled
        } else {
            Role::Step
        };
        let (mut readings, mut times) = (Vec::new(), Vec::new());
        for ((name, draft, request), (_, sent)) in notes.into_iter().zip(sent) {
            let (reading, took) = (Reading::of(draft.operation, &sent.outcome), sent.took);
            let needs_token = draft.operation.is_some_and(Operation::needs_token);
            let errand = Errand {
                draft: &draft,
                who: &name,
                repo: needs_token.then_some(repo),
                role,
                round,
                request: &request,
                shown: &request,
            };
            self.note(&errand, at, sent);
            readings.push((draft, reading));
            times.push(took);
        }
        if let Some(refusal) = refusal {
            return Ok(Err(refusal));
        }
        for ((_, reading), took) in readings.iter().zip(times) {
            self.heed_failure(&key, reading, took)?;
        }
        Ok(Ok(readings))
    }

    /// What became of the round: the driver takes for stored what one granted request wrote, and then what members see.
    async fn settle(
        &mut self,
        repo: &str,
        actor: &str,
        readings: &[(Draft, Reading)],
        round: usize,
    ) -> Flow<()> {
        for (draft, reading) in readings {
            if draft.operation == Some(Operation::Token) {
                self.keep_token(actor, reading);
            }
            self.apply(repo, draft, reading);
        }
        let writes = readings
            .iter()
            .any(|(draft, _)| draft.operation.is_some_and(Operation::writes));
        if writes {
            self.audit(repo, actor, Eyes::All, round).await
        } else {
            Ok(())
        }
    }
}

/// An answer of a round in which all were 429.
fn refusal_of_all(sent: &[(usize, Sent)]) -> Option<Answer> {
    let refusal = |(_, sent): &(usize, Sent)| {
        let answer = sent.outcome.answer().filter(|answer| answer.status == 429);
        answer.cloned()
    };
    sent.iter().map(refusal).collect::<Option<Vec<_>>>()?.pop()
}
