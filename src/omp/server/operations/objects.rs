//! Objects are created, read, replaced and deleted.

use jiff::Timestamp;

use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::omp::server::rules::objects::{self as rules, Creation};
use crate::omp::server::store::Object;
use crate::serve::Asked;

/// Stores what a client sends as a new object.
///
/// # Errors
/// It is no object, or cannot be stored.
pub(super) fn create(server: &Server, asked: &Asked) -> Result<Answer, Answer> {
    let body = server.body(asked, rules::body(asked))?;
    let creation = server.creation(&body, rules::creation(&body))?;
    let object = store(server, &creation)?;
    Ok(server.created(&object, Answer::json(201, object.shown())))
}

/// Stores a new object under an id and a time of the server's.
pub(in crate::omp::server) fn store(server: &Server, creation: &Creation) -> Result<Object, Answer> {
    let number = server.store().number();
    let id = server.id(creation, number, rules::id(number));
    let created_at = server.created_at(rules::time(Timestamp::now()));
    let object = server.object(creation, Object::new(&id, created_at, creation));
    server.adds(creation, &object, |store| store.add(object.clone()))?;
    Ok(object)
}

/// Serves an object with its content.
///
/// # Errors
/// There is no such object.
pub(super) fn read(server: &Server, id: &str) -> Result<Answer, Answer> {
    let stored = server.store().get(id).cloned();
    match server.found(id, stored) {
        Some(object) => server.served(&object, Answer::json(200, object.whole())),
        None => Err(server.unknown(no_object())),
    }
}

/// Puts other content in the place of an object's.
///
/// # Errors
/// There is no such object, or what is sent is no content.
pub(in crate::omp::server) fn replace(server: &Server, id: &str, asked: &Asked) -> Result<Answer, Answer> {
    let body = server.body(asked, rules::body(asked))?;
    let id = &server.addressed(id, &body);
    let replacement = server.replacement(&body, rules::replacement(&body))?;
    let replaced = server.replaces(id, replacement, |store, replacement| {
        store.replace(id, replacement)
    });
    match replaced {
        Some(object) => Ok(server.replaced(&object, Answer::json(200, object.shown()))),
        None => Err(no_object()),
    }
}

/// Removes an object.
///
/// # Errors
/// There is no such object.
pub(in crate::omp::server) fn delete(server: &Server, id: &str) -> Result<Answer, Answer> {
    match server.deletes(id, |store| store.remove(id)) {
        Some(_) => Ok(server.deleted(Answer::done())),
        None => Err(server.not_deleted(no_object())),
    }
}

fn no_object() -> Answer {
    Answer::refused(404, "there is no such object")
}
