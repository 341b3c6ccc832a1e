//! A body laid out for reading: JSON a member to a line, token by token as it came, with places marked.

use std::ops::Range;

use serde::de::IgnoredAny;

use crate::record::Body;
use crate::report::locate::nearest;
use crate::text::visible_block;

/// A stretch of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) marked: bool,
}

/// At most `limit` characters of a body, the places at the pointers marked; what is no JSON is shown as it is.
pub(super) fn pretty(body: &Body, pointers: &[&str], limit: usize) -> Vec<Piece> {
    match body
        .as_text()
        .filter(|text| text.len() <= limit * 4 && is_json(text))
    {
        Some(text) => {
            let marks: Vec<_> = pointers
                .iter()
                .filter_map(|pointer| nearest(text, pointer))
                .collect();
            cut(lay_out(text, &marks), limit)
        }
        None => vec![Piece {
            text: visible_block(body.as_bytes(), limit),
            marked: false,
        }],
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Text that is JSON, with line breaks between its tokens.
fn lay_out(text: &str, marks: &[Range<usize>]) -> Vec<Piece> {
    let (mut out, mut depth, mut at) = (Layout::default(), 0_usize, 0);
    while let Some(token) = next_token(text, at) {
        let range = at..at + token.len();
        at = range.end;
        let marked = marks
            .iter()
            .any(|mark| mark.start <= range.start && range.end <= mark.end);
        match token.as_bytes()[0] {
            b'{' | b'[' if closes_at_once(text, at) => out.push(token, marked),
            b'{' | b'[' => {
                depth += 1;
                out.push(token, marked);
                out.line(depth, marked);
            }
            b'}' | b']' => {
                if !out.opened() {
                    depth = depth.saturating_sub(1);
                    out.line(depth, marked);
                }
                out.push(token, marked);
            }
            b',' => {
                out.push(token, marked);
                out.line(depth, marked);
            }
            b':' => out.push(": ", marked),
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => out.push(&visible_block(token.as_bytes(), usize::MAX), marked),
        }
    }
    out.pieces
}

/// The token of JSON text that begins at `at`: a string, a sign, white space, or a word.
fn next_token(text: &str, at: usize) -> Option<&str> {
    let rest = text.get(at..)?;
    let mut bytes = rest.bytes().enumerate();
    let length = match bytes.next()?.1 {
        b'"' => {
            let mut escaped = false;
            let end = bytes.find(|(_, byte)| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(index, _)| index + 1)
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => 1,
        _ => rest
            .find(['{', '}', '[', ']', ',', ':', ' ', '\t', '\n', '\r', '"'])
            .unwrap_or(rest.len()),
    };
    Some(&rest[..length])
}

fn closes_at_once(text: &str, at: usize) -> bool {
    text[at..].trim_start().starts_with(['}', ']'])
}

#[derive(Default)]
struct Layout {
    pieces: Vec<Piece>,
}

impl Layout {
    fn push(&mut self, text: &str, marked: bool) {
        match self.pieces.last_mut() {
            Some(piece) if piece.marked == marked => piece.text.push_str(text),
            _ => self.pieces.push(Piece {
                text: text.to_owned(),
                marked,
            }),
        }
    }

    fn line(&mut self, depth: usize, marked: bool) {
        let marked = marked && self.pieces.last().is_some_and(|piece| piece.marked);
        self.push(&format!("\n{}", "  ".repeat(depth.min(40))), marked);
    }

    /// Whether the last token opened an object or array.
    fn opened(&self) -> bool {
        self.pieces
            .last()
            .is_some_and(|piece| piece.text.ends_with(['{', '[']))
    }
}

fn cut(pieces: Vec<Piece>, limit: usize) -> Vec<Piece> {
    let mut left = limit;
    let mut out = Vec::new();
    for piece in pieces {
        let length = piece.text.chars().count();
        if length > left {
            let text: String = piece.text.chars().take(left).chain(['…']).collect();
            out.push(Piece { text, ..piece });
            break;
        }
        left -= length;
        out.push(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str, pointers: &[&str]) -> String {
        let pieces = pretty(&Body::from(body), pointers, 1000);
        pieces
            .iter()
            .map(|piece| {
                if piece.marked {
                    format!("«{}»", piece.text)
                } else {
                    piece.text.clone()
                }
            })
            .collect()
    }

    #[test]
    fn json_has_a_member_to_a_line_and_the_place_is_marked() {
        assert_eq!(
            shown(r#"{"a":[1,{"b":"x\"}"}],"c":{},"d":[ ]}"#, &["/a/1/b"]),
            "{\n  \"a\": [\n    1,\n    {\n      «\"b\": \"x\\\"}\"»\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}"
        );
    }

    #[test]
    fn numbers_and_doubled_names_stay_as_they_came() {
        assert_eq!(
            shown(r#"{"a":9007199254740993,"a":1.0}"#, &[]),
            "{\n  \"a\": 9007199254740993,\n  \"a\": 1.0\n}"
        );
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is_and_long_bodies_are_cut() {
        assert_eq!(shown("<b>\x1b\n</b>", &["/a"]), "<b>\\u{1b}\n</b>");
        let pieces = pretty(&Body::from(format!("[\"{}\"]", "x".repeat(300))), &[], 100);
        assert_eq!(
            pieces
                .iter()
                .map(|piece| piece.text.chars().count())
                .sum::<usize>(),
            101
        );
    }
}
