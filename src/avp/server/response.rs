//! Turns an answer into an HTTP response, or into bytes where it is written by hand.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};
use hyper::body::{Body, Frame, SizeHint};

use super::answer::{Answer, Manner};

/// How large the chunks of a chunked answer are.
const CHUNK_BYTES: usize = 100;

/// A response body: pieces, whose total length is stated or is not.
#[derive(Debug)]
pub struct Pieces {
    left: VecDeque<Bytes>,
    stated: bool,
}

impl Pieces {
    /// The bytes in one piece, or in chunks of a hundred.
    pub fn of(bytes: Vec<u8>, chunked: bool) -> Pieces {
        let bytes = Bytes::from(bytes);
        let size = if chunked { CHUNK_BYTES } else { bytes.len().max(1) };
        let left = (0..bytes.len())
            .step_by(size)
            .map(|start| bytes.slice(start..bytes.len().min(start + size)))
            .collect();
        Pieces {
            left,
            stated: !chunked,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.stated && self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.stated {
            true => SizeHint::with_exact(self.left.iter().map(|piece| piece.len() as u64).sum()),
            false => SizeHint::default(),
        }
    }
}

/// The response that carries an answer.
pub(super) fn response(answer: &Answer) -> Response<Pieces> {
    let (content_type, bytes) = answer.content();
    let mut response = Response::new(Pieces::of(bytes, answer.manner == Manner::Chunked));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if answer.manner == Manner::Http10 {
        *response.version_mut() = Version::HTTP_10;
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(content_type)
        && !value.is_empty()
    {
        headers.insert(CONTENT_TYPE, value);
    }
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    response
}

/// The head of an answer that is written by hand.
pub(super) fn head(answer: &Answer) -> Vec<u8> {
    let length = answer.content().1.len();
    head_with(answer, &format!("content-length: {length}\r\n"))
}

/// The head of an answer, with these lines for its framing.
pub(super) fn head_with(answer: &Answer, framing: &str) -> Vec<u8> {
    let reason = StatusCode::from_u16(answer.status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let (content_type, _) = answer.content();
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or_default());
    if !content_type.is_empty() {
        head.push_str(&format!("content-type: {content_type}\r\n"));
    }
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(framing);
    head.push_str("\r\n");
    head.into_bytes()
}
