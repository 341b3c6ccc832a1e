//! How a server finds what was not asked for, or does not find what was.

use crate::catalogue::Level::Must;
use crate::omp::server::Server;
use crate::omp::server::rules::addresses::{decoded, parameters};
use crate::omp::server::rules::pages::Search;
use crate::omp::server::store::Object;
use crate::serve::{Asked, Fault, fault};

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
        "search-with-underscores",
        "lists",
        &["OMP-LST-05"],
        Must,
        "_ in key_contains stands for any character.",
        "Objects are found that nobody asked for.",
        "Escape both of the characters that the database takes for wildcards.",
    ),
    fault(
        "search-forgets-keys-on-later-pages",
        "lists",
        &["OMP-LST-05", "OMP-LST-03"],
        Must,
        "key_contains is looked at on the first page of a search, and not on the next.",
        "Objects are found that nobody asked for, where there are many.",
        "Let every page ask for the same: keep what was asked for in the cursor, or read it from each request.",
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
    fault(
        "search-looks-at-content",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is looked for in content as well.",
        "Objects are found that nobody asked for.",
        "Compare with the key alone.",
    ),
    fault(
        "search-looks-at-metadata",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is looked for in metadata as well.",
        "Objects are found that nobody asked for.",
        "Compare with the key alone.",
    ),
    fault(
        "search-looks-at-ids",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is looked for in ids as well.",
        "Objects are found that nobody asked for.",
        "Compare with the key alone.",
    ),
    fault(
        "search-looks-for-words",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is cut into words, which may stand in any order.",
        "Objects are found that nobody asked for.",
        "Look for the text as it is.",
    ),
    fault(
        "search-trims-its-text",
        "lists",
        &["OMP-LST-05"],
        Must,
        "Dashes and spaces at the ends of key_contains are dropped.",
        "Objects are found that nobody asked for.",
        "Look for the text as it is.",
    ),
    fault(
        "search-breaks-at-quotes",
        "lists",
        &["OMP-LST-05", "OMP-ERR-03"],
        Must,
        "Quotes in the parameters of a search end in 500.",
        "A name with an apostrophe looks like an outage, and a statement can be written by whoever searches.",
        "Bind parameters; do not paste them.",
    ),
    fault(
        "search-trims-namespaces",
        "lists",
        &["OMP-LST-05"],
        Must,
        "search compares namespaces without the spaces around them.",
        "Objects of other namespaces are found.",
        "Compare namespaces as a whole.",
    ),
    fault(
        "search-takes-namespaces-below",
        "lists",
        &["OMP-LST-05"],
        Must,
        "search takes namespaces below the one that is asked for, behind a slash.",
        "Objects of other namespaces are found.",
        "Compare namespaces as a whole.",
    ),
    fault(
        "search-folds-accents",
        "lists",
        &["OMP-LST-05"],
        Must,
        "search takes letters with accents for those without.",
        "Objects are found that nobody asked for.",
        "Compare text to the last character: a database has collations for that.",
    ),
    fault(
        "search-cuts-its-text",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is cut after 64 characters.",
        "Objects are found that nobody asked for.",
        "Look for the whole text, or refuse it.",
    ),
    fault(
        "search-reads-escapes-twice",
        "lists",
        &["OMP-LST-05"],
        Must,
        "key_contains is decoded twice.",
        "Keys with a percent sign are not found.",
        "Decode the query once.",
    ),
    fault(
        "pages-are-kept-under-joined-names",
        "lists",
        &["OMP-LST-05"],
        Must,
        "Pages are kept under namespace and key_contains, one behind the other.",
        "Objects of other namespaces are found.",
        "Keep pages under both, apart.",
    ),
    fault(
        "pages-are-kept-whatever-the-limit",
        "lists",
        &["OMP-LST-02"],
        Must,
        "Pages are kept for the next who asks, whatever his limit.",
        "Small clients get large answers.",
        "Keep pages under their limits as well.",
    ),
];

impl Server {
    /// What a search is taken for.
    pub(in crate::omp::server) fn search(&self, asked: &Asked, mut search: Search) -> Search {
        let is_later = parameters(asked.query.as_deref()).contains_key("cursor");
        if is_later && search.key_contains.is_some() && self.bends("search-forgets-keys-on-later-pages") {
            search.key_contains = None;
        }
        let read = search.key_contains.as_deref().map(decoded);
        if read != search.key_contains && self.bends("search-reads-escapes-twice") {
            search.key_contains = read;
        }
        if let Some(part) = search.key_contains.as_mut()
            && let Some((end, _)) = part.char_indices().nth(64)
            && self.bends("search-cuts-its-text")
        {
            part.truncate(end);
        }
        if let Some(part) = search.key_contains.as_mut().filter(|part| part.contains('+'))
            && self.bends("search-reads-a-plus-as-a-space")
        {
            *part = part.replace('+', " ");
        }
        search
    }

    /// Whether an object is found, given whether it is what is searched for.
    pub(in crate::omp::server) fn is_found(&self, object: &Object, search: &Search, is_wanted: bool) -> bool {
        if self.memory().unfound.contains(&object.id) {
            return false;
        }
        let (namespace, part) = (search.namespace.as_deref(), search.key_contains.as_deref());
        let spaces =
            |of: fn(&str, &str) -> bool| namespace.is_none_or(|wanted| of(&object.namespace, wanted));
        let keys = |of: fn(&str, &str) -> bool| part.is_none_or(|part| of(&object.key, part));
        let (space, key) = (
            spaces(|own, wanted| own == wanted),
            keys(|own, part| own.contains(part)),
        );
        let parts = |of: fn(&Object, &str) -> bool| part.is_none_or(|part| of(object, part));
        let either = match namespace.is_some() && part.is_some() {
            true => space || key,
            false => is_wanted,
        };
        let is_bent = [
            (
                "search-takes-beginnings-of-namespaces",
                spaces(|own, wanted| own.starts_with(wanted)) && key,
            ),
            (
                "search-folds-the-case-of-namespaces",
                spaces(str::eq_ignore_ascii_case) && key,
            ),
            (
                "search-trims-namespaces",
                spaces(|own, wanted| own.trim() == wanted.trim()) && key,
            ),
            (
                "search-takes-namespaces-below",
                spaces(|own, wanted| own == wanted || own.starts_with(&format!("{wanted}/"))) && key,
            ),
            (
                "search-folds-accents",
                space && keys(|own, part| without_accents(own).contains(&without_accents(part))),
            ),
            (
                "search-looks-at-the-beginning-of-keys",
                space && keys(|own, part| own.starts_with(part)),
            ),
            (
                "search-wants-the-whole-key",
                space && keys(|own, part| own == part),
            ),
            ("search-takes-either", either),
            ("search-with-wildcards", space && keys(has_in_any_place)),
            (
                "search-with-underscores",
                space && keys(|own, part| part.split('_').all(|piece| own.contains(piece))),
            ),
            (
                "search-looks-at-content",
                space && (key || parts(|object, part| object.content.to_string().contains(part))),
            ),
            (
                "search-looks-at-metadata",
                space && (key || parts(|object, part| object.metadata.to_string().contains(part))),
            ),
            (
                "search-looks-at-ids",
                space && (key || parts(|object, part| object.id.contains(part))),
            ),
            (
                "search-looks-for-words",
                space && keys(|own, part| part.split_whitespace().all(|word| own.contains(word))),
            ),
            (
                "search-trims-its-text",
                space && keys(|own, part| own.contains(part.trim_matches(['-', ' ']))),
            ),
            ("search-ignores-keys", space),
            ("search-ignores-namespaces", key),
            ("keys-are-found-in-any-case", space && keys(has_in_any_case)),
        ]
        .into_iter()
        .any(|(name, other)| other != is_wanted && self.bends(name));
        is_wanted != is_bent
    }
}

/// Whether a search has quotes in its parameters.
pub(super) fn has_quotes(asked: &Asked) -> bool {
    let wanted = parameters(asked.query.as_deref());
    wanted.values().any(|value| value.contains('\''))
}

/// A text with plain letters in place of some that have accents.
fn without_accents(text: &str) -> String {
    text.replace(['é', 'è', 'ê'], "e").replace('ü', "u")
}

/// Whether a key is like a pattern in which `%` and `_` stand for anything.
fn has_in_any_place(key: &str, pattern: &str) -> bool {
    pattern.split(['%', '_']).all(|piece| key.contains(piece))
}

fn has_in_any_case(key: &str, part: &str) -> bool {
    key.to_lowercase().contains(&part.to_lowercase())
}
