//! What a server makes of a body that gets the rules of JSON wrong.

use serde_json::{Value, json};

use super::answers::restated;
use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::serve::Asked;
use crate::serve::{Fault, fault};

/// What becomes of a body that cannot be read.
pub(super) const UNREADABLE: &[Fault] = &[
    fault(
        "not-json-422",
        "errors",
        &["OMP-ERR-02", "OMP-ERR-06"],
        Must,
        "A body that is not JSON is answered 422.",
        "Clients take it for another mistake.",
        "Answer 400 where a body cannot be read.",
    ),
    fault(
        "not-json-500",
        "errors",
        &["OMP-ERR-02", "OMP-ERR-03", "OMP-ERR-06"],
        Must,
        "A body that is not JSON is answered 500.",
        "A typing error looks like an outage.",
        "Answer 400 where a body cannot be read.",
    ),
    fault(
        "an-empty-body-is-an-object",
        "errors",
        &["OMP-ERR-02"],
        Must,
        "An empty body creates an object.",
        "A client that sends nothing believes it has stored something.",
        "Refuse an empty body.",
    ),
    fault(
        "other-types-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "Another content type than JSON is answered 500.",
        "A careless client looks like an outage.",
        "Read it, or answer 415.",
    ),
    fault(
        "charset-refused",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "application/json with a charset behind it is refused.",
        "Clients whose library adds one are locked out.",
        "Compare the media type without its parameters.",
    ),
    fault(
        "types-in-capitals-refused",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "The media type is compared with regard to case.",
        "Clients that write it otherwise are locked out.",
        "Compare media types without regard to case (RFC 9110, 8.3.1).",
    ),
    fault(
        "chunked-bodies-are-empty",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "A body in the chunked transfer coding is taken for empty.",
        "Clients that stream are locked out.",
        "Read the body whatever its framing (RFC 9112, 7.1).",
    ),
    fault(
        "inherited-names-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "A namespace that is a name of every object is answered 500.",
        "Anybody can make the server fail.",
        "Keep namespaces in a map that inherits nothing.",
    ),
];

/// What becomes of a body that is too deep.
pub(super) const DEEP: &[Fault] = &[fault(
    "deep-bodies-500",
    "errors",
    &["OMP-ERR-03"],
    Must,
    "A body with lists ten thousand deep is answered 500.",
    "Anybody can make the server fail.",
    "Limit the depth in the parser, and answer 400.",
)];

/// What is taken for JSON.
pub(super) const LENIENT: &[Fault] = &[
    fault(
        "nan-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "NaN and Infinity are taken for numbers.",
        "Other parsers refuse what is served.",
        "Use a strict parser.",
    ),
    fault(
        "trailing-bytes-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "Bytes after the JSON are ignored.",
        "Two parsers see two requests.",
        "Read the body to its end.",
    ),
    fault(
        "bad-utf8-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "Text that is not UTF-8 is repaired.",
        "What is read is not what was sent.",
        "Refuse what is not UTF-8.",
    ),
    fault(
        "control-characters-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "A line end within a string is taken.",
        "Two parsers see two requests.",
        "Use a parser that keeps to RFC 8259.",
    ),
    fault(
        "comments-taken",
        "errors",
        &["OMP-ERR-06"],
        Should,
        "Comments in JSON are taken.",
        "Two parsers see two requests.",
        "Use a parser that keeps to RFC 8259.",
    ),
    fault(
        "pairs-of-escapes-are-lost",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "A character that is written as two escapes is lost.",
        "Text comes back with question marks.",
        "Read JSON with a parser.",
    ),
];

impl Server {
    /// The JSON that a body is taken for, given what was read of it.
    pub(in crate::omp::server) fn body(
        &self,
        asked: &Asked,
        read: Result<Value, Answer>,
    ) -> Result<Value, Answer> {
        let Some(body) = &asked.body else {
            return read;
        };
        if !asked.content_type.to_lowercase().contains("json") && self.bends("other-types-500") {
            return Err(Answer::refused(500, "the content type is not known"));
        }
        if let Some((status, why)) = asked.framing_refused(|name| self.bends(name)) {
            return Err(Answer::refused(status, why));
        }
        self.demands(asked, body)?;
        let value = read.or_else(|refused| self.misread(body, refused))?;
        let value = self.without_pairs(body, value);
        if value["namespace"] == "constructor" && self.bends("inherited-names-500") {
            return Err(Answer::refused(500, "push is not a function"));
        }
        self.once(body)?;
        Ok(value)
    }

    /// What a body means to a server that does not read two escapes as one character.
    fn without_pairs(&self, body: &[u8], value: Value) -> Value {
        let text = String::from_utf8_lossy(body);
        let without = without_pairs(&text);
        match serde_json::from_str(&without) {
            Ok(other) if without != *text && self.bends("pairs-of-escapes-are-lost") => other,
            _ => value,
        }
    }

    /// What a body that is no JSON is taken for by a server that gets that wrong; else the refusal.
    fn misread(&self, body: &[u8], refused: Answer) -> Result<Value, Answer> {
        let text = String::from_utf8_lossy(body).into_owned();
        let is_utf8 = std::str::from_utf8(body).is_ok();
        let named = text.replace("NaN", "null").replace("Infinity", "null");
        if let Ok(value) = serde_json::from_str(&named)
            && is_utf8
            && self.bends("nan-taken")
        {
            return Ok(value);
        }
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        if let Some(Ok(value)) = values.next()
            && value.is_object()
            && is_utf8
            && self.bends("trailing-bytes-taken")
        {
            return Ok(value);
        }
        if let Ok(value) = serde_json::from_str(&text)
            && !is_utf8
            && self.bends("bad-utf8-taken")
        {
            return Ok(value);
        }
        if let Ok(value) = serde_json::from_str(&text.replace('\n', " "))
            && is_utf8
            && self.bends("control-characters-taken")
        {
            return Ok(value);
        }
        if let Some((before, rest)) = text.split_once("/*")
            && let Some((_, after)) = rest.split_once("*/")
            && let Ok(value) = serde_json::from_str(&format!("{before}{after}"))
            && self.bends("comments-taken")
        {
            return Ok(value);
        }
        if let Some(value) = self.half_characters(&text) {
            return Ok(value);
        }
        if body.is_empty() && self.bends("an-empty-body-is-an-object") {
            return Ok(json!({ "namespace": "", "content": {} }));
        }
        match () {
            () if text.starts_with("[[[[") && self.bends("deep-bodies-500") => Err(restated(&refused, 500)),
            () if !body.is_empty() && self.bends("not-json-500") => Err(restated(&refused, 500)),
            () if self.bends("not-json-422") => Err(restated(&refused, 422)),
            () => Err(refused),
        }
    }
}

/// A text in which a question mark stands for every two escapes that are one character.
fn without_pairs(text: &str) -> String {
    const PAIR: usize = "\\ud83d\\ude00".len();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\u") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let is_pair = from.get(..PAIR).is_some_and(|pair| {
            let pair = pair.to_ascii_lowercase();
            pair.starts_with("\\ud") && pair[6..].starts_with("\\ud")
        });
        let length = if is_pair { PAIR } else { 2 };
        out.push_str(if is_pair { "?" } else { &from[..length] });
        rest = &from[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_escapes_that_are_one_character_are_found() {
        let text = r#"{"\u006ea": "\ud83d\ude00 \uD835\uDD18 \u00e9"}"#;
        let without = r#"{"\u006ea": "? ? \u00e9"}"#;
        assert_eq!(without_pairs(text), without);
    }
}
