//! Makes the runs: one server for each behaviour, a few of them at a time, and what was seen of each.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::case::Suite;
use crate::crypto::Seed;
use crate::drive::Target;
use crate::judge::Transport;
use crate::plan;
use crate::protocol::{Level, SpecVersion, catalogue};
use crate::record::{CaseRecord, CheckRecord, Record};
use crate::run::{Heading, Run, run};
use crate::server::{Behaviour, Options, Server, StartError};
use crate::verdict::{RunVerdict, Verdict};
use crate::wire::{Client, ClientError, ClientOptions, Endpoint, Patience};

/// All runs use one seed: the same keys, ids and ivs each time.
const SEED: [u8; 32] = *b"avp-conform selftest, seed no. 1";

/// So often the cases that declare a fault run against it until it takes effect.
const TRIES: usize = 20;

/// How the runs are made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many servers are up at once.
    pub servers: usize,
    /// How many cases run at once against each.
    pub jobs: usize,
    /// How long an exchange with a faulty server may take: several of them never answer.
    pub timeout: Duration,
    /// How long an exchange with a conformant server may take. None of them is slow, but the machine may be.
    pub patient: Duration,
    /// Whether all cases run against every fault, and not only those that declare it.
    pub full: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            servers: 4,
            jobs: 12,
            timeout: Duration::from_millis(800),
            patient: Duration::from_secs(20),
            full: false,
        }
    }
}

/// The suite and a server whose tokens are not those of the servers under test.
pub struct Bench {
    suite: Arc<Suite>,
    selected: Vec<usize>,
    foreign: Client,
    _foreign: Server,
    settings: Settings,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
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
    pub broke: BTreeSet<Look>,
    /// The checks that were seen to hold.
    pub held: BTreeSet<Look>,
    /// One sentence for each broken check, for whoever mends a false alarm.
    pub details: Vec<String>,
}

/// A check, wherever it is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Look {
    /// The case.
    pub case: String,
    /// The step; none for standing checks.
    pub step: Option<usize>,
    /// The check's name.
    pub name: String,
    /// The requirements it verifies.
    pub requirements: Vec<String>,
}

impl Look {
    fn of(case: &CaseRecord, check: &CheckRecord) -> Look {
        Look {
            case: case.id.clone(),
            step: check.step,
            name: check.name.clone(),
            requirements: check.requirements.clone(),
        }
    }

    /// What has to be seen to break once.
    pub fn sight(&self) -> Sight {
        Sight {
            case: self.step.map(|_| self.case.clone()),
            name: self.name.clone(),
            requirements: self.requirements.clone(),
        }
    }

    /// Whether one of its requirements is a must.
    pub fn is_must(&self) -> bool {
        self.requirements
            .iter()
            .filter_map(|id| catalogue().get(id))
            .any(|requirement| requirement.level == Level::Must)
    }
}

/// A check of a case at whichever step, or one that is made on every exchange of every case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sight {
    case: Option<String>,
    name: String,
    requirements: Vec<String>,
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = self.case.as_deref().unwrap_or("every exchange");
        write!(f, "{case}: {} ({})", self.name, self.requirements.join(" "))
    }
}

impl Bench {
    /// Gets ready to run the cases of a suite that are not slow.
    pub fn new(suite: Arc<Suite>, settings: Settings) -> Result<Bench, BenchError> {
        let foreign = Server::start(Options::default())?;
        Ok(Bench {
            selected: plan::plan(&suite, &[], SpecVersion::default(), false),
            foreign: client(&foreign, settings.patient)?,
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

    /// Tries one server. Against a faulty one those cases run that declare the fault; where they do not catch it, or there is
    /// none, the whole suite does.
    async fn one(&self, behaviour: Behaviour) -> Result<Observation, BenchError> {
        let meant = self.meant(behaviour);
        if !meant.is_empty() && !self.settings.full {
            // Two requests that meet within microseconds are luck: a fault that nothing has met yet is tried again.
            for _ in 0..TRIES {
                let observation = self.run(behaviour, meant.clone()).await?;
                if observation.is_caught() {
                    return Ok(observation);
                }
                if observation.fired > 0 {
                    break;
                }
            }
        }
        self.run(behaviour, self.selected.clone()).await
    }

    /// The cases that declare a fault.
    fn meant(&self, behaviour: Behaviour) -> Vec<usize> {
        let Behaviour::Faulty(fault) = behaviour else {
            return Vec::new();
        };
        let declares = |index: &usize| {
            let kills = &self.suite.cases[*index].case.kills;
            kills.iter().any(|kill| kill.get_ref() == fault.name)
        };
        self.selected.iter().copied().filter(declares).collect()
    }

    async fn run(&self, behaviour: Behaviour, selected: Vec<usize>) -> Result<Observation, BenchError> {
        let timeout = match behaviour {
            Behaviour::Faulty(_) => self.settings.timeout,
            _ => self.settings.patient,
        };
        let server = Server::start(Options {
            behaviour,
            ..Options::default()
        })?;
        let target = Target {
            client: client(&server, timeout)?,
            foreign: Some(self.foreign.clone()),
            patience: Patience::new(timeout),
            seed: Seed::from_bytes(SEED),
            generation: 0,
            spec: SpecVersion::default(),
            slow: false,
            show_secrets: false,
        };
        let plan = Run {
            suite: Arc::clone(&self.suite),
            selected,
            target: Arc::new(target),
            transport: Transport::Loopback,
            jobs: self.settings.jobs,
            heading: Heading::default(),
        };
        let record = run(&plan, |_| {}).await;
        Ok(observation(behaviour, server.fired(), &record))
    }
}

impl Observation {
    /// Whether a check of the fault's level broke.
    pub fn is_caught(&self) -> bool {
        let Behaviour::Faulty(fault) = self.behaviour else {
            return false;
        };
        let enough = Verdict::of_broken(fault.level);
        self.broken.iter().any(|(_, verdict)| *verdict >= enough)
    }
}

/// Tries a server of each behaviour, several side by side. The observations come in the order of the behaviours,
/// whatever came to an end first; `finished` is told of each as it does.
pub async fn observe(
    bench: Arc<Bench>,
    behaviours: &[Behaviour],
    finished: impl Fn(&Observation),
) -> Result<Vec<Observation>, BenchError> {
    let mut waiting = behaviours.iter().copied().enumerate();
    let mut running = JoinSet::new();
    let mut done = Vec::with_capacity(behaviours.len());
    loop {
        while running.len() < bench.settings.servers {
            let Some((index, behaviour)) = waiting.next() else {
                break;
            };
            let bench = Arc::clone(&bench);
            running.spawn(async move { (index, bench.one(behaviour).await) });
        }
        let Some(joined) = running.join_next().await else {
            break;
        };
        let (index, observation) = joined?;
        let observation = observation?;
        finished(&observation);
        done.push((index, observation));
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, observation)| observation).collect())
}

fn client(server: &Server, timeout: Duration) -> Result<Client, BenchError> {
    let url = server.url();
    let endpoint = Endpoint::parse(&url).map_err(|error| BenchError::Address(error.to_string()))?;
    Ok(Client::new(ClientOptions {
        timeout,
        connect_timeout: timeout.max(Duration::from_secs(5)),
        ..ClientOptions::new(endpoint)
    })?)
}

fn observation(behaviour: Behaviour, fired: u64, record: &Record) -> Observation {
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
        let worst = case.checks.iter().filter(|check| is_broken(check));
        Some((case.id.clone(), worst.map(|check| check.verdict).max()?))
    });
    let checks = record
        .cases
        .iter()
        .flat_map(|case| case.checks.iter().map(move |check| (case, check)))
        .filter(|(_, check)| is_broken(check) || check.verdict == Verdict::Blocked);
    Observation {
        behaviour,
        fired,
        verdict: record.verdict,
        requirements: requirements.collect(),
        broken: broken.collect(),
        hindered: hindered.map(|case| case.id.clone()).collect(),
        broke: looks(record, is_broken),
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
                    crate::style::visible_cut(&check.got, 300)
                )
            })
            .collect(),
    }
}

fn looks(record: &Record, of: impl Fn(&CheckRecord) -> bool + Copy) -> BTreeSet<Look> {
    let checks = record
        .cases
        .iter()
        .flat_map(|case| case.checks.iter().map(move |check| (case, check)));
    checks
        .filter(|(_, check)| of(check))
        .map(|(case, check)| Look::of(case, check))
        .collect()
}

fn is_broken(check: &CheckRecord) -> bool {
    matches!(check.verdict, Verdict::Fail | Verdict::Warn)
}
