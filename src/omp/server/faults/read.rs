//! What a server answers for an id that there is not.

use serde_json::json;

use super::answers::restated;
use crate::catalogue::Level::Must;
use crate::omp::server::Server;
use crate::omp::server::answer::{Answer, Body};
use crate::omp::server::store::Object;
use crate::serve::{Fault, fault};

/// What is answered where there is no object.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "unknown-ids-200",
        "objects",
        &["OMP-OBJ-09"],
        Must,
        "An unknown id is read with 200.",
        "Clients take nothing for an object.",
        "Answer 404 for an id that there is not.",
    ),
    fault(
        "unknown-ids-400",
        "objects",
        &["OMP-OBJ-09"],
        Must,
        "An unknown id is read with 400.",
        "Clients take a missing object for a mistake of theirs.",
        "Answer 404 for an id that there is not.",
    ),
];

impl Server {
    /// The answer to who reads an object.
    ///
    /// # Errors
    /// This server cannot give it.
    pub(in crate::omp::server) fn served(
        &self,
        object: &Object,
        mut answer: Answer,
    ) -> Result<Answer, Answer> {
        self.encodes(object)?;
        if let Body::Json(whole) = &mut answer.body {
            whole["content"] = self.kept(&whole["content"]);
            whole["metadata"] = self.kept(&whole["metadata"]);
            self.adds_members(whole);
        }
        Ok(answer)
    }

    /// The answer to who reads an object that there is not.
    pub(in crate::omp::server) fn unknown(&self, refused: Answer) -> Answer {
        match () {
            () if self.bends("unknown-ids-200") => Answer::json(200, json!({})),
            () if self.bends("unknown-ids-400") => restated(&refused, 400),
            () => refused,
        }
    }
}
