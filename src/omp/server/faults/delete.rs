//! What a server keeps of an object that is deleted, or loses with it.

use crate::catalogue::Level::Must;
use crate::omp::server::Server;
use crate::omp::server::store::{Object, Store};
use crate::serve::{Fault, fault};

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
];

impl Server {
    /// Removes an object by `remove`, and says what it was.
    pub(in crate::omp::server) fn deletes(
        &self,
        remove: impl FnOnce(&mut Store) -> Option<Object>,
    ) -> Option<Object> {
        let mut store = self.store();
        let gone = remove(&mut store)?;
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
        if self.has("delete-keeps") || self.has("delete-stays-in-lists") {
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
        stored.or_else(|| ghost().filter(|_| self.bends("delete-keeps")))
    }

    /// Objects, and those that a list still shows though they are deleted.
    pub(super) fn with_ghosts(&self, mut objects: Vec<Object>) -> Vec<Object> {
        let ghosts = self.memory().ghosts.clone();
        if !ghosts.is_empty() && self.bends("delete-stays-in-lists") {
            objects.extend(ghosts);
        }
        objects
    }
}
