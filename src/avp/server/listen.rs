//! The running server: a listener and a runtime of its own, so that nothing that goes wrong in it can pass for
//! something that went wrong in its caller.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

use super::connection::{self, Site};
use super::options::Options;
use super::state::{Lifetimes, State};
use crate::serve::{Log, TlsError};

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long to pause when the system has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running server. Dropping it ends it at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    site: Arc<Site>,
    runtime: Option<Runtime>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No runtime could be had.
    #[error("cannot start the server's threads: {0}")]
    Runtime(io::Error),
    /// The certificate cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Binds, then serves on threads of its own until it is dropped.
    ///
    /// # Errors
    /// The address cannot be listened on, the certificate cannot be served, or the system gives no threads.
    pub fn start(options: Options) -> Result<Server, StartError> {
        let protocols: &[&str] = if options.grpc {
            &["h2", "http/1.1"]
        } else {
            &["http/1.1"]
        };
        let acceptor = options.tls.as_ref().map(|tls| tls.acceptor(protocols));
        let acceptor = acceptor.transpose()?;
        let runtime = runtime().map_err(StartError::Runtime)?;
        let listener = bind(&runtime, options.bind).map_err(|source| StartError::Bind {
            address: options.bind,
            source,
        })?;
        let address = listener.local_addr().map_err(StartError::Runtime)?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let site = Arc::new(Site {
            state: state(&options),
            body_limit: options.body_limit,
            log: options.log.map(|write| Log::new(write, &deviations(&options))),
            connections: AtomicU64::default(),
        });
        runtime.spawn(accept(listener, acceptor, Arc::clone(&site)));
        Ok(Server {
            address,
            scheme,
            site,
            runtime: Some(runtime),
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, `http://127.0.0.1:8787`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Where it speaks gRPC, if it does: `grpc://127.0.0.1:8787`.
    pub fn grpc(&self) -> Option<String> {
        let scheme = if self.scheme == "https" { "grpcs" } else { "grpc" };
        let speaks = self.site.state.speaks_grpc;
        speaks.then(|| format!("{scheme}://{}", self.address))
    }

    /// How often the deviation of this name took effect; never, if it was not started with it.
    pub fn fired(&self, name: &str) -> u64 {
        self.site.state.fired(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Does not wait, so that it may be called from asynchronous code.
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("avp-server")
        .enable_all()
        .build()
}

fn bind(runtime: &Runtime, address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let _inside = runtime.enter();
    TcpListener::from_std(listener)
}

fn deviations(options: &Options) -> Vec<&'static str> {
    let faults = options.faults.iter().map(|fault| fault.name);
    let freedoms = options.freedoms.iter().map(|variation| variation.name);
    options
        .behaviour
        .name()
        .into_iter()
        .chain(faults)
        .chain(freedoms)
        .collect()
}

/// What a server holds that was started so.
pub(super) fn state(options: &Options) -> State {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2);
    let lifetimes = Lifetimes {
        nonce: millis(options.nonce_lifetime),
        token: millis(options.token_lifetime),
    };
    let state = State::new(options.behaviour, &options.faults, &options.freedoms, lifetimes);
    state.speaking_grpc(options.grpc)
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, site: Arc<Site>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&site)))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, site: Arc<Site>) {
    // Answers are written at once; waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return connection::serve(site, stream).await;
    };
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
        connection::serve(site, stream).await;
    }
}
