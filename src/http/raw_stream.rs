//! The stream under a connection. hyper reads answers from it; what goes out is written by us, byte for byte.
//!
//! hyper knows how to read HTTP but insists on URIs, methods and header values of its own liking when it writes. So it
//! is given a plain request to write, which ends here: in its place go the bytes that the [`RawStream`] holds. A write that
//! fails is noted and not reported: a server may answer and hang up before it has read everything, and its answer is
//! to be had even so.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much of what came is kept for messages.
const KEPT_BYTES: usize = 128;
/// How much is read at a stretch. A peer that sends faster than its bytes can be looked at would else never let the
/// time limit be noticed.
const BYTES_BEFORE_YIELD: usize = 64 << 10;

/// A byte stream to a peer, plain or TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The stream with its tap.
pub(super) struct Tapped {
    stream: Box<dyn Stream>,
    tap: Arc<RawStream>,
    /// How much may still be read before others must have their turn.
    allowance: usize,
}

impl Tapped {
    pub(super) fn new(stream: Box<dyn Stream>) -> (Tapped, Arc<RawStream>) {
        let tap = Arc::new(RawStream::default());
        (
            Tapped {
                stream,
                tap: tap.clone(),
                allowance: BYTES_BEFORE_YIELD,
            },
            tap,
        )
    }
}

/// What goes out in this exchange, and what has been seen of it.
#[derive(Debug, Default)]
pub(super) struct RawStream(Mutex<Traffic>);

#[derive(Debug, Default)]
pub(super) struct Traffic {
    outgoing: Bytes,
    /// What goes out after that, but not before it is let go.
    held: Bytes,
    /// Whether hyper has written its request, in whose place all this goes.
    begun: bool,
    /// Why the peer takes no more bytes.
    pub(super) refused: Option<io::ErrorKind>,
    /// How many bytes came.
    pub(super) received: u64,
    /// The first of them.
    pub(super) first: Vec<u8>,
}

impl Traffic {
    /// Whether there is nothing left to write that is not held back.
    pub(super) fn is_written(&self) -> bool {
        self.outgoing.is_empty() || self.refused.is_some()
    }

    /// What was held back, if everything before it has gone out and the peer takes more; else it follows in its turn.
    pub(super) fn let_go(&mut self) -> Option<Bytes> {
        let held = std::mem::take(&mut self.held);
        match self.outgoing.is_empty() && self.refused.is_none() {
            true => Some(held),
            false => {
                self.append(held);
                None
            }
        }
    }

    /// More to write.
    pub(super) fn append(&mut self, more: Bytes) {
        self.outgoing = [&self.outgoing[..], &more[..]].concat().into();
    }

    /// Whether the peer's system took the whole request.
    pub(super) fn is_sent(&self) -> bool {
        self.is_written() && self.held.is_empty() && self.refused.is_none()
    }
}

impl RawStream {
    /// Begins an exchange.
    pub(super) fn begin(&self, outgoing: Bytes) {
        self.begin_holding(outgoing, Bytes::new());
    }

    /// Begins an exchange whose end is held back.
    pub(super) fn begin_holding(&self, outgoing: Bytes, held: Bytes) {
        *self.traffic() = Traffic {
            outgoing,
            held,
            ..Traffic::default()
        };
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance == 0 {
            self.allowance = BYTES_BEFORE_YIELD;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(context, buffer)) {
            // TLS without its goodbye. Many servers do that; what is missing shows in the answer's own framing.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            other => other?,
        }
        let came = &buffer.filled()[before..];
        self.allowance = self.allowance.saturating_sub(came.len());
        let mut traffic = self.tap.traffic();
        traffic.received += came.len() as u64;
        let room = KEPT_BYTES.saturating_sub(traffic.first.len());
        traffic.first.extend_from_slice(&came[..came.len().min(room)]);
        Poll::Ready(Ok(()))
    }
}

impl Tapped {
    /// Writes what is to go out, as far as the peer's system takes it.
    fn write_out(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Tapped { stream, tap, .. } = self;
        let mut traffic = tap.traffic();
        while traffic.refused.is_none() && !traffic.outgoing.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(context, &traffic.outgoing)) {
                Ok(0) => traffic.refused = Some(io::ErrorKind::WriteZero),
                Ok(count) => traffic.outgoing.advance(count),
                Err(error) => traffic.refused = Some(error.kind()),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        theirs: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.tap.traffic().begun = true;
        ready!(self.write_out(context));
        Poll::Ready(Ok(theirs.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was held back comes when hyper has nothing more to write.
        if self.tap.traffic().begun {
            ready!(self.write_out(context));
        }
        if let Err(error) = ready!(Pin::new(&mut self.stream).poll_flush(context)) {
            self.tap.traffic().refused.get_or_insert(error.kind());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
