//! What is stored: objects in the order in which they were created.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) namespace: String,
    pub(super) key: String,
    pub(super) created_at: String,
    pub(super) metadata: Value,
    pub(super) content: Value,
}

impl Object {
    /// As it stands in lists.
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "namespace": self.namespace,
            "key": self.key,
            "created_at": self.created_at,
            "metadata": self.metadata,
        })
    }

    /// With its content.
    pub(super) fn whole(&self) -> Value {
        let mut shown = self.shown();
        shown["content"] = self.content.clone();
        shown
    }
}

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) objects: Vec<Object>,
    /// Ids that a server with a stale list or index still shows, or does not.
    pub(super) ghosts: Vec<Object>,
    pub(super) unlisted: BTreeSet<String>,
    pub(super) unfound: BTreeSet<String>,
    pub(super) next: u64,
    /// Numbers that are drawn and not yet stored, by namespace: of a server that draws them twice.
    pub(super) drawn: BTreeMap<String, u64>,
    /// Nonces that were used, with their key ids.
    pub(super) nonces: BTreeSet<(String, String)>,
    /// Key ids under which a signature has verified.
    pub(super) verified: BTreeSet<String>,
}

impl Store {
    /// The object of an id.
    pub(super) fn get(&self, id: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.id == id)
    }

    /// The object of an id, to be changed.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Object> {
        self.objects.iter_mut().find(|object| object.id == id)
    }

    /// A number that no object has.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
