//! Connections taken out of the HTTP implementation's hands, for answers it would never write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::answer::{Script, Step, Then};

/// A stream, and the bytes that were read from it and not used yet.
#[derive(Debug)]
pub(super) struct Rewound<S> {
    unused: Bytes,
    stream: S,
}

impl<S> Rewound<S> {
    /// A stream with these bytes in front of what it still has.
    pub(super) fn new(unused: Bytes, stream: S) -> Rewound<S> {
        Rewound { unused, stream }
    }

    /// The same stream with more bytes put back in front.
    pub(super) fn put_back(self, bytes: Bytes) -> Rewound<S> {
        let unused = Bytes::from([bytes, self.unused].concat());
        Rewound {
            unused,
            stream: self.stream,
        }
    }
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
