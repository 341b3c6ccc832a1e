//! Connections taken out of the HTTP implementation's hands, for answers it would never write.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::answer::{Answer, Refusal, Script, Step, Then};
use super::response;

/// A stream, and the bytes that were read from it and not used yet.
///
/// It also sees to it that even what is no HTTP gets an error object: the HTTP implementation answers that by itself,
/// without a body, which shows in that no answer was owed.
#[derive(Debug)]
pub(super) struct Rewound<S> {
    unused: Bytes,
    stream: S,
    owed: Arc<AtomicBool>,
    instead: Bytes,
}

impl<S> Rewound<S> {
    /// A stream with these bytes in front of what it still has.
    pub(super) fn new(unused: Bytes, stream: S) -> Rewound<S> {
        Rewound {
            unused,
            stream,
            owed: Arc::default(),
            instead: Bytes::new(),
        }
    }

    /// The same stream with more bytes put back in front.
    pub(super) fn put_back(mut self, bytes: Bytes) -> Rewound<S> {
        self.unused = Bytes::from([bytes, self.unused].concat());
        self
    }

    /// Whether the core has given an answer that is not on its way yet.
    pub(super) fn owed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.owed)
    }
}

/// What is answered in place of a bare refusal.
fn refusal() -> Bytes {
    let mut answer = Answer::from(Refusal::bad_request("this is no HTTP/1.1 request"));
    answer.headers.push(("connection".to_owned(), "close".to_owned()));
    Bytes::from([response::head(&answer), answer.content().1].concat())
}

/// Plays a script; true where the connection lives on.
pub(super) async fn play<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, script: Script) -> bool {
    for step in script.steps {
        match step {
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
            }
        }
    }
    match script.then {
        Then::KeepAlive => return true,
        Then::Hang => outwait(stream).await,
        Then::Close => {}
    }
    let _ = stream.shutdown().await;
    false
}

/// Reads what comes until the client leaves.
async fn outwait<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unused.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.unused.len().min(buffer.remaining());
        buffer.put_slice(&self.unused[..count]);
        self.unused.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let begins = self.instead.is_empty() && bytes.starts_with(b"HTTP/1.1 ");
        if begins && !self.owed.swap(false, Ordering::Relaxed) && bytes.starts_with(b"HTTP/1.1 4") {
            self.instead = refusal();
        }
        while !self.instead.is_empty() {
            let Rewound { stream, instead, .. } = &mut *self;
            let count = ready!(Pin::new(stream).poll_write(context, instead))?;
            instead.advance(count);
            if instead.is_empty() {
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
