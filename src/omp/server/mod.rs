//! The reference server of the objects API: every rule in `rules`, what is stored in `store`, who is let in in `admission`, and
//! here what a request is answered.
//!
//! A rule is asked first, and may then be bent: [`Server::bends`] says whether this server gets it wrong in that way, and
//! counts that it did.

mod admission;
mod faults;
mod lists;
mod objects;
mod rules;
mod store;
mod variations;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{MODES, SERVICE_MODE};
use crate::http::Service;
use crate::serve::{Asked, Fault, Handler, Listener, Reference, Reply, ServeOptions, StartError, Variation};
use store::Store;

/// Where the capabilities are told.
const CAPABILITIES: &str = "/.well-known/omp-configuration";
/// A server with a limit of requests refuses one of so many.
const REQUESTS_PER_REFUSAL: u64 = 25;
/// The largest body that a server with a limit takes, bytes.
const BODY_LIMIT_BYTES: usize = 64 << 10;
/// What the variables begin with that name public keys.
const KEY_VARIABLE: &str = "OMP_SIG_PUB_";
const HEX_VARIABLE: &str = "OMP_SIG_PUB_HEX_";

/// What the server can be told to get wrong.
pub fn faults() -> &'static [Fault] {
    &faults::FAULTS
}

/// The freedoms that the server can use.
pub fn variations() -> &'static [Variation] {
    variations::VARIATIONS
}

/// How a server treats signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Strict,
    Permissive,
    Off,
}

/// The mode and the keys of a server, by its environment.
#[derive(Debug, Clone)]
struct Settings {
    mode: Mode,
    keys: BTreeMap<String, [u8; 32]>,
}

impl Settings {
    /// What was said, and what variables say. A mode that there is none of is taken for the strictest.
    fn read(environment: &[(String, String)]) -> Settings {
        let value = |name: &str| {
            environment
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        let mode = match value(SERVICE_MODE).unwrap_or("off") {
            "off" => Mode::Off,
            "permissive" => Mode::Permissive,
            _ => Mode::Strict,
        };
        let named = environment.iter().rev().filter_map(|(name, key)| {
            let id = name
                .strip_prefix(HEX_VARIABLE)
                .or_else(|| name.strip_prefix(KEY_VARIABLE))?;
            Some((id.to_owned(), rules::public_key(key)?))
        });
        let pair = value("OMP_SIG_KEYID").zip(value("OMP_SIG_ED25519_PUB"));
        let pair = pair.and_then(|(id, key)| Some((id.to_owned(), rules::public_key(key)?)));
        Settings {
            mode,
            keys: pair.into_iter().chain(named).collect(),
        }
    }
}

/// Starts the server: in the mode that its environment names, else one server for each mode, at ports one after the other,
/// unless a single one is wanted.
///
/// # Errors
/// An address cannot be listened on.
pub fn start(options: ServeOptions) -> Result<Box<dyn Reference>, StartError> {
    options.without_flags()?;
    let mut said = options.environment.clone();
    // What is said first counts.
    let keys = options
        .keys
        .iter()
        .map(|(id, key)| (format!("{KEY_VARIABLE}{id}"), key.clone()));
    said.splice(0..0, keys);
    said.splice(
        0..0,
        options
            .mode
            .iter()
            .map(|mode| (SERVICE_MODE.to_owned(), mode.clone())),
    );
    let is_named = options.single || said.iter().any(|(name, _)| name == SERVICE_MODE);
    let modes: Vec<&'static str> = match is_named {
        true => vec![""],
        false => MODES.to_vec(),
    };
    let mut servers = Vec::new();
    for (mode, more) in modes.into_iter().zip(0..) {
        let mut environment = match is_named {
            true => Vec::new(),
            false => super::environment(mode, &super::keys()),
        };
        environment.extend(said.iter().cloned());
        let mut server = Server::new(&options, Settings::read(&environment));
        server.settings = server.configured(&environment);
        let port = match options.bind.port() {
            0 => 0,
            port => port + more,
        };
        let at = ServeOptions {
            bind: SocketAddr::new(options.bind.ip(), port),
            ..options.clone()
        };
        servers.push((mode, Listener::start(&at, Arc::new(server))?));
    }
    Ok(Box::new(Servers(servers)))
}

/// A server for each mode that runs.
struct Servers(Vec<(&'static str, Listener)>);

impl Reference for Servers {
    fn url(&self) -> String {
        self.0
            .first()
            .map_or_else(String::new, |(_, server)| server.url())
    }

    fn services(&self) -> Vec<(Service, String)> {
        let named = self.0.iter().filter(|(mode, _)| !mode.is_empty());
        named
            .map(|(mode, server)| (Service::new(mode), server.url()))
            .collect()
    }

    fn fired(&self, name: &str) -> u64 {
        self.0.iter().map(|(_, server)| server.fired(name)).sum()
    }
}

/// One server.
struct Server {
    deviations: Vec<&'static str>,
    fired: Mutex<BTreeMap<&'static str, u64>>,
    settings: Settings,
    store: Mutex<Store>,
    scheme: &'static str,
    /// The requests so far.
    requests: AtomicU64,
}

impl Server {
    fn new(options: &ServeOptions, settings: Settings) -> Server {
        Server {
            deviations: options.deviations(),
            fired: Mutex::default(),
            settings,
            store: Mutex::default(),
            scheme: if options.tls.is_some() { "https" } else { "http" },
            requests: AtomicU64::new(0),
        }
    }

    /// Whether this server deviates in that way, which then takes effect.
    fn bends(&self, name: &'static str) -> bool {
        let deviates = self.deviations.contains(&name);
        if deviates {
            *lock(&self.fired).entry(name).or_default() += 1;
        }
        deviates
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    fn route(&self, asked: &Asked) -> Result<Reply, Reply> {
        let path = asked.path.as_str();
        if path == CAPABILITIES {
            return self.capabilities(asked);
        }
        let below = path.strip_prefix("/objects");
        let Some(rest) = below.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return Err(self.no_route());
        };
        if rest.is_empty() && self.bends("sent-on-to-a-slash") {
            return Err(sent_on(asked));
        }
        let rest = match rest == "/" && self.deviations.contains(&"sent-on-to-a-slash") {
            true => "",
            false => rest,
        };
        self.admit(asked)?;
        let address = format!("{rest}?{}", asked.query.as_deref().unwrap_or_default());
        if rules::has_malformed_escape(&address) && self.bends("malformed-escapes-500") {
            return Err(self.error(500, "cannot decode the address"));
        }
        match (rest, asked.method.as_str()) {
            ("", "GET" | "HEAD") => self.list(asked),
            ("", "POST") => self.create(asked),
            ("", _) => Err(self.not_allowed("GET, HEAD, POST")),
            ("/search", "GET" | "HEAD")
                if asked.query.is_none() && self.bends("search-without-parameters-is-an-id") =>
            {
                self.read("search")
            }
            ("/search", "GET" | "HEAD") if !self.bends("search-is-an-id") => self.search(asked),
            ("/search", method) if !matches!(method, "GET" | "HEAD" | "PUT" | "DELETE") => {
                Err(self.not_allowed("GET, HEAD"))
            }
            (rest, method) => {
                let id = self.named(&rest[1..]);
                if rest[1..].contains('/') || id.is_empty() {
                    return Err(self.no_route());
                }
                let is_odd = !id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                if is_odd && self.bends("odd-id-500") {
                    return Err(self.error(500, "cannot parse the id"));
                }
                match method {
                    "GET" | "HEAD" => self.read(&id),
                    "PUT" => self.replace(&id, asked),
                    "DELETE" => self.delete(&id),
                    _ => Err(self.not_allowed("GET, HEAD, PUT, DELETE")),
                }
            }
        }
    }

    /// The id that a path names.
    fn named(&self, text: &str) -> String {
        match rules::has_malformed_escape(text) && self.bends("malformed-escapes-are-dropped") {
            true => rules::decoded(&rules::without_malformed_escapes(text)),
            false => rules::decoded(text),
        }
    }

    fn capabilities(&self, asked: &Asked) -> Result<Reply, Reply> {
        if self.settings.mode == Mode::Strict
            && asked.header("signature").is_none()
            && self.bends("capabilities-signed")
        {
            return Err(self.error(401, "Missing required signature"));
        }
        match asked.method.as_str() {
            "GET" | "HEAD" if self.bends("capabilities-404") => {
                Err(self.error(404, "there is no such route"))
            }
            "GET" | "HEAD" if self.bends("capabilities-a-list") => Ok(self.json(200, &json!(["objects"]))),
            "GET" | "HEAD" => Ok(self.json(200, &json!({ "version": "0.1", "objects": "/objects" }))),
            _ => Err(self.not_allowed("GET, HEAD")),
        }
    }

    fn no_route(&self) -> Reply {
        match self.bends("unknown-routes-as-html") {
            true => typed(404, "text/html", "<h1>Not Found</h1>"),
            false => self.error(404, "there is no such route"),
        }
    }

    fn not_allowed(&self, allowed: &str) -> Reply {
        let mut reply = match self.bends("methods-as-the-framework-does") {
            true => typed(405, "application/json", r#"{"detail":"Method Not Allowed"}"#),
            false => self.error(405, "this method is not allowed here"),
        };
        if !self.bends("methods-without-allow") {
            reply.headers.push(("allow", allowed.to_owned()));
        }
        reply
    }

    /// An error in the one shape.
    fn error(&self, status: u16, why: &str) -> Reply {
        let code = match status {
            400 => "bad_request",
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            409 => "conflict",
            429 => "rate_limited",
            500 => "internal_error",
            503 => "unavailable",
            _ => "refused",
        };
        let mut error = json!({ "code": code, "message": why, "status": status, "details": null });
        if self.bends("errors-without-status") {
            error["status"] = Value::Null;
        }
        if self.bends("errors-with-a-text-for-details") {
            error["details"] = "none".into();
        }
        if self.bends("errors-with-numbers-for-codes") {
            error["code"] = status.into();
        }
        if self.bends("errors-with-codes-of-their-own") {
            error["code"] = format!("E{status}").into();
        }
        if self.bends("details-left-out")
            && let Some(error) = error.as_object_mut()
        {
            error.shift_remove("details");
        }
        let body = match self.bends("errors-in-a-flat-object") {
            true => error,
            false => json!({ "error": error }),
        };
        let mut reply = match self.bends("errors-as-text") {
            true => typed(status, "text/plain", why),
            false => self.json(status, &body),
        };
        if status == 401 && !self.bends("401-without-www-authenticate") {
            reply.headers.push(("www-authenticate", "Signature".to_owned()));
        }
        reply
    }

    fn json(&self, status: u16, body: &Value) -> Reply {
        let text = match self.bends("spaced-json") {
            true => format!("{body:#}\n"),
            false => body.to_string(),
        };
        let content_type = match self.bends("charset") {
            true => "application/json; charset=utf-8",
            false => "application/json",
        };
        typed(status, content_type, &text)
    }

    /// The refusal of a server that limits how many requests it takes.
    fn too_many(&self) -> Option<Reply> {
        if !self.deviations.contains(&"rate-limit") {
            return None;
        }
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        if before % REQUESTS_PER_REFUSAL != REQUESTS_PER_REFUSAL - 1 || !self.bends("rate-limit") {
            return None;
        }
        let mut reply = self.error(429, "too many requests");
        reply.headers.push(("retry-after", "0".to_owned()));
        Some(reply)
    }
}

impl Handler for Server {
    fn answer(&self, asked: &Asked) -> Reply {
        if let Some(refused) = self.too_many() {
            return refused;
        }
        self.route(asked).unwrap_or_else(|refused| refused)
    }

    fn fired(&self, name: &str) -> u64 {
        lock(&self.fired).get(name).copied().unwrap_or_default()
    }
}

fn typed(status: u16, content_type: &str, body: &str) -> Reply {
    Reply {
        status,
        headers: vec![("content-type", content_type.to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

/// Sends a client on to the path with a slash at its end.
fn sent_on(asked: &Asked) -> Reply {
    let query = asked.query.as_ref().map(|query| format!("?{query}"));
    let to = format!("{}/{}", asked.path, query.unwrap_or_default());
    Reply {
        status: 307,
        headers: vec![("location", to)],
        body: Vec::new(),
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
