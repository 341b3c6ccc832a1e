//! What driving a case leaves behind: everything that judging needs, and nothing that it must ask the network for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::http::{Answer, Exchange, Outcome};
use crate::json;
use crate::record::{CaseRecord, Stopped};

/// How a placeholder for plaintext that a server must never have begins; the judge looks for it in answers.
pub const PLAINTEXT_MARK: &str = "[plaintext:";
/// How a placeholder for a private key begins.
pub const PRIVATE_KEY_MARK: &str = "[private-key:";
/// How a placeholder for a signature begins.
pub const SIGNATURE_MARK: &str = "[signature:";
/// How a placeholder for a token begins.
pub const TOKEN_MARK: &str = "[token:";

/// The exchanges of one case, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// When driving began, epoch milliseconds.
    pub began_ms: i64,
    /// What was sent and what came back.
    pub exchanges: Vec<Exchange>,
    /// What driving has read of them already, in the same order; nothing for a stored case.
    pub read: Vec<Read>,
    /// Why driving ended before the last step, if it did.
    pub stopped: Option<Stopped>,
    /// How long it took, waiting for throttling left out.
    pub took: Duration,
    /// How long it waited because the target asked for it.
    pub throttled: Duration,
}

impl Transcript {
    /// One of exchanges of which nothing is read yet, and in which nobody asked to be left alone for a time.
    pub fn unread(
        began_ms: i64,
        exchanges: Vec<Exchange>,
        stopped: Option<Stopped>,
        took: Duration,
    ) -> Transcript {
        Transcript {
            began_ms,
            read: exchanges.iter().map(|_| Read::default()).collect(),
            exchanges,
            stopped,
            took,
            throttled: Duration::ZERO,
        }
    }
}

/// The bodies of an exchange as JSON, as far as they are known. What is none here is yet to be read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Read {
    /// What was sent.
    pub request: Option<Arc<Value>>,
    /// What came back.
    pub answer: Option<JsonBody>,
}

/// An answer's body: JSON, or why it is none.
pub type JsonBody = Result<Arc<Value>, String>;

/// Reads the body of an answer; none where there is none.
pub fn json_body(answer: &Answer) -> Option<JsonBody> {
    let bytes = answer.body.as_bytes();
    (!bytes.is_empty()).then(|| json::parse(bytes).map(Arc::new))
}

impl Transcript {
    /// Adds an exchange at the end.
    pub fn push(&mut self, exchange: Exchange, read: Read) {
        self.exchanges.push(exchange);
        self.read.push(read);
    }

    /// What the body of an answer says, where it is that of the exchange before; the two share its bytes then.
    ///
    /// One member after the other is served the same.
    pub fn read_before(&self, outcome: &mut Outcome) -> Option<JsonBody> {
        let Outcome::Answer(answer) = outcome else {
            return None;
        };
        let before = self.exchanges.last()?.outcome.answer()?;
        if before.body != answer.body {
            return None;
        }
        answer.body = before.body.clone();
        self.read.last()?.answer.clone()
    }

    /// Forgets all exchanges but the first `length`.
    pub fn truncate(&mut self, length: usize) {
        self.exchanges.truncate(length);
        self.read.truncate(length);
    }

    /// The transcript that a stored case was judged by.
    pub fn of(case: &CaseRecord) -> Transcript {
        Transcript {
            began_ms: case.began_ms,
            exchanges: case.exchanges.clone(),
            read: Vec::new(),
            stopped: case.stopped.clone(),
            took: Duration::try_from_secs_f64(case.duration_ms / 1000.0).unwrap_or_default(),
            throttled: Duration::from_millis(case.throttled_ms),
        }
    }
}
