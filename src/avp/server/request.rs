//! A request as the core sees it: plain data, the body read as far as it could be.

use http::HeaderMap;
use serde_json::Value;

use super::answer::Refusal;
use super::faults::{errors, malformed};
use super::json;
use super::state::State;
use super::variations::{limits, rules};

/// The limit of a body on a server that takes small ones only.
const SMALL_LIMIT: usize = 32 * 1024;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The method as it was sent.
    pub(super) method: String,
    /// The path as it was sent: still escaped, without the query.
    pub(super) path: String,
    /// The `Authorization` header.
    pub(super) authorization: Option<String>,
    /// The `Content-Type` header.
    pub(super) content_type: Option<String>,
    /// The `Host` header, for documents that name this server.
    pub(super) host: Option<String>,
    /// All header fields.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Body,
    /// Whether a server that looks before it reads the body has let the caller in.
    pub(super) admitted: bool,
    /// The number of the connection that it came by, from 1; 0 where nobody counts.
    pub(super) connection: u64,
}

/// A request body, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is larger than the server takes; what was read of it is gone.
    TooLarge,
    /// It ended early, took too long or broke the framing.
    Broken,
}

/// Refuses a large body, where there is a limit.
fn check_size(state: &State) -> Result<(), Refusal> {
    if state.deviates(limits::SIZE_LIMIT) || state.deviates(errors::SIZE_RESET) {
        return Err(Refusal::too_large());
    }
    if state.deviates(errors::SIZE_500) {
        return Err(Refusal::failure(500, "request entity too large"));
    }
    match state.deviates(errors::SIZE_400) {
        true => Err(Refusal::bad_request("the body is too large")),
        false => Ok(()),
    }
}

/// Below this every whole number is a floating point number: 2^53.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes whole numbers as integers: languages with one type of numbers write `1.0` for 1, and the schema takes it.
fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number
                .as_f64()
                .filter(|it| it.fract() == 0.0 && it.abs() < MOST_EXACT);
            if let Some(whole) = whole.and_then(|whole| format!("{whole:.0}").parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers),
        _ => {}
    }
}

impl Request {
    /// The body as JSON.
    pub(super) fn json(&self, state: &State) -> Result<Value, Refusal> {
        let bytes = self.bytes()?;
        if bytes.len() > SMALL_LIMIT {
            check_size(state)?;
        }
        let lenient = state.is(rules::LENIENT_JSON);
        if !lenient {
            self.check_content_type()?;
        }
        if let Some(numbers) = malformed::numbers_mended(state, bytes) {
            return json::parse(&numbers).map_err(|_| Refusal::bad_request("the body is not JSON"));
        }
        let value = if lenient {
            json::parse_leniently(bytes)
        } else {
            json::parse(bytes)
        };
        let mut value =
            value.map_err(|error| Refusal::bad_request("the body is not JSON").with_detail(error))?;
        write_whole_numbers(&mut value);
        Ok(value)
    }

    /// The value of a header field, by its name in small letters; none where it is not there, or no text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's bytes, or the refusal that their absence calls for.
    pub(super) fn bytes(&self) -> Result<&[u8], Refusal> {
        match &self.body {
            Body::Whole(bytes) => Ok(bytes),
            Body::TooLarge => Err(Refusal::too_large()),
            Body::Broken => Err(Refusal::bad_request("the body did not arrive whole")),
        }
    }

    /// A body that calls itself something else than JSON is refused; one that says nothing is taken for JSON.
    fn check_content_type(&self) -> Result<(), Refusal> {
        let Some(content_type) = &self.content_type else {
            return Ok(());
        };
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        Err(Refusal::bad_request("the body is not application/json").with_detail(format!("it is {media:?}")))
    }
}
