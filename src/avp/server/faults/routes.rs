//! What is got wrong between the bytes of a path and the id they stand for.

use std::borrow::Cow;

use super::authorization::nobody_admitted;
use super::tokens::Caller;
use crate::avp::server::answer::Refusal;
use crate::avp::server::decision::{Asked, Decision, Rule, grant_if, stop_if};
use crate::avp::server::deviation::faults;
use crate::avp::server::request::Request;
use crate::avp::server::route::{Route, decode};
use crate::avp::server::state::State;
use crate::avp::server::vault::{Vault, text};

faults! { "routes";
    Named(SLASH_UNGUARDED) and Caller(slash_unguarded) and Rule(nobody_admitted) "slash-goes-around-the-token", Must "AVP-3-10",
        "A route with a slash behind it is served, and not asked for a token.",
        "Anybody reads and writes everything.",
        "Guard the routes where they are served, not by a list of their paths.";
    Named(DECODED_FIRST) "path-decoded-before-routing", Must "AVP-7-06",
        "Paths are decoded before they are split, so that an escaped slash makes a segment.",
        "Half of all member ids lead nowhere.",
        "Route on the escaped path, and decode each segment.";
    Named(DECODED_TWICE) "path-decoded-twice", Must "AVP-7-06",
        "Segments are decoded twice.",
        "Ids with a percent sign lead nowhere.",
        "Decode once; the framework has done so already.";
    Named(NOT_DECODED) "path-not-decoded", Must "AVP-7-06",
        "Segments are not decoded.",
        "No member id is ever found.",
        "Decode each segment after routing.";
    Named(PLUS_AS_SPACE) "path-plus-as-space", Must "AVP-7-06",
        "A plus sign in a path is taken for a space, escaped or not.",
        "Member ids with a plus sign lead nowhere.",
        "Decode as a path and not as a form.";
    Caller(slash_refused) "path-escaped-slash-refused", Must "AVP-7-06",
        "Paths with an escaped slash are refused with 400.",
        "Half of all member ids are refused.",
        "Allow escaped slashes in the web server's configuration.";
    Caller(cleaned) "path-cleaned-by-redirect", Must "AVP-7-06",
        "A path whose escapes hold slashes in a row is redirected to one with a single slash.",
        "Some ids lead nowhere.",
        "Route on the escaped path: some routers decode and clean it, and redirect to what comes of that.";
    Named(FOLDED) "path-folded", Must "AVP-7-06",
        "Paths are compared in lower case.",
        "Ids with capitals lead nowhere.",
        "Leave the case of paths alone.";
    Named(CAPITALS_DECODED) "path-escapes-in-capitals", Must "AVP-7-06",
        "Of the escapes of a path those with small digits are left as they are.",
        "Clients that write %2f find no member whose id has a slash.",
        "Decode with a library: the digits of an escape may be of either case (RFC 3986, 2.1).";
    Named(SLASHES_MERGED) "path-slashes-merged", Must "AVP-7-06",
        "Slashes that follow one another in an id are one.",
        "Some member ids lead nowhere; a proxy that merges slashes is the usual cause.",
        "Have the proxy pass paths on as they came.";
    Named(LATIN) "path-as-latin-1", Must "AVP-7-06",
        "Escapes in a path are decoded as Latin-1.",
        "Ids beyond ASCII lead nowhere.",
        "Decode as UTF-8.";
    Named(SPACES_TRIMMED) "path-segments-trimmed", Must "AVP-7-06",
        "Segments lose the white space and dots at their ends.",
        "Ids that end so lead nowhere.",
        "Leave ids alone.";
    Named(IDS_FOLDED) and Rule(ids_alike) "ids-compared-without-case", Must "AVP-4-01",
        "Repository ids are compared without regard to case.",
        "Two repositories whose ids differ in case are one; a case-insensitive collation is the usual cause.",
        "Give the column a binary collation.";
    Named(IDS_AS_PATTERNS) and Rule(ids_alike) "ids-matched-as-patterns", Must "AVP-6-16",
        "A repository id is looked up with LIKE: a percent sign stands for any characters, an underscore for one.",
        "Whoever sends wildcards reaches repositories whose ids they do not know.",
        "Compare ids for equality.";
    Named(IDS_AS_NUMBERS) and Rule(ids_alike) "ids-of-digits-as-numbers", Must "AVP-6-16",
        "An id of digits alone is taken for a number, so that zeros in front of it do not count.",
        "Two ids are one.",
        "Ids are text: keep the driver and the column from converting them.";
    Named(IDS_CUT_AT_NUL) and Rule(ids_alike) "ids-cut-at-nul", Must "AVP-6-16",
        "Of an id what stands behind a NUL character is lost.",
        "Two ids are one.",
        "Pass lengths along with strings, or refuse a NUL.";
    Named(IDS_CUT) and Rule(ids_alike) "ids-compared-by-64-characters", Must "AVP-4-01",
        "Of a repository id the first 64 characters count.",
        "Two repositories whose ids begin alike are one.",
        "Use a column that holds any id, or refuse those it does not hold.";
}

/// The path as a server that mistreats it sees it.
pub(in crate::avp::server) fn path<'a>(state: &State, path: &'a str) -> Cow<'a, str> {
    if state.is_faultless() {
        return Cow::Borrowed(path);
    }
    let changed = match () {
        () if state.is(DECODED_FIRST) => decode(path).map(|path| path.replace('%', "%25")),
        () if state.is(DECODED_TWICE) => decode(path).map(|again| keep_slashes(path, &again)),
        () if state.is(NOT_DECODED) => Some(path.replace('%', "%25")),
        () if state.is(PLUS_AS_SPACE) => Some(path.replace("%2B", "%20").replace('+', "%20")),
        () if state.is(FOLDED) => Some(path.to_lowercase()),
        () if state.is(CAPITALS_DECODED) => Some(keep_small_escapes(path)),
        () if state.is(SLASHES_MERGED) => Some(merge_slashes(path)),
        () if state.is(LATIN) => latin(path),
        () if state.is(SPACES_TRIMMED) => Some(trim(path)),
        () if state.is(SLASH_UNGUARDED) => path.strip_suffix('/').map(str::to_owned),
        () => None,
    };
    match changed {
        Some(changed) if changed != path => {
            state.fire();
            Cow::Owned(changed)
        }
        _ => Cow::Borrowed(path),
    }
}

/// The id under which a server that mistreats ids keeps a repository.
pub(in crate::avp::server) fn id<'a>(state: &State, id: &'a str) -> Cow<'a, str> {
    if state.is_faultless() {
        return Cow::Borrowed(id);
    }
    let kept = kept_under(state, &state.vault(), id);
    if kept != id {
        state.fire();
    }
    kept
}

/// The same where the repositories are locked already.
pub(super) fn kept_under<'a>(state: &State, vault: &Vault, id: &'a str) -> Cow<'a, str> {
    Cow::Owned(match () {
        () if state.is(IDS_FOLDED) => id.to_lowercase(),
        () if state.is(IDS_CUT) => id.chars().take(64).collect(),
        () if state.is(IDS_AS_PATTERNS) => matching(vault, id),
        () if state.is(IDS_AS_NUMBERS) && id.bytes().all(|byte| byte.is_ascii_digit()) => {
            id.trim_start_matches('0').to_owned()
        }
        () if state.is(IDS_CUT_AT_NUL) => id.split('\0').next().unwrap_or_default().to_owned(),
        () => return Cow::Borrowed(id),
    })
}

/// Takes two ids for one that are kept as one.
fn ids_alike(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::SameRepo(_) => {
            let named = text(asked.body, "repoId");
            grant_if(decision, is_same(asked.state, named, &asked.call.repo_id))
        }
        Rule::FreshId(vault) => {
            let id = text(&asked.body["manifest"], "repoId");
            let taken = vault
                .repos
                .contains_key(kept_under(asked.state, vault, id).as_ref());
            stop_if(decision, taken, Refusal::duplicate())
        }
        _ => false,
    }
}

/// Whether an id is that of a repository, on a server that mistreats ids.
fn is_same(state: &State, named: &str, known: &str) -> bool {
    match state.is(IDS_AS_PATTERNS) {
        true => is_like(known.as_bytes(), named.as_bytes()),
        false => kept_under(state, &Vault::default(), named) == known,
    }
}

/// The id of a repository that a pattern of SQL matches; the pattern itself where there is none.
fn matching(vault: &Vault, pattern: &str) -> String {
    let mut ids = vault.repos.keys();
    let found = ids.find(|id| is_like(id.as_bytes(), pattern.as_bytes()));
    found.map_or_else(|| pattern.to_owned(), String::clone)
}

/// Takes a request with a slash behind its path for one of nobody.
fn slash_unguarded(_: &State, request: &Request, caller: &mut Caller) -> bool {
    let Some(path) = request.path.strip_suffix('/') else {
        return false;
    };
    *caller = Ok(String::new());
    matches!(Route::of(&request.method, path), Route::To { .. })
}

fn slash_refused(_: &State, request: &Request, caller: &mut Caller) -> bool {
    let route = Route::of(&request.method, &request.path);
    let here = caller.is_ok() && request.path.contains("%2F") && matches!(route, Route::To { .. });
    if here {
        *caller = Err(Refusal::bad_request("the path holds an escaped slash"));
    }
    here
}

fn cleaned(_: &State, request: &Request, caller: &mut Caller) -> bool {
    let here = decode(&request.path).is_some_and(|path| path.contains("//"));
    if here {
        *caller = Err(Refusal::failure(301, "moved"));
    }
    here
}

fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'%', rest @ ..], text) => (0..=text.len()).any(|at| is_like(&text[at..], rest)),
        ([b'_', rest @ ..], [_, text @ ..]) => is_like(text, rest),
        ([wanted, rest @ ..], [byte, text @ ..]) => wanted == byte && is_like(text, rest),
        _ => false,
    }
}

/// A path decoded once whose slashes are still where they were: segment by segment, slashes escaped again.
fn keep_slashes(path: &str, decoded: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| decode(segment).unwrap_or_default().replace('/', "%2F"));
    match path.contains("%2F") || path.contains("%2f") {
        true => segments.collect::<Vec<_>>().join("/"),
        false => decoded.to_owned(),
    }
}

/// The bytes of the escapes, each for a character of its own, escaped as UTF-8 so that they are found so.
fn latin(path: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let byte = u8::from_str_radix(rest.get(at + 1..at + 3)?, 16).ok()?;
        out.push_str(&rest[..at]);
        match byte.is_ascii() {
            true => out.push_str(&rest[at..at + 3]),
            false => char::from(byte)
                .encode_utf8(&mut [0; 4])
                .bytes()
                .for_each(|byte| out.push_str(&format!("%{byte:02X}"))),
        }
        rest = &rest[at + 3..];
    }
    Some(out + rest)
}

/// A path in which the escapes with small digits stand for themselves.
fn keep_small_escapes(path: &str) -> String {
    let mut pieces = path.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |before, piece| {
        let digits = piece.get(..2).unwrap_or_default();
        let sign = if digits.bytes().any(|digit| digit.is_ascii_lowercase()) {
            "%25"
        } else {
            "%"
        };
        before + sign + piece
    })
}

fn merge_slashes(path: &str) -> String {
    let mut merged = path.to_owned();
    while merged.contains("%2F%2F") {
        merged = merged.replace("%2F%2F", "%2F");
    }
    merged
}

fn trim(path: &str) -> String {
    let bare = |segment: &str| -> String {
        let mut segment = segment;
        while let Some(shorter) = segment
            .strip_suffix("%20")
            .or_else(|| segment.strip_suffix('.'))
            .or_else(|| segment.strip_prefix("%20"))
        {
            segment = shorter;
        }
        segment.to_owned()
    };
    path.split('/').map(bare).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_characters_of_their_own() {
        assert_eq!(latin("/a%C3%A9%2Fb").as_deref(), Some("/a%C3%83%C2%A9%2Fb"));
        assert_eq!(latin("/a%C"), None);
    }

    #[test]
    fn wildcards_stand_for_what_they_stand_for_in_sql() {
        let like = |text: &str, pattern: &str| is_like(text.as_bytes(), pattern.as_bytes());
        assert!(like("abc", "a_c") && like("abc", "a%") && like("abc", "%") && like("abc", "abc"));
        assert!(!like("abc", "a_") && !like("abc", "b%") && !like("abc", "abd"));
    }

    #[test]
    fn a_second_decoding_leaves_slashes_where_they_are() {
        assert_eq!(keep_slashes("/x/a%252B%2F", ""), "/x/a%2B%2F");
        assert_eq!(trim("/v1/a.%20/b"), "/v1/a/b");
        assert_eq!(merge_slashes("/v1/a%2F%2F%2Fb"), "/v1/a%2Fb");
        assert_eq!(keep_small_escapes("/v1/a%2f%2F%20"), "/v1/a%252f%2F%20");
    }
}
