//! What an operation asks its rules, and where a deviation may bend what a rule decided.
//!
//! Each rule costs an operation one line: a plain function of `rules` decides, and [`Asked::decide`] hands the decision
//! on, together with what it was about. On a server that does not deviate it comes back as it was. What the deviations
//! do there stands beside their tables, in `faults` and `variations`.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Call;
use super::deviation::Hook;
use super::rules::login::Claim;
use super::state::State;
use super::vault::{Repo, Vault};

/// Whether an operation goes on after a rule.
pub(super) type Decision = Result<(), Stop>;

/// Why an operation goes no further.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stop {
    /// The request is refused.
    Refused(Refusal),
    /// There is nothing to do for this request on a repository: this is the reply to it.
    Done(Reply),
}

/// What an operation on a repository replies, once the repository is as it is going to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// The manifest as it is now.
    Manifest,
    /// What became of a push.
    Pushed {
        /// Whether it was applied; a conflict otherwise.
        applied: bool,
    },
    /// The manifest, and an envelope unless the client has it.
    Pulled {
        /// Whether the client has the current version.
        unchanged: bool,
        /// The envelope that is sent along.
        envelope: Option<Value>,
    },
    /// This.
    Value(Value),
}

/// A rule, and what it decided about.
#[derive(Clone, Copy)]
pub(super) enum Rule<'a> {
    /// Who asks is a member of this repository, one among all.
    Member(&'a Vault, &'a Repo),
    /// Path and body name the same repository.
    SameRepo(&'a Repo),
    /// An envelope is of the repository it is stored in.
    SameEnvelope,
    /// The roster of this new manifest is its creator.
    SoleMember(&'a Value),
    /// A new manifest and its envelope agree.
    PartsAgree,
    /// No repository has the id of the new one.
    FreshId(&'a Vault),
    /// There is room for another repository of the caller.
    AnotherRepo(&'a Vault),
    /// A push expects the current version of this repository.
    CurrentVersion(&'a Repo),
    /// The version of this repository grows to that one.
    VersionGrows(&'a Repo, i64),
    /// A push moves the epoch of this repository with its roster only.
    EpochMovesWithRoster(&'a Repo),
    /// There is room for so many members.
    Room(usize),
    /// A roster may replace the current one.
    Roster,
    /// Who is added again comes under the key that is recorded.
    SameKeys,
    /// A removal is not the last one of this repository again.
    NotDoneYet(&'a Repo),
    /// Who is removed is a member.
    RemovesMember,
    /// Who is removed from this repository leaves its roster.
    LeavesRoster(&'a Repo),
    /// A removal lets the epoch of this repository grow.
    EpochGrows(&'a Repo),
    /// The envelope of a removal is of its epoch.
    EnvelopeOfEpoch,
    /// This text is a public key.
    PublicKey(&'a str),
    /// The nonce of a claim may be redeemed.
    NonceIsOpen(&'a Claim),
    /// The signature of a claim holds.
    Signature(&'a Claim),
    /// The nonce of a claim is used up by it and by no other.
    NonceIsTaken,
}

/// A token that is about to be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// The token.
    pub(super) token: String,
    /// The member it stands for.
    pub(super) member_id: String,
    /// When it is over, epoch milliseconds.
    pub(super) expires: i64,
    /// When the client is told that it is over.
    pub(super) expires_told: i64,
}

/// A request with a body that was read, and the server that is asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The server.
    pub(super) state: &'a State,
    /// What the request is about.
    pub(super) call: &'a Call,
    /// Its body; null where it has none.
    pub(super) body: &'a Value,
}

impl Asked<'_> {
    /// What this server makes of the decision of a rule: nothing else, unless it deviates.
    ///
    /// # Errors
    /// The operation ends here.
    pub(super) fn decide(&self, rule: Rule<'_>, mut decision: Decision) -> Decision {
        self.state.deviate(|hook| match hook {
            Hook::Rule(bend) => bend(self, rule, &mut decision),
            _ => false,
        });
        decision
    }

    /// The claim as this server reads it.
    pub(super) fn claim(&self, mut claim: Claim) -> Claim {
        self.state.deviate(|hook| match hook {
            Hook::Claim(bend) => bend(self.body, &mut claim),
            _ => false,
        });
        claim
    }

    /// The nonce that this server issues to a key, of random bytes.
    pub(super) fn nonce(&self, key: &str, mut nonce: Vec<u8>) -> Vec<u8> {
        self.state.deviate(|hook| match hook {
            Hook::Nonce(bend) => bend(self.state, key, &mut nonce),
            _ => false,
        });
        nonce
    }

    /// The token that this server grants for a claim.
    pub(super) fn grant(&self, claim: &Claim, mut grant: Grant) -> Grant {
        self.state.deviate(|hook| match hook {
            Hook::Grant(bend) => bend(self.state, claim, &mut grant),
            _ => false,
        });
        grant
    }
}

impl Stop {
    /// The refusal. Only operations on repositories have replies; elsewhere one would be a mistake of this server.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Stop::Refused(refusal) => refusal,
            Stop::Done(_) => Refusal::failure(500, "there is nothing to reply"),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

/// A decision that refuses where something does not hold.
pub(super) fn refuse_unless(holds: bool, refusal: impl FnOnce() -> Refusal) -> Decision {
    match holds {
        true => Ok(()),
        false => Err(refusal().into()),
    }
}

/// Lets pass what a rule stopped, where a deviation takes it; true where that changed the decision.
pub(super) fn grant_if(decision: &mut Decision, taken: bool) -> bool {
    let here = taken && decision.is_err();
    if here {
        *decision = Ok(());
    }
    here
}

/// Stops what a rule let pass, where a deviation does not take it; true where that changed the decision.
pub(super) fn stop_if(decision: &mut Decision, refused: bool, stop: impl Into<Stop>) -> bool {
    let here = refused && decision.is_ok();
    if here {
        *decision = Err(stop.into());
    }
    here
}

/// Puts another refusal in place of the one that a rule has; true where it has one.
pub(super) fn restate(decision: &mut Decision, other: impl FnOnce(Refusal) -> Refusal) -> bool {
    match std::mem::replace(decision, Ok(())) {
        Err(Stop::Refused(refusal)) => {
            *decision = Err(other(refusal).into());
            true
        }
        plain => {
            *decision = plain;
            false
        }
    }
}
