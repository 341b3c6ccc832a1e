//! The hostile bank: servers that do what no server should. Each listens at a port of its own on 127.0.0.1, answers any
//! request in its own bad way, and notes what must never reach it.

mod bombs;
mod conduct;
mod content;
mod framing;
pub(crate) mod http2;
mod stage;
mod tls;

pub(crate) use stage::{Running, Visit};

/// A hostile server.
pub(crate) struct Hostile {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// The scheme under which it is visited.
    scheme: &'static str,
    /// After so many connections nobody listens any more.
    accepts: usize,
    /// What it does with one connection.
    serve: fn(&mut Visit),
}

impl Hostile {
    /// Starts it; it ends when what is returned is dropped.
    pub(crate) fn start(&self) -> Running {
        stage::start(self.scheme, self.accepts, self.serve)
    }
}

/// All of them.
pub(crate) fn bank() -> Vec<Hostile> {
    [
        conduct::targets(),
        framing::targets(),
        content::targets(),
        tls::targets(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Those at a port for gRPC.
pub(crate) fn calls() -> Vec<Hostile> {
    http2::targets()
}

/// The certificate of the authority that signs what is signed in the bank.
pub(crate) fn authority() -> &'static std::path::Path {
    tls::authority()
}

fn http(name: &'static str, about: &'static str, serve: fn(&mut Visit)) -> Hostile {
    Hostile {
        name,
        about,
        scheme: "http",
        accepts: usize::MAX,
        serve,
    }
}

fn https(name: &'static str, about: &'static str, serve: fn(&mut Visit)) -> Hostile {
    Hostile {
        scheme: "https",
        ..http(name, about, serve)
    }
}
