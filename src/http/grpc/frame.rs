//! The frame of a message: a byte that says whether it is compressed, four that say how long it is.

use bytes::{BufMut, Bytes, BytesMut};

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

/// The one message of a body.
///
/// # Errors
/// There is none, or more than one, or it is not as long as it says, or compressed although nobody offered that.
pub(super) fn unframe(body: &[u8]) -> Result<&[u8], String> {
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
    if compressed != 0 {
        return Err(format!(
            "the message is marked as compressed ({compressed}), although identity alone was offered"
        ));
    }
    match rest.len() {
        got if got == length => Ok(rest),
        got if got < length => Err(format!(
            "the message has {got} of the {length} bytes that its frame says"
        )),
        got => Err(format!(
            "the message is {length} bytes by its frame, and {} more follow it",
            got - length
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_one_message_of_its_length() {
        assert_eq!(&frame(b"ab")[..], b"\0\0\0\0\x02ab");
        assert_eq!(unframe(&frame(b"ab")), Ok(&b"ab"[..]));
        assert_eq!(unframe(&frame(b"")), Ok(&b""[..]));
        for bad in [
            &b""[..],
            b"\0\0\0",
            b"\x01\0\0\0\0",
            b"\0\0\0\0\x02a",
            b"\0\0\0\0\x01ab",
            b"\0\xff\xff\xff\xffab",
        ] {
            assert!(unframe(bad).is_err(), "{bad:?}");
        }
    }
}
