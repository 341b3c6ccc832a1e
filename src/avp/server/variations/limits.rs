//! Limits that a deployment may set, and how it says so (section 7 of the protocol page).

use crate::avp::server::answer::Refusal;
use crate::avp::server::decision::{Asked, Decision, Rule, stop_if};
use crate::avp::server::deviation::variations;
use crate::avp::server::limits::MOST_MEMBERS;

variations! { "limits";
    Named(RATE_LIMIT) "rate-limit", "Every 25th request is refused with 429 and Retry-After in seconds.";
    Named(RATE_LIMIT_DATE) "rate-limit-date", "Every 25th request is refused with 429 and Retry-After as a date.";
    Named(PUSHBACK) "grpc-pushback",
        "Every 25th request is refused with 429; over gRPC, metadata says in milliseconds when to come back.";
    Named(RATE_UNTOLD) "grpc-rate-untold",
        "Every 25th request is refused with 429; over gRPC, nothing says when to come back.";
    Named(SIZE_LIMIT) "size-limit", "Bodies over 32 KiB are refused with 413.";
    Rule(member_limit_403) "member-limit", "A repository holds two members: 403 policy_denied.";
    Rule(member_limit_429) "member-limit-429", "A repository holds two members: 429 without Retry-After.";
    Rule(member_limit_413) "member-limit-413", "A repository holds two members: 413.";
    Rule(repo_limit) "repo-limit", "A member has one repository: 403 policy_denied.";
    Rule(repo_limit_429) "repo-limit-429", "A member has one repository: 429 without Retry-After.";
    Rule(repo_limit_first) "repo-limit-first",
        "A member has one repository: 403 policy_denied, also for an id that is taken.";
}

fn member_limit_403(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    member_limit(rule, decision, Refusal::policy_denied)
}

fn member_limit_429(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    member_limit(rule, decision, Refusal::quota_exceeded)
}

fn member_limit_413(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    member_limit(rule, decision, |full| {
        Refusal::quota_exceeded(full).under(413, "too_large")
    })
}

fn member_limit(rule: Rule<'_>, decision: &mut Decision, refusal: impl FnOnce(&str) -> Refusal) -> bool {
    let full = matches!(rule, Rule::Room(count) if count > MOST_MEMBERS);
    stop_if(decision, full, refusal("a repository holds two members here"))
}

fn repo_limit(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::AnotherRepo(vault) => {
            let full = Refusal::policy_denied("a member has one repository here");
            stop_if(decision, vault.knows(&asked.call.caller), full)
        }
        _ => false,
    }
}

fn repo_limit_429(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::AnotherRepo(vault) => {
            let full = Refusal::quota_exceeded("a member has one repository here");
            stop_if(decision, vault.knows(&asked.call.caller), full)
        }
        _ => false,
    }
}

/// Looks at the limit before it looks at the id.
fn repo_limit_first(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let (Rule::FreshId(vault) | Rule::AnotherRepo(vault)) = rule else {
        return false;
    };
    let here = vault.knows(&asked.call.caller);
    if here {
        *decision = Err(Refusal::policy_denied("a member has one repository here").into());
    }
    here
}
