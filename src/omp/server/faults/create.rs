//! What becomes of a new object on a server that gets a rule wrong.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::catalogue::Level::{Must, Should};
use crate::keys::encoding::hex;
use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::omp::server::rules::objects::Creation;
use crate::omp::server::store::{Object, Store};
use crate::serve::{Fault, fault};

/// So many objects keeps a server that loses the others.
const MOST_KEPT: usize = 200;

/// How long a server sits on an id that it has drawn, while others draw theirs.
const BETWEEN: Duration = Duration::from_millis(3);

/// What becomes of a new object.
pub(super) const CREATED: &[Fault] = &[
    fault(
        "canary",
        "objects",
        &["OMP-OBJ-01", "OMP-ERR-03"],
        Must,
        "Every create is answered 500.",
        "Nothing can be stored.",
        "Answer 201 where the object is stored.",
    ),
    fault(
        "create-200",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "A create is answered with a success that is not 201.",
        "Clients that wait for 201 take it for something else.",
        "Answer 201 to a create.",
    ),
    fault(
        "create-forgets",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "A create is answered 201 and nothing is stored.",
        "Objects are nowhere to be found.",
        "Answer after the object is stored.",
    ),
    fault(
        "create-forgets-with-metadata",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "An object that is sent with metadata is not stored.",
        "Some objects are nowhere to be found.",
        "Store every object that is answered 201.",
    ),
    fault(
        "keys-are-ids",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "The key that a client sends is thrown away for the id.",
        "Objects cannot be found by their keys.",
        "Keep the key that is sent, and make one up only where there is none.",
    ),
    fault(
        "keys-in-lower-case",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "Keys are stored in lower case.",
        "A client does not find its object under the key that it gave.",
        "Store the key as it was sent.",
    ),
    fault(
        "namespaces-are-trimmed",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "Spaces around a namespace are dropped.",
        "Objects of two namespaces are mixed up.",
        "Store the namespace as it was sent.",
    ),
    fault(
        "metadata-is-dropped",
        "objects",
        &["OMP-OBJ-01", "OMP-OBJ-03"],
        Must,
        "The metadata of a create is dropped.",
        "Labels and lifetimes are lost.",
        "Store the metadata with the object.",
    ),
    fault(
        "ids-are-given-twice-at-once",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "Two creates at the same moment get one id, and one object is lost.",
        "Objects of one client appear under those of another.",
        "Draw ids where the object is inserted, in one transaction.",
    ),
    fault(
        "one-object-for-a-namespace",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "A create takes the place of the other objects of its namespace.",
        "The last object wins, whatever its key.",
        "Let a create insert, and touch nothing else.",
    ),
    fault(
        "one-object-for-a-key",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "A create takes the place of the objects with the same key, whatever their namespace.",
        "Objects of one namespace are lost to another.",
        "Know objects by their ids; a key belongs to its namespace.",
    ),
    fault(
        "ids-are-taken-from-bodies",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "A create takes the id that stands in its body, and the place of the object that has it.",
        "Whoever knows an id overwrites what is under it.",
        "Draw ids, and ignore what a client calls id.",
    ),
    fault(
        "long-names-are-cut",
        "objects",
        &["OMP-OBJ-01"],
        Must,
        "Namespaces and keys are cut after 64 characters.",
        "Objects of two namespaces are mixed up.",
        "Store names whole, or refuse them.",
    ),
    fault(
        "long-names-500",
        "objects",
        &["OMP-OBJ-01", "OMP-ERR-03"],
        Must,
        "A key of more than 255 characters is answered 500.",
        "A long name looks like an outage.",
        "Refuse with 400 what a column cannot take.",
    ),
    fault(
        "ids-of-names-without-a-gap",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "The id is the hash of namespace and key, one behind the other.",
        "Objects of one namespace are lost to another.",
        "Draw ids, or let nothing that a name can hold stand between the two.",
    ),
    fault(
        "objects-beyond-two-hundred-are-lost",
        "objects",
        &["OMP-OBJ-02"],
        Must,
        "Of what is stored, the newest two hundred objects are kept.",
        "Older objects are lost without a word.",
        "Keep what was answered 201, or refuse what is too much.",
    ),
];

/// When an object is said to be created.
pub(super) const DATED: &[Fault] = &[
    fault(
        "created-at-without-a-zone",
        "objects",
        &["OMP-OBJ-11"],
        Should,
        "created_at does not say in which zone it is.",
        "Readers elsewhere are hours off.",
        "Write times in UTC, with Z.",
    ),
    fault(
        "created-at-of-yesterday",
        "objects",
        &["OMP-OBJ-11"],
        Should,
        "created_at is not the time of creation.",
        "The age of objects is wrong.",
        "Take the time when the object is created.",
    ),
    fault(
        "created-at-of-the-body",
        "objects",
        &["OMP-OBJ-11"],
        Should,
        "created_at is taken from the body of the create, if it stands there.",
        "Whoever likes makes objects of any age.",
        "Take the time when the object is created.",
    ),
];

impl Server {
    /// The creation that a body is taken for, given what was read of it.
    pub(in crate::omp::server) fn creation(
        &self,
        body: &Value,
        read: Result<Creation, Answer>,
    ) -> Result<Creation, Answer> {
        if self.bends("canary") {
            return Err(Answer::refused(500, "canary"));
        }
        let creation = self.shaped(body, read)?;
        let is_long = creation.key.as_ref().is_some_and(|key| key.chars().count() > 255);
        if is_long && self.bends("long-names-500") {
            return Err(Answer::refused(500, "value too long for column"));
        }
        if self.has("ids-are-taken-from-bodies") || self.has("created-at-of-the-body") {
            self.memory().said.insert(name(&creation), body.clone());
        }
        Ok(creation)
    }

    /// What else the body of a creation says under a name.
    fn said(&self, creation: &Creation, member: &str) -> Option<String> {
        let memory = self.memory();
        Some(
            memory
                .said
                .get(&name(creation))?
                .get(member)?
                .as_str()?
                .to_owned(),
        )
    }

    /// The id of a new object, given one that no other has.
    pub(in crate::omp::server) fn id(&self, creation: &Creation, number: u64, id: String) -> String {
        if let Some(said) = self.said(creation, "id")
            && self.bends("ids-are-taken-from-bodies")
        {
            return said;
        }
        if let Some(key) = &creation.key
            && self.bends("ids-of-names-without-a-gap")
        {
            let names = Sha256::digest(format!("{}{key}", creation.namespace));
            return hex(&names[..16]);
        }
        if !self.bends("ids-are-given-twice-at-once") {
            return self.other_id(creation, number, id);
        }
        let drawn = self
            .memory()
            .drawn
            .entry(creation.namespace.clone())
            .or_insert(id)
            .clone();
        std::thread::sleep(BETWEEN);
        self.memory().drawn.remove(&creation.namespace);
        drawn
    }

    /// The time that a new object tells, given the time of its creation.
    pub(in crate::omp::server) fn created_at(&self, time: String) -> String {
        match () {
            () if self.bends("created-at-without-a-zone") => time.replace('Z', ""),
            () if self.bends("created-at-of-yesterday") => "2001-01-01T00:00:00Z".to_owned(),
            () => self.other_time(time),
        }
    }

    /// What is made of a creation, given the object that it asks for.
    pub(in crate::omp::server) fn object(&self, creation: &Creation, mut object: Object) -> Object {
        if creation.key.is_some() && self.bends("keys-are-ids") {
            object.key.clone_from(&object.id);
        }
        let low = object.key.to_lowercase();
        if low != object.key && self.bends("keys-in-lower-case") {
            object.key = low;
        }
        let trimmed = object.namespace.trim();
        if trimmed != object.namespace && self.bends("namespaces-are-trimmed") {
            object.namespace = trimmed.to_owned();
        }
        for name in [&mut object.namespace, &mut object.key] {
            if let Some((end, _)) = name.char_indices().nth(64)
                && self.bends("long-names-are-cut")
            {
                name.truncate(end);
            }
        }
        if let Some(said) = self.said(creation, "created_at")
            && self.bends("created-at-of-the-body")
        {
            object.created_at = said;
        }
        if creation.metadata.is_some() && self.bends("metadata-is-dropped") {
            object.metadata = json!({});
        }
        object
    }

    /// Stores a new object by `add`, or does not.
    pub(in crate::omp::server) fn adds(
        &self,
        creation: &Creation,
        object: &Object,
        add: impl FnOnce(&mut Store),
    ) -> Result<(), Answer> {
        let mut store = self.store();
        self.makes_room(&mut store, object)?;
        if self.bends("create-forgets")
            || creation.metadata.is_some() && self.bends("create-forgets-with-metadata")
        {
            return Ok(());
        }
        let is_neighbour = |other: &Object| other.namespace == object.namespace;
        if store.objects.iter().any(is_neighbour) && self.bends("one-object-for-a-namespace") {
            store.objects.retain(|other| !is_neighbour(other));
        }
        let is_namesake = |other: &Object| other.key == object.key;
        if store.objects.iter().any(is_namesake) && self.bends("one-object-for-a-key") {
            store.objects.retain(|other| !is_namesake(other));
        }
        let own_ids = [
            "ids-are-given-twice-at-once",
            "ids-are-taken-from-bodies",
            "ids-of-names-without-a-gap",
        ];
        if own_ids.into_iter().any(|name| self.has(name)) {
            store.objects.retain(|other| other.id != object.id);
        }
        self.memory().pages.clear();
        add(&mut store);
        if store.objects.len() > MOST_KEPT && self.bends("objects-beyond-two-hundred-are-lost") {
            store.objects.remove(0);
        }
        Ok(())
    }

    /// The answer to a create.
    pub(in crate::omp::server) fn created(&self, object: &Object, answer: Answer) -> Answer {
        let mut answer = self.other_created(object, answer);
        if self.bends("create-200") {
            answer.status = 200;
        }
        answer
    }
}

/// What a creation is known by before it has an id.
fn name(creation: &Creation) -> (String, Option<String>) {
    (creation.namespace.clone(), creation.key.clone())
}
