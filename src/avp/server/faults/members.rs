//! What addMember and fetchMemberKey get wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::push::drop_bindings;
use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Decision, Reply, Rule, Stop, grant_if, stop_if};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::state::now;
use crate::avp::server::vault::{Repo, count, id_of};

/// How long a server with a cache of entries believes it, milliseconds.
const CACHED_ENTRY_MS: i64 = 2000;

/// So many members does a roster hold that says nothing of more.
const MOST_MEMBERS: usize = 64;

faults! { "members";
    Write(beyond_64_dropped) "add-beyond-64-not-recorded", Must "AVP-6-11",
        "A member who is added to a large roster is not recorded.",
        "Who invites believes that it worked.",
        "Refuse what is too much.";
    Write(old_binding_kept) "readd-after-removal-keeps-the-binding", Must "AVP-9-01",
        "Who was removed and is added again without keyBindingSig has the old signature, since the row was only marked as removed.",
        "A signature is served that nobody sent with this entry.",
        "Delete the row, or write all of it anew.";
    Rule(readd_taken) and Unchanged(readd_keeps_binding) "readd-keeps-the-old-binding", Must "AVP-9-01",
        "Who is added again under another X25519 key and without keyBindingSig keeps the old signature beside the new key.",
        "A signature is served that is none of the key it stands with, and no client wraps for this member any more.",
        "Replace the whole entry, or none of it: an update that skips absent fields is the usual cause.";
    Answer(fetch_typed_refused) "fetch-refused-with-a-content-type", Must "AVP-6-14",
        "fetchMemberKey refuses a request that says it is application/json, since it has no body to read.",
        "Clients that send a content type with every request cannot fetch keys.",
        "Read a body where there is one, and not where a content type is.";
    Named(READD_UNGUARDED) "add-again-before-membership", Must "AVP-6-15" and "AVP-10-03",
        "An entry that is there already is answered with the manifest before the caller is looked at.",
        "Whoever knows a member's public entry reads the whole roster.",
        "Look at the caller first.";
    Unchanged(readd_unbound) "add-again-drops-the-binding", Must "AVP-9-01",
        "A member who is added again loses the keyBindingSig.",
        "Members cannot be verified any more after an invitation was repeated.",
        "Change nothing where the member is there already.";
    Reply(fetch_miss_cached) "fetch-remembers-the-missing", Must "AVP-6-14" and "AVP-6-16",
        "That a member is unknown is remembered for two seconds.",
        "Who was just invited cannot be given keys.",
        "Drop what is remembered with every write, or remember hits alone.";
    Reply(fetch_epoch) "fetch-tells-the-repositorys-epoch", Must "AVP-6-14",
        "A fetched entry carries the repository's epoch instead of its own.",
        "Clients look for a key of the wrong epoch.",
        "Answer the entry as it was sent.";
    Named(ANSWERED_ONLY) "add-answered-not-stored", Must "AVP-6-11",
        "addMember answers the manifest with the new member, and stores nothing.",
        "Invited people are told that they are in, and are not.",
        "Commit the transaction before you answer.";
    Rule(no_access) "added-without-access", Must "AVP-6-11",
        "Who was added is in the roster and has no access: only the creator has.",
        "Invited people cannot open what they were invited to.",
        "Authorize by the roster, not by a list of your own.";
    Rule(first_epoch) "add-refused-after-rotation", Must "AVP-6-11",
        "An entry is held against the epoch of the creation, and refused once the key was rotated.",
        "Nobody can be invited any more once somebody was removed.",
        "Hold entries against the current epoch, or against none.";
    Write(shared_key_dropped) "add-drops-a-shared-key", Must "AVP-6-11",
        "A member whose X25519 key is that of another member is answered and not recorded, since the column is unique.",
        "Somebody with two identities on one device cannot be invited.",
        "Only the member id tells members apart.";
    Write(binding_trimmed) "add-trims-the-binding", Must "AVP-9-01",
        "A keyBindingSig loses the blanks at its ends.",
        "What was signed is not what is served.",
        "Store the text as it came.";
    Write(epoch_0_filled) "add-fills-in-epoch-0", Must "AVP-2-04",
        "A member who is added under epoch 0 is stored under the repository's epoch.",
        "Clients look for a key of the wrong epoch.",
        "0 is a number, not a missing field: store the entry as it was sent, or refuse it.";
    Write(bumps_version) "add-moves-version", Must "AVP-6-17",
        "addMember moves the version.",
        "Clients pull what did not change, and fail to decrypt it.",
        "Leave the version: it belongs to the payload.";
    Write(bumps_epoch) "add-moves-epoch", Must "AVP-6-17",
        "addMember moves the key epoch.",
        "Clients look for a key that does not exist.",
        "Leave the epoch: nothing was rotated.";
    Write(wrap_copied) "add-copies-a-wrapped-key", Must "AVP-4-01",
        "The new member's wrapped key is a copy of the first member's.",
        "The new member can decrypt nothing.",
        "Store the entry as it was sent.";
    Write(keys_swapped) "add-stores-one-key-twice", Must "AVP-4-01",
        "The new member's x25519PublicKey is stored as the other public key.",
        "The next rotation wraps a key that the member cannot unwrap.",
        "Check the mapping of columns: both are 32 bytes, and no type tells them apart.";
    Write(first_dropped) "add-keeps-two-entries", Must "AVP-6-11",
        "A third member takes the place of the second.",
        "Whoever was invited before loses access.",
        "Append to the roster.";
    Write(binding_dropped) "add-drops-the-binding", Must "AVP-9-01",
        "The new member's keyBindingSig is not stored.",
        "Members cannot verify who joined.",
        "Store the entry as it was sent.";
    Write(others_bindings_dropped) "add-drops-other-bindings", Must "AVP-9-01",
        "When a member is added, the others lose their keyBindingSig.",
        "Members cannot verify each other any more.",
        "Insert one row; do not write the roster back from a type that lacks the field.";
    Write(policy_dropped) "add-drops-the-policy", Must "AVP-5.1-03",
        "addMember drops shareRefreshTokens.",
        "Members stop sharing refresh tokens that their repository allows.",
        "Change the roster alone.";
    Rule(binding_required) "add-requires-binding", Must "AVP-6-11",
        "An entry whose keyBindingSig is null or absent is refused.",
        "Members of servers without an issuer cannot be invited.",
        "The field is optional, and null stands for absent.";
    Rule(binding_checked) "add-checks-binding", Must "AVP-9-01",
        "An entry whose keyBindingSig is no signature of 64 bytes is refused.",
        "Clients of issuers with other signatures cannot be invited.",
        "Do not look at it: it is for the clients.";
    Answer(created_201) "add-answers-201", Must "AVP-6-22",
        "addMember answers 201.",
        "Clients that ask for 200 report an error.",
        "Answer 200.";
    Answer(answers_entry) "add-answers-the-entry", Must "AVP-2-02",
        "addMember answers the entry and not the manifest.",
        "Clients cannot read the answer.",
        "Answer the manifest.";
    Answer(answers_before) "add-answers-the-old-roster", Must "AVP-6-11",
        "addMember answers the roster as it was before.",
        "Who invites believes that it failed.",
        "Build the answer after the write.";
    Unchanged(readd_twice) "readd-lists-twice", Should "AVP-7-04" and "AVP-6-11",
        "A member who is added again is listed twice.",
        "Rosters grow with each retry, and removal leaves one of the two.",
        "Give the roster a key of repository and member.";
    Rule(readd_refused) "readd-refused", Should "AVP-7-04",
        "A member who is added again under the same keys is refused with 400.",
        "After a lost answer the retry looks like a failure.",
        "Answer the current manifest.";
    Rule(readd_409) "readd-answers-409", Should "AVP-7-04",
        "A member who is added again under the same keys is refused with 409.",
        "After a lost answer the retry looks like a failure.",
        "Answer the current manifest.";
    Write(lookalike_replaced) "add-replaces-a-lookalike", Must "AVP-6-11",
        "A member who is added takes the place of one whose id differs from theirs in the case of letters.",
        "Somebody loses access when somebody else is invited; a case-insensitive collation is the usual cause.",
        "Give the column of member ids a binary collation.";
    Rule(repeated_unrecorded) "add-repeated-is-not-recorded", Must "AVP-6-11",
        "An addition that was granted before, byte for byte, is answered again and not recorded, though its member was removed since.",
        "Who invites believes that it worked.",
        "Look at the roster as it is now, and cache no answers.";
    Unchanged(readd_epoch) "readd-moves-epoch", Must "AVP-6-17",
        "Adding a member again with an entry of a later epoch moves the repository's epoch there.",
        "Clients look for a data key that nobody has made.",
        "addMember moves no counter: leave the epoch as it is.";
    Reply(fetch_other_key) "fetch-by-the-other-key", Must "AVP-6-16",
        "fetchMemberKey finds a member by the X25519 key as well.",
        "Clients that mix the two keys up work here and nowhere else.",
        "Look for the member id alone.";
    Unchanged(readd_version) "readd-moves-version", Must "AVP-6-17" and "AVP-7-04",
        "A member who is added again moves the version.",
        "Clients pull what did not change, and fail to decrypt it.",
        "Write nothing where nothing changes.";
    Reply(fetch_first) "fetch-answers-the-first", Must "AVP-6-14",
        "fetchMemberKey answers the first entry of the roster.",
        "Keys are wrapped for the wrong person.",
        "Ask for the member as well as for the repository.";
    Answer(fetch_no_binding) "fetch-omits-the-binding", Must "AVP-6-14",
        "fetchMemberKey leaves keyBindingSig out.",
        "Members cannot verify the entry.",
        "Answer the entry as it is stored.";
    Answer(fetch_enveloped) "fetch-wraps-the-entry", Must "AVP-2-02",
        "fetchMemberKey answers the entry inside another object.",
        "Clients cannot read the answer.",
        "Answer the entry itself.";
    Answer(fetch_keys_only) "fetch-answers-public-keys-only", Must "AVP-2-02",
        "fetchMemberKey answers the public keys and leaves the wrapped key out.",
        "Clients cannot read the answer.",
        "Answer the whole entry.";
    Reply(fetch_cached) "fetch-cached", Must "AVP-6-14" and "AVP-6-16",
        "Entries are served from a cache for two seconds.",
        "After a rotation members unwrap an old key.",
        "Drop the cache's entries at each write of the roster.";
    Reply(fetch_folded) "fetch-compares-without-case", Must "AVP-6-16",
        "fetchMemberKey compares member ids without regard to case.",
        "A client that asks for somebody who is no member is given another's key.",
        "Give the column a binary collation: base64 tells capitals from small letters.";
    Reply(fetch_like) "fetch-compares-beginnings", Must "AVP-6-16",
        "fetchMemberKey answers the first member whose id begins with what was asked for.",
        "A client that asks with half an id is given somebody's key.",
        "Compare for equality, not with LIKE or a range.";
    Reply(fetch_removed) "fetch-serves-removed", Must "AVP-6-16",
        "The entry of a removed member is still served.",
        "Members wrap keys for somebody who left.",
        "Delete the entry with the membership.";
    Answer(fetch_unknown_200) "fetch-unknown-answers-200", Must "AVP-6-16",
        "An unknown member is answered with 200 and null.",
        "Clients break on what they cannot read.",
        "Answer 404.";
    Answer(fetch_unknown_403) "fetch-unknown-answers-403", Must "AVP-6-16",
        "An unknown member is answered with 403.",
        "Clients believe that they were removed.",
        "Answer 404.";
    Answer(fetch_unknown_500) "fetch-unknown-answers-500", Must "AVP-6-16",
        "An unknown member ends in a 500.",
        "Clients retry for ever; a null that nobody expected is the usual cause.",
        "Answer 404.";
}

fn beyond_64_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let here = place.operation == Operation::AddMember && repo.roster.len() > MOST_MEMBERS;
    here && repo.roster.pop().is_some()
}

fn old_binding_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let (Some(previous), Some(added)) = (&before.history.previous, repo.roster.last_mut()) else {
        return false;
    };
    let is_new = place.operation == Operation::AddMember && before.entry(id_of(added)).is_none();
    let old = previous
        .entry(id_of(added))
        .filter(|_| is_new && added["keyBindingSig"].is_null());
    let Some(signature) = old.and_then(|old| old.get("keyBindingSig")).cloned() else {
        return false;
    };
    added["keyBindingSig"] = signature;
    true
}

fn shared_key_dropped(_: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let known = |entry: &Value| {
        before
            .roster
            .iter()
            .any(|old| old["x25519PublicKey"] == entry["x25519PublicKey"])
    };
    let added = repo.roster.len() > before.roster.len();
    let here = added && repo.roster.last().is_some_and(known);
    if here {
        repo.roster.pop();
    }
    here
}

fn binding_trimmed(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    rewrite_bindings(repo, |binding| binding.trim().to_owned())
}

/// Stores every keyBindingSig as something else; true where one changes.
pub(super) fn rewrite_bindings(repo: &mut Repo, rewrite: impl Fn(&str) -> String) -> bool {
    let mut changed = false;
    for entry in &mut repo.roster {
        let binding = entry["keyBindingSig"].as_str().unwrap_or_default();
        let other = rewrite(binding);
        if other != binding {
            entry["keyBindingSig"] = json!(other);
            changed = true;
        }
    }
    changed
}

fn epoch_0_filled(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let epoch = json!(repo.epoch);
    let is_0 = |entry: &&mut Value| entry["keyEpoch"] == 0;
    let adds = place.operation == Operation::AddMember && repo.epoch != 0;
    match repo.roster.iter_mut().rfind(is_0).filter(|_| adds) {
        Some(entry) => {
            entry["keyEpoch"] = epoch;
            true
        }
        None => false,
    }
}

fn bumps_version(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    repo.version = repo.version.saturating_add(i64::from(adds(place)));
    adds(place)
}

fn lookalike_replaced(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let count = repo.roster.len();
    if let Some(id) = added(place, repo).map(|entry| id_of(entry).to_owned()) {
        let is_like = |entry: &Value| id_of(entry).eq_ignore_ascii_case(&id) && id_of(entry) != id;
        repo.roster.retain(|entry| !is_like(entry));
    }
    count > before.roster.len() && repo.roster.len() < count
}

fn bumps_epoch(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    repo.epoch = repo.epoch.saturating_add(i64::from(adds(place)));
    adds(place)
}

fn wrap_copied(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let wrapped = before.roster.first().map(|entry| entry["wrappedDataKey"].clone());
    added(place, repo).zip(wrapped).is_some_and(|(entry, wrapped)| {
        std::mem::replace(&mut entry["wrappedDataKey"], wrapped.clone()) != wrapped
    })
}

fn keys_swapped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    added(place, repo).is_some_and(|entry| {
        let key = entry["ed25519PublicKey"].clone();
        std::mem::replace(&mut entry["x25519PublicKey"], key.clone()) != key
    })
}

fn first_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let here = adds(place) && repo.roster.len() > 2;
    if here {
        repo.roster.remove(1);
    }
    here
}

fn binding_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    added(place, repo).is_some_and(|entry| drop_bindings(std::slice::from_mut(entry)))
}

fn others_bindings_dropped(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let others = before.roster.len().min(repo.roster.len());
    adds(place) && drop_bindings(&mut repo.roster[..others])
}

fn policy_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    adds(place) && repo.policy.take() == Some(true)
}

fn adds(place: &Call) -> bool {
    place.operation == Operation::AddMember
}

fn added<'a>(place: &Call, repo: &'a mut Repo) -> Option<&'a mut Value> {
    repo.roster
        .last_mut()
        .filter(|entry| adds(place) && entry.is_object())
}

fn created_201(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.on(Operation::AddMember) && answer.status == 200;
    if here {
        answer.status = 201;
    }
    here
}

fn answers_entry(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.on(Operation::AddMember) && answer.status == 200;
    if here {
        *answer = Answer::ok(scene.sent()["member"].clone());
    }
    here
}

fn answers_before(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let manifest = message_access::manifest(answer).filter(|_| scene.on(Operation::AddMember));
    let members = manifest.and_then(|manifest| manifest.get_mut("members")?.as_array_mut());
    members.is_some_and(|members| members.pop().is_some())
}

fn fetch_no_binding(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    scene.on(Operation::FetchMemberKey)
        && message_access::entries(answer, |entry| {
            entry
                .remove("keyBindingSig")
                .is_some_and(|signature| !signature.is_null())
        })
}

fn fetch_enveloped(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let entry = message_access::object(answer)
        .filter(|_| scene.on(Operation::FetchMemberKey))
        .cloned();
    entry.is_some_and(|entry| {
        *answer = Answer::ok(json!({ "member": entry }));
        true
    })
}

fn fetch_keys_only(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let entry = message_access::object(answer).filter(|_| scene.on(Operation::FetchMemberKey));
    entry.is_some_and(|entry| entry.remove("wrappedDataKey").is_some())
}

fn fetch_unknown_200(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unknown(scene, answer, Answer::ok(Value::Null))
}

fn fetch_unknown_403(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unknown(
        scene,
        answer,
        Answer::new(403, json!({ "error": "not allowed", "code": "forbidden" })),
    )
}

fn fetch_unknown_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unknown(
        scene,
        answer,
        Answer::new(500, json!({ "error": "nil pointer dereference" })),
    )
}

fn unknown(scene: &AnswerContext<'_>, answer: &mut Answer, instead: Answer) -> bool {
    let here = scene.on(Operation::FetchMemberKey) && answer.status == 404;
    if here {
        *answer = instead;
    }
    here
}

/// Whether a signature is one of 64 bytes, for servers that look.
pub(in crate::avp::server) fn is_signature(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 64)
}

fn no_access(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::Member(_, repo) => stop_if(
            decision,
            asked.call.caller != repo.history.creator,
            Refusal::forbidden("only the owner may do this"),
        ),
        _ => false,
    }
}

/// The repository that an entry is about to be added to: rules that the protocol does not have are asked after the one
/// that every operation has.
pub(in crate::avp::server) fn repo_of_add<'a>(asked: &Asked<'_>, rule: Rule<'a>) -> Option<&'a Repo> {
    match rule {
        Rule::SameRepo(repo) if adds(asked.call) => Some(repo),
        _ => None,
    }
}

fn first_epoch(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    repo_of_add(asked, rule).is_some_and(|repo| {
        let rotated = repo.epoch != count(&repo.history.first, "keyEpoch");
        stop_if(
            decision,
            rotated,
            Refusal::bad_request("the entry is of another epoch"),
        )
    })
}

fn binding_required(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let missing = !asked.body["member"]["keyBindingSig"].is_string();
    binding_refused(asked, rule, decision, missing)
}

fn binding_checked(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let binding = asked.body["member"]["keyBindingSig"].as_str();
    let odd = binding.is_some_and(|text| !is_signature(text));
    binding_refused(asked, rule, decision, odd)
}

fn binding_refused(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision, refused: bool) -> bool {
    let here = refused && repo_of_add(asked, rule).is_some();
    stop_if(
        decision,
        here,
        Refusal::bad_request("keyBindingSig is not a signature"),
    )
}

fn readd_refused(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let refusal = Refusal::bad_request("this member is in the roster already");
    stop_if(decision, matches!(rule, Rule::SameKeys), refusal)
}

fn readd_409(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let refusal = Refusal::bad_request("this member is in the roster already").under(409, "");
    stop_if(decision, matches!(rule, Rule::SameKeys), refusal)
}

fn readd_taken(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::SameKeys))
}

fn readd_keeps_binding(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let member = &body["member"];
    let mut roster = repo.roster.iter_mut();
    let known = roster.find(|entry| id_of(entry) == id_of(member));
    let known = known.filter(|known| adds(place) && known["x25519PublicKey"] != member["x25519PublicKey"]);
    known.is_some_and(|known| {
        let kept = known["keyBindingSig"].clone();
        known.clone_from(member);
        let here = kept.is_string() && member["keyBindingSig"].is_null();
        if here {
            known["keyBindingSig"] = kept;
        }
        here
    })
}

fn fetch_typed_refused(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.on(Operation::FetchMemberKey) && scene.request.content_type.is_some();
    if here {
        let error = json!({ "error": "the body is not JSON", "code": "bad_request" });
        *answer = Answer::new(400, error);
    }
    here
}

fn readd_unbound(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let mut roster = repo.roster.iter_mut();
    let known = roster.find(|entry| id_of(entry) == id_of(&body["member"]));
    known.is_some_and(|known| {
        let here = adds(place) && known["keyBindingSig"].is_string();
        if here {
            known["keyBindingSig"] = Value::Null;
        }
        here
    })
}

fn readd_twice(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    if adds(place) {
        repo.roster.push(body["member"].clone());
    }
    adds(place)
}

fn repeated_unrecorded(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let is_new = matches!(rule, Rule::Room(_)) && asked.call.operation == Operation::AddMember;
    let key = format!("added {}", asked.body);
    let here = is_new && asked.state.recall(&key).is_some();
    if here {
        *decision = Err(Stop::Done(Reply::Manifest));
    } else if is_new {
        asked.state.remember(key, Value::Null);
    }
    here
}

fn readd_epoch(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    let epoch = count(&body["member"], "keyEpoch");
    let here = adds(place) && epoch > repo.epoch;
    if here {
        repo.epoch = epoch;
    }
    here
}

fn readd_version(place: &Call, _: &Value, repo: &mut Repo) -> bool {
    repo.version = repo.version.saturating_add(i64::from(adds(place)));
    adds(place)
}

/// What an operation replied, or why it was refused.
type Replied = Result<Reply, Refusal>;

/// Whether an entry was asked for.
fn fetches(asked: &Asked<'_>) -> bool {
    asked.call.operation == Operation::FetchMemberKey
}

fn fetch_first(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let found = fetches(asked) && replied.is_ok();
    let first = repo.roster.first().filter(|_| found);
    first.is_some_and(|first| {
        let first = Ok(Reply::Value(first.clone()));
        std::mem::replace(replied, first.clone()) != first
    })
}

/// Serves an entry where there is none of that id; true where there is one to serve.
fn instead_of_none(asked: &Asked<'_>, replied: &mut Replied, entry: Option<&Value>) -> bool {
    let missing = fetches(asked) && replied.is_err();
    let entry = entry.filter(|_| missing);
    entry.is_some_and(|entry| {
        *replied = Ok(Reply::Value(entry.clone()));
        true
    })
}

fn fetch_removed(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let previous = repo.history.previous.as_ref();
    let entry = previous.and_then(|previous| previous.entry(&asked.call.member_id));
    instead_of_none(asked, replied, entry)
}

fn fetch_folded(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let wanted = &asked.call.member_id;
    let mut roster = repo.roster.iter();
    let alike = roster.find(|entry| id_of(entry).eq_ignore_ascii_case(wanted));
    instead_of_none(asked, replied, alike)
}

fn fetch_other_key(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let wanted = asked.call.member_id.as_str();
    let mut roster = repo.roster.iter();
    let found = roster.find(|entry| entry["x25519PublicKey"] == wanted);
    instead_of_none(asked, replied, found)
}

fn fetch_like(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let wanted = asked.call.member_id.as_str();
    let mut roster = repo.roster.iter();
    let alike = roster.find(|entry| id_of(entry).starts_with(wanted));
    instead_of_none(asked, replied, alike)
}

fn fetch_cached(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    fetches(asked) && cached(asked, repo, replied)
}

fn fetch_miss_cached(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    if !fetches(asked) {
        return false;
    }
    let key = format!("missing {} {}", repo.id, asked.call.member_id);
    if replied.is_err() {
        asked.state.remember(key, Value::Null);
        return false;
    }
    let missed = asked.state.recall(&key);
    let recently = missed.is_some_and(|(at, _)| now() - at < CACHED_ENTRY_MS);
    if recently {
        *replied = Err(Refusal::not_found("there is no such member in this repository"));
    }
    recently
}

/// Serves the entry that was served before, or none where there was none: null stands for that in the cache.
fn cached(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let key = format!("entry {} {}", repo.id, asked.call.member_id);
    let mut entry = match replied {
        Ok(Reply::Value(entry)) => entry.clone(),
        _ => Value::Null,
    };
    let changed = asked.state.answer_from_cache(key, CACHED_ENTRY_MS, &mut entry);
    *replied = match entry {
        Value::Null => Err(Refusal::not_found("there is no such member in this repository")),
        entry => Ok(Reply::Value(entry)),
    };
    changed
}

fn fetch_epoch(asked: &Asked<'_>, repo: &Repo, replied: &mut Replied) -> bool {
    let epoch = Value::from(repo.epoch);
    match replied {
        Ok(Reply::Value(entry)) if fetches(asked) => {
            std::mem::replace(&mut entry["keyEpoch"], epoch.clone()) != epoch
        }
        _ => false,
    }
}
