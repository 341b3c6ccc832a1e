//! Calls over gRPC in forms that no client sends: frames and messages, byte by byte.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::draft::{Content, Draft, json_type};
use super::grpc::message;
use crate::avp::cases::model::CallForm;
use crate::avp::grpc;
use crate::http::{CANCEL, GRPC_CONTENT_TYPE, grpc_frame};

/// The first field of a message, as a number.
const FIRST_FIELD_A_NUMBER: [u8; 2] = [0x08, 0x01];
/// The first field of a message, as text of one byte that is not UTF-8.
const FIRST_FIELD_NO_UTF8: [u8; 3] = [0x0A, 0x01, 0xFF];
/// Field 1000, as the text `x`.
const UNKNOWN_FIELD: [u8; 4] = [0xC2, 0x3E, 0x01, b'x'];
/// No protobuf: a field of a wire type that there is none of.
const GARBAGE: [u8; 6] = [0xFF; 6];

/// The call in a form.
pub(super) fn with_form(mut draft: Draft, form: CallForm) -> Draft {
    draft.spoil(form.about());
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match form {
        CallForm::Cancelled => draft.headers.push(header(CANCEL, "1")),
        CallForm::NoTime => draft.headers.push(header("grpc-timeout", "1n")),
        _ => {}
    }
    if let (Some(valid), false) = (encoded(&draft), is_whole(form)) {
        let encoding = match form {
            CallForm::Gzip => Some("gzip"),
            CallForm::UnknownCompression => Some("x-nobody-knows"),
            _ => None,
        };
        draft
            .headers
            .extend(encoding.map(|encoding| header("grpc-encoding", encoding)));
        let frames = bytes(&valid, form);
        if !is_legal(form) {
            draft.headers.retain(|header| *header != json_type());
            draft.headers.push(header("content-type", GRPC_CONTENT_TYPE));
            draft.content = Some(Content::Bytes(frames.clone()));
        }
        draft.frames = Some(frames);
    }
    draft
}

/// The call of another method, with the message of its own operation.
pub(super) fn of_method(mut draft: Draft, path: &str) -> Draft {
    draft.spoil(format!("the method {path}"));
    draft.frames = encoded(&draft).map(|message| grpc_frame(&message).to_vec());
    draft.rpc = Some(path.to_owned());
    draft
}

/// Whether a call in this form has a message that may be read: it is shown then, and not its bytes.
fn is_legal(form: CallForm) -> bool {
    matches!(
        form,
        CallForm::TwoMessages | CallForm::UnknownField | CallForm::Gzip | CallForm::Marked
    )
}

/// Whether the message goes out as it is.
fn is_whole(form: CallForm) -> bool {
    matches!(form, CallForm::Cancelled | CallForm::NoTime)
}

/// The valid message in protobuf.
fn encoded(draft: &Draft) -> Option<Vec<u8>> {
    let operation = draft.operation?;
    let message = message(draft, operation)?;
    (grpc::CODEC.encode)(operation.rpc()?, message.to_string().as_bytes()).ok()
}

/// What goes out in place of the valid message in its frame.
fn bytes(valid: &[u8], form: CallForm) -> Vec<u8> {
    let framed = |message: &[u8]| grpc_frame(message).to_vec();
    let whole = framed(valid);
    let with = |more: &[u8]| framed(&[valid, more].concat());
    let marked = |message: &[u8]| {
        let mut frame = framed(message);
        frame[0] = 1;
        frame
    };
    let of_length = |length: u32| {
        let mut frame = whole.clone();
        frame[1..5].copy_from_slice(&length.to_be_bytes());
        frame
    };
    match form {
        CallForm::NoMessage => Vec::new(),
        CallForm::TwoMessages => [&whole[..], &whole].concat(),
        CallForm::Garbage => framed(&GARBAGE),
        CallForm::HalfAMessage => framed(&valid[..valid.len() / 2]),
        CallForm::Truncated => whole[..whole.len() / 2].to_vec(),
        CallForm::HalfAFrame => whole[..3].to_vec(),
        CallForm::TooShort => of_length(u32::try_from(valid.len() - 1).unwrap_or(u32::MAX)),
        CallForm::HugeLength => of_length(u32::MAX),
        CallForm::WrongWireType => framed(&[&FIRST_FIELD_A_NUMBER[..], without_first_field(valid)].concat()),
        CallForm::InvalidUtf8 => with(&FIRST_FIELD_NO_UTF8),
        CallForm::UnknownField => with(&UNKNOWN_FIELD),
        CallForm::Gzip => marked(&gzipped(valid)),
        CallForm::UnknownCompression | CallForm::Marked => marked(valid),
        CallForm::Cancelled | CallForm::NoTime => whole,
    }
}

/// The message without its first field, which is text or a message.
fn without_first_field(message: &[u8]) -> &[u8] {
    let length_bytes = message.iter().skip(1).take_while(|byte| **byte >= 0x80).count() + 1;
    let length = message.get(1..=length_bytes).unwrap_or_default();
    let length = length
        .iter()
        .rev()
        .fold(0_usize, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
    message.get(1 + length_bytes + length..).unwrap_or_default()
}

fn gzipped(message: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let written = writer.write_all(message).and_then(|()| writer.finish());
    written.unwrap_or_default()
}
