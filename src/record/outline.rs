//! What is left of a sentence without what differs from case to case. Findings with the same outline are one finding.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// From how many characters on a word may be an id, a key or a nonce.
const ID_LENGTH: usize = 16;

/// How often the same was seen besides, the name of a status of gRPC behind its number, and how each racer was answered: what tells
/// races apart is why no order fits.
static ASIDES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r" \([A-Z_]{5,}\)| \(and [0-9,]+ more [a-z ]+\)| \(in [0-9]+ of [0-9]+ rounds\)|^round [0-9]+: (?:.*?; no order fits: )?",
    )
});

/// What stands in backticks, what stands in double quotes (where it was cut, `…` ends it), or a word.
static PIECE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"`[^`]*`|"[^"\s]*…|"(?:[^"\\]|\\.)*"|[^\s,;:()'"`]+"#));

/// A quoted value that is a word of the protocol, or a sentence: `"bad_request"`.
static PLAIN_VALUE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^"[a-z_ -]{0,40}"$"#));

/// An id that the harness made (`275666b405baa70eb892-repo`), or base64 of either alphabet.
static ID: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:[0-9a-f]{16}.*|[A-Za-z0-9+/_-]+={0,2})$"));

/// A number, with the word before it where that tells what it counts.
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(\bstatus |\bis |\bor )?(-?[0-9](?:[0-9,.]*[0-9])?)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a test compiles every pattern")
}

/// The outline of a sentence that calls actors by these names.
pub fn outline(text: &str, actors: &BTreeSet<&str>) -> String {
    let text = ASIDES.replace_all(text, "");
    let text = PIECE.replace_all(&text, |found: &Captures<'_>| piece(&found[0], actors));
    let text = NUMBER.replace_all(&text, |found: &Captures<'_>| {
        let before = found.get(1).map_or("", |before| before.as_str());
        format!("{before}{}", number(before, &found[2]))
    });
    text.into_owned()
}

fn piece(piece: &str, actors: &BTreeSet<&str>) -> String {
    match piece {
        _ if piece.starts_with('`') || PLAIN_VALUE.is_match(piece) => piece,
        _ if piece.starts_with('"') => "\"*\"",
        _ if actors.contains(piece) => "@",
        _ if is_id(piece) => "*",
        "both" => "2",
        _ => piece,
    }
    .to_owned()
}

/// Whether a word is an id, a key or the like; the name of a message or field is as long, but has no digit in it.
fn is_id(word: &str) -> bool {
    let is_sign = |character: char| character.is_ascii_digit() || matches!(character, '+' | '/' | '=');
    word.len() >= ID_LENGTH && word.contains(is_sign) && ID.is_match(word)
}

/// A status that was to come is told apart from every other; of one that came, its hundred counts.
fn number<'a>(before: &str, number: &'a str) -> &'a str {
    match (before, number.as_bytes()) {
        ("status ", [b'1'..=b'5', _, _]) => &number[..1],
        ("is " | "or ", [b'2'..=b'5', _, _]) => number,
        _ => "#",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_one(one: &str, other: &str) -> bool {
        let actors = BTreeSet::from(["alice", "bob", "zoe+/"]);
        outline(one, &actors) == outline(other, &actors)
    }

    #[test]
    fn what_differs_from_case_to_case_is_left_out() {
        for (one, other) in [
            (
                "version 12 of Zm9vYmFyYmF6cXV4Cg==",
                "version 4,711 of AAAAYmFyYmF6cXV4Cg==",
            ),
            (
                "the repository 275666b405baa70eb892-repo is gone",
                "the repository 1da45148f00baa70eb89-repo.2 is gone",
            ),
            (
                "the nonce dGhpcyBpcyBhIG5vbmNl_w",
                "the nonce 3q2-7wAAAAAAAAAAAAAAAA",
            ),
            ("bob, a member, cannot pull", "zoe+/, a member, cannot pull"),
            ("accepted is true", "accepted is true (in 2 of 5 rounds)"),
            ("alice's served key", "bob's served key"),
            (
                "alice is served `/members/1`: N8pYZh9axIA9NGYGqF8IlePAyhLJskFCr9BCebFaHeY= is in it",
                "bob is served `/members/20`: /Otma7tUjeGI3Es6OBEU65jq1LKiTiWHtlAdRIs3Wsk= is in it",
            ),
            (
                r#"`/envelope/iv`: "AAAAAAAAAAAAAAAA" where "/KhDnhMn/owRYXS+" was stored"#,
                r#"`/envelope/iv`: "AAAAAAAAAAAAAAAA" where "B/EIpj1e70pdKFtA" was stored (and 3 more differences)"#,
            ),
            (
                r#"expected integer, got string "1""#,
                r#"expected integer, got string "2147483648" (and 1,128 more like it in this step)"#,
            ),
            (
                r#"nothing where "Gum7w… (65 characters) was stored"#,
                r#"nothing where "/ks8q… (97 characters) was stored"#,
            ),
            (
                "round 1: 8 x push granted, version 2; no order fits: 8 pushes say version 2",
                "round 7: 1 x push conflict; no order fits: both pushes say version 9",
            ),
            (
                "round 1: push by bob: status 403",
                "round 14: push by alice: status 404",
            ),
            ("pull by bob is 404 (NOT_FOUND)", "pull by alice is 404"),
        ] {
            assert!(is_one(one, other), "{one}\n{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_kept() {
        for (one, other) in [
            ("accepted is true", "accepted is false"),
            ("push by bob is 401", "push by bob is 403"),
            ("status 403", "status 500"),
            ("`/manifest/keyEpoch`: 1", "`/manifest/payloadVersion`: 1"),
            (
                "the body of createRepo is a VaultManifest",
                "the body of pull is a PullResponse",
            ),
            (r#"the code "bad_request""#, r#"the code "forbidden""#),
            (
                "an EncryptedEnvelope without expectedPayloadVersion",
                "an EncryptedEnvelope without knownPayloadVersion",
            ),
            (
                "round 1: x; no order fits: 3 pushes say version 2",
                "round 1: x; no order fits: a conflict says version 2, which nobody wrote",
            ),
        ] {
            assert!(!is_one(one, other), "{one}\n{other}");
        }
    }
}
