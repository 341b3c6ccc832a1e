//! How a server writes an error in another form than the plain one.

use crate::catalogue::Level::{Must, Should};
use crate::serve::{Fault, fault};

/// How an error is written.
pub(super) const ERRORS: &[Fault] = &[
    fault(
        "errors-as-text",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "Errors are plain text.",
        "Clients cannot tell what is wrong.",
        "Answer every error in the one shape.",
    ),
    fault(
        "errors-without-status",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "The status in an error is null.",
        "Clients that look there fail.",
        "Repeat the HTTP status.",
    ),
    fault(
        "errors-with-a-text-for-details",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "details is a string.",
        "Clients that look there fail.",
        "An object, or null.",
    ),
    fault(
        "errors-with-numbers-for-codes",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "code is a number.",
        "Clients that compare words fail.",
        "A stable word.",
    ),
    fault(
        "errors-in-a-flat-object",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "The members of an error stand in the body itself.",
        "Clients that look into error find nothing.",
        "Put them into a member error.",
    ),
    fault(
        "unknown-routes-as-html",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "Unknown routes are answered with a page.",
        "Clients fail over it.",
        "Let the framework answer in the one shape too.",
    ),
    fault(
        "methods-as-the-framework-does",
        "errors",
        &["OMP-ERR-01"],
        Must,
        "Unknown methods are answered as the framework does it.",
        "Clients fail over it.",
        "Let the framework answer in the one shape too.",
    ),
];

/// What an error says.
pub(super) const WORDS: &[Fault] = &[
    fault(
        "errors-with-codes-of-their-own",
        "errors",
        &["OMP-ERR-04"],
        Should,
        "Codes are none of the known words.",
        "Clients that know the words do not understand.",
        "Use the known words.",
    ),
    fault(
        "methods-without-allow",
        "errors",
        &["OMP-ERR-05"],
        Should,
        "405 comes without Allow.",
        "Nobody knows which methods there are.",
        "Name the methods (RFC 9110).",
    ),
    fault(
        "401-without-www-authenticate",
        "errors",
        &["OMP-ERR-05"],
        Should,
        "401 comes without WWW-Authenticate.",
        "Clients are not told what is wanted.",
        "Name the scheme (RFC 9110).",
    ),
];
