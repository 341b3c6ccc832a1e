//! The rules of removeMember alone.

use serde_json::Value;

use crate::avp::server::answer::Refusal;
use crate::avp::server::decision::{Decision, Reply, Stop, refuse_unless};
use crate::avp::server::rules;
use crate::avp::server::vault::{Repo, count, id_of, list, text};

/// The last removal, sent again, is done already: it is answered as before, and changes nothing.
pub(in crate::avp::server) fn is_not_done_yet(repo: &Repo, body: &Value) -> Decision {
    match repo.last_removal.as_ref() == Some(body) {
        true => Err(Stop::Done(Reply::Manifest)),
        false => Ok(()),
    }
}

/// Who is removed is a member.
pub(in crate::avp::server) fn removes_member(repo: &Repo, body: &Value) -> Decision {
    refuse_unless(repo.entry(text(body, "removedMemberId")).is_some(), || {
        Refusal::not_found("there is no such member in this repository")
    })
}

/// Who is removed is not in the new roster.
pub(in crate::avp::server) fn leaves_roster(body: &Value) -> Decision {
    let removed = text(body, "removedMemberId");
    let stays = list(body, "rewrappedMembers")
        .iter()
        .any(|entry| id_of(entry) == removed);
    refuse_unless(!stays, || {
        Refusal::bad_request("the removed member is still in the rewrapped roster")
    })
}

/// Those who stay are named once each, the caller among them; who removes themselves need not be.
pub(in crate::avp::server) fn roster(body: &Value, caller: &str) -> Decision {
    let roster = list(body, "rewrappedMembers");
    match text(body, "removedMemberId") == caller {
        true => refuse_unless(!rules::has_twins(roster), || {
            Refusal::bad_request("the roster names a member twice")
        }),
        false => rules::roster(roster, caller),
    }
}

/// A removal rotates the data key, so the epoch grows.
pub(in crate::avp::server) fn epoch_grows(repo: &Repo, body: &Value) -> Decision {
    refuse_unless(count(body, "newKeyEpoch") > repo.epoch, || {
        Refusal::bad_request("a removal increments the key epoch")
    })
}

/// The rotated envelope is of the new epoch.
pub(in crate::avp::server) fn envelope_is_of_epoch(body: &Value) -> Decision {
    let epoch = count(&body["rotatedEnvelope"], "keyEpoch");
    refuse_unless(epoch == count(body, "newKeyEpoch"), || {
        Refusal::bad_request("the rotated envelope is not of the new key epoch")
    })
}
