//! The freedoms that the server can use: the table, and a file for each thing that is done otherwise.
//!
//! Who is free asks no rule less. What was decided is handed through methods of the server as faults hand it, and by them where
//! both have a say.

mod answers;
mod lists;
mod objects;
mod requests;

use crate::serve::{Variation, variation};

/// Every variation.
pub(super) const VARIATIONS: &[Variation] = &[
    variation(
        "more-members",
        "form",
        "Objects have members that nobody asked for.",
    ),
    variation("spaced-json", "space", "JSON is written with white space."),
    variation("charset", "type", "The content type names a charset."),
    variation(
        "content-with-every-object",
        "create",
        "A create answers the content as well.",
    ),
    variation("ids-are-numbers", "ids", "Ids are numbers, as strings."),
    variation("ids-with-dots", "ids", "Ids have dots and tildes in them."),
    variation(
        "created-at-with-an-offset",
        "time",
        "created_at is written with +00:00.",
    ),
    variation("no-count", "count", "Lists have no count."),
    variation(
        "the-count-is-the-total",
        "count",
        "The count of a list is that of all objects.",
    ),
    variation(
        "no-cursor-is-null",
        "cursor",
        "The last page names null as the next.",
    ),
    variation(
        "no-cursor-is-empty",
        "cursor",
        "The last page names an empty text as the next.",
    ),
    variation(
        "next-cursor-in-camel-case",
        "cursor",
        "The next page is named by nextCursor.",
    ),
    variation(
        "a-link-names-the-next-page",
        "cursor",
        "The next page is named by a header Link.",
    ),
    variation(
        "the-last-id-is-the-cursor",
        "cursor",
        "The next page is named by the last id, and nothing says so.",
    ),
    variation("newest-first", "order", "Lists begin with the newest object."),
    variation(
        "limits-have-a-ceiling",
        "ceiling",
        "A limit above the ceiling of the server is cut down to it.",
    ),
    variation(
        "odd-limits-refused",
        "oddity",
        "A limit that is no positive number is refused.",
    ),
    variation(
        "odd-cursors-refused",
        "oddity",
        "A cursor that there is not is refused.",
    ),
    variation(
        "keys-are-found-in-any-case",
        "search",
        "key_contains is looked for without regard to case.",
    ),
    variation(
        "details-left-out",
        "errors",
        "details is left out where it would be null.",
    ),
    variation("replace-204", "replace", "A replace is answered 204."),
    variation(
        "replace-answers-content",
        "replace",
        "A replace answers the content as well.",
    ),
    variation("delete-200", "delete", "A delete is answered 200."),
    variation("delete-202", "delete", "A delete is answered 202."),
    variation(
        "delete-again-204",
        "again",
        "Deleting an unknown id is answered 204.",
    ),
    variation(
        "a-pair-twice-409",
        "pairs",
        "A second object of the same namespace and key is refused.",
    ),
    variation(
        "a-pair-twice-replaces",
        "pairs",
        "A second object of the same namespace and key takes the place of the first.",
    ),
    variation(
        "null-members-refused",
        "null",
        "null for an optional member is refused.",
    ),
    variation(
        "empty-names-refused",
        "empty",
        "Empty namespaces and keys are refused.",
    ),
    variation("shape-422", "shape", "JSON of the wrong shape is answered 422."),
    variation(
        "json-type-demanded",
        "demand",
        "Another content type than JSON is refused with 415.",
    ),
    variation(
        "duplicate-members-refused",
        "twice",
        "A member that stands twice is refused.",
    ),
    variation(
        "half-characters-taken",
        "halves",
        "Half a surrogate pair is read in some way.",
    ),
    variation(
        "one-header-is-malformed",
        "headers",
        "One of the two headers alone is malformed.",
    ),
    variation(
        "components-verified",
        "components",
        "Signatures by RFC 9421 are verified.",
    ),
    variation(
        "body-before-signature",
        "before",
        "A malformed body is refused before a missing signature.",
    ),
    variation("sent-on-to-a-slash", "slash", "/objects is sent on to /objects/."),
    variation("rate-limit", "limits", "One of 25 requests is refused with 429."),
    variation(
        "body-limit",
        "limits",
        "Bodies above 64 KiB are refused with 413.",
    ),
];
