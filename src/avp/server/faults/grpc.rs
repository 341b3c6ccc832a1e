//! What is got wrong in the gRPC profile alone: at its edge, where calls become requests and answers become messages.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{self, Answer, Refusal};
use crate::avp::server::deviation::{Name, faults};
use crate::avp::server::message_access::fields;
use crate::avp::server::state::State;
use crate::avp::server::vault::id_of;
use crate::avp::server::{body_check, message_shapes};

faults! { "gRPC";
    Named(FORBIDDEN_401) "grpc-forbidden-as-unauthenticated", Must "AVP-11-03",
        "Over gRPC, a caller who is no member is answered UNAUTHENTICATED.",
        "Clients log in again and again.",
        "Answer PERMISSION_DENIED to whoever is known and is no member.";
    Named(NOT_FOUND_UNKNOWN) "grpc-not-found-as-unknown", Must "AVP-11-03",
        "Over gRPC, an unknown repository or member is answered UNKNOWN.",
        "Clients cannot tell a missing repository from a broken server.",
        "Answer NOT_FOUND.";
    Named(DUPLICATE_ABORTED) "grpc-duplicate-as-aborted", Must "AVP-11-03",
        "Over gRPC, a second repository of one id is answered ABORTED.",
        "Clients try again what can never succeed.",
        "Answer ALREADY_EXISTS.";
    Named(BAD_PRECONDITION) "grpc-bad-request-as-failed-precondition", Must "AVP-11-03",
        "Over gRPC, a malformed message is answered FAILED_PRECONDITION.",
        "Clients do not see that the request itself is wrong.",
        "Answer INVALID_ARGUMENT.";
    Named(UNAUTHENTICATED_DENIED) "grpc-unauthenticated-as-denied", Must "AVP-11-02",
        "Over gRPC, a call without a good token is answered PERMISSION_DENIED.",
        "Clients whose token has run out do not log in again.",
        "Answer UNAUTHENTICATED.";
    Named(HTTP_STATUS) "grpc-http-status", Must "AVP-11-01",
        "Over gRPC, refusals are HTTP statuses with JSON, as over HTTP.",
        "Libraries of gRPC tell their callers UNKNOWN.",
        "Answer HTTP 200 with the status in the trailers: let the framework do it.";
    Named(NO_STATUS) "grpc-missing-status", Must "AVP-11-01",
        "Over gRPC, refusals have no grpc-status.",
        "Libraries of gRPC tell their callers INTERNAL or UNKNOWN.",
        "End each answer with grpc-status in its trailers.";
    Named(METHOD_OK) "grpc-unknown-method-granted", Must "AVP-11-01",
        "A method that the service does not have is answered OK.",
        "Clients believe that something was done.",
        "Answer UNIMPLEMENTED.";
    Named(METHOD_NOT_FOUND) "grpc-unknown-method-not-found", Must "AVP-11-01",
        "A method that the service does not have is answered NOT_FOUND.",
        "Clients take a missing method for a missing repository.",
        "Answer UNIMPLEMENTED.";
    Named(NO_FETCH) "grpc-fetch-unimplemented", Must "AVP-11-01",
        "Over gRPC, FetchMemberKey is answered UNIMPLEMENTED.",
        "Clients cannot look up whom they share with.",
        "Serve all six methods of the service, under their names.";
    Named(NO_SLASHES) "grpc-id-with-a-slash-not-found", Must "AVP-6-03",
        "Over gRPC, a repository whose id has a slash in it is not found.",
        "Clients lose what they have just made: a call that is turned into a path, without escapes, is the usual cause.",
        "Take the id from the message as it is.";
    Named(STALE_ABORTED) "grpc-stale-push-aborted", Must "AVP-11-04" and "AVP-11-03",
        "Over gRPC, a stale push is answered ABORTED.",
        "Clients take a conflict for an error, and give up.",
        "Answer OK with conflict = true.";
    Named(STALE_PRECONDITION) "grpc-stale-push-failed-precondition", Must "AVP-11-04" and "AVP-11-03",
        "Over gRPC, a stale push is answered FAILED_PRECONDITION.",
        "Clients take a conflict for an error, and give up.",
        "Answer OK with conflict = true.";
    Named(NO_TOKEN_PULL) "grpc-pull-without-token", Must "AVP-11-02",
        "Over gRPC, Pull needs no token.",
        "Anybody who knows an id gets in.",
        "Look at the token in an interceptor for the whole service.";
    Named(NO_TOKEN_PUSH) "grpc-push-without-token", Must "AVP-11-02",
        "Over gRPC, Push needs no token.",
        "Anybody who knows an id gets in.",
        "Look at the token in an interceptor for the whole service.";
    Named(NO_TOKEN_CREATE) "grpc-create-without-token", Must "AVP-11-02",
        "Over gRPC, CreateRepo needs no token.",
        "Anybody who knows an id gets in.",
        "Look at the token in an interceptor for the whole service.";
    Named(NO_TOKEN_ADD) "grpc-add-without-token", Must "AVP-11-02",
        "Over gRPC, AddMember needs no token.",
        "Anybody who knows an id gets in.",
        "Look at the token in an interceptor for the whole service.";
    Named(NO_TOKEN_REMOVE) "grpc-remove-without-token", Must "AVP-11-02",
        "Over gRPC, RemoveMember needs no token.",
        "Anybody who knows an id gets in.",
        "Look at the token in an interceptor for the whole service.";
    Named(NO_TOKEN_FETCH) "grpc-fetch-without-token", Must "AVP-11-02",
        "Over gRPC, FetchMemberKey needs no token.",
        "Anybody who knows an id gets in.",
        "Look at the token in an interceptor for the whole service.";
    Named(OTHER_METADATA) "grpc-token-in-other-metadata", Must "AVP-11-02",
        "Over gRPC, a token is taken from the metadata x-authorization as well.",
        "A proxy that strips authorization does not keep anybody out.",
        "Read the metadata authorization alone.";
    Named(COOKIE) "grpc-token-in-a-cookie", Must "AVP-11-02",
        "Over gRPC, a token is taken from a cookie as well.",
        "A proxy that strips authorization does not keep anybody out.",
        "Read the metadata authorization alone.";
    Named(MESSAGE_FIRST) "grpc-message-before-token", Must "AVP-11-02",
        "Over gRPC, a message that lacks something is answered INVALID_ARGUMENT before the token is looked at.",
        "Clients without a token are told about their message.",
        "Look at the token first: an interceptor that validates messages comes behind the one for tokens.";
    Named(ANY_TOKEN) "grpc-any-token", Must "AVP-11-02",
        "Over gRPC, any bearer token is taken for that of a member.",
        "Anybody who knows an id gets in.",
        "Look the token up, as over HTTP.";
    Named(NO_SCHEME) "grpc-token-without-scheme", Must "AVP-11-02",
        "Over gRPC, a token without the word Bearer is taken.",
        "What is no bearer token lets people in.",
        "Ask for the scheme, as over HTTP.";
    Named(SEVERAL_TOKENS) "grpc-several-tokens-unchecked", Must "AVP-11-02",
        "Over gRPC, a call with more than one authorization is let in, whatever they are.",
        "Anybody who knows an id gets in.",
        "Look at each token, or refuse a call that has several.";
    Named(UNREADABLE_OK) "grpc-garbage-is-empty", Must "AVP-11-08",
        "Bytes that are no message are answered OK with an empty message.",
        "Clients believe that their write was done.",
        "Refuse what cannot be read.";
    Named(UNREADABLE_LAST) "grpc-unreadable-is-the-last-one", Must "AVP-11-08",
        "A call that cannot be read is taken for the last one of its method that could.",
        "Somebody else's request is answered.",
        "Give each call a buffer of its own.";
    Named(LENGTH_IGNORED) "grpc-frame-length-ignored", Must "AVP-11-08",
        "The length in the frame is ignored: all that came is the message.",
        "A call that broke off is applied.",
        "Read as many bytes as the frame says, and refuse what is shorter.";
    Named(ENCODING_TAKEN) "grpc-unknown-compression-taken", Must "AVP-11-08",
        "A message that is said to be compressed in an unknown way is read as it is.",
        "Compressed bytes are taken for a message.",
        "Answer UNIMPLEMENTED to an unknown grpc-encoding.";
    Named(NO_MESSAGE_OK) "grpc-no-message-is-empty", Must "AVP-11-08",
        "A call without a message is answered OK with an empty one.",
        "Clients believe that their write was done.",
        "Refuse a call without a message.";
    Named(TWICE) "grpc-two-messages-applied-twice", Must "AVP-11-08",
        "Of a call with two messages both are applied, and the second is answered.",
        "The client is told of a conflict with itself.",
        "Refuse a second message, or leave it unread.";
    Named(GZIP_STORED) "grpc-gzip-stored-compressed", Must "AVP-11-08",
        "Of a message that came compressed, the ciphertext is stored altered.",
        "Nobody can decrypt it.",
        "Decompress before anything is stored.";
    Named(NO_ENVELOPE) "grpc-missing-envelope-is-empty", Should "AVP-11-07",
        "Over gRPC, a push without an envelope is accepted, with the envelope that was there.",
        "A client that forgot its payload believes it stored.",
        "Ask for the presence of the envelope.";
    Named(NO_MEMBER) "grpc-missing-member-is-empty", Should "AVP-11-07",
        "Over gRPC, AddMember without a member is answered with the manifest.",
        "A client believes that somebody was added.",
        "Ask for the presence of the member.";
    Named(NO_MANIFEST) "grpc-missing-manifest-internal", Should "AVP-11-07",
        "Over gRPC, CreateRepo without a manifest is answered INTERNAL.",
        "Clients take their own mistake for the server's.",
        "Ask for the presence of the manifest, and answer INVALID_ARGUMENT.";
    Named(EMPTY_KEY) "grpc-empty-key-taken", Should "AVP-11-07",
        "Over gRPC, AddMember without an X25519 key is granted, with a key of the server's own.",
        "Nobody can share with that member.",
        "Ask for each required field: one that is absent reads as an empty text.";
    Named(ID_FILLED) "grpc-envelope-id-filled-in", Must "AVP-11-05",
        "Over gRPC, an envelope that names no repository is stored under the id of the push.",
        "Nobody can decrypt it: the id is bound into the ciphertext.",
        "Store the envelope as it was sent, or refuse it.";
    Named(INT32) "grpc-counters-as-int32", Must "AVP-11-05",
        "Over gRPC, counters are served as numbers of 32 bits.",
        "Versions above two billion come back as others.",
        "Keep counters in 64 bits.";
    Named(DOUBLES) "grpc-counters-as-doubles", Must "AVP-11-05",
        "Over gRPC, counters pass through floating point.",
        "Large versions come back as their neighbours.",
        "Keep counters in 64 bits.";
    Named(NO_PADDING) "grpc-base64-without-padding", Must "AVP-11-05" and "AVP-2-01" and "AVP-11-09",
        "Over gRPC, base64 is served without its padding.",
        "Strict decoders refuse it, and ids do not match.",
        "Serve the text that was stored.";
    Named(URL_SAFE) "grpc-base64-url-safe", Must "AVP-11-05" and "AVP-2-01" and "AVP-11-09",
        "Over gRPC, base64 is served in the URL-safe alphabet.",
        "Strict decoders refuse it, and ids do not match.",
        "Serve the text that was stored.";
    Named(BINDING_LOST) "grpc-binding-lost", Must "AVP-11-06",
        "Over gRPC, key_binding_sig is not served.",
        "Clients cannot tell whose key it is.",
        "Map the field.";
    Named(BINDING_EMPTY) "grpc-empty-binding-absent", Must "AVP-11-06",
        "Over gRPC, an empty key_binding_sig is served as an absent one.",
        "What was sent does not come back.",
        "Keep the presence of an optional field apart from its value.";
    Named(CANCELLED) "grpc-cancelled-push-by-half", Must "AVP-11-10",
        "A push writes its envelope, waits, and writes its roster: one that is cancelled in between is done by half.",
        "The payload is of a key that members do not have.",
        "Write all in one transaction.";
    Named(CANCELLED_REMOVAL) "grpc-cancelled-removal-by-half", Must "AVP-11-10",
        "A removal writes its envelope and epoch, waits, and writes its roster: one that is cancelled in between is done by half.",
        "Who was to be removed is still let in, and the others have no key.",
        "Write all in one transaction.";
    Named(CANCELLED_CREATE) "grpc-cancelled-create-by-half", Must "AVP-11-10",
        "A create writes its manifest, waits, and writes its envelope: one that is cancelled in between is done by half.",
        "The id is taken by a repository that has nothing in it.",
        "Write all in one transaction.";
    Named(LATE) "grpc-late-push-by-half", Must "AVP-11-10",
        "A push whose deadline passes writes its envelope and not its roster.",
        "The payload is of a key that members do not have.",
        "Write all in one transaction.";
    Named(OWN_STORE) "grpc-own-store", Must "AVP-11-09",
        "What is written over gRPC is kept apart from what is written over HTTP.",
        "Members who use different clients do not see each other.",
        "Put both transports before one store.";
    Named(STALE) "grpc-serves-stale", Must "AVP-11-09",
        "Over gRPC, a pull is answered from a cache that writes over HTTP do not empty.",
        "Members are served what is over.",
        "Empty the cache at each write, or have none.";
    Named(STALE_TO_READERS) "grpc-serves-readers-stale", Must "AVP-11-09",
        "Over gRPC, who has pulled before is answered the same again, until somebody writes over gRPC.",
        "Members do not see what others write over HTTP, and their pushes are conflicts for ever.",
        "Empty the cache at each write, over whatever it came, or have none.";
    Named(ZEROS) "grpc-zeros-left-out-over-http", Must "AVP-11-09",
        "Of an envelope that was created over gRPC under epoch 0, HTTP leaves the epoch out.",
        "Clients cannot read the envelope: what turns protobuf into JSON leaves out zeros unless it is told not to.",
        "Have the JSON written with its default values.";
    Named(NO_POLICY) "grpc-drops-policy", Must "AVP-11-09",
        "Over gRPC, shareRefreshTokens is always served as false.",
        "Clients strip what the group shares.",
        "Map the field.";
    Named(REMOVED_READS) "grpc-removed-member-reads", Must "AVP-11-09" and "AVP-6-15",
        "Over gRPC, whoever has a token may pull any repository.",
        "Removed members read on.",
        "Check membership over both transports.";
    Named(STALE_APPLIED) "grpc-stale-push-applied", Must "AVP-11-04",
        "Over gRPC, a stale push is applied.",
        "Writes over HTTP are lost.",
        "Compare the expected version over both transports.";
    Named(NO_LOCK) "grpc-push-without-lock", Must "AVP-11-09",
        "Over gRPC, a push looks at the version first and writes a moment later.",
        "Of two pushes that meet, one is lost.",
        "Compare and write under one lock.";
}

/// So long a server whose writes are no transaction waits in the middle of one.
pub(super) const IN_BETWEEN: Duration = Duration::from_millis(20);
/// So long a cache serves what is over, milliseconds.
const CACHE_MS: i64 = 2000;
/// What the ids of repositories begin with that are kept apart.
const APART: &str = "over-grpc/";

/// A call, before the core answers it.
pub(in crate::avp::server) struct Taken {
    /// What is asked.
    pub(in crate::avp::server) operation: Operation,
    /// The repository.
    pub(in crate::avp::server) repo_id: String,
    /// The `authorization` metadata.
    pub(in crate::avp::server) authorization: Option<String>,
    /// Who it is taken for, where no token says so.
    pub(in crate::avp::server) stand_in: Option<String>,
    /// The message.
    pub(in crate::avp::server) body: Value,
}

/// What a faulty server makes of a call before it answers it. An answer ends the call.
pub(in crate::avp::server) fn take(state: &State, headers: &HeaderMap, call: &mut Taken) -> Option<Answer> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    if call.authorization.is_none()
        && let Some(other) = header("x-authorization")
        && state.deviates(OTHER_METADATA)
    {
        call.authorization = Some(other);
    }
    if call.authorization.is_none()
        && let Some(token) = header("cookie")
            .as_deref()
            .and_then(|cookie| cookie.strip_prefix("token="))
        && state.deviates(COOKIE)
    {
        call.authorization = Some(format!("Bearer {token}"));
    }
    if let Some(refusal) = refused_unseen(state, call) {
        return Some(refusal.into());
    }
    if let Some(bare) = call.authorization.as_mut().filter(|value| !value.contains(' '))
        && !bare.is_empty()
        && state.deviates(NO_SCHEME)
    {
        *bare = format!("Bearer {bare}");
    }
    if state.is(OWN_STORE) {
        keep_apart(state, call);
    }
    if call.operation.needs_token() {
        let has_several = headers.get_all(AUTHORIZATION).iter().count() > 1;
        call.stand_in = stand_in(state, call, has_several);
    }
    let absent = |name: &str| call.body.get(name).is_none();
    match call.operation {
        Operation::Push if absent("envelope") && state.deviates(NO_ENVELOPE) => Some(accepted(state, call)),
        Operation::AddMember if absent("member") && state.deviates(NO_MEMBER) => {
            let vault = state.vault();
            let repo = vault.repos.get(&call.repo_id)?;
            Some(Answer::ok(repo.manifest()))
        }
        Operation::CreateRepo if absent("manifest") && state.deviates(NO_MANIFEST) => {
            Some(Refusal::failure(500, "null reference").into())
        }
        Operation::AddMember if call.body["member"]["x25519PublicKey"] == "" && state.deviates(EMPTY_KEY) => {
            call.body["member"]["x25519PublicKey"] = json!(STANDARD.encode([7; 32]));
            None
        }
        Operation::Push if call.body["envelope"]["repoId"] == "" && state.deviates(ID_FILLED) => {
            call.body["envelope"]["repoId"] = json!(call.repo_id);
            None
        }
        Operation::FetchMemberKey if state.deviates(NO_FETCH) => {
            Some(Refusal::failure(501, "unimplemented").into())
        }
        _ if call.repo_id.contains('/') && !absent("repoId") && state.deviates(NO_SLASHES) => {
            Some(Refusal::not_found("no such route").into())
        }
        Operation::Push => {
            alter_push(state, headers, call);
            None
        }
        _ => None,
    }
}

fn alter_push(state: &State, headers: &HeaderMap, call: &mut Taken) {
    let is_gzip = headers.get("grpc-encoding").is_some_and(|value| value == "gzip");
    if is_gzip && state.deviates(GZIP_STORED) {
        call.body["envelope"]["ciphertext"] = json!(STANDARD.encode([7; 48]));
    }
    let version = state.vault().repos.get(&call.repo_id).map(|repo| repo.version);
    let is_stale = version.is_some_and(|version| call.body["expectedPayloadVersion"] != version);
    if let (true, Some(version)) = (is_stale, version)
        && state.deviates(STALE_APPLIED)
    {
        call.body["expectedPayloadVersion"] = json!(version);
        call.body["envelope"]["payloadVersion"] = json!(version + 1);
    }
}

/// What a message lacks, where that is looked at before a token that is not good.
fn refused_unseen(state: &State, call: &Taken) -> Option<Refusal> {
    let shape = message_shapes::of(call.operation).filter(|_| call.operation.needs_token())?;
    let token = call
        .authorization
        .as_deref()
        .and_then(|value| value.strip_prefix("Bearer "));
    let is_good = token.is_some_and(|token| state.tokens().member(token).is_some());
    let refusal = body_check::check(shape, &call.body).err()?;
    (!is_good && state.deviates(MESSAGE_FIRST)).then_some(refusal)
}

/// A push that is told to be done, and is not.
fn accepted(state: &State, call: &Taken) -> Answer {
    let vault = state.vault();
    let (version, epoch) = vault
        .repos
        .get(&call.repo_id)
        .map_or((0, 0), |repo| (repo.version, repo.epoch));
    Answer::ok(json!({ "accepted": true, "payloadVersion": version, "keyEpoch": epoch, "conflict": false }))
}

fn keep_apart(state: &State, call: &mut Taken) {
    if call.operation.is_auth() {
        return;
    }
    state.fire();
    call.repo_id = format!("{APART}{}", call.repo_id);
    fields(&mut call.body, &mut |name, value| {
        let Some(id) = value.as_str().filter(|_| name == "repoId") else {
            return false;
        };
        *value = json!(format!("{APART}{id}"));
        true
    });
}

/// The member that a caller without a good token is taken for.
fn stand_in(state: &State, call: &Taken, has_several: bool) -> Option<String> {
    let without = [
        (Operation::Pull, NO_TOKEN_PULL),
        (Operation::Push, NO_TOKEN_PUSH),
        (Operation::CreateRepo, NO_TOKEN_CREATE),
        (Operation::AddMember, NO_TOKEN_ADD),
        (Operation::RemoveMember, NO_TOKEN_REMOVE),
        (Operation::FetchMemberKey, NO_TOKEN_FETCH),
    ];
    let token = call
        .authorization
        .as_deref()
        .and_then(|value| value.strip_prefix("Bearer "));
    let holder = token.and_then(|token| state.tokens().member(token));
    let is_open = |(operation, name): &(Operation, Name)| *operation == call.operation && state.is(*name);
    let let_in = match &holder {
        Some(holder) => {
            let vault = state.vault();
            let repo = vault.repos.get(&call.repo_id);
            let is_stranger = repo.is_some_and(|repo| repo.entry(holder).is_none());
            is_stranger && call.operation == Operation::Pull && state.is(REMOVED_READS)
        }
        None => {
            without.iter().any(is_open)
                || token.is_some_and(|it| !it.is_empty()) && state.is(ANY_TOKEN)
                || has_several && state.is(SEVERAL_TOKENS)
        }
    };
    if !let_in {
        return None;
    }
    let found = match call.operation {
        Operation::CreateRepo => call
            .body
            .pointer("/manifest/members/0")
            .map(|entry| id_of(entry).to_owned()),
        _ => {
            let vault = state.vault();
            let entry = vault
                .repos
                .get(&call.repo_id)
                .and_then(|repo| repo.roster.first());
            entry.map(|entry| id_of(entry).to_owned())
        }
    };
    if found.is_some() {
        state.fire();
    }
    found
}

/// Makes a write in two steps, where that is the server's fault. `before` is the roster as it was.
pub(in crate::avp::server) async fn by_half(
    state: &State,
    headers: &HeaderMap,
    call: &Taken,
    before: Option<Vec<Value>>,
    answer: &mut Answer,
) {
    if call.operation == Operation::CreateRepo && answer.status < 300 {
        return create_by_half(state, call).await;
    }
    let is_removal = call.operation == Operation::RemoveMember && answer.status < 300;
    let accepted = matches!(&answer.body, answer::Body::Json(value) if value["accepted"] == true);
    let is_rotation = accepted && call.body.get("rotatedMembers").is_some();
    let Some(before) = before.filter(|_| is_removal || is_rotation) else {
        return;
    };
    let put = |roster: Vec<Value>| {
        let mut vault = state.vault();
        let repo = vault.repos.get_mut(&call.repo_id);
        repo.map(|repo| std::mem::replace(&mut repo.roster, roster))
    };
    if headers.contains_key("grpc-timeout") && state.deviates(LATE) {
        put(before);
        *answer = Refusal::failure(504, "the deadline has passed").into();
    } else if (state.deviates(CANCELLED) || state.deviates(CANCELLED_REMOVAL))
        && let Some(after) = put(before)
    {
        tokio::time::sleep(IN_BETWEEN).await;
        put(after);
    }
}

async fn create_by_half(state: &State, call: &Taken) {
    let Some(id) = call.body.pointer("/manifest/repoId").and_then(Value::as_str) else {
        return;
    };
    let put = |envelope: Value| {
        let mut vault = state.vault();
        let repo = vault.repos.get_mut(id);
        repo.map(|repo| std::mem::replace(&mut repo.envelope, envelope))
    };
    if state.deviates(CANCELLED_CREATE)
        && let Some(envelope) = put(Value::Null)
    {
        tokio::time::sleep(IN_BETWEEN).await;
        put(envelope);
    }
}

/// The roster of the repository, where a server writes in two steps.
pub(in crate::avp::server) fn roster_before(state: &State, call: &Taken) -> Option<Vec<Value>> {
    let is_here = match call.operation {
        Operation::Push => state.is(CANCELLED) || state.is(LATE),
        Operation::RemoveMember => state.is(CANCELLED_REMOVAL),
        _ => false,
    };
    let vault = is_here.then(|| state.vault())?;
    vault.repos.get(&call.repo_id).map(|repo| repo.roster.clone())
}

/// Compares the version of a push, waits, and writes: an answer, where that is the server's fault and the push was not stale.
pub(in crate::avp::server) async fn without_lock(state: &State, call: &Taken) -> Option<Answer> {
    if call.operation != Operation::Push || !state.is(NO_LOCK) {
        return None;
    }
    let token = call.authorization.as_deref()?.strip_prefix("Bearer ")?;
    let caller = state.tokens().member(token)?;
    let expected = call.body["expectedPayloadVersion"].as_i64()?;
    let is_current = |state: &State| {
        let vault = state.vault();
        let repo = vault.repos.get(&call.repo_id);
        repo.is_some_and(|repo| repo.version == expected && repo.entry(&caller).is_some())
    };
    if !is_current(state) || call.body.get("rotatedMembers").is_some() {
        return None;
    }
    tokio::time::sleep(IN_BETWEEN).await;
    // Nobody was in between: the push is taken as any other is.
    if is_current(state) {
        return None;
    }
    state.fire();
    let mut vault = state.vault();
    let repo = vault.repos.get_mut(&call.repo_id)?;
    repo.store(&call.body["envelope"]);
    let (version, epoch) = (repo.version, repo.epoch);
    Some(Answer::ok(
        json!({ "accepted": true, "payloadVersion": version, "keyEpoch": epoch, "conflict": false }),
    ))
}

/// The status with which a faulty server refuses what is refused by the table, and a conflict: a number of gRPC's.
pub(in crate::avp::server) fn status(state: &State, call: &Taken, answer: &Answer) -> Option<i32> {
    let of_table = match answer.status {
        400 => Some((BAD_PRECONDITION, 9)),
        401 => Some((UNAUTHENTICATED_DENIED, 7)),
        403 => Some((FORBIDDEN_401, 16)),
        404 => Some((NOT_FOUND_UNKNOWN, 2)),
        409 => Some((DUPLICATE_ABORTED, 10)),
        _ => None,
    };
    let is_conflict = call.operation == Operation::Push
        && matches!(&answer.body, answer::Body::Json(value) if value["conflict"] == true);
    if is_conflict {
        let stale = [(STALE_ABORTED, 10), (STALE_PRECONDITION, 9)];
        return stale
            .into_iter()
            .find(|(name, _)| state.deviates(*name))
            .map(|(_, code)| code);
    }
    of_table
        .filter(|(name, _)| state.deviates(*name))
        .map(|(_, code)| code)
}

/// What a faulty server makes of an answer.
pub(in crate::avp::server) fn give(state: &State, call: &Taken, answer: &mut Answer) {
    if answer.status >= 300 {
        return;
    }
    let answer::Body::Json(value) = &mut answer.body else {
        return;
    };
    if state.is(STALE) {
        let key = format!("grpc/{}", call.repo_id);
        if call.operation.writes() {
            state.forget(&key);
        } else if call.operation == Operation::Pull && state.answer_from_cache(key, CACHE_MS, value) {
            state.fire();
        }
    }
    if state.is(STALE_TO_READERS) {
        answer_readers_from_cache(state, call, value);
    }
    if state.is(ZEROS) {
        leave_zeros_out(state, call, value);
    }
    let mut changed = false;
    if call.operation.needs_token() {
        changed = fields(value, &mut |name, value| mangle(state, name, value));
        changed |= without_bindings(state, value);
    }
    if changed {
        state.fire();
    }
}

/// Answers a pull as it was answered to the same caller before, unless there was a write over gRPC since.
fn answer_readers_from_cache(state: &State, call: &Taken, value: &mut Value) {
    let key = format!("grpc/readers/{}", call.repo_id);
    if call.operation.writes() {
        return state.forget(&key);
    }
    if call.operation != Operation::Pull {
        return;
    }
    let mut kept = state.recall(&key).map_or_else(|| json!({}), |(_, kept)| kept);
    let reader = json!([call.authorization, call.body["knownPayloadVersion"]]).to_string();
    match kept.get(&reader) {
        Some(before) if before != value => {
            *value = before.clone();
            state.fire();
        }
        Some(_) => {}
        None => {
            kept[reader] = value.clone();
            state.remember(key, kept);
        }
    }
}

/// Takes an epoch of 0 out of an envelope that is stored; over gRPC it is there all the same.
fn leave_zeros_out(state: &State, call: &Taken, value: &mut Value) {
    if let Some(envelope) = value.get_mut("envelope").and_then(Value::as_object_mut) {
        envelope.entry("keyEpoch").or_insert(json!(0));
    }
    let id = call.body.pointer("/manifest/repoId").and_then(Value::as_str);
    let mut vault = state.vault();
    let made = id.and_then(|id| vault.repos.get_mut(id));
    let envelope = made.and_then(|repo| repo.envelope.as_object_mut());
    let of_0 = envelope.filter(|envelope| envelope.get("keyEpoch") == Some(&json!(0)));
    if let Some(envelope) = of_0 {
        envelope.shift_remove("keyEpoch");
        state.fire();
    }
}

fn mangle(state: &State, name: &str, value: &mut Value) -> bool {
    let before = value.clone();
    match value {
        Value::Number(number) => {
            let Some(counter) = number.as_i64() else {
                return false;
            };
            if state.is(INT32) {
                *value = json!(counter & 0x7fff_ffff);
            } else if state.is(DOUBLES) {
                *value = json!(counter as f64 as i64);
            }
        }
        Value::String(text) if name == "repoId" && state.is(OWN_STORE) => {
            *value = json!(text.trim_start_matches(APART));
        }
        Value::String(text) if name == "ciphertext" => {
            if state.is(NO_PADDING) {
                *value = json!(text.trim_end_matches('='));
            } else if state.is(URL_SAFE) {
                *value = json!(text.replace('+', "-").replace('/', "_"));
            }
        }
        Value::Bool(true) if name == "shareRefreshTokens" && state.is(NO_POLICY) => *value = json!(false),
        _ => {}
    }
    *value != before
}

fn without_bindings(state: &State, value: &mut Value) -> bool {
    match value {
        Value::Object(object) => {
            let is_lost = object
                .get("keyBindingSig")
                .is_some_and(|binding| match binding.as_str() {
                    Some("") => state.is(BINDING_EMPTY) || state.is(BINDING_LOST),
                    Some(_) => state.is(BINDING_LOST),
                    None => false,
                });
            if is_lost {
                object.remove("keyBindingSig");
            }
            let nested = object
                .values_mut()
                .fold(false, |changed, value| without_bindings(state, value) | changed);
            is_lost || nested
        }
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |changed, item| without_bindings(state, item) | changed),
        _ => false,
    }
}

/// The bytes that a call brought, as a faulty server reads them.
pub(in crate::avp::server) fn read(state: &State, headers: &mut HeaderMap, body: Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let encoding = headers.get("grpc-encoding").cloned();
    let is_known = encoding
        .as_ref()
        .is_none_or(|it| it == "gzip" || it == "identity");
    if !is_known && state.deviates(ENCODING_TAKEN) {
        headers.remove("grpc-encoding");
        if let Some(flag) = bytes.first_mut() {
            *flag = 0;
        }
    }
    if let Some((prefix, message)) = bytes.split_at_mut_checked(5) {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        if prefix[1..] != length && state.deviates(LENGTH_IGNORED) {
            prefix[1..].copy_from_slice(&length);
        }
    }
    Bytes::from(bytes)
}

/// Whether a faulty server reads the bytes of calls by itself.
pub(in crate::avp::server) fn reads_bytes(state: &State) -> bool {
    let names = [
        ENCODING_TAKEN,
        LENGTH_IGNORED,
        NO_MESSAGE_OK,
        TWICE,
        UNREADABLE_LAST,
        UNREADABLE_OK,
    ];
    names.into_iter().any(|name| state.is(name))
}

/// The second message of a call, where the server applies both.
pub(in crate::avp::server) fn second(state: &State, body: &Bytes) -> Option<Bytes> {
    let length = body.get(1..5)?.try_into().map(u32::from_be_bytes).ok()?;
    let rest = body.get(5 + usize::try_from(length).ok()?..)?;
    (rest.len() > 5 && state.deviates(TWICE)).then(|| Bytes::copy_from_slice(rest))
}

/// Whether a call that came so and could not be read is answered OK with an empty message.
pub(in crate::avp::server) fn answers_empty(state: &State, body: &Bytes) -> bool {
    body.is_empty() && state.deviates(NO_MESSAGE_OK) || state.deviates(UNREADABLE_OK)
}

/// Keeps the bytes of a call that could be read.
pub(in crate::avp::server) fn remember(state: &State, path: &str, body: &Bytes) {
    if state.is(UNREADABLE_LAST) {
        state.remember(format!("call {path}"), json!(STANDARD.encode(body)));
    }
}

/// The last call of a method that could be read, in place of one that could not.
pub(in crate::avp::server) fn last(state: &State, path: &str) -> Option<Bytes> {
    if !state.is(UNREADABLE_LAST) {
        return None;
    }
    let (_, kept) = state.recall(&format!("call {path}"))?;
    state.fire();
    STANDARD.decode(kept.as_str()?).ok().map(Bytes::from)
}

/// What a faulty server makes of the head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::avp::server) enum Head {
    /// Nothing.
    Plain,
    /// An HTTP status in place of the one of gRPC.
    OfHttp,
    /// No status.
    NoStatus,
    /// OK, with an empty message.
    Empty,
    /// NOT_FOUND.
    NotFound,
}

/// What a faulty server makes of a refusal with this status, a number of gRPC's.
pub(in crate::avp::server) fn head(state: &State, status: &str) -> Head {
    match status {
        "12" if state.deviates(METHOD_OK) => Head::Empty,
        "12" if state.deviates(METHOD_NOT_FOUND) => Head::NotFound,
        _ if state.deviates(HTTP_STATUS) => Head::OfHttp,
        _ if state.deviates(NO_STATUS) => Head::NoStatus,
        _ => Head::Plain,
    }
}
