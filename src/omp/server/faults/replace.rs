//! How a server replaces an object that gets a rule wrong.

use std::sync::MutexGuard;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::rules::objects::{self as rules, Replacement};
use crate::omp::server::store::{Object, Store};
use crate::serve::Handler as _;
use crate::serve::{Fault, fault};

/// How long a server rests between two members that it writes.
const BETWEEN: Duration = Duration::from_millis(3);

/// What becomes of an object that is replaced.
pub(super) const REPLACED: &[Fault] = &[
    fault(
        "replace-forgets",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace is answered and changes nothing.",
        "Readers see the old content.",
        "Answer after the content is stored.",
    ),
    fault(
        "replace-merges",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace is merged into the old content.",
        "Members that were taken away come back.",
        "Swap the content as a whole.",
    ),
    fault(
        "replace-ignores-metadata",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "The metadata of a replace is ignored.",
        "Labels cannot be changed.",
        "Swap the metadata if it is sent.",
    ),
    fault(
        "replace-merges-metadata",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "The metadata of a replace is merged into the old.",
        "Labels cannot be taken away.",
        "Swap the metadata as a whole.",
    ),
    fault(
        "replace-in-two-halves",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "Two replaces at the same moment leave a mixture of both.",
        "Objects hold what nobody wrote.",
        "Write the content in one transaction.",
    ),
    fault(
        "replace-clears-metadata",
        "objects",
        &["OMP-OBJ-05"],
        Should,
        "A replace without metadata clears it.",
        "Labels are lost with the first change.",
        "Keep the metadata where none is sent.",
    ),
    fault(
        "replaced-is-not-found",
        "objects",
        &["OMP-OBJ-06"],
        Must,
        "An object that was replaced is not found by search any more.",
        "Changed objects cannot be found.",
        "Update the index with the object.",
    ),
    fault(
        "replace-is-a-new-creation",
        "objects",
        &["OMP-OBJ-07"],
        Should,
        "A replace changes created_at.",
        "Nobody knows how old an object is.",
        "Leave created_at alone.",
    ),
    fault(
        "replace-loses-the-key",
        "objects",
        &["OMP-OBJ-07", "OMP-OBJ-06"],
        Should,
        "A replace sets the key back to the id.",
        "Changed objects are not found by their keys.",
        "Leave namespace and key alone.",
    ),
    fault(
        "replace-takes-names-from-the-body",
        "objects",
        &["OMP-OBJ-07"],
        Should,
        "A replace takes namespace, key and created_at from its body.",
        "Objects move where nobody looks for them.",
        "Leave them alone, and ignore what else a body says.",
    ),
    fault(
        "replace-takes-the-namespace",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace changes all objects of the namespace.",
        "One replace overwrites everything.",
        "Write by id alone.",
    ),
    fault(
        "replace-takes-the-key",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace changes all objects with the same key, whatever their namespace.",
        "Objects of other namespaces are overwritten.",
        "Write by id alone.",
    ),
    fault(
        "replace-goes-by-the-id-in-the-body",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace changes the object whose id stands in its body.",
        "A client overwrites another object than it addressed.",
        "Take the id of the path.",
    ),
    fault(
        "replace-answers-the-old",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A replace is answered with the object as it was before.",
        "A client takes its change for lost.",
        "Answer what is stored then.",
    ),
    fault(
        "replace-drops-nulls",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Members that are null are left out of what replaces.",
        "A client that wrote null reads nothing.",
        "Store content as it was sent.",
    ),
    fault(
        "replace-drops-reserved-names",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "A replace does not store metadata whose names begin with omp.",
        "The class of a memory is lost with the first change.",
        "Store metadata as it was sent.",
    ),
    fault(
        "replace-rounds-integers",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "A replace keeps fifteen digits of an integer.",
        "Large numbers come back as others.",
        "Keep integers up to 2^53 - 1.",
    ),
    fault(
        "replaced-twice-is-not-found",
        "objects",
        &["OMP-OBJ-06"],
        Must,
        "An object that was replaced twice is not found by search any more.",
        "Objects that change often cannot be found.",
        "Update the index with the object.",
    ),
    fault(
        "reads-keep-what-was-replaced",
        "objects",
        &["OMP-OBJ-04"],
        Must,
        "A read that was under way during a replace puts the old object into a cache.",
        "Readers see the old content from then on.",
        "Fill a cache only with what is still the newest.",
    ),
    fault(
        "replace-brings-back",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A replace that was under way during a delete writes the object back.",
        "What was to be forgotten is not.",
        "Read and write in one transaction.",
    ),
];

/// What is replaced where there is no object.
pub(super) const UNKNOWN: &[Fault] = &[fault(
    "replace-creates",
    "objects",
    &["OMP-OBJ-09"],
    Must,
    "A replace of an unknown id creates an object.",
    "Deleted objects come back.",
    "Answer 404, and create nothing.",
)];

impl Server {
    /// The id of the object that a replace is for, given the one of the path.
    pub(in crate::omp::server) fn addressed(&self, id: &str, body: &Value) -> String {
        let said = |member: &str| Some(body.get(member)?.as_str()?.to_owned());
        if let Some(content) = self.content_of_a_refused(body)
            && let Some(object) = self.store().get_mut(id)
            && self.bends("refused-metadata-writes-content")
        {
            object.content = content;
        }
        if let Some(other) = said("id")
            && self.bends("replace-goes-by-the-id-in-the-body")
        {
            return other;
        }
        let is_named = said("namespace").is_some() && self.bends("replace-takes-names-from-the-body");
        if is_named && let Some(object) = self.store().get_mut(id) {
            let Object {
                namespace,
                key,
                created_at,
                ..
            } = object;
            let own = [("namespace", namespace), ("key", key), ("created_at", created_at)];
            for (member, value) in own {
                *value = said(member).unwrap_or_else(|| value.clone());
            }
        }
        id.to_owned()
    }

    /// Replaces an object by `replace`, and says what it is then; none where there is no such object.
    pub(in crate::omp::server) fn replaces(
        &self,
        id: &str,
        replacement: Replacement,
        replace: impl FnOnce(&mut Store, Replacement) -> Option<Object>,
    ) -> Option<Object> {
        let mut store = self.store();
        if store.get(id).is_none() && self.bends("replace-creates") {
            store.add(empty(id));
        }
        if store.get(id).is_some() && self.bends("replace-in-two-halves") {
            store = self.in_two_halves(store, id, &replacement.content);
        }
        let old = store.get(id)?.clone();
        if self.has("replace-brings-back") {
            drop(store);
            std::thread::sleep(BETWEEN);
            store = self.store();
            if store.get(id).is_none() && self.bends("replace-brings-back") {
                store.add(old.clone());
            }
        }
        self.memory().read.remove(id);
        self.memory().pages.clear();
        replace(&mut store, self.replacing(&old, replacement))?;
        if self.bends("replaced-is-not-found") || self.is_replaced_twice(id) {
            self.memory().unfound.insert(id.to_owned());
        }
        let new = store.get(id)?.clone();
        for other in &mut store.objects {
            let is_other = other.id != new.id;
            let is_taken = is_other
                && (other.namespace == new.namespace && self.bends("replace-takes-the-namespace")
                    || other.key == new.key && self.bends("replace-takes-the-key"));
            if is_taken {
                other.content = new.content.clone();
                other.metadata = new.metadata.clone();
            }
        }
        if old.metadata != new.metadata && self.bends("replace-answers-the-old") {
            return Some(old);
        }
        let object = store.get_mut(id)?;
        if self.bends("replace-is-a-new-creation") {
            object.created_at = rules::time(Timestamp::now());
        }
        if self.bends("replace-loses-the-key") {
            object.key.clone_from(&object.id);
        }
        Some(object.clone())
    }

    /// Whether it is the second time that an object is replaced, to a server that loses it then.
    fn is_replaced_twice(&self, id: &str) -> bool {
        if !self.has("replaced-twice-is-not-found") {
            return false;
        }
        let times = {
            let mut memory = self.memory();
            let times = memory.replaced.entry(id.to_owned()).or_default();
            *times += 1;
            *times
        };
        times == 2 && self.bends("replaced-twice-is-not-found")
    }

    /// What takes the place of an object's content and metadata, given what was sent.
    fn replacing(&self, old: &Object, replacement: Replacement) -> Replacement {
        let Replacement { content, metadata } = replacement;
        let content = self.replacing_content(content);
        let metadata = metadata.map(|metadata| self.replacing_metadata(metadata));
        Replacement {
            content: match content {
                content if content.is_object() && self.bends("replace-merges") => {
                    merged(&old.content, &content)
                }
                _ if self.bends("replace-forgets") => old.content.clone(),
                // Its members are written already.
                _ if self.has("replace-in-two-halves") => old.content.clone(),
                content => content,
            },
            metadata: match metadata {
                Some(_) if self.bends("replace-ignores-metadata") => None,
                Some(metadata) if self.bends("replace-merges-metadata") => {
                    Some(merged(&old.metadata, &metadata))
                }
                None if self.bends("replace-clears-metadata") => Some(json!({})),
                metadata => metadata,
            },
        }
    }

    /// Writes members one after the other, in another direction than the replace before, and lets others come between.
    fn in_two_halves<'a>(
        &'a self,
        mut store: MutexGuard<'a, Store>,
        id: &str,
        content: &Value,
    ) -> MutexGuard<'a, Store> {
        let mut members: Vec<(&String, &Value)> = content.as_object().into_iter().flatten().collect();
        if self.fired("replace-in-two-halves").is_multiple_of(2) {
            members.reverse();
        }
        for (name, value) in members {
            if let Some(object) = store.get_mut(id) {
                object.content[name] = value.clone();
            }
            drop(store);
            std::thread::sleep(BETWEEN);
            store = self.store();
        }
        store
    }
}

/// The object that a replace makes where there is none.
fn empty(id: &str) -> Object {
    Object {
        id: id.to_owned(),
        namespace: "default".to_owned(),
        key: id.to_owned(),
        created_at: rules::time(Timestamp::now()),
        metadata: json!({}),
        content: json!({}),
    }
}

/// An object with members of another in it.
fn merged(old: &Value, new: &Value) -> Value {
    let mut merged = old.clone();
    for (name, value) in new.as_object().into_iter().flatten() {
        merged[name] = value.clone();
    }
    merged
}
