//! Text: what people wrote, read without a byte order mark; what came over the wire, made visible; numbers, cuts and wraps.
//!
//! Whatever came over the wire passes through [`visible`] or one of its siblings before a person sees it, so that
//! no answer can move a cursor, hide itself or reorder a line.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

use textwrap::{WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_general_category::{GeneralCategory, get_general_category};

/// `text` with every character that a terminal or a reader's eye would not show as itself escaped: controls (line
/// breaks too), escape sequences, bidirectional overrides, invisible characters.
pub fn visible(text: &str) -> String {
    visible_cut(text, usize::MAX)
}

/// [`visible`], at most `limit` characters of it; what is left out is counted.
pub fn visible_cut(text: &str, limit: usize) -> String {
    escape(text.as_bytes(), limit, false)
}

/// Bytes as several lines of visible text: line feeds and tabs stay, the rest is as in [`visible_cut`]. Bytes that
/// are not UTF-8 show as `\xff`.
pub fn visible_block(bytes: &[u8], limit: usize) -> String {
    escape(bytes, limit, true)
}

fn escape(bytes: &[u8], limit: usize, keep_lines: bool) -> String {
    let mut out = String::with_capacity(bytes.len().min(limit));
    let (mut taken, mut shown) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if shown == limit {
                return cut_mark(out, bytes.len() - taken);
            }
            push_visible(&mut out, character, keep_lines);
            taken += character.len_utf8();
            shown += 1;
        }
        for byte in chunk.invalid() {
            if shown == limit {
                return cut_mark(out, bytes.len() - taken);
            }
            _ = write!(out, "\\x{byte:02x}");
            taken += 1;
            shown += 1;
        }
    }
    out
}

/// At most `width` characters from the front, with a mark where more was there; `more` says that more was there before `text`.
pub fn cut(text: String, width: usize, more: bool) -> String {
    if !more && text.chars().count() <= width {
        return text;
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

fn cut_mark(mut out: String, left: usize) -> String {
    _ = write!(out, "… (+{} bytes)", thousands(left));
    out
}

fn push_visible(out: &mut String, character: char, keep_lines: bool) {
    match character {
        '\n' | '\t' if keep_lines => out.push(character),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if is_hidden(character) => _ = write!(out, "\\u{{{:x}}}", u32::from(character)),
        _ => out.push(character),
    }
}

/// Text without the user names and passwords of addresses in it: `http://***@host`.
pub fn hide_passwords(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|character: char| character.is_whitespace() || "'\"`<>|;".contains(character));
        let (address, more) = after.split_at(end.unwrap_or(after.len()));
        out.push_str(before);
        rest = match user_info(address) {
            Some(length) => {
                out.push_str("***");
                &after[length..]
            }
            None => {
                out.push_str(address);
                more
            }
        };
    }
    out.push_str(rest);
    out
}

/// The length of what stands before the `@` of an address, if anything does. A password may hold a slash that should have
/// been escaped: then what stands before it is no host and port.
fn user_info(address: &str) -> Option<usize> {
    let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match (authority.rfind('@'), authority.rsplit_once(':')) {
        (Some(at), _) => Some(at),
        (None, Some((_, port))) if !is_port(port) && !authority.ends_with(']') => address.rfind('@'),
        _ => None,
    }
}

/// Whether a character does something to the text around it, or nothing that can be seen: controls, format characters,
/// separators of lines and paragraphs, what has no meaning, and letters that are blank.
pub fn is_hidden(character: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator, Surrogate, Unassigned};
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    matches!(
        get_general_category(character),
        Control | Format | LineSeparator | ParagraphSeparator | Surrogate | Unassigned
    ) || matches!(
        u32::from(character),
        0x34f | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x3164 | 0xfe00..=0xfe0f | 0xffa0
            | 0xe0000..=0xe0fff
    )
}

/// Lines of at most `width` columns as a terminal shows them, broken between words, with one space between those of a line;
/// a word that is longer is broken inside.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width.max(1))
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let text = words.join(" ");
    let lines = textwrap::wrap(&text, options);
    lines.into_iter().map(Cow::into_owned).collect()
}

/// A number as people read it: `4,120`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 case`, `14 cases`.
pub fn count(number: usize, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        thousands(number),
        if number == 1 { "" } else { "s" }
    )
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

/// The letter in the other case; what is no letter of ASCII stays.
pub fn swap_case(c: char) -> char {
    match c.is_ascii_uppercase() {
        true => c.to_ascii_lowercase(),
        false => c.to_ascii_uppercase(),
    }
}

/// A text with another in its middle.
pub fn with_in_the_middle(text: &str, more: &str) -> String {
    let (before, after) = text.split_at(text.len() / 2);
    format!("{before}{more}{after}")
}

/// A path whose percent escapes have small hexadecimal digits.
pub fn with_small_escapes(path: &str) -> String {
    let mut pieces = path.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |before, piece| {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        format!("{before}%{}{rest}", digits.to_ascii_lowercase())
    })
}

/// The media type of a content type, without its parameters, in small letters.
pub fn media_type(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// A segment of a path without its percent escapes; none where one is broken, or they are no UTF-8.
pub fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// The path that stands for standard input.
pub const STDIN: &str = "-";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_file(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path).map(without_mark)
}

/// The text of standard input.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn read_standard() -> io::Result<String> {
    io::read_to_string(io::stdin().lock().take(MOST_STDIN_BYTES)).map(without_mark)
}

/// More than that on standard input is no case file.
const MOST_STDIN_BYTES: u64 = 64 << 20;

fn without_mark(text: String) -> String {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_of_escapes_are_made_small_and_nothing_else() {
        assert_eq!(with_small_escapes("/A%2FB%C3%A9C%"), "/A%2fB%c3%a9C%");
        assert_eq!(with_small_escapes("/ABC"), "/ABC");
    }

    #[test]
    fn nothing_hidden_survives() {
        let hostile = "a\x00\x1b[31m\u{9b}2J\u{202e}b\u{2028}\u{200b}\r\n\tc\u{feff}";
        let shown = visible(hostile);
        assert!(!shown.chars().any(is_hidden), "{shown:?}");
        assert_eq!(
            shown,
            "a\\u{0}\\u{1b}[31m\\u{9b}2J\\u{202e}b\\u{2028}\\u{200b}\\r\\n\\tc\\u{feff}"
        );
    }

    #[test]
    fn format_characters_of_all_of_unicode_are_hidden() {
        for hidden in [
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200d}',
            '\u{2066}',
            '\u{feff}',
            '\u{fff9}',
            '\u{110bd}',
            '\u{13430}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{1d17a}',
            '\u{e0001}',
            '\u{e0101}',
            '\u{10ffff}',
        ] {
            assert!(is_hidden(hidden), "{hidden:?}");
        }
        for shown in ['a', ' ', 'ż', '中', '😀', '\u{301}', '\u{1d11e}'] {
            assert!(!is_hidden(shown), "{shown:?}");
        }
    }

    #[test]
    fn passwords_of_addresses_are_hidden() {
        for (text, shown) in [
            ("http://me:secret@host/a b", "http://***@host/a b"),
            ("x 'https://me@h' y", "x 'https://***@h' y"),
            (
                "a postgres://u:p@ss@db:1/x amqp://u:p/q@h",
                "a postgres://***@db:1/x amqp://***@h",
            ),
            (
                "https://host:80/@scope/x http://[::1]:1/a@b",
                "https://host:80/@scope/x http://[::1]:1/a@b",
            ),
            ("me@host and ://", "me@host and ://"),
        ] {
            assert_eq!(hide_passwords(text), shown);
        }
    }

    #[test]
    fn what_is_cut_is_counted() {
        assert_eq!(visible_cut("żółw", 2), "żó… (+3 bytes)");
        assert_eq!(visible_cut("ab", 2), "ab");
        assert_eq!(visible_block(b"a\n\xff\xfeb", 3), "a\n\\xff… (+2 bytes)");
    }

    #[test]
    fn lines_break_between_words_and_long_words_inside() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("", 3), [""]);
        // Characters that are two columns wide.
        assert_eq!(wrap("鍵鍵 鍵", 4), ["鍵鍵", "鍵"]);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 4_120_000].map(thousands),
            ["0", "999", "1,000", "4,120,000"]
        );
        assert_eq!([count(1, "case"), count(1200, "case")], ["1 case", "1,200 cases"]);
    }
}
