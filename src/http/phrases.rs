//! Sentences about what went wrong on the wire.

use std::time::Duration;

use super::{Failure, FailureKind};

/// How many characters of what came are shown.
const SHOWN_CHARS: usize = 80;

pub(super) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure {
        kind,
        message: message.into(),
        begun: false,
    }
}

/// Bytes from the wire, fit to be shown: escaped, in quotes, and cut to 80 characters.
pub(super) fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(SHOWN_CHARS)];
    let text = head.escape_ascii().to_string();
    match text.len() > SHOWN_CHARS || bytes.len() > SHOWN_CHARS {
        true => format!("\"{}…\"", &text[..text.len().min(SHOWN_CHARS)]),
        false => format!("\"{text}\""),
    }
}

/// A time limit as people say it: `5 s`, `300 ms`.
pub(super) fn spoken(limit: Duration) -> String {
    // What is left of a limit is a little less than it was: 299 ms are told as the 300 ms that somebody has set.
    let millis = match limit.as_micros().saturating_add(500) / 1000 {
        few @ ..100 => few,
        many => many.saturating_add(5) / 10 * 10,
    };
    let limit = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    match (limit.as_secs(), limit.subsec_millis()) {
        (0, millis) => format!("{millis} ms"),
        (seconds, 0) => format!("{seconds} s"),
        _ => format!("{:.1} s", limit.as_secs_f64()),
    }
}

/// `1 byte`, `12 bytes`, `32 MiB`.
pub(super) fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        round if round > 0 && round.is_multiple_of(1 << 20) => format!("{} MiB", round >> 20),
        _ => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_bytes_are_escaped_and_cut() {
        assert_eq!(shown(b"a\x1b[1m\"\xff"), r#""a\x1b[1m\"\xff""#);
        assert_eq!(shown(&[b'x'; 80]).chars().count(), 82);
        assert_eq!(shown(&[0; 1000]).chars().count(), 83);
    }

    #[test]
    fn limits_are_spoken() {
        let spoken = |millis| spoken(Duration::from_millis(millis));
        assert_eq!(
            [spoken(300), spoken(5000), spoken(1500)],
            ["300 ms", "5 s", "1.5 s"]
        );
    }
}
