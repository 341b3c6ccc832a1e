//! Path segments.

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
