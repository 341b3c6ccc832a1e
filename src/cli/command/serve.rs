//! Serves the reference server alone.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::signals;
use crate::avp::server;
use crate::avp::server::{Behaviour, Options, Server, Tls, Variation};
use crate::case::nearest;
use crate::cli::arguments::ServeArgs;
use crate::cli::error::Error;
use crate::cli::{console, exit};

pub(super) fn serve(args: &ServeArgs) -> Result<u8, Error> {
    if args.list_faults {
        let row = |fault: &server::Fault| {
            format!(
                "{:40} {:10} {:6} {}\n",
                fault.name,
                fault.breaks.join(" "),
                fault.level,
                fault.about
            )
        };
        console::out(&server::faults().iter().map(row).collect::<String>())?;
        return Ok(exit::OK);
    }
    if args.list_variations {
        let row = |variation: &server::Variation| format!("{:32} {}\n", variation.name, variation.about);
        console::out(&server::variations().iter().map(row).collect::<String>())?;
        return Ok(exit::OK);
    }
    let options = Options {
        bind: SocketAddr::new(args.bind, args.port),
        behaviour: behaviour(args)?,
        freedoms: freedoms(args)?,
        tls: tls(args)?,
        ..Options::default()
    };
    let freedoms = options.freedoms.iter().map(|variation| variation.name);
    let deviations: Vec<&str> = options.behaviour.name().into_iter().chain(freedoms).collect();
    let about = match deviations.is_empty() {
        true => String::new(),
        false => format!(" ({})", deviations.join(", ")),
    };
    let server = Server::start(options).map_err(|error| Error::Unreachable(error.to_string()))?;
    signals::wait(|| console::out(&format!("serving AVP at {}{about}\n", server.url())))?;
    Ok(exit::OK)
}

fn behaviour(args: &ServeArgs) -> Result<Behaviour, Error> {
    let Some(name) = &args.fault else {
        return Ok(Behaviour::Plain);
    };
    let known = server::faults().iter().map(|fault| fault.name);
    match server::find_fault(name) {
        Some(fault) => Ok(Behaviour::Faulty(fault)),
        None => Err(unknown("fault", name, known, "--list-faults")),
    }
}

fn freedoms(args: &ServeArgs) -> Result<Vec<&'static Variation>, Error> {
    let known = || server::variations().iter().map(|variation| variation.name);
    let find = |name: &String| {
        server::find_variation(name).ok_or_else(|| unknown("variation", name, known(), "--list-variations"))
    };
    args.vary.iter().map(find).collect()
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>, list: &str) -> Error {
    let near = nearest(name, known).map(|near| format!("did you mean {near:?}? "));
    Error::Usage(format!(
        "there is no {what} {name:?}; {}{list} lists them",
        near.unwrap_or_default()
    ))
}

fn tls(args: &ServeArgs) -> Result<Option<Tls>, Error> {
    if args.tls_self_signed {
        return Tls::self_signed()
            .map(Some)
            .map_err(|error| Error::Usage(error.to_string()));
    }
    let read = |path: &Path| {
        fs::read_to_string(path)
            .map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))
    };
    match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Ok(Some(Tls {
            cert_pem: read(cert)?,
            key_pem: read(key)?,
        })),
        _ => Ok(None),
    }
}
