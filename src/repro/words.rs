//! Words of a POSIX shell, with variables in place of what the script makes itself.

use std::fmt::Write as _;

use aho_corasick::{AhoCorasick, MatchKind};

/// What is replaced by a variable, and by which.
#[derive(Debug, Default, Clone)]
pub(crate) struct Words {
    entries: Vec<(String, String)>,
}

impl Words {
    /// Wherever `text` stands, the variable of that name comes in its place.
    pub(crate) fn add(&mut self, text: impl Into<String>, variable: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.entries.push((text, variable.into()));
        }
    }

    /// Whether there is something in the place of a text.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.entries.iter().any(|(known, _)| known == text)
    }

    /// A word in double quotes.
    pub(crate) fn quoted(&self, text: &str) -> String {
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(self.entries.iter().map(|(text, _)| text));
        let Ok(finder) = finder else {
            return format!("\"{}\"", escaped(text));
        };
        let (mut out, mut done) = ("\"".to_owned(), 0);
        for found in finder.find_iter(text) {
            out.push_str(&escaped(&text[done..found.start()]));
            _ = write!(out, "${{{}}}", self.entries[found.pattern().as_usize()].1);
            done = found.end();
        }
        out.push_str(&escaped(&text[done..]));
        out.push('"');
        out
    }

    /// A command that writes bytes: as text where they are, else byte by byte.
    pub(crate) fn printed(&self, bytes: &[u8]) -> String {
        if bytes.contains(&0) {
            return format!("printf '{}'", octal(bytes));
        }
        let pieces = bytes.utf8_chunks().flat_map(|chunk| {
            let text = Some(chunk.valid()).filter(|text| !text.is_empty());
            let text = text.map(|text| format!("printf '%s' {}", self.quoted(text)));
            let rest = Some(chunk.invalid()).filter(|rest| !rest.is_empty());
            [text, rest.map(|rest| format!("printf '{}'", octal(rest)))]
        });
        let pieces: Vec<String> = pieces.flatten().collect();
        match &pieces[..] {
            [] => ":".to_owned(),
            [one] => one.clone(),
            _ => format!("{{ {}; }}", pieces.join("; ")),
        }
    }
}

fn octal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:03o}")).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\\' | '"' | '$' | '`') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// A part of a variable's name.
pub(crate) fn name(text: &str) -> String {
    let plain = |character: char| match character.is_ascii_alphanumeric() {
        true => character,
        false => '_',
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_they_said_but_for_variables() {
        let mut words = Words::default();
        words.add("KEY=", "id_alice");
        words.add("KEY", "short");
        assert_eq!(
            words.quoted("{\"a\":\"KEY=\"} $x `y` \\"),
            r#""{\"a\":\"${id_alice}\"} \$x \`y\` \\""#
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_written_one_by_one() {
        let words = Words::default();
        assert_eq!(
            words.printed(b"a\xffb"),
            r#"{ printf '%s' "a"; printf '\377'; printf '%s' "b"; }"#
        );
        assert_eq!(words.printed(b"\0a"), r"printf '\000\141'");
        assert_eq!(words.printed(b""), ":");
    }
}
