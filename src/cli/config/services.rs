//! Where the services of a protocol are: what was typed, and the addresses that come of it.

use super::{Exec, ServiceAt, endpoint};
use crate::case::nearest;
use crate::cli::arguments::RunArgs;
use crate::cli::error::Error;
use crate::http::{Endpoint, Service};
use crate::protocol::Protocol;
use crate::record::EXEC_TARGET;

/// The service that has an option of its own.
pub(super) const IDP: Service = Service::new("idp");

/// Addresses as they were typed.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// `--target`, or the service that it stands for.
    pub(super) target: Option<String>,
    /// The other services, each with the option that named it, in the protocol's order.
    services: Vec<(&'static str, String, String)>,
}

impl Typed {
    /// Whether no address was typed at all.
    pub(super) fn is_empty(&self) -> bool {
        self.target.is_none() && self.services.is_empty()
    }

    /// The address of a service.
    pub(super) fn of(&self, name: &str) -> Option<&str> {
        let own = self.services.iter().find(|(known, ..)| *known == name);
        own.map(|(_, _, url)| url.as_str())
    }
}

/// Reads `--target`, `--idp` and `--service`.
///
/// # Errors
/// The protocol has no such service, or one is named twice.
pub(super) fn typed(protocol: &Protocol, args: &RunArgs) -> Result<Typed, Error> {
    let mut typed = Typed {
        target: args.target.clone(),
        services: Vec::new(),
    };
    let idp_name = IDP;
    let idp = args
        .idp
        .iter()
        .map(|url| (idp_name.as_str(), url, "--idp".to_owned()));
    let named = args.service.iter().map(|service| {
        let option = format!("--service {}", service.name);
        (service.name.as_str(), &service.url, option)
    });
    for (name, url, option) in idp.chain(named) {
        let known: Vec<&'static str> = protocol.service_names().collect();
        let Some(name) = known.iter().find(|other| **other == name) else {
            let near = nearest(name, known.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
            return Err(Error::Usage(format!(
                "{option}: {} has no service {name:?}, only {}{}",
                protocol.catalogue().prefix,
                known.join(", "),
                near.unwrap_or_default()
            )));
        };
        let twice = || {
            Err(Error::Usage(format!(
                "{option}: the service {name} is named twice"
            )))
        };
        if protocol.apart.is_none() && *name == known[0] {
            if typed.target.replace(url.clone()).is_some() {
                return twice();
            }
        } else if typed.of(name).is_some() {
            return twice();
        } else {
            typed.services.push((name, option, url.clone()));
        }
    }
    if protocol.apart.is_some() && typed.target.is_some() && !typed.services.is_empty() {
        let names: Vec<&str> = protocol.service_names().collect();
        return Err(Error::Usage(format!(
            "--target is a server of which nobody has said what it is: name every server with --service, {}",
            names.join(", ")
        )));
    }
    let order = |name: &str| protocol.service_names().position(|known| known == name);
    typed.services.sort_by_key(|(name, ..)| order(name));
    Ok(typed)
}

/// Where the target and the services beside it are.
pub(super) struct Places {
    pub(super) target: Option<Endpoint>,
    pub(super) services: Vec<ServiceAt>,
}

/// Reads the addresses. Servers that the run starts are at the ports that they are given.
///
/// # Errors
/// One is no address.
pub(super) fn places(protocol: &Protocol, typed: &Typed, exec: Option<&Exec>) -> Result<Places, Error> {
    let at = |name: &'static str, option: &str, url: &str| -> Result<Option<ServiceAt>, Error> {
        let filled = exec.map_or(url.to_owned(), |exec| exec.fill(Some(name), url));
        let parsed = endpoint(option, Some(&filled))?;
        Ok(parsed.map(|endpoint| ServiceAt {
            name: Service::new(name),
            shown: match exec {
                Some(_) => url.to_owned(),
                None => endpoint.to_string(),
            },
            endpoint,
        }))
    };
    let mut services = Vec::new();
    for name in protocol.service_names() {
        let own = typed.services.iter().find(|(known, ..)| *known == name);
        let started = exec.filter(|_| protocol.apart.is_some()).map(|_| EXEC_TARGET);
        let place = match (own, started) {
            (Some((_, option, url)), _) => at(name, option, url)?,
            (None, Some(url)) => at(name, "--exec", url)?,
            (None, None) => None,
        };
        services.extend(place);
    }
    let target = match (protocol.apart.is_some(), &typed.target, exec) {
        (true, None, _) => services.first().map(|service| service.endpoint.clone()),
        (_, Some(url), exec) => {
            let filled = exec.map_or(url.clone(), |exec| exec.fill(None, url));
            endpoint("--target", Some(&filled))?
        }
        (false, None, Some(exec)) => endpoint("--target", Some(&exec.fill(None, EXEC_TARGET)))?,
        (false, None, None) => None,
    };
    Ok(Places { target, services })
}
