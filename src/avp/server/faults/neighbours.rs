//! What one repository has of another: statements that name a member, a version or an id, and forget the repository.

use serde_json::Value;

use crate::avp::Operation;
use crate::avp::server::core::Call;
use crate::avp::server::deviation::faults;
use crate::avp::server::state::State;
use crate::avp::server::vault::{Vault, id_of, list, text};

faults! { "repositories";
    Rule(REMOVED_EVERYWHERE) "removed-everywhere", Must "AVP-6-13",
        "Who is removed from one repository is removed from all of them.",
        "People who leave one group are thrown out of every other one.",
        "Delete by repository and member: the statement lacks the repository.";
    Rule(ENTRIES_SHARED) "entries-shared-between-repositories", Must "AVP-4-01",
        "An entry that is written in one repository replaces that of the same member in every other one.",
        "Nobody can decrypt a repository once its members share another one.",
        "Make repository and member the key together.";
    Rule(FETCHED_ANYWHERE) "fetch-answers-from-any-repository", Must "AVP-6-14" and "AVP-6-16",
        "fetchMemberKey answers the entry that the member has in whatever repository was written last.",
        "Keys are wrapped for the wrong data key.",
        "Look the entry up by repository and member.";
    Rule(ENVELOPE_ID) "envelope-stored-under-its-own-id", Must "AVP-6-15",
        "An envelope is stored in the repository that it names, whichever the path names.",
        "Anybody overwrites anybody's payload.",
        "Store under the repository of the path.";
}

/// Lets such a deviation at the other repositories, once an operation on `target` was granted.
pub(in crate::avp::server) fn across(
    state: &State,
    place: &Call,
    vault: &mut Vault,
    body: &Value,
    target: &str,
) {
    let others = vault.repos.values_mut().filter(|repo| repo.id != target);
    if state.is(REMOVED_EVERYWHERE) && place.operation == Operation::RemoveMember {
        let removed = text(body, "removedMemberId");
        for repo in others {
            let before = repo.roster.len();
            repo.roster.retain(|entry| id_of(entry) != removed);
            if repo.roster.len() < before {
                state.fire();
            }
        }
    } else if state.is(ENTRIES_SHARED) {
        let written = list(body, "rotatedMembers")
            .iter()
            .chain(list(body, "rewrappedMembers"))
            .chain(body.get("member"));
        let written: Vec<&Value> = written.collect();
        for repo in others {
            for entry in &mut repo.roster {
                let other = written.iter().find(|other| id_of(other) == id_of(entry));
                if let Some(other) = other.filter(|other| **other != entry) {
                    entry.clone_from(other);
                    state.fire();
                }
            }
        }
    } else if state.is(ENVELOPE_ID) {
        let envelopes = ["envelope", "rotatedEnvelope", "initialEnvelope"];
        for envelope in envelopes.into_iter().filter_map(|name| body.get(name)) {
            let named = text(envelope, "repoId");
            if named != target
                && let Some(repo) = vault.repos.get_mut(named)
            {
                repo.envelope = envelope.clone();
                state.fire();
            }
        }
    }
}

/// The entry that a member has in another repository than `target`, on a server that looks by the member alone.
pub(in crate::avp::server) fn entry(
    state: &State,
    vault: &Vault,
    member_id: &str,
    target: &str,
) -> Option<Value> {
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
