//! base64 as the protocol writes it: standard alphabet, with padding, canonical.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::avp::schema::{Base64Len, base64_fault};

/// A binary value that is not what it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not usable: {fault}")]
pub struct EncodingError {
    /// The value: `iv`.
    pub what: &'static str,
    /// What is wrong with its text.
    pub fault: String,
}

/// Standard base64 with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes a value of any length.
pub(crate) fn decode(what: &'static str, text: &str) -> Result<Vec<u8>, EncodingError> {
    STANDARD
        .decode(text)
        .map_err(|_| error(what, text, Base64Len::AtLeast(0)))
}

/// Decodes a value of `N` bytes.
pub(crate) fn decode_array<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], EncodingError> {
    decode(what, text)?
        .try_into()
        .map_err(|_| error(what, text, Base64Len::Exactly(N)))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn error(what: &'static str, text: &str, len: Base64Len) -> EncodingError {
    let fault = base64_fault(text, len).unwrap_or_default();
    EncodingError { what, fault }
}

/// The text with one bit of what it encodes flipped, for tests.
#[cfg(test)]
pub(crate) fn flipped(base64: &str, bit: usize) -> String {
    let mut bytes = STANDARD.decode(base64).expect("tests give base64");
    bytes[bit / 8] ^= 1 << (bit % 8);
    encode(&bytes)
}
