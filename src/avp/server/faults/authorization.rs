//! What is got wrong about who may do what.

use serde_json::json;

use crate::avp::Operation;
use crate::avp::server::answer::Answer;
use crate::avp::server::deviation::{AnswerContext, Name, faults};

faults! { "authorization";
    Rule(OPEN_PULL) "open-pull", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may pull from any repository.",
        "Strangers read rosters and payloads.",
        "Check the roster in pull too.";
    Rule(OPEN_PUSH) "open-push", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may push to any repository.",
        "Strangers replace payloads.",
        "Check the roster in push too.";
    Rule(OPEN_ADD) "open-add-member", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may add members to any repository.",
        "Strangers let themselves in.",
        "Check the roster in addMember too.";
    Rule(OPEN_REMOVE) "open-remove-member", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may remove members from any repository.",
        "Strangers lock members out.",
        "Check the roster in removeMember too.";
    Rule(OPEN_FETCH) "open-fetch-member-key", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may fetch the entry of any member.",
        "Strangers read who shares with whom.",
        "Check the roster on GET routes too.";
    Rule(MEMBER_OF_ANY) "member-of-any-repository", Must "AVP-6-15" and "AVP-10-03",
        "Whoever is a member of some repository is taken for a member of all.",
        "Strangers with a repository of their own read yours.",
        "Ask for membership of this repository; a join without its id is the usual cause.";
    Rule(NO_TOKEN_CREATE) "create-without-token", Must "AVP-3-10",
        "createRepo needs no token.",
        "Anybody fills the server in anybody's name.",
        "Put the route behind the token check.";
    Rule(NO_TOKEN_PULL) "pull-without-token", Must "AVP-3-10",
        "pull needs no token.",
        "Who knows a repository's id reads it.",
        "Put the route behind the token check.";
    Rule(NO_TOKEN_PUSH) "push-without-token", Must "AVP-3-10",
        "push needs no token.",
        "Who knows a repository's id replaces its payload.",
        "Put the route behind the token check.";
    Rule(NO_TOKEN_ADD) "add-member-without-token", Must "AVP-3-10",
        "addMember needs no token.",
        "Who knows a repository's id lets themselves in.",
        "Put the route behind the token check.";
    Rule(NO_TOKEN_REMOVE) "remove-member-without-token", Must "AVP-3-10",
        "removeMember needs no token.",
        "Who knows a repository's id locks its members out.",
        "Put the route behind the token check.";
    Rule(NO_TOKEN_FETCH) "fetch-without-token", Must "AVP-3-10",
        "fetchMemberKey needs no token.",
        "Who knows a repository's id reads its roster.",
        "Put GET routes behind the token check too.";
    Rule(REMOVED_PULL) "removed-may-pull", Must "AVP-10-03",
        "A removed member may still pull.",
        "Who was removed goes on reading.",
        "Check the current roster at every request.";
    Rule(REMOVED_PUSH) "removed-may-push", Must "AVP-10-03",
        "A removed member may still push.",
        "Who was removed overwrites the payload with one nobody else can read.",
        "Check the current roster at every request.";
    Rule(REMOVED_ADD) "removed-may-add-member", Must "AVP-10-03",
        "A removed member may still add members.",
        "Who was removed lets themselves in again.",
        "Check the current roster at every request.";
    Rule(REMOVED_REMOVE) "removed-may-remove-member", Must "AVP-10-03",
        "A removed member may still remove members.",
        "Who was removed takes revenge.",
        "Check the current roster at every request.";
    Rule(REMOVED_FETCH) "removed-may-fetch", Must "AVP-10-03",
        "A removed member may still fetch entries.",
        "Who was removed sees who stayed.",
        "Check the current roster on GET routes too.";
    Rule(BEFORE_THE_BODY) "membership-before-the-body", Must "AVP-10-03" and "AVP-6-15",
        "Membership is looked up when the head of a request has come, and not again when its body has.",
        "Who is about to be removed keeps a request open, and takes the repository over afterwards.",
        "Check membership in the transaction that writes, after the body has been read.";
    Rule(CACHED) "membership-cached", Must "AVP-10-03",
        "Membership is remembered for two seconds after it was last confirmed.",
        "Who was removed goes on for a while.",
        "Check the roster and not a cache of it, or drop the cache's entry in the removal.";
    Rule(REFUSAL_CACHED) "refusal-cached", Must "AVP-6-11",
        "That somebody is no member is remembered for two seconds.",
        "Who was just added is still kept out.",
        "Cache no refusals, or drop them in addMember.";
    Rule(OWNER_PUSH) "owner-only-push", Must "AVP-6-12",
        "Only the creator of a repository may push.",
        "Everybody else can read and not save.",
        "Treat all members alike: the protocol has no owner.";
    Rule(OWNER_ADD) "owner-only-add-member", Must "AVP-6-12",
        "Only the creator of a repository may add members.",
        "Members cannot invite.",
        "Treat all members alike: the protocol has no owner.";
    Rule(OWNER_REMOVE) "owner-only-remove-member", Must "AVP-6-12",
        "Only the creator of a repository may remove members.",
        "Members cannot leave, and a lost creator blocks every removal.",
        "Treat all members alike: the protocol has no owner.";
    Rule(OWN_KEY_ONLY) "fetch-own-key-only", Must "AVP-6-12" and "AVP-6-14",
        "Members may fetch their own entry and no other.",
        "Members cannot check each other's keys.",
        "Let every member fetch every entry.";
    Rule(OWNER_STAYS) "owner-cannot-be-removed", Must "AVP-6-12",
        "The creator of a repository cannot be removed.",
        "A creator whose device was stolen keeps access.",
        "Treat all members alike: the protocol has no owner.";
    Rule(BODY_PULL) "pull-reads-the-bodys-repository", Must "AVP-6-15",
        "pull checks membership of the path's repository, and serves the body's.",
        "Anybody with a repository of their own reads any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Rule(BODY_PUSH) "push-writes-the-bodys-repository", Must "AVP-6-15",
        "push checks membership of the path's repository, and writes the body's.",
        "Anybody with a repository of their own overwrites any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Rule(BODY_ADD) "add-member-writes-the-bodys-repository", Must "AVP-6-15",
        "addMember checks membership of the path's repository, and writes the body's.",
        "Anybody with a repository of their own lets themselves into any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Rule(BODY_REMOVE) "remove-member-writes-the-bodys-repository", Must "AVP-6-15",
        "removeMember checks membership of the path's repository, and writes the body's.",
        "Anybody with a repository of their own locks out the members of any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Rule(BODY_AUTHORIZES) "body-authorizes-the-path", Must "AVP-6-15",
        "Membership is checked for the body's repository, and the path's is served.",
        "Anybody with a repository of their own reads and writes any other.",
        "Check membership of the repository that you touch.";
    Answer(stranger_404) "stranger-told-404", Must "AVP-6-15",
        "A caller who is no member is told that there is no such repository.",
        "Clients drop a repository they were removed from, as if it were deleted.",
        "Answer 403 where the repository exists.";
    Answer(stranger_401) "stranger-told-401", Must "AVP-6-15",
        "A caller who is no member is told that the token is not good.",
        "Clients log in again and again.",
        "Answer 403: the token is good, the caller is not allowed.";
    Answer(stranger_empty) "stranger-told-nothing", Must "AVP-6-15" and "AVP-2-02",
        "A caller who is no member is answered with 200 and an empty object.",
        "Clients break on what they cannot read.",
        "Answer 403; a filter that yields nothing is not a refusal.";
}

/// The fault that opens an operation to strangers.
pub(in crate::avp::server) fn open_to_strangers(operation: Operation) -> Option<Name> {
    match operation {
        Operation::Pull => Some(OPEN_PULL),
        Operation::Push => Some(OPEN_PUSH),
        Operation::AddMember => Some(OPEN_ADD),
        Operation::RemoveMember => Some(OPEN_REMOVE),
        Operation::FetchMemberKey => Some(OPEN_FETCH),
        _ => None,
    }
}

/// The fault that opens an operation to callers without a token.
pub(in crate::avp::server) fn open_without_token(operation: Operation) -> Option<Name> {
    match operation {
        Operation::CreateRepo => Some(NO_TOKEN_CREATE),
        Operation::Pull => Some(NO_TOKEN_PULL),
        Operation::Push => Some(NO_TOKEN_PUSH),
        Operation::AddMember => Some(NO_TOKEN_ADD),
        Operation::RemoveMember => Some(NO_TOKEN_REMOVE),
        Operation::FetchMemberKey => Some(NO_TOKEN_FETCH),
        _ => None,
    }
}

/// The fault that leaves an operation open to removed members.
pub(in crate::avp::server) fn open_to_removed(operation: Operation) -> Option<Name> {
    match operation {
        Operation::Pull => Some(REMOVED_PULL),
        Operation::Push => Some(REMOVED_PUSH),
        Operation::AddMember => Some(REMOVED_ADD),
        Operation::RemoveMember => Some(REMOVED_REMOVE),
        Operation::FetchMemberKey => Some(REMOVED_FETCH),
        _ => None,
    }
}

/// The fault that keeps an operation for the creator.
pub(in crate::avp::server) fn for_owner_only(operation: Operation) -> Option<Name> {
    match operation {
        Operation::Push => Some(OWNER_PUSH),
        Operation::AddMember => Some(OWNER_ADD),
        Operation::RemoveMember => Some(OWNER_REMOVE),
        _ => None,
    }
}

/// The fault by which an operation touches the body's repository.
pub(in crate::avp::server) fn on_bodys_repo(operation: Operation) -> Option<Name> {
    match operation {
        Operation::Pull => Some(BODY_PULL),
        Operation::Push => Some(BODY_PUSH),
        Operation::AddMember => Some(BODY_ADD),
        Operation::RemoveMember => Some(BODY_REMOVE),
        _ => None,
    }
}

fn stranger_404(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    restate(
        scene,
        answer,
        Answer::new(404, json!({ "error": "no such repository", "code": "not_found" })),
    )
}

fn stranger_401(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    restate(
        scene,
        answer,
        Answer::new(401, json!({ "error": "not allowed", "code": "unauthorized" })),
    )
}

fn stranger_empty(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    restate(scene, answer, Answer::ok(json!({})))
}

fn restate(scene: &AnswerContext<'_>, answer: &mut Answer, instead: Answer) -> bool {
    let here = answer.status == 403 && !scene.on(Operation::CreateRepo);
    if here {
        *answer = instead;
    }
    here
}
