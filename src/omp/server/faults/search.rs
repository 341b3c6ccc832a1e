//! How a server finds what was not asked for, or does not find what was.

use crate::catalogue::Level::Must;
use crate::serve::{Fault, fault};

/// What is found.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "search-takes-beginnings-of-namespaces",
        "lists",
        &["OMP-LST-05"],
        Must,
        "search takes a namespace that begins with the one that is asked for.",
        "Objects of other namespaces are found.",
        "Compare namespaces as a whole.",
    ),
    fault(
        "search-folds-the-case-of-namespaces",
        "lists",
        &["OMP-LST-05"],
        Must,
        "search compares namespaces without regard to case.",
        "Objects of other namespaces are found.",
        "Compare namespaces as a whole.",
    ),
    fault(
        "search-looks-at-the-beginning-of-keys",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is looked for at the beginning of keys alone.",
        "Objects are not found.",
        "Look for it anywhere in the key.",
    ),
    fault(
        "search-wants-the-whole-key",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is compared with the whole key.",
        "Objects are not found.",
        "Look for it anywhere in the key.",
    ),
    fault(
        "search-takes-either",
        "lists",
        &["OMP-LST-05"],
        Must,
        "With both parameters, one of them suffices.",
        "Objects are found that nobody asked for.",
        "Let both hold.",
    ),
    fault(
        "search-reads-a-plus-as-a-space",
        "lists",
        &["OMP-LST-05"],
        Must,
        "A plus sign in key_contains is searched for as a space, though it was escaped.",
        "Keys with a plus sign are not found.",
        "Decode the query once.",
    ),
    fault(
        "search-with-wildcards",
        "lists",
        &["OMP-LST-05"],
        Must,
        "% and _ in key_contains stand for anything.",
        "Objects are found that nobody asked for.",
        "Escape what the database takes for a wildcard.",
    ),
    fault(
        "search-ignores-keys",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is ignored.",
        "Everything is found.",
        "Look for it in the key.",
    ),
    fault(
        "search-ignores-namespaces",
        "lists",
        &["OMP-LST-05"],
        Must,
        "namespace is ignored.",
        "Objects of other namespaces are found.",
        "Compare namespaces as a whole.",
    ),
];
