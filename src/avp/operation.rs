//! The operations of the HTTP/JSON profile: method, path and the names of the messages that travel.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalogue::OperationName;
use crate::http::Exchange;

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
        let repo = || encode_segment(repo_id);
        match self {
            Operation::Challenge => "/api/auth/keypair/challenge".to_owned(),
            Operation::Token => "/api/auth/keypair/token".to_owned(),
            Operation::CreateRepo => "/v1/repos".to_owned(),
            Operation::Pull => format!("/v1/repos/{}/pull", repo()),
            Operation::Push => format!("/v1/repos/{}/push", repo()),
            Operation::AddMember => format!("/v1/repos/{}/add-member", repo()),
            Operation::RemoveMember => format!("/v1/repos/{}/remove-member", repo()),
            Operation::FetchMemberKey => {
                format!("/v1/repos/{}/member/{}", repo(), encode_segment(member_id))
            }
            Operation::Discovery => "/.well-known/avp".to_owned(),
        }
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

/// Whether the target may have executed twice what is another thing than executing it once: what came of it, and what is
/// seen of the repository from then on, says nothing about the target.
pub fn is_doubtful(exchange: &Exchange) -> bool {
    let changes = match Operation::of(exchange) {
        Some(operation) => operation.is_spent_by_use(),
        None => !["GET", "HEAD"].contains(&exchange.request.method.as_str()),
    };
    exchange.resent && changes
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Percent-encodes one path segment: everything but RFC 3986 unreserved characters, as UTF-8 bytes.
///
/// A segment of dots alone is encoded too (`%2E%2E`), since URL libraries take it for a relative step.
pub fn encode_segment(segment: &str) -> String {
    let only_dots = segment == "." || segment == "..";
    let mut out = String::with_capacity(segment.len() + 8);
    for byte in segment.bytes() {
        match byte {
            b'.' if only_dots => out.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
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
