//! What is got wrong about who may do what.

use serde_json::{Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Decision, Rule, grant_if, stop_if};
use crate::avp::server::deviation::{AnswerContext, Name, faults};
use crate::avp::server::request::Request;
use crate::avp::server::route::Route;
use crate::avp::server::rules::no_member;
use crate::avp::server::state::{State, now};
use crate::avp::server::vault::{Repo, Vault, list, text};

/// How long a cache of memberships is believed, milliseconds.
const CACHED_MEMBERSHIP_MS: i64 = 2000;

faults! { "authorization";
    Named(OPEN_PULL) and Rule(stranger_admitted) "open-pull", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may pull from any repository.",
        "Strangers read rosters and payloads.",
        "Check the roster in pull too.";
    Caller(last_token_noted) and Rule(access_by_token) "access-remembered-by-token", Must "AVP-10-03",
        "Access is remembered for each token, and forgotten for the one that was used last when its member is removed.",
        "A removed member goes on with a token that another device holds.",
        "Ask the roster at every request.";
    Named(OPEN_PUSH) and Rule(stranger_admitted) "open-push", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may push to any repository.",
        "Strangers replace payloads.",
        "Check the roster in push too.";
    Named(OPEN_ADD) and Rule(stranger_admitted) "open-add-member", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may add members to any repository.",
        "Strangers let themselves in.",
        "Check the roster in addMember too.";
    Named(OPEN_REMOVE) and Rule(stranger_admitted) "open-remove-member", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may remove members from any repository.",
        "Strangers lock members out.",
        "Check the roster in removeMember too.";
    Named(OPEN_FETCH) and Rule(stranger_admitted) "open-fetch-member-key", Must "AVP-6-15" and "AVP-10-03",
        "Anybody with a token may fetch the entry of any member.",
        "Strangers read who shares with whom.",
        "Check the roster on GET routes too.";
    Rule(adds_others) "stranger-adds-others", Must "AVP-6-15" and "AVP-10-03",
        "Who adds somebody else is not asked for membership: only those who add themselves are.",
        "Strangers let their friends in.",
        "Look for the caller in the roster, whoever is to be added.";
    Rule(member_of_any) "member-of-any-repository", Must "AVP-6-15" and "AVP-10-03",
        "Whoever is a member of some repository is taken for a member of all.",
        "Strangers with a repository of their own read yours.",
        "Ask for membership of this repository; a join without its id is the usual cause.";
    Named(NO_TOKEN_CREATE) and Caller(nobody_taken) and Rule(nobody_admitted) "create-without-token", Must "AVP-3-10",
        "createRepo needs no token.",
        "Anybody fills the server in anybody's name.",
        "Put the route behind the token check.";
    Named(NO_TOKEN_PULL) and Caller(nobody_taken) and Rule(nobody_admitted) "pull-without-token", Must "AVP-3-10",
        "pull needs no token.",
        "Who knows a repository's id reads it.",
        "Put the route behind the token check.";
    Named(NO_TOKEN_PUSH) and Caller(nobody_taken) and Rule(nobody_admitted) "push-without-token", Must "AVP-3-10",
        "push needs no token.",
        "Who knows a repository's id replaces its payload.",
        "Put the route behind the token check.";
    Named(NO_TOKEN_ADD) and Caller(nobody_taken) and Rule(nobody_admitted) "add-member-without-token", Must "AVP-3-10",
        "addMember needs no token.",
        "Who knows a repository's id lets themselves in.",
        "Put the route behind the token check.";
    Named(NO_TOKEN_REMOVE) and Caller(nobody_taken) and Rule(nobody_admitted) "remove-member-without-token", Must "AVP-3-10",
        "removeMember needs no token.",
        "Who knows a repository's id locks its members out.",
        "Put the route behind the token check.";
    Named(NO_TOKEN_FETCH) and Caller(nobody_taken) and Rule(nobody_admitted) "fetch-without-token", Must "AVP-3-10",
        "fetchMemberKey needs no token.",
        "Who knows a repository's id reads its roster.",
        "Put GET routes behind the token check too.";
    Named(REMOVED_PULL) and Rule(former_admitted) "removed-may-pull", Must "AVP-10-03",
        "A removed member may still pull.",
        "Who was removed goes on reading.",
        "Check the current roster at every request.";
    Named(REMOVED_PUSH) and Rule(former_admitted) "removed-may-push", Must "AVP-10-03",
        "A removed member may still push.",
        "Who was removed overwrites the payload with one nobody else can read.",
        "Check the current roster at every request.";
    Named(REMOVED_ADD) and Rule(former_admitted) "removed-may-add-member", Must "AVP-10-03",
        "A removed member may still add members.",
        "Who was removed lets themselves in again.",
        "Check the current roster at every request.";
    Named(REMOVED_REMOVE) and Rule(former_admitted) "removed-may-remove-member", Must "AVP-10-03",
        "A removed member may still remove members.",
        "Who was removed takes revenge.",
        "Check the current roster at every request.";
    Named(REMOVED_FETCH) and Rule(former_admitted) "removed-may-fetch", Must "AVP-10-03",
        "A removed member may still fetch entries.",
        "Who was removed sees who stayed.",
        "Check the current roster on GET routes too.";
    Named(BEFORE_THE_BODY) and Rule(admitted_before) "membership-before-the-body", Must "AVP-10-03" and "AVP-6-15",
        "Membership is looked up when the head of a request has come, and not again when its body has.",
        "Who is about to be removed keeps a request open, and takes the repository over afterwards.",
        "Check membership in the transaction that writes, after the body has been read.";
    Named(BEFORE_THE_LOCK) "membership-before-the-lock", Must "AVP-10-03",
        "Membership is looked up five milliseconds before the lock is taken under which a request is carried out, and not again.",
        "Who is about to be removed writes after the removal, and reads what it wrote.",
        "Check membership in the transaction that reads or writes.";
    Rule(membership_cached) "membership-cached", Must "AVP-10-03",
        "Membership is remembered for two seconds after it was last confirmed.",
        "Who was removed goes on for a while.",
        "Check the roster and not a cache of it, or drop the cache's entry in the removal.";
    Rule(access_by_size) "access-kept-while-the-roster-has-its-size", Must "AVP-6-10" and "AVP-10-03",
        "Who has access and who has not is remembered until the roster has another size.",
        "Where one member takes another's place, the one is kept out and the other goes on.",
        "Drop what is remembered with every write of the roster.";
    Rule(refusal_cached) "refusal-cached", Must "AVP-6-11",
        "That somebody is no member is remembered for two seconds.",
        "Who was just added is still kept out.",
        "Cache no refusals, or drop them in addMember.";
    Named(OWNER_PUSH) and Rule(owner_only) "owner-only-push", Must "AVP-6-12",
        "Only the creator of a repository may push.",
        "Everybody else can read and not save.",
        "Treat all members alike: the protocol has no owner.";
    Named(OWNER_ADD) and Rule(owner_only) "owner-only-add-member", Must "AVP-6-12",
        "Only the creator of a repository may add members.",
        "Members cannot invite.",
        "Treat all members alike: the protocol has no owner.";
    Named(OWNER_REMOVE) and Rule(owner_only) "owner-only-remove-member", Must "AVP-6-12",
        "Only the creator of a repository may remove members.",
        "Members cannot leave, and a lost creator blocks every removal.",
        "Treat all members alike: the protocol has no owner.";
    Rule(own_key_only) "fetch-own-key-only", Must "AVP-6-12" and "AVP-6-14",
        "Members may fetch their own entry and no other.",
        "Members cannot check each other's keys.",
        "Let every member fetch every entry.";
    Rule(owner_stays) "owner-cannot-be-removed", Must "AVP-6-12",
        "The creator of a repository cannot be removed.",
        "A creator whose device was stolen keeps access.",
        "Treat all members alike: the protocol has no owner.";
    Named(BODY_PULL) and Rule(either_repo) "pull-reads-the-bodys-repository", Must "AVP-6-15",
        "pull checks membership of the path's repository, and serves the body's.",
        "Anybody with a repository of their own reads any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Named(BODY_PUSH) and Rule(either_repo) "push-writes-the-bodys-repository", Must "AVP-6-15",
        "push checks membership of the path's repository, and writes the body's.",
        "Anybody with a repository of their own overwrites any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Named(BODY_ADD) and Rule(either_repo) "add-member-writes-the-bodys-repository", Must "AVP-6-15",
        "addMember checks membership of the path's repository, and writes the body's.",
        "Anybody with a repository of their own lets themselves into any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Named(BODY_REMOVE) and Rule(either_repo) "remove-member-writes-the-bodys-repository", Must "AVP-6-15",
        "removeMember checks membership of the path's repository, and writes the body's.",
        "Anybody with a repository of their own locks out the members of any other.",
        "Take the repository from the path alone, or refuse where the two differ.";
    Named(BODY_AUTHORIZES) and Rule(either_repo) "body-authorizes-the-path", Must "AVP-6-15",
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
fn open_to_strangers(operation: Operation) -> Option<Name> {
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
fn open_without_token(operation: Operation) -> Option<Name> {
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
fn open_to_removed(operation: Operation) -> Option<Name> {
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
fn for_owner_only(operation: Operation) -> Option<Name> {
    match operation {
        Operation::Push => Some(OWNER_PUSH),
        Operation::AddMember => Some(OWNER_ADD),
        Operation::RemoveMember => Some(OWNER_REMOVE),
        _ => None,
    }
}

/// The fault by which an operation touches the body's repository.
fn on_bodys_repo(operation: Operation) -> Option<Name> {
    match operation {
        Operation::Pull => Some(BODY_PULL),
        Operation::Push => Some(BODY_PUSH),
        Operation::AddMember => Some(BODY_ADD),
        Operation::RemoveMember => Some(BODY_REMOVE),
        _ => None,
    }
}

/// Whether the server has the fault of this name, where there is one.
fn is(asked: &Asked<'_>, name: Option<Name>) -> bool {
    name.is_some_and(|name| asked.state.is(name))
}

/// The repository whose members may do what is asked; none where another rule is.
fn members_of<'a>(rule: Rule<'a>) -> Option<&'a Repo> {
    match rule {
        Rule::Member(_, repo) => Some(repo),
        _ => None,
    }
}

fn stranger_admitted(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let open = is(asked, open_to_strangers(asked.call.operation));
    grant_if(decision, members_of(rule).is_some() && open)
}

fn adds_others(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let adds = asked.call.operation == Operation::AddMember;
    let other = text(&asked.body["member"], "ed25519PublicKey") != asked.call.caller;
    grant_if(decision, members_of(rule).is_some() && adds && other)
}

fn former_admitted(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let open = is(asked, open_to_removed(asked.call.operation));
    members_of(rule).is_some_and(|repo| {
        let former = repo.history.former.contains(&asked.call.caller);
        grant_if(decision, open && former)
    })
}

fn member_of_any(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::Member(vault, _) => grant_if(decision, vault.knows(&asked.call.caller)),
        _ => false,
    }
}

/// Takes a request without a token for one of nobody.
fn nobody_taken(state: &State, request: &Request, caller: &mut Result<String, Refusal>) -> bool {
    let Route::To { operation, .. } = Route::of(&request.method, &request.path) else {
        return false;
    };
    let open = open_without_token(operation).is_some_and(|name| state.is(name));
    let here = open && request.authorization.is_none() && caller.is_err();
    if here {
        *caller = Ok(String::new());
    }
    here
}

/// Lets nobody do what members may, and create for whomever they name.
pub(super) fn nobody_admitted(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let nobody = asked.call.caller.is_empty();
    match rule {
        Rule::Member(..) => grant_if(decision, nobody),
        Rule::SoleMember(manifest) => grant_if(decision, nobody && list(manifest, "members").len() == 1),
        _ => false,
    }
}

fn admitted_before(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, members_of(rule).is_some() && asked.call.admitted)
}

fn membership_cached(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    members_of(rule).is_some_and(|repo| {
        let key = format!("listed {} {}", repo.id, asked.call.caller);
        if decision.is_ok() {
            asked.state.remember(key, Value::Null);
            return false;
        }
        grant_if(decision, is_recent(asked, &key))
    })
}

/// Whose token was shown last is about to be let in, or not.
fn last_token_noted(state: &State, request: &Request, caller: &mut Result<String, Refusal>) -> bool {
    if let (Ok(caller), Some(header)) = (caller, &request.authorization) {
        state.remember(format!("token of {caller}"), json!(header));
    }
    false
}

fn access_by_token(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    members_of(rule).is_some_and(|repo| {
        let (state, caller) = (asked.state, &asked.call.caller);
        let token = state.recall(&format!("token of {caller}")).map(|(_, it)| it);
        let (let_in, last) = (
            format!("let in {} {}", repo.id, token.clone().unwrap_or_default()),
            format!("last let in {} {caller}", repo.id),
        );
        if decision.is_ok() {
            state.remember(let_in, Value::Null);
            state.remember(last, token.unwrap_or_default());
            return false;
        }
        let is_last = state.recall(&last).map(|(_, it)| it) == token;
        grant_if(decision, !is_last && state.recall(&let_in).is_some())
    })
}

fn access_by_size(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    members_of(rule).is_some_and(|repo| {
        let key = format!("access {} {}", repo.id, asked.call.caller);
        let size = json!(repo.roster.len());
        let known = asked.state.recall(&key).map(|(_, known)| known);
        let Some(known) = known.filter(|known| known["size"] == size) else {
            asked
                .state
                .remember(key, json!({ "size": size, "in": decision.is_ok() }));
            return false;
        };
        let was_in = known["in"] == true;
        grant_if(decision, was_in) || stop_if(decision, !was_in, no_member())
    })
}

fn refusal_cached(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    members_of(rule).is_some_and(|repo| {
        let key = format!("refused {} {}", repo.id, asked.call.caller);
        if decision.is_err() {
            asked.state.remember(key, Value::Null);
            return false;
        }
        stop_if(decision, is_recent(asked, &key), no_member())
    })
}

fn is_recent(asked: &Asked<'_>, key: &str) -> bool {
    let noted = asked.state.recall(key);
    noted.is_some_and(|(at, _)| now() - at < CACHED_MEMBERSHIP_MS)
}

fn owner_only(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let kept = is(asked, for_owner_only(asked.call.operation));
    members_of(rule).is_some_and(|repo| {
        let owner = asked.call.caller == repo.history.creator;
        stop_if(
            decision,
            kept && !owner,
            Refusal::forbidden("only the owner may do this"),
        )
    })
}

fn own_key_only(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let wanted = &asked.call.member_id;
    members_of(rule).is_some_and(|repo| {
        let others = *wanted != asked.call.caller && repo.entry(wanted).is_some();
        stop_if(decision, others, Refusal::forbidden("only the owner may do this"))
    })
}

fn owner_stays(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::LeavesRoster(repo) => stop_if(
            decision,
            text(asked.body, "removedMemberId") == repo.history.creator,
            Refusal::forbidden("this member cannot be removed"),
        ),
        _ => false,
    }
}

/// Takes a body that names another repository than the path, since one of the two decides.
fn either_repo(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let taken = is(asked, on_bodys_repo(asked.call.operation)) || asked.state.is(BODY_AUTHORIZES);
    grant_if(decision, matches!(rule, Rule::SameRepo(_)) && taken)
}

/// The repositories that a request is about: whose roster admits the caller, and which is touched. Both are the path's,
/// but for a server that takes one of them from the body.
pub(super) fn repos<'a>(
    state: &State,
    vault: &Vault,
    place: &'a Call,
    body: &'a Value,
) -> (&'a str, &'a str) {
    let (path, named) = (place.repo_id.as_str(), text(body, "repoId"));
    if state.is_faultless() || named == path || !vault.repos.contains_key(named) {
        return (path, path);
    }
    if on_bodys_repo(place.operation).is_some_and(|name| state.deviates(name)) {
        return (path, named);
    }
    match state.deviates(BODY_AUTHORIZES) {
        true => (named, path),
        false => (path, path),
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
