//! The decisive part of a body on one line, with a marker under the decisive place.

use super::locate::nearest;
use crate::record::Body;
use crate::text::{cut, visible, visible_block};

/// One line of a body, and what stands below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line, escaped, no longer than asked for.
    pub(super) line: String,
    /// How many characters of it come before the decisive place, and how many the place has; none if there is none.
    pub(super) mark: Option<(usize, usize)>,
}

/// The part of `body` around `pointer` (or around what lacks that place), or its beginning, in at most `width` characters.
pub(super) fn excerpt(body: &Body, pointer: Option<&str>, width: usize) -> Excerpt {
    let found = body
        .as_text()
        .and_then(|text| Some((text, nearest(text, pointer?)?)));
    match found {
        Some((text, place)) => around(
            &text[..place.start],
            &text[place.clone()],
            &text[place.end..],
            width,
        ),
        _ => Excerpt {
            line: beginning(body, width),
            mark: None,
        },
    }
}

fn beginning(body: &Body, width: usize) -> String {
    let bytes = &body.as_bytes()[..body.len().min(width * 8)];
    let line = squash(&visible_block(bytes, usize::MAX));
    cut(line, width, bytes.len() < body.len())
}

fn around(before: &str, place: &str, after: &str, width: usize) -> Excerpt {
    let place = cut(show(first(place, width)), width * 2 / 3, place.len() > width * 4);
    let length = place.chars().count();
    let room = width - length;
    let after_full = show(first(after, width));
    let want_after = after_full.chars().count().min(room / 2);
    let before = cut_front(
        show(last(before, width)),
        room - want_after,
        before.len() > width * 4,
    );
    let indent = before.chars().count();
    let after = cut(after_full, width - indent - length, after.len() > width * 4);
    Excerpt {
        line: format!("{before}{place}{after}"),
        mark: Some((indent, length)),
    }
}

fn show(text: &str) -> String {
    visible(&squash(text))
}

/// Runs of white space as one blank, as far as they matter in JSON.
fn squash(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' ' | '\n' | '\r' | '\t' if out.ends_with(' ') => {}
            ' ' | '\n' | '\r' | '\t' => out.push(' '),
            _ => out.push(character),
        }
    }
    out
}

/// Enough of the beginning to fill `width` characters.
fn first(text: &str, width: usize) -> &str {
    let mut end = text.len().min(width * 4);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Enough of the end to fill `width` characters.
fn last(text: &str, width: usize) -> &str {
    let mut start = text.len().saturating_sub(width * 4);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

fn cut_front(text: String, width: usize, more: bool) -> String {
    let length = text.chars().count();
    if !more && length <= width {
        return text;
    }
    let keep = width.saturating_sub(1).min(length);
    std::iter::once('…')
        .chain(text.chars().skip(length - keep))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(excerpt: &Excerpt) -> String {
        let (indent, length) = excerpt.mark.unwrap();
        excerpt.line.chars().skip(indent).take(length).collect()
    }

    #[test]
    fn the_place_is_marked_where_it_stands() {
        let body = Body::from("{\n  \"accepted\": true,\n  \"conflict\": false\n}");
        let found = excerpt(&body, Some("/conflict"), 80);
        assert_eq!(found.line, r#"{ "accepted": true, "conflict": false }"#);
        assert_eq!(marked(&found), r#""conflict": false"#);
    }

    #[test]
    fn a_long_body_is_cut_on_both_sides_of_the_place() {
        let long = "x".repeat(1_000_000);
        let body = Body::from(format!(r#"{{"a":"{long}","b":"\u001b[1m","c":"{long}"}}"#));
        let found = excerpt(&body, Some("/b"), 60);
        assert!(found.line.chars().count() <= 60, "{}", found.line);
        assert!(
            found.line.starts_with('…') && found.line.ends_with('…'),
            "{}",
            found.line
        );
        assert_eq!(marked(&found), r#""b":"\u001b[1m""#);
        let found = excerpt(&body, Some("/a"), 60);
        assert_eq!(found.line.chars().count(), 60, "{}", found.line);
    }

    #[test]
    fn what_is_no_json_shows_its_beginning() {
        let body = Body::from(b"<html>\xff\x1b".to_vec());
        assert_eq!(excerpt(&body, Some("/a"), 60).line, "<html>\\xff\\u{1b}");
        assert_eq!(excerpt(&Body::from("abcdef"), None, 4).line, "abc…");
    }
}
