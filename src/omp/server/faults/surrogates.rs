//! What becomes of half a surrogate pair, which is no character.

use serde_json::Value;

use crate::catalogue::Level::Should;
use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::omp::server::store::Object;
use crate::serve::{Fault, fault};

/// What becomes of half a character.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "odd-content-cannot-be-read",
        "objects",
        &["OMP-OBJ-12", "OMP-ERR-03"],
        Should,
        "Half a surrogate pair is stored, and the object cannot be read again.",
        "A client that stored something gets an error for ever.",
        "Refuse with 400 what cannot be given back.",
    ),
    fault(
        "half-characters-spoil-the-list",
        "objects",
        &["OMP-OBJ-12", "OMP-ERR-03"],
        Should,
        "Half a surrogate pair is taken, and every list fails from then on.",
        "One request of anybody takes the lists away from everybody.",
        "Refuse what cannot be served.",
    ),
];

impl Server {
    /// What a text with half a character in it is read as, if it is taken: as one with a character for private use.
    pub(super) fn half_characters(&self, text: &str) -> Option<Value> {
        if !text.to_ascii_lowercase().contains("\\ud8") {
            return None;
        }
        let value = serde_json::from_str(&text.replace("\\ud8", "\\ue8")).ok()?;
        let is_taken = self.bends("half-characters-taken")
            || self.bends("half-characters-spoil-the-list")
            || self.bends("odd-content-cannot-be-read");
        is_taken.then_some(value)
    }

    /// Whether an object can be given to who reads it.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub(super) fn encodes(&self, object: &Object) -> Result<(), Answer> {
        match !is_sound(object) && self.bends("odd-content-cannot-be-read") {
            true => Err(Answer::refused(500, "cannot encode")),
            false => Ok(()),
        }
    }

    /// Whether objects can be listed.
    ///
    /// # Errors
    /// One of them cannot be encoded.
    pub(super) fn encodes_all(&self, objects: &[Object]) -> Result<(), Answer> {
        match !objects.iter().all(is_sound) && self.bends("half-characters-spoil-the-list") {
            true => Err(Answer::refused(500, "cannot encode")),
            false => Ok(()),
        }
    }
}

/// Whether an object has no half of a character in it, as a server stores it that takes them.
fn is_sound(object: &Object) -> bool {
    !object
        .content
        .to_string()
        .contains(|c| ('\u{e800}'..='\u{e8ff}').contains(&c))
}
