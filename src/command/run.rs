//! Runs the suite against a target and reports.

use std::sync::Arc;

use serde_json::json;

use super::output;
use super::progress::Progress;
use crate::case::{Suite, TokenForm};
use crate::cli::RunArgs;
use crate::config::Config;
use crate::crypto::{Identity, Seed, SignatureForm, sign_nonce};
use crate::drive::Target;
use crate::error::Error;
use crate::judge::Transport;
use crate::record::Record;
use crate::report;
use crate::run::{Heading, Run};
use crate::server::{self, Server};
use crate::wire::{Body, Client, Endpoint, FailureKind, Outcome, Patience, Request, Service};
use crate::{exit, run, selftest};

/// How many uses of one seed against one target are told apart.
const MOST_GENERATIONS: u32 = 1000;

pub(super) fn run(args: &RunArgs) -> Result<u8, Error> {
    let mut config = Config::new(args)?;
    let record = run_through(&config)?;
    finish(&mut config, &record)
}

/// The record of a run, which is reported nowhere.
pub(super) fn record(args: &RunArgs) -> Result<Record, Error> {
    run_through(&Config::new(args)?)
}

fn run_through(config: &Config) -> Result<Record, Error> {
    let embedded = match config.target {
        Some(_) => None,
        None => Some(
            Server::start(server::Options::default())
                .map_err(|error| Error::Unreachable(error.to_string()))?,
        ),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| Error::Unreachable(format!("cannot start the run's threads: {error}")))?;
    let mut record = runtime.block_on(drive(config, embedded.as_ref()))?;
    if let Some(baseline) = &config.baseline {
        baseline.apply(&mut record, &config.suite);
    }
    Ok(record)
}

async fn drive(config: &Config, embedded: Option<&Server>) -> Result<Record, Error> {
    let vault = match (&config.target, embedded) {
        (Some(target), _) => target.clone(),
        (None, Some(server)) => address(&server.url())?,
        (None, None) => return Err(Error::Usage("there is no target".to_owned())),
    };
    let client = client(config, vault.clone())?;
    reach(&client).await?;
    let foreign = match wants_foreign(&config.suite, &config.selected) {
        true => Some(
            Server::start(server::Options::default())
                .map_err(|error| Error::Unreachable(error.to_string()))?,
        ),
        false => None,
    };
    let foreign_client = foreign
        .as_ref()
        .map(|server| client_of_server(config, server))
        .transpose()?;
    let generation = if config.seed_given {
        generation(&client, &config.seed, config).await
    } else {
        0
    };
    let target = Target {
        client,
        foreign: foreign_client,
        patience: Patience::new(config.timeout),
        seed: config.seed,
        generation,
        slow: config.slow,
        show_secrets: config.show_secrets,
    };
    let heading = Heading {
        target: config
            .target
            .as_ref()
            .map_or("embedded".to_owned(), Endpoint::to_string),
        idp: config.idp.as_ref().map(Endpoint::to_string),
        strict: config.strict,
        filters: config.filters.iter().map(ToString::to_string).collect(),
        kill_rate: selftest::kill_rate(&config.suite.hash),
        ..Heading::default()
    };
    let run = Run {
        suite: Arc::clone(&config.suite),
        selected: config.selected.clone(),
        target: Arc::new(target),
        spec: config.spec,
        transport: Transport::of(&vault),
        jobs: config.jobs,
        heading,
    };
    let progress = Progress::new(
        run.selected.len(),
        "cases",
        config.verbosity == report::Verbosity::Quiet,
    );
    Ok(run::run(&run, |event| progress.note(&event)).await)
}

fn address(url: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(url).map_err(|error| Error::Usage(format!("{url:?}: {error}")))
}

fn client(config: &Config, vault: Endpoint) -> Result<Client, Error> {
    Client::new(config.client(vault)).map_err(|error| Error::Usage(error.to_string()))
}

fn client_of_server(config: &Config, server: &Server) -> Result<Client, Error> {
    let mut options = config.client(address(&server.url())?);
    options.idp = None;
    Client::new(options).map_err(|error| Error::Usage(error.to_string()))
}

fn wants_foreign(suite: &Suite, selected: &[usize]) -> bool {
    let steps = selected.iter().flat_map(|index| &suite.cases[*index].case.steps);
    let mut tokens = steps
        .filter_map(|step| step.get_ref().with.as_ref())
        .flat_map(|with| with.token.iter());
    tokens.any(|token| *token == TokenForm::OtherServer)
}

/// A target that cannot be reached is told before any case runs.
async fn reach(client: &Client) -> Result<(), Error> {
    for service in [Service::Vault, Service::Idp] {
        let request = Request {
            service,
            method: "GET".to_owned(),
            path: "/.well-known/avp".to_owned(),
            headers: Vec::new(),
            body: None,
        };
        if let Err(failure) = client.lane().prime(request).await
            && matches!(
                failure.kind,
                FailureKind::Connect | FailureKind::Tls | FailureKind::Timeout
            )
        {
            let endpoint = client.endpoint(service);
            return Err(Error::Unreachable(format!(
                "cannot reach {endpoint}: {}",
                failure.message
            )));
        }
    }
    Ok(())
}

/// Which use of a given seed this is against this target. A target that keeps its data has the repositories of an earlier
/// run: each use leaves a marker, and the first number without one is free.
async fn generation(client: &Client, seed: &Seed, config: &Config) -> u32 {
    for generation in 0..MOST_GENERATIONS {
        match mark(client, seed, generation, config).await {
            Some(409) => {}
            _ => return generation,
        }
    }
    MOST_GENERATIONS
}

/// Tries to create the marker of a generation; the status of the answer, if it came to that.
async fn mark(client: &Client, seed: &Seed, generation: u32, config: &Config) -> Option<u16> {
    let mut lane = client.lane();
    let identity = Identity::derive(seed, &["generation", &generation.to_string()]);
    let mut call = async |service, path: &str, token: Option<&str>, body: serde_json::Value| {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        let (method, body) = ("POST".to_owned(), Some(Body::from(body.to_string())));
        let request = Request {
            service,
            method,
            path: path.to_owned(),
            headers,
            body,
        };
        match lane.send(&request, config.timeout).await.outcome {
            Outcome::Answer(answer) => Some((
                answer.status,
                serde_json::from_slice(answer.body.as_bytes()).unwrap_or_default(),
            )),
            Outcome::Failure(_) => None,
        }
    };
    let key = json!({ "ed25519PublicKey": identity.member_id() });
    let (_, challenge): (u16, serde_json::Value) =
        call(Service::Idp, "/api/auth/keypair/challenge", None, key).await?;
    let nonce = challenge.get("nonce")?.as_str()?.to_owned();
    let signature = sign_nonce(&identity, &nonce, SignatureForm::Valid).ok()?;
    let redeem = json!({ "ed25519PublicKey": identity.member_id(), "nonce": nonce, "signature": signature });
    let (_, granted): (u16, serde_json::Value) =
        call(Service::Idp, "/api/auth/keypair/token", None, redeem).await?;
    let token = granted.get("token")?.as_str()?.to_owned();
    let marker = crate::drive::marker(seed, generation, &identity);
    call(Service::Vault, "/v1/repos", Some(&token), marker)
        .await
        .map(|(status, _)| status)
}

/// Writes every report and says what the run came to.
fn finish(config: &mut Config, record: &Record) -> Result<u8, Error> {
    let outputs = std::mem::take(&mut config.outputs);
    output::deliver(record, outputs, config.verbosity, config.suite.sources())?;
    Ok(exit::of(record))
}
