//! Records of real runs: the suite against the reference server, as it is or deviating.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use avp_conform::avp::AVP;
use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::server::{Options, Server};
use avp_conform::case::selection::{Filter, plan};
use avp_conform::http::{Client, ClientOptions, Endpoint, Timeouts};
use avp_conform::judge::Transport;
use avp_conform::keys::Seed;
use avp_conform::protocol::Suite;
use avp_conform::record::Record;
use avp_conform::run::{Jobs, RACE_TIME, Run, RunInfo, run};
use avp_conform::serve::Behaviour;
use avp_conform::session::RunContext;

/// The suite that is built in.
pub(crate) static SUITE: LazyLock<Arc<Suite>> = LazyLock::new(|| {
    Arc::new((AVP.load)(embedded_sources()).unwrap_or_else(|problems| panic!("{problems:?}")))
});

/// What a run against a server that behaves so leaves behind.
pub(crate) fn against(behaviour: Behaviour, filters: &[&str]) -> Record {
    let server = Server::start(Options {
        behaviour,
        ..Options::default()
    });
    of(&server.unwrap().url(), filters, false)
}

/// What a run against a URL leaves behind.
pub(crate) fn of(url: &str, filters: &[&str], show_secrets: bool) -> Record {
    let foreign = Server::start(Options::default()).unwrap();
    let client = |url: &str| Client::new(ClientOptions::new(Endpoint::parse(url).unwrap())).unwrap();
    let filters: Vec<Filter> = filters.iter().map(|text| Filter::parse(text).unwrap()).collect();
    let spec = avp_conform::avp::catalogue().newest();
    let target = RunContext {
        client: client(url),
        foreign: Some(client(&foreign.url())),
        patience: Timeouts::new(Duration::from_secs(5)),
        seed: Seed::from_bytes([7; 32]),
        generation: 0,
        spec,
        slow: false,
        show_secrets,
    };
    let plan = Run {
        suite: Arc::clone(&SUITE),
        selected: plan(&SUITE, &filters, spec, false),
        target: Arc::new(target),
        transport: Transport::Loopback,
        jobs: Jobs::Exactly(16),
        races: RACE_TIME,
        heading: RunInfo {
            target: url.to_owned(),
            filters: filters.iter().map(ToString::to_string).collect(),
            ..RunInfo::default()
        },
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(&plan, |_| {}))
}
