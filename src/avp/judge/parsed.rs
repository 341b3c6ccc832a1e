//! A transcript, read once: every answer and every request of ours as JSON, with what it says.

use crate::record::transcript::{JsonBody, json_body};
use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::avp::cases::TokenForm;
use crate::avp::outcome::AnswerClass;
use crate::avp::{Operation, schema};
use crate::json;
use crate::record::transcript::{Read, SIGNATURE_MARK, Transcript};
use crate::record::{Answer, Exchange, Wire};

/// One exchange, read.
pub(super) struct ParsedExchange<'a> {
    pub(super) index: usize,
    pub(super) exchange: &'a Exchange,
    /// The operation that it is, or is derived from.
    pub(super) operation: Option<Operation>,
    pub(super) reading: AnswerClass,
    /// The answer's body: JSON, or why it is none. `None` where there is no answer or no body.
    pub(super) body: Option<JsonBody>,
    /// Our body as JSON, where it is JSON.
    pub(super) request: Option<Arc<Value>>,
}

impl<'a> ParsedExchange<'a> {
    pub(super) fn answer(&self) -> Option<&'a Answer> {
        self.exchange.outcome.answer()
    }

    pub(super) fn actor(&self) -> &str {
        self.exchange.actor.as_deref().unwrap_or("nobody")
    }

    /// Whether it went over gRPC.
    pub(super) fn is_grpc(&self) -> bool {
        self.exchange.wire == Wire::Grpc
    }

    /// The path of the request; of a call, that which would say the same over HTTP.
    pub(super) fn path(&self) -> Cow<'_, str> {
        let (true, Some(operation)) = (self.is_grpc(), self.operation) else {
            return Cow::Borrowed(&self.exchange.request.path);
        };
        let named = |name: &str| self.request.as_ref().and_then(|body| body.get(name)?.as_str());
        let id = |name: &str| named(name).unwrap_or_default();
        Cow::Owned(operation.path(id("repoId"), id("memberId")))
    }

    /// The version that the client of a pull says it holds.
    pub(super) fn known(&self) -> Option<i64> {
        self.request.as_ref()?.get("knownPayloadVersion")?.as_i64()
    }

    /// Why a success is none that the route table knows: its status or its body says something else. That is said once, of
    /// the answer itself, and not of what the answer was to show.
    pub(super) fn breach(&self) -> Option<String> {
        let status = self.answer()?.status;
        let message = self.operation?.answer_message();
        if !(200..300).contains(&status) {
            return None;
        }
        match &self.reading {
            AnswerClass::Unreadable(why) => Some(why.clone()),
            _ => {
                let wrong = schema::violations(message, self.json()?).into_iter().next()?;
                Some(format!("{}: {}", wrong.pointer, wrong.message))
            }
        }
    }

    /// Whether the request carried something that could be a bearer token.
    pub(super) fn has_token(&self) -> bool {
        let none = [
            TokenForm::None,
            TokenForm::Empty,
            TokenForm::Basic,
            TokenForm::Digest,
            TokenForm::Glued,
            TokenForm::NoScheme,
            TokenForm::InQuery,
            TokenForm::InMetadata,
        ];
        let how = self.exchange.spoiled.as_deref().unwrap_or_default();
        !none.iter().any(|form| how.contains(&form.to_string()))
    }

    /// Whether an error object came with a status of success.
    pub(super) fn is_refusal_in_disguise(&self) -> bool {
        let is_success = self
            .answer()
            .is_some_and(|answer| (200..300).contains(&answer.status));
        let error = self.json().and_then(|body| body.get("error"));
        is_success && error.is_some_and(Value::is_string) && self.breach().is_some()
    }

    /// The answer's body as JSON.
    pub(super) fn json(&self) -> Option<&Value> {
        self.body.as_ref()?.as_deref().ok()
    }
}

/// Reads all exchanges of a transcript.
pub(super) fn read(transcript: &Transcript) -> Vec<ParsedExchange<'_>> {
    let read = |index: usize| transcript.read.get(index).cloned().unwrap_or_default();
    let exchanges = transcript.exchanges.iter().enumerate();
    exchanges
        .map(|(index, exchange)| frame(index, exchange, read(index)))
        .collect()
}

fn frame(index: usize, exchange: &Exchange, read: Read) -> ParsedExchange<'_> {
    let operation = Operation::of(exchange);
    let answer = || exchange.outcome.answer().and_then(json_body);
    let body = read.answer.or_else(answer);
    let sent = || {
        let body = exchange.request.body.as_ref()?;
        json::first(body.as_bytes()).map(|request| with_a_signature(request).into())
    };
    let reading = AnswerClass::with_body(operation, &exchange.outcome, body.as_ref());
    ParsedExchange {
        index,
        exchange,
        operation,
        reading,
        body,
        request: read.request.or_else(sent),
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
