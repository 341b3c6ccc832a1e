//! What the server does: one file for single objects and one for lists. Each operation asks the plain functions of `rules`,
//! and stores or looks up; it hands what was decided through a method of the server that is named after that, and goes on
//! with what comes back.

pub(super) mod lists;
pub(super) mod objects;

use serde_json::json;

use super::answer::Answer;
use super::rules::addresses::{self, Resource};
use super::{Server, admission};
use crate::serve::Asked;

/// Where the capabilities are told.
const CAPABILITIES: &str = "/.well-known/omp-configuration";

/// What a request is answered.
pub(super) fn answer(server: &Server, asked: &Asked) -> Answer {
    let answered = match addresses::below_objects(&asked.path) {
        Some(rest) => below_objects(server, asked, rest),
        None if asked.path == CAPABILITIES => server.capabilities(asked, capabilities(server, asked)),
        None => match server.respelt(&asked.path) {
            Some(rest) => found(server, asked, &rest),
            None => Err(no_route(server)),
        },
    };
    answered.unwrap_or_else(|refused| refused)
}

/// Objects, whose guard looks at a request before anything else does.
fn below_objects(server: &Server, asked: &Asked, rest: &str) -> Result<Answer, Answer> {
    let rest = server.path(asked, rest)?;
    admission::admit(server, asked)?;
    found(server, asked, rest)
}

/// What is found below `/objects`.
fn found(server: &Server, asked: &Asked, rest: &str) -> Result<Answer, Answer> {
    let method = server.method(asked);
    let resource = server.resource(asked, rest, addresses::resource(&method, rest))?;
    match (resource, method.as_str()) {
        (Resource::Objects, "GET" | "HEAD") => lists::list(server, asked),
        (Resource::Objects, "POST") => objects::create(server, asked),
        (Resource::Objects, _) => Err(not_allowed(server, "GET, HEAD, POST")),
        (Resource::Search, "GET" | "HEAD") => lists::search(server, asked),
        (Resource::Search, _) => Err(not_allowed(server, "GET, HEAD")),
        (Resource::Object(id), "GET" | "HEAD") => objects::read(server, &id),
        (Resource::Object(id), "PUT") => objects::replace(server, &id, asked),
        (Resource::Object(id), "DELETE") => objects::delete(server, &id),
        (Resource::Object(_), _) => Err(not_allowed(server, "GET, HEAD, PUT, DELETE")),
        (Resource::Nothing, _) => Err(no_route(server)),
    }
}

fn capabilities(server: &Server, asked: &Asked) -> Result<Answer, Answer> {
    match asked.method.as_str() {
        "GET" | "HEAD" => Ok(Answer::json(
            200,
            json!({ "version": "0.1", "objects": "/objects" }),
        )),
        _ => Err(not_allowed(server, "GET, HEAD")),
    }
}

fn no_route(server: &Server) -> Answer {
    server.no_route(Answer::refused(404, "there is no such route"))
}

fn not_allowed(server: &Server, allowed: &str) -> Answer {
    server.not_allowed(Answer::not_allowed(allowed))
}
