//! Serves the reference server alone.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::signals;
use crate::case::nearest;
use crate::cli::arguments::ServeArgs;
use crate::cli::error::Error;
use crate::cli::{console, exit};
use crate::protocol::Protocol;
use crate::serve::{Fault, Habits, ServeOptions, Tables, Tls, Variation};

pub(super) fn serve(args: &ServeArgs) -> Result<u8, Error> {
    let protocol = args.protocol.get();
    if args.list_faults {
        console::out(&list_of_faults((protocol.faults)()))?;
        return Ok(exit::OK);
    }
    if args.list_variations {
        console::out(&list_of_variations((protocol.variations)()))?;
        return Ok(exit::OK);
    }
    let options = ServeOptions {
        bind: SocketAddr::new(args.bind, args.port),
        faults: faults(protocol, args)?,
        freedoms: freedoms(protocol, args)?,
        tls: tls(args)?,
        no_grpc: args.no_grpc,
        db: args.db.clone(),
        single: args.mode.as_deref() != Some(ALL),
        mode: mode(protocol, args)?,
        keys: args.key.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: args.flags.clone(),
        log: args.log.then_some(|line| console::err(&format!("{line}\n"))),
        ..ServeOptions::default()
    };
    let deviations = options.deviations();
    let about = match deviations.is_empty() {
        true => String::new(),
        false => format!(" ({})", deviations.join(", ")),
    };
    let name = &protocol.catalogue().prefix;
    let server = (protocol.start)(options).map_err(|error| Error::Unreachable(error.to_string()))?;
    let services = server.services();
    let places = match services.as_slice() {
        [] => server.url(),
        all => {
            let each = all.iter().map(|(service, url)| format!("{url} ({service})"));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    signals::wait(|| console::out(&format!("serving {name} at {places}{about}\n")))?;
    Ok(exit::OK)
}

/// Stands for all modes, each a server of its own.
const ALL: &str = "all";

/// Which service the server is to be.
fn mode(protocol: &Protocol, args: &ServeArgs) -> Result<Option<String>, Error> {
    let known: Vec<&str> = match protocol.apart {
        Some(_) => protocol.service_names().chain([ALL]).collect(),
        None => Vec::new(),
    };
    match &args.mode {
        Some(mode) if !known.contains(&mode.as_str()) => Err(Error::Usage(format!(
            "--mode: there is no {mode:?} in {}{}",
            protocol.catalogue().prefix,
            match known.is_empty() {
                true => String::new(),
                false => format!(", only {}", known.join(", ")),
            }
        ))),
        mode => Ok(mode.clone().filter(|mode| mode != ALL)),
    }
}

/// A line for each fault.
pub(super) fn list_of_faults(faults: &[Fault]) -> String {
    let row = |fault: &Fault| {
        format!(
            "{:40} {:10} {:6} {}\n",
            fault.name,
            fault.breaks.join(" "),
            fault.level,
            fault.about
        )
    };
    faults.iter().map(row).collect()
}

/// A line for each variation.
pub(super) fn list_of_variations(variations: &[Variation]) -> String {
    let row = |variation: &Variation| format!("{:32} {}\n", variation.name, variation.about);
    variations.iter().map(row).collect()
}

fn faults(protocol: &Protocol, args: &ServeArgs) -> Result<Vec<&'static Fault>, Error> {
    let table = (protocol.faults)();
    args.fault
        .iter()
        .map(|name| fault_named(table, name, ""))
        .collect()
}

fn freedoms(protocol: &Protocol, args: &ServeArgs) -> Result<Vec<&'static Variation>, Error> {
    let table = (protocol.variations)();
    args.vary
        .iter()
        .map(|name| variation_named(table, name, ""))
        .collect()
}

/// The deviations of these names. What lists them begins with `lister`.
pub(super) fn habits<T: Tables>(
    faults: &[String],
    variations: &[String],
    lister: &str,
) -> Result<Habits<T>, Error> {
    let fault = |name: &String| fault_named(T::faults(), name, lister).map(|fault| fault.name);
    let variation =
        |name: &String| variation_named(T::variations(), name, lister).map(|variation| variation.name);
    let names = faults.iter().map(fault).chain(variations.iter().map(variation));
    names.collect::<Result<_, _>>().map(Habits::new)
}

fn fault_named(table: &'static [Fault], name: &str, lister: &str) -> Result<&'static Fault, Error> {
    let known = || table.iter().map(|fault| fault.name);
    let found = table.iter().find(|fault| fault.name == name);
    found.ok_or_else(|| unknown("fault", name, known(), &format!("{lister}--list-faults")))
}

fn variation_named(
    table: &'static [Variation],
    name: &str,
    lister: &str,
) -> Result<&'static Variation, Error> {
    let known = || table.iter().map(|variation| variation.name);
    let found = table.iter().find(|variation| variation.name == name);
    found.ok_or_else(|| unknown("variation", name, known(), &format!("{lister}--list-variations")))
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
