//! What is found, and on which page it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::omp::server::store::Object;

/// So many objects are on a page unless told.
pub(in crate::omp::server) const USUAL_PAGE: usize = 50;
/// No page has more objects.
const LARGEST_PAGE: usize = 1000;

/// What a search asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::omp::server) struct Search {
    /// The namespace of what is found.
    pub(in crate::omp::server) namespace: Option<String>,
    /// A part of the key of what is found.
    pub(in crate::omp::server) key_contains: Option<String>,
}

/// Reads what a search asks for.
pub(in crate::omp::server) fn search(parameters: &BTreeMap<String, String>) -> Search {
    Search {
        namespace: parameters.get("namespace").cloned(),
        key_contains: parameters.get("key_contains").cloned(),
    }
}

/// Whether an object is what a search asks for: both must hold where both are asked.
pub(in crate::omp::server) fn is_found(object: &Object, search: &Search) -> bool {
    let (namespace, part) = (search.namespace.as_ref(), search.key_contains.as_ref());
    namespace.is_none_or(|wanted| *wanted == object.namespace)
        && part.is_none_or(|part| object.key.contains(part))
}

/// How many objects are wanted on a page. What is no positive number is not looked at.
pub(in crate::omp::server) fn limit(wanted: Option<&str>) -> usize {
    match wanted.and_then(|text| text.parse().ok()) {
        None | Some(0) => USUAL_PAGE,
        Some(limit) => limit.min(LARGEST_PAGE),
    }
}

/// Some objects out of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::omp::server) struct Page {
    /// Where they stand among all.
    pub(in crate::omp::server) shown: Range<usize>,
    /// Where the next page begins, if there is more.
    pub(in crate::omp::server) next: Option<usize>,
}

/// The page that begins there, of so many objects.
pub(in crate::omp::server) fn page(total: usize, from: usize, limit: usize) -> Page {
    let to = (from + limit).min(total);
    Page {
        shown: from.min(to)..to,
        next: (to < total).then_some(to),
    }
}

/// The name of the page that begins there.
pub(in crate::omp::server) fn cursor(at: usize) -> String {
    format!("p{at}")
}

/// Where the page of a name begins; none where there is no such page, and the first is shown.
pub(in crate::omp::server) fn page_of(cursor: &str, total: usize) -> Option<usize> {
    let at = cursor.strip_prefix('p')?.parse().ok()?;
    (at <= total).then_some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let (mut from, mut seen) = (0, Vec::new());
        loop {
            let page = page(5, from, 2);
            seen.extend(page.shown);
            let Some(next) = page.next else { break };
            from = page_of(&cursor(next), 5).unwrap();
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(
            page(0, 0, 2),
            Page {
                shown: 0..0,
                next: None
            }
        );
        for none in ["", "p", "p6", "x1", "p-1"] {
            assert_eq!(page_of(none, 5), None, "{none}");
        }
    }

    #[test]
    fn a_limit_that_is_no_positive_number_is_not_looked_at() {
        for (wanted, most) in [
            ("1", 1),
            ("2000", 1000),
            ("0", 50),
            ("-1", 50),
            ("x", 50),
            ("", 50),
        ] {
            assert_eq!(limit(Some(wanted)), most, "{wanted}");
        }
        assert_eq!(limit(None), 50);
    }

    #[test]
    fn what_is_found_is_of_the_namespace_and_has_the_part_in_its_key() {
        let object = Object {
            id: "1".to_owned(),
            namespace: "n".to_owned(),
            key: "a-key".to_owned(),
            created_at: String::new(),
            metadata: json!({}),
            content: json!({}),
        };
        for (namespace, part, found) in [
            (None, None, true),
            (Some("n"), Some("key"), true),
            (Some("n"), Some("Key"), false),
            (Some("N"), Some("key"), false),
            (Some(""), None, false),
            (None, Some(""), true),
        ] {
            let asked = Search {
                namespace: namespace.map(str::to_owned),
                key_contains: part.map(str::to_owned),
            };
            assert_eq!(is_found(&object, &asked), found, "{asked:?}");
        }
    }
}
