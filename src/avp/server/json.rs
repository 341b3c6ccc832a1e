//! Reads JSON as strictly as RFC 8259 allows: one value, no trailing bytes, no name twice, bounded depth.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one JSON value that fills `text` entirely. Depth is limited by the parser (128).
pub(super) fn parse(text: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict
        .deserialize(&mut reader)
        .map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads the JSON value that `text` begins with. Of two fields with one name the last counts.
pub(super) fn parse_leniently(text: &[u8]) -> Result<Value, String> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter();
    let first = values.next().ok_or_else(|| "there is nothing".to_owned())?;
    first.map_err(|error| error.to_string())
}

/// Builds a `Value`, refusing objects that name a field twice.
#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if object.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format_args!("the field {name:?} occurs twice")));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_and_nothing_after_it() {
        assert_eq!(parse(b" {\"a\": [1, null]} ").unwrap()["a"][0], 1);
        for bad in [
            "",
            "{}x",
            "{} {}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,}",
            "nul",
            "\u{feff}{}",
            "[1e999]",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?} was read");
        }
    }

    #[test]
    fn depth_is_bounded_and_invalid_text_is_refused() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(b"\"\xff\"").is_err());
        assert!(parse(br#""\ud800""#).is_err());
    }

    #[test]
    fn integers_of_the_whole_range_survive() {
        let value = parse(b"[9223372036854775807,-9223372036854775808]").unwrap();
        assert_eq!(value[0].as_i64(), Some(i64::MAX));
        assert_eq!(value[1].as_i64(), Some(i64::MIN));
    }
}
