//! What travels between the harness and a target: plain data, and the client that moves it.
//!
//! A [`Client`] knows the target; each actor of each case has a [`Connections`] of its own to it, which owns its connections.

mod answer;
mod attempt;
mod cancel;
mod client;
mod concurrency;
mod connect;
mod connection;
mod connections;
mod endpoint;
mod errors;
mod exchange;
mod grpc;
mod head;
mod options;
mod phrases;
mod prompt;
mod proxy;
mod rate_limit;
mod raw_stream;
mod speaks;
mod throttling;
mod timeouts;
mod tls;

pub use attempt::Sent;
pub use cancel::Cancel;
pub use client::Client;
pub use concurrency::{Away, Concurrency};
pub use connections::{Connections, Loaded, Primed};
pub use endpoint::{Endpoint, EndpointError};
pub use exchange::{
    Answer, Body, Exchange, Failure, FailureKind, Headers, Jwt, Outcome, Over, Request, Role, Service, Side,
    Wire, is_of_gateway, micros,
};
pub use grpc::frame as grpc_frame;
pub use grpc::{CANCEL, GRPC_CONTENT_TYPE, GrpcCodec, GrpcOptions, status_name};
pub use options::{ClientError, ClientOptions, DEFAULT_MAX_BODY, ServiceOptions, TlsOptions};
pub use proxy::{Proxy, ProxyError};
pub use rate_limit::RateLimit;
pub use speaks::{speaks_http1, speaks_http2, speaks_tls};
pub use throttling::{Throttling, Waiting};
pub use timeouts::Timeouts;
