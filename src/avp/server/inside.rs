//! The reference server without a transport of its own: a request is answered by a call. For whoever stands between it and
//! a client.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};

use super::answer::Manner;
use super::core;
use super::listen::state;
use super::options::Options;
use super::request::{Body, Request};
use super::state::State;

/// A reference server that is called.
#[derive(Debug)]
pub struct Inside(State);

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// Header fields, the content type among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body is to be sent in chunks.
    pub chunked: bool,
    /// Whether it is an answer of HTTP/1.0, which ends its connection.
    pub http10: bool,
}

impl Inside {
    /// A server that behaves so; address, certificate and limits of a transport mean nothing to it.
    pub fn new(options: &Options) -> Inside {
        Inside(state(options))
    }

    /// Answers a request. `path` is the escaped path, without a query.
    pub fn answer(&self, method: &str, path: &str, headers: &HeaderMap, body: Vec<u8>) -> Answered {
        let header = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            authorization: header(AUTHORIZATION),
            content_type: header(CONTENT_TYPE),
            host: header(HOST),
            headers: headers.clone(),
            body: Body::Whole(body),
            admitted: false,
            connection: 0,
        };
        let answer = core::handle(&self.0, &request);
        let (content_type, body) = answer.content();
        let mut all: Vec<(String, String)> = Vec::new();
        if !content_type.is_empty() {
            all.push(("content-type".to_owned(), content_type.to_owned()));
        }
        all.extend(answer.headers.iter().cloned());
        Answered {
            status: answer.status,
            headers: all,
            body,
            chunked: answer.manner == Manner::Chunked,
            http10: answer.manner == Manner::Http10,
        }
    }
}
