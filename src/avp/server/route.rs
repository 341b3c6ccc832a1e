//! From an escaped path to an operation. Ids are decoded segment by segment, after the path has been split, so that
//! an escaped slash in an id never makes a segment.

use crate::avp::Operation;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// One of the protocol's operations, with the ids of its path (empty where it has none).
    To {
        /// The operation.
        operation: Operation,
        /// The repository of the path, decoded.
        repo_id: String,
        /// The member of the path, decoded.
        member_id: String,
    },
    /// The path is known, the method is not the route's; this one is.
    WrongMethod(&'static str),
    /// No such route.
    Unknown,
}

impl Route {
    /// Routes a request.
    pub(super) fn of(method: &str, path: &str) -> Route {
        let segments: Vec<&str> = path.split('/').collect();
        let (operation, repo_id, member_id) = match segments.as_slice() {
            ["", "api", "auth", "keypair", "challenge"] => (Operation::Challenge, "", ""),
            ["", "api", "auth", "keypair", "token"] => (Operation::Token, "", ""),
            ["", ".well-known", "avp"] => (Operation::Discovery, "", ""),
            ["", "v1", "repos"] => (Operation::CreateRepo, "", ""),
            ["", "v1", "repos", repo, "pull"] => (Operation::Pull, *repo, ""),
            ["", "v1", "repos", repo, "push"] => (Operation::Push, *repo, ""),
            ["", "v1", "repos", repo, "add-member"] => (Operation::AddMember, *repo, ""),
            ["", "v1", "repos", repo, "remove-member"] => (Operation::RemoveMember, *repo, ""),
            ["", "v1", "repos", repo, "member", member] => (Operation::FetchMemberKey, *repo, *member),
            _ => return Route::Unknown,
        };
        if method != operation.method() {
            return Route::WrongMethod(operation.method());
        }
        match (decode(repo_id), decode(member_id)) {
            (Some(repo_id), Some(member_id)) => Route::To {
                operation,
                repo_id,
                member_id,
            },
            _ => Route::Unknown,
        }
    }
}

/// Decodes the percent escapes of one segment. `+` stands for itself: that it means a space is a rule of forms, not
/// of paths. `None` where an escape is broken or the bytes are no UTF-8: no id is written so.
pub(super) fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            bytes.push(hex(rest.next()?)? * 16 + hex(rest.next()?)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(method: &str, path: &str) -> Option<(Operation, String, String)> {
        match Route::of(method, path) {
            Route::To {
                operation,
                repo_id,
                member_id,
            } => Some((operation, repo_id, member_id)),
            _ => None,
        }
    }

    #[test]
    fn every_route_of_the_protocol_leads_back_to_its_operation() {
        for operation in Operation::ALL {
            let path = operation.path("a b/c%+é..", "x+y/z==");
            let (found, repo, member) = ids(operation.method(), &path).unwrap();
            assert_eq!(found, operation);
            assert!(repo.is_empty() || repo == "a b/c%+é..", "{repo}");
            assert!(member.is_empty() || member == "x+y/z==", "{member}");
        }
    }

    #[test]
    fn raw_plus_and_equals_are_taken_as_they_are() {
        let (_, _, member) = ids("GET", "/v1/repos/r/member/a+b=").unwrap();
        assert_eq!(member, "a+b=");
    }

    #[test]
    fn broken_escapes_and_unknown_paths_lead_nowhere() {
        for path in [
            "/v1/repos/%zz/pull",
            "/v1/repos/%f/pull",
            "/v1/repos/%ff/pull",
            "/v1/repos/a/b/pull",
            "/",
            "",
        ] {
            assert_eq!(Route::of("POST", path), Route::Unknown, "{path}");
        }
        assert_eq!(Route::of("GET", "/v1/repos"), Route::WrongMethod("POST"));
    }
}
