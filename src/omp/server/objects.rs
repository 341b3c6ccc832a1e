//! Objects are created, read, replaced and deleted.

use std::time::Duration;

use serde_json::{Value, json};

use super::lists::is_sound;
use super::rules::{self, Creation};
use super::store::Object;
use super::{BODY_LIMIT_BYTES, Server, now};
use crate::serve::{Asked, Handler, Reply};

/// How long a server takes between the two halves of what it does where others come between.
const BETWEEN: Duration = Duration::from_millis(3);

impl Server {
    /// The body of a request, read.
    fn body(&self, asked: &Asked) -> Result<Value, Reply> {
        let Some(body) = &asked.body else {
            return Err(self.error(413, "the body is too large"));
        };
        if body.len() > BODY_LIMIT_BYTES && self.bends("body-limit") {
            return Err(self.error(413, "the body is too large"));
        }
        let is_json = asked.content_type.contains("json");
        if !is_json && self.bends("other-types-500") {
            return Err(self.error(500, "the content type is not known"));
        }
        if !is_json && self.bends("json-type-demanded") {
            return Err(self.error(415, "the body is to be application/json"));
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => {
                let twice = has_twice(body);
                match twice && self.bends("duplicate-members-refused") {
                    true => Err(self.error(400, "a member stands twice")),
                    false => Ok(value),
                }
            }
            Err(why) => self.misread(body, &why.to_string()),
        }
    }

    /// What a body that is no JSON is taken for by a server that gets that wrong; else the refusal.
    fn misread(&self, body: &[u8], why: &str) -> Result<Value, Reply> {
        let text = String::from_utf8_lossy(body).into_owned();
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let is_utf8 = std::str::from_utf8(body).is_ok();
        let named = text.replace("NaN", "null").replace("Infinity", "null");
        if let Some(value) = read(&named)
            && is_utf8
            && self.bends("nan-taken")
        {
            return Ok(value);
        }
        if let Some(Ok(value)) = values.next()
            && value.is_object()
            && is_utf8
            && self.bends("trailing-bytes-taken")
        {
            return Ok(value);
        }
        if let Some(value) = read(&text)
            && !is_utf8
            && self.bends("bad-utf8-taken")
        {
            return Ok(value);
        }
        let halves = text.to_ascii_lowercase().contains("\\ud8");
        if halves
            && let Some(value) = read(&text.replace("\\ud8", "\\u00"))
            && (self.bends("half-characters-taken")
                || self.bends("half-characters-spoil-the-list")
                || self.bends("odd-content-cannot-be-read"))
        {
            return Ok(value);
        }
        if body.is_empty() && self.bends("an-empty-body-is-an-object") {
            return Ok(json!({ "namespace": "", "content": {} }));
        }
        let is_deep = text.starts_with("[[[[");
        let status = match () {
            () if is_deep && self.bends("deep-bodies-500") => 500,
            () if !body.is_empty() && self.bends("not-json-500") => 500,
            () if self.bends("not-json-422") => 422,
            () => 400,
        };
        Err(self.error(status, why))
    }

    /// A refusal of a body that is JSON of another shape.
    fn misshapen(&self, why: &str) -> Reply {
        let status = match () {
            () if self.bends("shape-422") => 422,
            () if self.bends("shape-500") => 500,
            () => 400,
        };
        self.error(status, why)
    }

    pub(super) fn create(&self, asked: &Asked) -> Result<Reply, Reply> {
        let body = self.body(asked)?;
        if self.bends("canary") {
            return Err(self.error(500, "canary"));
        }
        let creation = match rules::creation(&body) {
            Ok(creation) => creation,
            Err(why) => self.misread_creation(&body, &why)?,
        };
        let is_null = ["key", "metadata"]
            .into_iter()
            .any(|name| body.get(name).is_some_and(Value::is_null));
        if is_null && self.bends("null-members-refused") {
            return Err(self.error(400, "null is no value for an optional member"));
        }
        if is_null && self.bends("null-members-500") {
            return Err(self.error(500, "unexpected null"));
        }
        let is_empty = creation.namespace.is_empty() || creation.key.as_deref() == Some("");
        if is_empty && self.bends("empty-names-refused") {
            return Err(self.error(400, "a name is empty"));
        }
        let object = self.store_new(creation)?;
        let mut shown = object.shown();
        if self.bends("content-with-every-object") {
            shown["content"] = object.content.clone();
        }
        let status = if self.bends("create-200") { 200 } else { 201 };
        Ok(self.json(status, &self.more(shown)))
    }

    fn store_new(&self, creation: Creation) -> Result<Object, Reply> {
        let mut store = self.store();
        let own_key = creation.key.clone().filter(|_| !self.bends("keys-are-ids"));
        let twin = store.objects.iter().position(|object| {
            object.namespace == creation.namespace && Some(&object.key) == own_key.as_ref()
        });
        if twin.is_some() && self.bends("a-pair-twice-409") {
            return Err(self.error(409, "there is an object of this name"));
        }
        let number = match self.bends("ids-are-given-twice-at-once") {
            true => {
                let drawn = store.drawn.get(&creation.namespace).copied();
                let number = drawn.unwrap_or_else(|| store.number());
                store.drawn.insert(creation.namespace.clone(), number);
                drop(store);
                std::thread::sleep(BETWEEN);
                store = self.store();
                store.drawn.remove(&creation.namespace);
                number
            }
            false => store.number(),
        };
        let id = match () {
            () if self.deviations.contains(&"ids-are-given-twice-at-once") => format!("obj-{number}"),
            () if self.bends("ids-are-numbers") => number.to_string(),
            () if self.bends("ids-with-dots") => {
                format!("o.{number}~{}", own_key.as_deref().map_or(0, str::len))
            }
            () => format!("obj-{number}-{:08x}", rand::random::<u32>()),
        };
        let sent = creation.metadata.is_some();
        let key = own_key.unwrap_or_else(|| id.clone());
        let (low, trimmed) = (key.to_lowercase(), creation.namespace.trim().to_owned());
        let object = Object {
            key: match low != key && self.bends("keys-in-lower-case") {
                true => low,
                false => key,
            },
            namespace: match trimmed != creation.namespace && self.bends("namespaces-are-trimmed") {
                true => trimmed,
                false => creation.namespace,
            },
            created_at: match () {
                () if self.bends("created-at-without-a-zone") => now().to_string().replace('Z', ""),
                () if self.bends("created-at-of-yesterday") => "2001-01-01T00:00:00Z".to_owned(),
                () if self.bends("created-at-with-an-offset") => now().to_string().replace('Z', "+00:00"),
                () => now().to_string(),
            },
            metadata: match creation.metadata {
                Some(_) if self.bends("metadata-is-dropped") => json!({}),
                Some(metadata) => metadata,
                None => json!({}),
            },
            content: creation.content,
            id,
        };
        if self.bends("create-forgets") || sent && self.bends("create-forgets-with-metadata") {
            return Ok(object);
        }
        if let Some(twin) = twin
            && self.bends("a-pair-twice-replaces")
        {
            store.objects.remove(twin);
        }
        let neighbours = |other: &Object| other.namespace == object.namespace;
        if store.objects.iter().any(neighbours) && self.bends("one-object-for-a-namespace") {
            store.objects.retain(|other| !neighbours(other));
        }
        if self.bends("lists-hide-what-is-new") {
            store.unlisted.insert(object.id.clone());
        }
        store.objects.retain(|other| other.id != object.id);
        store.objects.push(object.clone());
        Ok(object)
    }

    /// What a creation that breaks a rule is taken for by a server that gets the rule wrong; else the refusal.
    fn misread_creation(&self, body: &Value, why: &str) -> Result<Creation, Reply> {
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
        if let Some(creation) = mended("content", json!({}))
            && self.bends("refused-is-stored")
        {
            self.store_new(creation)?;
        }
        Err(self.misshapen(why))
    }

    pub(super) fn read(&self, id: &str) -> Result<Reply, Reply> {
        let store = self.store();
        let ghost = || store.ghosts.iter().find(|object| object.id == id);
        let found = store
            .get(id)
            .or_else(|| ghost().filter(|_| self.bends("delete-keeps")));
        let Some(object) = found.cloned() else {
            return match () {
                () if self.bends("unknown-ids-200") => Ok(self.json(200, &json!({}))),
                () if self.bends("unknown-ids-400") => Err(self.error(400, "there is no such object")),
                () => Err(self.error(404, "there is no such object")),
            };
        };
        drop(store);
        let mut whole = object.whole();
        if !is_sound(&object) && self.bends("odd-content-cannot-be-read") {
            return Err(self.error(500, "cannot encode"));
        }
        whole["content"] = self.kept(&whole["content"]);
        whole["metadata"] = self.kept(&whole["metadata"]);
        Ok(self.json(200, &self.more(whole)))
    }

    pub(super) fn replace(&self, id: &str, asked: &Asked) -> Result<Reply, Reply> {
        let body = self.body(asked)?;
        let (content, metadata) = match rules::replacement(&body) {
            Ok(replacement) => replacement,
            Err(why) => match body.get("content") {
                Some(content) if !content.is_object() && self.bends("replace-with-content-of-any-type") => {
                    (content.clone(), None)
                }
                _ => return Err(self.misshapen(&why)),
            },
        };
        let mut store = self.store();
        if store.get(id).is_none() {
            if !self.bends("replace-creates") {
                return Err(self.error(404, "there is no such object"));
            }
            store.objects.push(Object {
                id: id.to_owned(),
                namespace: "default".to_owned(),
                key: id.to_owned(),
                created_at: now().to_string(),
                metadata: json!({}),
                content: json!({}),
            });
        }
        if self.bends("replace-in-two-halves") {
            // Members one after the other, in another direction than the replace before, and others come between.
            let mut members: Vec<(&String, &Value)> = content.as_object().into_iter().flatten().collect();
            if Handler::fired(self, "replace-in-two-halves").is_multiple_of(2) {
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
        }
        let fresh = now().to_string();
        let hides = self.bends("replaced-is-not-found");
        if hides {
            store.unfound.insert(id.to_owned());
        }
        let Some(object) = store.get_mut(id) else {
            return Err(self.error(404, "there is no such object"));
        };
        match content {
            Value::Object(members) if self.bends("replace-merges") => {
                members
                    .into_iter()
                    .for_each(|(name, value)| object.content[name] = value);
            }
            content => {
                if !self.bends("replace-forgets") && !self.deviations.contains(&"replace-in-two-halves") {
                    object.content = content;
                }
            }
        }
        match metadata {
            Some(_) if self.bends("replace-ignores-metadata") => {}
            Some(Value::Object(members)) if self.bends("replace-merges-metadata") => {
                members
                    .into_iter()
                    .for_each(|(name, value)| object.metadata[name] = value);
            }
            Some(metadata) => object.metadata = metadata,
            None if self.bends("replace-clears-metadata") => object.metadata = json!({}),
            None => {}
        }
        if self.bends("replace-is-a-new-creation") {
            object.created_at = fresh;
        }
        if self.bends("replace-loses-the-key") {
            object.key.clone_from(&object.id);
        }
        let (shown, whole) = (object.shown(), object.whole());
        drop(store);
        if self.bends("replace-204") {
            return Ok(Reply {
                status: 204,
                ..Reply::default()
            });
        }
        let body = if self.bends("replace-answers-content") {
            whole
        } else {
            shown
        };
        Ok(self.json(200, &body))
    }

    pub(super) fn delete(&self, id: &str) -> Result<Reply, Reply> {
        let mut store = self.store();
        let Some(at) = store.objects.iter().position(|object| object.id == id) else {
            return match self.bends("delete-again-204") {
                true => Ok(Reply {
                    status: 204,
                    ..Reply::default()
                }),
                false => Err(self.error(404, "there is no such object")),
            };
        };
        let gone = store.objects.remove(at);
        if self.bends("delete-takes-the-namespace") {
            store.objects.retain(|object| object.namespace != gone.namespace);
        }
        store.ghosts.push(gone);
        drop(store);
        match () {
            () if self.bends("delete-200") => Ok(self.json(200, &json!({ "deleted": true }))),
            () if self.bends("delete-202") => Ok(self.json(202, &json!({}))),
            () => Ok(Reply {
                status: 204,
                ..Reply::default()
            }),
        }
    }

    /// An object with members that nobody asked for.
    pub(super) fn more(&self, mut object: Value) -> Value {
        if self.bends("more-members") {
            object["version"] = 1.into();
            object["links"] = json!([]);
        }
        object
    }
}

/// Whether a member of an object stands twice: what is read has fewer members than what is written.
fn has_twice(body: &[u8]) -> bool {
    crate::json::parse(body).is_err_and(|why| why.contains("twice"))
}
