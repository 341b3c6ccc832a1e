//! Every case against the embedded reference server, one test each.

use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use avp_conform::avp::server::{Options, Server};
use avp_conform::http::Client;
use avp_conform::judge::{Context, Transport};
use avp_conform::keys::Seed;
use avp_conform::protocol::{Suite, Transports};
use avp_conform::record::CaseRecord;
use avp_conform::record::verdict::Verdict;
use avp_conform::session::RunContext;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

#[path = "it/support"]
mod support {
    pub(crate) mod suite;
}

use support::suite::{ALL, context, with_grpc};

/// Each case over both transports.
static CASES: LazyLock<Arc<Suite>> = LazyLock::new(|| {
    ALL.over(Transports {
        http: true,
        grpc: true,
    })
});

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
            seed: Seed::random(),
            client: Client::new(with_grpc(&servers[0])).expect("its address is one"),
            ..context(&servers[0].url(), &servers[1])
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
