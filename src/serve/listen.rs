//! A listener for reference servers that answer plain requests plainly: HTTP/1.1 on a runtime of its own, so that nothing that
//! goes wrong in it can pass for something that went wrong in its caller.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

use super::{Log, Reference, ServeOptions, StartError};

/// The largest request body that is read, bytes.
const LARGEST_BODY_BYTES: usize = 16 << 20;
/// How long a TLS handshake, and the head of a request, may take.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How many requests a handler may sit on at once: some faults wait in the middle of their work for others to come between.
const WORKERS: usize = 4;
/// How long to pause when the system has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A request, read.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The HTTP method.
    pub method: String,
    /// The escaped path, without a query.
    pub path: String,
    /// Whether the request line named a whole address (RFC 9112, 3.2.2).
    pub is_absolute: bool,
    /// The query as it was sent, if there is one.
    pub query: Option<String>,
    /// Header fields in their order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content type; empty where there is none.
    pub content_type: String,
    /// The body; none where it is larger than the server reads.
    pub body: Option<Bytes>,
}

impl Asked {
    /// The values of a header field, joined as one; none where it is not there.
    pub fn header(&self, name: &str) -> Option<String> {
        let own = self.headers.iter().filter(|(known, _)| known == name);
        let values: Vec<&str> = own.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The media type without its parameters, as it was written.
    fn media(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default()
    }

    /// Whether the body is said to be JSON (RFC 9110, 8.3.1: in any case, and whatever parameters follow).
    pub fn is_json(&self) -> bool {
        self.media().eq_ignore_ascii_case("application/json")
    }

    /// What a server refuses that has one of the faults `charset-refused`, `types-in-capitals-refused` and
    /// `chunked-bodies-are-empty`: a status, and why.
    pub fn framing_refused(&self, bends: impl Fn(&'static str) -> bool) -> Option<(u16, &'static str)> {
        let media = self.media();
        if self.is_json() && media != self.content_type && bends("charset-refused")
            || self.is_json() && media != media.to_lowercase() && bends("types-in-capitals-refused")
        {
            return Some((415, "the content type is not known"));
        }
        let is_chunked = self.header("transfer-encoding").is_some();
        (is_chunked && bends("chunked-bodies-are-empty")).then_some((400, "the body is empty"))
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Something that answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The answer to a request.
    fn answer(&self, asked: &Asked) -> Reply;

    /// How often a deviation took effect.
    fn fired(&self, name: &str) -> u64;
}

/// A running server. Dropping it ends it at once.
pub struct Listener {
    address: SocketAddr,
    scheme: &'static str,
    handler: Arc<dyn Handler>,
    runtime: Option<Runtime>,
}

impl Listener {
    /// Binds, then serves on threads of its own until it is dropped.
    ///
    /// # Errors
    /// The address cannot be listened on, or the certificate cannot be served.
    pub fn start(options: &ServeOptions, handler: Arc<dyn Handler>) -> Result<Listener, StartError> {
        let acceptor = options
            .tls
            .as_ref()
            .map(|tls| tls.acceptor(&["http/1.1"]))
            .transpose();
        let acceptor = acceptor.map_err(|error| StartError(Box::new(error)))?;
        let started = bind(options.bind);
        let (runtime, listener) = started
            .map_err(|error| StartError(format!("cannot listen on {}: {error}", options.bind).into()))?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError(Box::new(error)))?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let site = Arc::new(Site {
            handler: Arc::clone(&handler),
            log: options.log(),
        });
        runtime.spawn(accept(listener, acceptor, site));
        Ok(Listener {
            address,
            scheme,
            handler,
            runtime: Some(runtime),
        })
    }
}

impl Reference for Listener {
    fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    fn fired(&self, name: &str) -> u64 {
        self.handler.fired(name)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Does not wait, so that it may be called from asynchronous code.
            runtime.shutdown_background();
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(Runtime, TcpListener)> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("reference-server")
        .enable_all()
        .build()?;
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    Ok((runtime, listener))
}

/// What all connections share.
struct Site {
    handler: Arc<dyn Handler>,
    log: Option<Log>,
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, site: Arc<Site>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Answers are written at once; waiting to fill a segment would only delay them.
        let _ = stream.set_nodelay(true);
        let (acceptor, site) = (acceptor.clone(), Arc::clone(&site));
        tokio::spawn(async move {
            let Some(acceptor) = acceptor else {
                return converse(stream, site).await;
            };
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIME, acceptor.accept(stream)).await {
                converse(stream, site).await;
            }
        });
    }
}

/// Serves requests until the connection ends.
async fn converse<S>(stream: S, site: Arc<Site>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| respond(Arc::clone(&site), request));
    // A client that breaks off or breaks the framing ends its own connection, nothing else.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn field((name, value): (&http::HeaderName, &http::HeaderValue)) -> (String, String) {
    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
    (name.as_str().to_owned(), value)
}

async fn respond(
    site: Arc<Site>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let content_type = head
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let read = Limited::new(body, LARGEST_BODY_BYTES).collect().await;
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        is_absolute: head.uri.authority().is_some(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers.iter().map(field).collect(),
        content_type: content_type.unwrap_or_default().to_owned(),
        body: read.ok().map(http_body_util::Collected::to_bytes),
    };
    let reply = site.handler.answer(&asked);
    if let Some(log) = &site.log {
        log.request(&asked.method, &asked.path, &reply.status, &|name| {
            site.handler.fired(name)
        });
    }
    let mut response = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let response = response.body(Full::from(reply.body));
    Ok(response.unwrap_or_else(|_| http::Response::new(Full::default())))
}
