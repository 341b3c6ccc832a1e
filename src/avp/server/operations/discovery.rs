//! discovery: the profiles spoken. It needs no token.

use serde_json::{Value, json};

/// The document.
pub(in crate::avp::server) fn document(speaks_grpc: bool) -> Value {
    match speaks_grpc {
        true => json!({ "profiles": ["http-json", "grpc"] }),
        false => json!({ "profiles": ["http-json"] }),
    }
}
