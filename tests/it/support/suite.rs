//! The built-in suite, and what drives its cases.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::server::Server;
use avp_conform::avp::{AVP, catalogue};
use avp_conform::http::{Client, ClientOptions, Endpoint, GrpcOptions, Timeouts};
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

/// The cases over both transports, and those that ask whether the two agree.
pub(crate) static BOTH: LazyLock<Arc<Suite>> = LazyLock::new(|| {
    ALL.over(Transports {
        http: true,
        grpc: true,
    })
});

/// How cases are driven over both transports against a server; `foreign` is the one whose tokens are not its own.
pub(crate) fn context_of_both(server: &Server, foreign: &Server) -> RunContext {
    let options = |server: &Server| {
        let place = |url: &str| Endpoint::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let grpc = server.grpc().map(|url| GrpcOptions {
            endpoint: Endpoint::parse_grpc(&url).unwrap_or_else(|error| panic!("{url}: {error}")),
            codec: avp_conform::avp::grpc::CODEC,
            alone: false,
        });
        ClientOptions {
            grpc,
            ..ClientOptions::new(place(&server.url()))
        }
    };
    let client = |server| Client::new(options(server)).unwrap_or_else(|error| panic!("{error}"));
    RunContext {
        client: client(server),
        foreign: Some(client(foreign)),
        ..context(&server.url(), foreign)
    }
}

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
