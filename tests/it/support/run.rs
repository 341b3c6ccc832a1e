//! Runs in this process, and the records that they leave behind.

use std::sync::Arc;

use avp_conform::case::selection::{Filter, plan};
use avp_conform::judge::Transport;
use avp_conform::protocol::Suite;
use avp_conform::record::Record;
use avp_conform::run::{Jobs, RACE_TIME, Run, RunInfo, run};
use avp_conform::serve::Behaviour;
use avp_conform::session::RunContext;

use super::servers;
use super::suite::{SUITE, context};

/// A run against a server that behaves so; no filter selects the whole suite.
pub(crate) fn against(behaviour: Behaviour, filters: &[&str]) -> Record {
    let (server, foreign) = (servers::start(behaviour), servers::plain());
    record(context(&server.url(), &foreign), filters)
}

/// A run by a context.
pub(crate) fn record(context: RunContext, filters: &[&str]) -> Record {
    record_of(&SUITE, context, filters)
}

/// A run of a suite by a context.
pub(crate) fn record_of(suite: &Arc<Suite>, context: RunContext, filters: &[&str]) -> Record {
    let filter = |text: &&str| Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let filters: Vec<Filter> = filters.iter().map(filter).collect();
    let plan = Run {
        suite: Arc::clone(suite),
        selected: plan(suite, &filters, context.spec, context.slow),
        fail_fast: None,
        heading: RunInfo {
            target: context.client.target().to_string(),
            filters: filters.iter().map(ToString::to_string).collect(),
            ..RunInfo::default()
        },
        target: Arc::new(context),
        transport: Transport::Loopback,
        jobs: Jobs::Exactly(16),
        races: RACE_TIME,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(run(&plan, |_| {}))
}
