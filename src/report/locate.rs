//! Where in the raw text of a JSON body the place is that a JSON pointer names.

use std::ops::Range;

/// The bytes of the member (name and value) or element at `pointer`; none where the text has no such place. The text
/// need not be valid JSON beyond that place.
pub(super) fn locate(text: &str, pointer: &str) -> Option<Range<usize>> {
    let mut scan = Scan { text, at: 0 };
    scan.space();
    let mut start = scan.at;
    for token in pointer.split('/').skip(1) {
        start = scan.enter(&token.replace("~1", "/").replace("~0", "~"))?;
    }
    scan.value()?;
    Some(start..scan.at)
}

/// The place at `pointer`, or where there is none, the innermost around it: what lacks a member is marked whole. None where
/// that is the whole text.
pub(super) fn nearest(text: &str, pointer: &str) -> Option<Range<usize>> {
    let mut pointer = pointer;
    while !pointer.is_empty() {
        if let Some(place) = locate(text, pointer) {
            return Some(place);
        }
        pointer = &pointer[..pointer.rfind('/')?];
    }
    None
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    /// Goes to the value of a member or element, and tells where it begins, its name included.
    fn enter(&mut self, token: &str) -> Option<usize> {
        match self.next()? {
            b'{' => self.enter_member(token),
            b'[' => self.enter_element(token.parse().ok()?),
            _ => None,
        }
    }

    fn enter_member(&mut self, name: &str) -> Option<usize> {
        loop {
            self.space();
            let start = self.at;
            self.string()?;
            let found =
                serde_json::from_str::<String>(&self.text[start..self.at]).is_ok_and(|key| key == name);
            self.space();
            self.expect(b':')?;
            self.space();
            if found {
                return Some(start);
            }
            self.value()?;
            self.space();
            self.expect(b',')?;
        }
    }

    fn enter_element(&mut self, index: usize) -> Option<usize> {
        for _ in 0..index {
            self.space();
            self.value()?;
            self.space();
            self.expect(b',')?;
        }
        self.space();
        (self.peek()? != b']').then_some(self.at)
    }

    /// Skips one value of any kind.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' if depth > 0 => self.at += 1,
                _ => self.word()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn word(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let length = rest
            .find([',', ':', '}', ']', '{', '[', '"', ' ', '\n', '\r', '\t'])
            .unwrap_or(rest.len());
        self.at += length;
        (length > 0).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => _ = self.next()?,
                _ => {}
            }
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#" { "a" : {"b~/":[1, {"x":"}\""} ,true]}, "c":null } "#;

    fn at(pointer: &str) -> Option<&'static str> {
        locate(BODY, pointer).map(|range| &BODY[range])
    }

    #[test]
    fn members_are_found_with_their_names_and_elements_without() {
        assert_eq!(at(""), Some(BODY.trim()));
        assert_eq!(at("/c"), Some(r#""c":null"#));
        assert_eq!(at("/a/b~0~1/0"), Some("1"));
        assert_eq!(at("/a/b~0~1/1/x"), Some(r#""x":"}\"""#));
        assert_eq!(at("/a/b~0~1/2"), Some("true"));
    }

    #[test]
    fn what_lacks_a_member_is_the_nearest_place() {
        let near = |pointer: &str| nearest(BODY, pointer).map(|range| &BODY[range]);
        assert_eq!(near("/c"), Some(r#""c":null"#));
        assert_eq!(near("/a/b~0~1/1/y"), Some(r#"{"x":"}\""}"#));
        assert_eq!(near("/a/b~0~1/9/y"), Some(r#""b~/":[1, {"x":"}\""} ,true]"#));
        assert_eq!([near("/d"), near("/d/e"), near("")], [None; 3]);
        assert_eq!(nearest("<html>", "/a"), None);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for pointer in ["/d", "/a/b~0~1/3", "/a/b~0~1/x", "/c/0"] {
            assert_eq!(at(pointer), None, "{pointer}");
        }
        for text in [
            "", "<html>", "{", "{\"a\"", "{\"a\":", "[,", "{\"a\":}", "ż", "\"\\",
        ] {
            assert_eq!(locate(text, "/a"), None, "{text}");
        }
    }
}
