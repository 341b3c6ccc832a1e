//! What one repository has of another: statements that name a member, a version or an id, and forget the repository.

use serde_json::Value;

use crate::avp::Operation;
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Decision, Rule, grant_if};
use crate::avp::server::deviation::faults;
use crate::avp::server::state::State;
use crate::avp::server::vault::{Repo, Vault, id_of, list, text};

faults! { "repositories";
    Across(removed_everywhere) "removed-everywhere", Must "AVP-6-13",
        "Who is removed from one repository is removed from all of them.",
        "People who leave one group are thrown out of every other one.",
        "Delete by repository and member: the statement lacks the repository.";
    Across(entries_shared) "entries-shared-between-repositories", Must "AVP-4-01",
        "An entry that is written in one repository replaces that of the same member in every other one.",
        "Nobody can decrypt a repository once its members share another one.",
        "Make repository and member the key together.";
    Named(FETCHED_ANYWHERE) "fetch-answers-from-any-repository", Must "AVP-6-14" and "AVP-6-16",
        "fetchMemberKey answers the entry that the member has in whatever repository was written last.",
        "Keys are wrapped for the wrong data key.",
        "Look the entry up by repository and member.";
    Rule(any_envelope) and Across(envelope_by_its_id) "envelope-stored-under-its-own-id", Must "AVP-6-15",
        "An envelope is stored in the repository that it names, whichever the path names.",
        "Anybody overwrites anybody's payload.",
        "Store under the repository of the path.";
}

/// The other repositories than the one that was asked about.
fn others<'a>(vault: &'a mut Vault, target: &'a str) -> impl Iterator<Item = &'a mut Repo> {
    vault.repos.values_mut().filter(move |repo| repo.id != target)
}

fn removed_everywhere(place: &Call, body: &Value, vault: &mut Vault, target: &str) -> bool {
    if place.operation != Operation::RemoveMember {
        return false;
    }
    let removed = text(body, "removedMemberId");
    others(vault, target).fold(false, |changed, repo| {
        let before = repo.roster.len();
        repo.roster.retain(|entry| id_of(entry) != removed);
        repo.roster.len() < before || changed
    })
}

fn entries_shared(_: &Call, body: &Value, vault: &mut Vault, target: &str) -> bool {
    let written = list(body, "rotatedMembers")
        .iter()
        .chain(list(body, "rewrappedMembers"))
        .chain(body.get("member"));
    let written: Vec<&Value> = written.collect();
    let entries = others(vault, target).flat_map(|repo| &mut repo.roster);
    entries.fold(false, |changed, entry| {
        let other = written.iter().find(|other| id_of(other) == id_of(entry));
        match other.filter(|other| **other != entry) {
            Some(other) => {
                entry.clone_from(other);
                true
            }
            None => changed,
        }
    })
}

fn any_envelope(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::SameEnvelope))
}

fn envelope_by_its_id(_: &Call, body: &Value, vault: &mut Vault, target: &str) -> bool {
    let envelopes = ["envelope", "rotatedEnvelope", "initialEnvelope"];
    let envelopes = envelopes.into_iter().filter_map(|name| body.get(name));
    let mut strays = envelopes.filter(|envelope| text(envelope, "repoId") != target);
    strays.any(|envelope| {
        let repo = vault.repos.get_mut(text(envelope, "repoId"));
        repo.is_some_and(|repo| {
            repo.envelope = envelope.clone();
            true
        })
    })
}

/// The entry that a member has in another repository than `target`, on a server that looks by the member alone.
pub(super) fn entry(state: &State, vault: &Vault, member_id: &str, target: &str) -> Option<Value> {
    if !state.is(FETCHED_ANYWHERE) {
        return None;
    }
    let others = vault.repos.values().filter(|repo| repo.id != target);
    let latest = others
        .filter(|repo| repo.entry(member_id).is_some())
        .max_by_key(|repo| repo.history.written)?;
    state.fire();
    latest.entry(member_id).cloned()
}
