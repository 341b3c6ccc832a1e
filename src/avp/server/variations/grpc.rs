//! Freedoms of the gRPC profile: how calls are read, how answers and refusals travel, and what HTTP/2 leaves to a server.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2::Builder;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field, string};
use tonic::Status;

use crate::avp::server::deviation::variations;
use crate::avp::server::state::State;
use crate::avp::server::variations::limits;

variations! { "gRPC";
    Named(BEHIND_HEADERS) "grpc-refusals-behind-headers",
        "Over gRPC, refusals come behind headers, and not as trailers alone.";
    Named(DETAILS) "grpc-status-details",
        "Over gRPC, refusals carry details, and a message that is not English.";
    Named(NO_TEXT) "grpc-no-status-message", "Over gRPC, refusals carry no message.";
    Named(METADATA) "grpc-metadata",
        "Over gRPC, answers carry further metadata before and behind the message, and a subtype of the content type.";
    Named(LARGE_METADATA) "grpc-large-metadata",
        "Over gRPC, answers carry 20 KiB of metadata, which is more than a frame holds.";
    Named(SMALL_FRAMES) "grpc-small-frames", "Over gRPC, answers come in frames of 16 bytes.";
    Named(SMALL_WINDOWS) "grpc-small-windows",
        "Over gRPC, 16 KiB of a call are taken at a time, and one call at a time on a connection.";
    Named(PINGS) "grpc-pings", "Over gRPC, connections are asked every few milliseconds whether they live.";
    Named(GOES_AWAY) "grpc-goaway", "Over gRPC, a connection is ended in an orderly way with each answer.";
    Named(INVALID) "grpc-unreadable-is-invalid",
        "Bytes that are no message are answered INVALID_ARGUMENT, and not INTERNAL.";
    Named(UTF8_REPLACED) "grpc-utf8-replaced",
        "Of a text that is not UTF-8, the bytes that are none are replaced.";
    Named(FLAG_IGNORED) "grpc-compression-flag-ignored",
        "A message that is marked as compressed, without a word on how, is read as it is.";
    Named(TOKEN_FIRST) "grpc-token-first", "Over gRPC, the token is looked at before the message is read.";
    Named(NO_GZIP) "grpc-no-compression", "Compressed calls are answered UNIMPLEMENTED.";
    Named(ONE_MESSAGE) "grpc-one-message", "A call with no message, or with two, is answered UNIMPLEMENTED.";
    Named(UNKNOWN_FIELDS) "grpc-unknown-fields", "Over gRPC, answers have a field that nobody knows.";
    Named(NO_AUTH) "grpc-no-auth", "The service avp.Auth is not offered: logins are HTTP's.";
}

/// How large a window is where it is small.
const WINDOW_BYTES: u32 = 16 << 10;
/// How often a connection is asked whether it lives.
const PING_PAUSE: Duration = Duration::from_millis(5);
/// How large a frame is where it is small.
const FRAME_BYTES: usize = 16;
/// How much metadata there is where there is much.
const METADATA_BYTES: usize = 20 << 10;
/// After how many milliseconds a call may be made again.
const PUSHBACK_MS: &str = "100";
/// Bytes of a frame's prefix.
const PREFIX_BYTES: usize = 5;
/// Field 1000 of a message, as text.
const UNKNOWN_FIELD: [u8; 4] = [0xC2, 0x3E, 0x01, b'y'];

/// A response of this profile.
type HttpResponse = http::Response<tonic::body::Body>;

/// What a server's freedoms make of its connections.
pub(in crate::avp::server) fn configure<E>(state: &State, builder: &mut Builder<E>) {
    if state.deviates(SMALL_WINDOWS) {
        builder
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_concurrent_streams(1);
    }
    if state.deviates(PINGS) {
        builder.keep_alive_interval(PING_PAUSE);
    }
}

/// Whether the connection ends with this answer.
pub(in crate::avp::server) fn ends_connection(state: &State) -> bool {
    state.deviates(GOES_AWAY)
}

/// Whether the token is to be looked at before the message is.
pub(in crate::avp::server) fn looks_at_token_first(state: &State) -> bool {
    state.is(TOKEN_FIRST)
}

/// A call was refused before its message was read.
pub(in crate::avp::server) fn note_refused_early(state: &State) {
    state.count(TOKEN_FIRST);
}

/// Whether the service for logins is left out. That counts at every call: who logs in over HTTP asks for no other.
pub(in crate::avp::server) fn has_no_auth(state: &State) -> bool {
    state.deviates(NO_AUTH)
}

/// Whether a call may be compressed.
pub(in crate::avp::server) fn takes_gzip(state: &State, headers: &HeaderMap) -> bool {
    let is_gzip = headers.get("grpc-encoding").is_some_and(|value| value == "gzip");
    !(is_gzip && state.deviates(NO_GZIP))
}

/// The call as its service gets it.
///
/// # Errors
/// It is refused before.
pub(in crate::avp::server) async fn read(
    state: &State,
    request: http::Request<Incoming>,
) -> Result<http::Request<tonic::body::Body>, Status> {
    let reads_bytes = [ONE_MESSAGE, UTF8_REPLACED, FLAG_IGNORED];
    if !reads_bytes.into_iter().any(|name| state.is(name)) {
        return Ok(request.map(tonic::body::Body::new));
    }
    let (head, body) = request.into_parts();
    // Of a call that breaks off nothing is left, and nobody waits for its answer.
    let mut bytes = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let length = length(&bytes);
    let is_one = length.is_some_and(|length| bytes.len() <= PREFIX_BYTES + length);
    if !is_one && state.deviates(ONE_MESSAGE) {
        return Err(Status::unimplemented("a call has one message"));
    }
    // The first field of these is text.
    let is_text = !head.uri.path().ends_with("/CreateRepo");
    if let Some(replaced) = bytes.get(PREFIX_BYTES..).filter(|_| is_text).and_then(replaced)
        && state.deviates(UTF8_REPLACED)
    {
        bytes = framed(&replaced);
    }
    let is_marked = bytes.first() == Some(&1) && !head.headers.contains_key("grpc-encoding");
    if is_marked && state.deviates(FLAG_IGNORED) {
        bytes = [&[0], &bytes[1..]].concat().into();
    }
    let body = tonic::body::Body::new(Full::new(bytes).map_err(|never| match never {}));
    Ok(http::Request::from_parts(head, body))
}

/// How long the first message of a call is, by its frame.
fn length(body: &[u8]) -> Option<usize> {
    let length = body.get(1..PREFIX_BYTES)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat().into()
}

/// A message whose first field is text, with its bytes replaced that are no UTF-8; none where there are no such.
fn replaced(message: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut out, mut is_replaced) = (message, Vec::new(), false);
    while !rest.is_empty() {
        let field = rest;
        let (number, wire) = decode_key(&mut rest).ok()?;
        if (number, wire) == (1, WireType::LengthDelimited) {
            let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
            let text = rest.split_off(..length)?;
            is_replaced |= std::str::from_utf8(text).is_err();
            string::encode(number, &String::from_utf8_lossy(text).into_owned(), &mut out);
        } else {
            skip_field(wire, number, &mut rest, DecodeContext::default()).ok()?;
            out.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    is_replaced.then_some(out)
}

/// What a server's freedoms make of a response.
pub(in crate::avp::server) async fn give(state: &State, response: HttpResponse) -> HttpResponse {
    let (mut head, body) = response.into_parts();
    // What this server answers does not break off.
    let body = body.collect().await.unwrap_or_default();
    let mut trailers = body.trailers().cloned().unwrap_or_default();
    let mut message = body.to_bytes();
    if head.headers.contains_key(Status::GRPC_STATUS) {
        refuse(state, &mut head.headers);
        if state.deviates(BEHIND_HEADERS) {
            let content_type = head.headers.remove(CONTENT_TYPE);
            trailers = std::mem::take(&mut head.headers);
            head.headers
                .extend(content_type.map(|value| (CONTENT_TYPE, value)));
        }
    } else if message.len() >= PREFIX_BYTES && state.deviates(UNKNOWN_FIELDS) {
        message = framed(&[&message[PREFIX_BYTES..], &UNKNOWN_FIELD].concat());
    }
    if state.deviates(METADATA) {
        let odd = HeaderValue::from_static("application/grpc+proto");
        head.headers.insert(CONTENT_TYPE, odd);
        add(&mut head.headers, &BEFORE);
        if !trailers.is_empty() {
            add(&mut trailers, &BEHIND);
        }
    }
    if state.deviates(LARGE_METADATA)
        && let Ok(value) = HeaderValue::from_str(&"m".repeat(METADATA_BYTES))
    {
        head.headers.insert(HeaderName::from_static("x-much"), value);
    }
    let size = match state.is(SMALL_FRAMES) {
        true => FRAME_BYTES,
        false => usize::MAX,
    };
    if message.len() > size {
        state.count(SMALL_FRAMES);
    }
    http::Response::from_parts(head, tonic::body::Body::new(Frames::new(message, size, trailers)))
}

/// Metadata before the message.
const BEFORE: [(&str, &str); 4] = [
    ("grpc-encoding", "identity"),
    ("grpc-accept-encoding", "identity,gzip"),
    ("x-trace-bin", "AAECAw"),
    ("set-cookie", "route=2"),
];
/// Metadata behind the message.
const BEHIND: [(&str, &str); 3] = [("x-cost", "1"), ("x-cost", "2"), ("x-trace-bin", "/+7d")];

fn add(headers: &mut HeaderMap, fields: &[(&'static str, &'static str)]) {
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// What a server's freedoms make of the fields of a refusal.
fn refuse(state: &State, fields: &mut HeaderMap) {
    let status = fields.get(Status::GRPC_STATUS).cloned();
    if status.as_ref().is_some_and(|status| status == "13") && state.deviates(INVALID) {
        fields.insert(Status::GRPC_STATUS, HeaderValue::from_static("3"));
    }
    if state.deviates(DETAILS) {
        // Percent-encoded, as the specification of gRPC has it; and an empty `google.rpc.Status` of code 1.
        let text = HeaderValue::from_static("abgelehnt: %C3%A4ndern Sie %22das%22, 100%25%0Aund noch einmal");
        fields.insert(Status::GRPC_MESSAGE, text);
        fields.insert(Status::GRPC_STATUS_DETAILS, HeaderValue::from_static("CAE"));
    }
    if state.deviates(NO_TEXT) {
        fields.remove(Status::GRPC_MESSAGE);
    }
}

/// How a rate limit says when to come back, if it does.
pub(in crate::avp::server) fn tell_when(state: &State, headers: &mut Vec<(String, String)>) {
    let is_untold = state.deviates(limits::RATE_UNTOLD);
    let is_pushed_back = state.deviates(limits::PUSHBACK);
    if is_untold || is_pushed_back {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("retry-after"));
    }
    if is_pushed_back {
        headers.push(("grpc-retry-pushback-ms".to_owned(), PUSHBACK_MS.to_owned()));
    }
}

/// A body in frames that are known beforehand.
struct Frames(VecDeque<Frame<Bytes>>);

impl Frames {
    fn new(mut message: Bytes, size: usize, trailers: HeaderMap) -> Frames {
        let mut frames = VecDeque::new();
        while !message.is_empty() {
            frames.push_back(Frame::data(message.split_to(size.min(message.len()))));
        }
        if !trailers.is_empty() {
            frames.push_back(Frame::trailers(trailers));
        }
        Frames(frames)
    }
}

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_is_replaced_and_nothing_else() {
        // Field 1 as "a", field 2 as the number 5, and field 1 again, as a byte that is not UTF-8.
        let message = b"\x0A\x01a\x10\x05\x0A\x01\xFF";
        assert_eq!(
            replaced(message).unwrap(),
            b"\x0A\x01a\x10\x05\x0A\x03\xEF\xBF\xBD"
        );
        assert_eq!(replaced(&message[..5]), None);
        assert_eq!(replaced(b"\x0A\x05a"), None);
    }
}
