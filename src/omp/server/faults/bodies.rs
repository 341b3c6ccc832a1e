//! What a server makes of a body that gets the rules of JSON wrong.

use crate::catalogue::Level::{Must, Should};
use crate::serve::{Fault, fault};

/// What becomes of a body that cannot be read.
pub(super) const UNREADABLE: &[Fault] = &[
    fault(
        "not-json-422",
        "errors",
        &["OMP-ERR-02", "OMP-ERR-06"],
        Must,
        "A body that is not JSON is answered 422.",
        "Clients take it for another mistake.",
        "Answer 400 where a body cannot be read.",
    ),
    fault(
        "not-json-500",
        "errors",
        &["OMP-ERR-02", "OMP-ERR-03", "OMP-ERR-06"],
        Must,
        "A body that is not JSON is answered 500.",
        "A typing error looks like an outage.",
        "Answer 400 where a body cannot be read.",
    ),
    fault(
        "an-empty-body-is-an-object",
        "errors",
        &["OMP-ERR-02"],
        Must,
        "An empty body creates an object.",
        "A client that sends nothing believes it has stored something.",
        "Refuse an empty body.",
    ),
    fault(
        "other-types-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "Another content type than JSON is answered 500.",
        "A careless client looks like an outage.",
        "Read it, or answer 415.",
    ),
];

/// What becomes of a body that is too deep.
pub(super) const DEEP: &[Fault] = &[fault(
    "deep-bodies-500",
    "errors",
    &["OMP-ERR-03"],
    Must,
    "A body with lists ten thousand deep is answered 500.",
    "Anybody can make the server fail.",
    "Limit the depth in the parser, and answer 400.",
)];

/// What is taken for JSON.
pub(super) const LENIENT: &[Fault] = &[
    fault(
        "nan-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "NaN and Infinity are taken for numbers.",
        "Other parsers refuse what is served.",
        "Use a strict parser.",
    ),
    fault(
        "trailing-bytes-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "Bytes after the JSON are ignored.",
        "Two parsers see two requests.",
        "Read the body to its end.",
    ),
    fault(
        "bad-utf8-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "Text that is not UTF-8 is repaired.",
        "What is read is not what was sent.",
        "Refuse what is not UTF-8.",
    ),
];
