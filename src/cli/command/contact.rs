//! Whether a target is there.

use crate::cli::error::Error;
use crate::http::{Client, FailureKind, Request, Service};

/// A target that cannot be reached is told before any case runs.
pub(super) async fn reach(client: &Client, probe: &str) -> Result<(), Error> {
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
