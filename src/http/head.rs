//! A request as bytes.

use bytes::Bytes;

use super::phrases::failure;
use super::{Endpoint, Failure, FailureKind, Headers, Request};

/// Bytes to send, and what must be known of them to read the answer.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// What goes out.
    pub(super) bytes: Bytes,
    /// How many of them are the head.
    pub(super) head: usize,
    /// Whether an answer has no body, whatever its head says.
    pub(super) is_head: bool,
    /// Whether the request has a body that a server might leave unread.
    pub(super) has_body: bool,
    /// Whether the request offers to go on in another protocol.
    pub(super) offers_upgrade: bool,
}

impl Message {
    /// The request as it goes to `endpoint`, with the configured headers.
    pub(super) fn new(request: &Request, endpoint: &Endpoint, extra: &Headers) -> Result<Message, Failure> {
        check(request)?;
        let mut bytes = head(request, endpoint, extra).into_bytes();
        let length = bytes.len();
        let body = request.body.as_ref().map_or(&[][..], |body| body.as_bytes());
        if has(&request.headers, "transfer-encoding") {
            chunk(&mut bytes, body);
        } else {
            bytes.extend_from_slice(body);
        }
        Ok(Message {
            bytes: bytes.into(),
            head: length,
            is_head: request.method.eq_ignore_ascii_case("HEAD"),
            has_body: !body.is_empty(),
            offers_upgrade: has(&request.headers, "upgrade"),
        })
    }

    /// Exact bytes, which may be no request at all.
    pub(super) fn raw(bytes: &[u8]) -> Message {
        let is_head = bytes.starts_with(b"HEAD ");
        Message {
            bytes: Bytes::copy_from_slice(bytes),
            head: bytes.len(),
            is_head,
            has_body: true,
            offers_upgrade: false,
        }
    }
}

/// The body in the chunked transfer coding (RFC 9112, 7.1), in two chunks where it is long enough. Between them is the middle of
/// the first character that has more than one byte, if there is one: chunks are bytes.
fn chunk(bytes: &mut Vec<u8>, body: &[u8]) {
    let longer = body.iter().position(|byte| !byte.is_ascii());
    let at = longer.map_or(body.len() / 2, |start| (start + 1).min(body.len()));
    let (first, rest) = body.split_at(at);
    for piece in [first, rest].into_iter().filter(|piece| !piece.is_empty()) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
}

/// Whether a header field can be sent at all.
pub(super) fn is_sendable(name: &str, value: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let text = |byte: u8| byte == b'\t' || !byte.is_ascii_control();
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(text)
}

/// What would make two requests of one is never sent from here; exact bytes have a way of their own.
fn check(request: &Request) -> Result<(), Failure> {
    let one_line = |text: &str| !text.contains(['\r', '\n', '\0']);
    if !one_line(&request.method) || !one_line(&request.path) {
        return Err(unsendable("its method or path holds a line break"));
    }
    match request
        .headers
        .iter()
        .find(|(name, value)| !is_sendable(name, value))
    {
        Some((name, _)) => Err(unsendable(&format!(
            "the value of its header {name:?} cannot stand in a header"
        ))),
        None => Ok(()),
    }
}

fn unsendable(why: &str) -> Failure {
    failure(
        FailureKind::Malformed,
        format!("the request could not be sent: {why}"),
    )
}

fn head(request: &Request, endpoint: &Endpoint, extra: &Headers) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, endpoint.join(&request.path));
    let mut fields = Fields {
        head: &mut head,
        request,
    };
    fields.add_unless_given("host", &endpoint.authority());
    for (name, value) in &request.headers {
        fields.add(name, value);
    }
    for (name, value) in extra {
        fields.add_unless_given(name, value);
    }
    if !has(extra, "user-agent") {
        fields.add_unless_given("user-agent", concat!("avp-conform/", env!("CARGO_PKG_VERSION")));
    }
    // Without it a server may choose a coding that nobody here reads (RFC 9110, 12.5.3).
    fields.add_unless_given("accept-encoding", "identity");
    if let Some(length) = length(request) {
        fields.add_unless_given("content-length", &length.to_string());
    }
    head.push_str("\r\n");
    head
}

struct Fields<'a> {
    head: &'a mut String,
    request: &'a Request,
}

impl Fields<'_> {
    fn add(&mut self, name: &str, value: &str) {
        self.head.extend([name, ": ", value, "\r\n"]);
    }

    /// The request's own word on a header stands, even where it is a lie.
    fn add_unless_given(&mut self, name: &str, value: &str) {
        if !has(&self.request.headers, name) {
            self.add(name, value);
        }
    }
}

fn has(headers: &Headers, name: &str) -> bool {
    headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
}

fn length(request: &Request) -> Option<usize> {
    if has(&request.headers, "transfer-encoding") {
        return None;
    }
    match &request.body {
        Some(body) => Some(body.len()),
        None => matches!(request.method.as_str(), "POST" | "PUT" | "PATCH").then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_really_in_chunks() {
        let mut bytes = Vec::new();
        chunk(&mut bytes, b"{\"a\":1}");
        assert_eq!(bytes, b"3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n");
        bytes.clear();
        chunk(&mut bytes, "\"ö\"".as_bytes());
        assert_eq!(bytes, b"2\r\n\"\xc3\r\n2\r\n\xb6\"\r\n0\r\n\r\n");
        bytes.clear();
        chunk(&mut bytes, b"");
        assert_eq!(bytes, b"0\r\n\r\n");
    }
    use crate::http::Service;

    fn request(method: &str, path: &str, body: Option<&str>) -> Request {
        Request {
            service: Service::new("vault"),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![("Authorization".to_owned(), "Bearer t".to_owned())],
            body: body.map(Into::into),
        }
    }

    fn sent(request: &Request, extra: &Headers) -> String {
        let endpoint = Endpoint::parse("http://h:1/b").unwrap();
        let message = Message::new(request, &endpoint, extra).unwrap();
        String::from_utf8(message.bytes.to_vec())
            .unwrap()
            .replace(env!("CARGO_PKG_VERSION"), "0")
    }

    #[test]
    fn the_path_goes_out_as_written() {
        let text = sent(&request("POST", "/v1/../a%2Fb+=\\%zz é", Some("{}")), &vec![]);
        let expected = "POST /b/v1/../a%2Fb+=\\%zz é HTTP/1.1\r\nhost: h:1\r\nAuthorization: Bearer t\r\n\
            user-agent: avp-conform/0\r\naccept-encoding: identity\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(text, expected);
    }

    #[test]
    fn configured_headers_never_replace_the_requests_own() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let extra = vec![
            pair("authorization", "Basic x"),
            pair("X-Key", "k"),
            pair("User-Agent", "me"),
        ];
        let text = sent(&request("GET", "/", None), &extra);
        let expected = "GET /b/ HTTP/1.1\r\nhost: h:1\r\nAuthorization: Bearer t\r\nX-Key: k\r\nUser-Agent: me\r\n\
             accept-encoding: identity\r\n\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_can_smuggle_a_second_request() {
        let endpoint = Endpoint::parse("http://h").unwrap();
        let mut smuggled = request("GET", "/", None);
        smuggled.headers[0].1.push_str("\r\nx: y");
        for bad in [
            smuggled,
            request("GET", "/ HTTP/1.1\r\n", None),
            request("G\nET", "/", None),
        ] {
            assert_eq!(
                Message::new(&bad, &endpoint, &vec![]).unwrap_err().kind,
                FailureKind::Malformed
            );
        }
    }
}
