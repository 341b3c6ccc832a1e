//! What push gets wrong.

use serde_json::{Value, json};

use super::create::under_epoch;
use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Decision, Reply, Rule, Stop, grant_if, stop_if};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::message_access::Object;
use crate::avp::server::rules::push::conflict as conflict_stop;
use crate::avp::server::vault::{Repo, count, id_of, list, text};

/// What is a large ciphertext to a server that mistakes limits for conflicts, characters.
const LARGE_CIPHERTEXT_CHARS: usize = 32 * 1024;

/// How many members a repository holds on a server with a generous limit.
const LARGEST_ROSTER: usize = 100;

faults! { "push";
    Rule(conflict_remembered) "push-conflict-is-remembered", Must "AVP-6-09",
        "A push that was a conflict stays one, though the version that it expects has come.",
        "A client that is ahead for a moment can never send this payload.",
        "Compare the expected version with the current one at each request, and cache no answers.";
    Rule(conflict_lets_in) "push-conflict-lets-in", Must "AVP-6-15" and "AVP-6-08",
        "Whom the rotatedMembers of a conflicting push list has access from then on.",
        "A push that wrote nothing lets in somebody who was never there.",
        "Note who has access when the transaction is over, and not before.";
    Write(rotation_epochs_taken) "push-overwrites-entry-epochs", Must "AVP-2-04",
        "Rotated entries are stored under the envelope's epoch, whatever their own is.",
        "Clients look for a key of the wrong epoch.",
        "Store entries as they were sent, or refuse them.";
    Write(ciphertext_shared) "push-stores-a-ciphertext-once", Must "AVP-6-09" and "AVP-4-01",
        "A ciphertext that is stored already is not stored again, nor is the iv that came with it this time.",
        "What is saved cannot be decrypted.",
        "Look blobs up by all that belongs to them, or do not share them.";
    Refusal(back_rotated) "push-refused-for-its-epoch-stores-roster", Must "AVP-6-20",
        "A push whose epoch goes back is refused with 400, and its rotated roster is stored.",
        "Members hold keys that open nothing.",
        "Check everything before you write anything, or roll back.";
    Answer(epoch_before) "push-answers-old-epoch", Must "AVP-6-09",
        "An applied push that moved the epoch answers the one before it.",
        "The client goes on under a key that is over.",
        "Read the row after the update, not before.";
    Rule(crowd_refused) and Refusal(crowd_stored) "push-refused-for-a-limit-stores-envelope", Must "AVP-6-20",
        "A push that rotates in more than a hundred members is refused with 403, and its envelope is stored.",
        "What was refused is served, under a key that nobody was given.",
        "Check every limit before you write anything, or roll back.";
    Named(CANARY) "canary", Must "AVP-6-09",
        "Every push that would apply is answered as applied, and nothing of it is stored.",
        "Whatever is saved is gone at the next start.",
        "Store the envelope before you answer.";
    Rule(expected_32_bit) "push-compares-32-bits", Must "AVP-6-07" and "AVP-10-02",
        "Of the expected version and the current one the lower 32 bits are compared.",
        "A version that is 2^32 away is taken for the current one.",
        "Compare counters as 64-bit integers.";
    Rule(minus_one_forces) "push-forced-by-minus-one", Must "AVP-6-07" and "AVP-10-02",
        "A push that expects version -1 is applied to whatever is there.",
        "A client without a version overwrites everybody's work.",
        "There is no way to force a push: compare for equality.";
    Rule(versions_as_text) "push-compares-versions-as-text", Must "AVP-6-09",
        "Versions are compared as text, so that 10 is less than 9.",
        "Nobody can save once a repository has reached version 9.",
        "Compare numbers, and keep them in a column of numbers.";
    Rule(stale_after_removal) "push-compares-with-a-cache", Must "AVP-6-07",
        "After a removal the expected version is compared with the one before it, which a cache still holds.",
        "What was written before the removal comes back, under a key that the removed member holds.",
        "Compare with the stored version, in the step that writes.";
    Named(NO_ENVELOPE) and Rule(no_envelope) "push-without-envelope-resets", Must "AVP-10-02",
        "A push without an envelope is applied: the payload is gone, and version and epoch are 0.",
        "Versions come again, and nobody can read the repository.",
        "Ask for the envelope before you write, and let versions only grow.";
    Refusal(envelope_deleted) "push-without-envelope-deletes", Must "AVP-6-06",
        "A push without an envelope is refused with 400, and the stored envelope is gone.",
        "Nobody can read the repository any more.",
        "Validate before you write, and write in one step.";
    Rule(ignores_expected) "push-ignores-expected", Must "AVP-6-07" and "AVP-10-02",
        "A push is applied whatever version it expects.",
        "Two clients overwrite each other without noticing.",
        "Compare expectedPayloadVersion with the current version, in the step that writes.";
    Rule(older_taken) "push-takes-older-expected", Must "AVP-6-07" and "AVP-10-02",
        "A push that expects a version below the current one is applied.",
        "A client that was offline overwrites what came since.",
        "Compare for equality, not for at most.";
    Rule(ahead_taken) "push-takes-later-expected", Must "AVP-6-07",
        "A push that expects a version above the current one is applied.",
        "After a restored backup clients overwrite what they never saw.",
        "Compare for equality, not for at least.";
    Rule(version_back) "push-version-goes-back", Must "AVP-10-02",
        "An envelope of a version below the current one is applied.",
        "Versions come again, and an old payload can be served as a new one.",
        "Refuse an envelope whose version is not above the current one.";
    Rule(version_still) "push-version-stands-still", Must "AVP-10-02",
        "An envelope of the current version is applied.",
        "Clients that poll never see the change.",
        "Refuse an envelope whose version is not above the current one.";
    Rule(retry_accepted) and Unchanged(retry_applied) "push-retry-applies-again", Must "AVP-7-03",
        "A push that is sent again is applied again, under the next version.",
        "After a lost answer the version runs away from the client that retries.",
        "Compare the expected version; a retry then is a conflict.";
    Rule(retry_accepted) "push-retry-answered-as-applied", Must "AVP-6-08",
        "A push that is sent again is answered as applied, though its version is stale by then.",
        "Clients of other servers learn to rely on it.",
        "Answer a conflict: the client pulls, and finds its own payload.";
    Refusal(stores_envelope) "push-conflict-stores-envelope", Must "AVP-6-08" and "AVP-6-20",
        "A push that is answered as a conflict is stored all the same.",
        "Two clients overwrite each other, and are told that they did not.",
        "Return before you write.";
    Refusal(stores_roster) "push-conflict-stores-roster", Must "AVP-6-10" and "AVP-6-20",
        "A push that is answered as a conflict leaves its rotated roster behind.",
        "Members hold keys that open nothing.",
        "Write roster and envelope in one transaction, and roll it back on conflict.";
    Refusal(bumps_version) "push-conflict-moves-version", Must "AVP-6-08" and "AVP-6-20",
        "A push that is answered as a conflict moves the version.",
        "Conflicts breed conflicts.",
        "Count nothing that was not applied.";
    Answer(conflict_409) "push-conflict-409", Must "AVP-6-08" and "AVP-6-18",
        "A conflict is answered with 409.",
        "Clients take it for an error that ends their work.",
        "Answer 200 with conflict = true.";
    Answer(conflict_412) "push-conflict-412", Must "AVP-6-08",
        "A conflict is answered with 412 and an error object.",
        "Clients take it for an error that ends their work.",
        "Answer 200 with conflict = true.";
    Answer(conflict_accepted) "push-conflict-accepted", Must "AVP-6-08",
        "A conflict is answered with accepted = true as well.",
        "Clients believe that they saved.",
        "Answer accepted = false, conflict = true.";
    Answer(conflict_unflagged) "push-conflict-unflagged", Must "AVP-6-08",
        "A conflict is answered with conflict = false.",
        "Clients neither saved nor know why.",
        "Answer accepted = false, conflict = true.";
    Answer(conflict_expected) "push-conflict-echoes-expected", Must "AVP-6-08",
        "A conflict answers the version that the client expected.",
        "Clients retry at the same version for ever.",
        "Answer the current version.";
    Answer(conflict_offered) "push-conflict-answers-offered-version", Must "AVP-6-08",
        "A conflict answers the version of the envelope that was refused.",
        "Clients believe a version that may not exist.",
        "Answer the current version.";
    Answer(conflict_zero) "push-conflict-answers-zero", Must "AVP-6-08",
        "A conflict answers version and epoch 0.",
        "Clients believe that the repository was reset.",
        "Fill in the current version and epoch in each branch.";
    Answer(applied_old_version) "push-answers-old-version", Must "AVP-6-09",
        "An applied push answers the version before it.",
        "The client's next push is a conflict.",
        "Build the answer after the write.";
    Answer(applied_unaccepted) "push-answers-not-accepted", Must "AVP-6-09",
        "An applied push answers accepted = false and conflict = false.",
        "Clients save again and again.",
        "Answer accepted = true.";
    Answer(applied_conflict) "push-answers-conflict-too", Must "AVP-6-09",
        "An applied push answers conflict = true as well.",
        "Clients merge with themselves.",
        "Answer conflict = false.";
    Answer(no_content) "push-answers-204", Must "AVP-6-22",
        "An applied push answers 204 and no body.",
        "Clients cannot read the answer.",
        "Answer 200 and a PushResponse.";
    Write(version_kept) "push-manifest-version-stays", Must "AVP-6-09",
        "A push stores the envelope and leaves the manifest's version.",
        "Clients that poll never see the change, and the next push overwrites this one.",
        "Move the version in the statement that stores the envelope.";
    Write(envelope_kept) "push-envelope-stays", Must "AVP-6-09",
        "A push moves the version and leaves the envelope.",
        "What is saved is lost, and what is served cannot be decrypted.",
        "Store the envelope in the statement that moves the version.";
    Write(counts_itself) "push-counts-versions-itself", Must "AVP-6-09",
        "The version is moved by one, whatever the envelope's is.",
        "An envelope whose version skips one cannot be decrypted.",
        "Take the version from the envelope: it is bound into the ciphertext.";
    Rule(rotation_refused) "push-refuses-rotation", Must "AVP-6-10",
        "A push with rotatedMembers is refused with 400, as one with an unknown field.",
        "Nobody can rotate the key without removing somebody.",
        "Take rotatedMembers, and replace the roster in the step that stores the envelope.";
    Write(rotation_ignored) "push-ignores-rotation", Must "AVP-6-10",
        "rotatedMembers is ignored.",
        "After a rotation nobody can decrypt.",
        "Replace the roster in the step that stores the envelope.";
    Write(rotation_merged) "push-merges-rotation", Must "AVP-6-10",
        "The rotated roster is merged into the current one, so that nobody leaves it.",
        "Who was rotated out stays listed, and keeps access.",
        "Delete the old entries first, in the same transaction.";
    Write(rotation_keys_kept) "push-rotation-keeps-old-keys", Must "AVP-6-10",
        "A rotation changes who is a member, and leaves the wrapped keys of those who were.",
        "After a rotation nobody can decrypt.",
        "Replace whole entries; an insert that skips existing rows is the usual cause.";
    Write(roster_cleared) "push-without-rotation-clears-roster", Must "AVP-6-10",
        "A push without rotatedMembers leaves only the pushing member in the roster.",
        "Whoever saves locks the others out.",
        "Leave the roster where rotatedMembers is absent or null.";
    Write(policy_dropped) "push-drops-the-policy", Must "AVP-5.1-02",
        "A push drops shareRefreshTokens.",
        "Members stop sharing refresh tokens that their repository allows.",
        "Update the columns that changed, not the whole row from the request.";
    Write(policy_dropped_rotating) "push-rotation-drops-the-policy", Must "AVP-5.1-02",
        "A push with a rotated roster drops shareRefreshTokens.",
        "Members stop sharing refresh tokens after a rotation.",
        "Build the new manifest from the stored one.";
    Write(bindings_dropped) "push-rotation-drops-bindings", Must "AVP-9-01",
        "A rotated roster is stored without keyBindingSig.",
        "After a rotation members cannot verify each other.",
        "Store entries as they were sent.";
    Write(iv_kept) "push-keeps-the-old-iv", Must "AVP-4-01",
        "A push stores the ciphertext and leaves the iv.",
        "What is saved cannot be decrypted.",
        "Store the envelope as one value.";
    Named(VISIBLE_LATE) "push-visible-late", Must "AVP-6-09",
        "A push is visible 60 milliseconds after it was answered.",
        "What was just saved is not there yet; reading from a replica is the usual cause.",
        "Read from where you write.";
    Rule(size_conflict) "push-limit-as-conflict", Must "AVP-7-01",
        "A push of more than 32 KiB is answered as a conflict.",
        "Clients pull, merge and retry for ever.",
        "Answer 413.";
}

fn expected(asked: &Asked<'_>) -> i64 {
    count(asked.body, "expectedPayloadVersion")
}

/// Takes the version that a push expects where `is_taken` does, given the expected and the current one, and then any
/// version of its envelope.
fn takes(
    asked: &Asked<'_>,
    rule: Rule<'_>,
    decision: &mut Decision,
    is_taken: impl Fn(i64, i64) -> bool,
) -> bool {
    match rule {
        Rule::CurrentVersion(repo) => grant_if(decision, is_taken(expected(asked), repo.version)),
        Rule::VersionGrows(..) => grant_if(decision, pushes(asked.call)),
        _ => false,
    }
}

fn ignores_expected(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes(asked, rule, decision, |_, _| true)
}

fn older_taken(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes(asked, rule, decision, |expected, current| expected < current)
}

fn minus_one_forces(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes(asked, rule, decision, |expected, _| expected == -1)
}

fn expected_32_bit(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let low_bits = |counter: i64| counter & 0xffff_ffff;
    takes(asked, rule, decision, |expected, current| {
        low_bits(expected) == low_bits(current)
    })
}

fn ahead_taken(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::CurrentVersion(repo) => grant_if(decision, expected(asked) > repo.version),
        _ => false,
    }
}

fn stale_after_removal(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::CurrentVersion(repo) if repo.last_removal.is_some() => {
            grant_if(decision, expected(asked) == repo.version - 1)
        }
        _ => false,
    }
}

fn conflict_remembered(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::CurrentVersion(_) = rule else {
        return false;
    };
    let key = format!("in conflict {}", asked.body);
    let is_noted = asked.state.noted(key, decision.is_err());
    stop_if(decision, is_noted, conflict_stop())
}

fn size_conflict(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let size = text(&asked.body["envelope"], "ciphertext").len();
    match rule {
        Rule::CurrentVersion(_) => stop_if(decision, size > LARGE_CIPHERTEXT_CHARS, conflict_stop()),
        _ => false,
    }
}

/// The last push that was applied is remembered once its last rule has let it pass.
fn retry_accepted(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::CurrentVersion(repo) => {
            let last = asked.state.recall(&repo.id);
            let again = last.is_some_and(|(_, last)| last == *asked.body);
            if again {
                *decision = Err(Stop::Done(Reply::Pushed { applied: true }));
            }
            again
        }
        Rule::EpochMovesWithRoster(repo) if decision.is_ok() => {
            asked.state.remember(repo.id.clone(), asked.body.clone());
            false
        }
        _ => false,
    }
}

/// A push that is granted changes the repository, unless it is one that was applied before.
fn retry_applied(place: &Call, _: &Value, repo: &mut Repo) -> bool {
    repo.version = repo.version.saturating_add(i64::from(pushes(place)));
    pushes(place)
}

fn version_back(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::VersionGrows(repo, version) if pushes(asked.call) => grant_if(decision, version < repo.version),
        _ => false,
    }
}

fn version_still(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::VersionGrows(repo, version) if pushes(asked.call) => {
            grant_if(decision, version == repo.version)
        }
        _ => false,
    }
}

fn versions_as_text(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    pushes(asked.call) && grows_as_text(rule, decision)
}

/// Refuses a version that does not grow as text.
pub(super) fn grows_as_text(rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::VersionGrows(repo, version) => {
            let backwards = version.to_string() <= repo.version.to_string();
            let refusal = Refusal::bad_request("the version of a repository only grows");
            stop_if(decision, backwards, refusal)
        }
        _ => false,
    }
}

/// What is not there is of no repository, version or epoch, and is stored as that.
fn no_envelope(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let rule_of_envelope = matches!(
        rule,
        Rule::SameEnvelope | Rule::VersionGrows(..) | Rule::EpochMovesWithRoster(_)
    );
    let without = pushes(asked.call) && asked.body["envelope"].is_null();
    grant_if(decision, rule_of_envelope && without)
}

fn rotation_refused(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let rotates = !asked.body["rotatedMembers"].is_null();
    match rule {
        Rule::EpochMovesWithRoster(_) => {
            let refusal = Refusal::bad_request("unknown field `rotatedMembers`");
            stop_if(decision, rotates, refusal)
        }
        _ => false,
    }
}

fn envelope_deleted(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let here = place.operation == Operation::Push && body.get("envelope").is_none();
    if here {
        repo.envelope = Value::Null;
    }
    here
}

fn stores_envelope(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let here = place.operation == Operation::Push && body["envelope"] != repo.envelope;
    if here {
        repo.envelope = body["envelope"].clone();
    }
    here
}

fn stores_roster(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let Some(roster) = body["rotatedMembers"].as_array() else {
        return false;
    };
    let here = place.operation == Operation::Push && *roster != repo.roster;
    if here {
        repo.roster.clone_from(roster);
    }
    here
}

fn bumps_version(place: &Call, _: &Value, repo: &mut Repo) -> bool {
    let here = place.operation == Operation::Push;
    repo.version = repo.version.saturating_add(i64::from(here));
    here
}

fn conflict_409(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    conflict(answer).is_some() && {
        answer.status = 409;
        true
    }
}

fn conflict_412(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    conflict(answer).is_some() && {
        *answer = Answer::new(412, json!({ "error": "precondition failed" }));
        true
    }
}

fn conflict_accepted(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    conflict(answer).is_some_and(|pushed| set(pushed, "accepted", json!(true)))
}

fn conflict_unflagged(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    conflict(answer).is_some_and(|pushed| set(pushed, "conflict", json!(false)))
}

fn conflict_expected(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let expected = count(&scene.sent(), "expectedPayloadVersion");
    conflict(answer).is_some_and(|pushed| set(pushed, "payloadVersion", json!(expected)))
}

fn conflict_offered(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let offered = count(&scene.sent()["envelope"], "payloadVersion");
    conflict(answer).is_some_and(|pushed| set(pushed, "payloadVersion", json!(offered)))
}

fn conflict_zero(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    conflict(answer)
        .is_some_and(|pushed| set(pushed, "payloadVersion", json!(0)) | set(pushed, "keyEpoch", json!(0)))
}

fn applied_old_version(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let expected = count(&scene.sent(), "expectedPayloadVersion");
    applied(answer).is_some_and(|pushed| set(pushed, "payloadVersion", json!(expected)))
}

fn applied_unaccepted(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    applied(answer).is_some_and(|pushed| set(pushed, "accepted", json!(false)))
}

fn applied_conflict(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    applied(answer).is_some_and(|pushed| set(pushed, "conflict", json!(true)))
}

fn no_content(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    applied(answer).is_some() && {
        *answer = Answer::empty(204);
        true
    }
}

fn version_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    pushes(place) && std::mem::replace(&mut repo.version, before.version) != before.version
}

fn envelope_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    pushes(place) && std::mem::replace(&mut repo.envelope, before.envelope.clone()) != before.envelope
}

fn counts_itself(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let next = before.version.saturating_add(1);
    pushes(place) && std::mem::replace(&mut repo.version, next) != next
}

fn rotation_ignored(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    pushes(place) && std::mem::replace(&mut repo.roster, before.roster.clone()) != before.roster
}

fn rotation_merged(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    if !pushes(place) {
        return false;
    }
    let gone: Vec<Value> = before
        .roster
        .iter()
        .filter(|entry| repo.entry(id_of(entry)).is_none())
        .cloned()
        .collect();
    let here = !gone.is_empty();
    repo.roster.extend(gone);
    here
}

fn rotation_keys_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    if !pushes(place) {
        return false;
    }
    let kept = |entry: &Value| before.entry(id_of(entry)).unwrap_or(entry).clone();
    let roster: Vec<Value> = repo.roster.iter().map(kept).collect();
    std::mem::replace(&mut repo.roster, roster.clone()) != roster
}

fn roster_cleared(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    if !pushes(place) || repo.roster != before.roster {
        return false;
    }
    repo.roster.retain(|entry| id_of(entry) == place.caller);
    repo.roster != before.roster
}

fn policy_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    pushes(place) && repo.policy.take() == Some(true)
}

fn policy_dropped_rotating(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    pushes(place) && repo.roster != before.roster && repo.policy.take() == Some(true)
}

fn bindings_dropped(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    pushes(place) && repo.roster != before.roster && drop_bindings(&mut repo.roster)
}

fn iv_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let here = pushes(place) && before.envelope["iv"] != repo.envelope["iv"] && repo.envelope.is_object();
    if here {
        repo.envelope["iv"] = before.envelope["iv"].clone();
    }
    here
}

/// Drops the signatures of entries; true where there were any.
pub(super) fn drop_bindings(roster: &mut [Value]) -> bool {
    let drop = |entry: &mut Value| entry.as_object_mut()?.remove("keyBindingSig");
    roster.iter_mut().fold(false, |dropped, entry| {
        drop(entry).is_some_and(|signature| !signature.is_null()) | dropped
    })
}

fn rotation_epochs_taken(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    pushes(place) && repo.roster != before.roster && under_epoch(&mut repo.roster, repo.epoch)
}

fn ciphertext_shared(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let is_known = before.envelope["ciphertext"] == repo.envelope["ciphertext"];
    is_known && iv_kept(place, before, repo)
}

fn back_rotated(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let is_current = count(body, "expectedPayloadVersion") == repo.version;
    let is_back = count(&body["envelope"], "keyEpoch") < repo.epoch;
    is_current && is_back && stores_roster(place, body, repo)
}

fn epoch_before(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let vault = scene.state.vault();
    let repo = scene.place.and_then(|place| vault.repos.get(&place.repo_id));
    let before = repo.and_then(|repo| Some(repo.history.previous.as_ref()?.epoch));
    before.is_some_and(|epoch| applied(answer).is_some_and(|pushed| set(pushed, "keyEpoch", json!(epoch))))
}

fn crowd_refused(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let is_crowd = matches!(rule, Rule::Room(members) if members > LARGEST_ROSTER);
    let refusal = Refusal::policy_denied("a repository holds a hundred members here");
    stop_if(decision, is_crowd && pushes(asked.call), refusal)
}

fn crowd_stored(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let is_crowd = list(body, "rotatedMembers").len() > LARGEST_ROSTER;
    is_crowd && stores_envelope(place, body, repo)
}

fn pushes(place: &Call) -> bool {
    place.operation == Operation::Push
}

fn conflict(answer: &mut Answer) -> Option<&mut Object> {
    message_access::object(answer).filter(|pushed| pushed.get("conflict") == Some(&Value::Bool(true)))
}

fn applied(answer: &mut Answer) -> Option<&mut Object> {
    message_access::object(answer).filter(|pushed| pushed.get("accepted") == Some(&Value::Bool(true)))
}

fn set(object: &mut Object, name: &str, value: Value) -> bool {
    object.insert(name.to_owned(), value.clone()) != Some(value)
}

fn conflict_lets_in(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let key = |repo: &Repo, member: &str| format!("let in {} {member}", repo.id);
    match rule {
        Rule::CurrentVersion(repo) if decision.is_err() => {
            for entry in list(asked.body, "rotatedMembers") {
                asked.state.remember(key(repo, id_of(entry)), Value::Null);
            }
            false
        }
        Rule::Member(_, repo) => {
            let known = asked.state.recall(&key(repo, &asked.call.caller));
            grant_if(decision, known.is_some())
        }
        _ => false,
    }
}
