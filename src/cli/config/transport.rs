//! Over what cases are run, and where gRPC is spoken.

use super::Exec;
use super::services::Typed;
use crate::cli::arguments::{RunArgs, TransportArg};
use crate::cli::error::Error;
use crate::http::{Endpoint, GrpcOptions};
use crate::protocol::{Protocol, Transports};

/// What a run knows of gRPC.
#[derive(Debug, Clone)]
pub struct GrpcAt {
    /// The address, and how messages are read.
    pub options: GrpcOptions,
    /// The address as it was typed: with `{port}` in it where the run starts the server.
    pub shown: String,
}

/// Reads `--grpc`; none where it is not given.
///
/// # Errors
/// The protocol has no gRPC profile, or it is no address.
pub(super) fn grpc(
    protocol: &Protocol,
    args: &RunArgs,
    typed: &Typed,
    exec: Option<&Exec>,
) -> Result<Option<GrpcAt>, Error> {
    let http = typed.target.as_deref();
    if let Some(url) = http.filter(|url| url.starts_with("grpc://") || url.starts_with("grpcs://")) {
        let message = format!("--target {url} is an address for gRPC: type --grpc {url}");
        return Err(Error::Usage(message));
    }
    let Some(codec) = protocol.grpc else {
        let name = &protocol.catalogue().prefix;
        return match args.grpc.is_some() || args.transport.is_some() {
            true => Err(Error::Usage(format!(
                "--grpc, --transport: {name} has no gRPC profile"
            ))),
            false => Ok(None),
        };
    };
    let Some(url) = &args.grpc else {
        return Ok(None);
    };
    if url.starts_with("http://") || url.starts_with("https://") {
        let message =
            format!("--grpc {url} is an address for HTTP: type --target {url}, or --grpc grpc://HOST:PORT");
        return Err(Error::Usage(message));
    }
    let filled = exec.map_or(url.clone(), |exec| exec.fill(None, url));
    let endpoint = Endpoint::parse_grpc(&filled).map_err(|error| Error::Usage(format!("--grpc: {error}")))?;
    Ok(Some(GrpcAt {
        shown: match exec.is_some() && url.contains("{port}") {
            true => url.clone(),
            false => endpoint.grpc_url(),
        },
        options: GrpcOptions {
            endpoint,
            codec,
            alone: http.is_none(),
        },
    }))
}

/// Over what the cases are run.
///
/// # Errors
/// Something is asked for whose address is not known.
pub(super) fn transports(
    protocol: &Protocol,
    args: &RunArgs,
    is_embedded: bool,
    grpc: Option<&GrpcAt>,
) -> Result<Transports, Error> {
    let known = Transports {
        http: is_embedded || grpc.is_none_or(|grpc| !grpc.options.alone),
        grpc: grpc.is_some() || is_embedded && protocol.grpc.is_some(),
    };
    let wanted = match args.transport {
        None => known,
        Some(TransportArg::Http) => Transports {
            http: true,
            grpc: false,
        },
        Some(TransportArg::Grpc) => Transports {
            http: false,
            grpc: true,
        },
        Some(TransportArg::Both) => Transports {
            http: true,
            grpc: true,
        },
    };
    match (wanted.http && !known.http, wanted.grpc && !known.grpc) {
        (true, _) => Err(Error::Usage(
            "--transport: the address for HTTP is missing: --target URL".to_owned(),
        )),
        (_, true) => Err(Error::Usage(
            "--transport: the address for gRPC is missing: --grpc grpc://HOST:PORT".to_owned(),
        )),
        _ => Ok(wanted),
    }
}
