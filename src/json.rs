//! Reads JSON the way a judge must: duplicate keys are refused, depth is limited, nothing is repaired.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// A body with more commas than this is not read: its values would take many times its size, and no message of the
/// protocol comes near.
const MOST_COMMAS: usize = 1 << 16;

/// Parses a whole body as one JSON value (RFC 8259). An object that has a key twice is an error, since receivers differ in
/// which one they take.
///
/// # Errors
/// It is no JSON, has a key twice, or is larger than a body of a protocol is: one sentence with line and column.
pub fn parse(body: &[u8]) -> Result<Value, String> {
    if body.starts_with(b"\xEF\xBB\xBF") {
        return Err("it begins with a byte order mark".to_owned());
    }
    if body.is_empty() {
        return Err("it is empty".to_owned());
    }
    if body.len() > MOST_COMMAS && body.iter().filter(|byte| **byte == b',').count() > MOST_COMMAS {
        return Err(format!("it has more than {MOST_COMMAS} values"));
    }
    let read = |body: &[u8]| serde_json::from_slice::<Strict>(body).map(|strict| strict.0);
    read(body).or_else(|error| match without_half_pairs(body) {
        Some(whole) => read(&whole).map_err(|error| error.to_string()),
        None => Err(error.to_string()),
    })
}

/// The body with the replacement character for each escape of half a surrogate pair, which is JSON (RFC 8259, 8.2) and no text
/// of ours can hold. None where there is no such escape.
fn without_half_pairs(body: &[u8]) -> Option<Vec<u8>> {
    const HIGH: std::ops::RangeInclusive<u32> = 0xd800..=0xdbff;
    const LOW: std::ops::RangeInclusive<u32> = 0xdc00..=0xdfff;
    let unit = |at: usize| {
        let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let is_low = |at: usize| unit(at).is_some_and(|unit| LOW.contains(&unit));
    let next_escape = |at: usize| Some(at + body.get(at..)?.iter().position(|byte| *byte == b'\\')?);
    let (mut whole, mut from) = (None, 0);
    while let Some(at) = next_escape(from) {
        let is_high = unit(at).is_some_and(|unit| HIGH.contains(&unit));
        from = match (is_high, is_low(at)) {
            (true, _) if is_low(at + 6) => at + 12,
            (false, false) => at + 2,
            _ => {
                let whole = whole.get_or_insert_with(|| body.to_vec());
                whole[at + 2..at + 6].copy_from_slice(b"fffd");
                at + 6
            }
        };
    }
    whole
}

/// Whether two values are equal as JSON: numbers by value, objects whatever their order.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => integer(a) == integer(b) && (integer(a).is_some() || a == b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => a == b,
    }
}

/// The integer that a number is, whichever way it was written (`1`, `1.0`); `None` beyond what a float holds exactly.
pub fn integer(number: &Number) -> Option<i128> {
    if let Some(small) = number.as_i64() {
        return Some(small.into());
    }
    if let Some(large) = number.as_u64() {
        return Some(large.into());
    }
    let float = number.as_f64()?;
    let exact = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be a whole number below 2^53"
    )]
    exact.then_some(float as i128)
}

/// Puts a value at a JSON pointer: sets a field, appends one to an object, or replaces an array item. False where the
/// parent does not exist.
pub fn set(root: &mut Value, pointer: &str, value: Value) -> bool {
    let Some((parent, key)) = split(pointer) else {
        *root = value;
        return true;
    };
    match root.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(key, value);
            true
        }
        Some(Value::Array(items)) => match key.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            Some(item) => {
                *item = value;
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// Takes away what stands at a JSON pointer. False where there is nothing.
pub fn remove(root: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = split(pointer) else {
        return false;
    };
    match root.pointer_mut(parent) {
        Some(Value::Object(fields)) => fields.shift_remove(&key).is_some(),
        Some(Value::Array(items)) => match key.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Parent pointer and unescaped last token; `None` for the root.
fn split(pointer: &str) -> Option<(&str, String)> {
    let (parent, token) = pointer.rsplit_once('/')?;
    Some((parent, token.replace("~1", "/").replace("~0", "~")))
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match fields.entry(key) {
                Entry::Occupied(twin) => {
                    let key = twin.key();
                    let message = format_args!("the key {key:?} stands twice in one object");
                    return Err(de::Error::custom(message));
                }
                Entry::Vacant(place) => {
                    let Strict(value) = map.next_value()?;
                    place.insert(value);
                }
            }
        }
        Ok(fields.into())
    }
}

/// How deep the deep text is, lists.
const DEEP_LISTS: usize = 10_000;

/// JSON of ten thousand lists one within the other, which many parsers cannot read.
pub fn deep_lists() -> String {
    ["[".repeat(DEEP_LISTS), "]".repeat(DEEP_LISTS)].concat()
}

/// The JSON value that a text begins with, whatever follows it: what a lenient server makes of a request of ours.
pub fn first(bytes: &[u8]) -> Option<Value> {
    serde_json::Deserializer::from_slice(bytes)
        .into_iter()
        .next()?
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn half_a_surrogate_pair_is_json_and_a_replacement_character() {
        let read = |text: &str| parse(text.as_bytes()).unwrap();
        assert_eq!(read(r#"{"a":"x\ud800y"}"#), json!({"a": "x\u{fffd}y"}));
        assert_eq!(
            read(r#"["\uDC00\ud83d\ude00\ud83d"]"#),
            json!(["\u{fffd}😀\u{fffd}"])
        );
        assert_eq!(read(r#"["\\ud800\ud800"]"#), json!(["\\ud800\u{fffd}"]));
        assert!(parse(br#"["\ud8"]"#).is_err());
        assert!(parse(br#"["\ud800",]"#).is_err());
    }

    #[test]
    fn a_body_of_very_many_values_is_not_read() {
        let of = |count: usize| format!("[{}0]", "0,".repeat(count));
        assert!(parse(of(MOST_COMMAS).as_bytes()).is_ok());
        assert_eq!(
            parse(of(MOST_COMMAS + 1).as_bytes()),
            Err("it has more than 65536 values".to_owned())
        );
        let long = format!("{:?}", "x".repeat(1 << 20));
        assert!(parse(long.as_bytes()).is_ok());
    }

    #[test]
    fn duplicate_keys_are_refused() {
        let error = parse(br#"{"a":{"b":1,"b":2}}"#).unwrap_err();
        assert!(error.contains("\"b\" stands twice"), "{error}");
    }

    #[test]
    fn depth_and_size_of_numbers_are_limited() {
        assert!(parse("[".repeat(10_000).as_bytes()).is_err());
        assert!(parse("9".repeat(10_000).as_bytes()).is_err());
        assert!(parse(b"").is_err());
        assert!(parse(b"\xEF\xBB\xBF{}").is_err());
        assert!(parse(b"{} {}").is_err());
    }

    #[test]
    fn numbers_are_equal_by_value_and_exact() {
        let max = parse(b"9007199254740993").unwrap();
        assert!(equal(&max, &json!(9_007_199_254_740_993_i64)));
        assert!(!equal(&max, &json!(9_007_199_254_740_992_i64)));
        assert!(equal(&parse(b"1.0").unwrap(), &json!(1)));
        assert!(
            !equal(&parse(b"9007199254740993.0").unwrap(), &max),
            "a float may have been rounded"
        );
    }

    #[test]
    fn pointers_set_append_and_remove() {
        let mut body = json!({"members": [{"a/b": 1}]});
        assert!(set(&mut body, "/members/0/a~1b", json!(2)));
        assert!(set(&mut body, "/members/0/new", Value::Null));
        assert!(!set(&mut body, "/nowhere/x", Value::Null));
        assert!(remove(&mut body, "/members/0/a~1b"));
        assert_eq!(body, json!({"members": [{"new": null}]}));
    }
}
