//! How a server takes an address for another than it is.

use serde_json::json;

use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::omp::server::rules::addresses::{Resource, decoded};
use crate::omp::server::settings::Mode;
use crate::serve::Asked;
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
pub(super) const IDS: &[Fault] = &[
    fault(
        "odd-id-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "An id with odd characters is answered 500.",
        "A broken link looks like an outage.",
        "Treat it as an id that there is not.",
    ),
    fault(
        "odd-bytes-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "Escapes that stand for no UTF-8 are answered 500.",
        "A broken link looks like an outage.",
        "Refuse them with 400, or treat them as an id that there is not.",
    ),
    fault(
        "head-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "HEAD is answered 500.",
        "Whoever checks a link sees an outage.",
        "Answer HEAD as GET, without a body.",
    ),
];

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

impl Server {
    /// What follows `/objects` in a path that spells it otherwise; none where that is another path.
    pub(in crate::omp::server) fn respelt(&self, path: &str) -> Option<String> {
        let read = decoded(path).replace("//", "/");
        let is_plain = read
            .get(..8)
            .is_some_and(|head| head.eq_ignore_ascii_case("/objects"));
        let rest = read.get(8..).filter(|rest| is_plain && rest.starts_with('/'))?;
        self.bends("guards-go-by-the-spelling").then(|| rest.to_owned())
    }

    /// The method that is executed.
    pub(in crate::omp::server) fn method(&self, asked: &Asked) -> String {
        match asked.header("x-http-method-override") {
            Some(other) if self.bends("methods-are-overridden") => other,
            _ => asked.method.clone(),
        }
    }

    /// What an address is taken for, given what it names.
    ///
    /// # Errors
    /// This server cannot read the address.
    pub(in crate::omp::server) fn resource(
        &self,
        asked: &Asked,
        rest: &str,
        resource: Resource,
    ) -> Result<Resource, Answer> {
        let address = format!("{rest}?{}", asked.query.as_deref().unwrap_or_default());
        if has_malformed_escape(&address) && self.bends("malformed-escapes-500") {
            return Err(Answer::refused(500, "cannot decode the address"));
        }
        if has_odd_bytes(&address) && self.bends("odd-bytes-500") {
            return Err(Answer::refused(500, "invalid byte sequence for encoding UTF8"));
        }
        if asked.method == "HEAD" && self.bends("head-500") {
            return Err(Answer::refused(500, "no handler"));
        }
        match resource {
            Resource::Search if self.is_an_id(asked) => Ok(Resource::Object("search".to_owned())),
            Resource::Object(id) => self.one(rest, id),
            other => Ok(other),
        }
    }

    /// Whether the search is taken for an id.
    fn is_an_id(&self, asked: &Asked) -> bool {
        matches!(asked.method.as_str(), "GET" | "HEAD")
            && (asked.query.is_none() && self.bends("search-without-parameters-is-an-id")
                || self.bends("search-is-an-id"))
    }

    /// The object that an address names, given its id.
    fn one(&self, rest: &str, mut id: String) -> Result<Resource, Answer> {
        if has_malformed_escape(rest) && self.bends("malformed-escapes-are-dropped") {
            id = decoded(without_malformed_escapes(rest).trim_start_matches('/'));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        match () {
            () if id.is_empty() => Ok(Resource::Nothing),
            () if !id.bytes().all(is_plain) && self.bends("odd-id-500") => {
                Err(Answer::refused(500, "cannot parse the id"))
            }
            () => Ok(Resource::Object(id)),
        }
    }

    /// The answer to who asks for the capabilities.
    pub(in crate::omp::server) fn capabilities(
        &self,
        asked: &Asked,
        answered: Result<Answer, Answer>,
    ) -> Result<Answer, Answer> {
        if self.settings.mode == Mode::Strict
            && asked.header("signature").is_none()
            && self.bends("capabilities-signed")
        {
            return Err(Answer::refused(401, "Missing required signature"));
        }
        match answered {
            Ok(_) if self.bends("capabilities-404") => Err(Answer::refused(404, "there is no such route")),
            Ok(_) if self.bends("capabilities-a-list") => Ok(Answer::json(200, json!(["objects"]))),
            other => other,
        }
    }
}

/// Whether a percent sign is not followed by two hexadecimal digits.
fn has_malformed_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|rest| !is_escape(rest))
}

/// Whether its escapes stand for bytes that are no UTF-8.
fn has_odd_bytes(text: &str) -> bool {
    decoded(text).contains(char::REPLACEMENT_CHARACTER)
}

/// Whether a text begins with two hexadecimal digits.
fn is_escape(rest: &str) -> bool {
    rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

/// A text without its malformed escapes.
fn without_malformed_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        if is_escape(rest) {
            out.push('%');
            out.push_str(rest);
        } else {
            out.extend(rest.chars().skip(2));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_escapes_are_told_from_escapes() {
        for text in ["%", "a%zz", "a%2", "%41%4"] {
            assert!(has_malformed_escape(text), "{text}");
        }
        assert!(!has_malformed_escape("a%20b%C3%A9"));
        assert!(!has_odd_bytes("a%20b%C3%A9") && has_odd_bytes("%C3%28") && has_odd_bytes("a%ff"));
        assert_eq!(without_malformed_escapes("a%zz%20b%"), "a%20b");
    }
}
