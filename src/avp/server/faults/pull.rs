//! What pull gets wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::races;
use crate::avp::Operation;
use crate::avp::server::access;
use crate::avp::server::answer::{Answer, Body, Refusal};
use crate::avp::server::decision::{Asked, Reply};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::vault::{Repo, count, id_of};

/// How long a server with a cache of pulls believes it, milliseconds.
const CACHED_PULL_MS: i64 = 2000;

/// The same where it is a cache of the pulls that found nothing new.
const CACHED_UNCHANGED_MS: i64 = 30_000;

/// How long a torn pull waits between the manifest and the envelope.
const TORN_PAUSE: Duration = Duration::from_millis(3);

/// What an operation replied, or why it was refused.
type Replied = Result<Reply, Refusal>;

faults! { "pull";
    Reply(unchanged_cached) "pull-unchanged-from-a-cache", Must "AVP-6-04",
        "What is answered to a client that has the current version is remembered by that version.",
        "Nobody sees who was invited, until somebody saves.",
        "The roster changes without the version: do not remember manifests by it.";
    Answer(torn) "pull-torn", Must "AVP-6-06" and "AVP-6-10" and "AVP-6-13",
        "A pull reads the manifest, and the envelope three milliseconds later.",
        "Once in a while a client is served keys and a payload that do not fit.",
        "Read both in one transaction.";
    Reply(never_unchanged) "pull-never-unchanged", Must "AVP-6-04",
        "A pull at the current version is answered like any other.",
        "Clients fetch and decrypt everything at each poll.",
        "Compare knownPayloadVersion with the current version.";
    Reply(always_unchanged) "pull-always-unchanged", Must "AVP-6-06",
        "Every pull is answered as unchanged.",
        "Nobody ever sees what others save.",
        "Compare knownPayloadVersion with the current version.";
    Reply(ahead_unchanged) "pull-ahead-unchanged", Must "AVP-6-06",
        "A pull at a version above the current one is answered as unchanged.",
        "Clients that lost track never find back.",
        "Compare for equality, not for at least.";
    Reply(one_behind_unchanged) "pull-one-behind-unchanged", Must "AVP-6-06",
        "A pull one version behind is answered as unchanged.",
        "Clients miss the last change.",
        "Compare for equality; this is off by one.";
    Reply(ahead_refused) "pull-ahead-refused", Must "AVP-6-06",
        "A pull at a version above the current one is refused with 400.",
        "Clients that lost track never find back.",
        "Answer the current envelope to any other version.";
    Reply(zero_refused) "pull-zero-refused", Must "AVP-6-06" and "AVP-6-04",
        "A knownPayloadVersion of 0 is taken for a missing one, and refused.",
        "New devices cannot pull; a test for truth where one for presence is meant is the usual cause.",
        "Ask whether the field is there, not whether it is true.";
    Reply(envelope_always) "pull-unchanged-with-envelope", Should "AVP-6-05",
        "An unchanged pull carries the envelope.",
        "Polling costs as much as downloading.",
        "Leave the envelope out where nothing changed.";
    Answer(envelope_missing) "pull-changed-without-envelope", Must "AVP-6-06",
        "A pull that says that something changed carries no envelope.",
        "Clients learn of changes that they cannot read.",
        "Load the envelope together with the manifest.";
    Answer(manifest_missing) "pull-unchanged-without-manifest", Must "AVP-6-04" and "AVP-2-02",
        "An unchanged pull carries no manifest.",
        "Clients do not see who joined.",
        "Answer the manifest always: the roster moves without the version.";
    Answer(not_modified) "pull-unchanged-304", Must "AVP-6-04",
        "A pull at the current version is answered with 304 and nothing else.",
        "Clients that read a body fail.",
        "Answer 200 with unchanged = true.";
    Answer(roster_filtered) "pull-roster-of-the-caller", Must "AVP-6-06",
        "The served roster holds the caller's entry alone.",
        "Members do not see each other, and drop each other at the next rotation.",
        "Serve the whole roster.";
    Answer(roster_capped) "pull-roster-capped", Must "AVP-6-06",
        "Of the roster the first two entries are served.",
        "The third member is invisible; a page size is the usual cause.",
        "Serve the whole roster.";
    Answer(roster_paged) "pull-roster-cut-at-100", Must "AVP-6-06" and "AVP-6-10",
        "Of the roster the first hundred entries are served.",
        "Later members are invisible; the page size of a database client is the usual cause.",
        "Read all pages.";
    Answer(negative_refused) "pull-negative-refused", Must "AVP-6-06",
        "A pull that knows a negative version is refused with 400.",
        "A client that holds nothing and says -1 never gets anything.",
        "Compare for equality: any other version is answered with the envelope.";
    Reply(stale_envelope) "pull-previous-envelope", Must "AVP-6-09" and "AVP-6-13" and "AVP-10-05",
        "The manifest is the current one, the envelope the one before.",
        "Clients cannot decrypt what they are served.",
        "Load both in one transaction.";
    Reply(first_envelope) "pull-first-envelope", Must "AVP-6-09" and "AVP-6-13" and "AVP-10-05",
        "The envelope served is the one that the repository was created with.",
        "Nothing that is saved ever arrives.",
        "Overwrite the envelope in place, or order by version descending.";
    Reply(pull_cached) "pull-cached", Must "AVP-6-09" and "AVP-6-06",
        "Pulls are answered from a cache for two seconds.",
        "What was just saved is not there yet.",
        "Drop the cache's entry at each write, or cache nothing.";
    Reply(pull_cached_for_all_versions) "pull-cached-without-version", Must "AVP-6-06",
        "Pulls are answered from a cache whose key leaves knownPayloadVersion out.",
        "A client that is behind is told that nothing changed.",
        "Put all that the answer depends on into the key.";
    Answer(echoes_known) "pull-echoes-known-version", Must "AVP-6-06",
        "The manifest's payloadVersion is the one that the client sent.",
        "Clients push at the wrong version, and are in conflict for ever.",
        "Answer the current version.";
    Answer(policy_omitted) "pull-omits-the-policy", Must "AVP-5.1-01",
        "shareRefreshTokens is in the manifest of every answer but pull's.",
        "Members stop sharing refresh tokens that their repository allows.",
        "Build the manifest in one place.";
    Answer(bindings_omitted) "pull-omits-bindings", Must "AVP-9-01",
        "keyBindingSig is left out of the roster that pull serves.",
        "Members cannot verify each other.",
        "Build entries in one place.";
}

fn envelope_missing(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let object = message_access::object(answer).filter(|_| scene.on(Operation::Pull));
    object.is_some_and(|pulled| pulled.remove("envelope").is_some())
}

fn manifest_missing(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let object = message_access::object(answer).filter(|_| scene.on(Operation::Pull));
    object.is_some_and(|pulled| {
        pulled.get("unchanged") == Some(&Value::Bool(true)) && pulled.shift_remove("manifest").is_some()
    })
}

fn not_modified(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let unchanged =
        message_access::object(answer).is_some_and(|pulled| pulled.get("unchanged") == Some(&json!(true)));
    if unchanged {
        answer.status = 304;
        answer.body = Body::Text {
            content_type: String::new(),
            bytes: Vec::new(),
        };
    }
    unchanged
}

fn roster_filtered(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let caller = scene.place.map(|place| place.caller.as_str()).unwrap_or_default();
    roster(scene, answer, |members| {
        members.retain(|entry| id_of(entry) == caller)
    })
}

fn roster_capped(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    roster(scene, answer, |members| members.truncate(2))
}

fn roster_paged(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    roster(scene, answer, |members| members.truncate(100))
}

fn negative_refused(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here =
        scene.on(Operation::Pull) && answer.status == 200 && count(&scene.sent(), "knownPayloadVersion") < 0;
    if here {
        *answer = Answer::from(Refusal::bad_request("knownPayloadVersion must be 0 or more"));
    }
    here
}

fn roster(scene: &AnswerContext<'_>, answer: &mut Answer, cut: impl Fn(&mut Vec<Value>)) -> bool {
    let manifest = message_access::manifest(answer).filter(|_| scene.on(Operation::Pull));
    let members = manifest.and_then(|manifest| manifest.get_mut("members")?.as_array_mut());
    members.is_some_and(|members| {
        let size = members.len();
        cut(members);
        members.len() < size
    })
}

fn echoes_known(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let known = Value::from(count(&scene.sent(), "knownPayloadVersion"));
    let manifest = message_access::manifest(answer).filter(|_| scene.on(Operation::Pull));
    manifest.is_some_and(|manifest| {
        manifest
            .insert("payloadVersion".to_owned(), known.clone())
            .is_some_and(|old| old != known)
    })
}

fn policy_omitted(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let manifest = message_access::manifest(answer).filter(|_| scene.on(Operation::Pull));
    manifest.is_some_and(|manifest| manifest.remove("shareRefreshTokens") == Some(Value::Bool(true)))
}

fn bindings_omitted(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    scene.on(Operation::Pull)
        && message_access::entries(answer, |entry| {
            entry
                .remove("keyBindingSig")
                .is_some_and(|signature| !signature.is_null())
        })
}

/// The version that a pull says it knows; none where something else was asked or the pull was refused.
fn known(asked: &Asked<'_>, replied: &Replied) -> Option<i64> {
    let pulled = matches!(replied, Ok(Reply::Pulled { .. }));
    pulled.then(|| count(asked.body, "knownPayloadVersion"))
}

/// Tells a client that it has the current version, where `is_told` does so, given the known version and the current one.
fn told_unchanged(
    asked: &Asked<'_>,
    repo: &Repo,
    replied: &mut Replied,
    is_told: impl Fn(i64, i64) -> bool,
) -> bool {
    let told = Reply::Pulled {
        unchanged: true,
        envelope: None,
    };
    let here = known(asked, replied).is_some_and(|known| is_told(known, repo.version));
    here && std::mem::replace(replied, Ok(told.clone())) != Ok(told)
}

fn always_unchanged(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    told_unchanged(asked, repo, replied, |_, _| true)
}

fn ahead_unchanged(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    told_unchanged(asked, repo, replied, |known, current| known > current)
}

fn one_behind_unchanged(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    told_unchanged(asked, repo, replied, |known, current| {
        known.saturating_add(1) == current
    })
}

fn never_unchanged(_: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    serve(repo, replied, false)
}

fn envelope_always(_: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    serve(repo, replied, true)
}

/// Sends the envelope along though the client has it.
fn serve(repo: &Repo, replied: &mut Replied, say_unchanged: bool) -> bool {
    match replied {
        Ok(Reply::Pulled { unchanged, envelope }) if *unchanged => {
            *unchanged = say_unchanged;
            *envelope = Some(repo.envelope.clone());
            true
        }
        _ => false,
    }
}

fn ahead_refused(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let here = known(asked, replied).is_some_and(|known| known > repo.version);
    if here {
        *replied = Err(Refusal::bad_request("there is no such version"));
    }
    here
}

fn zero_refused(asked: &Asked<'_>, _: &Repo, replied: &mut Replied) -> bool {
    let here = known(asked, replied) == Some(0);
    if here {
        *replied = Err(Refusal::bad_request("knownPayloadVersion is required"));
    }
    here
}

fn stale_envelope(_: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let previous = repo.history.previous.as_ref();
    previous.is_some_and(|previous| other_envelope(replied, &previous.envelope))
}

fn first_envelope(_: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    other_envelope(replied, &repo.history.first)
}

fn other_envelope(replied: &mut Replied, other: &Value) -> bool {
    match replied {
        Ok(Reply::Pulled {
            envelope: Some(envelope),
            ..
        }) => std::mem::replace(envelope, other.clone()) != *other,
        _ => false,
    }
}

fn unchanged_cached(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let key = format!("unchanged {} {:?}", repo.id, known(asked, replied));
    let unchanged = matches!(replied, Ok(Reply::Pulled { unchanged: true, .. }));
    unchanged && cached(asked, repo, replied, key, CACHED_UNCHANGED_MS)
}

fn pull_cached(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let known = known(asked, replied);
    let key = format!("pull {} {} {known:?}", repo.id, asked.call.caller);
    known.is_some() && cached(asked, repo, replied, key, CACHED_PULL_MS)
}

fn pull_cached_for_all_versions(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let key = format!("pull {} {} {}", repo.id, asked.call.caller, repo.version);
    known(asked, replied).is_some() && cached(asked, repo, replied, key, CACHED_PULL_MS)
}

/// Replies what was replied before under this key, if that is not long ago.
fn cached(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied, key: String, lifetime: i64) -> bool {
    let Ok(reply) = replied else { return false };
    let mut value = access::answer(repo, reply.clone());
    let changed = asked.state.answer_from_cache(key, lifetime, &mut value);
    *reply = Reply::Value(value);
    changed
}

fn torn(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let Some((place, pulled)) = scene
        .place
        .filter(|place| place.operation == Operation::Pull)
        .zip(message_access::envelope(answer))
    else {
        return false;
    };
    races::sleep(TORN_PAUSE);
    let vault = scene.state.vault();
    let repo = vault.repos.get(&place.repo_id);
    let envelope = repo.and_then(|repo| repo.envelope.as_object());
    envelope.is_some_and(|envelope| std::mem::replace(pulled, envelope.clone()) != *envelope)
}
