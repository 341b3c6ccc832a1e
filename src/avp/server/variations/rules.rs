//! Freedoms in the rules of the operations.

use crate::avp::server::deviation::variations;

variations! { "rules";
    Rule(BAD_CREATE_400) "bad-create-400", "A create whose roster is not exactly the caller is refused with 400.";
    Rule(CROWDED_CREATE_413) "crowded-create-413",
        "A create with more members than the caller is refused for its size, with 413.";
    Rule(CROWDED_CREATE_429) "crowded-create-429",
        "A create with more members than the caller is refused for its size, with 429 and without Retry-After.";
    Rule(PATH_DECIDES) "path-decides", "A body that names another repository than the path is applied to the path's.";
    Rule(STRICT_STEPS) "strict-steps", "A push whose envelope is not of the next version is refused with 400.";
    Rule(STEPS_FIRST) "strict-steps-first",
        "A push whose envelope is not of the version after the expected one is refused with 400, stale or not.";
    Rule(STALE_ASSIGNED_HIGHER) "stale-version-assigned-higher",
        "A push whose envelope is not above the current version is stored under the next one.";
    Rule(STALE_CONFLICT) "stale-version-conflict",
        "A push whose envelope is not above the current version is a conflict.";
    Rule(EPOCH_STAYS) "push-epoch-stays",
        "A push that rotates the roster leaves the epoch of the repository as it is: only a removal moves it.";
    Rule(READD_REPLACES) "readd-replaces", "Re-adding a member under another key replaces the entry.";
    Rule(READD_KEEPS) "readd-keeps", "Re-adding a member under another key keeps the entry and answers 200.";
    Rule(READD_FORBIDDEN) "readd-forbidden", "Re-adding a member under another key is refused with 403.";
    Rule(REMOVE_STRANGER_400) "remove-stranger-400", "Removing somebody who is no member is refused with 400.";
    Rule(REMOVE_STRANGER_APPLIED) "remove-stranger-applied",
        "Removing somebody who is no member is applied as a rotation.";
    Rule(REMOVED_STILL_LISTED_DROPPED) "removed-still-listed-dropped",
        "A removed member who is in the rewrapped roster is dropped from it.";
    Rule(REMOVAL_AGAIN_404) "removal-again-404", "The identical removal sent again is refused with 404.";
    Rule(OTHER_EPOCH_REFUSED) "entry-of-another-epoch-refused",
        "An added entry whose epoch is not the repository's is refused with 400.";
    Rule(INCONSISTENT_ACCEPTED) "inconsistent-accepted",
        "Parts of a request that disagree with each other are taken as sent.";
    Rule(BODY_FIRST) "body-first", "A malformed body is refused before repository and membership are looked at.";
    Rule(LENIENT_JSON) "lenient-json",
        "Trailing bytes and unknown fields are ignored, of two equal fields the last counts, any content type will do.";
}
