//! Makes the runs, a few servers at a time, and what was seen of each behaviour.
//!
//! Each fault has a server of its own. Variations that do not hide each other share one, as servers in the field use several
//! freedoms at once too; where anything but green comes of it, each is tried alone, so that the right one is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::case::selection;
use crate::catalogue::{Catalogue, Level};
use crate::http::{Client, ClientError, ClientOptions, Endpoint, GrpcOptions, ServiceOptions, Timeouts};
use crate::judge::Transport;
use crate::keys::Seed;
use crate::protocol::{Protocol, Suite};
use crate::record::findings;
use crate::record::verdict::{RunVerdict, Verdict};
use crate::record::{Body, CaseRecord, CheckRecord, Outcome, Record};
use crate::run::own_servers::{References, client_like};
use crate::run::{Jobs, RACE_TIME, Run, RunInfo, run};
use crate::serve::{Behaviour, Fault, Reference, ServeOptions, StartError};
use crate::session::{OwnServers, RunContext};

/// All runs use one seed: the same keys, ids and ivs each time.
const SEED: [u8; 32] = *b"avp-conform selftest, seed no. 1";

/// So often cases run against a fault until it takes effect; where faults are learned, until it is seen.
const TRIES_UNTIL_FIRED: usize = 20;

/// A limit keeps cases from their end, and would hide what comes of other freedoms: these variations are tried alone.
const TRIED_ALONE: &str = "limits";

/// How the runs are made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many servers are up at once.
    pub servers: usize,
    /// How many cases run at once against each.
    pub jobs: usize,
    /// How long the races of a run may take together.
    pub races: Duration,
    /// How long an exchange with a faulty server may take: several of them never answer.
    pub timeout: Duration,
    /// How long an exchange with a conformant server may take. None of them is slow, but the machine may be.
    pub patient: Duration,
    /// Whether all cases run against every fault, and not only those that declare it, and each variation alone.
    pub full: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            servers: 4,
            jobs: 12,
            races: RACE_TIME,
            timeout: Duration::from_millis(800),
            patient: Duration::from_secs(20),
            full: false,
        }
    }
}

/// The suite and a server whose tokens are not those of the servers under test.
pub struct Selftest {
    suite: Arc<Suite>,
    selected: Vec<usize>,
    foreign: Client,
    _foreign: Box<dyn Reference>,
    settings: Settings,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// A server did not start.
    #[error(transparent)]
    Server(#[from] StartError),
    /// A client of it could not be made.
    #[error("cannot make a client of the reference server: {0}")]
    Client(#[from] ClientError),
    /// Its address makes no sense.
    #[error("the reference server has no address: {0}")]
    Address(String),
    /// A task came to an early end.
    #[error("a run broke off: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What was seen of one server.
#[derive(Debug, Clone)]
pub struct Observation {
    /// How the server behaved.
    pub behaviour: Behaviour,
    /// How often its deviation took effect.
    pub fired: u64,
    /// What the run came to.
    pub verdict: RunVerdict,
    /// The requirements that came out broken, a must or a should, or not verified.
    pub requirements: Vec<(String, Verdict)>,
    /// The cases with a check that broke, and the worst that it came to: fail or warn.
    pub broken: Vec<(String, Verdict)>,
    /// The cases that could not be judged to the end: blocked or error.
    pub hindered: Vec<String>,
    /// The checks that broke.
    pub broke: BTreeSet<CheckId>,
    /// The checks that were seen to hold.
    pub held: BTreeSet<CheckId>,
    /// One sentence for each broken check, for whoever mends a false alarm.
    pub details: Vec<String>,
    /// Whether all cases ran, and not only some that declare the fault.
    pub whole: bool,
    /// The requirement of the first finding that a report would show.
    pub first: Option<String>,
    /// What broke under a fault, without bodies, for a diagnosis; none where not all cases ran.
    pub broken_cases: Option<Record>,
}

/// A check, wherever it is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckId {
    /// The case.
    pub case: String,
    /// The step; none for standing checks.
    pub step: Option<usize>,
    /// The check's name.
    pub name: String,
    /// The requirements it verifies.
    pub requirements: Vec<String>,
}

impl CheckId {
    fn of(case: &CaseRecord, check: &CheckRecord) -> CheckId {
        CheckId {
            case: case.id.clone(),
            step: check.step,
            name: check.name.clone(),
            requirements: check.requirements.clone(),
        }
    }

    /// What is seen to break, where this look broke: each requirement, in its case and as any case shows it.
    pub fn breaches(&self) -> Vec<Sight> {
        let sights = self.requirements.iter().map(|requirement| {
            [Some(self.case.clone()), None].map(|case| Sight {
                case,
                requirement: requirement.clone(),
            })
        });
        sights.flatten().collect()
    }

    /// What has to be seen to break once: each requirement that a case is about in that case, and any other somewhere.
    pub fn sights(&self, suite: &Suite) -> Vec<Sight> {
        let case = suite.get(&self.case);
        let decides =
            |index: usize| case.is_some_and(|case| case.steps.get(index).is_some_and(|step| step.decides));
        let is_about = self.step.is_some_and(decides);
        let sight = |requirement: &String| Sight {
            case: is_about.then(|| self.case.clone()),
            requirement: requirement.clone(),
        };
        self.requirements.iter().map(sight).collect()
    }
}

/// A requirement as a case shows it that is about it, or as any does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sight {
    case: Option<String>,
    requirement: String,
}

impl Sight {
    /// Whether the requirement is a must.
    pub fn is_must(&self, catalogue: &Catalogue) -> bool {
        let requirement = catalogue.get(&self.requirement);
        requirement.is_some_and(|requirement| requirement.level == Level::Must)
    }
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = self.case.as_deref().unwrap_or("any case");
        write!(f, "{case}: {}", self.requirement)
    }
}

impl Selftest {
    /// Gets ready to run the cases of a suite that are not slow.
    ///
    /// # Errors
    /// The reference server does not start, or no client of it can be made.
    pub fn new(suite: Arc<Suite>, settings: Settings) -> Result<Selftest, SelftestError> {
        let foreign = (suite.protocol.start)(ServeOptions::default())?;
        Ok(Selftest {
            selected: selection::plan(&suite, &[], suite.rules.catalogue.newest(), false),
            foreign: client(suite.protocol, &*foreign, settings.patient)?,
            _foreign: foreign,
            suite,
            settings,
        })
    }

    /// The cases that run, as indices into the suite.
    pub fn selected(&self) -> &[usize] {
        &self.selected
    }

    /// The suite.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// The record of running the whole suite against a server with several faults at once, without bodies.
    ///
    /// # Errors
    /// The server does not start.
    pub async fn with_faults(&self, faults: Vec<&'static Fault>) -> Result<Record, SelftestError> {
        let options = ServeOptions {
            faults,
            ..ServeOptions::default()
        };
        let (record, _) = self
            .run_on(options, self.selected.clone(), self.settings.timeout)
            .await?;
        Ok(stripped(&record))
    }

    /// How many servers are up at once.
    pub fn servers(&self) -> usize {
        self.settings.servers
    }

    /// Tries a party of behaviours: on one server, and each on its own where that does not come out green for all.
    async fn batch(&self, batch: &[Behaviour]) -> Result<Vec<Observation>, SelftestError> {
        if batch.len() > 1 {
            let observations = self.run(batch, self.selected.clone()).await?;
            if observations.iter().all(Observation::is_green) {
                return Ok(observations);
            }
        }
        let mut observations = Vec::new();
        for behaviour in batch {
            observations.extend(self.alone(*behaviour).await?);
        }
        Ok(observations)
    }

    /// Tries one behaviour. Against a faulty server those cases run that declare the fault; where they do not catch it, or
    /// there is none, the whole suite does.
    async fn alone(&self, behaviour: Behaviour) -> Result<Vec<Observation>, SelftestError> {
        let declared_cases = self.declared_cases(behaviour);
        if !declared_cases.is_empty() && !self.settings.full {
            // Two requests that meet within microseconds are luck: a fault that nothing has met yet is tried again.
            for _ in 0..TRIES_UNTIL_FIRED {
                let observed = self.run(&[behaviour], declared_cases.clone()).await?;
                if observed.iter().all(Observation::is_caught) {
                    return Ok(observed);
                }
                if observed.iter().any(|observation| observation.fired > 0) {
                    break;
                }
            }
        }
        let mut observed = self.run(&[behaviour], self.selected.clone()).await?;
        if matches!(behaviour, Behaviour::Faulty(_)) && self.settings.full {
            // A race that was lost teaches nothing of the fault.
            for _ in 1..TRIES_UNTIL_FIRED {
                if observed.iter().all(Observation::is_caught) {
                    break;
                }
                observed = self.run(&[behaviour], self.selected.clone()).await?;
            }
        }
        Ok(observed)
    }

    /// The cases that declare a fault.
    fn declared_cases(&self, behaviour: Behaviour) -> Vec<usize> {
        let Behaviour::Faulty(fault) = behaviour else {
            return Vec::new();
        };
        let declares = |index: &usize| {
            let kills = &self.suite.cases[*index].kills;
            kills.iter().any(|kill| kill == fault.name)
        };
        self.selected.iter().copied().filter(declares).collect()
    }

    /// Runs cases against one server that behaves in all of these ways, of which one at most is no variation.
    async fn run(
        &self,
        behaviours: &[Behaviour],
        selected: Vec<usize>,
    ) -> Result<Vec<Observation>, SelftestError> {
        let mut options = ServeOptions::default();
        for behaviour in behaviours {
            match behaviour {
                Behaviour::Varied(variation) => options.freedoms.push(variation),
                other => options.behaviour = *other,
            }
        }
        let timeout = match options.behaviour {
            Behaviour::Faulty(_) => self.settings.timeout,
            _ => self.settings.patient,
        };
        let whole = selected.len() == self.selected.len();
        let (record, server) = self.run_on(options, selected, timeout).await?;
        let fired = |behaviour: &Behaviour| behaviour.name().map_or(0, |name| server.fired(name));
        Ok(behaviours
            .iter()
            .map(|behaviour| observation(*behaviour, fired(behaviour), &record, whole))
            .collect())
    }

    /// Runs cases against a server that is started so.
    async fn run_on(
        &self,
        options: ServeOptions,
        selected: Vec<usize>,
        timeout: Duration,
    ) -> Result<(Record, Tried), SelftestError> {
        let own_servers = Arc::new(References::new(
            self.suite.protocol.start,
            options.clone(),
            client_like(ClientOptions {
                timeout,
                ..ClientOptions::new(self.foreign.target().clone())
            }),
        ));
        let server = (self.suite.protocol.start)(options)?;
        let target = RunContext {
            client: client(self.suite.protocol, &*server, timeout)?,
            foreign: Some(self.foreign.clone()),
            patience: Timeouts::new(timeout),
            seed: Seed::from_bytes(SEED),
            keys: self.suite.protocol.known_keys(),
            generation: 0,
            spec: self.suite.rules.catalogue.newest(),
            slow: false,
            show_secrets: false,
            subject: server.subject(),
            own_servers: Some(Arc::clone(&own_servers) as Arc<dyn OwnServers>),
        };
        let plan = Run {
            suite: Arc::clone(&self.suite),
            selected,
            target: Arc::new(target),
            transport: Transport::Loopback,
            jobs: Jobs::Exactly(self.settings.jobs),
            races: self.settings.races,
            fail_fast: None,
            heading: RunInfo::default(),
        };
        let record = run(&plan, |_| {}).await;
        Ok((record, Tried { server, own_servers }))
    }
}

/// The server that was tried, and those that cases had of their own.
struct Tried {
    server: Box<dyn Reference>,
    own_servers: Arc<References>,
}

impl Tried {
    /// How often a deviation took effect.
    fn fired(&self, name: &str) -> u64 {
        self.server.fired(name) + self.own_servers.fired(name)
    }
}

impl Observation {
    /// Whether the deviation took effect and nothing was found, not even a warning.
    fn is_green(&self) -> bool {
        self.fired > 0 && self.is_faultless()
    }

    /// Whether nothing was found, not even a warning.
    fn is_faultless(&self) -> bool {
        let nothing = self.broken.is_empty() && self.hindered.is_empty();
        self.verdict == RunVerdict::Conformant && nothing
    }

    /// Whether a check of the fault's level broke.
    pub fn is_caught(&self) -> bool {
        let Behaviour::Faulty(fault) = self.behaviour else {
            return false;
        };
        let enough = Verdict::of_broken(fault.level);
        self.broken.iter().any(|(_, verdict)| *verdict >= enough)
    }
}

/// Tries all behaviours, on several servers side by side. The observations come in the order of the behaviours, whatever
/// came to an end first; `finished` is told of each as it does.
///
/// # Errors
/// A server does not start, or a run breaks off.
pub async fn observe(
    bench: Arc<Selftest>,
    behaviours: &[Behaviour],
    finished: impl Fn(&Observation),
) -> Result<Vec<Observation>, SelftestError> {
    let mut waiting = parties(behaviours, bench.settings.full).into_iter();
    let mut running = JoinSet::new();
    let mut done = Vec::with_capacity(behaviours.len());
    loop {
        while running.len() < bench.settings.servers {
            let Some(indices) = waiting.next() else {
                break;
            };
            let batch: Vec<Behaviour> = indices.iter().map(|index| behaviours[*index]).collect();
            let bench = Arc::clone(&bench);
            running.spawn(async move { (indices, bench.batch(&batch).await) });
        }
        let Some(joined) = running.join_next().await else {
            break;
        };
        let (indices, observations) = joined?;
        let observations = observations?;
        observations.iter().for_each(&finished);
        done.extend(indices.into_iter().zip(observations));
    }
    done.sort_by_key(|(index, _)| *index);
    let mut observations: Vec<Observation> = done.into_iter().map(|(_, observation)| observation).collect();
    // As in a run: what the load of the others may have spoiled is tried once more, with nothing beside it. A program under test has
    // time-outs of its own.
    for observation in &mut observations {
        let is_conformant = !matches!(observation.behaviour, Behaviour::Faulty(_));
        if is_conformant && !observation.is_faultless() {
            let mut again = bench.alone(observation.behaviour).await?;
            if let Some(again) = again.pop() {
                *observation = again;
            }
        }
    }
    Ok(observations)
}

/// Who shares a server, as indices: one variation of each area, and everybody else alone.
fn parties(behaviours: &[Behaviour], alone: bool) -> Vec<Vec<usize>> {
    let (mut limited, mut shared, mut others) = (Vec::new(), Vec::<Vec<usize>>::new(), Vec::new());
    let mut seats: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, behaviour) in behaviours.iter().enumerate() {
        match behaviour {
            Behaviour::Varied(variation) if variation.area == TRIED_ALONE => limited.push(vec![index]),
            Behaviour::Varied(variation) if !alone => {
                let seat = seats.entry(variation.area).or_default();
                match shared.get_mut(*seat) {
                    Some(batch) => batch.push(index),
                    None => shared.push(vec![index]),
                }
                *seat += 1;
            }
            _ => others.push(vec![index]),
        }
    }
    // What takes longest goes first: a limited server makes its clients wait.
    [limited, shared, others].concat()
}

fn client(protocol: &Protocol, server: &dyn Reference, timeout: Duration) -> Result<Client, SelftestError> {
    let place = |url: &str| Endpoint::parse(url).map_err(|error| SelftestError::Address(error.to_string()));
    let endpoint = place(&server.url())?;
    let mut services = Vec::new();
    for (name, url) in server.services() {
        services.push(ServiceOptions::new(name, place(&url)?));
    }
    let grpc = match (server.grpc(), protocol.grpc) {
        (Some(url), Some(codec)) => Some(GrpcOptions {
            endpoint: Endpoint::parse_grpc(&url)
                .map_err(|error| SelftestError::Address(error.to_string()))?,
            codec,
            alone: false,
        }),
        _ => None,
    };
    Ok(Client::new(ClientOptions {
        grpc,
        services,
        timeout,
        connect_timeout: timeout.max(Duration::from_secs(5)),
        ..ClientOptions::new(endpoint)
    })?)
}

fn observation(behaviour: Behaviour, fired: u64, record: &Record, whole: bool) -> Observation {
    let requirements = record
        .requirements
        .iter()
        .filter(|requirement| requirement.verdict > Verdict::Pass)
        .map(|requirement| (requirement.id.clone(), requirement.verdict));
    let hindered = record
        .cases
        .iter()
        .filter(|case| matches!(case.verdict, Verdict::Blocked | Verdict::Error));
    let broken = record.cases.iter().filter_map(|case| {
        let worst = case.checks.iter().filter(|check| check.is_broken());
        Some((case.id.clone(), worst.map(|check| check.verdict).max()?))
    });
    let checks = record
        .cases
        .iter()
        .flat_map(|case| case.checks.iter().map(move |check| (case, check)))
        .filter(|(_, check)| check.is_broken() || check.verdict == Verdict::Blocked);
    Observation {
        behaviour,
        fired,
        verdict: record.verdict,
        requirements: requirements.collect(),
        broken: broken.collect(),
        hindered: hindered.map(|case| case.id.clone()).collect(),
        broke: looks(record, CheckRecord::is_broken),
        held: looks(record, |check| check.verdict == Verdict::Pass),
        details: checks
            .map(|(case, check)| {
                format!(
                    "{} {}:{} ({}): expected {}; got {}",
                    case.id,
                    case.file,
                    check.line,
                    check.requirements.join(" "),
                    check.expected,
                    crate::text::visible_cut(&check.got, 300)
                )
            })
            .collect(),
        whole,
        first: findings::first_broken(record).map(str::to_owned),
        broken_cases: (whole && matches!(behaviour, Behaviour::Faulty(_))).then(|| stripped(record)),
    }
}

/// The record without what a diagnosis does not look at: bodies, and the checks and exchanges of cases in which nothing broke.
fn stripped(record: &Record) -> Record {
    let mut record = record.clone();
    for case in &mut record.cases {
        case.checks.retain(CheckRecord::is_broken);
        if case.checks.is_empty() {
            case.exchanges.clear();
        }
        for exchange in &mut case.exchanges {
            exchange.request.headers.clear();
            exchange.request.body = None;
            if let Outcome::Answer(answer) = &mut exchange.outcome {
                answer.headers.clear();
                answer.body = Body::default();
            }
        }
    }
    record
}

fn looks(record: &Record, of: impl Fn(&CheckRecord) -> bool + Copy) -> BTreeSet<CheckId> {
    let checks = record
        .cases
        .iter()
        .flat_map(|case| case.checks.iter().map(move |check| (case, check)));
    checks
        .filter(|(_, check)| of(check))
        .map(|(case, check)| CheckId::of(case, check))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avp::server::{faults, variations};

    fn all() -> Vec<Behaviour> {
        let faulty = faults().iter().map(Behaviour::Faulty);
        let varied = variations().iter().map(Behaviour::Varied);
        std::iter::once(Behaviour::Plain)
            .chain(varied)
            .chain(faulty)
            .collect()
    }

    fn area(behaviour: Behaviour) -> Option<&'static str> {
        match behaviour {
            Behaviour::Varied(variation) => Some(variation.area),
            _ => None,
        }
    }

    #[test]
    fn everybody_is_in_one_party() {
        for alone in [false, true] {
            let mut seated = parties(&all(), alone).concat();
            seated.sort_unstable();
            assert_eq!(seated, (0..all().len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn only_variations_of_different_areas_share_a_server_and_limits_none() {
        let all = all();
        let parties = parties(&all, false);
        let shared = || parties.iter().filter(|batch| batch.len() > 1);
        assert!(shared().count() > 1);
        for batch in shared() {
            let areas: Vec<&str> = batch.iter().filter_map(|index| area(all[*index])).collect();
            assert_eq!(areas.len(), batch.len(), "a fault or the plain server among them");
            assert_eq!(areas.iter().collect::<BTreeSet<_>>().len(), areas.len());
            assert!(!areas.contains(&TRIED_ALONE));
        }
    }

    #[test]
    fn each_is_alone_where_that_is_asked_for() {
        assert!(parties(&all(), true).iter().all(|batch| batch.len() == 1));
    }
}
