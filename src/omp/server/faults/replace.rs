//! How a server replaces an object that gets a rule wrong.

use crate::catalogue::Level::{Must, Should};
use crate::serve::{Fault, fault};

/// What becomes of an object that is replaced.
pub(super) const REPLACED: &[Fault] = &[
    fault(
        "replace-forgets",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace is answered and changes nothing.",
        "Readers see the old content.",
        "Answer after the content is stored.",
    ),
    fault(
        "replace-merges",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace is merged into the old content.",
        "Members that were taken away come back.",
        "Swap the content as a whole.",
    ),
    fault(
        "replace-ignores-metadata",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "The metadata of a replace is ignored.",
        "Labels cannot be changed.",
        "Swap the metadata if it is sent.",
    ),
    fault(
        "replace-merges-metadata",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "The metadata of a replace is merged into the old.",
        "Labels cannot be taken away.",
        "Swap the metadata as a whole.",
    ),
    fault(
        "replace-in-two-halves",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "Two replaces at the same moment leave a mixture of both.",
        "Objects hold what nobody wrote.",
        "Write the content in one transaction.",
    ),
    fault(
        "replace-clears-metadata",
        "objects",
        &["OMP-OBJ-05"],
        Should,
        "A replace without metadata clears it.",
        "Labels are lost with the first change.",
        "Keep the metadata where none is sent.",
    ),
    fault(
        "replaced-is-not-found",
        "objects",
        &["OMP-OBJ-06"],
        Must,
        "An object that was replaced is not found by search any more.",
        "Changed objects cannot be found.",
        "Update the index with the object.",
    ),
    fault(
        "replace-is-a-new-creation",
        "objects",
        &["OMP-OBJ-07"],
        Should,
        "A replace changes created_at.",
        "Nobody knows how old an object is.",
        "Leave created_at alone.",
    ),
    fault(
        "replace-loses-the-key",
        "objects",
        &["OMP-OBJ-07"],
        Should,
        "A replace sets the key back to the id.",
        "Changed objects are not found by their keys.",
        "Leave namespace and key alone.",
    ),
];

/// What is replaced where there is no object.
pub(super) const UNKNOWN: &[Fault] = &[fault(
    "replace-creates",
    "objects",
    &["OMP-OBJ-09"],
    Must,
    "A replace of an unknown id creates an object.",
    "Deleted objects come back.",
    "Answer 404, and create nothing.",
)];
