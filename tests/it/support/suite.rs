//! The built-in suite, and what drives its cases.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::server::Server;
use avp_conform::avp::{AVP, catalogue};
use avp_conform::http::{Client, ClientOptions, Endpoint, Timeouts};
use avp_conform::keys::Seed;
use avp_conform::protocol::{Suite, Transports};
use avp_conform::session::RunContext;

/// The cases that run over HTTP.
pub(crate) static SUITE: LazyLock<Arc<Suite>> = LazyLock::new(|| {
    ALL.over(Transports {
        http: true,
        grpc: false,
    })
});

/// All cases, those of the gRPC profile as well.
pub(crate) static ALL: LazyLock<Arc<Suite>> = LazyLock::new(|| {
    Arc::new((AVP.load)(embedded_sources()).unwrap_or_else(|problems| panic!("{problems:?}")))
});

/// How cases are driven against a server; `foreign` is the one whose tokens are not its own. The keys are the same each time.
pub(crate) fn context(url: &str, foreign: &Server) -> RunContext {
    let client = |url: &str| {
        let endpoint = Endpoint::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        Client::new(ClientOptions::new(endpoint)).unwrap_or_else(|error| panic!("{error}"))
    };
    RunContext {
        client: client(url),
        foreign: Some(client(&foreign.url())),
        patience: Timeouts::new(Duration::from_secs(5)),
        seed: Seed::from_bytes([7; 32]),
        keys: Vec::new(),
        generation: 0,
        spec: catalogue().newest(),
        slow: false,
        show_secrets: false,
        subject: None,
        own_servers: None,
    }
}
