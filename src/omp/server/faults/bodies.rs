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
        if !asked.content_type.contains("json") && self.bends("other-types-500") {
            return Err(Answer::refused(500, "the content type is not known"));
        }
        self.demands(asked, body)?;
        let value = read.or_else(|refused| self.misread(body, refused))?;
        self.once(body)?;
        Ok(value)
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
