//! A transcript, read once: every answer and every request of ours as JSON, with what it says.

use serde_json::Value;

use crate::drive::SIGNATURE_MARK;
use crate::json;
use crate::reading::{self, Reading};
use crate::transcript::Transcript;
use crate::wire::{Answer, Exchange};

/// One exchange, read.
pub(super) struct Frame<'a> {
    pub(super) index: usize,
    pub(super) exchange: &'a Exchange,
    pub(super) reading: Reading,
    /// The answer's body: JSON, or why it is none. `None` where there is no answer or no body.
    pub(super) body: Option<reading::Body>,
    /// Our body as JSON, where it is JSON.
    pub(super) request: Option<Value>,
}

impl<'a> Frame<'a> {
    pub(super) fn answer(&self) -> Option<&'a Answer> {
        self.exchange.outcome.answer()
    }

    pub(super) fn actor(&self) -> &str {
        self.exchange.actor.as_deref().unwrap_or("nobody")
    }

    /// The answer's body as JSON.
    pub(super) fn json(&self) -> Option<&Value> {
        self.body.as_ref()?.as_deref().ok()
    }
}

/// Reads all exchanges of a transcript.
pub(super) fn read(transcript: &Transcript) -> Vec<Frame<'_>> {
    transcript
        .exchanges
        .iter()
        .enumerate()
        .map(|(index, exchange)| frame(index, exchange))
        .collect()
}

fn frame(index: usize, exchange: &Exchange) -> Frame<'_> {
    let body = exchange.outcome.answer().and_then(reading::body);
    let request = exchange
        .request
        .body
        .as_ref()
        .and_then(|body| json::first(body.as_bytes()));
    let reading = Reading::with_body(exchange.operation, &exchange.outcome, body.as_ref());
    Frame {
        index,
        exchange,
        reading,
        body,
        request: request.map(with_a_signature),
    }
}

/// A hidden signature is taken for a well-formed one: it was looked at before it was hidden.
fn with_a_signature(mut request: Value) -> Value {
    if let Some(Value::String(signature)) = request.get_mut("signature")
        && signature.starts_with(SIGNATURE_MARK)
    {
        *signature = format!("{}==", "A".repeat(86));
    }
    request
}
