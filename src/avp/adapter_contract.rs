//! What the harness and an adapter say to each other: one JSON value a line, commands on the adapter's standard input, answers
//! on its standard output, in the same order.
//!
//! An adapter is a small program around a client under test. `schema/avp.adapter.schema.json` is generated of these types.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A line of the adapter's standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Command {
    /// A number that the answer repeats.
    pub id: u64,
    /// The member who acts; one adapter plays several. It was named by an `identity` command before.
    #[serde(rename = "as")]
    pub member: String,
    /// What is to be done.
    #[serde(rename = "do")]
    pub act: Act,
}

/// What a command asks for. Its value holds the arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Act {
    /// Takes on an identity, at a server. Answers `memberId` and `x25519PublicKey`. Given again, the member moves to that
    /// server and keeps all it knows.
    Identity {
        /// base64 of the Ed25519 private key, the 32 bytes of RFC 8032.
        ed25519_secret: String,
        /// base64 of the X25519 private key, 32 bytes.
        x25519_secret: String,
        /// Where the server is: `http://127.0.0.1:8787`.
        server: String,
        /// base64 of the Ed25519 key of the issuer that binds members' keys. Where it is given, the server is not the client's
        /// own, and no key may be wrapped to a served entry that this issuer has not bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
    },
    /// Logs in anew, whether there is a token or not. Answers nothing.
    Login {},
    /// Creates a repository that holds these alts. Answers nothing.
    Create {
        /// Its id.
        repo: String,
        /// Its alts.
        alts: Vec<Map<String, Value>>,
        /// `shareRefreshTokens`; left out of the manifest where it is null or absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share_refresh_tokens: Option<bool>,
    },
    /// Pulls and decrypts. Answers `payloadVersion`, `keyEpoch`, `unchanged` and, unless unchanged, `alts`.
    Pull {
        /// The repository.
        repo: String,
        /// The version that is known: nothing is decrypted where it is still the current one. 0 where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known: Option<i64>,
    },
    /// Saves alts: those of the same uuid are replaced, others stay, and what others save meanwhile is not lost. Answers
    /// `payloadVersion`.
    Save {
        /// The repository.
        repo: String,
        /// What is to be laid over what is there.
        alts: Vec<Map<String, Value>>,
    },
    /// Adds a member. Answers nothing.
    Add {
        /// The repository.
        repo: String,
        /// Their member id.
        ed25519_public_key: String,
        /// Their X25519 key.
        x25519_public_key: String,
        /// The issuer's signature over both, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_binding_sig: Option<String>,
    },
    /// Removes a member, with a new data key. Answers `keyEpoch`.
    Remove {
        /// The repository.
        repo: String,
        /// Whom.
        member_id: String,
    },
    /// Looks up a member's entry. Answers `x25519PublicKey`.
    Fetch {
        /// The repository.
        repo: String,
        /// Whose.
        member_id: String,
    },
    /// Writes the join token by which this member asks to be invited. Answers `token`.
    WriteInvite {},
    /// Reads such a token. Answers `ed25519PublicKey` and `x25519PublicKey`.
    ReadInvite {
        /// The token.
        token: String,
    },
    /// Writes the join token that tells where a repository is. Answers `token`.
    WriteLocator {
        /// `localhost:8787`
        host: String,
        /// The repository.
        repo: String,
    },
    /// Reads such a token. Answers `host` and `repo`.
    ReadLocator {
        /// The token.
        token: String,
    },
    /// Writes an `avp://` address. Answers `address`.
    WriteAddress {
        /// `localhost:8787`
        host: String,
        /// The repository.
        repo: String,
    },
    /// Reads such an address. Answers `host` and `repo`.
    ReadAddress {
        /// The address.
        address: String,
    },
}

impl Act {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Act::Identity { .. } => "identity",
            Act::Login {} => "login",
            Act::Create { .. } => "create",
            Act::Pull { .. } => "pull",
            Act::Save { .. } => "save",
            Act::Add { .. } => "add",
            Act::Remove { .. } => "remove",
            Act::Fetch { .. } => "fetch",
            Act::WriteInvite {} => "write-invite",
            Act::ReadInvite { .. } => "read-invite",
            Act::WriteLocator { .. } => "write-locator",
            Act::ReadLocator { .. } => "read-locator",
            Act::WriteAddress { .. } => "write-address",
            Act::ReadAddress { .. } => "read-address",
        }
    }
}

/// A line of the adapter's standard output. It has `ok` or `error`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reply {
    /// The number of the command.
    pub id: u64,
    /// It was done, and this came of it: an object, which may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Map<String, Value>>,
    /// It was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReplyError>,
}

impl Reply {
    /// Whether it says that the client has no such function.
    pub fn is_unsupported(&self) -> bool {
        let error = self.error.as_ref();
        error.is_some_and(|error| error.kind == ErrorKind::Unsupported)
    }
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplyError {
    /// In one word.
    pub kind: ErrorKind,
    /// The status of the answer, where the server refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For people.
    pub message: String,
}

/// Why, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The server answered with an error status.
    Refused,
    /// What came does not decrypt, is of another place, or is bound by nobody.
    Untrusted,
    /// What came is no answer of the protocol.
    Invalid,
    /// Somebody else wrote first, each time.
    Conflict,
    /// No answer came.
    Unreachable,
    /// The command makes no sense.
    Usage,
    /// The client has no such function: what needs it is not judged.
    Unsupported,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lines_of_json() {
        let line = r#"{"id":3,"as":"alice","do":{"pull":{"repo":"r"}}}"#;
        let command: Command = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&command).unwrap(), line);
        assert_eq!(command.act.name(), "pull");
        let login = r#"{"id":3,"as":"alice","do":{"login":{}}}"#;
        assert_eq!(
            serde_json::to_string(&serde_json::from_str::<Command>(login).unwrap()).unwrap(),
            login
        );
        assert!(serde_json::from_str::<Command>(r#"{"id":3,"as":"a","do":{"pul":{}}}"#).is_err());
    }
}
