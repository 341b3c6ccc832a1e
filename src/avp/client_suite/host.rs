//! The server that the harness plays: two origins, each with a reference server behind it, that write every request down and
//! answer as the case says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::cases::{Canned, Deed, Rule};
use super::forge::{Forger, Written};
use super::marks::ELSEWHERE;
use crate::avp::Operation;
use crate::avp::VAULT;
use crate::avp::server::{Answered, Inside, Options, Pieces, find_variation};
use crate::catalogue::OperationName;
use crate::http::{Answer, Body, Exchange, Failure, FailureKind, Headers, Outcome, Request, Side};
use crate::serve::{Authority, Certificate, TlsError};
use crate::subject::Told;

/// How long a client may take for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// How long it may take for a body.
const BODY_TIME: Duration = Duration::from_secs(30);
/// A larger body is not read.
const LARGEST_BODY_BYTES: usize = 16 << 20;
/// A case takes no more requests: further connections are closed without an answer.
pub(super) const MOST_REQUESTS: usize = 600;
/// All bodies of a case together; what is beyond is not kept.
const MOST_KEPT_BYTES: usize = 48 << 20;

/// The server of one case. Dropping it ends it.
pub(super) struct Host {
    home: SocketAddr,
    other: SocketAddr,
    shared: Arc<Shared>,
    accepting: Vec<AbortHandle>,
    /// The file with the certificate of the authority; none without TLS.
    authority: Option<NamedTempFile>,
}

struct Shared {
    home: Mutex<Arc<Inside>>,
    other: Inside,
    forger: Forger,
    began: Instant,
    log: Mutex<Log>,
    /// Where the other origin is.
    elsewhere: Mutex<String>,
}

#[derive(Default)]
struct Log {
    step: Option<usize>,
    rules: Vec<(Rule, usize)>,
    exchanges: Vec<Exchange>,
    kept: usize,
    refused: usize,
}

impl Host {
    /// Listens at two free ports of this machine; over TLS, with certificates by an authority of its own, where that is wanted.
    ///
    /// # Errors
    /// There are no ports, or no certificate can be made: one sentence.
    pub(super) async fn start(forger: Forger, began: Instant, with_tls: bool) -> Result<Host, String> {
        let said = |error: std::io::Error| error.to_string();
        let (acceptor, authority) = match with_tls {
            true => certified().map(|(acceptor, file)| (Some(acceptor), Some(file)))?,
            false => (None, None),
        };
        let shared = Arc::new(Shared {
            home: Mutex::new(Arc::new(Inside::new(&Options::default()))),
            other: Inside::new(&Options::default()),
            forger,
            began,
            log: Mutex::default(),
            elsewhere: Mutex::default(),
        });
        let (mut addresses, mut accepting) = (Vec::new(), Vec::new());
        for is_home in [true, false] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(said)?;
            addresses.push(listener.local_addr().map_err(said)?);
            let task = tokio::spawn(accept(listener, acceptor.clone(), Arc::clone(&shared), is_home));
            accepting.push(task.abort_handle());
        }
        let host = Host {
            home: addresses[0],
            other: addresses[1],
            shared,
            accepting,
            authority,
        };
        *lock(&host.shared.elsewhere) = host.elsewhere();
        Ok(host)
    }

    /// Where the client is told that the server is.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.home)
    }

    /// What a client is told of it.
    pub(super) fn told(&self) -> Told {
        Told {
            url: self.url(),
            authority: self.authority.as_ref().map(|file| file.path().to_owned()),
        }
    }

    fn scheme(&self) -> &'static str {
        match self.authority {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Where the other origin is.
    pub(super) fn elsewhere(&self) -> String {
        format!("{}://{}", self.scheme(), self.other)
    }

    /// A step begins, with its rules.
    pub(super) fn begin(&self, step: Option<usize>, rules: &[Rule]) {
        let mut log = lock(&self.shared.log);
        log.step = step;
        log.rules = rules.iter().map(|rule| (rule.clone(), 0)).collect();
    }

    /// A fresh server takes the place of the first, with these freedoms.
    pub(super) fn replace(&self, freedoms: &[String]) {
        let options = Options {
            freedoms: freedoms.iter().filter_map(|name| find_variation(name)).collect(),
            ..Options::default()
        };
        *lock(&self.shared.home) = Arc::new(Inside::new(&options));
    }

    /// Writes as a member. The error is one sentence.
    pub(super) fn write_as(&self, member: &str, repo: &str, what: Written<'_>) -> Result<(), String> {
        let inside = Arc::clone(&lock(&self.shared.home));
        self.shared.forger.write(&inside, member, repo, what)
    }

    /// What was asked so far, in the order in which it was answered.
    pub(super) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut lock(&self.shared.log).exchanges)
    }

    /// How many requests were not taken any more.
    pub(super) fn refused(&self) -> usize {
        lock(&self.shared.log).refused
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.iter().for_each(AbortHandle::abort);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What accepts connections over TLS, and the file with the certificate of the authority behind it. The error is one sentence.
fn certified() -> Result<(TlsAcceptor, NamedTempFile), String> {
    let said = |error: TlsError| error.to_string();
    let authority = Authority::new().map_err(said)?;
    let acceptor = authority
        .certify(Certificate::Good)
        .and_then(|tls| tls.acceptor(&["http/1.1"]))
        .map_err(said)?;
    let file = NamedTempFile::with_suffix(".pem").and_then(|file| {
        std::fs::write(file.path(), &authority.pem)?;
        Ok(file)
    });
    let file = file.map_err(|error| format!("the authority's certificate cannot be written: {error}"))?;
    Ok((acceptor, file))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, is_home: bool) {
    // Connections end with the server that took them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _slow = stream.set_nodelay(true);
                    connections.spawn(greet(stream, tls.clone(), Arc::clone(&shared), is_home));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>, is_home: bool) {
    match tls {
        None => converse(stream, shared, is_home).await,
        // Who does not trust the certificate goes away, and has asked nothing.
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIME, tls.accept(stream)).await {
                converse(stream, shared, is_home).await;
            }
        }
    }
}

async fn converse<S>(stream: S, shared: Arc<Shared>, is_home: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { respond(&shared, request, is_home).await }
    });
    // A client that breaks off or breaks the framing ends its own connection, nothing else.
    let _broken = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A client that asks for ever gets no answer any more.
#[derive(Debug, thiserror::Error)]
#[error("too many requests")]
struct TooMany;

async fn respond(
    shared: &Shared,
    request: http::Request<Incoming>,
    is_home: bool,
) -> Result<http::Response<Pieces>, TooMany> {
    let at = shared.began.elapsed();
    {
        let mut log = lock(&shared.log);
        if log.exchanges.len() >= MOST_REQUESTS {
            log.refused += 1;
            return Err(TooMany);
        }
    }
    let (head, body) = request.into_parts();
    let reading = tokio::time::timeout(BODY_TIME, Limited::new(body, LARGEST_BODY_BYTES).collect());
    let body = match reading.await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        _ => Vec::new(),
    };
    let path = head.uri.path().to_owned();
    let whole = head
        .uri
        .path_and_query()
        .map_or(path.clone(), ToString::to_string);
    let operation = operation(head.method.as_str(), &path);
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        path,
        headers: head.headers,
        body,
    };
    let (answered, spoiled) = match is_home {
        true => shared.answer(&asked, operation),
        false => (
            shared
                .other
                .answer(&asked.method, &asked.path, &asked.headers, asked.body.clone()),
            None,
        ),
    };
    shared.write_down(&asked, whole, operation, is_home, at, &answered, spoiled);
    let version = match answered.http10 {
        true => http::Version::HTTP_10,
        false => http::Version::HTTP_11,
    };
    let mut response = http::Response::builder().status(answered.status).version(version);
    for (name, value) in &answered.headers {
        response = response.header(name, value);
    }
    let response = response.body(Pieces::of(answered.body, answered.chunked));
    Ok(response.unwrap_or_else(|_| http::Response::new(Pieces::of(Vec::new(), false))))
}

struct Asked {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Shared {
    /// The answer, and how it deviates from what the reference server says.
    fn answer(&self, asked: &Asked, operation: Option<Operation>) -> (Answered, Option<String>) {
        let inside = Arc::clone(&lock(&self.home));
        let headers = self.own_headers(&asked.headers);
        let execute = || inside.answer(&asked.method, &asked.path, &headers, asked.body.clone());
        let Some(deed) = operation.and_then(|operation| self.deed(operation)) else {
            return (execute(), None);
        };
        match deed {
            Deed::Answer(canned) => {
                let about = format!("answered {} and not executed", canned.status);
                (self.canned(&canned), Some(about))
            }
            Deed::Redirect(status) => {
                let target = format!("{}{}", lock(&self.elsewhere), asked.path);
                let answered = Answered {
                    status,
                    headers: vec![("location".to_owned(), target)],
                    body: Vec::new(),
                    chunked: false,
                    http10: false,
                };
                (
                    answered,
                    Some("sent to another host, and not executed".to_owned()),
                )
            }
            Deed::OtherWrites(other) => {
                let repo = body_repo(&asked.body);
                let wrote = self
                    .forger
                    .write(&inside, &other.member, &repo, Written::Alts(&other.alts));
                let about = match wrote {
                    Ok(()) => format!("{} wrote just before", other.member),
                    Err(why) => format!("{} could not write before: {why}", other.member),
                };
                (execute(), Some(about))
            }
            Deed::Alter(alteration) => {
                let mut answered = execute();
                let altered = self.forger.alter(alteration, &mut answered);
                (answered, altered.then(|| alteration.about().to_owned()))
            }
        }
    }

    /// The header fields of a request, with the server's own token where it was given another form of it.
    fn own_headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut headers = headers.clone();
        let token = headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = token
            .and_then(|value| value.split_once(' '))
            .map(|(_, token)| token.to_owned());
        let own = token.and_then(|token| self.forger.own_token(&token));
        if let Some(value) = own.and_then(|own| format!("Bearer {own}").parse().ok()) {
            headers.insert("authorization", value);
        }
        headers
    }

    /// What is to be done with this request of an operation: the first rule decides that has its turn.
    fn deed(&self, operation: Operation) -> Option<Deed> {
        let mut log = lock(&self.log);
        let mut deed = None;
        for (rule, seen) in log.rules.iter_mut().filter(|(rule, _)| rule.on == operation) {
            *seen += 1;
            if deed.is_none() && *seen > rule.skip && *seen <= rule.skip + rule.times {
                deed = Some(rule.deed.clone());
            }
        }
        deed
    }

    fn canned(&self, canned: &Canned) -> Answered {
        let mut headers = Vec::new();
        if let Some(told) = &canned.retry_after {
            let date = || {
                let now = SystemTime::now();
                let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs() + 2))
            };
            let value = if told == "date" { date() } else { told.clone() };
            headers.push(("retry-after".to_owned(), value));
        }
        let body = match &canned.body {
            Some(body) => {
                headers.push(("content-type".to_owned(), "text/html".to_owned()));
                body.clone().into_bytes()
            }
            None if canned.status < 300 => Vec::new(),
            None => {
                let mut error = json!({ "error": "refused by the test" });
                if let Some(code) = &canned.code {
                    error["code"] = code.as_str().into();
                }
                if canned.more {
                    error["requestId"] = "7f".into();
                    error["hints"] = json!(["none"]);
                }
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
                error.to_string().into_bytes()
            }
        };
        Answered {
            status: canned.status,
            headers,
            body,
            chunked: false,
            http10: false,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of one exchange")]
    fn write_down(
        &self,
        asked: &Asked,
        path: String,
        operation: Option<Operation>,
        is_home: bool,
        at: Duration,
        answered: &Answered,
        spoiled: Option<String>,
    ) {
        let mut log = lock(&self.log);
        log.kept += asked.body.len() + answered.body.len();
        let is_over = log.kept > MOST_KEPT_BYTES;
        let keep = |bytes: &[u8]| Body::from(if is_over { Vec::new() } else { bytes.to_vec() });
        let request = Request {
            service: VAULT,
            method: asked.method.clone(),
            path: if is_home {
                path
            } else {
                format!("{ELSEWHERE}{path}")
            },
            headers: fields(&asked.headers),
            body: (!asked.body.is_empty()).then(|| keep(&asked.body)),
        };
        let outcome = Outcome::Answer(Answer {
            status: answered.status,
            headers: answered.headers.clone(),
            body: keep(&answered.body),
        });
        let exchange = Exchange {
            step: log.step,
            operation: operation.map(|operation| OperationName::new(operation.name())),
            spoiled,
            side: Side::Answered,
            ..Exchange::new(request, outcome, at, self.began.elapsed().saturating_sub(at))
        };
        log.exchanges.push(exchange);
    }
}

/// The repository that a body names.
fn body_repo(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["repoId"].as_str().unwrap_or_default().to_owned()
}

fn fields(headers: &HeaderMap) -> Headers {
    let left_out = ["host", "content-length"];
    let fields = headers
        .iter()
        .filter(|(name, _)| !left_out.contains(&name.as_str()));
    fields
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

/// The operation of a request, by its path.
pub(super) fn operation(method: &str, path: &str) -> Option<Operation> {
    let fits = |operation: &Operation| {
        let wanted: Vec<&str> = operation.route().split('/').collect();
        let found: Vec<&str> = path.split('/').collect();
        let same =
            |(wanted, found): (&&str, &&str)| wanted.starts_with('{') && !found.is_empty() || wanted == found;
        operation.method() == method && wanted.len() == found.len() && wanted.iter().zip(&found).all(same)
    };
    Operation::ALL.into_iter().find(fits)
}

/// No answer came to a command.
pub(super) fn no_answer(kind: FailureKind, message: String) -> Outcome {
    Outcome::Failure(Failure {
        kind,
        message,
        begun: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_their_paths() {
        let of = |method, path| operation(method, path);
        assert_eq!(of("POST", "/v1/repos"), Some(Operation::CreateRepo));
        assert_eq!(of("POST", "/v1/repos/a%2Fb/push"), Some(Operation::Push));
        assert_eq!(of("GET", "/v1/repos/r/member/x"), Some(Operation::FetchMemberKey));
        assert_eq!(of("GET", "/v1/repos/r/member/x/y"), None);
        assert_eq!(of("GET", "/v1/repos/r/push"), None);
        assert_eq!(of("POST", "/v1/repos//push"), None);
    }
}
