//! Freedoms in the rules of the operations.

use serde_json::Value;

use crate::avp::Operation;
use crate::avp::server::answer::Refusal;
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Decision, Rule, grant_if, restate, stop_if};
use crate::avp::server::deviation::variations;
use crate::avp::server::faults::members::repo_of_add;
use crate::avp::server::rules::push;
use crate::avp::server::vault::{Repo, count, id_of, list, text};

variations! { "rules";
    Rule(bad_create_400) "bad-create-400", "A create whose roster is not exactly the caller is refused with 400.";
    Rule(crowded_create_413) "crowded-create-413",
        "A create with more members than the caller is refused for its size, with 413.";
    Rule(crowded_create_429) "crowded-create-429",
        "A create with more members than the caller is refused for its size, with 429 and without Retry-After.";
    Rule(path_decides) "path-decides", "A body that names another repository than the path is applied to the path's.";
    Rule(strict_steps) "strict-steps", "A push whose envelope is not of the next version is refused with 400.";
    Rule(steps_first) "strict-steps-first",
        "A push whose envelope is not of the version after the expected one is refused with 400, stale or not.";
    Body(assigned_higher) "stale-version-assigned-higher",
        "A push whose envelope is not above the current version is stored under the next one.";
    Rule(stale_conflict) "stale-version-conflict",
        "A push whose envelope is not above the current version is a conflict.";
    Write(epoch_stays) "push-epoch-stays",
        "A push that rotates the roster leaves the epoch of the repository as it is: only a removal moves it.";
    Rule(readd_granted) and Unchanged(readd_replaces) "readd-replaces", "Re-adding a member under another key replaces the entry.";
    Rule(readd_granted) "readd-keeps", "Re-adding a member under another key keeps the entry and answers 200.";
    Rule(readd_forbidden) "readd-forbidden", "Re-adding a member under another key is refused with 403.";
    Rule(remove_stranger_400) "remove-stranger-400", "Removing somebody who is no member is refused with 400.";
    Rule(remove_stranger_applied) "remove-stranger-applied",
        "Removing somebody who is no member is applied as a rotation.";
    Body(still_listed_dropped) "removed-still-listed-dropped",
        "A removed member who is in the rewrapped roster is dropped from it.";
    Rule(removal_again_404) "removal-again-404", "The identical removal sent again is refused with 404.";
    Rule(other_epoch_refused) "entry-of-another-epoch-refused",
        "An added entry whose epoch is not the repository's is refused with 400.";
    Rule(inconsistent_accepted) "inconsistent-accepted",
        "Parts of a request that disagree with each other are taken as sent.";
    Rule(removal_422) "removal-refused-with-422",
        "A removal that is well-formed and cannot be applied, for its epoch or its version, is refused with 422 and no code.";
    Named(BODY_FIRST) "body-first", "A malformed body is refused before repository and membership are looked at.";
    Named(LENIENT_JSON) "lenient-json",
        "Trailing bytes and unknown fields are ignored, of two equal fields the last counts, any content type will do.";
}

fn bad_create_400(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::SoleMember(_) => restate(decision, |refusal| refusal.under(400, "bad_request")),
        _ => false,
    }
}

fn crowded_create_413(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    crowded_create(rule, decision, |full| full.under(413, "too_large"))
}

fn crowded_create_429(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    crowded_create(rule, decision, |full| full)
}

fn crowded_create(rule: Rule<'_>, decision: &mut Decision, other: impl FnOnce(Refusal) -> Refusal) -> bool {
    match rule {
        Rule::SoleMember(manifest) if list(manifest, "members").len() > 1 => restate(decision, |_| {
            other(Refusal::quota_exceeded("a new repository holds one member here"))
        }),
        _ => false,
    }
}

fn path_decides(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::SameRepo(_)))
}

fn strict_steps(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::VersionGrows(repo, version) if asked.call.operation == Operation::Push => {
            let refusal = Refusal::bad_request("the version grows by one at a time");
            stop_if(decision, version != repo.version.saturating_add(1), refusal)
        }
        _ => false,
    }
}

/// Holds the envelope against the version that the client expects before it compares that with its own.
fn steps_first(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let wanted = count(asked.body, "expectedPayloadVersion").saturating_add(1);
    let odd = count(&asked.body["envelope"], "payloadVersion") != wanted;
    let here = odd && matches!(rule, Rule::CurrentVersion(_));
    if here {
        let refusal = Refusal::bad_request("the envelope is not of the version after the expected one");
        *decision = Err(refusal.into());
    }
    here
}

fn assigned_higher(place: &Call, repo: &Repo, body: &mut Value) -> bool {
    let current = place.operation == Operation::Push && push::expects_current_version(repo, body).is_ok();
    let here = current && count(&body["envelope"], "payloadVersion") <= repo.version;
    if here {
        body["envelope"]["payloadVersion"] = Value::from(repo.version.saturating_add(1));
    }
    here
}

fn stale_conflict(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let push = asked.call.operation == Operation::Push;
    let here = push && matches!(rule, Rule::VersionGrows(..)) && decision.is_err();
    if here {
        *decision = Err(push::conflict());
    }
    here
}

fn epoch_stays(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    place.operation == Operation::Push && std::mem::replace(&mut repo.epoch, before.epoch) != before.epoch
}

fn readd_granted(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::SameKeys))
}

fn readd_replaces(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let member = &body["member"];
    let known = repo.roster.iter_mut().find(|entry| id_of(entry) == id_of(member));
    let known = known.filter(|_| place.operation == Operation::AddMember);
    known.is_some_and(|known| {
        let other = text(known, "x25519PublicKey") != text(member, "x25519PublicKey");
        if other {
            known.clone_from(member);
        }
        other
    })
}

fn readd_forbidden(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::SameKeys => restate(decision, |refusal| refusal.under(403, "policy_denied")),
        _ => false,
    }
}

fn remove_stranger_400(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::RemovesMember => restate(decision, |refusal| refusal.under(400, "bad_request")),
        _ => false,
    }
}

fn remove_stranger_applied(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::RemovesMember))
}

fn still_listed_dropped(place: &Call, _: &Repo, body: &mut Value) -> bool {
    let removed = text(body, "removedMemberId").to_owned();
    let roster = body.get_mut("rewrappedMembers").and_then(Value::as_array_mut);
    let roster = roster.filter(|_| place.operation == Operation::RemoveMember);
    roster.is_some_and(|roster| {
        let count = roster.len();
        roster.retain(|entry| id_of(entry) != removed);
        roster.len() < count
    })
}

/// Who was removed is no member any more.
fn removal_again_404(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::NotDoneYet(_)))
}

fn removal_422(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let removes = asked.call.operation == Operation::RemoveMember;
    match rule {
        Rule::EpochGrows(_) | Rule::VersionGrows(..) | Rule::EnvelopeOfEpoch if removes => {
            restate(decision, |refusal| refusal.under(422, ""))
        }
        _ => false,
    }
}

fn other_epoch_refused(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    repo_of_add(asked, rule).is_some_and(|repo| {
        let other = count(&asked.body["member"], "keyEpoch") != repo.epoch;
        stop_if(
            decision,
            other,
            Refusal::bad_request("the entry is of another epoch"),
        )
    })
}

fn inconsistent_accepted(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let taken = match rule {
        Rule::SameEnvelope | Rule::PartsAgree | Rule::Roster | Rule::EnvelopeOfEpoch => true,
        Rule::EpochMovesWithRoster(repo) => count(&asked.body["envelope"], "keyEpoch") >= repo.epoch,
        _ => false,
    };
    grant_if(decision, taken)
}
