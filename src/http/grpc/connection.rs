//! One HTTP/2 connection, which carries one call at a time.
//!
//! h2 drives it in a task of its own; dropping a [`GrpcConnection`] ends that, and closes the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::stream::{Seen, Watched};
use super::{Call, Came};
use crate::http::answer::Caps;
use crate::http::connect::{Site, reach};
use crate::http::connection::MAX_HEAD_BYTES;
use crate::http::phrases::{bytes, failure, shown, spoken};
use crate::http::{Answer, Failure, FailureKind, Headers};

/// How much of an answer a server may send before it is told to go on.
const WINDOW_BYTES: u32 = 1 << 20;
/// How long it is waited until the system has taken what was written.
const FLUSH_TIME: Duration = Duration::from_millis(250);
/// How much of the overhead of small DATA frames may wait to be read, where each below 256 bytes counts for what it lacks: a server
/// may send an answer byte by byte. h2 takes more for an attack; ours are bounded by the size of a body.
const SMALL_FRAMES_BUDGET: usize = 16 << 20;
/// How many calls a connection carries. h2 takes a hundred empty DATA frames on one for an attack, and a server may send one
/// with each answer.
const CALLS_PER_CONNECTION: usize = 64;

/// A connection, ready for a call.
pub(crate) struct GrpcConnection {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<()>,
    seen: Arc<Seen>,
    /// How many bytes had come before the call.
    before: u64,
    /// How many calls it has carried.
    calls: usize,
}

/// A call of which all but the last byte has gone out.
pub(crate) struct HeldCall {
    response: ResponseFuture,
    stream: SendStream<Bytes>,
    last: Bytes,
}

/// What became of a call, and whether it may be made again: the server has said that it did not look at it.
pub(crate) struct Refused {
    /// Why there is no answer.
    pub(crate) failure: Failure,
    /// Whether the server said that it did not look at the call.
    pub(crate) is_untouched: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused {
            failure,
            is_untouched: false,
        }
    }
}

impl Drop for GrpcConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl GrpcConnection {
    /// Opens a connection, within `limit`.
    ///
    /// # Errors
    /// There is none to be had.
    pub(crate) async fn open(site: &Site, limit: Duration) -> Result<GrpcConnection, Failure> {
        let (stream, seen) = Watched::new(reach(site, limit).await?.stream);
        let head_bytes = u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX);
        let handshake = Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(head_bytes)
            .enable_push(false)
            .data_frame_budget(SMALL_FRAMES_BUDGET)
            .handshake(stream);
        let (sender, connection) = handshake.await.map_err(|error| explain(&error, &seen).failure)?;
        // What ends the connection ends the call on it as well, and is told there.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(GrpcConnection {
            sender,
            driver,
            seen,
            before: 0,
            calls: 0,
        })
    }

    /// Whether another call may be made on it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.driver.is_finished() && self.calls < CALLS_PER_CONNECTION
    }

    /// Whether any byte came since the last call was begun.
    pub(crate) fn heard(&self) -> bool {
        self.seen.counts().received > self.before
    }

    /// Makes a call and reads its answer. No limit of time is kept here.
    ///
    /// # Errors
    /// No whole answer came.
    pub(crate) async fn exchange(&mut self, call: &Call, caps: &Caps) -> Result<Answer, Refused> {
        let (response, stream) = self.begin(call).await?;
        let sending = send(stream, call.body.clone());
        if let Some(after) = call.cancelled_after {
            return Err(self.cancel(sending, response, after).await);
        }
        tokio::pin!(sending);
        tokio::pin!(response);
        // A server may answer before it has read everything, and its answer is to be had even so.
        let answered = tokio::select! {
            biased;
            answered = &mut response => answered,
            _ = &mut sending => response.await,
        };
        let response = answered.map_err(|error| explain(&error, &self.seen))?;
        let came = self.collect(response, caps).await?;
        Ok(call.read(came, caps).await?)
    }

    async fn begin(&mut self, call: &Call) -> Result<(ResponseFuture, SendStream<Bytes>), Refused> {
        self.before = self.seen.counts().received;
        self.calls += 1;
        let sender = self.sender.clone().ready().await;
        let mut sender = sender.map_err(|error| Refused {
            is_untouched: true,
            ..explain(&error, &self.seen)
        })?;
        let begun = sender.send_request(call.head.clone(), false);
        begun.map_err(|error| explain(&error, &self.seen))
    }

    /// Gives a call up whose message has gone out.
    async fn cancel(
        &self,
        sending: impl Future<Output = Result<SendStream<Bytes>, h2::Error>>,
        response: ResponseFuture,
        after: Duration,
    ) -> Refused {
        let before = self.seen.counts().sent;
        if let Ok(mut stream) = sending.await {
            // What is not flushed in time is given up as well: that is a cancelled call too.
            let _late = timeout(FLUSH_TIME, self.seen.sent(before + 1)).await;
            tokio::time::sleep(after).await;
            stream.send_reset(Reason::CANCEL);
        }
        drop(response);
        failure(FailureKind::Cancelled, "the harness cancelled the call").into()
    }

    /// Sends all of a call but its last byte.
    ///
    /// # Errors
    /// The connection ends.
    pub(crate) async fn hold(&mut self, call: &Call) -> Result<HeldCall, Refused> {
        let (response, stream) = self.begin(call).await?;
        let mut first = call.body.clone();
        let last = first.split_off(first.len().saturating_sub(1));
        let before = self.seen.counts().sent;
        let wanted = before + first.len() as u64;
        let mut stream = stream;
        stream.reserve_capacity(first.len());
        // What is wrong with a stream that takes nothing shows where its answer is waited for.
        if stream.send_data(first, false).is_ok() {
            // A peer that is busy may take the rest later.
            let _late = timeout(FLUSH_TIME, self.seen.sent(wanted)).await;
        }
        Ok(HeldCall {
            response,
            stream,
            last,
        })
    }

    /// Reads the answer to a call that was let go.
    ///
    /// # Errors
    /// No whole answer came.
    pub(crate) async fn complete(
        &mut self,
        held: HeldCall,
        call: &Call,
        caps: &Caps,
    ) -> Result<Answer, Refused> {
        let HeldCall { response, stream, .. } = held;
        let response = response.await;
        drop(stream);
        let response = response.map_err(|error| explain(&error, &self.seen))?;
        let came = self.collect(response, caps).await?;
        Ok(call.read(came, caps).await?)
    }

    async fn collect(&self, response: http::Response<RecvStream>, caps: &Caps) -> Result<Came, Refused> {
        let (head, mut body) = response.into_parts();
        let mut came = Came {
            status: head.status.as_u16(),
            headers: headers(&head.headers),
            ..Came::default()
        };
        let mut permit = None;
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(|error| explain(&error, &self.seen))?;
            caps.make_room(&mut came.body, chunk.len(), &mut permit).await?;
            came.body.extend_from_slice(&chunk);
            let freed = body.flow_control().release_capacity(chunk.len());
            freed.map_err(|error| explain(&error, &self.seen))?;
        }
        let trailers = body.trailers().await;
        let trailers = trailers.map_err(|error| explain(&error, &self.seen))?;
        came.trailers = trailers.as_ref().map(headers).unwrap_or_default();
        Ok(came)
    }

    /// What to say when the time is up.
    pub(crate) fn out_of_time(&self, limit: Duration) -> Failure {
        let (limit, counts) = (spoken(limit), self.seen.counts());
        let got = counts.received.saturating_sub(self.before);
        let message = match got {
            0 => format!("no answer within {limit}"),
            count => format!("no whole answer within {limit}; {} came", bytes(count)),
        };
        Failure {
            begun: got > 0,
            ..failure(FailureKind::Timeout, message)
        }
    }
}

impl HeldCall {
    /// Lets the last byte go.
    pub(crate) fn let_go(&mut self) {
        // What is wrong with the stream shows where its answer is waited for.
        let _shown_later = self.stream.send_data(std::mem::take(&mut self.last), true);
    }
}

/// Sends a whole body, as the server makes room for it.
async fn send(mut stream: SendStream<Bytes>, mut body: Bytes) -> Result<SendStream<Bytes>, h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(room) = room.transpose()? else { break };
        let piece = body.split_to(room.min(body.len()));
        stream.send_data(piece, body.is_empty())?;
        if body.is_empty() {
            return Ok(stream);
        }
    }
    stream.send_data(Bytes::new(), true)?;
    Ok(stream)
}

fn headers(fields: &HeaderMap) -> Headers {
    let text = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.escape_ascii().to_string(),
    };
    fields
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
        .collect()
}

/// What an error of h2's means.
fn explain(error: &h2::Error, seen: &Seen) -> Refused {
    let counts = seen.counts();
    let of = |kind, message: String| Failure {
        begun: counts.received > 0,
        ..failure(kind, message)
    };
    if counts.first.starts_with(b"HTTP/1.") {
        let message = "the answer is HTTP/1.1: no gRPC is spoken at this port";
        return of(FailureKind::Malformed, message.to_owned()).into();
    }
    if counts.first.starts_with(&[0x15, 3]) {
        let message = "the answer is a TLS alert: the server wants grpcs";
        return of(FailureKind::Malformed, message.to_owned()).into();
    }
    // h2 tells the GOAWAY to those calls alone that are above its last stream, which the server has not looked at.
    let is_untouched =
        error.is_remote() && (error.reason() == Some(Reason::REFUSED_STREAM) || error.is_go_away());
    let message = match error.reason() {
        Some(reason) if error.is_go_away() && error.is_remote() => {
            format!("the server ended the connection: GOAWAY, {reason:?}")
        }
        Some(reason) if error.is_reset() && error.is_remote() => {
            let message = format!("the server ended the call: RST_STREAM, {reason:?}");
            let kind = if is_untouched {
                FailureKind::Closed
            } else {
                FailureKind::Reset
            };
            return Refused {
                failure: of(kind, message),
                is_untouched,
            };
        }
        _ if error.is_io() => match counts.received {
            0 => "the connection was closed before any answer".to_owned(),
            count => format!("the connection was closed after {}", bytes(count)),
        },
        _ => {
            let begins = match counts.first.is_empty() {
                true => String::new(),
                false => format!("; it begins {}", shown(&counts.first)),
            };
            let message = format!("the answer is not HTTP/2 ({error}){begins}");
            return of(FailureKind::Malformed, message).into();
        }
    };
    Refused {
        failure: of(FailureKind::Closed, message),
        is_untouched,
    }
}
