//! What a server answers for an id that there is not.

use crate::catalogue::Level::Must;
use crate::serve::{Fault, fault};

/// What is answered where there is no object.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "unknown-ids-200",
        "objects",
        &["OMP-OBJ-09"],
        Must,
        "An unknown id is read with 200.",
        "Clients take nothing for an object.",
        "Answer 404 for an id that there is not.",
    ),
    fault(
        "unknown-ids-400",
        "objects",
        &["OMP-OBJ-09"],
        Must,
        "An unknown id is read with 400.",
        "Clients take a missing object for a mistake of theirs.",
        "Answer 404 for an id that there is not.",
    ),
];
