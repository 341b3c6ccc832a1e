//! How a server takes an address for another than it is.

use crate::catalogue::Level::{Must, Should};
use crate::serve::{Fault, fault};

/// What the route of the search is taken for.
pub(super) const SEARCH: &[Fault] = &[
    fault(
        "search-without-parameters-is-an-id",
        "lists",
        &["OMP-LST-06"],
        Must,
        "/objects/search without a query is read as an object of that id.",
        "A client that leaves both parameters out is told that there is no such object.",
        "Route the search before the ids, whatever its query.",
    ),
    fault(
        "search-is-an-id",
        "lists",
        &["OMP-LST-06"],
        Must,
        "/objects/search is taken for an object id.",
        "Nothing can be searched.",
        "Route the search before the ids.",
    ),
];

/// What is taken for an id.
pub(super) const IDS: &[Fault] = &[fault(
    "odd-id-500",
    "errors",
    &["OMP-ERR-03"],
    Must,
    "An id with odd characters is answered 500.",
    "A broken link looks like an outage.",
    "Treat it as an id that there is not.",
)];

/// What becomes of escapes that are none.
pub(super) const ESCAPES: &[Fault] = &[
    fault(
        "malformed-escapes-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "A path or a query with a malformed percent escape is answered 500.",
        "A typing mistake in an address looks like a breakdown.",
        "Answer 400 where an escape cannot be read.",
    ),
    fault(
        "malformed-escapes-are-dropped",
        "errors",
        &["OMP-OBJ-09"],
        Must,
        "Malformed percent escapes in a path are dropped, so that one object has many ids.",
        "Checks on the path before the server see another id than the server does.",
        "Answer 400 where an escape cannot be read, or take it as it stands.",
    ),
];

/// What becomes of the capabilities.
pub(super) const CAPABILITIES: &[Fault] = &[
    fault(
        "capabilities-404",
        "capabilities",
        &["OMP-CAP-01"],
        Must,
        "There is no capability document.",
        "Clients do not find the server.",
        "Serve it.",
    ),
    fault(
        "capabilities-a-list",
        "capabilities",
        &["OMP-CAP-01"],
        Must,
        "The capability document is a list.",
        "Clients fail over it.",
        "Serve a JSON object.",
    ),
    fault(
        "capabilities-signed",
        "capabilities",
        &["OMP-CAP-02"],
        Should,
        "The capability document wants a signature in strict mode.",
        "Clients do not learn that signatures are wanted.",
        "Leave it open.",
    ),
];
