//! Every case against the embedded reference server, one test each.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use avp_conform::avp::AVP;
use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::server::{Options, Server};
use avp_conform::http::{Client, ClientOptions, Endpoint, Timeouts};
use avp_conform::judge::{Context, Transport};
use avp_conform::keys::Seed;
use avp_conform::protocol::Suite;
use avp_conform::record::CaseRecord;
use avp_conform::record::verdict::Verdict;
use avp_conform::session::RunContext;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = (AVP.load)(embedded_sources()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let bench = Arc::new(Bench::new(suite));
    let trial = |index: usize| {
        let bench = Arc::clone(&bench);
        Trial::ignorable_test(bench.suite.cases[index].id.clone(), move || bench.run(index))
    };
    let trials = (0..bench.suite.cases.len()).map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The server that is tested, one whose tokens are not its own, and what drives the cases.
struct Bench {
    suite: Suite,
    target: RunContext,
    runtime: Runtime,
    _servers: [Server; 2],
}

impl Bench {
    fn new(suite: Suite) -> Bench {
        let servers = [0; 2].map(|_| Server::start(Options::default()).expect("a loopback port is free"));
        let client = |server: &Server| {
            let endpoint = Endpoint::parse(&server.url()).expect("a server has a URL");
            Client::new(ClientOptions::new(endpoint)).expect("plain options make a client")
        };
        let target = RunContext {
            client: client(&servers[0]),
            foreign: Some(client(&servers[1])),
            patience: Timeouts::new(Duration::from_secs(5)),
            seed: Seed::random(),
            generation: 0,
            spec: avp_conform::avp::catalogue().newest(),
            slow: false,
            show_secrets: false,
        };
        let runtime = Runtime::new().expect("a runtime");
        Bench {
            suite,
            target,
            runtime,
            _servers: servers,
        }
    }

    fn run(&self, index: usize) -> Result<Completion, Failed> {
        let case = &self.suite.cases[index];
        if case.slow {
            return Ok(Completion::ignored_with("takes minutes: run with --slow"));
        }
        let meaning = self.suite.meaning();
        let (transcript, _) = self.runtime.block_on(meaning.drive(index, &self.target, None));
        let context = Context {
            spec: self.target.spec,
            seed: &self.target.seed,
            generation: self.target.generation,
            transport: Transport::Loopback,
        };
        let record = meaning.judge(index, transcript, &context);
        match record.verdict {
            Verdict::Pass => Ok(Completion::Completed),
            Verdict::NotApplicable => Ok(Completion::ignored_with(record.reason.unwrap_or_default())),
            _ => Err(Failed::from(describe(&record, &self.target.seed))),
        }
    }
}

fn describe(record: &CaseRecord, seed: &Seed) -> String {
    let checks = record.checks.iter().filter(|check| check.verdict > Verdict::Pass);
    let lines: Vec<String> = checks
        .map(|check| {
            format!(
                "{}:{}: expected {}; got {}",
                record.file, check.line, check.expected, check.got
            )
        })
        .collect();
    format!(
        "{} ({})\nseed {seed}\n{}",
        record.verdict,
        record.reason.clone().unwrap_or_default(),
        lines.join("\n")
    )
}
