//! What travels between the harness and a target: plain data, and the client that moves it.

mod exchange;

pub use exchange::{Answer, Body, Exchange, Failure, FailureKind, Headers, Outcome, Request, Role, Service};
