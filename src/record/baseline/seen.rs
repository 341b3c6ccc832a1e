//! What a known failure looks like: which look at which step broke, and what came.

use std::fmt;

use serde::Deserialize;
use toml_edit::{InlineTable, Value};

use crate::http::{Exchange, FailureKind, Outcome, Role};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord};

/// One item of `seen`. A key that is left out is fulfilled by anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Seen {
    /// The step, from 1.
    pub(super) step: Option<usize>,
    /// What was looked at: `answer`, `stored`, `nonce`.
    pub(super) look: Option<String>,
    /// What came: `409`, `200 granted`, `timeout`.
    pub(super) got: Option<String>,
    /// The decisive place in the answer; `*` for the place in a list.
    pub(super) pointer: Option<String>,
    /// How the request deviated from a valid one.
    pub(super) form: Option<String>,
    /// True for whatever could not be verified; a failure that is seen is not meant then.
    pub(super) unverified: bool,
}

/// What an answer says, in the words of case files.
pub(super) type AnswerWord = fn(&Exchange) -> Option<&'static str>;

impl Seen {
    /// Whatever could not be verified in a case.
    pub(super) fn unverified() -> Seen {
        Seen {
            unverified: true,
            ..Seen::default()
        }
    }

    /// What a wrong check of a case looks like.
    pub(super) fn of(case: &CaseRecord, check: &CheckRecord, answer_word: AnswerWord) -> Seen {
        if check.verdict == Verdict::Blocked {
            return Seen::unverified();
        }
        let seen = Seen {
            step: check.step.map(|step| step + 1),
            look: Some(check.name.clone()),
            ..Seen::default()
        };
        // Which answer of a race decides, and what it says, is a matter of chance.
        if is_race(case, check.step) {
            return seen;
        }
        let exchange = check.exchanges.first().and_then(|at| case.exchanges.get(*at));
        // A check with many broken places names some of them, and counts the others.
        let is_one = check.exchanges.len() < 2;
        Seen {
            got: exchange.map(|exchange| came(exchange, answer_word)),
            pointer: check.pointer.as_deref().filter(|_| is_one).map(general),
            form: exchange.and_then(|it| it.spoiled.clone()).filter(|_| is_one),
            ..seen
        }
    }

    /// Whether a wrong check of a case is what is meant.
    pub(super) fn is(&self, case: &CaseRecord, check: &CheckRecord, answer_word: AnswerWord) -> bool {
        let other = Seen::of(case, check, answer_word);
        let fits = |meant: &Option<String>, came: &Option<String>| meant.is_none() || meant == came;
        self.unverified == other.unverified
            && self.is_about(check)
            && fits(&self.got, &other.got)
            && fits(&self.pointer, &other.pointer)
            && fits(&self.form, &other.form)
    }

    /// Whether it speaks of a check, whatever came of it.
    pub(super) fn is_about(&self, check: &CheckRecord) -> bool {
        let step = check.step.map(|step| step + 1);
        (self.step.is_none() || self.step == step)
            && self.look.as_ref().is_none_or(|look| *look == check.name)
    }

    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        *self == Seen::default()
    }

    /// As it is written.
    pub(super) fn written(&self) -> InlineTable {
        let mut table = InlineTable::new();
        if let Some(step) = self.step.and_then(|step| i64::try_from(step).ok()) {
            table.insert("step", Value::from(step));
        }
        let texts = [
            ("look", &self.look),
            ("got", &self.got),
            ("pointer", &self.pointer),
            ("form", &self.form),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                table.insert(key, Value::from(text));
            }
        }
        if self.unverified {
            table.insert("unverified", Value::from(true));
        }
        table
    }
}

impl fmt::Display for Seen {
    /// `step 2, answer, 409`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.step.map(|step| format!("step {step}")),
            self.look.clone(),
            self.got.clone(),
            self.pointer.as_ref().map(|pointer| format!("at {pointer}")),
            self.form.clone(),
            self.unverified.then(|| "not verified".to_owned()),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// What came of a request: `409`, `200 granted`, `timeout`.
fn came(exchange: &Exchange, answer_word: AnswerWord) -> String {
    let answer = match &exchange.outcome {
        Outcome::Failure(failure) => return word(failure.kind).to_owned(),
        Outcome::Answer(answer) => answer,
    };
    match answer_word(exchange) {
        Some(word) => format!("{} {word}", answer.status),
        None => answer.status.to_string(),
    }
}

fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connect => "no connection",
        FailureKind::Tls => "no TLS",
        FailureKind::Timeout => "timeout",
        FailureKind::Closed => "closed",
        FailureKind::Reset => "reset",
        FailureKind::Malformed => "no HTTP",
        FailureKind::TooLarge => "too large",
        FailureKind::Cancelled => "cancelled",
    }
}

/// A pointer with `*` for the places in lists: members stand in any order.
fn general(pointer: &str) -> String {
    let part = |part: &str| match !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => "*".to_owned(),
        false => part.to_owned(),
    };
    pointer.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Whether requests of a step went out together.
fn is_race(case: &CaseRecord, step: Option<usize>) -> bool {
    let of_step = |it: &&Exchange| step.is_some() && it.step == step && it.role == Role::Step;
    let mut seen = std::collections::HashSet::new();
    let mut exchanges = case.exchanges.iter().filter(of_step);
    exchanges.any(|it| !seen.insert((it.round, it.at_us)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn places_in_lists_are_any() {
        assert_eq!(
            general("/manifest/members/12/wrappedDataKey"),
            "/manifest/members/*/wrappedDataKey"
        );
        assert_eq!(general("/nonce"), "/nonce");
    }

    #[test]
    fn an_item_is_written_as_it_is_read() {
        let seen = Seen {
            step: Some(2),
            look: Some("answer".to_owned()),
            got: Some("200 granted".to_owned()),
            pointer: Some("/a/*".to_owned()),
            form: Some("`/a` \"left\" out".to_owned()),
            unverified: false,
        };
        for seen in [seen, Seen::unverified()] {
            let read: BTreeMap<String, Seen> = toml::from_str(&format!("seen = {}", seen.written())).unwrap();
            let read = read["seen"].clone();
            assert_eq!(read, seen);
        }
    }
}
