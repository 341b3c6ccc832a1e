//! Limits that a deployment may set, and how it says so (section 7 of the protocol page).

use crate::avp::server::deviation::variations;

variations! { "limits";
    Rule(RATE_LIMIT) "rate-limit", "Every 25th request is refused with 429 and Retry-After in seconds.";
    Rule(RATE_LIMIT_DATE) "rate-limit-date", "Every 25th request is refused with 429 and Retry-After as a date.";
    Rule(SIZE_LIMIT) "size-limit", "Bodies over 32 KiB are refused with 413.";
    Rule(MEMBER_LIMIT_403) "member-limit", "A repository holds two members: 403 policy_denied.";
    Rule(MEMBER_LIMIT_429) "member-limit-429", "A repository holds two members: 429 without Retry-After.";
    Rule(MEMBER_LIMIT_413) "member-limit-413", "A repository holds two members: 413.";
    Rule(REPO_LIMIT) "repo-limit", "A member has one repository: 403 policy_denied.";
    Rule(REPO_LIMIT_429) "repo-limit-429", "A member has one repository: 429 without Retry-After.";
    Rule(REPO_LIMIT_FIRST) "repo-limit-first",
        "A member has one repository: 403 policy_denied, also for an id that is taken.";
}
