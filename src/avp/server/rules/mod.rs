//! The rules of the protocol as plain functions: what is stored and what is asked in, a decision out. Here are those
//! that several operations share, and beside them a file for the rules of one operation alone.
//!
//! Nothing here knows of faults: what a deviation makes of a decision happens where it is asked for
//! ([`Asked::decide`](super::decision::Asked::decide)).

pub(super) mod create;
pub(super) mod keys;
pub(super) mod login;
pub(super) mod push;
pub(super) mod removal;

use serde_json::Value;

use super::answer::Refusal;
use super::decision::{Decision, refuse_unless};
use super::vault::{Repo, id_of, text};

/// The caller is in the roster of the repository: members are all alike, and nobody else gets in.
pub(super) fn is_member(repo: &Repo, caller: &str) -> Decision {
    refuse_unless(repo.entry(caller).is_some(), no_member)
}

/// What somebody is told who is not in the roster.
pub(super) fn no_member() -> Refusal {
    Refusal::forbidden("the caller is no member of this repository")
}

/// The body names the repository of the path.
pub(super) fn body_names_repo(path_id: &str, body: &Value) -> Decision {
    refuse_unless(text(body, "repoId") == path_id, || {
        Refusal::bad_request("path and body name different repositories")
    })
}

/// An envelope names the repository it is stored in.
pub(super) fn envelope_names_repo(repo_id: &str, envelope: &Value) -> Decision {
    refuse_unless(text(envelope, "repoId") == repo_id, || {
        Refusal::bad_request("the envelope is of another repository")
    })
}

/// The version of a repository only grows.
pub(super) fn version_grows(repo: &Repo, version: i64) -> Decision {
    refuse_unless(version > repo.version, || {
        let error = Refusal::bad_request("the version of a repository only grows");
        error.with_detail(format!("it is {} and the envelope's is {version}", repo.version))
    })
}

/// There is room for as many members and repositories as anybody likes: limits are a deployment's, and this server sets
/// none.
pub(super) fn room() -> Decision {
    Ok(())
}

/// A roster that replaces the current one names each member once, and the caller among them.
pub(super) fn roster(roster: &[Value], caller: &str) -> Decision {
    refuse_unless(!has_twins(roster), || {
        Refusal::bad_request("the roster names a member twice")
    })?;
    refuse_unless(roster.iter().any(|entry| id_of(entry) == caller), || {
        Refusal::bad_request("the roster leaves the caller out")
    })
}

/// A member who is added again comes under the key that is recorded.
pub(super) fn has_same_key(known: &Value, member: &Value) -> Decision {
    refuse_unless(
        text(known, "x25519PublicKey") == text(member, "x25519PublicKey"),
        || Refusal::bad_request("this member is in the roster under another key"),
    )
}

/// Whether a member id occurs twice in a roster.
pub(super) fn has_twins(roster: &[Value]) -> bool {
    let is_repeated = |index: usize| {
        roster[..index]
            .iter()
            .any(|entry| id_of(entry) == id_of(&roster[index]))
    };
    (1..roster.len()).any(is_repeated)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(ids: &[&str]) -> Vec<Value> {
        ids.iter().map(|id| json!({ "ed25519PublicKey": id })).collect()
    }

    #[test]
    fn a_roster_names_everybody_once_and_the_caller_too() {
        assert!(roster(&entries(&["a", "b"]), "b").is_ok());
        assert!(roster(&entries(&["a", "b", "a"]), "b").is_err());
        assert!(roster(&entries(&["a"]), "b").is_err());
        assert!(roster(&[], "b").is_err());
    }

    #[test]
    fn the_version_grows_by_any_step_and_stands_still_never() {
        let repo = Repo::new(&json!({ "manifest": { "payloadVersion": 9 } }));
        assert!(version_grows(&repo, 10).is_ok() && version_grows(&repo, i64::MAX).is_ok());
        assert!(version_grows(&repo, 9).is_err() && version_grows(&repo, 8).is_err());
    }
}
