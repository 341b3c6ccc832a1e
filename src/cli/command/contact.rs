//! Whether a target is there.

use crate::cli::error::Error;
use crate::http::{Client, FailureKind, Request, Service, speaks_http1, speaks_http2};

/// Says so where a target that is no server of the protocol has a port for gRPC.
pub(super) async fn no_port_for_calls(client: &Client) -> Result<(), Error> {
    let target = client.target();
    match speaks_http2(target).await && !speaks_http1(target).await {
        true => Err(Error::Unreachable(format!(
            "{target} speaks HTTP/2 alone, as gRPC does: type --grpc {} in place of --target {target}",
            target.grpc_url()
        ))),
        false => Ok(()),
    }
}

/// A target that cannot be reached is told before any case runs.
pub(super) async fn reach(client: &Client, probe: &str) -> Result<(), Error> {
    if let Some(calls) = client.grpc()
        && !speaks_http2(calls).await
        && speaks_http1(calls).await
    {
        let url = calls.grpc_url();
        let http = url.replacen("grpc", "http", 1);
        return Err(Error::Unreachable(format!(
            "{url} speaks HTTP/1.1, and no gRPC: type --target {http} in place of --grpc {url}, or name the port for gRPC"
        )));
    }
    // What is not named is at the target.
    let services = std::iter::once(Service::new("target")).chain(client.services().cloned());
    for service in services {
        let request = Request {
            service: service.clone(),
            method: "GET".to_owned(),
            path: probe.to_owned(),
            headers: Vec::new(),
            body: None,
        };
        if let Err(failure) = client.lane().prime(&request).await
            && matches!(
                failure.kind,
                FailureKind::Connect | FailureKind::Tls | FailureKind::Timeout
            )
        {
            let endpoint = client.endpoint(&service);
            return Err(Error::Unreachable(format!(
                "cannot reach {endpoint}: {}",
                failure.message
            )));
        }
    }
    Ok(())
}
