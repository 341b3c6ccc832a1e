//! How a server lists other objects than it should, or in other pages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::search;
use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::answer::{Answer, Body};
use crate::omp::server::rules::addresses::parameters;
use crate::omp::server::rules::pages::{Page, USUAL_PAGE};
use crate::omp::server::store::Object;
use crate::serve::Asked;
use crate::serve::{Fault, fault};

/// So many objects are looked at by a server that stops there.
const MOST_LOOKED_AT: usize = 100;

/// What a list shows, and in which pages.
pub(super) const PAGES: &[Fault] = &[
    fault(
        "lists-hide-what-is-new",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "New objects are not listed.",
        "Objects are found by their ids alone.",
        "List what is stored.",
    ),
    fault(
        "a-list-without-an-object",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "A list is answered as an array, without the object around it.",
        "Clients find no items.",
        "Answer an object with items.",
    ),
    fault(
        "items-without-ids",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "The items of a list have no ids.",
        "Nothing that is listed can be read.",
        "Show the id of every object.",
    ),
    fault(
        "list-ignores-limit",
        "lists",
        &["OMP-LST-02"],
        Must,
        "list ignores limit.",
        "Small clients get large answers.",
        "Answer at most limit items.",
    ),
    fault(
        "search-ignores-limit",
        "lists",
        &["OMP-LST-02"],
        Must,
        "search ignores limit.",
        "Small clients get large answers.",
        "Answer at most limit items.",
    ),
    fault(
        "pages-leave-one-out",
        "lists",
        &["OMP-LST-03"],
        Must,
        "Every page after the first leaves an object out.",
        "Some objects are never listed.",
        "Let the next page begin where the last one ended.",
    ),
    fault(
        "pages-show-the-last-again",
        "lists",
        &["OMP-LST-03", "OMP-LST-02"],
        Must,
        "Every page shows the last object of the page before again.",
        "Objects are counted twice.",
        "Let the next page begin behind the last one.",
    ),
    fault(
        "pages-never-end",
        "lists",
        &["OMP-LST-03"],
        Must,
        "The last page names another.",
        "Clients ask for ever.",
        "Name no page where there is none.",
    ),
    fault(
        "cursors-are-ignored",
        "lists",
        &["OMP-LST-03"],
        Must,
        "The cursor is ignored: every page is the first.",
        "Nothing beyond the first page can be reached.",
        "Answer the page that the cursor names.",
    ),
    fault(
        "no-next-page-is-named",
        "lists",
        &["OMP-LST-03"],
        Must,
        "No page names the next one, in any way.",
        "Nothing beyond the first page can be reached.",
        "Name the next page while there is more.",
    ),
    fault(
        "usual-lists-in-another-order-each-time",
        "lists",
        &["OMP-LST-04"],
        Should,
        "Without a limit the list comes in another order each time.",
        "Lists jump about under the reader's eyes.",
        "Sort by what does not change.",
    ),
    fault(
        "lists-in-another-order-each-time",
        "lists",
        &["OMP-LST-04", "OMP-LST-03"],
        Should,
        "The order of objects changes from call to call.",
        "Pages show objects twice and leave others out.",
        "Sort by what does not change.",
    ),
    fault(
        "lists-hide-what-is-empty",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "Objects with empty content are not listed.",
        "Some objects are found by their ids alone.",
        "List what is stored, whatever it holds.",
    ),
    fault(
        "lists-hide-what-has-no-key",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "Objects that were created without a key are not listed.",
        "Some objects are found by their ids alone.",
        "List what is stored, whatever its key.",
    ),
    fault(
        "lists-show-a-key-once",
        "lists",
        &["OMP-LST-01", "OMP-LST-03", "OMP-LST-05"],
        Must,
        "Of the objects with one key, whatever their namespaces, one is listed.",
        "Some objects are found by their ids alone.",
        "Group by nothing.",
    ),
    fault(
        "lists-end-at-a-hundred",
        "lists",
        &["OMP-LST-01", "OMP-LST-03", "OMP-LST-05"],
        Must,
        "Of what is stored, the last hundred objects are looked at.",
        "Older objects are found by their ids alone.",
        "Look through all, and cut what was found into pages.",
    ),
    fault(
        "lists-with-old-metadata",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "A list shows metadata as it was when it showed it first.",
        "Labels in lists are out of date.",
        "Show what is stored.",
    ),
    fault(
        "lists-without-metadata",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "The items of a list have no metadata.",
        "Clients cannot tell objects apart by their labels.",
        "Show whole objects, without their content.",
    ),
    fault(
        "counts-as-text",
        "lists",
        &["OMP-LST-01", "OMP-LST-05"],
        Must,
        "The count of a list is a string.",
        "Clients that read a number fail.",
        "Answer a number, or none.",
    ),
];

/// What becomes of parameters that are none.
pub(super) const PARAMETERS: &[Fault] = &[
    fault(
        "odd-limits-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "A limit that is no number is answered 500.",
        "A typing error looks like an outage.",
        "Check parameters before they are used.",
    ),
    fault(
        "odd-cursors-500",
        "errors",
        &["OMP-ERR-03"],
        Must,
        "A cursor that there is not is answered 500.",
        "An old link looks like an outage.",
        "Check cursors before they are used.",
    ),
];

impl Server {
    /// The objects that are listed, given all that are stored.
    ///
    /// # Errors
    /// This server cannot list them.
    pub(in crate::omp::server) fn listed(
        &self,
        asked: &Asked,
        mut stored: Vec<Object>,
    ) -> Result<Vec<Object>, Answer> {
        if self.bends("lists-hide-what-is-new") {
            stored.clear();
        }
        stored.retain(|object| {
            let is_empty = object.content == Value::Object(serde_json::Map::new());
            !(is_empty && self.bends("lists-hide-what-is-empty")
                || object.key == object.id && self.bends("lists-hide-what-has-no-key"))
        });
        if self.has("lists-show-a-key-once") {
            let mut keys = BTreeSet::new();
            stored.retain(|object| keys.insert(object.key.clone()) || !self.bends("lists-show-a-key-once"));
        }
        if stored.len() > MOST_LOOKED_AT && self.bends("lists-end-at-a-hundred") {
            stored.drain(..stored.len() - MOST_LOOKED_AT);
        }
        if is_search(asked) && search::has_quotes(asked) && self.bends("search-breaks-at-quotes") {
            return Err(Answer::refused(500, "unterminated string in the statement"));
        }
        let listed = self.other_order(self.with_ghosts(asked, stored));
        if !is_search(asked) {
            self.encodes_all(&listed)?;
        }
        Ok(listed)
    }

    /// Objects in the order in which they are shown.
    pub(in crate::omp::server) fn ordered(
        &self,
        wanted: &BTreeMap<String, String>,
        objects: &[Object],
    ) -> Vec<Object> {
        let mut objects = objects.to_vec();
        let turns = || {
            self.bends("lists-in-another-order-each-time")
                || wanted.is_empty() && self.bends("usual-lists-in-another-order-each-time")
        };
        if objects.len() > 1 && turns() {
            let turn = usize::from(rand::random::<u8>()) % objects.len();
            objects.rotate_left(turn);
        }
        objects
    }

    /// How many objects a page may have, given how many are wanted.
    ///
    /// # Errors
    /// What is wanted is no number to this server.
    pub(in crate::omp::server) fn limit(
        &self,
        asked: &Asked,
        wanted: Option<&str>,
        limit: usize,
    ) -> Result<usize, Answer> {
        let Some(wanted) = wanted else {
            return Ok(limit);
        };
        if !wanted.parse().is_ok_and(|number: usize| number > 0) {
            return match self.bends("odd-limits-500") {
                true => Err(Answer::refused(500, "invalid literal for int()")),
                false => self.odd_limit(limit),
            };
        }
        let ignores = match is_search(asked) {
            true => "search-ignores-limit",
            false => "list-ignores-limit",
        };
        match limit < USUAL_PAGE && self.bends(ignores) {
            true => Ok(USUAL_PAGE),
            false => Ok(self.other_limit(limit)),
        }
    }

    /// Where the page of a name begins, given where that is by its name; none where there is no such page.
    ///
    /// # Errors
    /// This server does not know the name.
    pub(in crate::omp::server) fn page_of(
        &self,
        cursor: &str,
        all: &[Object],
        at: Option<usize>,
    ) -> Result<Option<usize>, Answer> {
        if cursor.is_empty() || self.bends("cursors-are-ignored") {
            return Ok(None);
        }
        match self.other_page_of(cursor, all, at) {
            Some(at) => Ok(Some(at)),
            None if self.bends("odd-cursors-500") => Err(Answer::refused(500, "cannot decode the cursor")),
            None => self.odd_cursor(),
        }
    }

    /// The page that is shown, given the one that was asked for.
    pub(in crate::omp::server) fn page(&self, all: &[Object], mut page: Page) -> Page {
        let from = page.shown.start;
        if from > 0 && self.bends("pages-show-the-last-again") {
            page.shown.start -= 1;
        } else if from > 0 && !page.shown.is_empty() && self.bends("pages-leave-one-out") {
            page.shown.start += 1;
        }
        page.next = match page.next {
            None if self.bends("pages-never-end") => Some(all.len()),
            Some(_) if self.bends("no-next-page-is-named") => None,
            next => next,
        };
        page
    }

    /// An object as a page shows it.
    pub(in crate::omp::server) fn item(&self, mut item: Value) -> Value {
        item["metadata"] = self.kept(&item["metadata"]);
        if self.has("lists-with-old-metadata") {
            let id = item["id"].to_string();
            let first = self
                .memory()
                .listed
                .entry(id)
                .or_insert_with(|| item["metadata"].clone())
                .clone();
            if first != item["metadata"] && self.bends("lists-with-old-metadata") {
                item["metadata"] = first;
            }
        }
        if self.bends("lists-without-metadata")
            && let Some(members) = item.as_object_mut()
        {
            members.shift_remove("metadata");
        }
        if self.bends("items-without-ids")
            && let Some(members) = item.as_object_mut()
        {
            members.shift_remove("id");
        }
        self.adds_members(&mut item);
        item
    }

    /// The answer that is a page, given one that has the items, their count and the name of the next page.
    pub(in crate::omp::server) fn listing(&self, asked: &Asked, all: &[Object], answer: Answer) -> Answer {
        let mut answer = self.other_listing(asked, all, answer);
        if let Body::Json(body) = &mut answer.body
            && let Some(count) = body.get("count").map(Value::to_string)
            && self.bends("counts-as-text")
        {
            body["count"] = count.into();
        }
        match &answer.body {
            Body::Json(body) if self.bends("a-list-without-an-object") => {
                Answer::json(200, body["items"].clone())
            }
            _ => self.page_before(asked, answer),
        }
    }

    /// The page that was answered before to what a server takes for the same question.
    fn page_before(&self, asked: &Asked, answer: Answer) -> Answer {
        let faults = [
            "pages-stay-after-a-delete",
            "pages-are-kept-whatever-the-limit",
            "pages-are-kept-under-joined-names",
        ];
        let Some(fault) = faults.into_iter().find(|name| self.has(name)) else {
            return answer;
        };
        let mut wanted = parameters(asked.query.as_deref());
        if fault == "pages-are-kept-whatever-the-limit" {
            wanted.remove("limit");
        }
        if fault == "pages-are-kept-under-joined-names" {
            let part = wanted.remove("key_contains").unwrap_or_default();
            wanted.entry("namespace".to_owned()).or_default().push_str(&part);
        }
        let question = format!("{} {wanted:?}", asked.path);
        let kept = self
            .memory()
            .pages
            .entry(question)
            .or_insert_with(|| answer.clone())
            .clone();
        match kept != answer && self.bends(fault) {
            true => kept,
            false => answer,
        }
    }
}

/// Whether it is a search that lists.
fn is_search(asked: &Asked) -> bool {
    asked.path.ends_with("/search")
}
