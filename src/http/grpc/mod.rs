//! gRPC: one unary call as an exchange. The bytes of the message and their frame are ours, so that a case can break them; HTTP/2
//! under them is h2's.
//!
//! What a message means, and which HTTP status a gRPC status stands for, is the protocol's: it lends a [`GrpcCodec`]. A request
//! whose content type is that of gRPC carries its frames as they are; any other holds the message as JSON.

mod connection;
mod frame;
mod slot;
mod status;
mod stream;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::answer::Caps;
use super::connect::Site;
use super::phrases::failure;
use super::{Answer, Endpoint, Failure, FailureKind, Headers, Request};

pub use frame::frame;
pub(super) use slot::{GrpcSlot, LoadedCall, PrimedCall};
pub use status::status_name;

/// The content type of gRPC.
pub const GRPC_CONTENT_TYPE: &str = "application/grpc";

/// A header of the harness's own, which never goes out: the call is cancelled so many microseconds after its message has gone
/// out.
pub const CANCEL: &str = "x-harness-cancel";

/// How messages and statuses are to be read: a protocol's own word.
#[derive(Clone, Copy)]
pub struct GrpcCodec {
    /// The message of a call, by its path, from JSON. The error says what cannot be said.
    pub encode: fn(path: &str, json: &[u8]) -> Result<Vec<u8>, String>,
    /// The message of an answer, by the path of its call, as JSON. The error says why it is none.
    pub decode: fn(path: &str, message: &[u8]) -> Result<Vec<u8>, String>,
    /// The HTTP status that a gRPC status stands for; beside it stand the headers and trailers, and the size of the call.
    pub status: fn(code: u32, headers: &Headers, sent: usize) -> u16,
}

impl fmt::Debug for GrpcCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcCodec").finish_non_exhaustive()
    }
}

/// Where a target speaks gRPC, and how.
#[derive(Debug, Clone)]
pub struct GrpcOptions {
    /// The address.
    pub endpoint: Endpoint,
    /// How messages are read.
    pub codec: GrpcCodec,
    /// Whether no HTTP address of the target is known: what is not named is not asked over HTTP.
    pub alone: bool,
}

/// A call as it goes out.
#[derive(Debug, Clone)]
pub(super) struct Call {
    head: http::Request<()>,
    /// Frame and message, or what a case has in their place.
    body: Bytes,
    path: String,
    codec: GrpcCodec,
    /// How long after its message has gone out it is cancelled.
    cancelled_after: Option<Duration>,
}

impl Call {
    /// The call that a request stands for.
    ///
    /// # Errors
    /// The message cannot be said in protobuf, or a header cannot be sent.
    pub(super) fn new(request: &Request, site: &Site, codec: GrpcCodec) -> Result<Call, Failure> {
        let given = |name: &str| request.headers.iter().find(|(key, _)| key == name);
        let is_framed = given("content-type").is_some_and(|(_, value)| value.starts_with(GRPC_CONTENT_TYPE));
        let content = request.body.as_ref().map_or(&[][..], |body| body.as_bytes());
        let body = match is_framed {
            true => Bytes::copy_from_slice(content),
            false => frame(&(codec.encode)(&request.path, content).map_err(|why| unsendable(&why))?),
        };
        Ok(Call {
            head: head(request, site)?,
            body,
            path: request.path.clone(),
            codec,
            cancelled_after: given(CANCEL)
                .and_then(|(_, micros)| micros.parse().ok().map(Duration::from_micros)),
        })
    }
}

fn head(request: &Request, site: &Site) -> Result<http::Request<()>, Failure> {
    let endpoint = &site.endpoint;
    let scheme = if endpoint.is_tls() { "https" } else { "http" };
    let uri: Uri = format!("{scheme}://{}{}", endpoint.authority(), request.path)
        .parse()
        .map_err(|_| unsendable("its path cannot stand in a URI"))?;
    let mut head = http::Request::new(());
    *head.method_mut() = Method::POST;
    *head.version_mut() = Version::HTTP_2;
    *head.uri_mut() = uri;
    let headers = head.headers_mut();
    // The content type of JSON says how the message stands here, and not how it goes out.
    let is_ours =
        |name: &str, value: &str| name == CANCEL || (name, value) == ("content-type", "application/json");
    let own = request
        .headers
        .iter()
        .filter(|(name, value)| !is_ours(name, value));
    for (name, value) in own {
        add(headers, name, value)?;
    }
    for (name, value) in &site.extra {
        add_unless_given(headers, &name.to_ascii_lowercase(), value)?;
    }
    for (name, value) in [
        ("content-type", GRPC_CONTENT_TYPE),
        ("te", "trailers"),
        ("grpc-accept-encoding", "identity,gzip"),
        ("user-agent", concat!("avp-conform/", env!("CARGO_PKG_VERSION"))),
    ] {
        add_unless_given(headers, name, value)?;
    }
    Ok(head)
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Failure> {
    let bad = || unsendable(&format!("its metadata {name:?} cannot be sent"));
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?;
    headers.append(name, value);
    Ok(())
}

fn add_unless_given(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Failure> {
    match headers.contains_key(name) {
        true => Ok(()),
        false => add(headers, name, value),
    }
}

fn unsendable(why: &str) -> Failure {
    failure(
        FailureKind::Malformed,
        format!("the call could not be sent: {why}"),
    )
}

/// What came of a call, before it is read.
#[derive(Debug, Default)]
struct Came {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
    trailers: Headers,
}

impl Call {
    /// How large the call is, or says that it is.
    fn size(&self) -> usize {
        let said = self.body.get(1..5).and_then(|length| length.try_into().ok());
        let said = said.map_or(0, u32::from_be_bytes);
        usize::try_from(said).unwrap_or(usize::MAX).max(self.body.len())
    }

    /// The answer that what came stands for.
    async fn read(&self, came: Came, caps: &Caps) -> Result<Answer, Failure> {
        let broken = |why: String| Failure {
            begun: true,
            ..failure(FailureKind::Malformed, why)
        };
        let header = |name: &str| came.headers.iter().find(|(key, _)| key == name);
        let content_type = header("content-type").map_or("", |(_, value)| value.as_str());
        if came.status != 200 || !content_type.starts_with(GRPC_CONTENT_TYPE) {
            let shown = super::phrases::shown(content_type.as_bytes());
            // Often it is something in front of the one that is meant.
            let server = header("server").map_or(String::new(), |(_, name)| {
                format!(", by a server {}", super::phrases::shown(name.as_bytes()))
            });
            return Err(broken(format!(
                "the answer is no gRPC: HTTP status {} of content type {shown}{server}",
                came.status
            )));
        }
        let mut headers = came.headers;
        headers.extend(came.trailers);
        let code = headers.iter().find(|(key, _)| key == "grpc-status");
        let Some((_, code)) = code else {
            return Err(broken("the answer has no grpc-status".to_owned()));
        };
        let Ok(code) = code.parse::<u32>() else {
            let shown = super::phrases::shown(code.as_bytes());
            return Err(broken(format!("the grpc-status {shown} is no number")));
        };
        let body = match code {
            0 => {
                let (is_compressed, message) = frame::unframe(&came.body).map_err(broken)?;
                let encoding = headers.iter().find(|(key, _)| key == "grpc-encoding");
                let unpacked;
                let message = match (is_compressed, encoding.map(|(_, value)| value.as_str())) {
                    (false, _) => message,
                    (true, Some("gzip")) => {
                        // What comes of several at once does not add up.
                        let _alone = caps.alone().await;
                        let all = frame::gunzip(message, caps.max_body()).map_err(broken)?;
                        unpacked = all.ok_or_else(|| caps.too_large())?;
                        &unpacked
                    }
                    (true, None) => {
                        return Err(broken(
                            "the message is marked as compressed, and no grpc-encoding says how".to_owned(),
                        ));
                    }
                    (true, Some(other)) => {
                        let shown = super::phrases::shown(other.as_bytes());
                        return Err(broken(format!(
                            "the message is compressed by {shown}, and identity and gzip were offered"
                        )));
                    }
                };
                let json = (self.codec.decode)(&self.path, message);
                json.map_err(|why| broken(format!("the answer is not its message: {why}")))?
            }
            _ => Vec::new(),
        };
        Ok(Answer {
            status: (self.codec.status)(code, &headers, self.size()),
            headers,
            body: body.into(),
        })
    }
}
