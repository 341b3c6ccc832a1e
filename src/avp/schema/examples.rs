//! One valid example of each message, with every optional field present, for tests.

use serde_json::{Value, json};

/// base64 of so many zero bytes.
fn zeros(len: usize) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(vec![0; len])
}

/// The example of a message. Panics for an unknown one.
pub(super) fn example(message: &str) -> Value {
    match message {
        "WrappedKey" => json!({
            "schemeId": "X25519-HKDF-SHA256-AESGCM-v1",
            "ephemeralPublicKey": zeros(32),
            "iv": zeros(12),
            "ciphertext": zeros(48),
        }),
        "MemberEntry" => json!({
            "ed25519PublicKey": zeros(32),
            "x25519PublicKey": zeros(32),
            "wrappedDataKey": example("WrappedKey"),
            "keyEpoch": 1,
            "keyBindingSig": "opaque",
        }),
        "EncryptedEnvelope" => json!({
            "repoId": "r",
            "payloadVersion": 1,
            "keyEpoch": 1,
            "iv": zeros(12),
            "ciphertext": zeros(16),
        }),
        "VaultManifest" => json!({
            "repoId": "r",
            "schemeId": "X25519-HKDF-SHA256-AESGCM-v1",
            "keyEpoch": 1,
            "payloadVersion": 1,
            "members": [example("MemberEntry")],
            "shareRefreshTokens": true,
        }),
        "ChallengeRequest" => json!({ "ed25519PublicKey": zeros(32) }),
        "AuthChallenge" => json!({ "nonce": zeros(33) }),
        "TokenRequest" => {
            json!({ "ed25519PublicKey": zeros(32), "nonce": zeros(32), "signature": zeros(64) })
        }
        "AuthToken" => json!({ "token": "t", "expiresAt": 1_700_000_000_000_i64 }),
        "CreateRepoRequest" => json!({
            "manifest": example("VaultManifest"),
            "initialEnvelope": example("EncryptedEnvelope"),
        }),
        "PullRequest" => json!({ "repoId": "r", "knownPayloadVersion": 0 }),
        "PullResponse" => json!({
            "manifest": example("VaultManifest"),
            "envelope": example("EncryptedEnvelope"),
            "unchanged": false,
        }),
        "PushRequest" => json!({
            "repoId": "r",
            "envelope": example("EncryptedEnvelope"),
            "expectedPayloadVersion": 0,
            "rotatedMembers": [example("MemberEntry")],
        }),
        "PushResponse" => json!({ "accepted": true, "payloadVersion": 1, "keyEpoch": 1, "conflict": false }),
        "MemberAddRequest" => json!({ "repoId": "r", "member": example("MemberEntry") }),
        "MemberRemoveRequest" => json!({
            "repoId": "r",
            "removedMemberId": zeros(32),
            "rotatedEnvelope": example("EncryptedEnvelope"),
            "rewrappedMembers": [example("MemberEntry")],
            "newKeyEpoch": 2,
        }),
        "Error" => json!({ "error": "no", "code": "forbidden", "detail": "more" }),
        "Discovery" => {
            json!({ "profiles": ["http-json", "grpc"], "issuerJwksUrl": "https://example.test/jwks" })
        }
        other => client_side(other),
    }
}

/// Plaintexts and join tokens: what never reaches a server as such.
fn client_side(message: &str) -> Value {
    match message {
        "VaultPayload" => json!({ "alts": [example("AltAccount")], "payloadVersion": 1 }),
        "AltAccount" => json!({
            "uuid": "00000000-0000-0000-0000-000000000000",
            "username": "steve",
            "accessToken": "a",
            "type": "MICROSOFT",
            "lastUsed": 1_700_000_000_000_i64,
            "refreshToken": "r",
            "expiresAt": 1_700_000_000_000_i64,
            "lastUsedBy": "bob",
            "bans": { "mc.example.test": example("BanInfo") },
            "sourceClient": "c",
            "sourceUser": "u",
        }),
        "BanInfo" => {
            json!({ "banned": true, "observedAt": 1, "source": "s", "detail": "d", "observedBy": "o" })
        }
        "InviteRequest" => json!({ "v": 1, "ed25519PublicKey": zeros(32), "x25519PublicKey": zeros(32) }),
        "RepoLocator" => json!({
            "v": 1,
            "host": "localhost:8787",
            "repoId": "r",
            "schemeId": "X25519-HKDF-SHA256-AESGCM-v1",
            "keyEpoch": 1,
            "issuerJwksUrl": "https://example.test/jwks",
        }),
        other => panic!("no example of {other}"),
    }
}
