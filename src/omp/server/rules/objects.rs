//! What is demanded of objects, and of the bodies that they come in.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::omp::server::answer::Answer;
use crate::serve::Asked;

/// A new object, read.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::omp::server) struct Creation {
    pub(in crate::omp::server) namespace: String,
    pub(in crate::omp::server) key: Option<String>,
    pub(in crate::omp::server) content: Value,
    pub(in crate::omp::server) metadata: Option<Value>,
}

/// What takes the place of an object's content, and of its metadata if there is some.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::omp::server) struct Replacement {
    pub(in crate::omp::server) content: Value,
    pub(in crate::omp::server) metadata: Option<Value>,
}

/// Reads the body of a request as JSON, whatever its content type.
///
/// # Errors
/// It is larger than the server reads, or no JSON.
pub(in crate::omp::server) fn body(asked: &Asked) -> Result<Value, Answer> {
    let body = asked.body.as_deref();
    let body = body.ok_or_else(|| Answer::refused(413, "the body is too large"))?;
    serde_json::from_slice(body).map_err(|why| Answer::refused(400, &why.to_string()))
}

/// Reads what is to be created.
///
/// # Errors
/// A member is missing, or of another type.
pub(in crate::omp::server) fn creation(body: &Value) -> Result<Creation, Answer> {
    read_creation(body).map_err(|why| Answer::refused(400, why))
}

/// Reads what is to be replaced.
///
/// # Errors
/// The content is no object, or the metadata is none.
pub(in crate::omp::server) fn replacement(body: &Value) -> Result<Replacement, Answer> {
    read_replacement(body).map_err(|why| Answer::refused(400, why))
}

fn read_creation(body: &Value) -> Result<Creation, &'static str> {
    let object = object(body)?;
    let namespace = object
        .get("namespace")
        .and_then(Value::as_str)
        .ok_or("namespace must be a string")?;
    let key = match object.get("key") {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key.clone()),
        Some(_) => return Err("key must be a string"),
    };
    let Replacement { content, metadata } = read_replacement(body)?;
    Ok(Creation {
        namespace: namespace.to_owned(),
        key,
        content,
        metadata,
    })
}

fn read_replacement(body: &Value) -> Result<Replacement, &'static str> {
    let object = object(body)?;
    let content = object.get("content").filter(|content| content.is_object());
    let metadata = match object.get("metadata") {
        None | Some(Value::Null) => None,
        Some(metadata) if metadata.is_object() => Some(metadata.clone()),
        Some(_) => return Err("metadata must be an object"),
    };
    Ok(Replacement {
        content: content.ok_or("content must be an object")?.clone(),
        metadata,
    })
}

fn object(body: &Value) -> Result<&Map<String, Value>, &'static str> {
    body.as_object().ok_or("the body must be an object")
}

/// The id of the object that was created as the `number`th: nobody guesses it.
pub(in crate::omp::server) fn id(number: u64) -> String {
    format!("obj-{number}-{:08x}", rand::random::<u32>())
}

/// A time as objects tell it.
pub(in crate::omp::server) fn time(time: Timestamp) -> String {
    time.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_creation_needs_a_namespace_and_content_and_null_is_nothing() {
        let body = json!({ "namespace": "n", "key": null, "content": { "a": 1 }, "metadata": null });
        let read = creation(&body).unwrap();
        assert_eq!(
            (read.namespace.as_str(), read.key, read.metadata),
            ("n", None, None)
        );
        for (name, wrong) in [
            ("namespace", json!(1)),
            ("namespace", Value::Null),
            ("key", json!({})),
            ("content", json!([])),
            ("content", Value::Null),
            ("metadata", json!("x")),
        ] {
            let mut body = body.clone();
            body[name] = wrong;
            assert_eq!(creation(&body).unwrap_err().status, 400, "{body}");
        }
        assert!(creation(&json!([])).is_err() && replacement(&json!("x")).is_err());
    }

    #[test]
    fn a_body_is_json_of_any_type() {
        let asked = |body: Option<&str>| Asked {
            body: body.map(|body| body.to_owned().into()),
            content_type: "text/plain".to_owned(),
            ..Asked::default()
        };
        assert_eq!(body(&asked(Some("[1]"))).unwrap(), json!([1]));
        for (text, status) in [(Some(""), 400), (Some("{} x"), 400), (None, 413)] {
            assert_eq!(body(&asked(text)).unwrap_err().status, status, "{text:?}");
        }
    }

    #[test]
    fn a_time_is_told_in_utc() {
        assert_eq!(time(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
