//! Where a service is: the checked form of `--target` and `--idp`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// The address of a service: scheme, host, port and the base path its routes hang under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    tls: bool,
    host: Host,
    port: u16,
    base: String,
}

/// The host of an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why a text is no [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not an address: {why}")]
pub struct EndpointError {
    text: String,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Why {
    #[error("it does not begin with http:// or https://")]
    NoScheme,
    #[error("it does not begin with grpc:// or grpcs://")]
    NoGrpcScheme,
    #[error("it has a path, and methods of gRPC have none that theirs could be joined to")]
    GrpcPath,
    #[error("the scheme {0:?} is neither http nor https")]
    Scheme(String),
    #[error("it holds a user name or password, which belong into a header (see --header-file)")]
    UserInfo,
    #[error("it has a query or a fragment, and routes could not be joined to those")]
    Query,
    #[error("the host is empty")]
    EmptyHost,
    #[error("the host {0:?} is neither a name in ASCII nor an IP address (IPv6 goes in brackets)")]
    Host(String),
    #[error("the port {0:?} is not a number from 1 to 65535")]
    Port(String),
    #[error("the base path holds a space, a control character or a character outside ASCII")]
    Base,
}

impl Endpoint {
    /// Checks and takes apart `http[s]://host[:port][/base]`.
    ///
    /// # Errors
    /// It is no such address, or has a part that none may have: a user, a query, a fragment.
    pub fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        parse(text).map_err(|why| EndpointError {
            text: hide_user_info(text),
            why,
        })
    }

    /// Checks and takes apart `grpc[s]://host:port`.
    ///
    /// # Errors
    /// It is no such address, has no port, or has a path.
    pub fn parse_grpc(text: &str) -> Result<Endpoint, EndpointError> {
        let wrong = |why| EndpointError {
            text: hide_user_info(text),
            why,
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong(Why::NoGrpcScheme))?;
        let http = match scheme.to_ascii_lowercase().as_str() {
            "grpc" => "http",
            "grpcs" => "https",
            _ => return Err(wrong(Why::NoGrpcScheme)),
        };
        let endpoint = parse(&format!("{http}://{rest}")).map_err(wrong)?;
        match endpoint.base.is_empty() {
            true => Ok(endpoint),
            false => Err(wrong(Why::GrpcPath)),
        }
    }

    /// The address as gRPC is told it: `grpc://127.0.0.1:50051`.
    pub fn grpc_url(&self) -> String {
        let scheme = if self.tls { "grpcs" } else { "grpc" };
        format!("{scheme}://{}", self.host_and_port())
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether it is this machine: 127.0.0.0/8, `::1`, or `localhost` and the names under it.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Address(IpAddr::V4(address)) => address.is_loopback(),
            Host::Address(IpAddr::V6(address)) => {
                address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
            }
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// The port, the scheme's own where none was written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path that request paths are joined to: empty, or with a leading and no trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Host and port as the `Host` header has them: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        match self.port == default_port(self.tls) {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Host and port, both.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether both are one origin: same scheme, host and port.
    pub fn is_same_origin(&self, other: &Endpoint) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }

    /// What stands in the request line for a request path: base and path, byte for byte.
    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Endpoint::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(f),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

fn parse(text: &str) -> Result<Endpoint, Why> {
    let (scheme, rest) = text.split_once("://").ok_or(Why::NoScheme)?;
    let tls = parse_scheme(scheme)?;
    if rest.contains(['?', '#']) {
        return Err(Why::Query);
    }
    let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Why::UserInfo);
    }
    let (host, port) = split_port(authority);
    Ok(Endpoint {
        tls,
        host: parse_host(host)?,
        port: parse_port(port, tls)?,
        base: parse_base(base)?,
    })
}

fn parse_scheme(scheme: &str) -> Result<bool, Why> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(false),
        "https" => Ok(true),
        _ => Err(Why::Scheme(scheme.to_owned())),
    }
}

/// Host and port apart; a colon inside brackets belongs to the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[after_brackets..].rfind(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_brackets + colon);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    }
}

fn parse_host(host: &str) -> Result<Host, Why> {
    let wrong = || Why::Host(host.to_owned());
    if host.is_empty() {
        return Err(Why::EmptyHost);
    }
    if let Some(inner) = host.strip_prefix('[') {
        let literal = inner.strip_suffix(']').ok_or_else(wrong)?;
        return literal
            .parse()
            .map(|address| Host::Address(IpAddr::V6(address)))
            .map_err(|_| wrong());
    }
    if let Ok(address) = host.parse() {
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match host.bytes().all(allowed) {
        true => Ok(Host::Name(host.to_ascii_lowercase())),
        false => Err(wrong()),
    }
}

fn parse_port(port: Option<&str>, tls: bool) -> Result<u16, Why> {
    let Some(text) = port else {
        return Ok(default_port(tls));
    };
    match text.parse() {
        Ok(number) if number > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(Why::Port(text.to_owned())),
    }
}

fn parse_base(base: &str) -> Result<String, Why> {
    match base.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(base.trim_end_matches('/').to_owned()),
        false => Err(Why::Base),
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// The text without what may be a password in it.
fn hide_user_info(text: &str) -> String {
    let scheme = text.find("://").map_or(0, |at| at + 3);
    match text.rfind('@') {
        Some(at) if at >= scheme => format!("{}***{}", &text[..scheme], &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn ordinary_addresses_come_back_as_written() {
        for text in [
            "http://localhost:8787",
            "https://vault.example",
            "https://vault.example/avp",
            "http://127.0.0.1:1/a/b",
            "http://[::1]:8787/x",
            "https://[2001:db8::1]",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
        assert_eq!(
            parsed("HTTPS://Vault.Example:443/avp//").to_string(),
            "https://vault.example/avp"
        );
        assert_eq!(parsed("http://host/").base(), "");
    }

    #[test]
    fn paths_are_joined_byte_for_byte() {
        assert_eq!(parsed("http://h/avp/").join("/v1/../%2e"), "/avp/v1/../%2e");
        assert_eq!(parsed("http://h").join("/v1"), "/v1");
    }

    #[test]
    fn loopback_is_known() {
        for text in [
            "http://localhost",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://a.localhost",
        ] {
            assert!(parsed(text).is_loopback(), "{text}");
        }
        for text in [
            "http://example",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://[::2]",
        ] {
            assert!(!parsed(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn origins_are_compared_without_base() {
        assert!(parsed("http://h:80/a").is_same_origin(&parsed("http://H/b")));
        assert!(!parsed("http://h").is_same_origin(&parsed("https://h")));
    }

    #[test]
    fn wrong_addresses_are_refused_with_the_reason() {
        for (text, reason) in [
            ("localhost:8787", "does not begin with"),
            ("ftp://h", "\"ftp\" is neither"),
            ("http://", "host is empty"),
            ("http://:80", "host is empty"),
            ("http://h:", "port \"\""),
            ("http://h:0", "port \"0\""),
            ("http://h:+1", "port \"+1\""),
            ("http://h:65536", "port \"65536\""),
            ("http://h?x", "query"),
            ("http://h/a#b", "fragment"),
            ("http://::1/", "neither a name"),
            ("http://[::1", "neither a name"),
            ("http://[::1]x", "neither a name"),
            ("http://bücher.example", "neither a name"),
            ("http://h/a b", "base path"),
        ] {
            let message = Endpoint::parse(text).unwrap_err().to_string();
            assert!(message.contains(reason), "{text}: {message}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let message = Endpoint::parse("http://me:secret@host/").unwrap_err().to_string();
        assert!(
            message.contains("user name") && !message.contains("secret"),
            "{message}"
        );
    }
}
