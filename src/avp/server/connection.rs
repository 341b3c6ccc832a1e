//! The transport edge: one connection, HTTP/1.1 by hyper. Requests become plain data here, and answers bytes.
//!
//! A body is read to its end before it is judged, so that no byte of it is ever taken for the next request. One that
//! is far too large is not, and then the connection closes after the answer (RFC 9112, section 9.3).

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::answer::{Answer, Manner, Script, Step, Then};
use super::faults::authorization::BEFORE_THE_BODY;
use super::faults::fidelity::DECODED_BY_CHUNKS;
use super::faults::transport::{EXPECT_HANGS, UNREAD, UNREAD_CHUNKS, UPGRADE_HANGS};
use super::raw_response::{self, Rewound};
use super::request::{Body, Request};
use super::response::{self, Pieces};
use super::state::State;
use super::variations::transport;
use super::{access, core, grpc};
use crate::serve::Log;

/// How long a client may take for the head of a request, the wait for a next one included.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// How long a connection may be idle on a server that has little patience.
const SHORT_IDLE: Duration = Duration::from_millis(500);

/// How long a client may take for a body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A server that speaks HTTP/2 in the clear takes the upgrade, and begins with its settings: none.
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// What the log says of an answer that is written by hand, or left out.
const NO_ORDINARY_ANSWER: &str = "no ordinary answer";

/// How many times the limit of a body is read, and thrown away, before the connection is given up.
const DRAIN_FACTOR: usize = 4;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Site {
    /// What the server holds.
    pub(super) state: State,
    /// The largest body it takes.
    pub(super) body_limit: usize,
    /// What is told of each request, if anything.
    pub(super) log: Option<Log>,
    /// How many connections there have been.
    pub(super) connections: AtomicU64,
}

impl Site {
    /// Tells that a request was answered so.
    pub(super) fn tell(&self, method: &str, path: &str, answered: &dyn fmt::Display) {
        if let Some(log) = &self.log {
            log.request(method, path, answered, &|name| self.state.fired(name));
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(site: Arc<Site>, mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut first = Bytes::new();
    if site.state.speaks_grpc {
        let begins = tokio::time::timeout(HEAD_TIME, grpc::begins_http2(&mut stream)).await;
        let Ok((read, is_http2)) = begins else { return };
        first = read.into();
        if is_http2 {
            return grpc::serve(site, Rewound::new(first, stream)).await;
        }
    }
    let mut stream = Rewound::new(first, stream);
    while let Some((next, script)) = converse(&site, stream).await {
        stream = next;
        if !raw_response::play(&mut stream, script).await {
            return;
        }
    }
}

/// An answer that is written by hand, and the body that it does not wait for.
struct Taken {
    script: Script,
    unread: Option<Incoming>,
}

/// Serves requests until the connection ends, or until an answer has to be written by hand: then the stream and the
/// answer come back.
async fn converse<S>(site: &Arc<Site>, stream: Rewound<S>) -> Option<(Rewound<S>, Script)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (by_hand, mut taken) = mpsc::channel(1);
    let owed = stream.owed();
    let number = site.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let service = service_fn(|request| {
        respond(
            Arc::clone(site),
            request,
            number,
            by_hand.clone(),
            Arc::clone(&owed),
        )
    });
    let mut connection = builder(site).serve_connection(TokioIo::new(stream), service);
    let Taken { script, unread } = tokio::select! {
        // A client that breaks off or breaks the framing ends its own connection, nothing else.
        _ = &mut connection => return None,
        Some(taken) = taken.recv() => taken,
    };
    owed.store(true, Ordering::Relaxed);
    let parts = connection.into_parts();
    let unread = [decoded(unread).await, parts.read_buf.to_vec()].concat();
    Some((parts.io.into_inner().put_back(Bytes::from(unread)), script))
}

/// What was read of a body before its connection was taken away.
async fn decoded(body: Option<Incoming>) -> Vec<u8> {
    let Some(mut body) = body else { return Vec::new() };
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend(frame.into_data().unwrap_or_default());
    }
    bytes
}

fn builder(site: &Site) -> http1::Builder {
    let mut builder = http1::Builder::new();
    let idle = if site.state.deviates(transport::IDLE_CLOSE) {
        SHORT_IDLE
    } else {
        HEAD_TIME
    };
    builder.timer(TokioTimer::new()).header_read_timeout(idle);
    builder.title_case_headers(site.state.deviates(transport::TITLE_CASE));
    builder
}

async fn respond(
    site: Arc<Site>,
    incoming: http::Request<Incoming>,
    connection: u64,
    by_hand: mpsc::Sender<Taken>,
    owed: Arc<AtomicBool>,
) -> Result<http::Response<Pieces>, Infallible> {
    if let Some(script) = early(&site.state, &incoming) {
        site.tell(
            incoming.method().as_str(),
            incoming.uri().path(),
            &NO_ORDINARY_ANSWER,
        );
        // The body is left where it is, and the connection with it.
        let _ = by_hand
            .send(Taken {
                script,
                unread: Some(incoming.into_body()),
            })
            .await;
        return std::future::pending().await;
    }
    let admitted = site.state.is(BEFORE_THE_BODY) && core::admits(&site.state, &head(&incoming));
    let request = Request {
        admitted,
        connection,
        ..read(incoming, &site.state, site.body_limit).await
    };
    let answer = core::handle(&site.state, &request);
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    if let Manner::ByHand(script) = answer.manner {
        site.tell(&request.method, &request.path, &NO_ORDINARY_ANSWER);
        let _ = by_hand.send(Taken { script, unread: None }).await;
        // The connection is taken away at this point.
        return std::future::pending().await;
    }
    site.tell(&request.method, &request.path, &answer.status);
    owed.store(true, Ordering::Relaxed);
    Ok(response::response(&answer))
}

/// What a server answers that does not wait for the body: to a request without a good token, where that is its fault, and to
/// one that offers or expects more of HTTP than it is prepared for.
fn early(state: &State, incoming: &http::Request<Incoming>) -> Option<Script> {
    if let Some(script) = beyond(state, incoming) {
        return Some(script);
    }
    let chunked = incoming.headers().contains_key(TRANSFER_ENCODING);
    let unread = state.is(UNREAD) || chunked && state.is(UNREAD_CHUNKS);
    if !unread || incoming.body().is_end_stream() || !incoming.uri().path().starts_with("/v1/") {
        return None;
    }
    let refusal = access::caller(state, &head(incoming)).err()?;
    state.fire();
    let answer = Answer::from(refusal);
    let bytes = [response::head(&answer), answer.content().1].concat();
    Some(Script {
        steps: vec![Step::Write(bytes)],
        then: Then::KeepAlive,
    })
}

/// What becomes of a request that offers an upgrade to HTTP/2, or that expects to be told to go on.
fn beyond(state: &State, incoming: &http::Request<Incoming>) -> Option<Script> {
    let headers = incoming.headers();
    let hangs = headers.contains_key(UPGRADE) && state.deviates(UPGRADE_HANGS)
        || headers.contains_key(EXPECT) && state.deviates(EXPECT_HANGS);
    if hangs {
        return Some(Script {
            steps: Vec::new(),
            then: Then::Hang,
        });
    }
    let offered = headers.get(UPGRADE).is_some_and(|value| value == "h2c");
    (offered && state.deviates(transport::H2C_SPOKEN)).then(|| Script {
        steps: vec![Step::Write(SWITCHED.to_vec())],
        then: Then::Hang,
    })
}

async fn read(incoming: http::Request<Incoming>, state: &State, limit: usize) -> Request {
    let head = head(&incoming);
    let reading = tokio::time::timeout(BODY_TIME, collect(incoming.into_body(), state, limit));
    Request {
        body: reading.await.unwrap_or(Body::Broken),
        ..head
    }
}

/// All of a request but its body.
fn head(incoming: &http::Request<Incoming>) -> Request {
    let header = |name: HeaderName| incoming.headers().get(name)?.to_str().ok().map(str::to_owned);
    Request {
        method: incoming.method().as_str().to_owned(),
        path: incoming.uri().path().to_owned(),
        authorization: header(AUTHORIZATION),
        content_type: header(CONTENT_TYPE),
        host: header(HOST),
        headers: incoming.headers().clone(),
        body: Body::Whole(Vec::new()),
        admitted: false,
        connection: 0,
    }
}

/// A chunk as a server has it that decodes each by itself; `None` where nothing is lost by that.
fn by_itself(state: &State, chunk: &[u8]) -> Option<Vec<u8>> {
    let cut = state.is(DECODED_BY_CHUNKS) && std::str::from_utf8(chunk).is_err();
    (cut && state.deviates(DECODED_BY_CHUNKS)).then(|| String::from_utf8_lossy(chunk).into_owned().into())
}

async fn collect(mut body: Incoming, state: &State, limit: usize) -> Body {
    let (mut kept, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Broken };
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        match seen <= limit {
            true => kept.extend_from_slice(by_itself(state, &data).as_deref().unwrap_or(&data)),
            false => kept = Vec::new(),
        }
        if seen > limit.saturating_mul(DRAIN_FACTOR) {
            break;
        }
    }
    if seen > limit {
        Body::TooLarge
    } else {
        Body::Whole(kept)
    }
}
