//! What a step does, as one of the things that it can do.

use super::model::{
    AddMember, Case, Challenge, Create, Discover, FetchMember, Pull, Push, RawRequest, Redeem, RemoveMember,
    Rival, Step, Transport, Wait,
};
use super::words::{ExpectedAnswer, NonceSource, TokenForm};
use crate::avp::Operation;

/// The one thing that a step does.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    /// Ask for a nonce.
    Challenge(&'a Challenge),
    /// Redeem a nonce.
    Redeem(&'a Redeem),
    /// Create a repository.
    Create(&'a Create),
    /// Pull.
    Pull(&'a Pull),
    /// Push.
    Push(&'a Push),
    /// Add a member.
    AddMember(&'a AddMember),
    /// Remove a member.
    RemoveMember(&'a RemoveMember),
    /// Fetch a member's entry.
    FetchMember(&'a FetchMember),
    /// Ask for the discovery document.
    Discover(&'a Discover),
    /// A request outside the route table.
    Request(&'a RawRequest),
    /// Wait.
    Wait(Wait),
    /// Look at how the target is reached.
    Transport(&'a Transport),
}

impl<'a> Action<'a> {
    /// The names that stand in it.
    fn mentions(self) -> Vec<&'a str> {
        let list = |names: &'a Option<Vec<String>>| names.iter().flatten().map(String::as_str);
        match self {
            Action::Create(create) => list(&create.members).collect(),
            Action::Push(push) => list(&push.rotate).collect(),
            // `{new}` and `{one}` are made up.
            Action::AddMember(add) if add.member.starts_with('{') => Vec::new(),
            Action::AddMember(add) => vec![&add.member],
            Action::RemoveMember(remove) => list(&remove.rewrap).chain([remove.member.as_str()]).collect(),
            Action::FetchMember(fetch) => vec![&fetch.member],
            Action::Redeem(redeem) => {
                let of = match &redeem.nonce {
                    Some(NonceSource::Of(name) | NonceSource::UsedOf(name)) => Some(name),
                    _ => None,
                };
                let all = [redeem.signer.as_ref(), redeem.key.as_ref(), of];
                all.into_iter().flatten().map(String::as_str).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Action<'_> {
    /// The operation of the route table that it makes, if it is one.
    pub fn operation(self) -> Option<Operation> {
        Some(match self {
            Action::Challenge(_) => Operation::Challenge,
            Action::Redeem(_) => Operation::Token,
            Action::Create(_) => Operation::CreateRepo,
            Action::Pull(_) => Operation::Pull,
            Action::Push(_) => Operation::Push,
            Action::AddMember(_) => Operation::AddMember,
            Action::RemoveMember(_) => Operation::RemoveMember,
            Action::FetchMember(_) => Operation::FetchMemberKey,
            Action::Discover(_) => Operation::Discovery,
            Action::Request(_) | Action::Wait(_) | Action::Transport(_) => return None,
        })
    }
}

impl Step {
    /// The acceptable answers; none where the step says nothing of its answer.
    pub fn words(&self) -> &[ExpectedAnswer] {
        let answer = self.answer.as_ref();
        answer.map_or(&[], |answer| answer.get_ref().0.as_slice())
    }

    /// Whether nothing but a refusal is right.
    pub fn is_to_be_refused(&self) -> bool {
        let words = self.words();
        !words.is_empty() && words.iter().all(|word| word.is_refusal())
    }

    /// Everything the step says to do; exactly one in a case that passed the lint.
    pub fn actions(&self) -> Vec<Action<'_>> {
        [
            self.challenge.as_ref().map(Action::Challenge),
            self.redeem.as_ref().map(Action::Redeem),
            self.create.as_ref().map(Action::Create),
            self.pull.as_ref().map(Action::Pull),
            self.push.as_ref().map(Action::Push),
            self.add_member.as_ref().map(Action::AddMember),
            self.remove_member.as_ref().map(Action::RemoveMember),
            self.fetch_member.as_ref().map(Action::FetchMember),
            self.discover.as_ref().map(Action::Discover),
            self.request.as_ref().map(Action::Request),
            self.wait.map(Action::Wait),
            self.transport.as_ref().map(Action::Transport),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What the step does. The lint has made sure that there is one thing; a case that was not linted waits for nothing.
    pub fn action(&self) -> Action<'_> {
        static NOTHING: Transport = Transport {};
        self.actions()
            .first()
            .copied()
            .unwrap_or(Action::Transport(&NOTHING))
    }

    /// Who acts: the names under `as`, or `alice`.
    pub fn actor_names(&self) -> Vec<&str> {
        match self.actors.is_empty() {
            true => vec!["alice"],
            false => self.actors.iter().map(String::as_str).collect(),
        }
    }

    /// The name of everybody whom the step mentions, once for each place.
    pub fn mentions(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.actors.iter().map(String::as_str).collect();
        for rival in [&self.against, &self.meanwhile].into_iter().flatten() {
            names.extend(rival.actors.iter().map(String::as_str));
            names.extend(rival.actions().into_iter().flat_map(Action::mentions));
        }
        names.extend(self.actions().into_iter().flat_map(Action::mentions));
        let tokens = self.with.iter().flat_map(|with| with.token.iter());
        names.extend(tokens.filter_map(|token| match token {
            TokenForm::Of(name) => Some(name.as_str()),
            _ => None,
        }));
        names
    }

    /// How many rounds it has: one, but for a race, which has ten unless it says otherwise.
    pub fn count_rounds(&self) -> usize {
        match self.is_race() {
            true => self.rounds.unwrap_or(10),
            false => 1,
        }
    }

    /// How much of the time for races it is worth: requests, in all its rounds.
    pub fn race_weight(&self) -> u32 {
        let rivals = self.against.as_ref().map_or(0, |rival| rival.actors.len());
        let racers = self.actor_names().len() + rivals;
        match self.is_race() {
            true => u32::try_from(self.count_rounds() * racers).unwrap_or(u32::MAX),
            false => 0,
        }
    }

    /// Whether several requests are made at the same moment.
    pub fn is_race(&self) -> bool {
        self.actors.len() > 1 || self.against.is_some()
    }
}

impl Case {
    /// Whether some step is a race.
    pub fn is_race(&self) -> bool {
        self.steps.iter().any(|step| step.get_ref().is_race())
    }

    /// Whether nothing may run beside it: what others do would spoil a race, and a body that is held back would keep others
    /// waiting, where the target does one thing at a time.
    pub fn runs_alone(&self) -> bool {
        self.alone || self.is_race() || self.steps.iter().any(|step| step.get_ref().meanwhile.is_some())
    }

    /// How much of the time for races it is worth.
    pub fn race_weight(&self) -> u32 {
        let weights = self.steps.iter().map(|step| step.get_ref().race_weight());
        weights.fold(0, u32::saturating_add)
    }
}

impl Rival {
    /// Everything the rival does; exactly one in a case that passed the lint.
    pub fn actions(&self) -> Vec<Action<'_>> {
        [
            self.create.as_ref().map(Action::Create),
            self.pull.as_ref().map(Action::Pull),
            self.push.as_ref().map(Action::Push),
            self.add_member.as_ref().map(Action::AddMember),
            self.remove_member.as_ref().map(Action::RemoveMember),
            self.wait.map(Action::Wait),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
