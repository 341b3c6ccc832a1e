//! The receiver that the relay delivers to, and those that it must not deliver to: each listens on loopback, writes every request
//! down, and answers as the case says, byte for byte.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::canonical::{RELAY_TAG, hash};
use super::cases::Place;
use super::receipts::{Receipt, Reply};
use crate::http::{Answer, Body, Exchange, Failure, FailureKind, Outcome, Request, Service, Side, micros};
use crate::serve::{Authority, Certificate};

/// The path of the endpoint.
pub(super) const PATH: &str = "/v2/local-vault/relay";
/// The header with the hash of the envelope.
pub(super) const HASH_HEADER: &str = "x-attesto-local-vault-envelope-hash";
/// The service that deliveries are meant for.
pub(super) const RECEIVER: Service = Service::new("receiver");
/// No head of a request is longer.
const LONGEST_HEAD_BYTES: usize = 64 << 10;
/// No body of a request is longer.
const LONGEST_BODY_BYTES: usize = 16 << 20;
/// How long a request may take until it is whole.
const REQUEST_TIME: Duration = Duration::from_secs(20);
/// So much of an endless body is sent before it only stays open.
const ENDLESS_BYTES: usize = 64 << 20;
/// How long a receiver stays silent, or trickles, at the most.
const LONGEST_SILENCE: Duration = Duration::from_secs(150);
/// The time between the bytes of a trickle.
const TRICKLE_TIME: Duration = Duration::from_millis(400);
/// Whoever asks more often in one case gets no answer any more.
pub(super) const MOST_REQUESTS: usize = 300;

/// All receivers have a thread to themselves. A relay has its own time-out: what cases wait for, files and databases on a busy
/// disk, must not make its delivery wait.
static THREAD: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("receivers").enable_all();
    builder.build()
});

/// All receivers of one case. Dropping them ends them.
pub(super) struct Receivers {
    addresses: BTreeMap<&'static str, SocketAddr>,
    /// The certificate of the authority, as PEM; none where no receiver speaks TLS.
    pub(super) authority: Option<String>,
    shared: Arc<Shared>,
    accepting: Vec<AbortHandle>,
}

struct Shared {
    log: Mutex<Log>,
    began: Instant,
    arrived: watch::Sender<usize>,
    is_held: watch::Sender<bool>,
    /// Where redirects lead: a receiver over plain http, and one over https where there is one.
    elsewhere: Mutex<(String, String)>,
}

/// A connection that a request came by.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send {
    /// Below TLS, where there is any.
    fn tcp(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Connection for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

#[derive(Default)]
struct Log {
    step: Option<usize>,
    round: usize,
    replies: Vec<Reply>,
    /// The reference of the item that they are for; for all where there is none.
    only: Option<String>,
    /// The references that have arrived in this step and round.
    sources: Vec<String>,
    /// So many deliveries were answered in this step and round.
    answered: usize,
    exchanges: Vec<Exchange>,
    /// So many exchanges were taken over by the driver: they are not altered any more.
    taken: usize,
    /// The hashes of envelopes that were seen, by stream and reference.
    hashes: BTreeMap<(String, String), Vec<String>>,
    refused: usize,
}

/// A request, read.
struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    stays: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receivers {
    /// Listens at free ports of this machine; with TLS too, where the case wants it.
    ///
    /// # Errors
    /// There are no ports, or no certificate can be made: one sentence.
    pub(super) async fn start(began: Instant, with_tls: bool) -> Result<Receivers, String> {
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            began,
            arrived: watch::Sender::new(0),
            is_held: watch::Sender::new(false),
            elsewhere: Mutex::default(),
        });
        let mut receivers = Receivers {
            addresses: BTreeMap::new(),
            authority: None,
            shared,
            accepting: Vec::new(),
        };
        let loopback = Ipv4Addr::LOCALHOST;
        receivers.listen("http", loopback, None).await?;
        receivers.listen("elsewhere", loopback, None).await?;
        // Not every system has more than one address of this machine: the endpoint is left out then.
        let _none = receivers
            .listen("other-loopback", Ipv4Addr::new(127, 0, 0, 2), None)
            .await;
        if with_tls {
            let said = |error: crate::serve::TlsError| error.to_string();
            let authority = Authority::new().map_err(said)?;
            for (name, certificate) in [
                ("https", Certificate::Good),
                ("elsewhere-over-https", Certificate::Good),
                ("untrusted", Certificate::Untrusted),
                ("expired", Certificate::Expired),
                ("wrong-host", Certificate::OtherHost),
            ] {
                let tls = authority
                    .certify(certificate)
                    .and_then(|tls| tls.acceptor(&["http/1.1"]))
                    .map_err(said)?;
                receivers.listen(name, loopback, Some(tls)).await?;
            }
            receivers.authority = Some(authority.pem);
        }
        let at = |name: &str| receivers.addresses.get(name).map(SocketAddr::to_string);
        *lock(&receivers.shared.elsewhere) = (
            format!("http://{}{PATH}", at("elsewhere").unwrap_or_default()),
            // The endpoint is at localhost.
            format!("https://{}{PATH}", at("elsewhere-over-https").unwrap_or_default()),
        );
        Ok(receivers)
    }

    async fn listen(
        &mut self,
        name: &'static str,
        host: Ipv4Addr,
        tls: Option<TlsAcceptor>,
    ) -> Result<(), String> {
        let cannot = |error: &io::Error| format!("the receiver cannot listen on {host}: {error}");
        let thread = THREAD.as_ref().map_err(&cannot)?;
        let listener = thread.spawn(TcpListener::bind((host, 0))).await;
        let listener = listener
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(|error| cannot(&error))?;
        let address = listener.local_addr().map_err(|error| cannot(&error))?;
        self.addresses.insert(name, address);
        let service = match name {
            "http" | "https" => RECEIVER,
            other => Service::new(other),
        };
        let task = thread.spawn(accept(listener, tls, Arc::clone(&self.shared), service));
        self.accepting.push(task.abort_handle());
        Ok(())
    }

    /// The URL of an endpoint; none where this system cannot have it.
    pub(super) fn url(&self, place: Place) -> Option<String> {
        let at = |name: &str| self.addresses.get(name);
        let port = |name: &str| at(name).map(SocketAddr::port);
        Some(match place {
            Place::Http => format!("http://{}{PATH}", at("http")?),
            Place::Https => format!("https://localhost:{}{PATH}", port("https")?),
            Place::Untrusted => format!("https://localhost:{}{PATH}", port("untrusted")?),
            Place::Expired => format!("https://localhost:{}{PATH}", port("expired")?),
            Place::WrongHost => format!("https://localhost:{}{PATH}", port("wrong-host")?),
            // The port of the discard protocol.
            Place::Nobody => format!("http://127.0.0.1:9{PATH}"),
            Place::OtherLoopback => format!("http://{}{PATH}", at("other-loopback")?),
            Place::AnyAddress => format!("http://0.0.0.0:{}{PATH}", port("elsewhere")?),
            Place::MappedAddress => format!("http://[::ffff:127.0.0.1]:{}{PATH}", port("elsewhere")?),
            Place::UserThatLooksLikeAHost => format!("http://127.0.0.1@{}{PATH}", at("other-loopback")?),
            Place::PlainHost => format!("http://vault.example{PATH}"),
            Place::LocalhostAsPrefix => format!("http://localhost.vault.example{PATH}"),
            Place::AddressAsPrefix => format!("http://127.0.0.1.vault.example{PATH}"),
            Place::Credentials => format!("http://site:word@{}{PATH}", at("http")?),
            Place::Query => format!("http://{}{PATH}?site=north", at("http")?),
            Place::Fragment => format!("http://{}{PATH}#north", at("http")?),
        })
    }

    /// What a program would reach hosts of the network through.
    pub(super) fn proxy(&self) -> String {
        format!("http://{}", self.addresses["elsewhere"])
    }

    /// A step begins, or a round of it.
    pub(super) fn begin(&self, step: Option<usize>, round: usize, replies: &[Reply], only: Option<String>) {
        let mut log = lock(&self.shared.log);
        log.step = step;
        log.round = round;
        log.replies = replies.to_vec();
        log.only = only;
        log.sources.clear();
        log.answered = 0;
        drop(log);
        self.hold(false);
    }

    /// Whether the next delivery waits for its answer until this is taken back.
    pub(super) fn hold(&self, is_held: bool) {
        self.shared.is_held.send_replace(is_held);
    }

    /// Whether an item has arrived in this step.
    pub(super) fn has_come(&self, source: &str) -> bool {
        lock(&self.shared.log).sources.iter().any(|other| other == source)
    }

    /// How many requests have arrived so far.
    pub(super) fn arrived(&self) -> usize {
        *self.shared.arrived.borrow()
    }

    /// Waits until more than so many requests have arrived.
    pub(super) async fn more_than(&self, count: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        // The sender lives as long as this.
        let _arrived = arrived.wait_for(|arrived| *arrived > count).await;
    }

    /// What was asked so far, in the order in which it came.
    pub(super) fn take(&self) -> Vec<Exchange> {
        let mut log = lock(&self.shared.log);
        log.taken += log.exchanges.len();
        std::mem::take(&mut log.exchanges)
    }

    /// How many requests were not taken any more.
    pub(super) fn refused(&self) -> usize {
        lock(&self.shared.log).refused
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.accepting.iter().for_each(AbortHandle::abort);
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, service: Service) {
    // Connections end with the receiver that took them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _slow = stream.set_nodelay(true);
                    connections.spawn(greet(stream, tls.clone(), Arc::clone(&shared), service.clone()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>, service: Service) {
    match tls {
        None => converse(stream, &shared, &service).await,
        // Who does not trust the certificate goes away, and nothing was delivered.
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(REQUEST_TIME, tls.accept(stream)).await {
                converse(stream, &shared, &service).await;
            }
        }
    }
}

/// Answers requests until the connection ends.
async fn converse(mut stream: impl Connection, shared: &Shared, service: &Service) {
    loop {
        let read = tokio::time::timeout(REQUEST_TIME, read(&mut stream)).await;
        let Ok(Some(asked)) = read else { return };
        if !shared.answer(&mut stream, &asked, service).await || !asked.stays {
            return;
        }
    }
}

/// Reads a request; none where the connection ends or what comes is no request.
async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if bytes.len() > LONGEST_HEAD_BYTES || !more(stream, &mut bytes).await {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut rest = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?.to_owned(), first.next()?.to_owned(), first.next()?);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let value = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.to_ascii_lowercase())
    };
    if value("expect").is_some_and(|value| value == "100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let body = match value("transfer-encoding") {
        Some(coding) if coding.contains("chunked") => chunks(stream, rest).await?,
        _ => {
            let length: usize = value("content-length")
                .and_then(|value| value.parse().ok())
                .unwrap_or(0);
            if length > LONGEST_BODY_BYTES {
                return None;
            }
            while rest.len() < length {
                if !more(stream, &mut rest).await {
                    return None;
                }
            }
            rest.truncate(length);
            rest
        }
    };
    let connection = value("connection").unwrap_or_default();
    let stays = match version {
        "HTTP/1.0" => connection.contains("keep-alive"),
        _ => !connection.contains("close"),
    };
    Some(Asked {
        method,
        target,
        headers,
        body,
        stays,
    })
}

/// Reads a body in chunks, of which these bytes have come.
async fn chunks<S: AsyncRead + Unpin>(stream: &mut S, mut rest: Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            match find(&rest, b"\r\n") {
                Some(end) => break end,
                None if more(stream, &mut rest).await => {}
                None => return None,
            }
        };
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length > LONGEST_BODY_BYTES - body.len() {
            return None;
        }
        while rest.len() < end + 2 + length + 2 {
            if !more(stream, &mut rest).await {
                return None;
            }
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest.drain(..end + 2 + length + 2);
        if length == 0 {
            return Some(body);
        }
    }
}

/// Whether more bytes came.
async fn more<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 16 << 10];
    match stream.read(&mut buffer).await {
        Ok(count @ 1..) => {
            bytes.extend_from_slice(&buffer[..count]);
            true
        }
        _ => false,
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

impl Shared {
    /// Answers a request; true where the connection may go on.
    async fn answer(&self, stream: &mut impl Connection, asked: &Asked, service: &Service) -> bool {
        let at = self.began.elapsed();
        let receipt = self.receipt(asked);
        let Some((index, reply)) = self.note(asked, service, &receipt, at) else {
            return false;
        };
        self.arrived.send_modify(|arrived| *arrived += 1);
        // Whoever is held is answered when the case says so, or never.
        let mut held = self.is_held.subscribe();
        if tokio::time::timeout(LONGEST_SILENCE, held.wait_for(|is_held| !is_held))
            .await
            .is_err()
        {
            return false;
        }
        // What was held until the driver went on is never answered: the program was killed, and a part of it may live on.
        if index < lock(&self.log).taken {
            return false;
        }
        let (outcome, goes_on) = self.play(stream, reply, &receipt).await;
        let mut log = lock(&self.log);
        // Whoever is answered when the driver has gone on is not written down as answered.
        let place = index.checked_sub(log.taken);
        if let Some(exchange) = place.and_then(|place| log.exchanges.get_mut(place)) {
            exchange.outcome = outcome;
            exchange.took_us = micros(self.began.elapsed().saturating_sub(at));
        }
        goes_on
    }

    /// What an acknowledgement has to say; nothing in particular where the request is no delivery.
    fn receipt(&self, asked: &Asked) -> Receipt {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let envelope = &body["envelope"];
        // The hash that the relay names, right or wrong: what else it does is to be seen.
        let named = asked
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(HASH_HEADER));
        let named = named.map(|(_, value)| value.clone());
        let mut receipt = Receipt::of(envelope, named.unwrap_or_else(|| hash(RELAY_TAG, envelope)));
        let mut log = lock(&self.log);
        let hashes = log
            .hashes
            .entry((receipt.stream.clone(), receipt.source.clone()))
            .or_default();
        receipt.earlier = hashes.last().cloned();
        hashes.push(receipt.hash.clone());
        receipt
    }

    /// Writes a request down: its place, and how it is to be answered. None where there were too many.
    fn note(
        &self,
        asked: &Asked,
        service: &Service,
        receipt: &Receipt,
        at: Duration,
    ) -> Option<(usize, Reply)> {
        let mut log = lock(&self.log);
        if log.taken + log.exchanges.len() >= MOST_REQUESTS {
            log.refused += 1;
            return None;
        }
        // Others than the receiver itself always acknowledge: nobody is to believe them.
        let is_meant = log.only.as_ref().is_none_or(|only| *only == receipt.source);
        let reply = match *service == RECEIVER && is_meant {
            true => {
                let planned = log.replies.get(log.answered).or(log.replies.last());
                planned.copied().unwrap_or(Reply::Ack)
            }
            false => Reply::Ack,
        };
        if *service == RECEIVER && is_meant {
            log.answered += 1;
        }
        log.sources.push(receipt.source.clone());
        let request = Request {
            service: service.clone(),
            method: asked.method.clone(),
            path: asked.target.clone(),
            headers: fields(&asked.headers),
            body: (!asked.body.is_empty()).then(|| Body::from(asked.body.clone())),
        };
        let outcome = Outcome::Failure(Failure {
            kind: FailureKind::Closed,
            message: "the receiver had not answered yet".to_owned(),
            begun: false,
        });
        let exchange = Exchange {
            step: log.step,
            round: log.round,
            spoiled: (!reply.is_acknowledgement()).then(|| reply.about()),
            side: Side::Answered,
            ..Exchange::new(request, outcome, at, Duration::ZERO)
        };
        log.exchanges.push(exchange);
        Some((log.taken + log.exchanges.len() - 1, reply))
    }

    /// Answers as told: what was answered, and whether the connection may go on.
    async fn play(&self, stream: &mut impl Connection, reply: Reply, receipt: &Receipt) -> (Outcome, bool) {
        let body = receipt.body(reply);
        let failed = |kind, message: &str| {
            let failure = Failure {
                kind,
                message: message.to_owned(),
                begun: false,
            };
            (Outcome::Failure(failure), false)
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // Whoever is gone does not read it: that shows in what comes next.
        match reply {
            Reply::Close => failed(FailureKind::Closed, "the receiver closed the connection"),
            Reply::Reset => match reset(stream) {
                Ok(()) => failed(FailureKind::Closed, "the receiver reset the connection"),
                Err(_) => failed(FailureKind::Closed, "the receiver closed the connection"),
            },
            Reply::ResetInBody => {
                let _gone = stream
                    .write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat())
                    .await;
                let _gone = stream.flush().await;
                match reset(stream) {
                    Ok(()) => failed(
                        FailureKind::Closed,
                        "the receiver reset the connection in the body",
                    ),
                    Err(_) => failed(FailureKind::Closed, "the receiver broke off in the body"),
                }
            }
            Reply::Garbage => {
                let _gone = stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await;
                failed(FailureKind::Malformed, "the receiver sent no HTTP")
            }
            Reply::CutHead => {
                let _gone = stream.write_all(&head.as_bytes()[..40]).await;
                failed(FailureKind::Closed, "the receiver broke off in the head")
            }
            Reply::CutBody => {
                let _gone = stream
                    .write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat())
                    .await;
                failed(FailureKind::Closed, "the receiver broke off in the body")
            }
            Reply::CutBeforeLength => {
                let longer = head.replace(
                    &format!(": {}\r", body.len()),
                    &format!(": {}\r", body.len() + 64),
                );
                let _gone = stream.write_all(&[longer.as_bytes(), &body].concat()).await;
                failed(
                    FailureKind::Closed,
                    "the receiver broke off before the announced length",
                )
            }
            Reply::CutChunks => {
                let head =
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                let chunk = [format!("{head}{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat();
                let _gone = stream.write_all(&chunk).await;
                failed(
                    FailureKind::Closed,
                    "the receiver broke off before the last chunk",
                )
            }
            Reply::Silent => {
                gone(stream).await;
                failed(FailureKind::Timeout, "the receiver stayed silent")
            }
            Reply::Trickle | Reply::Endless => {
                endless(stream, reply == Reply::Trickle).await;
                failed(FailureKind::Timeout, "the receiver did not come to an end")
            }
            _ => self.whole(stream, reply, body).await,
        }
    }

    /// A whole answer.
    async fn whole<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        reply: Reply,
        body: Vec<u8>,
    ) -> (Outcome, bool) {
        let status = reply.status();
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        if reply == Reply::Html {
            headers[0].1 = "text/html".to_owned();
        }
        let body = match reply {
            Reply::Redirect(_) | Reply::RedirectOverHttps(_) => {
                let (http, https) = lock(&self.elsewhere).clone();
                let is_plain = matches!(reply, Reply::Redirect(_));
                headers.push(("Location".to_owned(), if is_plain { http } else { https }));
                b"{}".to_vec()
            }
            _ => body,
        };
        let reason = http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Status"));
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if status != 204 {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let written = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        let flushed = stream.flush().await;
        let answer = Answer {
            status,
            headers,
            body: Body::from(body),
        };
        (Outcome::Answer(answer), written.is_ok() && flushed.is_ok())
    }
}

/// Makes the end of a connection a reset: what is not sent yet is thrown away.
fn reset(stream: &impl Connection) -> std::io::Result<()> {
    stream.tcp().set_zero_linger()
}

/// Waits until the other side is gone.
async fn gone<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut rest = Vec::new();
    let leaves = async { while more(stream, &mut rest).await {} };
    // Whoever stays for so long is ended by the driver.
    let _late = tokio::time::timeout(LONGEST_SILENCE, leaves).await;
}

/// A body that does not end: a byte now and then, or much at once and then nothing.
async fn endless<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, is_slow: bool) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let piece = if is_slow {
        b"1\r\n \r\n".to_vec()
    } else {
        [b"10000\r\n".as_slice(), &[b' '; 65536], b"\r\n"].concat()
    };
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < LONGEST_SILENCE {
        if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        sent += piece.len();
        if is_slow {
            tokio::time::sleep(TRICKLE_TIME).await;
        } else if sent >= ENDLESS_BYTES {
            return gone(stream).await;
        }
    }
}

/// The header fields, but for those that HTTP itself needs.
fn fields(headers: &[(String, String)]) -> Vec<(String, String)> {
    let needed = ["host", "content-length", "connection", "transfer-encoding"];
    let own = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    own.filter(|(name, _)| !needed.contains(&name.as_str())).collect()
}
