//! What a server answers in another form than the plain one.

use serde_json::{Value, json};

use crate::omp::server::Server;
use crate::omp::server::answer::{Answer, Body};
use crate::omp::server::store::Object;
use crate::serve::Reply;

impl Server {
    /// The reply that says an answer, as this server writes JSON.
    pub(in crate::omp::server) fn spelt(&self, answer: Answer) -> Reply {
        let json = answer.body.json();
        let mut reply = answer.reply();
        let Some(json) = json else {
            return reply;
        };
        if self.bends("spaced-json") {
            reply.body = format!("{json:#}\n").into_bytes();
        }
        if self.bends("charset") {
            let is_type = |(name, _): &&mut (&str, String)| *name == "content-type";
            if let Some((_, content_type)) = reply.headers.iter_mut().find(is_type) {
                content_type.push_str("; charset=utf-8");
            }
        }
        reply
    }

    /// An error without what it does not say.
    pub(in crate::omp::server) fn without_details(&self, mut error: Value) -> Value {
        if self.bends("details-left-out")
            && let Some(members) = error.as_object_mut()
        {
            members.shift_remove("details");
        }
        error
    }

    /// Adds members to an object that nobody asked for.
    pub(in crate::omp::server) fn adds_members(&self, object: &mut Value) {
        if self.bends("more-members") {
            object["version"] = 1.into();
            object["links"] = json!([]);
        }
    }

    /// The answer to a create.
    pub(in crate::omp::server) fn other_created(&self, object: &Object, mut answer: Answer) -> Answer {
        if let Body::Json(shown) = &mut answer.body {
            if self.bends("content-with-every-object") {
                shown["content"] = object.content.clone();
            }
            self.adds_members(shown);
        }
        answer
    }

    /// The answer to a replace.
    pub(in crate::omp::server) fn replaced(&self, object: &Object, answer: Answer) -> Answer {
        match () {
            () if self.bends("replace-204") => Answer::done(),
            () if self.bends("replace-answers-content") => Answer::json(200, object.whole()),
            () => answer,
        }
    }

    /// The answer to a delete.
    pub(in crate::omp::server) fn deleted(&self, answer: Answer) -> Answer {
        match () {
            () if self.bends("delete-200") => Answer::json(200, json!({ "deleted": true })),
            () if self.bends("delete-202") => Answer::json(202, json!({})),
            () => answer,
        }
    }

    /// The answer to a delete of what there is not.
    pub(in crate::omp::server) fn not_deleted(&self, refused: Answer) -> Answer {
        match self.bends("delete-again-204") {
            true => Answer::done(),
            false => refused,
        }
    }
}
