//! What a server takes for an object that is none, and how it refuses the rest.

use crate::catalogue::Level::{Must, Should};
use crate::serve::{Fault, fault};

/// What is taken for an object, and how the rest is refused.
pub(super) const MISSHAPEN: &[Fault] = &[
    fault(
        "missing-content-is-empty",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A create without content stores an empty one.",
        "Half a request looks like a success.",
        "Ask for every member.",
    ),
    fault(
        "missing-namespace-is-default",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A create without a namespace goes to one that the server chooses.",
        "Objects end up where nobody looks.",
        "Ask for every member.",
    ),
    fault(
        "content-of-any-type",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "Content of any type is taken.",
        "Readers that expect an object fail.",
        "Take objects alone.",
    ),
    fault(
        "replace-with-content-of-any-type",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A replace takes content of any type.",
        "Readers that expect an object fail.",
        "Take objects alone.",
    ),
    fault(
        "refused-is-stored",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A create that is refused is stored all the same.",
        "Objects appear that nobody was told of.",
        "Check first, store then.",
    ),
    fault(
        "shape-500",
        "objects",
        &["OMP-OBJ-10", "OMP-ERR-03"],
        Should,
        "A body of the wrong shape is answered 500.",
        "A typing error looks like an outage.",
        "Check members before they are used.",
    ),
];

/// What becomes of null.
pub(super) const NULLS: &[Fault] = &[fault(
    "null-members-500",
    "errors",
    &["OMP-ERR-03"],
    Must,
    "null for an optional member is answered 500.",
    "A careless client looks like an outage.",
    "Take null for absent, or refuse it.",
)];
