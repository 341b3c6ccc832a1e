//! What becomes of half a surrogate pair, which is no character.

use crate::catalogue::Level::Should;
use crate::serve::{Fault, fault};

/// What becomes of half a character.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "odd-content-cannot-be-read",
        "objects",
        &["OMP-OBJ-12"],
        Should,
        "Half a surrogate pair is stored, and the object cannot be read again.",
        "A client that stored something gets an error for ever.",
        "Refuse with 400 what cannot be given back.",
    ),
    fault(
        "half-characters-spoil-the-list",
        "objects",
        &["OMP-OBJ-12", "OMP-ERR-03"],
        Should,
        "Half a surrogate pair is taken, and every list fails from then on.",
        "One request of anybody takes the lists away from everybody.",
        "Refuse what cannot be served.",
    ),
];
