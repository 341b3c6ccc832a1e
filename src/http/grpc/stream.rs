//! The stream under HTTP/2, which counts what goes through it and keeps the first bytes that came: what is no HTTP/2 is told by
//! them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::http::raw_stream::Stream;

/// How much of what came is kept for messages.
const KEPT_BYTES: usize = 128;
/// How much is read at a stretch, before others have their turn.
const BYTES_BEFORE_YIELD: usize = 64 << 10;

/// What went through a stream.
#[derive(Debug, Default)]
pub(super) struct Seen {
    counts: Mutex<Counts>,
    written: Notify,
}

/// Counts of bytes, and the first that came.
#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) first: Vec<u8>,
}

impl Seen {
    /// What went through so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many bytes have gone out since the stream was opened.
    pub(super) async fn sent(&self, bytes: u64) {
        loop {
            let written = self.written.notified();
            if self.counts().sent >= bytes {
                return;
            }
            written.await;
        }
    }

    fn note(&self, act: impl FnOnce(&mut Counts)) {
        act(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A stream that is watched.
pub(super) struct Watched {
    stream: Box<dyn Stream>,
    seen: Arc<Seen>,
    allowance: usize,
}

impl Watched {
    pub(super) fn new(stream: Box<dyn Stream>) -> (Watched, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        let watched = Watched {
            stream,
            seen: Arc::clone(&seen),
            allowance: BYTES_BEFORE_YIELD,
        };
        (watched, seen)
    }
}

impl AsyncRead for Watched {
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
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let came = &buffer.filled()[before..];
        self.seen.note(|counts| {
            counts.received += came.len() as u64;
            let wanted = KEPT_BYTES.saturating_sub(counts.first.len()).min(came.len());
            counts.first.extend_from_slice(&came[..wanted]);
        });
        self.allowance = self.allowance.saturating_sub(came.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.seen.note(|counts| counts.sent += count as u64);
        self.seen.written.notify_waiters();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
