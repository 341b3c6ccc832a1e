//! What becomes of a new object on a server that gets a rule wrong.

use crate::catalogue::Level::{Must, Should};
use crate::serve::{Fault, fault};

/// What becomes of a new object.
pub(super) const CREATED: &[Fault] = &[
    fault(
        "canary",
        "objects",
        &["OMP-OBJ-01", "OMP-ERR-03"],
        Must,
        "Every create is answered 500.",
        "Nothing can be stored.",
        "Answer 201 where the object is stored.",
    ),
    fault(
        "create-200",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "A create is answered with a success that is not 201.",
        "Clients that wait for 201 take it for something else.",
        "Answer 201 to a create.",
    ),
    fault(
        "create-forgets",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "A create is answered 201 and nothing is stored.",
        "Objects are nowhere to be found.",
        "Answer after the object is stored.",
    ),
    fault(
        "create-forgets-with-metadata",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "An object that is sent with metadata is not stored.",
        "Some objects are nowhere to be found.",
        "Store every object that is answered 201.",
    ),
    fault(
        "keys-are-ids",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "The key that a client sends is thrown away for the id.",
        "Objects cannot be found by their keys.",
        "Keep the key that is sent, and make one up only where there is none.",
    ),
    fault(
        "keys-in-lower-case",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "Keys are stored in lower case.",
        "A client does not find its object under the key that it gave.",
        "Store the key as it was sent.",
    ),
    fault(
        "namespaces-are-trimmed",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "Spaces around a namespace are dropped.",
        "Objects of two namespaces are mixed up.",
        "Store the namespace as it was sent.",
    ),
    fault(
        "metadata-is-dropped",
        "objects",
        &["OMP-OBJ-01", "OMP-OBJ-03"],
        Must,
        "The metadata of a create is dropped.",
        "Labels and lifetimes are lost.",
        "Store the metadata with the object.",
    ),
    fault(
        "ids-are-given-twice-at-once",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "Two creates at the same moment get one id, and one object is lost.",
        "Objects of one client appear under those of another.",
        "Draw ids where the object is inserted, in one transaction.",
    ),
    fault(
        "one-object-for-a-namespace",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "A create takes the place of the other objects of its namespace.",
        "The last object wins, whatever its key.",
        "Let a create insert, and touch nothing else.",
    ),
];

/// When an object is said to be created.
pub(super) const DATED: &[Fault] = &[
    fault(
        "created-at-without-a-zone",
        "objects",
        &["OMP-OBJ-11"],
        Should,
        "created_at does not say in which zone it is.",
        "Readers elsewhere are hours off.",
        "Write times in UTC, with Z.",
    ),
    fault(
        "created-at-of-yesterday",
        "objects",
        &["OMP-OBJ-11"],
        Should,
        "created_at is not the time of creation.",
        "The age of objects is wrong.",
        "Take the time when the object is created.",
    ),
];
