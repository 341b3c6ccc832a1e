//! One connection: hyper's client for one peer, driven in place.
//!
//! The connection is polled by whoever waits for an answer and by nobody else; dropping a [`Connection`] closes it.

use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Builder, SendRequest};
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::answer::{Caps, collect, head_only};
use super::errors::{self, Phase};
use super::head::Message;
use super::phrases::{bytes, failure, shown, spoken};
use super::raw_stream::{RawStream, Stream, Tapped};
use super::{Answer, Failure, FailureKind};

/// The largest head of an answer that is taken.
pub(super) const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most header fields that an answer may have.
pub(super) const MAX_HEADER_FIELDS: usize = 200;
/// How often a TLS connection with something to read is looked at again before it is given up.
const MOST_TLS_READS: usize = 20;

/// A connection that serves one exchange at a time.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    engine: Engine,
    tap: Arc<RawStream>,
    watch: OwnedFd,
    tls: bool,
}

/// The head of an answer that is still to come.
type Coming = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// The answer to a request on its way whose end is held back.
pub(super) struct Held(Coming);

/// How an idle connection was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// Fit for the next request.
    Usable,
    /// Closed by the peer.
    Gone,
    /// The peer sent something without being asked.
    Stray(Failure),
}

impl Connection {
    /// A link over a connected stream; `watch` is another handle of the same socket.
    pub(super) async fn open(
        stream: Box<dyn Stream>,
        watch: OwnedFd,
        tls: bool,
    ) -> Result<Connection, Failure> {
        let (tapped, tap) = Tapped::new(stream);
        let mut builder = Builder::new();
        builder
            .max_headers(MAX_HEADER_FIELDS)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_HEAD_BYTES);
        match builder.handshake(TokioIo::new(tapped)).await {
            Ok((sender, connection)) => Ok(Connection {
                sender,
                engine: Engine::new(connection),
                tap,
                watch,
                tls,
            }),
            Err(error) => Err(failure(FailureKind::Malformed, error.to_string())),
        }
    }

    /// Sends a message and reads the answer. No limit of time is kept here.
    pub(super) async fn exchange(&mut self, message: &Message, caps: &Caps) -> Result<Answer, Failure> {
        self.tap.begin(message.bytes.clone());
        if self.engine.run(self.sender.ready()).await.is_err() {
            return Err(self.ended_early());
        }
        let response = self.respond(message).await?;
        if message.offers_upgrade && response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(head_only(&response));
        }
        let answer = collect(self, response, caps).await?;
        self.engine.run(ready(())).await;
        Ok(answer)
    }

    async fn respond(&mut self, message: &Message) -> Result<Response<Incoming>, Failure> {
        let sending = self.sender.send_request(stand_in(message));
        self.engine
            .run(sending)
            .await
            .map_err(|error| self.trouble(&error, Phase::Head))
    }

    /// Sends a message up to its byte `at`, and holds back the rest. Comes back when the system has taken it, or after
    /// `patience`, as a peer that is busy may take no more; what is missing then goes out with the rest.
    pub(super) async fn hold(
        &mut self,
        message: &Message,
        at: usize,
        patience: Duration,
    ) -> Result<Held, Failure> {
        let mut first = message.bytes.clone();
        let rest = first.split_off(at.min(first.len()));
        self.tap.begin_holding(first, rest);
        if self.engine.run(self.sender.ready()).await.is_err() {
            return Err(self.ended_early());
        }
        let coming: Coming = Box::pin(self.sender.send_request(stand_in(message)));
        let Connection { engine, tap, .. } = self;
        let written = poll_fn(|context| {
            engine.turn(context);
            match engine.end.is_some() || tap.traffic().is_written() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        // What was not taken in time is no failure yet.
        let _late = tokio::time::timeout(patience, written).await;
        Ok(Held(coming))
    }

    /// Lets the rest of the message go, at once.
    pub(super) fn let_go(&mut self) {
        let Some(mut rest) = self.tap.traffic().let_go() else {
            return;
        };
        if !self.tls {
            // What the system does not take now, it may take later, and what is wrong then shows.
            rest.advance(send(&self.watch, &rest, SendFlags::empty()).unwrap_or(0));
        }
        if !rest.is_empty() {
            self.tap.traffic().append(rest);
            self.engine.turn(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Reads the answer to a message that was let go.
    pub(super) async fn complete(&mut self, held: Held, caps: &Caps) -> Result<Answer, Failure> {
        let response = self
            .engine
            .run(held.0)
            .await
            .map_err(|error| self.trouble(&error, Phase::Head))?;
        let answer = collect(self, response, caps).await?;
        self.engine.run(ready(())).await;
        Ok(answer)
    }

    /// Polls the connection while `work` waits for it.
    pub(super) async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        self.engine.run(work).await
    }

    /// What an error of hyper's means here.
    pub(super) fn trouble(&self, error: &hyper::Error, phase: Phase) -> Failure {
        errors::explain(error, phase, &self.tap.traffic())
    }

    /// Whether the last exchange left the connection fit for another.
    pub(super) fn is_clean(&self) -> bool {
        self.engine.end.is_none() && self.tap.traffic().is_sent()
    }

    /// Whether bytes came that belong to no answer.
    pub(super) fn has_stray(&self) -> bool {
        self.engine
            .end
            .as_ref()
            .is_some_and(|leftover| !leftover.is_empty())
    }

    /// Whether any byte of an answer to the last message came.
    pub(super) fn heard(&self) -> bool {
        self.tap.traffic().received > 0
    }

    /// Looks whether the idle connection can serve another request.
    pub(super) async fn idle(&mut self) -> Idle {
        for _ in 0..MOST_TLS_READS {
            self.engine.run(ready(())).await;
            match (&self.engine.end, self.peek()) {
                (Some(leftover), _) if leftover.is_empty() => return Idle::Gone,
                (Some(leftover), _) => return Idle::Stray(stray(leftover)),
                (None, None) => return Idle::Usable,
                (None, Some(waiting)) if waiting.is_empty() => return Idle::Gone,
                (None, Some(waiting)) if !self.tls => return Idle::Stray(stray(&waiting)),
                // It may be no more than a session ticket: let TLS read it.
                (None, Some(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        Idle::Gone
    }

    /// What came on a fresh connection before anything was asked. In TLS that would be the handshake's own business.
    pub(super) fn early(&self) -> Option<Failure> {
        let waiting = self.peek().filter(|waiting| !waiting.is_empty() && !self.tls);
        waiting.map(|waiting| stray(&waiting))
    }

    /// What lies unread at the socket: nothing yet, the first bytes, or no bytes where the peer has closed.
    fn peek(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 128];
        // The socket is one of the runtime's, which never block.
        match recv(&self.watch, &mut buffer[..], RecvFlags::PEEK) {
            Ok((count, _)) => Some(buffer[..count.min(128)].to_vec()),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => None,
            Err(_) => Some(Vec::new()),
        }
    }

    /// The connection ended before the request went out.
    fn ended_early(&self) -> Failure {
        match &self.engine.end {
            Some(leftover) if !leftover.is_empty() => stray(leftover),
            _ => failure(
                FailureKind::Closed,
                "the connection was closed before the request was sent",
            ),
        }
    }

    /// What to say when the time is up.
    pub(super) fn out_of_time(&self, limit: Duration) -> Failure {
        let (limit, traffic) = (spoken(limit), self.tap.traffic());
        let message = match traffic.received {
            0 if !traffic.is_sent() => format!("the server did not take the whole request within {limit}"),
            0 => format!("no answer within {limit}"),
            count => format!("no whole answer within {limit}; {} of it came", bytes(count)),
        };
        Failure {
            begun: traffic.received > 0,
            ..failure(FailureKind::Timeout, message)
        }
    }
}

/// What hyper is given to write; in its place goes the message.
fn stand_in(message: &Message) -> hyper::Request<Empty<Bytes>> {
    let mut stand_in = hyper::Request::new(Empty::new());
    *stand_in.method_mut() = if message.is_head {
        Method::HEAD
    } else {
        Method::POST
    };
    stand_in
}

fn stray(leftover: &[u8]) -> Failure {
    let message = format!(
        "the server sent something that nobody had asked for: {}",
        shown(leftover)
    );
    failure(FailureKind::Malformed, message)
}

/// hyper's connection, and what was left when it ended.
struct Engine {
    connection: Option<http1::Connection<TokioIo<Tapped>, Empty<Bytes>>>,
    /// Once it has ended: what came and belongs to no answer.
    end: Option<Bytes>,
}

impl Engine {
    fn new(connection: http1::Connection<TokioIo<Tapped>, Empty<Bytes>>) -> Engine {
        Engine {
            connection: Some(connection),
            end: None,
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if std::pin::Pin::new(connection).poll(context).is_ready() {
            self.end = self
                .connection
                .take()
                .map(|connection| connection.into_parts().read_buf);
        }
    }

    async fn run<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        poll_fn(|context| {
            self.turn(context);
            work.as_mut().poll(context)
        })
        .await
    }
}
