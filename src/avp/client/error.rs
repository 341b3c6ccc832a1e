//! Why an operation of the client did not come to its end.

use thiserror::Error;

/// What went wrong, for people, with what a program can go by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum ClientError {
    /// Nobody answered: refused, timed out, cut off.
    #[error("no answer to {request}: {why}")]
    Unreachable {
        /// The request: `POST /v1/repos`.
        request: String,
        /// What the network said.
        why: String,
    },
    /// The server answered with an error status. It is final: the operation is not tried again.
    #[error("{request} was refused: {status}{}{}", code.as_ref().map(|it| format!(" {it}")).unwrap_or_default(), said(error))]
    Refused {
        /// The request.
        request: String,
        /// The status.
        status: u16,
        /// The code of the error object, where there was one.
        code: Option<String>,
        /// Its text; empty where there was none.
        error: String,
    },
    /// What came is no answer of the protocol.
    #[error("{request} got no answer of the protocol: expected {expected}; got {got}")]
    Invalid {
        /// The request.
        request: String,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// What came cannot be trusted: altered, of another place or time, or bound by nobody.
    #[error("not trusted: {0}")]
    Untrusted(String),
    /// Somebody else wrote first, each time.
    #[error("not saved: {0}")]
    Conflict(String),
    /// The caller asked for what cannot be done.
    #[error("{0}")]
    Usage(String),
}

fn said(error: &str) -> String {
    match error {
        "" => String::new(),
        text => format!(" ({text})"),
    }
}

impl ClientError {
    /// The status of a refusal.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            ClientError::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
