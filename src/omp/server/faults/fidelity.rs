//! What becomes of JSON on its way through a server that does not keep it as it is.

use serde_json::{Map, Number, Value};

use crate::catalogue::Level::Must;
use crate::omp::server::Server;
use crate::serve::{Fault, fault};

/// What becomes of values.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "nulls-are-dropped",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Members that are null are left out.",
        "A client that wrote null reads nothing.",
        "Store content as it was sent.",
    ),
    fault(
        "integers-of-32-bits",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Integers beyond 32 bits are cut.",
        "Times in milliseconds come back wrong.",
        "Keep integers up to 2^53 - 1.",
    ),
    fault(
        "numbers-as-strings",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Large numbers come back as strings.",
        "Arithmetic fails at readers.",
        "Serve numbers as numbers.",
    ),
    fault(
        "only-ascii",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Characters beyond ASCII are replaced.",
        "Names of people come back with question marks.",
        "Store text as UTF-8.",
    ),
    fault(
        "strings-are-trimmed",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "White space at the ends of strings is taken away.",
        "Text changes on its way.",
        "Store strings to the last code point.",
    ),
    fault(
        "lists-are-sorted",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Arrays come back in another order.",
        "Sequences lose their meaning.",
        "Keep arrays in their order.",
    ),
    fault(
        "empty-is-null",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Empty objects and arrays come back as null.",
        "Readers fail over null.",
        "Store empty values as they are.",
    ),
    fault(
        "reserved-names-are-dropped",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Metadata whose names begin with omp. is not stored.",
        "The class of a memory is lost.",
        "Give reserved metadata back as it was sent.",
    ),
    fault(
        "names-in-lower-case",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Member names come back in lower case.",
        "Readers do not find what they wrote.",
        "Store names as they were sent.",
    ),
    fault(
        "names-with-a-dollar-are-dropped",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Members whose names begin with a dollar sign are dropped.",
        "References are lost.",
        "Store every member, or refuse what the database cannot take.",
    ),
    fault(
        "numbers-in-single-precision",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Fractions are kept in 32 bits.",
        "Prices and places come back as others.",
        "Keep numbers as doubles at least.",
    ),
    fault(
        "line-ends-are-changed",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "CR LF in strings comes back as LF.",
        "Text changes on its way, and digests of it do not fit.",
        "Store strings to the last code point.",
    ),
    fault(
        "markup-is-escaped",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Angle brackets in strings come back as entities.",
        "Text changes with every round.",
        "Escape where pages are made, not where data is served.",
    ),
    fault(
        "times-are-rewritten",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Strings that look like times are parsed, and written in another form.",
        "A string is another one than the client wrote.",
        "Leave strings alone: JSON has no times.",
    ),
    fault(
        "deep-content-is-cut",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "What is nested more than a dozen deep comes back empty.",
        "The inner parts of trees are lost without a word.",
        "Store content whole, or refuse it.",
    ),
    fault(
        "numeric-strings-are-numbers",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Strings of digits come back as numbers.",
        "Zeros before a number are lost, and readers fail over another type.",
        "Leave strings alone.",
    ),
    fault(
        "integers-of-fifteen-digits",
        "objects",
        &["OMP-OBJ-03"],
        Must,
        "Of an integer fifteen digits are kept.",
        "Large numbers come back as others.",
        "Keep integers up to 2^53 - 1.",
    ),
];

/// Integers beyond this are no integers of 32 bits any more.
const LARGEST_32: i64 = 1 << 31;

impl Server {
    /// A value as this server serves it.
    pub(super) fn kept(&self, value: &Value) -> Value {
        let mut kept = value.clone();
        let mut bend = |name: &'static str, change: &dyn Fn(&Value) -> Value| {
            if self.has(name) {
                let changed = change(&kept);
                if changed != kept && self.bends(name) {
                    kept = changed;
                }
            }
        };
        bend("deep-content-is-cut", &|value| cut_at(value, DEEPEST));
        bend("names-in-lower-case", &named_in_lower_case);
        for (name, change) in CHANGES {
            bend(name, &|value| changed(value, *change));
        }
        kept
    }
}

impl Server {
    /// The content that takes the place of another, given what was sent.
    pub(super) fn replacing_content(&self, content: Value) -> Value {
        let content = self.bent("replace-drops-nulls", content, |_, value| {
            (!value.is_null()).then_some(value)
        });
        self.bent("replace-rounds-integers", content, |_, value| {
            Some(of_fifteen_digits(value))
        })
    }

    /// The metadata that takes the place of other, given what was sent.
    pub(super) fn replacing_metadata(&self, metadata: Value) -> Value {
        self.bent("replace-drops-reserved-names", metadata, |name, value| {
            (!name.unwrap_or_default().starts_with("omp.")).then_some(value)
        })
    }

    fn bent(&self, name: &'static str, value: Value, change: Change) -> Value {
        if !self.has(name) {
            return value;
        }
        let other = changed(&value, change);
        match other != value && self.bends(name) {
            true => other,
            false => value,
        }
    }
}

/// So deep is nested what a server keeps that cuts it.
const DEEPEST: usize = 12;

/// Changes one value, not what is in it; none takes it away.
type Change = fn(Option<&str>, Value) -> Option<Value>;

const CHANGES: &[(&str, Change)] = &[
    ("nulls-are-dropped", |_, value| {
        (!value.is_null()).then_some(value)
    }),
    ("integers-of-32-bits", |_, value| Some(cut(value))),
    ("integers-of-fifteen-digits", |_, value| {
        Some(of_fifteen_digits(value))
    }),
    ("numeric-strings-are-numbers", |_, value| {
        let number = value.as_str().and_then(|text| text.parse::<u32>().ok());
        Some(number.map_or(value, Value::from))
    }),
    ("only-ascii", |_, value| {
        Some(of_text(value, |text| text.replace(|c: char| !c.is_ascii(), "?")))
    }),
    ("strings-are-trimmed", |_, value| {
        Some(of_text(value, |text| text.trim().to_owned()))
    }),
    ("lists-are-sorted", |_, value| {
        Some(match value {
            Value::Array(mut items) => {
                items.sort_by_key(Value::to_string);
                Value::Array(items)
            }
            other => other,
        })
    }),
    ("reserved-names-are-dropped", |name, value| {
        (!name.unwrap_or_default().starts_with("omp.")).then_some(value)
    }),
    ("names-with-a-dollar-are-dropped", |name, value| {
        (!name.unwrap_or_default().starts_with('$')).then_some(value)
    }),
    ("numbers-in-single-precision", |_, value| {
        Some(in_single_precision(value))
    }),
    ("line-ends-are-changed", |_, value| {
        Some(of_text(value, |text| text.replace("\r\n", "\n")))
    }),
    ("markup-is-escaped", |_, value| {
        Some(of_text(value, |text| {
            text.replace('<', "&lt;").replace('>', "&gt;")
        }))
    }),
    ("times-are-rewritten", |_, value| {
        Some(of_text(value, |text| match text.parse::<jiff::Timestamp>() {
            Ok(time) => time.to_string(),
            Err(_) => text.to_owned(),
        }))
    }),
    ("empty-is-null", |_, value| {
        let is_empty =
            value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        Some(if is_empty { Value::Null } else { value })
    }),
    ("numbers-as-strings", |_, value| {
        Some(match value {
            Value::Number(number) if number.as_i64().is_some_and(|number| number.abs() > 1 << 40) => {
                number.to_string().into()
            }
            other => other,
        })
    }),
];

fn of_text(value: Value, change: fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(&text).into(),
        other => other,
    }
}

fn cut(value: Value) -> Value {
    match value.as_i64() {
        Some(number) if number >= LARGEST_32 => Value::Number(Number::from(LARGEST_32 - 1)),
        _ => value,
    }
}

/// An integer of which all but fifteen digits are zeros.
fn of_fifteen_digits(value: Value) -> Value {
    const BEYOND: i64 = 1_000_000_000_000_000;
    match value.as_i64() {
        Some(number) if number.abs() >= BEYOND => Value::from(number / 10 * 10),
        _ => value,
    }
}

fn in_single_precision(value: Value) -> Value {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "single precision is the fault")]
        Some(number) if value.is_f64() => f64::from(number as f32).into(),
        _ => value,
    }
}

/// A value without what is nested deeper in it.
fn cut_at(value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(_) if depth == 0 => Value::Object(Map::new()),
        Value::Object(members) => {
            let cut = members
                .iter()
                .map(|(name, value)| (name.clone(), cut_at(value, depth - 1)));
            Value::Object(cut.collect())
        }
        other => other.clone(),
    }
}

/// A value whose members, and theirs, have names in small letters.
fn named_in_lower_case(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let named = members
                .iter()
                .map(|(name, value)| (name.to_lowercase(), named_in_lower_case(value)));
            Value::Object(named.collect())
        }
        Value::Array(items) => items.iter().map(named_in_lower_case).collect(),
        other => other.clone(),
    }
}

/// A value with a change made to everything in it, but not to itself.
fn changed(value: &Value, change: Change) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter_map(|(name, value)| {
                Some((name.clone(), change(Some(name), changed(value, change))?))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let kept = items
                .iter()
                .filter_map(|value| change(None, changed(value, change)));
            Value::Array(kept.collect())
        }
        other => other.clone(),
    }
}
