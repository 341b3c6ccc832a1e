//! What a server keeps of an object that is deleted, or loses with it.

use crate::catalogue::Level::Must;
use crate::serve::{Fault, fault};

/// What is left of an object that is deleted.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "delete-keeps",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A deleted object can still be read.",
        "What was to be forgotten is not.",
        "Remove the object before the answer.",
    ),
    fault(
        "delete-stays-in-lists",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A deleted object is still listed and found.",
        "Lists show what cannot be read.",
        "Remove the object from every index.",
    ),
    fault(
        "delete-takes-the-namespace",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A delete takes the other objects of the namespace with it.",
        "One delete loses everything.",
        "Delete by id alone.",
    ),
];
