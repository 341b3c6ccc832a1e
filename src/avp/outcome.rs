//! What an answer says about the request, before anybody judges it: granted, a conflict, a status, or nothing usable.

use std::sync::Arc;

use serde_json::Value;

use crate::avp::cases::ExpectedAnswer;
use crate::avp::{Operation, schema};
use crate::record::transcript::{JsonBody, json_body};
use crate::record::{Failure, FailureKind, Outcome};

/// An answer, read.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerClass {
    /// 2xx with a JSON object, or null where it is none and the request is outside the route table; for a push: accepted.
    Granted(Arc<Value>),
    /// 2xx to a push that was not accepted.
    Conflict(Arc<Value>),
    /// 2xx with a body that is no JSON object: why.
    Unreadable(String),
    /// Any other status.
    Status(u16),
    /// No answer.
    Failed(Failure),
}

impl AnswerClass {
    /// Reads the outcome of an operation. A request outside the route table (`None`) is granted by any 2xx.
    pub fn of(operation: Option<Operation>, outcome: &Outcome) -> AnswerClass {
        AnswerClass::with_body(operation, outcome, outcome.answer().and_then(json_body).as_ref())
    }

    /// Reads the outcome of an operation whose body was read before.
    pub fn with_body(
        operation: Option<Operation>,
        outcome: &Outcome,
        body: Option<&JsonBody>,
    ) -> AnswerClass {
        let answer = match outcome {
            Outcome::Failure(failure) => return AnswerClass::Failed(failure.clone()),
            Outcome::Answer(answer) => answer,
        };
        if !(200..300).contains(&answer.status) {
            return AnswerClass::Status(answer.status);
        }
        match body {
            Some(Ok(body)) if operation.is_some_and(|operation| is_error_object(operation, body)) => {
                AnswerClass::Unreadable("the body is an error object".to_owned())
            }
            Some(Ok(body)) if body.is_object() && operation == Some(Operation::Push) => {
                match body.get("accepted") {
                    Some(Value::Bool(true)) => AnswerClass::Granted(Arc::clone(body)),
                    _ => AnswerClass::Conflict(Arc::clone(body)),
                }
            }
            Some(Ok(body)) if body.is_object() => AnswerClass::Granted(Arc::clone(body)),
            _ if operation.is_none() => AnswerClass::Granted(Arc::new(Value::Null)),
            Some(Ok(_)) => AnswerClass::Unreadable("the body is no JSON object".to_owned()),
            Some(Err(why)) => AnswerClass::Unreadable(format!("the body is not JSON: {why}")),
            None => AnswerClass::Unreadable("the body is not JSON: it is empty".to_owned()),
        }
    }

    /// The body of a granted request.
    pub fn granted(&self) -> Option<&Value> {
        match self {
            AnswerClass::Granted(body) => Some(body),
            _ => None,
        }
    }

    /// The status, where it is not 2xx.
    pub fn status(&self) -> Option<u16> {
        match self {
            AnswerClass::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// Whether it is the answer that a case's word means.
    pub fn is(&self, word: ExpectedAnswer) -> bool {
        let unchanged = |body: &Value| body.get("unchanged").and_then(Value::as_bool);
        match (word, self) {
            (ExpectedAnswer::Granted, AnswerClass::Granted(_))
            | (ExpectedAnswer::Conflict, AnswerClass::Conflict(_)) => true,
            (ExpectedAnswer::Unchanged, AnswerClass::Granted(body)) => unchanged(body) == Some(true),
            (ExpectedAnswer::Changed, AnswerClass::Granted(body)) => unchanged(body) == Some(false),
            (ExpectedAnswer::Refused, AnswerClass::Status(status)) => (400..500).contains(status),
            (ExpectedAnswer::Error, AnswerClass::Status(status)) => (400..600).contains(status),
            (ExpectedAnswer::Cancelled, AnswerClass::Status(status)) => matches!(status, 499 | 504),
            (ExpectedAnswer::Error, AnswerClass::Failed(failure)) => failure.kind == FailureKind::Reset,
            (ExpectedAnswer::Cancelled, AnswerClass::Failed(failure)) => {
                failure.kind == FailureKind::Cancelled
            }
            (ExpectedAnswer::Status(wanted), AnswerClass::Status(status)) => wanted == *status,
            _ => false,
        }
    }

    /// What came, in a few words for people.
    pub fn describe(&self) -> String {
        match self {
            AnswerClass::Granted(body) => match body.get("unchanged").and_then(Value::as_bool) {
                Some(true) => "200, `unchanged: true`".to_owned(),
                Some(false) => "200, `unchanged: false`".to_owned(),
                None => "200, granted".to_owned(),
            },
            AnswerClass::Conflict(body) if body.get("conflict").and_then(Value::as_bool) == Some(true) => {
                "200, `conflict: true`".to_owned()
            }
            AnswerClass::Conflict(_) => "200, but neither accepted nor a conflict".to_owned(),
            AnswerClass::Unreadable(why) => format!("2xx, but {why}"),
            AnswerClass::Status(status) => format!("status {status}"),
            AnswerClass::Failed(failure) => failure.message.clone(),
        }
    }
}

/// Whether a body is what refusals are told with, and not what the operation answers.
fn is_error_object(operation: Operation, body: &Value) -> bool {
    body.get("error").is_some_and(Value::is_string)
        && !schema::violations(operation.answer_message(), body).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Answer;

    fn answer(status: u16, body: &str) -> Outcome {
        Outcome::Answer(Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        })
    }

    #[test]
    fn outside_the_route_table_any_2xx_grants() {
        for body in ["", "[]", "<p>", "{}"] {
            let outside = AnswerClass::of(None, &answer(200, body));
            assert!(outside.is(ExpectedAnswer::Granted), "{body}");
        }
    }

    #[test]
    fn a_push_is_granted_only_if_it_says_accepted() {
        let push = |body| AnswerClass::of(Some(Operation::Push), &answer(200, body));
        assert!(push(r#"{"accepted":true}"#).is(ExpectedAnswer::Granted));
        assert!(push(r#"{"accepted":false,"conflict":true}"#).is(ExpectedAnswer::Conflict));
        assert!(!push("{}").is(ExpectedAnswer::Granted));
    }

    #[test]
    fn a_stream_that_is_reset_is_an_error_and_no_refusal_of_the_table() {
        let ended = |kind| {
            let outcome = Outcome::Failure(Failure {
                kind,
                message: String::new(),
                begun: true,
            });
            AnswerClass::of(Some(Operation::Push), &outcome)
        };
        assert!(ended(FailureKind::Reset).is(ExpectedAnswer::Error));
        assert!(!ended(FailureKind::Closed).is(ExpectedAnswer::Error));
        for word in [
            ExpectedAnswer::Refused,
            ExpectedAnswer::Granted,
            ExpectedAnswer::Status(401),
        ] {
            assert!(!ended(FailureKind::Reset).is(word));
        }
    }

    #[test]
    fn refused_means_4xx_and_nothing_else() {
        let pull = |status| AnswerClass::of(Some(Operation::Pull), &answer(status, "{}"));
        assert!(pull(403).is(ExpectedAnswer::Refused));
        assert!(!pull(500).is(ExpectedAnswer::Refused));
        assert!(!pull(302).is(ExpectedAnswer::Refused));
        assert!(pull(404).is(ExpectedAnswer::Status(404)));
    }

    #[test]
    fn a_body_that_is_no_object_grants_nothing() {
        assert!(!AnswerClass::of(Some(Operation::Pull), &answer(200, "<html>")).is(ExpectedAnswer::Granted));
        assert!(!AnswerClass::of(Some(Operation::Pull), &answer(200, "[]")).is(ExpectedAnswer::Granted));
    }
}
