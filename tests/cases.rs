//! Every case against the embedded reference server, one test each.

use std::process::ExitCode;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::grpc::CODEC;
use avp_conform::avp::server::{Options, Server};
use avp_conform::avp::{AVP, catalogue};
use avp_conform::http::{Client, ClientOptions, Endpoint, GrpcOptions, Timeouts};
use avp_conform::judge::{Context, Transport};
use avp_conform::keys::Seed;
use avp_conform::protocol::{Suite, Transports};
use avp_conform::record::CaseRecord;
use avp_conform::record::verdict::Verdict;
use avp_conform::session::RunContext;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

/// Each case over both transports.
static CASES: LazyLock<Arc<Suite>> = LazyLock::new(|| {
    suite().over(Transports {
        http: true,
        grpc: true,
    })
});

/// All cases that are built in.
fn suite() -> Arc<Suite> {
    Arc::new((AVP.load)(embedded_sources()).unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// A client of a server that speaks both transports.
fn client(server: &Server) -> Client {
    let http = Endpoint::parse(&server.url()).unwrap_or_else(|error| panic!("{error}"));
    let grpc = server.grpc().map(|url| GrpcOptions {
        endpoint: Endpoint::parse_grpc(&url).unwrap_or_else(|error| panic!("{url}: {error}")),
        codec: CODEC,
        alone: false,
    });
    let options = ClientOptions {
        grpc,
        ..ClientOptions::new(http)
    };
    Client::new(options).unwrap_or_else(|error| panic!("{error}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let bench = Arc::new(Bench::new());
    let trial = |index: usize| {
        let bench = Arc::clone(&bench);
        Trial::ignorable_test(CASES.cases[index].name(), move || bench.run(index))
    };
    let trials = (0..CASES.cases.len()).map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The server that is tested, one whose tokens are not its own, and what drives the cases.
struct Bench {
    target: RunContext,
    runtime: Runtime,
    _servers: [Server; 2],
}

impl Bench {
    fn new() -> Bench {
        let servers = [0; 2].map(|_| Server::start(Options::default()).expect("a loopback port is free"));
        let target = RunContext {
            client: client(&servers[0]),
            foreign: Some(client(&servers[1])),
            own_servers: None,
            patience: Timeouts::new(Duration::from_secs(5)),
            seed: Seed::random(),
            keys: Vec::new(),
            generation: 0,
            spec: catalogue().newest(),
            slow: false,
            show_secrets: false,
            subject: None,
        };
        let runtime = Runtime::new().expect("a runtime");
        Bench {
            target,
            runtime,
            _servers: servers,
        }
    }

    fn run(&self, index: usize) -> Result<Completion, Failed> {
        let case = &CASES.cases[index];
        if case.slow {
            return Ok(Completion::ignored_with("takes minutes: run with --slow"));
        }
        let meaning = CASES.meaning();
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
