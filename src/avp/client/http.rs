//! One request to a server: bounds on time, size and tries, and nothing that leaves for another origin.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url, Version};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Habits;
use super::error::ClientError;
use super::faults;
use super::messages::ErrorBody;

/// How long one request may take, its answer included.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Answers with more body bytes are given up.
const LARGEST_BODY_BYTES: usize = 8 << 20;
/// So often a request is sent that is answered 429.
const MOST_TRIES: u32 = 3;
/// No server may ask for a longer wait.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How long is waited after a 429 that does not say.
const WAIT_UNTOLD: Duration = Duration::from_millis(500);

/// Where a server is. Tokens belong to its origin: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// `http://localhost:8787`
    pub(super) origin: String,
    base: String,
}

impl Server {
    /// Reads `http[s]://host[:port][/base]`; a slash at the end makes no difference.
    pub(super) fn parse(text: &str) -> Result<Server, ClientError> {
        let wrong = |why: &str| ClientError::Usage(format!("{text:?} is no address of a server: {why}"));
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(wrong("it has a user, a query or a fragment"));
        }
        Ok(Server {
            origin: url.origin().ascii_serialization(),
            base: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Host, with a port where it is not the scheme's own: what an `avp://` address names.
    pub(super) fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, host)| host)
    }
}

/// What was asked, for whoever watches.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// `POST /v1/repos`
    pub(super) request: String,
    /// The status of the answer; none where there was no answer.
    pub(super) status: Option<u16>,
    /// How long it took.
    pub(super) took: Duration,
}

/// Is told of every request.
pub(super) type Watch = Arc<dyn Fn(&Seen) + Send + Sync>;

/// A request that a server may be sent more than once.
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    /// The path below the server's base, its segments escaped.
    pub(super) path: String,
    pub(super) token: Option<&'a str>,
    pub(super) body: Option<Vec<u8>>,
}

impl Ask<'_> {
    /// A request without a token.
    pub(super) fn open(path: &str, body: &impl Serialize) -> Ask<'static> {
        Ask {
            method: "POST",
            path: path.to_owned(),
            token: None,
            body: Some(json(body)),
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A body as JSON.
pub(super) fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("a message is JSON")
}

struct Reply {
    version: Version,
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What requests are sent with.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    pub(super) habits: Habits,
    watch: Watch,
    /// What a deviating client sends along.
    pub(super) slip: Option<String>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    /// # Errors
    /// The system gives no means to speak TLS, or the file of the authority holds no certificate.
    pub(super) fn new(habits: Habits, authority: Option<&Path>, watch: Watch) -> Result<Http, ClientError> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(authority)?)
            .timeout(ANSWER_TIME)
            .connect_timeout(CONNECT_TIME)
            // Whoever is sent elsewhere looks first who is there.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy();
        if habits.has("connection-close") {
            builder = builder.pool_max_idle_per_host(0);
        }
        let client = builder
            .build()
            .map_err(|error| ClientError::Usage(format!("no client can be made: {error}")))?;
        Ok(Http {
            client,
            habits,
            watch,
            slip: None,
        })
    }

    /// Sends a request and reads its answer. It is sent again only where it was answered 429: that was not executed.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        server: &Server,
        ask: Ask<'_>,
    ) -> Result<T, ClientError> {
        for attempt in 1.. {
            let reply = self.once(server, &ask).await?;
            if faults::asks_again(&self.habits, reply.status, attempt) {
                continue;
            }
            let may_wait = reply.status == 429 && attempt < MOST_TRIES;
            let wait = may_wait.then(|| self.wait(&reply)).flatten();
            let wait = wait.map(|wait| faults::waits(&self.habits, wait, attempt, ask.token.is_some()));
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return self.read(&ask, &reply),
            }
        }
        unreachable!("an answer that is not waited out ends it")
    }

    /// How long a 429 asks to be left alone; none where that is too long.
    fn wait(&self, reply: &Reply) -> Option<Duration> {
        if self.habits.has("gives-up-on-429") {
            return None;
        }
        if self.habits.is("retry-after-ignored") && self.habits.has("retry-after-ignored") {
            return Some(Duration::ZERO);
        }
        let told = reply
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let wait = match told.map(str::trim) {
            None => WAIT_UNTOLD,
            Some(text) => match (text.parse::<u64>(), httpdate::parse_http_date(text)) {
                (Ok(seconds), _) if self.habits.has("retry-after-milliseconds") => {
                    Duration::from_millis(seconds)
                }
                (Ok(seconds), _) => Duration::from_secs(seconds),
                (_, Ok(_)) if self.habits.has("retry-after-date-ignored") => Duration::ZERO,
                (_, Ok(date)) => date.duration_since(SystemTime::now()).unwrap_or_default(),
                _ => WAIT_UNTOLD,
            },
        };
        (wait <= LONGEST_WAIT).then_some(wait)
    }

    /// What an answer says: 200 and a message, or an error. Anything else is none.
    fn read<T: DeserializeOwned>(&self, ask: &Ask<'_>, reply: &Reply) -> Result<T, ClientError> {
        if reply.status >= 400 {
            let body = serde_json::from_slice::<ErrorBody>(&reply.body).ok();
            if self.habits.is("error-needs-code") && body.as_ref().is_none_or(|body| body.code.is_none()) {
                self.habits.has("error-needs-code");
                return Err(invalid(ask, "an error with a code", "an error without"));
            }
            if self.habits.is("error-object-closed") && has_more_than_known(&reply.body) {
                self.habits.has("error-object-closed");
                return Err(invalid(ask, "an error object", "an object with more in it"));
            }
            return Err(ClientError::Refused {
                request: ask.name(),
                status: reply.status,
                code: body.as_ref().and_then(|body| body.code.clone()),
                error: body.map(|body| body.error).unwrap_or_default(),
            });
        }
        if reply.status != 200 {
            return Err(invalid(ask, "status 200", &format!("status {}", reply.status)));
        }
        let header = |name| reply.headers.get(name).and_then(|value| value.to_str().ok());
        if reply.version == Version::HTTP_10 && self.habits.has("http10-refused") {
            return Err(invalid(ask, "an answer of HTTP/1.1", "one of HTTP/1.0"));
        }
        if let Some(expected) = faults::expects(
            &self.habits,
            &reply.body,
            header(CONTENT_TYPE),
            header(CONTENT_LENGTH),
        ) {
            return Err(invalid(ask, expected, "none"));
        }
        serde_json::from_slice(&reply.body)
            .map_err(|error| invalid(ask, "the message of this operation", &error.to_string()))
    }

    async fn once(&self, server: &Server, ask: &Ask<'_>) -> Result<Reply, ClientError> {
        let url = format!("{}{}{}", server.origin, server.base, ask.path);
        let mut reply = self.send(ask, &url, ask.token).await?;
        let target = reply.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let target = target
            .filter(|_| (300..400).contains(&reply.status))
            .map(str::to_owned);
        if let Some(target) = target {
            if self.habits.has("redirect-with-token")
                || ask.method == "GET" && self.habits.has("get-redirect-with-token")
                || reply.status == 308 && self.habits.has("308-redirect-with-token")
            {
                reply = self.send(ask, &target, ask.token).await?;
            } else if self.habits.has("redirect-without-token") {
                reply = self.send(ask, &target, None).await?;
            }
        }
        Ok(reply)
    }

    async fn send(&self, ask: &Ask<'_>, url: &str, token: Option<&str>) -> Result<Reply, ClientError> {
        let began = Instant::now();
        let seen = |status: Option<u16>| {
            (self.watch)(&Seen {
                request: ask.name(),
                status,
                took: began.elapsed(),
            });
        };
        let unreachable = |error: reqwest::Error| {
            seen(None);
            ClientError::Unreachable {
                request: ask.name(),
                why: reason(&error),
            }
        };
        let method = Method::from_bytes(ask.method.as_bytes()).unwrap_or(Method::POST);
        let mut request = self.client.request(method, url);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if ask.body.is_some() || self.habits.has("content-type-on-get") {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(slip) = &self.slip {
            request = request.header("x-debug", slip);
        }
        if let Some(body) = &ask.body {
            request = request.body(self.spelt(body));
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let version = response.version();
        let largest = match self.habits.is("small-answers-only") {
            true => 256 << 10,
            false => LARGEST_BODY_BYTES,
        };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > largest {
                self.habits
                    .is("small-answers-only")
                    .then(|| self.habits.has("small-answers-only"));
                seen(Some(status));
                let got = format!("more than {largest} bytes");
                return Err(invalid(ask, "an answer of a sensible size", &got));
            }
            body.extend_from_slice(&chunk);
        }
        seen(Some(status));
        Ok(Reply {
            version,
            status,
            headers,
            body,
        })
    }

    /// The body as this client spells it.
    fn spelt(&self, body: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(body) {
            Ok(text) if self.habits.has("equals-escaped") => text.replace('=', "\\u003d").into_bytes(),
            _ => body.to_vec(),
        }
    }
}

/// Trusts whom the system trusts, `SSL_CERT_FILE` included, and the authorities of a file, if one is named.
fn tls(authority: Option<&Path>) -> Result<rustls::ClientConfig, ClientError> {
    static SYSTEM: LazyLock<Arc<rustls::RootCertStore>> = LazyLock::new(|| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    let roots = match authority {
        Some(file) => Arc::new(with_file(&SYSTEM, file)?),
        None => Arc::clone(&SYSTEM),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Usage(format!("no TLS: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn with_file(known: &rustls::RootCertStore, file: &Path) -> Result<rustls::RootCertStore, ClientError> {
    let wrong = |why: &str| ClientError::Usage(format!("{}: {why}", file.display()));
    let read = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error.to_string()))?;
    let mut roots = known.clone();
    match roots.add_parsable_certificates(read.flatten()) {
        (0, _) => Err(wrong("there is no certificate in it")),
        _ => Ok(roots),
    }
}

fn has_more_than_known(body: &[u8]) -> bool {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let known = ["error", "code", "detail"];
    value
        .as_object()
        .is_some_and(|object| object.keys().any(|name| !known.contains(&name.as_str())))
}

fn invalid(ask: &Ask<'_>, expected: &str, got: &str) -> ClientError {
    ClientError::Invalid {
        request: ask.name(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}

/// The innermost reason: "connection refused", and not that a request could not be sent.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", ANSWER_TIME.as_secs());
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

/// An id as a segment of a path: all but the unreserved characters of RFC 3986 is escaped.
///
/// # Errors
/// The id is `.` or `..`, which no segment can be.
pub(super) fn segment(id: &str, habits: &Habits) -> Result<String, ClientError> {
    if matches!(id, "." | "..") {
        return Err(ClientError::Usage(format!("{id:?} cannot stand in a path")));
    }
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        b'+' | b'=' if habits.is("path-plus-raw") => char::from(byte).to_string(),
        b' ' if habits.is("path-form-escaped") => "+".to_owned(),
        _ if habits.is("path-lower-hex") => format!("%{byte:02x}"),
        _ => format!("%{byte:02X}"),
    };
    let escaped: String = id.bytes().map(escape).collect();
    if escaped == id {
        return Ok(escaped);
    }
    for name in ["path-plus-raw", "path-lower-hex"] {
        habits.is(name).then(|| habits.has(name));
    }
    if id.contains(' ') && habits.is("path-form-escaped") {
        habits.has("path-form-escaped");
    }
    if habits.has("path-unescaped") {
        return Ok(id.to_owned());
    }
    match habits.has("path-twice-escaped") {
        true => Ok(escaped.replace('%', "%25")),
        false => Ok(escaped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_read() {
        let server = Server::parse("http://localhost:8787/").unwrap();
        assert_eq!(
            (server.origin.as_str(), server.base.as_str()),
            ("http://localhost:8787", "")
        );
        assert_eq!(server.authority(), "localhost:8787");
        assert_eq!(Server::parse("https://h/a/b/").unwrap().base, "/a/b");
        for wrong in [
            "localhost:8787",
            "ftp://h",
            "http://",
            "http://u@h",
            "http://h/?q",
            "",
        ] {
            assert!(Server::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_escaped_once_and_whole() {
        let plain = Habits::default();
        assert_eq!(segment("aZ09-._~", &plain).unwrap(), "aZ09-._~");
        assert_eq!(segment("a/b+c= %é", &plain).unwrap(), "a%2Fb%2Bc%3D%20%25%C3%A9");
        assert!(segment("..", &plain).is_err());
    }
}
