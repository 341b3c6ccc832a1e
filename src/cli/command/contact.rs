//! Whether a target is there.

use crate::cli::error::Error;
use crate::http::{
    Client, Endpoint, FailureKind, GRPC_CONTENT_TYPE, Request, Service, Wire, speaks_http1, speaks_http2,
    speaks_tls,
};

/// Says so where a target that is no server of the protocol has a port for gRPC, or for TLS.
///
/// # Errors
/// It has.
pub(super) async fn no_other_port(client: &Client) -> Result<(), Error> {
    let target = client.target();
    if speaks_http1(target).await {
        return Ok(());
    }
    if speaks_http2(target).await {
        return Err(Error::Unreachable(format!(
            "{target} speaks HTTP/2 alone, as gRPC does: type --grpc {} in place of --target {target}",
            target.grpc_url()
        )));
    }
    if speaks_tls(target).await {
        return Err(wants_tls(&target.to_string(), "--target"));
    }
    Ok(())
}

/// A port for gRPC that is one for HTTP/1.1, or for TLS.
async fn port_of_another_kind(calls: &Endpoint) -> Result<(), Error> {
    let url = calls.grpc_url();
    if speaks_http2(calls).await {
        return Ok(());
    }
    if speaks_http1(calls).await {
        let http = url.replacen("grpc", "http", 1);
        return Err(Error::Unreachable(format!(
            "{url} speaks HTTP/1.1, and no gRPC: type --target {http} in place of --grpc {url}, or name the port for gRPC"
        )));
    }
    if speaks_tls(calls).await {
        return Err(wants_tls(&url, "--grpc"));
    }
    Ok(())
}

fn wants_tls(url: &str, option: &str) -> Error {
    let over_tls = url.replacen("://", "s://", 1);
    Error::Unreachable(format!("{url} speaks TLS: type {option} {over_tls}"))
}

/// A target that cannot be reached is told before any case runs.
pub(super) async fn reach(client: &Client, probe: &str) -> Result<(), Error> {
    if let Some(calls) = client.grpc() {
        port_of_another_kind(calls).await?;
    }
    if let Some(calls) = client.grpc() {
        knock(
            client,
            Wire::Grpc,
            &Service::new("target"),
            probe,
            calls.grpc_url(),
        )
        .await?;
    }
    // What is not named is at the target.
    let services = std::iter::once(Service::new("target")).chain(client.services().cloned());
    for service in services.filter(|service| client.speaks_http(service)) {
        let place = client.endpoint(&service).to_string();
        knock(client, Wire::Http, &service, probe, place).await?;
    }
    Ok(())
}

/// Connects, and asks nothing.
async fn knock(
    client: &Client,
    wire: Wire,
    service: &Service,
    probe: &str,
    place: String,
) -> Result<(), Error> {
    use FailureKind::{Connect, Timeout, Tls};
    let request = Request {
        service: service.clone(),
        method: "GET".to_owned(),
        path: probe.to_owned(),
        // No message of any method.
        headers: vec![("content-type".to_owned(), GRPC_CONTENT_TYPE.to_owned())],
        body: None,
    };
    let mut lane = client.lane();
    lane.over(wire);
    match lane.prime(&request).await {
        Err(failure) if matches!(failure.kind, Connect | Tls | Timeout) => Err(Error::Unreachable(format!(
            "cannot reach {place}: {}",
            failure.message
        ))),
        _ => Ok(()),
    }
}
