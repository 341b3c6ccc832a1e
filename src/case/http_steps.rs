//! Steps of plain HTTP cases: call an operation of the route table, set and take away fields and headers, keep values of
//! answers, and say what is expected. A protocol that needs no more writes its suite as data: cases, requirements, a schema,
//! and at most a signer, whose forms are the type `S`.
//!
//! `${name}` in texts stands for a value that an earlier answer gave, `${ns}` for a text that no other case has, and `${n}`
//! for the number of the request within its step, from 0, `${each}` for the value that a step with `for-each` is at, `${long}` for a
//! text of a hundred kilobytes, and `${deep}` for ten thousand lists one within the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::file::{Case, ReadCase, StepFacts};
use super::nearest::nearest;
use super::snippet::Problem;
use crate::catalogue::{OperationInfo, OperationName};
use crate::http::{Answer, Exchange};
use crate::json;
use crate::keys::encoding::hex;
use crate::keys::{NamedKey, Seed};
use crate::text::encode_segment;

/// Values for parameters, header fields, or members of a body, by their names or pointers.
pub type Texts = BTreeMap<String, String>;

/// So many pages of a list are followed unless told.
const MOST_PAGES: usize = 60;

/// How long a long text is, bytes.
const LONG_TEXT_BYTES: usize = 100_000;

/// One step: an operation, or a request outside the route table, once or several times.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", bound = "S: Deserialize<'de>")]
pub struct HttpStep<S> {
    /// The operation of the route table.
    pub call: Option<String>,
    /// A request outside the route table: `PATCH /objects`.
    pub request: Option<String>,
    /// The service that is asked; the first that is there unless told.
    pub on: Option<String>,
    /// Parameters of the path; one that is not named is the value that was kept under its name.
    #[serde(default)]
    pub path: Texts,
    /// Parameters of the query.
    #[serde(default)]
    pub query: Texts,
    /// Header fields; an empty value takes one away.
    #[serde(default)]
    pub headers: Texts,
    /// The body, as JSON.
    pub json: Option<String>,
    /// The body as it is, be it JSON or not.
    pub text: Option<String>,
    /// How it is signed; as the service wants it unless told.
    pub sign: Option<S>,
    /// Each makes a request of its own, changed in this way.
    #[serde(default)]
    pub each: Vec<Change<S>>,
    /// So many times.
    #[serde(default = "once")]
    pub times: usize,
    /// Once for each value that was kept under this name: `${each}` stands for it.
    pub for_each: Option<String>,
    /// All of them at the same moment.
    #[serde(default)]
    pub at_once: bool,
    /// Follows the pages of a list to its end.
    pub pages: Option<Pages>,
    /// Starts a server for this case alone, with these variables in its environment; an empty value takes one away. It is asked from
    /// then on. `${key-id}` is the id of the first key that targets know, and `${key-base64url}`, `${key-base64}` and `${key-hex}` are its
    /// public key.
    pub start: Option<Texts>,
    /// Whether a server that does not start so is conformant as well: then the case is over.
    #[serde(default)]
    pub may_refuse: bool,
    /// The statuses that a conformant target may answer with: `200 or 204`, `2xx`.
    #[serde(default)]
    pub answer: String,
    /// What is expected of the body of a 2xx answer.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// Values to keep of a 2xx answer: names, and where each stands in the body.
    #[serde(default)]
    pub keep: Texts,
    /// The same, where the step may be refused as well: of a refusal nothing is kept.
    #[serde(default)]
    pub keep_if_granted: Texts,
    /// A name under which no value may be kept twice.
    pub distinct: Option<String>,
    /// What the step verifies instead of what the case does.
    pub checks: Option<Vec<String>>,
}

fn once() -> usize {
    1
}

/// A change to the request of a step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", bound = "S: Deserialize<'de>")]
pub struct Change<S> {
    /// What it is, for people.
    pub about: Option<String>,
    /// Members of the JSON body that are set: pointers, and values as JSON.
    #[serde(default)]
    pub set: Texts,
    /// Members of the JSON body that are taken away: pointers.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Parameters of the path.
    #[serde(default)]
    pub path: Texts,
    /// Parameters of the query.
    #[serde(default)]
    pub query: Texts,
    /// Header fields; an empty value takes one away.
    #[serde(default)]
    pub headers: Texts,
    /// Another body, as it is.
    pub text: Option<String>,
    /// Another body, as hexadecimal digits.
    pub bytes: Option<String>,
    /// Another request line outside the route table; without the body of the step.
    pub request: Option<String>,
    /// How it is signed.
    pub sign: Option<S>,
    /// The statuses that this request may be answered with, where they are others.
    pub answer: Option<String>,
}

/// A list that is followed from page to page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pages {
    /// Where the items stand in the body of a page.
    pub items: String,
    /// What an item is known by, within it.
    pub id: String,
    /// The name under which the values were kept that the pages must show, each once.
    pub show: String,
    /// Whether they show nothing else.
    #[serde(default)]
    pub only: bool,
    /// The parameter of the query that names a page.
    #[serde(default = "cursor")]
    pub parameter: String,
    /// No more pages than this are asked for.
    #[serde(default = "most_pages")]
    pub most: usize,
}

fn cursor() -> String {
    "cursor".to_owned()
}

fn most_pages() -> usize {
    MOST_PAGES
}

/// Something that is expected of the body of a 2xx answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// Where: a JSON pointer, the whole body unless told.
    #[serde(default)]
    pub at: String,
    /// It is equal to this JSON.
    pub is: Option<String>,
    /// It is not equal to this JSON.
    pub is_not: Option<String>,
    /// It is of this kind.
    pub kind: Option<Kind>,
    /// There is nothing.
    #[serde(default)]
    pub absent: bool,
    /// It is a list of so many items at most.
    pub at_most: Option<usize>,
    /// It is a list with an item in which these pointers lead to this JSON.
    pub has: Option<Texts>,
    /// It is a list without such an item.
    pub lacks: Option<Texts>,
    /// Each of its items has this.
    pub all: Option<Texts>,
    /// These members of it are equal to each other.
    pub same: Option<Vec<String>>,
    /// What is verified by it, instead of what the step verifies.
    pub checks: Option<Vec<String>>,
}

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A string that is not empty.
    Text,
    /// An object.
    Object,
    /// A list.
    List,
    /// A time as RFC 3339 writes it, in UTC, within five minutes of the exchange.
    TimeNow,
}

/// What a plain HTTP protocol is to its steps: its route table, and a few functions.
pub struct HttpProtocol<S: 'static> {
    /// The route table.
    pub operations: &'static [OperationInfo],
    /// Its services: requests go to the first of them that is there, unless told.
    pub services: &'static [&'static str],
    /// Signs a request.
    pub sign: fn(&Unsigned<'_>, Option<&S>) -> Result<Signed, String>,
    /// The name of the page that follows, by the answer that a page is.
    pub next_page: fn(&Answer) -> Option<String>,
    /// The rules that an operation is held to where a step merely prepares.
    pub prepares: fn(&str) -> &'static [&'static str],
    /// The rule that an answer contradicts, whatever the step verifies: by the exchange, and by what came before it in the case.
    pub blame: fn(&Exchange, &[Exchange]) -> Option<&'static str>,
    /// Whether the answer to a request that was granted is the message that its operation is answered with. Nothing is expected of
    /// the members of another.
    pub is_message: fn(&Exchange) -> bool,
    /// Whether a list was asked for an item of it; else the list has what nobody asked for.
    pub is_asked_for: fn(&Exchange, &Value) -> bool,
    /// What paging is held to.
    pub paging: Paging,
}

/// What paging is held to.
pub struct Paging {
    /// The rule.
    pub rule: &'static str,
    /// The parameter that says how many items a page may have.
    pub limit: &'static str,
}

/// A request that is about to be signed.
pub struct Unsigned<'a> {
    /// The service that is asked.
    pub service: &'a str,
    /// The method.
    pub method: &'a str,
    /// The whole address, with the authority that the header Host says.
    pub url: &'a str,
    /// The whole address at which it is asked, whatever Host says.
    pub asked_at: &'a str,
    /// The body.
    pub body: Option<&'a [u8]>,
    /// The keys that the target knows.
    pub keys: &'a [NamedKey],
    /// What time it is, epoch seconds.
    pub now: i64,
    /// A text that no other case has.
    pub unique: &'a str,
}

/// What a signer adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signed {
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// How it deviates from a valid signature, for people; none where it is valid or there is none to be.
    pub about: Option<String>,
}

/// What texts can name: the values that were kept, each name with all that came under it.
#[derive(Debug, Clone)]
pub struct Variables {
    kept: BTreeMap<String, Vec<Value>>,
    unique: String,
    /// The name whose values a step goes through.
    each: Option<String>,
    /// The number of the request within its step.
    pub n: usize,
}

impl Variables {
    /// Nothing is kept yet.
    pub fn new(seed: &Seed, generation: u32, case: &str) -> Variables {
        let bytes = seed.derive(&["http-steps", &generation.to_string(), case]);
        Variables {
            kept: BTreeMap::new(),
            unique: format!("conform-{}", hex(&bytes[..6])),
            each: None,
            n: 0,
        }
    }

    /// Begins a step that goes through the values of a name, or one that does not.
    pub fn begin(&mut self, for_each: Option<&str>) {
        self.each = for_each.map(str::to_owned);
    }

    /// A text that no other case has.
    pub fn unique(&self) -> &str {
        &self.unique
    }

    /// All that was kept under a name, in order.
    pub fn all(&self, name: &str) -> &[Value] {
        self.kept.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Keeps of an answer what a step wants. The error names what it does not have.
    ///
    /// # Errors
    /// A pointer leads to nothing.
    pub fn keep(&mut self, wanted: &Texts, answer: &Answer) -> Result<(), String> {
        if wanted.is_empty() || !is_success(answer.status) {
            return Ok(());
        }
        let body = json::first(answer.body.as_bytes()).unwrap_or_default();
        for (name, pointer) in wanted {
            let value = body
                .pointer(pointer)
                .filter(|value| !value.is_null())
                .ok_or_else(|| format!("the answer has nothing at {pointer}"))?;
            self.kept.entry(name.clone()).or_default().push(value.clone());
        }
        Ok(())
    }

    fn value(&self, name: &str) -> Result<Value, String> {
        match name {
            "ns" => Ok(self.unique.clone().into()),
            "n" => Ok(self.n.into()),
            "long" => Ok("long ".repeat(LONG_TEXT_BYTES / 5).into()),
            "deep" => Ok(json::deep_lists().into()),
            name => {
                let value = match &self.each {
                    Some(each) if name == "each" => self.all(each).get(self.n),
                    _ => self.all(name).last(),
                };
                let none = || format!("no earlier answer gave the {name} that this request needs");
                value.cloned().ok_or_else(none)
            }
        }
    }

    /// A text with all names filled in; `written` says how a string stands in it.
    fn filled(&self, text: &str, written: fn(&str) -> String) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("a name in {text:?} has no end"))?;
            out.push_str(before);
            match self.value(name)? {
                Value::String(text) => out.push_str(&written(&text)),
                other => out.push_str(&other.to_string()),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// A plain text with all names filled in.
    ///
    /// # Errors
    /// A name stands for nothing.
    pub fn plain(&self, text: &str) -> Result<String, String> {
        self.filled(text, str::to_owned)
    }

    /// A JSON text with all names filled in: those of strings stand within quotes.
    ///
    /// # Errors
    /// A name stands for nothing.
    pub fn json_text(&self, text: &str) -> Result<String, String> {
        self.filled(text, |text| {
            let quoted = Value::from(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        })
    }

    /// The value of a JSON text with all names filled in.
    ///
    /// # Errors
    /// A name stands for nothing, or it is no JSON.
    pub fn json(&self, text: &str) -> Result<Value, String> {
        let text = self.json_text(text)?;
        serde_json::from_str(&text).map_err(|error| format!("{text} is no JSON: {error}"))
    }
}

/// A request as a step means it, before it is signed.
#[derive(Debug, Clone)]
pub struct Call<'a, S> {
    /// The operation; none outside the route table.
    pub operation: Option<&'static OperationInfo>,
    /// The method.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// How it is signed.
    pub sign: Option<&'a S>,
    /// How it deviates from a plain request of the step.
    pub about: Option<String>,
}

impl<S> HttpStep<S> {
    /// How often it is done, with what was kept before.
    pub fn times(&self, known: &Variables) -> usize {
        match &self.for_each {
            Some(name) => known.all(name).len(),
            None => self.times,
        }
    }

    /// How many requests each time is.
    pub fn variants(&self) -> usize {
        self.each.len().max(1)
    }

    /// The request of a variant.
    ///
    /// # Errors
    /// A text names what no earlier answer gave.
    pub fn call<'a>(
        &'a self,
        variant: usize,
        operations: &'static [OperationInfo],
        known: &Variables,
    ) -> Result<Call<'a, S>, String> {
        let change = self.each.get(variant);
        let own = change.and_then(|change| change.request.as_ref());
        let operation = match own {
            Some(_) => None,
            None => operations
                .iter()
                .find(|operation| Some(operation.name) == self.call.as_deref()),
        };
        let (method, route) = match (own.or(self.request.as_ref()), operation) {
            (Some(line), _) => line.split_once(' ').unwrap_or((line, "/")),
            (None, Some(operation)) => (operation.method, operation.path),
            (None, None) => ("GET", "/"),
        };
        let merged = |of: fn(&HttpStep<S>) -> &Texts, and: fn(&Change<S>) -> &Texts| {
            let mut texts = of(self).clone();
            texts.extend(change.map(and).cloned().unwrap_or_default());
            texts
        };
        let path = merged(|step| &step.path, |change| &change.path);
        let query = merged(|step| &step.query, |change| &change.query);
        let fields = merged(|step| &step.headers, |change| &change.headers);
        let body = self.body(change, known)?;
        let mut headers = Vec::new();
        let has = |name: &str| fields.keys().any(|field| field.eq_ignore_ascii_case(name));
        if body.is_some() && !has("content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            headers.push((name.clone(), known.plain(value)?));
        }
        Ok(Call {
            operation,
            method: method.to_owned(),
            path: target(route, &path, &query, known)?,
            headers,
            body,
            sign: change
                .and_then(|change| change.sign.as_ref())
                .or(self.sign.as_ref()),
            about: change.and_then(Change::title),
        })
    }

    fn body(&self, change: Option<&Change<S>>, known: &Variables) -> Result<Option<Vec<u8>>, String> {
        if let Some(bytes) = change.and_then(|change| change.bytes.as_ref()) {
            return Ok(Some(unhex(bytes)));
        }
        if let Some(text) = change
            .and_then(|change| change.text.as_ref())
            .or(self.text.as_ref())
        {
            return Ok(Some(known.json_text(text)?.into_bytes()));
        }
        let is_another = change.is_some_and(|change| change.request.is_some());
        let Some(text) = self.json.as_ref().filter(|_| !is_another) else {
            return Ok(None);
        };
        let Some(change) = change.filter(|change| !change.set.is_empty() || !change.remove.is_empty()) else {
            return Ok(Some(known.json_text(text)?.into_bytes()));
        };
        let mut body = known.json(text)?;
        for (pointer, value) in &change.set {
            json::set(&mut body, pointer, known.json(value)?);
        }
        for pointer in &change.remove {
            json::remove(&mut body, pointer);
        }
        Ok(Some(body.to_string().into_bytes()))
    }

    /// The statuses that a variant may be answered with.
    pub fn answers(&self, variant: usize) -> &str {
        let own = self.each.get(variant).and_then(|change| change.answer.as_deref());
        own.unwrap_or(&self.answer)
    }
}

impl<S> Change<S> {
    /// What it is, for people.
    fn title(&self) -> Option<String> {
        if let Some(about) = &self.about {
            return Some(about.clone());
        }
        let set = self.set.iter().map(|(at, value)| format!("{at} is {value}"));
        let removed = self.remove.iter().map(|at| format!("without {at}"));
        let headers = self.headers.iter().map(|(name, value)| match value.as_str() {
            "" => format!("without {name}"),
            value => format!("{name}: {value}"),
        });
        let others = self.path.iter().chain(&self.query);
        let others = others.map(|(name, value)| format!("{name}={value}"));
        let all: Vec<String> = set.chain(removed).chain(headers).chain(others).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// The path of a route and its query, with all parameters filled in.
fn target(route: &str, path: &Texts, query: &Texts, known: &Variables) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = route;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        let value = match path.get(name) {
            Some(text) => known.plain(text)?,
            None => known.plain(&format!("${{{name}}}"))?,
        };
        out.push_str(&encode_segment(&value));
        rest = after;
    }
    out.push_str(rest);
    for (at, (name, value)) in query.iter().enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(&encode_segment(&known.plain(value)?));
    }
    Ok(out)
}

/// The bytes of hexadecimal digits.
fn unhex(digits: &str) -> Vec<u8> {
    let digit = |character: char| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = digits.chars().filter_map(digit).collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit))
        .collect()
}

/// Whether a status is one that a text names: `200 or 204`, `2xx`.
pub fn names_status(text: &str, status: u16) -> bool {
    text.split(" or ").any(|word| match word.strip_suffix("xx") {
        Some(class) => class == (status / 100).to_string(),
        None => word == status.to_string(),
    })
}

/// Whether a request was granted.
pub fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Whether a server sends its client to the same path with a slash more or less at its end: the request is made there, and
/// nothing is judged but what comes then. It is the path to go on with.
pub fn redirected(exchange_path: &str, answer: &Answer) -> Option<String> {
    if !matches!(answer.status, 307 | 308) {
        return None;
    }
    let location = answer.header("location")?;
    let place = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => location,
    };
    let parts = |path: &str| match path.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (path.to_owned(), None),
    };
    let ((path, query), (old, old_query)) = (parts(place), parts(exchange_path));
    let base = path
        .trim_end_matches('/')
        .strip_suffix(old.trim_end_matches('/'))?
        .len();
    let path = &path[base..];
    // A server may leave the query out of what it says.
    let query = query
        .or(old_query)
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    (path != old).then(|| format!("{path}{query}"))
}

/// The items of a list that stands at a pointer of an answer's body; none where there is no list.
pub fn items(answer: &Answer, at: &str) -> Vec<Value> {
    let body = json::first(answer.body.as_bytes()).unwrap_or_default();
    let items = body.pointer(at).and_then(Value::as_array);
    items.cloned().unwrap_or_default()
}

/// What the items of a page are known by.
pub fn item_ids(pages: &Pages, items: &[Value]) -> Vec<Value> {
    let ids = items.iter().filter_map(|item| item.pointer(&pages.id));
    ids.cloned().collect()
}

/// What the engine is told of a step.
pub fn facts<S>(case: &Case<HttpStep<S>>, step: &HttpStep<S>) -> StepFacts {
    let steps = case.steps.iter().map(|it| it.get_ref());
    let last = steps.rev().find(|other| other.checks.is_none());
    let mut requirements = step.checks.clone().unwrap_or_default();
    let own = step.expect.iter().filter_map(|expect| expect.checks.as_ref());
    requirements.extend(own.flatten().cloned());
    StepFacts {
        is_race: false,
        decides: last.is_some_and(|last| std::ptr::eq(last, step)),
        requirements,
        length: step.variants() * step.times * step.pages.as_ref().map_or(1, |_| 4),
    }
}

/// What is wrong with the steps of cases that were read: operations, services and names that there are not, JSON that is none,
/// requirements that are none.
pub fn mistakes<S>(
    cases: &[ReadCase<HttpStep<S>>],
    protocol: &HttpProtocol<S>,
    is_requirement: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let mut found = Vec::new();
    for case in cases {
        let mut known: Vec<String> = ["ns", "n", "long", "deep"].map(str::to_owned).to_vec();
        for (at, step) in case.steps.iter().enumerate() {
            for (message, help) in step_mistakes(step, protocol, &is_requirement, &known) {
                found.push(Problem {
                    source: Arc::clone(&case.head.source),
                    span: case.head.span.clone(),
                    message: format!("step {}: {message}", at + 1),
                    help,
                });
            }
            known.extend(step.keep.keys().chain(step.keep_if_granted.keys()).cloned());
        }
    }
    found
}

type Mistake = (String, Option<String>);

fn step_mistakes<S>(
    step: &HttpStep<S>,
    protocol: &HttpProtocol<S>,
    is_requirement: &impl Fn(&str) -> bool,
    known: &[String],
) -> Vec<Mistake> {
    let mut found: Vec<Mistake> = Vec::new();
    let near = |word: &str, words: &mut dyn Iterator<Item = &'static str>| {
        nearest(word, words).map(|near| format!("did you mean `{near}`?"))
    };
    if step.start.is_some() {
        if step.call.is_some() || step.request.is_some() || !step.answer.is_empty() {
            found.push(("`start` stands alone in its step".to_owned(), None));
        }
        return found;
    }
    match (&step.call, &step.request) {
        (Some(name), None) if !protocol.operations.iter().any(|it| it.name == name) => {
            let mut names = protocol.operations.iter().map(|it| it.name);
            found.push((format!("there is no operation {name}"), near(name, &mut names)));
        }
        (Some(_), None) | (None, Some(_)) => {}
        _ => found.push(("`call`, `request` or `start` is wanted".to_owned(), None)),
    }
    if let Some(service) = &step.on
        && !protocol.services.contains(&service.as_str())
    {
        let mut names = protocol.services.iter().copied();
        found.push((
            format!("there is no service {service}"),
            near(service, &mut names),
        ));
    }
    let own = step.each.iter().filter_map(|change| change.answer.as_ref());
    for text in std::iter::once(&step.answer).chain(own) {
        let is_status = |word: &str| {
            word.len() == 3
                && word.starts_with(|first: char| ('1'..='5').contains(&first))
                && (word.ends_with("xx") || word.parse::<u16>().is_ok())
        };
        if !text.split(" or ").all(is_status) {
            found.push((format!("{text:?} names no statuses: `200 or 204`, `2xx`"), None));
        }
    }
    let checks = step.checks.iter().flatten();
    let own = step
        .expect
        .iter()
        .filter_map(|expect| expect.checks.as_ref())
        .flatten();
    for id in checks.chain(own).filter(|id| !is_requirement(id)) {
        found.push((format!("there is no such requirement of servers: {id}"), None));
    }
    let mut known = known.to_vec();
    if let Some(name) = &step.for_each {
        if !known.contains(name) {
            found.push((format!("no earlier step keeps {name}"), None));
        }
        known.push("each".to_owned());
    }
    found.extend(texts(step).flat_map(|(text, is_json)| text_mistakes(text, is_json, &known)));
    found
}

/// Every text of a step in which names are filled in, and whether it is JSON.
fn texts<S>(step: &HttpStep<S>) -> impl Iterator<Item = (&str, bool)> {
    let plain = step
        .path
        .values()
        .chain(step.query.values())
        .chain(step.headers.values());
    let plain = plain.chain(&step.text);
    let changes = step.each.iter().flat_map(|change| {
        let plain = change
            .path
            .values()
            .chain(change.query.values())
            .chain(change.headers.values());
        let json = change.set.values().map(|text| (text.as_str(), true));
        plain
            .chain(&change.text)
            .map(|text| (text.as_str(), false))
            .chain(json)
    });
    let expected = step.expect.iter().flat_map(|expect| {
        let items = [&expect.has, &expect.lacks, &expect.all];
        let items = items.into_iter().flatten().flat_map(BTreeMap::values);
        items.chain(&expect.is).chain(&expect.is_not)
    });
    let json = step.json.iter().chain(expected).map(|text| (text.as_str(), true));
    plain
        .map(|text| (text.as_str(), false))
        .chain(changes)
        .chain(json)
}

fn text_mistakes(text: &str, is_json: bool, known: &[String]) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut filled = String::new();
    for (at, part) in text.split("${").enumerate() {
        let (name, rest) = match at {
            0 => (None, part),
            _ => part
                .split_once('}')
                .map_or((Some(part), ""), |(name, rest)| (Some(name), rest)),
        };
        if let Some(name) = name {
            filled.push('1');
            if !known.iter().any(|other| other == name) {
                let help = nearest(name, known.iter().map(String::as_str));
                let help = help.map(|near| format!("did you mean ${{{near}}}?"));
                found.push((format!("no earlier step keeps ${{{name}}}"), help));
            }
        }
        filled.push_str(rest);
    }
    if is_json && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&filled) {
        found.push((format!("{text} is no JSON: {error}"), None));
    }
    found
}

/// The name of the operation of a call.
pub fn operation_name(operation: Option<&'static OperationInfo>) -> Option<OperationName> {
    operation.map(|operation| OperationName::new(operation.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Variables {
        let mut known = Variables::new(&Seed::from_bytes([1; 32]), 0, "a/b");
        let answer = Answer {
            status: 201,
            headers: Vec::new(),
            body: r#"{"id": "a \"b\"/c", "size": 7}"#.into(),
        };
        let wanted = [("id", "/id"), ("size", "/size")].map(|(name, at)| (name.to_owned(), at.to_owned()));
        known.keep(&wanted.into(), &answer).unwrap();
        known
    }

    #[test]
    fn names_are_filled_in_as_their_place_wants_them() {
        let known = known();
        assert_eq!(known.plain("x=${id}").unwrap(), "x=a \"b\"/c");
        assert_eq!(
            known.json(r#"{"id": "${id}", "n": ${size}}"#).unwrap()["id"],
            "a \"b\"/c"
        );
        assert!(known.plain("${other}").unwrap_err().contains("other"));
        assert_eq!(
            target(
                "/objects/{id}",
                &Texts::new(),
                &[("limit".to_owned(), "${size}".to_owned())].into(),
                &known
            )
            .unwrap(),
            "/objects/a%20%22b%22%2Fc?limit=7"
        );
    }

    #[test]
    fn a_step_goes_through_all_that_was_kept_under_a_name() {
        let mut known = known();
        let answer = Answer {
            status: 201,
            headers: Vec::new(),
            body: r#"{"id": "second"}"#.into(),
        };
        known
            .keep(&[("id".to_owned(), "/id".to_owned())].into(), &answer)
            .unwrap();
        known.begin(Some("id"));
        let mut told = |n: usize| {
            known.n = n;
            known.plain("${each}")
        };
        assert_eq!(told(0).unwrap(), "a \"b\"/c");
        assert_eq!(told(1).unwrap(), "second");
        assert!(told(2).is_err());
        known.begin(None);
        assert!(known.plain("${each}").is_err());
    }

    #[test]
    fn a_value_that_is_not_there_is_not_kept() {
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: r#"{"id": null}"#.into(),
        };
        let wanted = [("id".to_owned(), "/id".to_owned())].into();
        assert!(known().keep(&wanted, &answer).is_err());
    }

    #[test]
    fn statuses_are_named_alone_and_by_their_class() {
        assert!(names_status("400 or 422", 422) && names_status("2xx", 204));
        assert!(!names_status("400 or 422", 404) && !names_status("2xx", 302));
    }

    #[test]
    fn a_redirect_is_followed_to_the_same_path_alone() {
        let to = |location: &str| Answer {
            status: 307,
            headers: vec![("location".to_owned(), location.to_owned())],
            body: "".into(),
        };
        let path = "/objects?limit=1";
        assert_eq!(
            redirected(path, &to("http://h:1/objects/?limit=1")).as_deref(),
            Some("/objects/?limit=1")
        );
        assert_eq!(
            redirected(path, &to("/objects/")).as_deref(),
            Some("/objects/?limit=1")
        );
        assert_eq!(
            redirected("/objects/1", &to("/base/objects/1/")).as_deref(),
            Some("/objects/1/")
        );
        assert_eq!(redirected(path, &to("/login")), None);
        assert_eq!(redirected(path, &to("/login/objects")), None);
        assert_eq!(redirected(path, &to("/objects?limit=1")), None);
    }
}
