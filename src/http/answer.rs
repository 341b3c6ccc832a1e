//! An answer, read within bounds.

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::http::HeaderMap;
use hyper::{Response, StatusCode};
use serde::de::IgnoredAny;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::Connection;
use super::errors::Phase;
use super::phrases::{bytes, failure};
use super::{Answer, Failure, FailureKind, Headers};

/// Up to this size, bodies are read without regard to each other.
const SMALL_BODY_BYTES: usize = 512 << 10;

/// How much is taken.
#[derive(Debug)]
pub(super) struct Caps {
    max_body: usize,
    /// Bodies above [`SMALL_BODY_BYTES`] are read one at a time, so that many at once do not add up.
    large: Semaphore,
}

impl Caps {
    pub(super) fn new(max_body: usize) -> Caps {
        Caps {
            max_body,
            large: Semaphore::new(1),
        }
    }

    /// Makes room for so many more bytes of a body. The permit is kept until the body was read.
    ///
    /// # Errors
    /// The body is larger than is taken.
    pub(super) async fn make_room<'a>(
        &'a self,
        got: &mut Vec<u8>,
        more: usize,
        permit: &mut Option<SemaphorePermit<'a>>,
    ) -> Result<(), Failure> {
        if got.len() + more > self.max_body {
            return Err(self.too_large());
        }
        if got.len() + more > SMALL_BODY_BYTES && permit.is_none() {
            *permit = self.large.acquire().await.ok();
            // All at once: what is not touched costs nothing, and growing by steps leaves holes behind.
            got.reserve_exact(self.max_body - got.len());
        }
        Ok(())
    }

    /// The most bytes that a body may have.
    pub(super) fn max_body(&self) -> usize {
        self.max_body
    }

    /// The right to do what takes much memory, which one has at a time.
    pub(super) async fn alone(&self) -> Option<SemaphorePermit<'_>> {
        self.large.acquire().await.ok()
    }

    pub(super) fn too_large(&self) -> Failure {
        let message = format!(
            "the body of the answer is larger than {}",
            bytes(self.max_body as u64)
        );
        failure(FailureKind::TooLarge, message)
    }
}

/// Reads the rest of an answer whose head has come.
pub(super) async fn collect(
    link: &mut Connection,
    response: Response<Incoming>,
    caps: &Caps,
) -> Result<Answer, Failure> {
    let (head, body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(failure(
            FailureKind::Malformed,
            "the server switched protocols without being asked",
        ));
    }
    let framed = |name: &str| head.headers.contains_key(name);
    let until_closed = !framed("content-length") && !framed("transfer-encoding");
    let body = collect_body(link, body, caps, until_closed).await?;
    Ok(Answer {
        status: head.status.as_u16(),
        headers: headers(&head.headers),
        body: body.into(),
    })
}

/// An answer that is all head: what follows it is in another protocol.
pub(super) fn head_only(response: &Response<Incoming>) -> Answer {
    Answer {
        status: response.status().as_u16(),
        headers: headers(response.headers()),
        body: Vec::new().into(),
    }
}

/// A body that goes on until the connection closes is whole where it is one JSON value, even if the connection was reset then:
/// a server that closes before it has read all that it was sent makes its system reset it.
async fn collect_body(
    link: &mut Connection,
    mut body: Incoming,
    caps: &Caps,
    until_closed: bool,
) -> Result<Vec<u8>, Failure> {
    let expected = body.size_hint().exact();
    if body.size_hint().lower() > caps.max_body as u64 {
        return Err(caps.too_large());
    }
    let (mut got, mut permit) = (Vec::new(), None);
    while let Some(frame) = link.drive(body.frame()).await {
        let phase = Phase::Body(got.len() as u64, expected);
        let frame = match frame {
            Ok(frame) => frame,
            Err(_) if until_closed && serde_json::from_slice::<IgnoredAny>(&got).is_ok() => break,
            Err(error) => return Err(link.trouble(&error, phase)),
        };
        let Ok(data) = frame.into_data() else { continue };
        caps.make_room(&mut got, data.len(), &mut permit).await?;
        got.extend_from_slice(&data);
    }
    Ok(got)
}

fn headers(fields: &HeaderMap) -> Headers {
    fields
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}

/// A field value as text; escaped where it is not UTF-8.
fn text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.escape_ascii().to_string(),
    }
}
