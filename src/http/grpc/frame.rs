//! The frame of a message: a byte that says whether it is compressed, four that say how long it is.

use std::io::Read as _;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;

/// The bytes before a message.
const PREFIX_BYTES: usize = 5;

/// A message in its frame, not compressed.
pub fn frame(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    bytes.put_slice(message);
    bytes.freeze()
}

/// The one message of a body, and whether it is compressed.
///
/// # Errors
/// There is none, or more than one, or it is not as long as it says.
pub(super) fn unframe(body: &[u8]) -> Result<(bool, &[u8]), String> {
    if body.is_empty() {
        return Err("the answer is OK and has no message".to_owned());
    }
    let Some((prefix, rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        let count = body.len();
        return Err(format!(
            "the answer ends after {count} of {PREFIX_BYTES} bytes of its frame"
        ));
    };
    let [compressed, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length) as usize;
    if compressed > 1 {
        return Err(format!(
            "the byte that says whether the message is compressed is {compressed}, and neither 0 nor 1"
        ));
    }
    match rest.len() {
        got if got == length => Ok((compressed == 1, rest)),
        got if got < length => Err(format!(
            "the message has {got} of the {length} bytes that its frame says"
        )),
        got => Err(format!(
            "the message is {length} bytes by its frame, and {} more follow it",
            got - length
        )),
    }
}

/// Unpacks a message that was compressed with gzip; none where more than `most` bytes come of it.
///
/// # Errors
/// It is no gzip.
pub(super) fn gunzip(message: &[u8], most: usize) -> Result<Option<Vec<u8>>, String> {
    let mut unpacked = Vec::new();
    let mut reader = GzDecoder::new(message).take(most as u64 + 1);
    match reader.read_to_end(&mut unpacked) {
        Ok(_) if unpacked.len() > most => Ok(None),
        Ok(_) => Ok(Some(unpacked)),
        Err(error) => Err(format!("the message is marked as gzip, and is none: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_message_is_unpacked_within_bounds() {
        let mut writer = GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(&[7; 1000]).unwrap();
        let packed = writer.finish().unwrap();
        assert_eq!(gunzip(&packed, 1000), Ok(Some(vec![7; 1000])));
        assert_eq!(gunzip(&packed, 999), Ok(None));
        assert!(gunzip(&packed[..packed.len() - 4], 1000).is_err());
        assert!(gunzip(b"plain", 1000).is_err());
    }

    #[test]
    fn a_frame_holds_one_message_of_its_length() {
        assert_eq!(&frame(b"ab")[..], b"\0\0\0\0\x02ab");
        assert_eq!(unframe(&frame(b"ab")), Ok((false, &b"ab"[..])));
        assert_eq!(unframe(&frame(b"")), Ok((false, &b""[..])));
        assert_eq!(unframe(b"\x01\0\0\0\x02ab"), Ok((true, &b"ab"[..])));
        for bad in [
            &b""[..],
            b"\0\0\0",
            b"\x02\0\0\0\0",
            b"\0\0\0\0\x02a",
            b"\0\0\0\0\x01ab",
            b"\0\xff\xff\xff\xffab",
        ] {
            assert!(unframe(bad).is_err(), "{bad:?}");
        }
    }
}
