//! What hyper's errors mean.

use std::error::Error;
use std::io;

use super::connection::{MAX_HEAD_BYTES, MAX_HEADER_FIELDS};
use super::phrases::{bytes, failure, shown};
use super::raw_stream::Traffic;
use super::{Failure, FailureKind, tls};

/// How far the answer had come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Its head was not whole.
    Head,
    /// In its body: so many bytes of so many.
    Body(u64, Option<u64>),
}

/// The failure that an error of hyper's stands for.
pub(super) fn explain(error: &hyper::Error, phase: Phase, traffic: &Traffic) -> Failure {
    if error.is_parse_too_large() {
        let message = format!(
            "the head of the answer is larger than {} KiB or has more than {MAX_HEADER_FIELDS} fields",
            MAX_HEAD_BYTES >> 10
        );
        return failure(FailureKind::TooLarge, message);
    }
    if let Some(cause) = find::<hyper::Error>(error).filter(|cause| cause.is_parse()) {
        return not_http(cause, traffic);
    }
    match find::<io::Error>(error) {
        Some(cause) => explain_io(cause, phase, traffic),
        None if error.is_parse() => not_http(error, traffic),
        None => closed("closed", phase, traffic),
    }
}

fn explain_io(error: &io::Error, phase: Phase, traffic: &Traffic) -> Failure {
    use io::ErrorKind as Kind;
    if let Some(failure) = tls::explain(error) {
        return failure;
    }
    match error.kind() {
        Kind::InvalidData | Kind::InvalidInput => {
            let what = shown(error.to_string().as_bytes());
            let message = format!(
                "the body of the answer is not well framed: {}",
                what.trim_matches('"')
            );
            failure(FailureKind::Malformed, message)
        }
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => closed("reset", phase, traffic),
        _ => closed("closed", phase, traffic),
    }
}

fn not_http(error: &hyper::Error, traffic: &Traffic) -> Failure {
    if traffic.first.starts_with(&[0x15, 3]) {
        return failure(
            FailureKind::Malformed,
            "the answer is a TLS alert: the server wants https",
        );
    }
    let why = error.to_string();
    let why = why.trim_end_matches(" parsed");
    let message = format!(
        "the answer is not HTTP ({why}); it begins {}",
        shown(&traffic.first)
    );
    failure(FailureKind::Malformed, message)
}

fn closed(how: &str, phase: Phase, traffic: &Traffic) -> Failure {
    let when = match phase {
        Phase::Head if traffic.received > 0 => {
            format!("after {} of the head of the answer", bytes(traffic.received))
        }
        Phase::Head if !traffic.is_sent() => "before the whole request was sent".to_owned(),
        Phase::Head => "before any answer".to_owned(),
        Phase::Body(got, Some(expected)) => format!("after {got} of {expected} body bytes"),
        Phase::Body(got, None) => format!("after {got} body bytes, before the end of the body"),
    };
    Failure {
        begun: traffic.received > 0 || matches!(phase, Phase::Body(..)),
        ..failure(FailureKind::Closed, format!("the connection was {how} {when}"))
    }
}

/// The first error of a type among the causes of `error`.
fn find<T: Error + 'static>(error: &hyper::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(cause) = next {
        match cause.downcast_ref() {
            Some(found) => return Some(found),
            None => next = cause.source(),
        }
    }
    None
}
