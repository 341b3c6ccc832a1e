//! How a server lists otherwise: in another order, in other pages, and how it names the next one.

use serde_json::Value;

use crate::omp::server::Server;
use crate::omp::server::answer::{Answer, Body};
use crate::omp::server::rules::addresses::parameters;
use crate::omp::server::store::Object;
use crate::serve::Asked;

/// The most that a server with a ceiling shows on a page.
const CEILING: usize = 3;

impl Server {
    /// The order in which objects are listed.
    pub(in crate::omp::server) fn other_order(&self, mut objects: Vec<Object>) -> Vec<Object> {
        if self.bends("newest-first") {
            objects.reverse();
        }
        objects
    }

    /// How many objects a page has where so many are wanted.
    pub(in crate::omp::server) fn other_limit(&self, limit: usize) -> usize {
        match limit > CEILING && self.bends("limits-have-a-ceiling") {
            true => CEILING,
            false => limit,
        }
    }

    /// How many objects a page has where what is wanted is no positive number.
    ///
    /// # Errors
    /// It is refused.
    pub(in crate::omp::server) fn odd_limit(&self, limit: usize) -> Result<usize, Answer> {
        match self.bends("odd-limits-refused") {
            true => Err(Answer::refused(400, "limit is to be a positive number")),
            false => Ok(limit),
        }
    }

    /// The page of a name that there is not.
    ///
    /// # Errors
    /// It is refused.
    pub(in crate::omp::server) fn odd_cursor(&self) -> Result<Option<usize>, Answer> {
        match self.bends("odd-cursors-refused") {
            true => Err(Answer::refused(400, "there is no such page")),
            false => Ok(None),
        }
    }

    /// Where the page of a name begins.
    pub(in crate::omp::server) fn other_page_of(
        &self,
        cursor: &str,
        all: &[Object],
        at: Option<usize>,
    ) -> Option<usize> {
        match self.has("the-last-id-is-the-cursor") {
            true => all.iter().position(|object| object.id == cursor).map(|at| at + 1),
            false => at,
        }
    }

    /// The name of the page that begins there.
    pub(in crate::omp::server) fn cursor(&self, all: &[Object], at: usize, cursor: String) -> String {
        let last = at.checked_sub(1).and_then(|last| all.get(last));
        match last {
            Some(last) if self.has("the-last-id-is-the-cursor") => last.id.clone(),
            _ => cursor,
        }
    }

    /// The answer that is a page.
    pub(in crate::omp::server) fn other_listing(
        &self,
        asked: &Asked,
        all: &[Object],
        mut answer: Answer,
    ) -> Answer {
        let Body::Json(page) = &mut answer.body else {
            return answer;
        };
        if self.bends("the-count-is-the-total") {
            page["count"] = all.len().into();
        }
        if self.bends("no-count") {
            taken(page, "count");
        }
        match taken(page, "next_cursor") {
            Some(_) if self.bends("the-last-id-is-the-cursor") => {}
            Some(next) if self.bends("a-link-names-the-next-page") => {
                let cursor = next.as_str().unwrap_or_default();
                answer.headers.push(("link", link(asked, cursor)));
            }
            Some(next) if self.bends("next-cursor-in-camel-case") => page["nextCursor"] = next,
            Some(next) => page["next_cursor"] = next,
            None if self.bends("no-cursor-is-null") => page["next_cursor"] = Value::Null,
            None if self.bends("no-cursor-is-empty") => page["next_cursor"] = "".into(),
            None => {}
        }
        answer
    }
}

/// Takes a member out of an object.
fn taken(object: &mut Value, name: &str) -> Option<Value> {
    object.as_object_mut()?.shift_remove(name)
}

/// The link to the page of a name, which asks for all else that was asked.
fn link(asked: &Asked, cursor: &str) -> String {
    let mut query = parameters(asked.query.as_deref());
    query.insert("cursor".to_owned(), cursor.to_owned());
    let pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", crate::text::encode_segment(value)))
        .collect();
    format!("<{}?{}>; rel=\"next\"", asked.path, pairs.join("&"))
}
