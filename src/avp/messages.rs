//! The messages of the HTTP/JSON profile as Rust types, closed where the protocol closes them.
//!
//! Field order is that of the protocol page. Binary values are standard base64 with padding, times are epoch
//! milliseconds, counters are int64. Lengths are stated per field; these types do not check them.

use serde::{Deserialize, Serialize};

/// The default wrap scheme (section 5 of the protocol page).
pub const DEFAULT_SCHEME: &str = "X25519-HKDF-SHA256-AESGCM-v1";

/// The repository's data key, wrapped for one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WrappedKey {
    /// The scheme the key was wrapped under.
    pub scheme_id: String,
    /// base64 of the ephemeral X25519 public key, 32 bytes.
    pub ephemeral_public_key: String,
    /// base64 of the AES-GCM iv, 12 bytes.
    pub iv: String,
    /// base64 of the wrapped 32-byte data key and its 16-byte tag, 48 bytes.
    pub ciphertext: String,
}

/// One member of a roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberEntry {
    /// base64 of the Ed25519 public key, 32 bytes: the member id.
    pub ed25519_public_key: String,
    /// base64 of the X25519 public key, 32 bytes.
    pub x25519_public_key: String,
    /// The data key of `key_epoch`, wrapped for this member.
    pub wrapped_data_key: WrappedKey,
    /// The key epoch that the wrapped key belongs to.
    pub key_epoch: i64,
    /// An issuer's signature that binds both keys; stored and served untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_binding_sig: Option<String>,
}

/// The encrypted payload of a repository at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncryptedEnvelope {
    /// The repository it belongs to.
    pub repo_id: String,
    /// The version of the payload.
    pub payload_version: i64,
    /// The epoch of the data key it is encrypted under.
    pub key_epoch: i64,
    /// base64 of the AES-GCM iv, 12 bytes.
    pub iv: String,
    /// base64 of ciphertext and tag.
    pub ciphertext: String,
}

/// What a repository is, but for its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultManifest {
    /// The repository's opaque id.
    pub repo_id: String,
    /// The wrap scheme of the roster.
    pub scheme_id: String,
    /// The current key epoch.
    pub key_epoch: i64,
    /// The current payload version.
    pub payload_version: i64,
    /// The roster.
    pub members: Vec<MemberEntry>,
    /// Whether clients may put refresh tokens into payloads; absent means false. Since 0.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_refresh_tokens: Option<bool>,
}

/// Asks for a nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    /// base64 of the Ed25519 public key, 32 bytes.
    #[serde(rename = "ed25519PublicKey")]
    pub ed25519_public_key: String,
}

/// A nonce to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthChallenge {
    /// base64 of 32 random bytes or more.
    pub nonce: String,
}

/// Redeems a nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// base64 of the Ed25519 public key, 32 bytes.
    #[serde(rename = "ed25519PublicKey")]
    pub ed25519_public_key: String,
    /// The nonce as it was issued.
    pub nonce: String,
    /// base64 of the Ed25519 signature over the raw nonce bytes, 64 bytes.
    pub signature: String,
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthToken {
    /// Opaque to the client.
    pub token: String,
    /// When it ends, epoch milliseconds.
    pub expires_at: i64,
}

/// Creates a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateRepoRequest {
    /// The manifest to store; its roster is exactly the caller.
    pub manifest: VaultManifest,
    /// The first payload.
    pub initial_envelope: EncryptedEnvelope,
}

/// Asks for manifest and payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullRequest {
    /// The repository.
    pub repo_id: String,
    /// The version the client holds.
    pub known_payload_version: i64,
}

/// Manifest and, unless unchanged, payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullResponse {
    /// The current manifest.
    pub manifest: VaultManifest,
    /// The current payload; left out or null where unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<EncryptedEnvelope>,
    /// Whether the client's version is the current one.
    pub unchanged: bool,
}

/// Writes a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PushRequest {
    /// The repository.
    pub repo_id: String,
    /// The payload to store.
    pub envelope: EncryptedEnvelope,
    /// The version the client believes to be current.
    pub expected_payload_version: i64,
    /// A roster that replaces the current one in the same step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_members: Option<Vec<MemberEntry>>,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PushResponse {
    /// Whether it was applied.
    pub accepted: bool,
    /// The version that is current now.
    pub payload_version: i64,
    /// The epoch that is current now.
    pub key_epoch: i64,
    /// Whether it was refused as stale.
    pub conflict: bool,
}

/// Adds a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberAddRequest {
    /// The repository.
    pub repo_id: String,
    /// The entry to record.
    pub member: MemberEntry,
}

/// Removes a member and rotates the key in one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberRemoveRequest {
    /// The repository.
    pub repo_id: String,
    /// The member who goes.
    pub removed_member_id: String,
    /// The payload under the new key.
    pub rotated_envelope: EncryptedEnvelope,
    /// The roster with the new key wrapped for each who stays.
    pub rewrapped_members: Vec<MemberEntry>,
    /// The new epoch; greater than the current one.
    pub new_key_epoch: i64,
}

/// The body of every answer that is not 2xx. Open: further properties are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, for people.
    pub error: String,
    /// What went wrong, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The discovery document. Open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discovery {
    /// The profiles spoken: `http-json`, `grpc`.
    pub profiles: Vec<String>,
    /// Where the issuer's keys are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_jwks_url: Option<String>,
}
