//! How a server that deviates reads the body of a request: what it mends, what it lets pass, and what it refuses beside.

use serde_json::{Value, json};

use super::access::do_half;
use super::push::NO_ENVELOPE;
use super::transport::CHUNKED_EMPTY;
use super::{auth, fidelity, malformed};
use crate::avp::Operation;
use crate::avp::server::answer::Refusal;
use crate::avp::server::body_check::{self, Laxity};
use crate::avp::server::core::Call;
use crate::avp::server::message_shapes::Shape;
use crate::avp::server::request::Request;
use crate::avp::server::state::State;
use crate::avp::server::variations::{identity, rules, transport};

/// The body of a request whose message has this shape.
pub(in crate::avp::server) fn read(
    state: &State,
    place: &Call,
    request: &Request,
    shape: &Shape,
) -> Result<Value, Refusal> {
    let mut value = request.json(state)?;
    if request.header("transfer-encoding").is_some() {
        if state.deviates(transport::LENGTH_REQUIRED) {
            return Err(Refusal::failure(411, "the body needs a Content-Length"));
        }
        if place.operation == Operation::Pull && state.deviates(CHUNKED_EMPTY) {
            return Ok(json!({ "repoId": place.repo_id, "knownPayloadVersion": 0 }));
        }
    }
    if state.is(rules::LENIENT_JSON) && body_check::prune(shape, &mut value) {
        state.count(rules::LENIENT_JSON);
    }
    if let Some(mended) = malformed::names_mended(state, &value) {
        value = mended;
    }
    if body_check::mend(shape, &mut value, &|wanted, value| {
        malformed::mend(state, wanted, value)
    }) {
        state.fire();
    }
    body_check::check(shape, &value).or_else(|refusal| excuse(state, place, shape, &value, refusal))?;
    if fidelity::is_beyond_int32(&value) && state.deviates(fidelity::COUNTERS_REFUSED) {
        return Err(Refusal::bad_request("a counter is out of range"));
    }
    Ok(value)
}

/// What a server that deviates makes of a malformed body.
fn excuse(state: &State, place: &Call, shape: &Shape, body: &Value, refusal: Refusal) -> Result<(), Refusal> {
    let text = |name: &str| body[name].is_string();
    let lax = malformed::laxity(state);
    if body_check::check_laxly(shape, body, lax).is_ok() {
        state.fire();
        return Ok(());
    }
    match place.operation {
        Operation::Challenge
            if text("ed25519PublicKey") && state.deviates(identity::BAD_KEY_UNREDEEMABLE) =>
        {
            Ok(())
        }
        Operation::Token if takes_any_signature(state) && is_whole_but_signature(shape, body) => Ok(()),
        Operation::Token if text("nonce") && state.is(auth::NONCE_BY_TEXT) => Ok(()),
        Operation::Token if text("signature") && state.deviates(identity::BAD_SIGNATURE_FORM_401) => {
            Err(refusal.under(401, "unauthorized"))
        }
        Operation::Token if text("ed25519PublicKey") && state.deviates(identity::BAD_TOKEN_KEY_401) => {
            Err(refusal.under(401, "unauthorized"))
        }
        Operation::Push if body["envelope"].is_null() && state.is(NO_ENVELOPE) => Ok(()),
        _ => {
            do_half(state, place, body);
            Err(refusal)
        }
    }
}

fn takes_any_signature(state: &State) -> bool {
    let names = [
        auth::SIGNATURE_EMPTY,
        auth::SIGNATURE_LONGER,
        auth::SIGNATURE_UNCHECKED,
        auth::SIGNATURE_CHECKED_ONCE,
    ];
    names.into_iter().any(|name| state.is(name))
}

/// Whether a token request lacks nothing but a signature of the right length.
fn is_whole_but_signature(shape: &Shape, body: &Value) -> bool {
    body_check::check_laxly(
        shape,
        body,
        Laxity {
            lengths: true,
            ..Laxity::default()
        },
    )
    .is_ok()
}
