//! Looks at what is stored after a step, as the members see it, and takes it for the truth from then on.

use super::draft::{Draft, path};
use super::{CaseResult, Driver};
use crate::avp::Operation;
use crate::avp::cases::model::Pull;
use crate::avp::cases::{Action, Counter};
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::{RepoState, member_id};
use crate::http::{Over, Role, Wire};
use crate::record::Stopped;

/// Whose eyes an audit looks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Every member's.
    All,
    /// One member's, another one each round.
    One(usize),
}

/// What a member was served, against what the answers so far commit the target to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Version, epoch, members and envelope are those that are known; or there is no repository, and none was served.
    AsKnown,
    /// Something else, or nothing.
    Other,
    /// No manifest that could be read.
    Unreadable,
}

/// More members than this are not asked one by one.
const MOST_EYES: usize = 8;

impl Driver<'_> {
    /// Pulls the repository as its members. Where there is no repository, `actor` asks for it in vain. Ends the case where
    /// what is served is nothing that a request could build on.
    pub(super) async fn audit(
        &mut self,
        repo: &str,
        actor: &str,
        eyes: Readers,
        round: usize,
    ) -> CaseResult<()> {
        let sight = self.survey(repo, actor, eyes, round).await?;
        self.build_on(sight)
    }

    /// Like [`Driver::audit`], and says what the first member saw.
    pub(super) async fn survey(
        &mut self,
        repo: &str,
        actor: &str,
        eyes: Readers,
        round: usize,
    ) -> CaseResult<Sight> {
        let members = self.eyes(repo, actor, eyes);
        let mut first = Sight::AsKnown;
        for (index, name) in members.iter().enumerate() {
            let reading = self.pull_as(repo, name, round, None).await?;
            if index == 0 {
                first = self.take_as_truth(repo, &reading);
            }
        }
        // What is written over one transport is served over the other, at once.
        if let (Over::Both, Some(name)) = (self.over, members.first()) {
            let other = match self.step_wire {
                Wire::Grpc => Wire::Http,
                _ => Wire::Grpc,
            };
            self.pull_as(repo, name, round, Some(other)).await?;
        }
        Ok(first)
    }

    /// What the first member saw is what the next request builds on; the judge has compared it with what should be.
    fn take_as_truth(&mut self, repo: &str, reading: &AnswerClass) -> Sight {
        let Some(stored) = self.world.stored(repo) else {
            return match reading.granted() {
                Some(_) => Sight::Other,
                None => Sight::AsKnown,
            };
        };
        let Some(answer) = reading.granted() else {
            return Sight::Other;
        };
        let Some(seen) = stored.observed(answer) else {
            return Sight::Unreadable;
        };
        let ids = |stored: &RepoState| -> Vec<String> {
            let ids = stored.members.iter().filter_map(|entry| member_id(entry));
            ids.map(str::to_owned).collect()
        };
        let same = (seen.version, seen.epoch) == (stored.version, stored.epoch)
            && ids(&seen) == ids(stored)
            && answer.get("envelope") == Some(&*stored.envelope);
        self.world.ensure_repo(repo).stored = Some(seen);
        if same { Sight::AsKnown } else { Sight::Other }
    }

    /// Ends the case where no later request can build on what was seen.
    pub(super) fn build_on(&self, sight: Sight) -> CaseResult<()> {
        match sight {
            Sight::AsKnown | Sight::Other => Ok(()),
            // After the set-up: no step may need it.
            Sight::Unreadable if self.talk.current_step().is_none() => Ok(()),
            Sight::Unreadable => {
                let reason = "what members are served is no manifest that a request could build on";
                Err(Stopped {
                    step: self.talk.current_step().map(|step| step + 1),
                    ..self.talk.blocked(reason)
                })
            }
        }
    }

    async fn pull_as(
        &mut self,
        repo: &str,
        name: &str,
        round: usize,
        wire: Option<Wire>,
    ) -> CaseResult<AnswerClass> {
        let version = self.world.stored(repo).map_or(1, |stored| stored.version);
        // Any version but the current one is answered with the envelope; versions are not negative.
        let known = if version > 0 { version - 1 } else { version + 1 };
        let pull = Pull {
            known: Some(Counter::Is(known)),
        };
        let body = super::requests::body(&mut self.world, name, repo, Action::Pull(&pull));
        let path = path(&mut self.world, Operation::Pull, repo, None);
        let draft = Draft {
            wire,
            ..Draft::new(Operation::Pull, path, body)
        };
        self.exchange(&draft, name, Some(repo), Role::Audit, round).await
    }

    pub(super) fn eyes(&self, repo: &str, actor: &str, eyes: Readers) -> Vec<String> {
        let Some(stored) = self.world.stored(repo) else {
            return vec![actor.to_owned()];
        };
        let names = stored
            .members
            .iter()
            .filter_map(|entry| member_id(entry))
            .filter_map(|id| self.world.name_of(id));
        let mut names: Vec<String> = names
            .filter(|name| !name.starts_with("new-"))
            .map(str::to_owned)
            .collect();
        names.truncate(MOST_EYES);
        match eyes {
            Readers::One(round) if !names.is_empty() => vec![names.swap_remove(round % names.len())],
            _ => names,
        }
    }
}
