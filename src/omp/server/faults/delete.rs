//! What a server keeps of an object that is deleted, or loses with it.

use std::time::Duration;

use crate::catalogue::Level::Must;
use crate::omp::server::Server;
use crate::omp::server::rules::addresses::parameters;
use crate::omp::server::store::{Object, Store};
use crate::serve::{Asked, Fault, fault};

/// How long a server sits on an object that it has looked up, while others take it away.
const BETWEEN: Duration = Duration::from_millis(3);

/// What is left of an object that is deleted.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "delete-keeps",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A deleted object can still be read.",
        "What was to be forgotten is not.",
        "Remove the object before the answer.",
    ),
    fault(
        "delete-stays-in-lists",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A deleted object is still listed and found.",
        "Lists show what cannot be read.",
        "Remove the object from every index.",
    ),
    fault(
        "delete-takes-the-namespace",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A delete takes the other objects of the namespace with it.",
        "One delete loses everything.",
        "Delete by id alone.",
    ),
    fault(
        "delete-takes-the-key",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A delete takes the objects with the same key with it, whatever their namespace.",
        "Objects of other namespaces are lost.",
        "Delete by id alone.",
    ),
    fault(
        "deleted-under-another-id",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A deleted object gets another id, under which it is listed and found.",
        "What was to be forgotten is not.",
        "Leave what is marked as deleted out of every answer.",
    ),
    fault(
        "delete-takes-namespaces-below",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A delete of the last object of a namespace takes those of namespaces that begin with its name.",
        "Objects of other namespaces are lost.",
        "Delete by id alone.",
    ),
    fault(
        "delete-hides-namesakes",
        "objects",
        &["OMP-LST-01"],
        Must,
        "A delete takes the objects with the same key out of the list.",
        "Some objects are found by their ids alone.",
        "Take the deleted object out of the list, and no other.",
    ),
    fault(
        "deleted-is-found-by-its-key",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "A deleted object is still found by its key alone.",
        "Lists show what cannot be read.",
        "Remove the object from every index.",
    ),
    fault(
        "deletes-at-once-take-another",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "Of two deletes at the same moment, the second takes the newest object away.",
        "One object too many is lost.",
        "Look the object up and remove it in one transaction.",
    ),
    fault(
        "pages-stay-after-a-delete",
        "objects",
        &["OMP-OBJ-08"],
        Must,
        "Pages are kept until something is created or replaced.",
        "Lists show what cannot be read.",
        "Drop the pages that are kept with every change.",
    ),
];

impl Server {
    /// Removes an object by `remove`, and says what it was.
    pub(in crate::omp::server) fn deletes(
        &self,
        id: &str,
        remove: impl FnOnce(&mut Store) -> Option<Object>,
    ) -> Option<Object> {
        let mut store = self.store();
        if self.has("deletes-at-once-take-another") && store.get(id).is_some() {
            drop(store);
            std::thread::sleep(BETWEEN);
            store = self.store();
            if store.get(id).is_none() && self.bends("deletes-at-once-take-another") {
                return store.objects.pop();
            }
        }
        let gone = remove(&mut store)?;
        self.memory().read.remove(id);
        if !self.has("pages-stay-after-a-delete") {
            self.memory().pages.clear();
        }
        let is_below = |object: &Object| object.namespace.starts_with(&gone.namespace);
        let is_last = self.has("delete-takes-namespaces-below")
            && !store
                .objects
                .iter()
                .any(|object| object.namespace == gone.namespace);
        if is_last && store.objects.iter().any(is_below) && self.bends("delete-takes-namespaces-below") {
            store.objects.retain(|object| !is_below(object));
        }
        if self.bends("delete-takes-the-namespace") {
            store.objects.retain(|object| object.namespace != gone.namespace);
        }
        let is_namesake = |object: &Object| object.key == gone.key;
        if store.objects.iter().any(is_namesake) && self.bends("delete-takes-the-key") {
            store.objects.retain(|object| !is_namesake(object));
        }
        if self.bends("deleted-under-another-id") {
            store.add(Object {
                id: format!("deleted-{}", gone.id),
                ..gone.clone()
            });
        }
        let has_ghosts = [
            "delete-keeps",
            "delete-stays-in-lists",
            "delete-hides-namesakes",
            "deleted-is-found-by-its-key",
        ];
        if has_ghosts.into_iter().any(|name| self.has(name)) {
            self.memory().ghosts.push(gone.clone());
        }
        Some(gone)
    }

    /// The object that is served under an id, given the one that is stored.
    pub(in crate::omp::server) fn found(&self, id: &str, stored: Option<Object>) -> Option<Object> {
        let ghost = || {
            self.memory()
                .ghosts
                .iter()
                .find(|object| object.id == id)
                .cloned()
        };
        let stored = self.read_before(id, stored);
        stored.or_else(|| ghost().filter(|_| self.bends("delete-keeps")))
    }

    /// The object as a read found it before, to a server that keeps that.
    fn read_before(&self, id: &str, stored: Option<Object>) -> Option<Object> {
        if !self.has("reads-keep-what-was-replaced") {
            return stored;
        }
        let kept = self.memory().read.get(id).cloned();
        match (kept, stored) {
            (Some(kept), Some(stored)) if kept != stored && self.bends("reads-keep-what-was-replaced") => {
                Some(kept)
            }
            (None, Some(stored)) => {
                std::thread::sleep(BETWEEN);
                self.memory().read.insert(id.to_owned(), stored.clone());
                Some(stored)
            }
            (_, stored) => stored,
        }
    }

    /// Objects, and those that a list still shows though they are deleted.
    pub(super) fn with_ghosts(&self, asked: &Asked, mut objects: Vec<Object>) -> Vec<Object> {
        let ghosts = self.memory().ghosts.clone();
        let wanted = parameters(asked.query.as_deref());
        let is_by_key = wanted.contains_key("key_contains") && !wanted.contains_key("namespace");
        if !ghosts.is_empty() && is_by_key && self.bends("deleted-is-found-by-its-key") {
            objects.extend(ghosts.iter().cloned());
        }
        let is_namesake = |object: &Object| ghosts.iter().any(|ghost| ghost.key == object.key);
        let is_search = is_by_key || wanted.contains_key("namespace");
        if !is_search && objects.iter().any(is_namesake) && self.bends("delete-hides-namesakes") {
            objects.retain(|object| !is_namesake(object));
        }
        if !ghosts.is_empty() && self.bends("delete-stays-in-lists") {
            objects.extend(ghosts);
        }
        objects
    }
}
