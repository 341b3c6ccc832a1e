//! Opening connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::endpoint::{Endpoint, Host};
use super::phrases::{failure, spoken};
use super::prompt::Prompt;
use super::raw_stream::Stream;
use super::{Failure, FailureKind, Headers, Proxy, tls};

/// A service, and how to get there.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) endpoint: Endpoint,
    pub(super) proxy: Option<Proxy>,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// The configured headers for it.
    pub(super) extra: Headers,
}

/// Opens a connection to `site` that is ready for a request.
pub(super) async fn connect(site: &Site, limit: Duration) -> Result<Connection, Failure> {
    let reached = reach(site, limit).await?;
    Connection::open(reached.stream, reached.watch, site.tls.is_some()).await
}

/// A byte stream to a site, through TLS where the site wants it.
pub(super) struct Reached {
    pub(super) stream: Box<dyn Stream>,
    /// Another handle of the same socket.
    pub(super) watch: OwnedFd,
}

/// Opens a byte stream to `site`.
pub(super) async fn reach(site: &Site, limit: Duration) -> Result<Reached, Failure> {
    let deadline = Instant::now() + limit;
    let reached = async {
        match &site.proxy {
            None => dial(&site.endpoint, deadline).await,
            Some(proxy) => {
                proxy
                    .tunnel(&site.endpoint, dial(proxy.endpoint(), deadline))
                    .await
            }
        }
    };
    let socket = match timeout_at(deadline, reached).await {
        Ok(done) => done?,
        Err(_) => return Err(too_slow(&site.endpoint, limit)),
    };
    let tcp = Socket::new(socket).map_err(|error| no_connection(&site.endpoint, &error))?;
    match &site.tls {
        None => Ok(Reached {
            stream: Box::new(tcp.stream),
            watch: tcp.watch,
        }),
        Some(tls) => {
            let shaken = timeout_at(deadline, tls.0.connect(tls.1.clone(), tcp.stream)).await;
            let stream = shaken
                .map_err(|_| slow_handshake(limit))?
                .map_err(|error| no_tls(&error))?;
            Ok(Reached {
                stream: Box::new(stream),
                watch: tcp.watch,
            })
        }
    }
}

/// A connected socket, and a second handle to look at it with.
struct Socket {
    stream: Prompt,
    watch: OwnedFd,
}

impl Socket {
    fn new(stream: TcpStream) -> io::Result<Socket> {
        use rustix::fd::AsFd;
        stream.set_nodelay(true)?;
        let watch = stream.as_fd().try_clone_to_owned()?;
        let stream = Prompt(stream);
        Ok(Socket { stream, watch })
    }
}

/// Tries the host's addresses in turn, each with its share of the time.
async fn dial(endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, Failure> {
    let addresses = resolve(endpoint).await?;
    let mut failed = failure(FailureKind::Connect, format!("{endpoint} has no address"));
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index).try_into().unwrap_or(1);
        failed = match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) if is_own_echo(&stream) => no_connection(address, &refused()),
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => no_connection(address, &error),
            Err(_) => too_slow(address, share),
        };
    }
    Err(failed)
}

/// Whether we have reached ourselves: where nobody listens at a port of this machine, the system may pick that very port
/// as ours, and TCP lets the two ends of one socket shake hands.
fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(ours), Ok(theirs)) if ours == theirs)
}

fn refused() -> io::Error {
    io::ErrorKind::ConnectionRefused.into()
}

async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Failure> {
    let port = endpoint.port();
    match endpoint.host() {
        Host::Address(address) => Ok(vec![SocketAddr::new(*address, port)]),
        Host::Name(name) => match lookup_host((name.as_str(), port)).await {
            Ok(found) => Ok(found.collect()),
            Err(_) => Err(failure(
                FailureKind::Connect,
                format!("the name {name} is not known"),
            )),
        },
    }
}

fn no_connection(whither: &impl std::fmt::Display, error: &io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused at {whither}"),
        _ => format!("no connection to {whither}: {error}"),
    };
    failure(FailureKind::Connect, message)
}

fn too_slow(whither: &impl std::fmt::Display, limit: Duration) -> Failure {
    failure(
        FailureKind::Connect,
        format!("no connection to {whither} within {}", spoken(limit)),
    )
}

fn slow_handshake(limit: Duration) -> Failure {
    failure(
        FailureKind::Tls,
        format!("the TLS handshake was not done within {}", spoken(limit)),
    )
}

fn no_tls(error: &io::Error) -> Failure {
    tls::explain(error).unwrap_or_else(|| {
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the connection was closed during the TLS handshake".to_owned(),
            io::ErrorKind::ConnectionReset => "the connection was reset during the TLS handshake".to_owned(),
            _ => format!("the TLS handshake failed: {error}"),
        };
        failure(FailureKind::Tls, message)
    })
}
