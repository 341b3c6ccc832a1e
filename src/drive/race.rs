//! Races: several requests written to connections of their own at the same moment, over several rounds.
//!
//! Everything that takes time is done before: keys, tokens, nonces, connections. What is left is one write each.

use tokio::task::JoinSet;

use super::audit::Eyes;
use super::draft::Draft;
use super::throttle::is_limit;
use super::world::cast;
use super::{Driver, Errand, Flow, blocked, error, not_applicable};
use crate::case::Action;
use crate::case::model::{AddMember, Create, Step};
use crate::crypto::SignatureForm;
use crate::protocol::Operation;
use crate::reading::Reading;
use crate::record::Stopped;
use crate::wire::{FailureKind, Lane, Outcome, Primed, Request, Role, Sent};

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
            let repo = self.arena(step, &names, round).await?;
            let drafts = self.line_up(step, &names, &repo, round).await?;
            self.weigh_all(&repo, &drafts);
            let runners = self.prime(drafts, &mut lanes).await?;
            let readings = self.start(runners, &repo, round).await?;
            self.heed_limits(&readings)?;
            self.settle(&repo, &names[0], &readings, round).await?;
        }
        Ok(())
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
                let who = self.eyes(&step.repo, &names[0], Eyes::One(0)).swap_remove(0);
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

    /// Ends the race where a request of the round asked for more than a limit of the target's allows. Some answers of 429
    /// are a rate; nothing but 429 is a limit.
    fn heed_limits(&self, readings: &[(Draft, Reading)]) -> Flow<()> {
        let round = self.transcript.exchanges.iter().rev().take(readings.len());
        let throttled = readings.iter().all(|(_, reading)| reading.status() == Some(429));
        let limited = round
            .filter_map(|exchange| exchange.outcome.answer())
            .find(|answer| is_limit(answer) && (throttled || answer.status != 429));
        match limited {
            Some(answer) if self.demand.is_unusual() => Err(not_applicable(
                self.step,
                format!(
                    "a limit of the target's stands before it: status {}",
                    answer.status
                ),
            )),
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
            let primed = lane
                .prime(request)
                .await
                .map_err(|failure| self.no_connection(failure.message))?;
            runners.push(Runner {
                name,
                draft,
                shown,
                primed,
            });
        }
        Ok(runners)
    }

    fn no_connection(&self, message: String) -> Stopped {
        error(self.step, message)
    }

    /// Lets all go at once and writes the exchanges down in the order of the line-up.
    async fn start(&mut self, runners: Vec<Runner>, repo: &str, round: usize) -> Flow<Vec<(Draft, Reading)>> {
        let at = self.began.elapsed();
        let limit = self.target.patience.limit("race");
        let mut running = JoinSet::new();
        let mut notes = Vec::new();
        for (index, runner) in runners.into_iter().enumerate() {
            let primed = runner.primed;
            running.spawn(async move { (index, primed.fire(limit).await) });
            notes.push((runner.name, runner.draft, runner.shown));
        }
        let mut sent: Vec<(usize, Sent)> = running.join_all().await;
        sent.sort_by_key(|(index, _)| *index);
        let mut readings = Vec::new();
        for ((name, draft, request), (_, sent)) in notes.into_iter().zip(sent) {
            let outcome = sent.outcome.clone();
            let repo = draft
                .operation
                .is_some_and(Operation::needs_token)
                .then_some(repo);
            let (draft_ref, request) = (&draft, &request);
            let errand = Errand {
                draft: draft_ref,
                who: &name,
                repo,
                role: Role::Step,
                round,
                request,
                shown: request,
            };
            self.note(&errand, at, sent);
            match outcome {
                Outcome::Failure(failure) if failure.kind == FailureKind::Connect => {
                    return Err(error(self.step, failure.message));
                }
                Outcome::Failure(_) => self.target.patience.note_timeout("race"),
                Outcome::Answer(_) => {}
            }
            readings.push((draft.clone(), Reading::of(draft.operation, &outcome)));
        }
        Ok(readings)
    }

    /// What became of the round: the driver takes for stored what one granted request wrote, and then what members see.
    async fn settle(
        &mut self,
        repo: &str,
        actor: &str,
        readings: &[(Draft, Reading)],
        round: usize,
    ) -> Flow<()> {
        if readings.iter().all(|(_, reading)| reading.status() == Some(429)) {
            return Err(blocked(self.step, "every request of the race was answered 429"));
        }
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
