//! One request and what came back, as plain data that can be stored and judged again.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grpc::status_name;
use crate::catalogue::OperationName;

/// Header fields in the order in which they travelled; names as sent by us, in lower case as received.
pub type Headers = Vec<(String, String)>;

/// The name of one of the services that a protocol asks, as the protocol calls it: `vault`, `idp`. Several may be one origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Service(Cow<'static, str>);

impl Service {
    /// A name that is known when the program is built.
    pub const fn new(name: &'static str) -> Service {
        Service(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A body, byte for byte. Serialised as text where it is UTF-8, else as `base64:` and the standard base64.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body(Arc<[u8]>);

impl Body {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, where it is UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text, with what is no UTF-8 replaced.
    pub fn to_text(&self) -> Cow<'_, str> {
        // Almost every body is text, and to see that is quicker than to replace what is not.
        match self.as_text() {
            Some(text) => Cow::Borrowed(text),
            None => String::from_utf8_lossy(&self.0),
        }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<Vec<u8>>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Body(bytes.into().into())
    }
}

const BASE64_MARK: &str = "base64:";

impl Serialize for Body {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_text() {
            Some(text) if !text.starts_with(BASE64_MARK) => serializer.serialize_str(text),
            _ => serializer.serialize_str(&format!("{BASE64_MARK}{}", BASE64_STANDARD.encode(&self.0))),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix(BASE64_MARK) {
            None => Ok(Body::from(text)),
            Some(encoded) => BASE64_STANDARD.decode(encoded).map(Body::from).map_err(|error| {
                serde::de::Error::custom(format_args!("body after {BASE64_MARK:?}: {error}"))
            }),
        }
    }
}

impl JsonSchema for Body {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Body".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "The body byte for byte: text where it is UTF-8, else `base64:` and the standard base64."
        })
    }
}

/// A request as it went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Which service it went to.
    pub service: Service,
    /// The HTTP method.
    pub method: String,
    /// The escaped path as it stood in the request line, without the target's base path.
    pub path: String,
    /// Header fields, but for those that HTTP itself needs (`host`, `content-length`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Headers,
    /// The body, if any was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// A time as exchanges tell it: microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Request {
    /// The bytes of its body; none where it has none.
    pub fn body_bytes(&self) -> &[u8] {
        self.body.as_ref().map(Body::as_bytes).unwrap_or_default()
    }
}

/// An answer as it came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header fields in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Headers,
    /// The body, empty where there was none.
    pub body: Body,
}

impl Answer {
    /// The first value of a header field; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// What time it was at the target by its `Date` (RFC 9110, 6.6.1), epoch milliseconds: up to a second ago.
    pub fn date_ms(&self) -> Option<i64> {
        let date = httpdate::parse_http_date(self.header("date")?.trim()).ok()?;
        jiff::Timestamp::try_from(date)
            .ok()
            .map(|date| date.as_millisecond())
    }
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// No connection could be made: refused, unreachable, name unknown.
    Connect,
    /// The TLS handshake failed or the certificate is not trusted.
    Tls,
    /// No whole answer within the time limit.
    Timeout,
    /// The connection ended before the answer was whole.
    Closed,
    /// The server ended the call alone (RST_STREAM), which gRPC counts as an error status.
    Reset,
    /// What came is not HTTP.
    Malformed,
    /// The answer is larger than the harness takes.
    TooLarge,
    /// The harness gave the call up, as its case wants.
    Cancelled,
}

/// Why no answer came, with the detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// One sentence for people; bytes from the wire are escaped in it.
    pub message: String,
    /// Whether a part of an answer came: what was begun is not HTTP unless it is brought to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A whole HTTP answer.
    Answer(Answer),
    /// None.
    Failure(Failure),
}

impl Outcome {
    /// The answer, if one came.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Outcome::Answer(answer) => Some(answer),
            Outcome::Failure(_) => None,
        }
    }
}

/// What an exchange is for within its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Makes what the case needs: logins, repositories.
    Setup,
    /// What a step says.
    Step,
    /// Looks at what is stored after a step.
    Audit,
    /// Was not executed, and sent again where that is possible: answered 429, or 401 to a token that had run out by then.
    Throttled,
    /// Says nothing: it was not waited for at full length, since its operation had been seen to hang in another case; or a gateway
    /// had nobody to ask, and the request was sent again.
    Abandoned,
}

/// Whether a status is that of a gateway which has no server to ask: 502, 503 or 504.
pub fn is_of_gateway(status: u16) -> bool {
    matches!(status, 502..=504)
}

/// Who asked in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The harness asked, and the target answered.
    #[default]
    Asked,
    /// The target asked, and the harness answered: it is a client under test.
    Answered,
}

impl Side {
    fn is_asked(&self) -> bool {
        *self == Side::Asked
    }
}

/// What an exchange went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// HTTP.
    #[default]
    Http,
    /// gRPC. Bodies stand as JSON, but for those that a case broke; the status is the HTTP one that the gRPC status stands for.
    Grpc,
    /// A program: a command line and its exit code and output, or a line of its standard input and one of its standard output.
    Command,
}

/// Over what a case is run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// HTTP, or whatever else a protocol has that has no gRPC.
    #[default]
    Http,
    /// gRPC.
    Grpc,
    /// Now the one, now the other: whether they agree.
    Both,
}

impl Over {
    /// Whether it is plain HTTP, which goes without saying.
    pub fn is_http(&self) -> bool {
        *self == Over::Http
    }

    /// Its name in files: `http`, `grpc`, `both`.
    pub fn word(self) -> &'static str {
        match self {
            Over::Http => "http",
            Over::Grpc => "grpc",
            Over::Both => "both",
        }
    }

    /// What stands behind the id of a case: nothing for HTTP.
    pub fn suffix(self) -> &'static str {
        match self {
            Over::Http => "",
            Over::Grpc => " over gRPC",
            Over::Both => " over both",
        }
    }
}

impl Wire {
    /// Whether it is plain HTTP, which goes without saying.
    pub fn is_http(&self) -> bool {
        *self == Wire::Http
    }
}

/// One exchange with the target: the request, why it was made, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The index of the case's step it belongs to, from 0; none in the set-up before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// What it is for.
    pub role: Role,
    /// The round of a race, or the item of a sweep, from 0.
    #[serde(default)]
    pub round: usize,
    /// The actor who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The operation it is, or is derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationName>,
    /// The case's name of the repository it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// How the request deviates from a valid one on purpose; none where it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoiled: Option<String>,
    /// What was sent.
    pub request: Request,
    /// What came back.
    pub outcome: Outcome,
    /// When it was sent, microseconds since the case began.
    pub at_us: u64,
    /// How long it took, microseconds.
    pub took_us: u64,
    /// What the token in the answer says, where it is a JWT: the token itself is never recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// Whether the request was sent a second time, because the peer had closed the idle connection that it first went to.
    /// Nobody knows then whether the target executed it once or twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resent: bool,
    /// Who asked: the harness, or a client under test.
    #[serde(default, skip_serializing_if = "Side::is_asked")]
    pub side: Side,
    /// Over what.
    #[serde(default, skip_serializing_if = "Wire::is_http")]
    pub wire: Wire,
    /// So many bytes of the answer's body are not in the record, because large bodies added up to too much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted: Option<u64>,
}

impl Exchange {
    /// A valid request of a step and what came of it, so long after the case began; everything else is as in most exchanges.
    pub fn new(request: Request, outcome: Outcome, at: Duration, took: Duration) -> Exchange {
        Exchange {
            step: None,
            role: Role::Step,
            round: 0,
            actor: None,
            operation: None,
            repo: None,
            spoiled: None,
            request,
            outcome,
            at_us: micros(at),
            took_us: micros(took),
            jwt: None,
            resent: false,
            side: Side::default(),
            wire: Wire::default(),
            omitted: None,
        }
    }

    /// The name of the status of gRPC that it was answered with; none where it was no call, or had no answer.
    pub fn grpc_status(&self) -> Option<&'static str> {
        let answer = self.outcome.answer().filter(|_| self.wire == Wire::Grpc)?;
        Some(status_name(answer.header("grpc-status")?.parse().ok()?))
    }
}

/// The readable parts of a JWT. Its signature is not kept, so that it is a token no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Its header.
    pub header: serde_json::Map<String, serde_json::Value>,
    /// Its claims.
    pub claims: serde_json::Map<String, serde_json::Value>,
}
