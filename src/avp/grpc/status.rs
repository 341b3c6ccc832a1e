//! The table of statuses (AVP 0.4, gRPC profile).

use crate::http::{Headers, status_name};

/// What UNIMPLEMENTED stands for.
pub const NOT_OFFERED: u16 = 501;

/// From so many bytes on, a refusal for exhausted resources that does not say when to come back is one of size.
const LARGE_CALL_BYTES: usize = 64 << 10;

/// The name of the status that the table has for an HTTP status; none where it has none.
pub fn name_for(http_status: u16) -> Option<&'static str> {
    let code = match http_status {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 6,
        413 | 429 => 8,
        NOT_OFFERED => 12,
        _ => return None,
    };
    Some(status_name(code))
}

/// Whether the table has this code, for refusals.
pub fn is_of_the_table(code: u32) -> bool {
    matches!(code, 3 | 5 | 6 | 7 | 8 | 16)
}

/// The HTTP status that a code stands for: by the table, and by gRPC's own for what is not in it.
pub(super) fn http_status(code: u32, headers: &Headers, sent: usize) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 if says_when(headers) || sent < LARGE_CALL_BYTES => 429,
        8 => 413,
        12 => NOT_OFFERED,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// Whether a refusal says when to come back: then it is one of rate.
fn says_when(headers: &Headers) -> bool {
    let hints = ["retry-after", "grpc-retry-pushback-ms"];
    headers.iter().any(|(name, _)| hints.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_kept_and_size_is_told_from_rate() {
        let none = Headers::new();
        let of = |code| http_status(code, &none, 10);
        assert_eq!(
            [of(0), of(3), of(16), of(7), of(5), of(6)],
            [200, 400, 401, 403, 404, 409]
        );
        let hint = vec![("retry-after".to_owned(), "1".to_owned())];
        let large = LARGE_CALL_BYTES;
        assert_eq!(
            [of(8), http_status(8, &none, large), http_status(8, &hint, large)],
            [429, 413, 429]
        );
        assert_eq!([of(12), of(13), of(99)], [501, 500, 500]);
        let names = [400, 401, 403, 404, 409, 413, 429].map(name_for);
        assert_eq!(
            names.map(Option::unwrap),
            [
                "INVALID_ARGUMENT",
                "UNAUTHENTICATED",
                "PERMISSION_DENIED",
                "NOT_FOUND",
                "ALREADY_EXISTS",
                "RESOURCE_EXHAUSTED",
                "RESOURCE_EXHAUSTED"
            ]
        );
        assert_eq!(status_name(17), "a status that gRPC does not have");
    }
}
