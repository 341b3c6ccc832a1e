//! Limits of a target's own: whether what was asked for is more than it must offer.

use crate::http::Answer;
use crate::json;

/// What a request asks for beyond the least that any vault server must offer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Demand {
    /// Bytes of the body.
    pub(super) body: usize,
    /// Members the repository would have.
    pub(super) members: usize,
    /// Repositories the caller would have created, where the request creates one.
    pub(super) repos: usize,
    /// Characters of the repository id.
    pub(super) id: usize,
    /// Whether it creates a repository with more members than its creator, which is refused for one reason or another.
    pub(super) is_crowded: bool,
    /// Whether it creates a repository under an id or a wrap scheme that a policy may not want.
    pub(super) is_odd: bool,
}

impl Demand {
    /// Whether a limit may stand before it: more than two members, or more than one from the start, a second repository, a large
    /// body, a long id.
    pub(super) fn is_unusual(&self) -> bool {
        self.body > 8 * 1024 || self.members > 2 || self.is_crowded || self.repos > 1 || self.id > 64
    }

    /// Whether an answer refuses it for a limit or policy of the target's own (section 7 of the protocol page).
    pub(super) fn meets_limit(&self, answer: &Answer) -> bool {
        // A 403 that says nothing may be of a limit, where one may stand before the request.
        let is_untold = answer.status == 403 && code(answer).is_none();
        self.is_unusual() && (is_told_limit(answer) || is_untold)
            || self.is_odd && code(answer).as_deref() == Some("policy_denied")
    }
}

/// Whether an answer says that it refuses for a limit or policy of the target's own. A 403 that says `forbidden` speaks of
/// membership.
pub(super) fn is_told_limit(answer: &Answer) -> bool {
    let told = || {
        matches!(
            code(answer).as_deref(),
            Some("policy_denied" | "quota_exceeded" | "too_large")
        )
    };
    matches!(answer.status, 413 | 429) || answer.status == 403 && told()
}

fn code(answer: &Answer) -> Option<String> {
    let body = json::parse(answer.body.as_bytes()).ok()?;
    body.get("code")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, header: Option<&str>, body: &str) -> Answer {
        let headers = header
            .map(|value| ("retry-after".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        Answer {
            status,
            headers,
            body: body.into(),
        }
    }

    #[test]
    fn a_forbidden_caller_is_no_limit() {
        let coded = |code: &str| answer(403, None, &format!(r#"{{"error":"x","code":"{code}"}}"#));
        assert!(!is_told_limit(&coded("forbidden")));
        assert!(is_told_limit(&coded("policy_denied")));
        assert!(is_told_limit(&answer(413, None, "")));
        assert!(!is_told_limit(&answer(404, None, "")));
        assert!(!is_told_limit(&answer(403, None, "")));
    }

    #[test]
    fn an_untold_403_is_a_limit_only_where_one_may_stand() {
        let untold = answer(403, None, r#"{"error":"x"}"#);
        let third = Demand {
            members: 3,
            ..Demand::default()
        };
        assert!(third.meets_limit(&untold));
        assert!(!Demand::default().meets_limit(&untold));
        assert!(!Demand::default().meets_limit(&answer(413, None, "")));
    }

    #[test]
    fn a_policy_may_refuse_what_is_odd_where_it_says_so() {
        let odd = Demand {
            is_odd: true,
            ..Demand::default()
        };
        assert!(odd.meets_limit(&answer(403, None, r#"{"error":"x","code":"policy_denied"}"#)));
        assert!(!odd.meets_limit(&answer(403, None, r#"{"error":"x"}"#)));
    }
}
