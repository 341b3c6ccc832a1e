//! What travels between the harness and a target: plain data, and the client that moves it.
//!
//! A [`Client`] knows the target; each actor of each case has a [`Lane`] of its own to it, which owns its connections.

mod answer;
mod client;
mod concurrency;
mod connect;
mod endpoint;
mod exchange;
mod halt;
mod head;
mod lane;
mod link;
mod options;
mod pace;
mod patience;
mod prompt;
mod proxy;
mod refusals;
mod tap;
mod tls;
mod trip;
mod trouble;
mod words;

pub use client::Client;
pub use concurrency::{Away, Concurrency};
pub use endpoint::{Endpoint, EndpointError};
pub use exchange::{
    Answer, Body, Exchange, Failure, FailureKind, Headers, Jwt, Outcome, Request, Role, Service,
};
pub use halt::Halt;
pub use lane::{Lane, Loaded, Primed};
pub use options::{ClientError, ClientOptions, DEFAULT_MAX_BODY, TlsOptions};
pub use pace::Pace;
pub use patience::Patience;
pub use proxy::{Proxy, ProxyError};
pub use refusals::{Refusals, Waiting};
pub use trip::Sent;
