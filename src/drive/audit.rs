//! Looks at what is stored after a step, as the members see it, and takes it for the truth from then on.

use super::draft::{Draft, path};
use super::{Driver, Flow, blocked};
use crate::case::Action;
use crate::case::Count;
use crate::case::model::Pull;
use crate::ledger::member_id;
use crate::protocol::Operation;
use crate::reading::Reading;
use crate::wire::Role;

/// Whose eyes an audit looks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eyes {
    /// Every member's.
    All,
    /// One member's, another one each round.
    One(usize),
}

/// More members than this are not asked one by one.
const MOST_EYES: usize = 8;

impl Driver<'_> {
    /// Pulls the repository as its members. Where there is no repository, `actor` asks for it in vain.
    pub(super) async fn audit(&mut self, repo: &str, actor: &str, eyes: Eyes, round: usize) -> Flow<()> {
        let members = self.eyes(repo, actor, eyes);
        for (index, name) in members.iter().enumerate() {
            let reading = self.look(repo, name, round).await?;
            if index == 0 {
                self.adopt(repo, &reading)?;
            }
        }
        Ok(())
    }

    /// What the first member saw is what the next request builds on; the judge has compared it with what should be.
    fn adopt(&mut self, repo: &str, reading: &Reading) -> Flow<()> {
        let (Some(answer), Some(stored)) = (reading.granted(), self.world.stored(repo)) else {
            return Ok(());
        };
        match stored.observed(answer) {
            Some(seen) => {
                self.world.ensure_repo(repo).stored = Some(seen);
                Ok(())
            }
            None => {
                let reason = "what members are served is no manifest that a request could build on";
                Err(blocked(self.step.map(|step| step + 1), reason))
            }
        }
    }

    async fn look(&mut self, repo: &str, name: &str, round: usize) -> Flow<Reading> {
        let version = self.world.stored(repo).map_or(1, |stored| stored.version);
        // Any version but the current one is answered with the envelope; versions are not negative.
        let known = if version > 0 { version - 1 } else { version + 1 };
        let pull = Pull {
            known: Some(Count::Is(known)),
        };
        let body = super::forge::body(&mut self.world, name, repo, Action::Pull(&pull));
        let draft = Draft::new(
            Operation::Pull,
            path(&mut self.world, Operation::Pull, repo, None),
            body,
        );
        self.exchange(&draft, name, Some(repo), Role::Audit, round).await
    }

    pub(super) fn eyes(&self, repo: &str, actor: &str, eyes: Eyes) -> Vec<String> {
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
            Eyes::One(round) if !names.is_empty() => vec![names.swap_remove(round % names.len())],
            _ => names,
        }
    }
}
