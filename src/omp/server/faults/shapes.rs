//! What a server takes for an object that is none, and how it refuses the rest.

use serde_json::{Value, json};

use super::answers::restated;
use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::omp::server::operations;
use crate::omp::server::rules::objects::{self as rules, Creation, Replacement};
use crate::serve::{Fault, fault};

/// What is taken for an object, and how the rest is refused.
pub(super) const MISSHAPEN: &[Fault] = &[
    fault(
        "missing-content-is-empty",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A create without content stores an empty one.",
        "Half a request looks like a success.",
        "Ask for every member.",
    ),
    fault(
        "missing-namespace-is-default",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A create without a namespace goes to one that the server chooses.",
        "Objects end up where nobody looks.",
        "Ask for every member.",
    ),
    fault(
        "content-of-any-type",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "Content of any type is taken.",
        "Readers that expect an object fail.",
        "Take objects alone.",
    ),
    fault(
        "replace-with-content-of-any-type",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A replace takes content of any type.",
        "Readers that expect an object fail.",
        "Take objects alone.",
    ),
    fault(
        "refused-is-stored",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A create that is refused is stored all the same.",
        "Objects appear that nobody was told of.",
        "Check first, store then.",
    ),
    fault(
        "shape-500",
        "objects",
        &["OMP-OBJ-10", "OMP-ERR-03"],
        Should,
        "A body of the wrong shape is answered 500.",
        "A typing error looks like an outage.",
        "Check members before they are used.",
    ),
    fault(
        "metadata-of-any-type",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "Metadata that is no object is taken.",
        "Readers find what they cannot read.",
        "Ask for an object.",
    ),
    fault(
        "refused-metadata-writes-content",
        "objects",
        &["OMP-OBJ-10"],
        Should,
        "A replace that is refused for its metadata has written its content.",
        "A client that was refused has changed something.",
        "Look at the whole body before anything is written.",
    ),
];

/// What becomes of null.
pub(super) const NULLS: &[Fault] = &[fault(
    "null-members-500",
    "errors",
    &["OMP-ERR-03"],
    Must,
    "null for an optional member is answered 500.",
    "A careless client looks like an outage.",
    "Take null for absent, or refuse it.",
)];

impl Server {
    /// The content of a replacement that is refused for its metadata.
    pub(super) fn content_of_a_refused(&self, body: &Value) -> Option<Value> {
        let is_odd = has_odd_metadata(body);
        let content = body.get("content").filter(|content| content.is_object())?;
        is_odd.then(|| content.clone())
    }

    /// The creation that a body is taken for, given what was read of it.
    pub(super) fn shaped(&self, body: &Value, read: Result<Creation, Answer>) -> Result<Creation, Answer> {
        let creation = read.or_else(|refused| self.misread_creation(body, &refused))?;
        let has_null = ["key", "metadata"]
            .into_iter()
            .any(|name| body.get(name).is_some_and(Value::is_null));
        self.refuses_names(has_null, &creation)?;
        match has_null && self.bends("null-members-500") {
            true => Err(Answer::refused(500, "unexpected null")),
            false => Ok(creation),
        }
    }

    /// The replacement that a body is taken for, given what was read of it.
    pub(in crate::omp::server) fn replacement(
        &self,
        body: &Value,
        read: Result<Replacement, Answer>,
    ) -> Result<Replacement, Answer> {
        let refused = match read {
            Ok(replacement) => return Ok(replacement),
            Err(refused) => refused,
        };
        match body.get("content") {
            Some(content) if has_odd_metadata(body) && self.bends("metadata-of-any-type") => {
                Ok(Replacement {
                    content: content.clone(),
                    metadata: None,
                })
            }
            Some(content) if !content.is_object() && self.bends("replace-with-content-of-any-type") => {
                Ok(Replacement {
                    content: content.clone(),
                    metadata: None,
                })
            }
            _ => Err(self.misshapen(&refused)),
        }
    }

    /// What a creation that breaks a rule is taken for by a server that gets the rule wrong; else the refusal.
    fn misread_creation(&self, body: &Value, refused: &Answer) -> Result<Creation, Answer> {
        let mended = |name: &str, value: Value| {
            let mut body = body.clone();
            if body.is_object() {
                body[name] = value;
            }
            rules::creation(&body).ok()
        };
        if body.get("content").is_none()
            && let Some(creation) = mended("content", json!({}))
            && self.bends("missing-content-is-empty")
        {
            return Ok(creation);
        }
        if body.get("namespace").is_none()
            && let Some(creation) = mended("namespace", "default".into())
            && self.bends("missing-namespace-is-default")
        {
            return Ok(creation);
        }
        if let Some(content) = body.get("content").filter(|content| !content.is_object())
            && let Some(creation) = mended("content", json!({}))
            && self.bends("content-of-any-type")
        {
            return Ok(Creation {
                content: content.clone(),
                ..creation
            });
        }
        if has_odd_metadata(body)
            && let Some(creation) = mended("metadata", json!({}))
            && self.bends("metadata-of-any-type")
        {
            return Ok(creation);
        }
        if let Some(creation) = mended("content", json!({}))
            && self.bends("refused-is-stored")
        {
            operations::objects::store(self, &creation)?;
        }
        Err(self.misshapen(refused))
    }

    /// The refusal of JSON of the wrong shape.
    fn misshapen(&self, refused: &Answer) -> Answer {
        match () {
            () if self.bends("shape-422") => restated(refused, 422),
            () if self.bends("shape-500") => restated(refused, 500),
            () => refused.clone(),
        }
    }
}

/// Whether there is metadata, and it is no object.
fn has_odd_metadata(body: &Value) -> bool {
    body.get("metadata")
        .is_some_and(|metadata| !metadata.is_null() && !metadata.is_object())
}
