//! What an address names, and what its query says.

use std::collections::BTreeMap;

/// What an address names below `/objects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::omp::server) enum Resource {
    /// All objects.
    Objects,
    /// The search.
    Search,
    /// The object of an id.
    Object(String),
    /// Nothing.
    Nothing,
}

/// The part of a path that follows `/objects`; none where it does not begin so.
pub(in crate::omp::server) fn below_objects(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/objects")?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// What a method finds there. No object is called `search`, but to who would change or delete one it is an id like others.
pub(in crate::omp::server) fn resource(method: &str, rest: &str) -> Resource {
    let Some(segment) = rest.strip_prefix('/') else {
        return Resource::Objects;
    };
    match decoded(segment) {
        _ if segment == "search" && !matches!(method, "PUT" | "DELETE") => Resource::Search,
        id if id.is_empty() || segment.contains('/') => Resource::Nothing,
        id => Resource::Object(id),
    }
}

/// The parameters of a query, decoded.
pub(in crate::omp::server) fn parameters(query: Option<&str>) -> BTreeMap<String, String> {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
        .collect()
}

/// A text with its escapes read.
pub(in crate::omp::server) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_all_objects_one_or_the_search() {
        let object = |id: &str| Resource::Object(id.to_owned());
        for (method, path, named) in [
            ("GET", "/objects", Some(Resource::Objects)),
            ("GET", "/objects/search", Some(Resource::Search)),
            ("POST", "/objects/search", Some(Resource::Search)),
            ("DELETE", "/objects/search", Some(object("search"))),
            ("GET", "/objects/a%20b", Some(object("a b"))),
            ("GET", "/objects/a%2Fb", Some(object("a/b"))),
            ("GET", "/objects/", Some(Resource::Nothing)),
            ("GET", "/objects/a/b", Some(Resource::Nothing)),
            ("GET", "/objectsa", None),
            ("GET", "/", None),
        ] {
            let found = below_objects(path).map(|rest| resource(method, rest));
            assert_eq!(found, named, "{method} {path}");
        }
    }

    #[test]
    fn escapes_are_read() {
        let read = parameters(Some("a=b%20c+d&e=%C3%A9&f=%zz&g"));
        assert_eq!((read["a"].as_str(), read["e"].as_str()), ("b c d", "é"));
        assert_eq!((read["f"].as_str(), read["g"].as_str()), ("%zz", ""));
    }
}
