//! What commands wrote, read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::attesto::driver::RUN;
use crate::record::Exchange;

/// What a command wrote and how it ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    /// The exit code; none where it did not end by itself.
    pub(super) code: Option<u16>,
    /// The JSON objects of its standard output, a line each.
    pub(super) objects: Vec<Map<String, Value>>,
}

impl Output {
    /// What a command wrote; nothing where the exchange is none.
    pub(super) fn of(exchange: &Exchange) -> Output {
        let Some(answer) = exchange
            .outcome
            .answer()
            .filter(|_| exchange.request.method == RUN)
        else {
            return Output::default();
        };
        let text = answer.body.to_text().into_owned();
        let object = |line: &str| match serde_json::from_str(line.trim()) {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        };
        Output {
            code: Some(answer.status),
            objects: text.lines().filter_map(object).collect(),
        }
    }

    /// The last object that has a member.
    pub(super) fn with(&self, member: &str) -> Option<&Map<String, Value>> {
        self.objects
            .iter()
            .rev()
            .find(|object| object.contains_key(member))
    }

    /// The event and its state, as `enqueue-json` tells them.
    pub(super) fn event(&self) -> Option<(String, String)> {
        let object = self.with("eventId")?;
        let text = |name: &str| {
            object
                .get(name)?
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let state = text("status")
            .filter(|state| ["queued", "inflight", "delivered", "dead"].contains(&state.as_str()));
        Some((text("eventId")?, state?))
    }

    /// Whether a drain says that it sent something; none where it says neither.
    pub(super) fn sent(&self) -> Option<bool> {
        let said = self
            .objects
            .iter()
            .filter_map(|object| object.get("sent")?.as_bool());
        said.reduce(|one, other| one || other)
    }

    /// Whether a drain says that nothing was due.
    pub(super) fn is_idle(&self) -> bool {
        self.with("sent")
            .is_some_and(|object| object["sent"] == false && object.get("eventId").is_none_or(Value::is_null))
    }

    /// The end, for people.
    pub(super) fn how(&self) -> String {
        match self.code {
            Some(code) => format!("exit {code}"),
            None => "no exit of its own".to_owned(),
        }
    }
}

/// What the witness answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Witnessed {
    /// It accepted, with this receipt.
    Accepted { receipt: Value, is_replay: bool },
    /// It signed this evidence.
    Fork { evidence: Value },
    /// It contradicts itself: with a receipt and evidence at once, or with an `accepted` that does not fit what it signed.
    Contradiction(&'static str),
    /// It signed nothing.
    Nothing,
}

impl Witnessed {
    /// What an output says.
    pub(super) fn of(output: &Output) -> Witnessed {
        let none = Map::new();
        let signed = |object: &&Map<String, Value>| {
            object.contains_key("receipt") || object.contains_key("forkEvidence")
        };
        let said = output.objects.iter().rev().find(signed).unwrap_or(&none);
        let object = |name: &str| said.get(name).filter(|value| value.is_object()).cloned();
        let accepted = said.get("accepted").and_then(Value::as_bool);
        match (object("receipt"), object("forkEvidence")) {
            (Some(_), Some(_)) => Witnessed::Contradiction("a receipt and evidence of a fork"),
            (Some(_), None) if accepted == Some(false) => {
                Witnessed::Contradiction("a receipt beside accepted: false")
            }
            (None, Some(_)) if accepted == Some(true) => {
                Witnessed::Contradiction("evidence of a fork beside accepted: true")
            }
            (None, Some(evidence)) => Witnessed::Fork { evidence },
            (Some(receipt), None) => Witnessed::Accepted {
                receipt,
                is_replay: said.get("replayed") == Some(&Value::Bool(true)),
            },
            (None, None) => Witnessed::Nothing,
        }
    }

    /// What it is, for people.
    pub(super) fn about(&self) -> &'static str {
        match self {
            Witnessed::Accepted { is_replay: false, .. } => "a receipt",
            Witnessed::Accepted { is_replay: true, .. } => "a receipt as a replay",
            Witnessed::Fork { .. } => "evidence of a fork",
            Witnessed::Contradiction(what) => what,
            Witnessed::Nothing => "nothing signed",
        }
    }
}

/// The options of a command line as it was written down, by their names without the hyphens; and the sub-command under "".
pub(super) fn options(exchange: &Exchange) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    let mut name: Option<String> = None;
    for word in shlex::split(&exchange.request.path).unwrap_or_default() {
        match (name.take(), word.strip_prefix("--")) {
            (Some(name), _) => drop(options.insert(name, word)),
            (None, Some(option)) => match option.split_once('=') {
                Some((option, value)) => drop(options.insert(option.to_owned(), value.to_owned())),
                None => name = Some(option.to_owned()),
            },
            (None, None) => drop(options.insert(String::new(), word)),
        }
    }
    options
}
