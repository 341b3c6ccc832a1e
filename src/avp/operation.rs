//! The operations of the HTTP/JSON profile: method, path and the names of the messages that travel.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::catalogue::{OperationInfo, OperationName};
use crate::http::{Exchange, Service};
use crate::text::encode_segment;

/// The vault server: `--target`.
pub const VAULT: Service = Service::new("vault");
/// The identity provider: `--idp`, or the target.
pub const IDP: Service = Service::new("idp");

/// One operation of the protocol (section 2 of the protocol page; the route table).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// `POST /api/auth/keypair/challenge`
    Challenge,
    /// `POST /api/auth/keypair/token`
    Token,
    /// `POST /v1/repos`
    CreateRepo,
    /// `POST /v1/repos/{repoId}/pull`
    Pull,
    /// `POST /v1/repos/{repoId}/push`
    Push,
    /// `POST /v1/repos/{repoId}/add-member`
    AddMember,
    /// `POST /v1/repos/{repoId}/remove-member`
    RemoveMember,
    /// `GET /v1/repos/{repoId}/member/{memberId}`
    FetchMemberKey,
    /// `GET /.well-known/avp`
    Discovery,
}

impl Operation {
    /// The operation of an exchange; none for a request outside the route table, or one of an operation that is not known.
    pub fn of(exchange: &Exchange) -> Option<Operation> {
        let name = exchange.operation.as_ref()?.as_str();
        Operation::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
    }

    /// Every operation, in the order of the route table.
    pub const ALL: [Operation; 9] = [
        Operation::Challenge,
        Operation::Token,
        Operation::CreateRepo,
        Operation::Pull,
        Operation::Push,
        Operation::AddMember,
        Operation::RemoveMember,
        Operation::FetchMemberKey,
        Operation::Discovery,
    ];

    /// All of them as the engine knows them.
    pub fn infos() -> &'static [OperationInfo] {
        static INFOS: LazyLock<Vec<OperationInfo>> = LazyLock::new(|| {
            let info = |operation: Operation| OperationInfo {
                name: operation.name(),
                method: operation.method(),
                path: operation.route(),
                is_spent_by_use: operation.is_spent_by_use(),
            };
            Operation::ALL.into_iter().map(info).collect()
        });
        &INFOS
    }

    /// The path of the route, with what varies in braces.
    pub fn route(self) -> &'static str {
        match self {
            Operation::Challenge => "/api/auth/keypair/challenge",
            Operation::Token => "/api/auth/keypair/token",
            Operation::CreateRepo => "/v1/repos",
            Operation::Pull => "/v1/repos/{repoId}/pull",
            Operation::Push => "/v1/repos/{repoId}/push",
            Operation::AddMember => "/v1/repos/{repoId}/add-member",
            Operation::RemoveMember => "/v1/repos/{repoId}/remove-member",
            Operation::FetchMemberKey => "/v1/repos/{repoId}/member/{memberId}",
            Operation::Discovery => "/.well-known/avp",
        }
    }

    /// The operation's name in the protocol: `createRepo`.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Challenge => "challenge",
            Operation::Token => "token",
            Operation::CreateRepo => "createRepo",
            Operation::Pull => "pull",
            Operation::Push => "push",
            Operation::AddMember => "addMember",
            Operation::RemoveMember => "removeMember",
            Operation::FetchMemberKey => "fetchMemberKey",
            Operation::Discovery => "discovery",
        }
    }

    /// The path of its call over gRPC; none where that profile does not have it.
    pub fn rpc(self) -> Option<&'static str> {
        Some(match self {
            Operation::Challenge => "/avp.Auth/Challenge",
            Operation::Token => "/avp.Auth/Token",
            Operation::CreateRepo => "/avp.Vault/CreateRepo",
            Operation::Pull => "/avp.Vault/Pull",
            Operation::Push => "/avp.Vault/Push",
            Operation::AddMember => "/avp.Vault/AddMember",
            Operation::RemoveMember => "/avp.Vault/RemoveMember",
            Operation::FetchMemberKey => "/avp.Vault/FetchMemberKey",
            Operation::Discovery => return None,
        })
    }

    /// The HTTP method of the route.
    pub fn method(self) -> &'static str {
        match self {
            Operation::FetchMemberKey | Operation::Discovery => "GET",
            _ => "POST",
        }
    }

    /// The escaped path of the route. `repo_id` and `member_id` are the ids themselves; they are percent-encoded here.
    /// Operations without a repository or member in their path ignore the argument.
    pub fn path(self, repo_id: &str, member_id: &str) -> String {
        self.route()
            .replace("{repoId}", &encode_segment(repo_id))
            .replace("{memberId}", &encode_segment(member_id))
    }

    /// The message of the request body, `None` where the route takes no body.
    pub fn request_message(self) -> Option<&'static str> {
        match self {
            Operation::Challenge => Some("ChallengeRequest"),
            Operation::Token => Some("TokenRequest"),
            Operation::CreateRepo => Some("CreateRepoRequest"),
            Operation::Pull => Some("PullRequest"),
            Operation::Push => Some("PushRequest"),
            Operation::AddMember => Some("MemberAddRequest"),
            Operation::RemoveMember => Some("MemberRemoveRequest"),
            Operation::FetchMemberKey | Operation::Discovery => None,
        }
    }

    /// The message of a successful answer.
    pub fn answer_message(self) -> &'static str {
        match self {
            Operation::Challenge => "AuthChallenge",
            Operation::Token => "AuthToken",
            Operation::CreateRepo | Operation::AddMember | Operation::RemoveMember => "VaultManifest",
            Operation::Pull => "PullResponse",
            Operation::Push => "PushResponse",
            Operation::FetchMemberKey => "MemberEntry",
            Operation::Discovery => "Discovery",
        }
    }

    /// The requirement that speaks of what a granted request does and is answered.
    pub fn rule(self) -> &'static str {
        match self {
            Operation::Challenge | Operation::Token => "AVP-3-09",
            Operation::CreateRepo => "AVP-6-03",
            Operation::Pull => "AVP-6-06",
            Operation::Push => "AVP-6-09",
            Operation::AddMember => "AVP-6-11",
            Operation::RemoveMember => "AVP-6-13",
            Operation::FetchMemberKey => "AVP-6-14",
            Operation::Discovery => "AVP-8-01",
        }
    }

    /// Whether the vault server answers it and a bearer token is needed (every `/v1` route).
    pub fn needs_token(self) -> bool {
        !matches!(
            self,
            Operation::Challenge | Operation::Token | Operation::Discovery
        )
    }

    /// Whether the identity provider answers it.
    pub fn is_auth(self) -> bool {
        matches!(self, Operation::Challenge | Operation::Token)
    }

    /// Whether a granted request changes what a repository holds.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Operation::CreateRepo | Operation::Push | Operation::AddMember | Operation::RemoveMember
        )
    }

    /// Whether the same request is answered in another way once it was granted: it writes, or uses up a nonce.
    pub fn is_spent_by_use(self) -> bool {
        self.writes() || self == Operation::Token
    }
}

impl From<Operation> for OperationName {
    fn from(operation: Operation) -> OperationName {
        OperationName::new(operation.name())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_base64_are_escaped_in_paths() {
        let path = Operation::FetchMemberKey.path("a b/c%", "x+y/z==");
        assert_eq!(path, "/v1/repos/a%20b%2Fc%25/member/x%2By%2Fz%3D%3D");
    }

    #[test]
    fn a_segment_of_dots_is_not_left_to_be_taken_for_a_step() {
        assert_eq!(encode_segment(".."), "%2E%2E");
        assert_eq!(encode_segment("a..b"), "a..b");
    }
}
