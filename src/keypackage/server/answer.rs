//! What the registry answers, as plain data, and how it is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::store::Bundle;
use crate::serve::Reply;

/// One answer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// A bundle was stored.
    Published,
    /// A bundle of a device.
    Bundle {
        /// The device, by the name under which it is stored.
        device: String,
        /// Its bundle.
        bundle: Bundle,
    },
    /// Some other object.
    Object(Value),
    /// The request is refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why, for people.
        why: String,
        /// The methods that the route has, where the method is why.
        allow: Option<&'static str>,
    },
}

impl Answer {
    /// A refusal.
    pub(super) fn refused(status: u16, why: &str) -> Answer {
        Answer::Refused {
            status,
            why: why.to_owned(),
            allow: None,
        }
    }

    /// The refusal of a method that the route does not have.
    pub(super) fn not_allowed(allowed: &'static str) -> Answer {
        Answer::Refused {
            status: 405,
            why: "this method is not allowed here".to_owned(),
            allow: Some(allowed),
        }
    }

    /// The reply that says it.
    pub(super) fn reply(&self) -> Reply {
        match self {
            Answer::Published => Reply {
                status: 204,
                ..Reply::default()
            },
            Answer::Bundle { bundle, .. } => {
                let payload = STANDARD.encode(&bundle.payload);
                let signature = STANDARD.encode(&bundle.signature);
                json(200, &json!({ "payload": payload, "signature": signature }))
            }
            Answer::Object(object) => json(200, object),
            Answer::Refused { status, why, allow } => {
                let mut reply = json(*status, &json!({ "error": why }));
                let allow = allow.map(|methods| ("allow", methods.to_owned()));
                reply.headers.extend(allow);
                reply
            }
        }
    }
}

/// A reply with a JSON body.
pub(super) fn json(status: u16, body: &Value) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.to_string().into_bytes(),
    }
}
