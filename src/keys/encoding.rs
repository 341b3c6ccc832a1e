//! base64 as the protocol writes it: standard alphabet, with padding, canonical.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, DecodeSliceError, Engine as _};

/// How many bytes a base64 field decodes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base64Len {
    /// Exactly so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

/// What is wrong with a base64 text of that length, in words; `None` where nothing is.
pub fn base64_fault(text: &str, len: Base64Len) -> Option<String> {
    let bytes = match decoded_len(text) {
        Ok(bytes) => bytes,
        Err(error) => return Some(decode_fault(text, error)),
    };
    match len {
        Base64Len::Exactly(wanted) if bytes != wanted => {
            Some(format!("decodes to {bytes} bytes where {wanted} are wanted"))
        }
        Base64Len::AtLeast(wanted) if bytes < wanted => Some(format!(
            "decodes to {bytes} bytes where {wanted} or more are wanted"
        )),
        _ => None,
    }
}

/// How many bytes a text decodes to. Most texts are keys: they need no memory of their own.
fn decoded_len(text: &str) -> Result<usize, DecodeError> {
    let mut short = [0; 96];
    match STANDARD.decode_slice(text, &mut short) {
        Ok(bytes) => Ok(bytes),
        Err(DecodeSliceError::DecodeError(error)) => Err(error),
        Err(DecodeSliceError::OutputSliceTooSmall) => STANDARD.decode(text).map(|bytes| bytes.len()),
    }
}

fn decode_fault(text: &str, error: DecodeError) -> String {
    match error {
        DecodeError::InvalidByte(at, b'-' | b'_') => {
            format!("the URL-safe alphabet (offset {at}) where standard base64 is wanted")
        }
        DecodeError::InvalidByte(at, b'=') => format!("padding inside standard base64 (offset {at})"),
        DecodeError::InvalidByte(at, _) => format!("a character that is not standard base64 (offset {at})"),
        DecodeError::InvalidLength(_) => format!("{} characters cannot be base64", text.len()),
        DecodeError::InvalidLastSymbol { .. } => {
            "base64 whose last character carries bits beyond the last byte".to_owned()
        }
        DecodeError::InvalidPadding => "base64 without its padding".to_owned(),
    }
}

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

/// The text with one bit of what it encodes flipped. It must be base64.
pub(crate) fn flipped(base64: &str, bit: usize) -> String {
    let mut bytes = STANDARD.decode(base64).expect("the caller gives base64");
    bytes[bit / 8] ^= 1 << (bit % 8);
    encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_alphabets_paddings_and_trailing_bits_are_faults() {
        let fault = |text| base64_fault(text, Base64Len::Exactly(2));
        assert_eq!(fault("+/8="), None);
        let wrong = [
            ("-_8=", "URL-safe"),
            ("+/8", "padding"),
            ("+/9=", "bits beyond"),
            ("+/8= ", "not standard base64"),
            ("+\n/8=", "not standard base64"),
            ("+/8==", "base64"),
            ("=+/8", "padding inside"),
            ("+", "base64"),
            ("é", "not standard base64"),
            ("", "decodes to 0 bytes where 2 are wanted"),
        ];
        for (text, message) in wrong {
            assert!(
                fault(text).unwrap().contains(message),
                "{text:?}: {:?}",
                fault(text)
            );
        }
        assert_eq!(base64_fault("+/8=", Base64Len::AtLeast(2)), None);
        assert!(
            base64_fault("+/8=", Base64Len::AtLeast(3))
                .unwrap()
                .contains("3 or more")
        );
    }
}
