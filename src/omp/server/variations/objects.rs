//! What a server stores in another form than the plain one, or not at all.

use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::omp::server::rules::objects::Creation;
use crate::omp::server::store::{Object, Store};

impl Server {
    /// Whether a new object may be called what it is, given whether it is sent null for a member that it may leave out.
    ///
    /// # Errors
    /// Its names are not taken.
    pub(in crate::omp::server) fn refuses_names(
        &self,
        has_null: bool,
        creation: &Creation,
    ) -> Result<(), Answer> {
        if has_null && self.bends("null-members-refused") {
            return Err(Answer::refused(400, "null is no value for an optional member"));
        }
        let is_empty = creation.namespace.is_empty() || creation.key.as_deref() == Some("");
        match is_empty && self.bends("empty-names-refused") {
            true => Err(Answer::refused(400, "a name is empty")),
            false => Ok(()),
        }
    }

    /// The id of a new object.
    pub(in crate::omp::server) fn other_id(&self, creation: &Creation, number: u64, id: String) -> String {
        match () {
            () if self.bends("ids-are-numbers") => number.to_string(),
            () if self.bends("ids-with-dots") => {
                format!("o.{number}~{}", creation.key.as_deref().map_or(0, str::len))
            }
            () => id,
        }
    }

    /// The time that a new object tells.
    pub(in crate::omp::server) fn other_time(&self, time: String) -> String {
        match self.bends("created-at-with-an-offset") {
            true => time.replace('Z', "+00:00"),
            false => time,
        }
    }

    /// Makes room for an object where there is one of its namespace and key.
    ///
    /// # Errors
    /// There is no room for a second one.
    pub(in crate::omp::server) fn makes_room(
        &self,
        store: &mut Store,
        object: &Object,
    ) -> Result<(), Answer> {
        let is_twin = |other: &Object| other.namespace == object.namespace && other.key == object.key;
        if !store.objects.iter().any(is_twin) {
            return Ok(());
        }
        if self.bends("a-pair-twice-409") {
            return Err(Answer::refused(409, "there is an object of this name"));
        }
        if self.bends("a-pair-twice-replaces") {
            store.objects.retain(|other| !is_twin(other));
        }
        Ok(())
    }
}
