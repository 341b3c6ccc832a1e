//! The messages, as this client reads and writes them.
//!
//! What is read is open: a member that a later version adds does no harm. What is written has the fields of the protocol and no
//! others.

use serde::{Deserialize, Serialize};

/// A data key, wrapped for one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WrappedKey {
    pub(super) scheme_id: String,
    pub(super) ephemeral_public_key: String,
    pub(super) iv: String,
    pub(super) ciphertext: String,
}

/// One member of a roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) ed25519_public_key: String,
    pub(super) x25519_public_key: String,
    pub(super) wrapped_data_key: WrappedKey,
    pub(super) key_epoch: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_binding_sig: Option<String>,
}

/// An encrypted payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    pub(super) repo_id: String,
    pub(super) payload_version: i64,
    pub(super) key_epoch: i64,
    pub(super) iv: String,
    pub(super) ciphertext: String,
}

/// What a repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) repo_id: String,
    pub(super) scheme_id: String,
    pub(super) key_epoch: i64,
    pub(super) payload_version: i64,
    pub(super) members: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) share_refresh_tokens: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChallengeRequest<'a> {
    pub(super) ed25519_public_key: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Challenge {
    pub(super) nonce: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenRequest<'a> {
    pub(super) ed25519_public_key: &'a str,
    pub(super) nonce: &'a str,
    pub(super) signature: String,
}

/// A bearer token; it is opaque to the client.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Token {
    pub(super) token: String,
    pub(super) expires_at: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRequest {
    pub(super) manifest: Manifest,
    pub(super) initial_envelope: Envelope,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullRequest<'a> {
    pub(super) repo_id: &'a str,
    pub(super) known_payload_version: i64,
}

#[derive(Deserialize)]
pub(super) struct PullResponse {
    pub(super) manifest: Manifest,
    #[serde(default)]
    pub(super) envelope: Option<Envelope>,
    pub(super) unchanged: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PushRequest<'a> {
    pub(super) repo_id: &'a str,
    pub(super) envelope: Envelope,
    pub(super) expected_payload_version: i64,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PushResponse {
    pub(super) accepted: bool,
    pub(super) payload_version: i64,
    pub(super) key_epoch: i64,
    pub(super) conflict: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddRequest<'a> {
    pub(super) repo_id: &'a str,
    pub(super) member: Entry,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemoveRequest<'a> {
    pub(super) repo_id: &'a str,
    pub(super) removed_member_id: &'a str,
    pub(super) rotated_envelope: Envelope,
    pub(super) rewrapped_members: Vec<Entry>,
    pub(super) new_key_epoch: i64,
}

/// The error object; `code` is optional, and so is anything else beside `error`.
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: String,
    #[serde(default)]
    pub(super) code: Option<String>,
}
