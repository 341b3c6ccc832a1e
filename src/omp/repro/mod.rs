//! Turns a stored case into a shell script that makes its requests again, signed afresh.
//!
//! The script has a namespace of its own, takes ids and the names of pages from the answers that it gets, and signs with the keys
//! that the target knows. An answer is compared where the finding points to, with names for what is known to differ.

mod signing;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::KEY_IDS;
use super::protocol::next_page;
use crate::case::http_steps::Variables;
use crate::http::{Exchange, Outcome, Role, Wire};
use crate::json;
use crate::protocol::Reach;
use crate::record::{CaseRecord, CheckRecord, Record};
use crate::repro::{self, ED25519, JSON, PRELUDE, Plan, Text, Words, send, status};
use crate::text::{encode_segment, visible};
use signing::{key_ids, signed};

/// What a script begins with behind what those of all protocols do.
const OMP: &str = include_str!("omp.sh");
/// So many pages of a list are followed, where the run came to no end.
const MOST_PAGES: usize = 200;
/// So many pages more than in the run are followed: somebody else may have stored objects since.
const MORE_PAGES: usize = 40;

/// The script for a case of a record: the step with that index, else the first that is broken, else the last.
///
/// # Errors
/// The case has no request to repeat, or the step does not exist: one sentence.
pub fn script(
    record: &Record,
    case: &CaseRecord,
    step: Option<usize>,
    reach: &Reach,
) -> Result<String, String> {
    let plan = Plan::of(record, case, step, reach)?;
    if plan.end().wire == Wire::Command {
        return Err(format!(
            "{} shows that a server does not start as it should: there is no request to repeat",
            case.id
        ));
    }
    let mut script = Script {
        plan: &plan,
        text: Text::new(&plan),
        paths: BTreeMap::new(),
        shown: Vec::new(),
        base: None,
    };
    script.begin();
    script.requests();
    script.text.conclude(compare);
    let (body, left_out) = (script.text.out, script.text.left_out);
    Ok(format!(
        "{}{PRELUDE}{JSON}{ED25519}{OMP}\n{body}",
        head(&plan, &left_out)
    ))
}

/// A script that is being written.
struct Script<'a> {
    plan: &'a Plan<'a>,
    text: Text<'a>,
    /// What stands in addresses, as it is escaped there, for ids and names of pages of the run; and the variables in its place.
    paths: BTreeMap<String, String>,
    /// The names of the objects that were created.
    shown: Vec<usize>,
    /// The variable with the address of the server that the case started for itself.
    base: Option<&'static str>,
}

/// The services that are asked.
fn services(plan: &Plan<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, exchange) in plan.exchanges() {
        let service = exchange.request.service.as_str();
        match exchange.wire {
            Wire::Command => return Vec::new(),
            _ if found.iter().any(|known| known == service) => {}
            _ => found.push(service.to_owned()),
        }
    }
    found
}

fn head(plan: &Plan<'_>, left_out: &[String]) -> String {
    let services = services(plan);
    let variables: Vec<String> = services.iter().map(|name| name.to_ascii_uppercase()).collect();
    let (usage, or) = match variables.as_slice() {
        [] => ("STARTED=http://localhost:8787 sh script.sh".to_owned(), ""),
        [one] => (
            format!(
                "TARGET=http://localhost:8787 sh script.sh   (a server in the mode {}; {one} is the same)",
                services[0]
            ),
            "${TARGET:-",
        ),
        all => (
            all.iter().map(|name| format!("{name}=URL ")).collect::<String>()
                + "sh script.sh   (a server for each mode)",
            "",
        ),
    };
    let usage = [
        format!("Usage: {usage}"),
        "Keys: SIGN_WITH='ID=HEX ID=HEX', the private keys of those that the target knows; else those that servers are told of".to_owned(),
        "which the harness starts. TLS and headers: CACERT, CLIENT_CERT, CLIENT_KEY, INSECURE=1, PROXY; HEADERS names a file.".to_owned(),
    ];
    let not_the_same = [
        "Not the same as in the run: the namespace, and what the target chooses; requests at the same moment go out about,",
        "not exactly, at once.",
    ];
    let mut out = repro::head(plan, &usage, &not_the_same, left_out);
    for (service, variable) in services.iter().zip(&variables) {
        let record = plan.record;
        let url = record.services.get(service).unwrap_or(&record.target);
        // The reference servers of all modes stand side by side.
        let port = 8787
            + super::MODES
                .iter()
                .position(|mode| mode == service)
                .unwrap_or_default();
        repro::address(
            &mut out,
            plan,
            variable,
            url,
            &format!("http://localhost:{port}"),
            or,
        );
    }
    if key_ids(plan).iter().any(|id| !KEY_IDS.contains(&id.as_str())) {
        let ids = key_ids(plan).join(" and ");
        repro::needed(
            &mut out,
            "SIGN_WITH",
            &format!("set SIGN_WITH to the private keys of {}: ID=HEX", visible(&ids)),
        );
    }
    repro::reach(&mut out, plan.reach);
    out
}

impl<'a> Script<'a> {
    fn begin(&mut self) {
        let known = Variables::new(&self.plan.seed, self.plan.generation(), &self.plan.case.id);
        self.text.line("unique=conform-$(openssl rand -hex 6)");
        self.text.line("known unique \"$unique\"");
        self.text.words.add(known.unique(), "unique");
        for id in key_ids(self.plan) {
            self.text.line(format!("key {}", Words::default().quoted(&id)));
        }
        if signing::wants_stranger(self.plan) {
            self.text
                .line("openssl genpkey -algorithm ed25519 -out \"$keys/stranger.pem\" 2>/dev/null");
        }
    }

    fn requests(&mut self) {
        let exchanges = self.plan.exchanges();
        let mut at = 0;
        while at < exchanges.len() {
            let (index, exchange) = exchanges[at];
            let pages = self.length_of_walk(&exchanges[at..]);
            let together = &exchanges[at..at + self.plan.length_of_race(&exchanges[at..])];
            at += if exchange.wire == Wire::Command {
                self.start(exchange);
                1
            } else if pages > 1 {
                self.walk(&exchanges[at..at + pages]);
                pages
            } else if !together.is_empty() {
                let requests = together.iter().map(|(_, exchange)| self.request(exchange, None));
                let requests = requests.collect();
                self.text.race(together, requests);
                for (index, exchange) in together {
                    let place = format!("$work/{index}");
                    self.keep(*index, exchange, &format!("work={place}; "));
                }
                together.len()
            } else {
                self.single(index, exchange);
                1
            };
        }
    }

    /// A server that the case started for itself, and that whoever runs the script has to start.
    fn start(&mut self, exchange: &Exchange) {
        let how = visible(&exchange.request.path);
        let what =
            format!("start the server with this in its environment, and set STARTED to its address: {how}");
        self.text.line(format!(
            "[ -n \"${{STARTED:-}}\" ] || fail {}",
            Words::default().quoted(&what)
        ));
        self.base = Some("STARTED");
    }

    fn single(&mut self, index: usize, exchange: &Exchange) {
        self.text.say(exchange);
        let Some(request) = self.request(exchange, None) else {
            return self.text.leave_out(exchange);
        };
        self.text.line(request);
        self.text.line(format!("show {}", status(exchange)));
        self.keep(index, exchange, "");
        if is_list(exchange) {
            self.text.line("most=0\n: >\"$work/shown\"\nshown");
        }
    }

    /// Keeps the id and the time that an answer gives, where it gives them.
    fn keep(&mut self, index: usize, exchange: &Exchange, place: &str) {
        let Some(answer) = exchange.outcome.answer().filter(|answer| answer.status < 300) else {
            return;
        };
        if exchange.request.method != "POST" {
            return;
        }
        let body = json::first(answer.body.as_bytes()).unwrap_or_default();
        let text = |name: &str| {
            body.get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        for name in ["id", "created_at"] {
            let Some(value) = text(name) else { continue };
            let variable = format!("{name}_{index}");
            self.text.line(format!(
                "{variable}=$({place}member {name})\nknown {variable} \"${variable}\""
            ));
            let quoted = format!("quoted_{variable}");
            self.text.line(format!("{quoted}=\"\\\"${variable}\\\"\""));
            self.text.words.add(Value::from(value).to_string(), quoted);
            if name == "id" {
                let escaped = format!("path_{index}");
                self.text.line(format!("{escaped}=$(escaped \"${variable}\")"));
                self.paths.insert(encode_segment(value), escaped);
                self.shown.push(index);
            }
        }
    }

    /// How many exchanges follow the pages of one list, from the first of these on.
    fn length_of_walk(&self, exchanges: &[(usize, &Exchange)]) -> usize {
        let (_, first) = exchanges[0];
        let is_next = |(_, it): &&(usize, &Exchange)| {
            let more = it.request.path.strip_prefix(&first.request.path);
            it.step == first.step && more.is_some_and(|more| more.starts_with(['?', '&']))
        };
        1 + exchanges[1..].iter().take_while(is_next).count()
    }

    /// Follows the pages of a list as far as they go, and not much farther than in the run.
    fn walk(&mut self, pages: &[(usize, &Exchange)]) {
        let (_, first) = pages[0];
        self.text.say(first);
        let goes_by_item = pages[..pages.len() - 1].iter().any(|(_, page)| {
            page.outcome
                .answer()
                .is_some_and(|answer| next_page(answer).is_none())
        });
        let most = (pages.len() + MORE_PAGES).min(MOST_PAGES);
        let joint = if first.request.path.contains('?') {
            '&'
        } else {
            '?'
        };
        let page = self.path(&first.request.path);
        self.text.line(format!(
            "most=0 page={page} round=0 idle=0 guess= by_item={}\n: >\"$work/shown\"\nfirst=$page\nwhile :; do",
            if goes_by_item { "yes" } else { "" }
        ));
        let Some(request) = self.request(first, Some("$page")) else {
            self.text.line("break\ndone");
            return self.text.leave_out(pages[pages.len() - 1].1);
        };
        self.text.line(request);
        self.text.line(format!(
            "show 200\nbefore=$(sort -u \"$work/shown\" | wc -l)\nshown\n\
             if [ \"$(sort -u \"$work/shown\" | wc -l)\" = \"$before\" ]; then\n    [ -z \"$guess\" ] || break\n    \
             idle=$((idle + 1))\nelse\n    idle=0\nfi\n\
             round=$((round + 1))\nnext_page\n\
             [ -n \"$next\" ] && [ \"$status\" = 200 ] && [ $round -lt {most} ] && [ $idle -lt 3 ] || break\n\
             page=\"$first{joint}cursor=$next\"\ndone"
        ));
    }

    /// The commands of one request, to another path if one is given; none where a script cannot make it.
    fn request(&self, exchange: &Exchange, path: Option<&str>) -> Option<String> {
        let base = match self.base {
            Some(base) => base.to_owned(),
            None => exchange.request.service.as_str().to_ascii_uppercase(),
        };
        let path = path.map_or_else(|| self.path(&exchange.request.path), |path| format!("\"{path}\""));
        let mut words = self.text.words.clone();
        let signed = signed(self.plan, exchange, &base, &path, &mut words)?;
        let mut fields = Vec::new();
        // A whole address in the request line is told on its own.
        let target = (!exchange.request.path.starts_with('/')).then(|| path.clone());
        fields.extend(target.iter().map(|target| format!(" --request-target {target}")));
        let path = target.map_or(path, |_| "\"/\"".to_owned());
        for (field, value) in &exchange.request.headers {
            let value = match field.as_str() {
                "signature" => signed.signature.clone(),
                _ => words.quoted(value),
            };
            fields.push(format!(" -H {}{value}", words.quoted(&format!("{field}: "))));
        }
        Some(format!(
            "{}{}",
            signed.commands,
            send(exchange, &format!("${base}"), &path, &fields, &words)?
        ))
    }

    /// An address as it stands in a request line, in double quotes, with variables for ids and names of pages.
    fn path(&self, path: &str) -> String {
        let mut out = String::from("\"");
        for part in path.split_inclusive(['/', '?', '&', '=']) {
            let (value, end) = match part.strip_suffix(['/', '?', '&', '=']) {
                Some(value) => (value, &part[value.len()..]),
                None => (part, ""),
            };
            match self.paths.get(value) {
                Some(variable) => _ = write!(out, "${{{variable}}}"),
                None => {
                    let quoted = self.text.words.quoted(value);
                    out.push_str(&quoted[1..quoted.len() - 1]);
                }
            }
            out.push_str(end);
        }
        out.push('"');
        out
    }
}

/// Whether an answer is a page of a list.
fn is_list(exchange: &Exchange) -> bool {
    let operation = exchange.operation.as_ref().map_or("", |name| name.as_str());
    let is_granted = exchange
        .outcome
        .answer()
        .is_some_and(|answer| answer.status == 200);
    exchange.role == Role::Step && is_granted && matches!(operation, "list" | "search")
}

/// Where a status says too little, what else an answer says: at the place that the finding is about.
fn compare(text: &mut Text<'_>) {
    let exchange = text.plan.end();
    let (Some(check), Outcome::Answer(answer)) = (text.plan.check, &exchange.outcome) else {
        return;
    };
    if matches!(check.name.as_str(), "answer" | "status") {
        return;
    }
    text.line("[ -z \"$strayed\" ] || gone 'an earlier answer is another'");
    match check.name.as_str() {
        "header" => {
            return text.line(
                "if grep -qi '^\\(www-authenticate\\|allow\\):' \"$work/head\"; then gone 'the field is there'; fi",
            );
        }
        "pages" => return pages(text),
        "distinct" => {
            let ids = kept(text.plan)
                .map(|(index, _)| format!(" \"$id_{index}\""))
                .collect::<String>();
            return text.line(format!(
                "[ -n \"$(printf '%s\\n'{ids} | sort | uniq -d)\" ] || gone 'no id is given twice'"
            ));
        }
        _ => {}
    }
    if let Some(most) = more_than(check) {
        return text.line(format!(
            "[ \"$most\" -gt {most} ] || gone \"no more than $most items\""
        ));
    }
    let pointer = check.pointer.clone().unwrap_or_default();
    if check.expected.contains("the present time") {
        let at = Words::default().quoted(&pointer);
        return text.line(format!(
            "if flat <\"$work/answer\" | below {at} | grep -q \"\\\"$(date -u +%Y-%m-%d)T.*\\(Z\\|z\\|+00:00\\)\\\"\"; then\n    \
             gone 'it is of today, in UTC'\nfi"
        ));
    }
    let is_place = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    if pointer.strip_prefix("/items/").is_some_and(is_place) {
        return text.line("fail 'the order of a list may be another each time: compare for yourself'");
    }
    let is_about_items =
        is_list(exchange) && ["", "/items"].contains(&pointer.as_str()) && check.name == "body";
    if is_about_items {
        return pages(text);
    }
    text.line(format!(
        "{} >\"$work/recorded\"",
        text.words.printed(answer.body.as_bytes())
    ));
    // What stands there is what is expected or not; of a message, its form.
    let form = match check.name.as_str() {
        "body" | "code" | "as sent" | "metadata of the answer" => "",
        _ => " | sed 's/\"[^\"]*\"$/text/; s/[0-9][0-9]*$/number/'",
    };
    let at = Words::default().quoted(&pointer);
    text.line(format!(
        "at() {{ flat | below {at} | alike{form}; }}\n\
         [ \"$(at <\"$work/answer\")\" = \"$(at <\"$work/recorded\")\" ] || gone 'something else stands there'"
    ));
}

/// How many items there may be, where there were more.
fn more_than(check: &CheckRecord) -> Option<usize> {
    let (_, most) = check.got.split_once(" items, more than ")?;
    most.parse().ok()
}

/// The objects that were created on the way, by the index of their exchange.
fn kept<'a>(plan: &Plan<'a>) -> impl Iterator<Item = (usize, String)> + use<'a> {
    let created = |(index, exchange): (usize, &Exchange)| {
        let answer = exchange.outcome.answer().filter(|answer| answer.status < 300)?;
        let body = json::first(answer.body.as_bytes())?;
        let id = body.get("id")?.as_str().filter(|id| !id.is_empty())?;
        (exchange.request.method == "POST").then(|| (index, id.to_owned()))
    };
    plan.exchanges().into_iter().filter_map(created)
}

/// Compares which of the objects that were created the pages of a list show, and how often.
fn pages(text: &mut Text<'_>) {
    let end = text.plan.end();
    let of_step = |(_, it): &(usize, &Exchange)| it.step == end.step && is_list(it);
    let exchanges = text.plan.exchanges();
    let walked = exchanges.iter().filter(|it| of_step(it));
    // Where a step asks for several lists, the last of them is the one.
    let is_walk = exchanges
        .iter()
        .any(|(_, it)| of_step(&(0, it)) && it.request.path.contains("cursor="));
    let walked: Vec<&Exchange> = match is_walk {
        true => walked.map(|(_, it)| *it).collect(),
        false => vec![end],
    };
    let mut ids: Vec<String> = Vec::new();
    for answer in walked.iter().filter_map(|it| it.outcome.answer()) {
        let body = json::first(answer.body.as_bytes()).unwrap_or_default();
        let items = body.get("items").and_then(Value::as_array);
        let id = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
        ids.extend(items.into_iter().flatten().filter_map(id));
    }
    let kept: Vec<(usize, String)> = kept(text.plan).collect();
    let mut recorded = String::new();
    for (index, id) in &kept {
        let how = match ids.iter().filter(|it| *it == id).count() {
            0 => "no",
            1 => "once",
            _ => "often",
        };
        _ = write!(recorded, "id_{index} {how} ");
    }
    // Of all that is stored others are a part; of a search they are not.
    let is_search = end.request.path.starts_with("/objects/search");
    let others = ids.iter().any(|id| !kept.iter().any(|(_, own)| own == id));
    if is_search && others {
        recorded.push_str("others ");
    }
    let names: String = kept.iter().map(|(index, _)| format!(" id_{index}")).collect();
    let only = if is_search { "" } else { " | sed 's/others //'" };
    text.line(format!(
        "[ \"$(how_often{names}{only})\" = {} ] || gone \"$(how_often{names})\"",
        Words::default().quoted(&recorded)
    ));
}
