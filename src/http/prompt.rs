//! The socket under a connection, which acknowledges at once what it receives.
//!
//! A server that writes the head of an answer and then its body, and that leaves Nagle's algorithm on, holds the body back
//! until the head is acknowledged. Linux would wait up to 40 ms with that, in the hope of sending it along with data of
//! ours; here we have none to send. Quick acknowledgement does not last, so it is asked for after each read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A socket that acknowledges at once.
pub(super) struct Prompt(pub(super) TcpStream);

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        acknowledge(&self.0);
        Poll::Ready(Ok(()))
    }
}

#[cfg(target_os = "linux")]
fn acknowledge(stream: &TcpStream) {
    // Without it answers are slower, and no other: a system that knows no quick acknowledgement is no failure.
    let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge(_: &TcpStream) {}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
