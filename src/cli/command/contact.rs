//! Whether a target is there.

use crate::cli::error::Error;
use crate::http::{
    Client, FailureKind, GRPC_CONTENT_TYPE, Request, Service, Wire, speaks_http1, speaks_http2,
};

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
