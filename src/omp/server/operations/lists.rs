//! Objects are listed and searched, in pages.

use serde_json::{Value, json};

use crate::omp::server::Server;
use crate::omp::server::answer::Answer;
use crate::omp::server::rules::addresses::parameters;
use crate::omp::server::rules::pages as rules;
use crate::omp::server::store::Object;
use crate::serve::Asked;

/// A page of all objects.
///
/// # Errors
/// There is no such page.
pub(super) fn list(server: &Server, asked: &Asked) -> Result<Answer, Answer> {
    let all = server.store().objects.clone();
    page(server, asked, &server.listed(asked, all)?)
}

/// A page of the objects that are asked for.
///
/// # Errors
/// There is no such page.
pub(super) fn search(server: &Server, asked: &Asked) -> Result<Answer, Answer> {
    let search = server.search(asked, rules::search(&parameters(asked.query.as_deref())));
    let all = server.store().objects.clone();
    let found: Vec<Object> = server
        .listed(asked, all)?
        .into_iter()
        .filter(|object| server.is_found(object, &search, rules::is_found(object, &search)))
        .collect();
    page(server, asked, &found)
}

/// The page that is asked for, of all that could be shown.
fn page(server: &Server, asked: &Asked, all: &[Object]) -> Result<Answer, Answer> {
    let wanted = parameters(asked.query.as_deref());
    let all = server.ordered(&wanted, all);
    let limit = wanted.get("limit").map(String::as_str);
    let limit = server.limit(asked, limit, rules::limit(limit))?;
    let cursor = wanted.get("cursor").map(String::as_str).unwrap_or_default();
    let from = server
        .page_of(cursor, &all, rules::page_of(cursor, all.len()))?
        .unwrap_or(0);
    let page = server.page(&all, rules::page(all.len(), from, limit));
    let items: Vec<Value> = all[page.shown]
        .iter()
        .map(|object| server.item(object.shown()))
        .collect();
    let mut body = json!({ "items": items, "count": items.len() });
    if let Some(next) = page.next {
        body["next_cursor"] = server.cursor(&all, next, rules::cursor(next)).into();
    }
    Ok(server.listing(asked, &all, Answer::json(200, body)))
}
