//! Discovery and the issuer's keys: documents that need no token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::faults::jwts;
use super::request::Request;
use super::state::State;
use super::variations::identity;

/// Where the issuer's keys are, on servers that sign their tokens.
const KEYS: &str = "/.well-known/jwks.json";

/// discovery: the profiles spoken.
pub(super) fn document(state: &State, request: &Request) -> Result<Value, Refusal> {
    check_offered(state)?;
    let mut document = json!({ "profiles": ["http-json"] });
    if state.deviates(identity::DISCOVERY_FULL) {
        document["profiles"] = json!(["grpc", "http-json"]);
        document["software"] = json!("reference");
    }
    if has_keys(state) {
        let host = request.host.as_deref().unwrap_or("localhost");
        document["issuerJwksUrl"] = json!(format!("http://{host}{KEYS}"));
    }
    Ok(document)
}

/// Documents beside the protocol's routes; `None` where there is none.
pub(super) fn beside(state: &State, request: &Request) -> Option<Value> {
    (request.path == KEYS && request.method == "GET" && has_keys(state)).then(|| {
        let key = URL_SAFE_NO_PAD.encode(state.issuer().verifying_key().as_bytes());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1", "x": key }] })
    })
}

fn has_keys(state: &State) -> bool {
    state.is(identity::DISCOVERY_FULL) || state.is(identity::JWT_TOKENS) || jwts::are_issued(state)
}

fn check_offered(state: &State) -> Result<(), Refusal> {
    let unoffered = Refusal::not_found("there is no such route");
    if state.deviates(identity::DISCOVERY_404) {
        return Err(unoffered);
    }
    if state.deviates(identity::DISCOVERY_401) {
        return Err(Refusal::unauthorized("a bearer token is needed"));
    }
    if state.deviates(identity::DISCOVERY_403) {
        return Err(unoffered.under(403, "forbidden"));
    }
    if state.deviates(identity::DISCOVERY_405) {
        return Err(Refusal::wrong_method("POST"));
    }
    Ok(())
}
