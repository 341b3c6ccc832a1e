//! discovery: the profiles spoken. It needs no token.

use serde_json::{Value, json};

/// The document.
pub(in crate::avp::server) fn document() -> Value {
    json!({ "profiles": ["http-json"] })
}
