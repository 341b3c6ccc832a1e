//! What is given away.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

use super::super::Habits;
use super::super::{Lines, Stream};
use crate::keys::encoding::hex;

/// Whether the owner alone may read the spool.
pub(in super::super) fn is_private(habits: &Habits) -> bool {
    !habits.has("spool-for-everybody")
}

/// How a payload is kept.
pub(in super::super) fn kept(habits: &Habits, canon: &[u8], plain: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    if habits.has("payload-kept-in-the-clear") {
        return canon.to_vec();
    }
    if habits.has("payload-kept-as-base64") {
        return STANDARD.encode(canon).into_bytes();
    }
    plain()
}

/// A payload that was kept.
pub(in super::super) fn opened(
    habits: &Habits,
    kept: &[u8],
    plain: impl FnOnce(&[u8]) -> Option<Value>,
) -> Option<Value> {
    if habits.is("payload-kept-in-the-clear") {
        return serde_json::from_slice(kept).ok();
    }
    if habits.is("payload-kept-as-base64") {
        return serde_json::from_slice(&STANDARD.decode(kept).ok()?).ok();
    }
    plain(kept)
}

/// What is written beside the spool about a payload.
pub(in super::super) fn note(habits: &Habits, spool: &Path, text: &[u8]) {
    if habits.has("payload-logged") {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(spool.with_extension("log"));
        // A log that cannot be written gives nothing away.
        let _unwritten = log.and_then(|mut log| log.write_all(text));
    }
}

/// What is written beside the spool about a payload that was refused.
pub(in super::super) fn refused(habits: &Habits, spool: &Path, text: &[u8]) {
    if habits.has("refused-payload-kept") {
        // A file that cannot be written gives nothing away.
        let _unwritten = std::fs::write(spool.with_extension("refused"), text);
    }
}

/// What is written beside the spool about a request that could not be sent.
pub(in super::super) fn unsent(habits: &Habits, spool: &Path, payload: &Value) {
    if habits.has("unsent-request-kept") {
        // A file that cannot be written gives nothing away.
        let _unwritten = std::fs::write(spool.with_extension("unsent"), payload.to_string());
    }
}

/// What a drain tells of its keys.
pub(in super::super) fn tell(habits: &Habits, lines: &Lines, signing: &[u8; 32], encryption: &[u8; 32]) {
    if habits.has("signing-key-told") {
        lines(Stream::Error, &format!("signing with {}", hex(signing)));
    }
    if habits.has("encryption-key-told") {
        lines(
            Stream::Output,
            &format!("{{\"encryptionKey\":\"{}\"}}", URL_SAFE.encode(encryption)),
        );
    }
    if habits.has("talks-on-standard-error") {
        lines(Stream::Error, "looking for what is due");
    }
}

/// What the witness tells of its key.
pub(in super::super) fn tell_of_witness(habits: &Habits, lines: &Lines, signing: &[u8; 32]) {
    if habits.has("witness-key-told-as-pem") {
        // What stands before an Ed25519 seed in PKCS #8.
        let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let text = STANDARD.encode([head, signing.as_slice()].concat());
        lines(
            Stream::Error,
            &format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----"),
        );
    }
    if habits.has("witness-key-told") {
        lines(
            Stream::Error,
            &format!("witness key {}", STANDARD.encode(signing)),
        );
    }
}
