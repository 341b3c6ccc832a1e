//! Objects are listed and searched, in pages.

use serde_json::{Value, json};

use super::rules;
use super::store::{Object, Store};
use super::{Server, typed};
use crate::serve::{Asked, Reply};

/// So many objects are on a page unless told.
const USUAL_PAGE: usize = 50;
/// The most that a server with a ceiling shows on a page.
const CEILING: usize = 3;

impl Server {
    pub(super) fn list(&self, asked: &Asked) -> Result<Reply, Reply> {
        let store = self.store();
        let all = self.listed(&store);
        if all.iter().any(|object| !is_sound(object)) && self.bends("half-characters-spoil-the-list") {
            return Err(self.error(500, "cannot encode"));
        }
        drop(store);
        self.page(asked, all, "list-ignores-limit")
    }

    /// All objects as a list shows them.
    fn listed(&self, store: &Store) -> Vec<Object> {
        let mut all: Vec<Object> = store
            .objects
            .iter()
            .filter(|object| !store.unlisted.contains(&object.id))
            .cloned()
            .collect();
        if !store.ghosts.is_empty() && self.bends("delete-stays-in-lists") {
            all.extend(store.ghosts.iter().cloned());
        }
        if self.bends("newest-first") {
            all.reverse();
        }
        all
    }

    pub(super) fn search(&self, asked: &Asked) -> Result<Reply, Reply> {
        let wanted = rules::parameters(asked.query.as_deref());
        let (namespace, part) = (wanted.get("namespace"), wanted.get("key_contains").cloned());
        let has_plus = part.as_ref().is_some_and(|part| part.contains('+'));
        let part = match has_plus && self.bends("search-reads-a-plus-as-a-space") {
            true => part.map(|part| part.replace('+', " ")),
            false => part,
        };
        let store = self.store();
        let all = self.listed(&store);
        let unfound = store.unfound.clone();
        drop(store);
        let found = all
            .into_iter()
            .filter(|object| !unfound.contains(&object.id))
            .filter(|object| self.is_found(object, namespace.map(String::as_str), part.as_deref()))
            .collect();
        self.page(asked, found, "search-ignores-limit")
    }

    fn is_found(&self, object: &Object, namespace: Option<&str>, part: Option<&str>) -> bool {
        let Object {
            namespace: own, key, ..
        } = object;
        let rule = rules::is_found(own, key, namespace, part);
        let differs = |other: bool, name: &'static str| other != rule && self.bends(name);
        let spaces = |of: fn(&str, &str) -> bool| {
            namespace.is_none_or(|wanted| of(own, wanted)) && rules::is_found(own, key, None, part)
        };
        let keys = |of: fn(&str, &str) -> bool| {
            rules::is_found(own, key, namespace, None) && part.is_none_or(|part| of(key, part))
        };
        let either = match (namespace, part) {
            (Some(_), Some(_)) => {
                rules::is_found(own, key, namespace, None) || rules::is_found(own, key, None, part)
            }
            _ => rule,
        };
        let wild = keys(|key, part| part.split(['%', '_']).all(|piece| key.contains(piece)));
        let folded = keys(|key, part| key.to_lowercase().contains(&part.to_lowercase()));
        rule != (differs(
            spaces(|own, wanted| own.starts_with(wanted)),
            "search-takes-beginnings-of-namespaces",
        ) || differs(
            spaces(|own, wanted| own.eq_ignore_ascii_case(wanted)),
            "search-folds-the-case-of-namespaces",
        ) || differs(
            keys(|key, part| key.starts_with(part)),
            "search-looks-at-the-beginning-of-keys",
        ) || differs(keys(|key, part| key == part), "search-wants-the-whole-key")
            || differs(either, "search-takes-either")
            || differs(wild, "search-with-wildcards")
            || differs(rules::is_found(own, key, namespace, None), "search-ignores-keys")
            || differs(rules::is_found(own, key, None, part), "search-ignores-namespaces")
            || differs(folded, "keys-are-found-in-any-case"))
    }

    fn page(&self, asked: &Asked, mut all: Vec<Object>, ignores: &'static str) -> Result<Reply, Reply> {
        let wanted = rules::parameters(asked.query.as_deref());
        let limit = self.limit(wanted.get("limit"), ignores)?;
        let turns = || {
            self.bends("lists-in-another-order-each-time")
                || wanted.is_empty() && self.bends("usual-lists-in-another-order-each-time")
        };
        if all.len() > 1 && turns() {
            let turn = usize::from(rand::random::<u8>()) % all.len();
            all.rotate_left(turn);
        }
        let cursor = wanted.get("cursor").filter(|cursor| !cursor.is_empty());
        let cursor = cursor.filter(|_| !self.bends("cursors-are-ignored"));
        let from = match cursor {
            None => 0,
            Some(cursor) => self.from(cursor, &all)?,
        };
        let to = (from + limit).min(all.len());
        let shown = match () {
            () if from > 0 && self.bends("pages-show-the-last-again") => &all[from - 1..to],
            () if from > 0 && from < to && self.bends("pages-leave-one-out") => &all[from + 1..to],
            () => &all[from.min(all.len())..to],
        };
        let items: Vec<Value> = shown.iter().map(|object| self.item(object)).collect();
        let is_last = to >= all.len();
        if is_last && self.bends("pages-never-end") {
            return Ok(self.listing(asked, items, all.len(), Some(self.cursor(all.len(), &all))));
        }
        let next = (!is_last).then(|| self.cursor(to, &all));
        if next.is_some() && self.bends("no-next-page-is-named") {
            return Ok(self.listing(asked, items, all.len(), None));
        }
        Ok(self.listing(asked, items, all.len(), next))
    }

    fn item(&self, object: &Object) -> Value {
        let mut item = object.shown();
        item["metadata"] = self.kept(&item["metadata"]);
        if self.bends("items-without-ids")
            && let Some(members) = item.as_object_mut()
        {
            members.shift_remove("id");
        }
        self.more(item)
    }

    /// How many objects a page may have.
    fn limit(&self, wanted: Option<&String>, ignores: &'static str) -> Result<usize, Reply> {
        let Some(text) = wanted else {
            return Ok(USUAL_PAGE);
        };
        match text.parse::<usize>() {
            Ok(limit) if limit > 0 => match () {
                () if limit < USUAL_PAGE && self.bends(ignores) => Ok(USUAL_PAGE),
                () if limit > CEILING && self.bends("limits-have-a-ceiling") => Ok(CEILING),
                () => Ok(limit.min(1000)),
            },
            _ if self.bends("odd-limits-500") => Err(self.error(500, "invalid literal for int()")),
            _ if self.bends("odd-limits-refused") => Err(self.error(400, "limit is to be a positive number")),
            _ => Ok(USUAL_PAGE),
        }
    }

    /// The name of the page that begins at an object.
    fn cursor(&self, at: usize, all: &[Object]) -> String {
        match self.deviations.contains(&"the-last-id-is-the-cursor") {
            true => all[at - 1].id.clone(),
            false => format!("p{at}"),
        }
    }

    /// Where the page of a name begins.
    fn from(&self, cursor: &str, all: &[Object]) -> Result<usize, Reply> {
        let at = match self.deviations.contains(&"the-last-id-is-the-cursor") {
            true => all.iter().position(|object| object.id == cursor).map(|at| at + 1),
            false => cursor
                .strip_prefix('p')
                .and_then(|at| at.parse().ok())
                .filter(|at| *at <= all.len()),
        };
        match at {
            Some(at) => Ok(at),
            None if self.bends("odd-cursors-500") => Err(self.error(500, "cannot decode the cursor")),
            None if self.bends("odd-cursors-refused") => Err(self.error(400, "there is no such page")),
            None => Ok(0),
        }
    }

    fn listing(&self, asked: &Asked, items: Vec<Value>, total: usize, next: Option<String>) -> Reply {
        let count = items.len();
        let mut body = json!({ "items": items });
        match () {
            () if self.bends("no-count") => {}
            () if self.bends("the-count-is-the-total") => body["count"] = total.into(),
            () => body["count"] = count.into(),
        }
        let mut link = None;
        match next {
            Some(_) if self.bends("the-last-id-is-the-cursor") => {}
            Some(next) if self.bends("a-link-names-the-next-page") => {
                let mut query = rules::parameters(asked.query.as_deref());
                query.insert("cursor".to_owned(), next);
                let pairs: Vec<String> = query
                    .iter()
                    .map(|(name, value)| format!("{name}={}", crate::text::encode_segment(value)))
                    .collect();
                link = Some(format!("<{}?{}>; rel=\"next\"", asked.path, pairs.join("&")));
            }
            Some(next) if self.bends("next-cursor-in-camel-case") => body["nextCursor"] = next.into(),
            Some(next) => body["next_cursor"] = next.into(),
            None if self.bends("no-cursor-is-null") => body["next_cursor"] = Value::Null,
            None if self.bends("no-cursor-is-empty") => body["next_cursor"] = "".into(),
            None => {}
        }
        if self.bends("a-list-without-an-object") {
            return typed(200, "application/json", &body["items"].to_string());
        }
        let mut reply = self.json(200, &body);
        reply.headers.extend(link.map(|link| ("link", link)));
        reply
    }
}

/// Whether an object has no half of a character in it, as a server stores it that takes them.
pub(super) fn is_sound(object: &Object) -> bool {
    !object.content.to_string().contains('\u{0}') && !object.content.to_string().contains("\\u00")
}
