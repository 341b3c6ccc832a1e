//! What removeMember gets wrong.

use serde_json::{Value, json};

use super::access::LAG_MS;
use super::create::under_epoch;
use super::push::{drop_bindings, grows_as_text};
use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Decision, Reply, Rule, Stop, grant_if, stop_if};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::state::now;
use crate::avp::server::vault::{Repo, count, id_of, text};

/// So many entries does a roster keep that is cut.
const KEPT_ENTRIES: usize = 3;

faults! { "removal";
    Write(roster_cut) "remove-keeps-three-entries", Must "AVP-6-13",
        "Of four or more members who stay after a removal three are kept.",
        "In larger groups people lose access whenever somebody is removed.",
        "Write all entries, and test with more than three.";
    Rule(versions_as_text) "remove-compares-versions-as-text", Must "AVP-6-13",
        "A removal is refused whose version is above the current one and stands before it as text, such as 10 after 9.",
        "Nobody can be removed at some versions.",
        "Compare numbers.";
    Write(marked_removed) "removed-once-removed-again", Must "AVP-6-13",
        "When somebody is removed, whoever was removed before goes as well, though they were added again.",
        "People who came back lose access for no reason that they can see.",
        "Take the mark away when a member is added again.";
    Write(rewrapped_epochs_taken) "remove-overwrites-entry-epochs", Must "AVP-2-04",
        "Rewrapped entries are stored under newKeyEpoch, whatever their own epoch is.",
        "Clients look for a key of the wrong epoch.",
        "Store entries as they were sent, or refuse them.";
    Rule(replay_by_name) "remove-again-by-name", Must "AVP-6-13",
        "A removal of who was removed last is taken for the same request again, whatever else it says.",
        "A rotation is answered as done, and nothing of it is stored.",
        "Compare the whole request, or a digest of it.";
    Write(replay_kept) "remove-again-after-a-rotation", Must "AVP-10-02",
        "A removal sent again is answered as done, also after a rotation brought the member back.",
        "Who is removed a second time stays a member.",
        "Forget the last removal with every other write.";
    Rule(self_unguarded) "remove-self-unguarded", Must "AVP-6-15",
        "Who removes themselves is not asked for membership, and removing nobody is applied as a rotation.",
        "A stranger takes the repository over, roster and payload.",
        "Ask for membership first, whoever is to go.";
    Rule(newer_only) "remove-older-refused", Must "AVP-6-12",
        "A member can be removed by the creator, and by those who joined before, and by nobody else.",
        "Whose device was stolen stays in, if the one who would remove them came later.",
        "Treat all members alike.";
    Named(ANSWERED_ONLY) "remove-answered-not-stored", Must "AVP-6-13",
        "removeMember answers the new manifest, and stores nothing.",
        "Who was removed goes on reading.",
        "Commit the transaction before you answer.";
    Write(removed_kept) "remove-keeps-the-member", Must "AVP-10-03" and "AVP-6-13",
        "The removed member stays in the roster.",
        "Who was removed goes on reading the roster, and can write.",
        "Replace the roster; do not merge the rewrapped entries into it.";
    Write(old_wraps) "remove-keeps-old-wrapped-keys", Must "AVP-10-05" and "AVP-6-13",
        "The removed member goes, and those who stay keep their old wrapped keys.",
        "Nobody can decrypt what is served.",
        "Replace the roster by rewrappedMembers.";
    Write(envelope_kept) "remove-keeps-the-envelope", Must "AVP-10-05" and "AVP-6-13",
        "A removal leaves the envelope under the old key.",
        "Who was removed can decrypt what is served, and who stays cannot.",
        "Store the rotated envelope in the same step.";
    Write(version_kept) "remove-keeps-the-version", Must "AVP-6-13",
        "A removal leaves the version.",
        "Clients that poll never see the rotated payload.",
        "Take the version from the rotated envelope.";
    Write(epoch_kept) "remove-keeps-the-epoch", Must "AVP-6-13",
        "A removal leaves the manifest's key epoch.",
        "Clients look for a key of the wrong epoch.",
        "Set the epoch to newKeyEpoch.";
    Write(epoch_counted) "remove-counts-epochs-itself", Must "AVP-6-13",
        "A removal moves the epoch by one, whatever newKeyEpoch is.",
        "A payload of a later epoch cannot be decrypted.",
        "Take the epoch from newKeyEpoch: it is bound into the ciphertext.";
    Write(version_counted) "remove-counts-versions-itself", Must "AVP-6-13",
        "A removal moves the version by one, whatever the rotated envelope's is.",
        "An envelope whose version skips one cannot be decrypted.",
        "Take the version from the rotated envelope.";
    Write(policy_dropped) "remove-drops-the-policy", Must "AVP-5.1-04",
        "removeMember drops shareRefreshTokens.",
        "Members stop sharing refresh tokens that their repository allows.",
        "Build the new manifest from the stored one.";
    Write(bindings_dropped) "remove-drops-bindings", Must "AVP-9-01",
        "The rewrapped roster is stored without keyBindingSig.",
        "After a removal members cannot verify each other.",
        "Store entries as they were sent.";
    Write(drops_entry) "remove-drops-one-more", Must "AVP-6-13",
        "Of the rewrapped roster the last entry is lost.",
        "Somebody who was to stay is locked out.",
        "Store the whole list; a loop that ends one early is the usual cause.";
    Rule(epoch_still) "remove-epoch-stands-still", Should "AVP-10-04",
        "A removal whose newKeyEpoch is the current epoch is applied.",
        "Who was removed may hold the key of what comes.",
        "Refuse an epoch that does not grow.";
    Rule(epoch_back) "remove-epoch-goes-back", Should "AVP-10-04",
        "A removal whose newKeyEpoch is below the current epoch is applied.",
        "Epochs come again, and with them old keys.",
        "Refuse an epoch that does not grow.";
    Rule(version_back) "remove-version-goes-back", Must "AVP-10-02",
        "A removal whose envelope is not above the current version is applied.",
        "Clients that poll never see the rotated payload.",
        "Refuse a version that does not grow.";
    Rule(still_listed) "remove-keeps-who-is-rewrapped", Must "AVP-10-03" and "AVP-6-13",
        "A removed member who is in the rewrapped roster stays a member.",
        "A removal that was built wrongly removes nobody.",
        "Drop the removed id from the roster, or refuse.";
    Unchanged(replay_applied) "remove-again-applies-again", Should "AVP-7-05",
        "The identical removal sent again moves version and epoch by one more.",
        "After a lost answer nobody can decrypt.",
        "Recognise the last removal, and write nothing.";
    Write(merged) "remove-merges-the-rewrapped", Must "AVP-6-13",
        "The rewrapped entries are merged into the old roster: who is not among them stays.",
        "Members who were to go keep their access, and their old keys.",
        "Replace the roster by rewrappedMembers.";
    Write(intersected) "remove-drops-newcomers", Must "AVP-6-13",
        "Of the rewrapped entries those of new members are dropped.",
        "Somebody who was to come in with the removal stays outside.",
        "Replace the roster by rewrappedMembers.";
    Named(REPLAY_UNGUARDED) "remove-again-before-membership", Must "AVP-10-03",
        "The identical removal sent again is answered before the caller is looked at.",
        "Who left can read the roster for as long as nobody writes.",
        "Look at the roster first, and for repetitions then.";
    Rule(replay_for_ever) "remove-again-for-ever", Must "AVP-10-02",
        "A removal sent again is answered as done, also after the member came back.",
        "Somebody is told to be removed who is there.",
        "Forget the last removal with every other write.";
    Rule(self_refused) "remove-self-refused", Must "AVP-6-12",
        "Members cannot remove themselves.",
        "Nobody can leave.",
        "Any member may remove any member.";
    Answer(no_content) "remove-answers-204", Must "AVP-6-22",
        "removeMember answers 204 and no body.",
        "Clients cannot read the answer.",
        "Answer 200 and the manifest.";
    Answer(answers_success) "remove-answers-ok", Must "AVP-2-02",
        "removeMember answers an object that says ok, and no manifest.",
        "Clients cannot read the answer.",
        "Answer the manifest.";
    Named(TAKES_EFFECT_LATE) and Rule(former_admitted_for_a_while) "remove-takes-effect-late", Must "AVP-10-03" and "AVP-6-13",
        "Who was removed keeps access for 60 milliseconds.",
        "Who was removed can still fetch the last state.",
        "Read the roster from where you write it.";
}

fn removed_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    if !removes(place) {
        return false;
    }
    let gone: Vec<Value> = before
        .roster
        .iter()
        .filter(|entry| repo.entry(id_of(entry)).is_none())
        .cloned()
        .collect();
    repo.roster.extend(gone.iter().cloned());
    !gone.is_empty()
}

fn old_wraps(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    if !removes(place) {
        return false;
    }
    let old = |entry: &Value| before.entry(id_of(entry)).unwrap_or(entry).clone();
    let roster: Vec<Value> = repo.roster.iter().map(old).collect();
    std::mem::replace(&mut repo.roster, roster.clone()) != roster
}

fn envelope_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    removes(place) && std::mem::replace(&mut repo.envelope, before.envelope.clone()) != before.envelope
}

fn version_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    removes(place) && std::mem::replace(&mut repo.version, before.version) != before.version
}

fn epoch_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    removes(place) && std::mem::replace(&mut repo.epoch, before.epoch) != before.epoch
}

fn epoch_counted(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let next = before.epoch.saturating_add(1);
    removes(place) && std::mem::replace(&mut repo.epoch, next) != next
}

fn version_counted(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let next = before.version.saturating_add(1);
    removes(place) && std::mem::replace(&mut repo.version, next) != next
}

fn policy_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    removes(place) && repo.policy.take() == Some(true)
}

fn bindings_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    removes(place) && drop_bindings(&mut repo.roster)
}

fn roster_cut(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let here = removes(place) && repo.roster.len() > KEPT_ENTRIES;
    if here {
        repo.roster.truncate(KEPT_ENTRIES);
    }
    here
}

fn versions_as_text(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    removes(asked.call) && grows_as_text(rule, decision)
}

fn marked_removed(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let members = repo.roster.len();
    if removes(place) {
        let former = &before.history.former;
        repo.roster
            .retain(|entry| !former.iter().any(|gone| gone == id_of(entry)));
    }
    repo.roster.len() < members
}

fn drops_entry(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    removes(place) && repo.roster.len() > 1 && repo.roster.pop().is_some()
}

fn merged(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    if !removes(place) {
        return false;
    }
    let removed = repo
        .last_removal
        .as_ref()
        .and_then(|request| request["removedMemberId"].as_str())
        .map(str::to_owned);
    let missing =
        |entry: &&Value| repo.entry(id_of(entry)).is_none() && Some(id_of(entry)) != removed.as_deref();
    let kept: Vec<Value> = before.roster.iter().filter(missing).cloned().collect();
    repo.roster.extend(kept.iter().cloned());
    !kept.is_empty()
}

fn intersected(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let count = repo.roster.len();
    if removes(place) {
        repo.roster.retain(|entry| before.entry(id_of(entry)).is_some());
    }
    repo.roster.len() < count
}

fn removes(place: &Call) -> bool {
    place.operation == Operation::RemoveMember
}

fn no_content(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    instead(scene, answer, Answer::empty(204))
}

fn answers_success(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    instead(scene, answer, Answer::ok(json!({ "ok": true })))
}

fn instead(scene: &AnswerContext<'_>, answer: &mut Answer, other: Answer) -> bool {
    let here = scene.on(Operation::RemoveMember) && answer.status == 200;
    if here {
        *answer = other;
    }
    here
}

fn epoch_still(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_epoch(asked, rule, decision, |epoch, current| epoch == current)
}

fn epoch_back(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_epoch(asked, rule, decision, |epoch, current| epoch < current)
}

fn takes_epoch(
    asked: &Asked<'_>,
    rule: Rule<'_>,
    decision: &mut Decision,
    is_taken: impl Fn(i64, i64) -> bool,
) -> bool {
    match rule {
        Rule::EpochGrows(repo) => grant_if(decision, is_taken(count(asked.body, "newKeyEpoch"), repo.epoch)),
        _ => false,
    }
}

fn version_back(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(
        decision,
        matches!(rule, Rule::VersionGrows(..)) && removes(asked.call),
    )
}

fn still_listed(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::LeavesRoster(_)))
}

/// A removal that is granted changes the repository, unless it is the last one again.
fn replay_applied(place: &Call, _: &Value, repo: &mut Repo) -> bool {
    if removes(place) {
        repo.version = repo.version.saturating_add(1);
        repo.epoch = repo.epoch.saturating_add(1);
    }
    removes(place)
}

/// Takes a removal for done that it has seen before, whatever came between.
fn replay_for_ever(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::NotDoneYet(repo) = rule else {
        return false;
    };
    let key = format!("removal {} {}", repo.id, asked.body);
    let known = asked.state.recall(&key).is_some();
    asked.state.remember(key, Value::Null);
    stop_if(decision, known, Stop::Done(Reply::Manifest))
}

fn rewrapped_epochs_taken(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    removes(place) && under_epoch(&mut repo.roster, repo.epoch)
}

fn replay_by_name(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::NotDoneYet(repo) = rule else {
        return false;
    };
    let last = repo.last_removal.as_ref();
    let same = last.is_some_and(|last| last["removedMemberId"] == asked.body["removedMemberId"]);
    stop_if(decision, same, Stop::Done(Reply::Manifest))
}

fn replay_kept(place: &Call, before: &Repo, repo: &mut Repo) -> bool {
    let rotates = place.operation == Operation::Push && repo.roster != before.roster;
    let here = rotates && before.last_removal.is_some();
    if here {
        repo.last_removal.clone_from(&before.last_removal);
    }
    here
}

fn self_unguarded(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let own = removes(asked.call) && text(asked.body, "removedMemberId") == asked.call.caller;
    grant_if(
        decision,
        own && matches!(rule, Rule::Member(..) | Rule::RemovesMember),
    )
}

fn newer_only(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::LeavesRoster(repo) = rule else {
        return false;
    };
    let place = |id: &str| repo.roster.iter().position(|entry| id_of(entry) == id);
    let removed = place(text(asked.body, "removedMemberId"));
    let older = removed > Some(0) && removed < place(&asked.call.caller);
    stop_if(
        decision,
        older,
        Refusal::forbidden("this member joined before you"),
    )
}

fn self_refused(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let own = text(asked.body, "removedMemberId") == asked.call.caller;
    match rule {
        Rule::LeavesRoster(_) => stop_if(decision, own, Refusal::forbidden("this member cannot be removed")),
        _ => false,
    }
}

fn former_admitted_for_a_while(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::Member(_, repo) => {
            let former = repo.history.former.contains(&asked.call.caller);
            grant_if(decision, former && now() - repo.history.written < LAG_MS)
        }
        _ => false,
    }
}
