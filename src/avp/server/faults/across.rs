//! What is got wrong only where both transports lead to one vault: what each of them does alone is right.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::MutexGuard;

use super::grpc::{IN_BETWEEN, Taken};
use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body, Refusal};
use crate::avp::server::deviation::{Name, faults};
use crate::avp::server::state::State;
use crate::avp::server::vault::text;

faults! { "both transports";
    Named(CREATE_LOCK) "grpc-create-under-own-lock", Must "AVP-11-09",
        "Over gRPC, a create looks for the id, and inserts a moment later, under a lock that HTTP does not take.",
        "Two people create the same repository, and one of them loses it.",
        "Insert, and let the unique key refuse.";
    Named(REMOVAL_LOCK) "grpc-push-outlives-removal", Must "AVP-11-09",
        "Over gRPC, a push reads the repository, and writes it back a moment later, though its sender was removed over HTTP meanwhile.",
        "A removal that was answered as done is undone.",
        "Check and write under one lock for both transports.";
    Named(NONCE_LOCK) "grpc-redeem-under-own-lock", Must "AVP-11-09",
        "Over gRPC, a nonce is looked for, and deleted a moment later, under a lock that HTTP does not take.",
        "A login that was overheard can be replayed at the same moment over the other transport.",
        "Delete the nonce in the step that finds it.";
    Named(OWN_NONCES) "grpc-own-nonces", Must "AVP-11-09",
        "Over gRPC, nonces alone are known that were issued over gRPC.",
        "Clients cannot log in over gRPC with a nonce that they were issued over HTTP.",
        "Keep nonces in one store, behind both transports.";
    Named(OWN_USED) "grpc-own-used-nonces", Must "AVP-11-09",
        "Over gRPC, nonces alone are known as used that were used over gRPC.",
        "A login that was overheard can be replayed over the other transport.",
        "Keep used nonces in one store, behind both transports.";
}

/// The lock that calls take and requests over HTTP do not, where the server has one.
pub(in crate::avp::server) async fn own_lock(state: &State) -> Option<MutexGuard<'_, ()>> {
    let locks = [CREATE_LOCK, REMOVAL_LOCK, NONCE_LOCK];
    match locks.into_iter().any(|name| state.is(name)) {
        true => Some(state.calls().await),
        false => None,
    }
}

/// Waits between the look of a call and its write, and forgets then what came in between over HTTP.
pub(in crate::avp::server) async fn overlook(state: &State, call: &Taken) {
    let is_here = |operation: Operation, name: Name| call.operation == operation && state.is(name);
    if is_here(Operation::CreateRepo, CREATE_LOCK) {
        overlook_create(state, call).await;
    } else if is_here(Operation::Push, REMOVAL_LOCK) {
        overlook_removal(state, call).await;
    } else if is_here(Operation::Token, NONCE_LOCK) {
        overlook_redemption(state, call).await;
    }
}

/// The member whose token a call carries.
fn caller(state: &State, call: &Taken) -> Option<String> {
    let token = call.authorization.as_deref()?.strip_prefix("Bearer ")?;
    state.tokens().member(token)
}

async fn overlook_create(state: &State, call: &Taken) {
    let Some(id) = call.body.pointer("/manifest/repoId").and_then(Value::as_str) else {
        return;
    };
    if caller(state, call).is_none() || state.vault().repos.contains_key(id) {
        return;
    }
    tokio::time::sleep(IN_BETWEEN).await;
    if state.vault().repos.remove(id).is_some() {
        state.fire();
    }
}

async fn overlook_removal(state: &State, call: &Taken) {
    let Some(caller) = caller(state, call) else { return };
    let found = state.vault().repos.get(&call.repo_id).cloned();
    let Some(before) = found.filter(|repo| repo.entry(&caller).is_some()) else {
        return;
    };
    tokio::time::sleep(IN_BETWEEN).await;
    let mut vault = state.vault();
    let removed = vault
        .repos
        .get_mut(&call.repo_id)
        .filter(|repo| repo.entry(&caller).is_none());
    if let Some(repo) = removed {
        *repo = before;
        state.fire();
    }
}

async fn overlook_redemption(state: &State, call: &Taken) {
    let Some((nonce, member_id)) = claim(call) else {
        return;
    };
    if !state.nonces().is_open(&nonce, member_id) {
        return;
    }
    tokio::time::sleep(IN_BETWEEN).await;
    if state.nonces().restore(&nonce, member_id) {
        state.fire();
    }
}

/// The nonce of a redemption, and who redeems it.
fn claim(call: &Taken) -> Option<(Vec<u8>, &str)> {
    let nonce = STANDARD.decode(text(&call.body, "nonce")).ok()?;
    Some((nonce, text(&call.body, "ed25519PublicKey")))
}

/// What a server knows of the nonce of a redemption that keeps those of gRPC apart. A refusal ends the call.
pub(in crate::avp::server) fn look_up_nonce(state: &State, call: &Taken) -> Option<Answer> {
    if call.operation != Operation::Token {
        return None;
    }
    let (nonce, member_id) = claim(call)?;
    let is_known = state.recall(&known(text(&call.body, "nonce"))).is_some();
    if state.is(OWN_NONCES) && !is_known && state.nonces().is_open(&nonce, member_id) {
        state.fire();
        return Some(Refusal::unauthorized("the nonce is not known").into());
    }
    if state.is(OWN_USED) && !is_known && state.nonces().restore(&nonce, member_id) {
        state.fire();
    }
    None
}

/// Notes the nonce of an answered call: as issued over gRPC, or as used over gRPC.
pub(in crate::avp::server) fn note_nonce(state: &State, call: &Taken, answer: &Answer) {
    let of_body = |body: &Value| body["nonce"].as_str().map(known);
    let place = match call.operation {
        Operation::Challenge if state.is(OWN_NONCES) => match &answer.body {
            Body::Json(body) => of_body(body),
            _ => None,
        },
        Operation::Token if state.is(OWN_USED) && answer.status < 300 => of_body(&call.body),
        _ => None,
    };
    if let Some(place) = place {
        state.remember(place, Value::Null);
    }
}

/// Where a nonce is noted that was issued or used over gRPC.
fn known(nonce: &str) -> String {
    format!("grpc nonce {nonce}")
}
