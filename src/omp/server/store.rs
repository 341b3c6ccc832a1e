//! What is stored: objects in the order in which they were created, and the nonces that were used.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rules::objects::{Creation, Replacement};

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
    /// What is made of a creation: without a key of its own, an object goes by its id.
    pub(super) fn new(id: &str, created_at: String, creation: &Creation) -> Object {
        Object {
            id: id.to_owned(),
            namespace: creation.namespace.clone(),
            key: creation.key.clone().unwrap_or_else(|| id.to_owned()),
            created_at,
            metadata: creation.metadata.clone().unwrap_or_else(|| json!({})),
            content: creation.content.clone(),
        }
    }

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
    /// How many objects were created.
    created: u64,
    /// Nonces that were used, with their key ids.
    nonces: BTreeSet<(String, String)>,
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
        self.created += 1;
        self.created
    }

    /// Adds an object.
    pub(super) fn add(&mut self, object: Object) {
        self.objects.push(object);
    }

    /// Swaps the content of an object as a whole, and its metadata if there is another. The object as it is then; none
    /// where there is no such object.
    pub(super) fn replace(&mut self, id: &str, replacement: Replacement) -> Option<Object> {
        let object = self.get_mut(id)?;
        object.content = replacement.content;
        if let Some(metadata) = replacement.metadata {
            object.metadata = metadata;
        }
        Some(object.clone())
    }

    /// Takes an object away; none where there is no such object.
    pub(super) fn remove(&mut self, id: &str) -> Option<Object> {
        let at = self.objects.iter().position(|object| object.id == id)?;
        Some(self.objects.remove(at))
    }

    /// Uses a nonce of a key; false where it was used before.
    pub(super) fn use_nonce(&mut self, key_id: &str, nonce: &str) -> bool {
        self.nonces.insert((key_id.to_owned(), nonce.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creation(key: Option<&str>) -> Creation {
        Creation {
            namespace: "n".to_owned(),
            key: key.map(str::to_owned),
            content: json!({ "a": 1 }),
            metadata: Some(json!({ "label": "x" })),
        }
    }

    #[test]
    fn an_object_without_a_key_goes_by_its_id() {
        let time = "2026-01-01T00:00:00Z".to_owned();
        assert_eq!(Object::new("1", time.clone(), &creation(None)).key, "1");
        assert_eq!(Object::new("1", time, &creation(Some("k"))).key, "k");
    }

    #[test]
    fn a_replacement_leaves_metadata_alone_unless_it_has_some() {
        let mut store = Store::default();
        store.add(Object::new("1", String::new(), &creation(None)));
        let replacement = |metadata: Option<Value>| Replacement {
            content: json!({ "b": 2 }),
            metadata,
        };
        let replaced = store.replace("1", replacement(None)).unwrap();
        assert_eq!(
            (&replaced.content, &replaced.metadata),
            (&json!({ "b": 2 }), &json!({ "label": "x" }))
        );
        let replaced = store.replace("1", replacement(Some(json!({})))).unwrap();
        assert_eq!(replaced.metadata, json!({}));
        assert_eq!(store.replace("2", replacement(None)), None);
    }

    #[test]
    fn what_is_removed_is_gone_and_a_nonce_is_used_once() {
        let mut store = Store::default();
        store.add(Object::new("1", String::new(), &creation(None)));
        assert!(store.remove("1").is_some() && store.remove("1").is_none() && store.get("1").is_none());
        assert!(store.use_nonce("k", "n") && !store.use_nonce("k", "n") && store.use_nonce("l", "n"));
    }
}
