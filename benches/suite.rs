//! What the harness costs beside the server it tests.
//!
//! Run by `cargo bench`; `cargo bench -- --accept` writes `reports/bench.md`. Every figure that is compared with another is
//! measured side by side with it in the same run, and stands as a ratio. Medians of several rounds.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use avp_conform::avp::AVP;
use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::server::{Options, Server};
use avp_conform::cli::config::DEFAULT_JOBS;
use avp_conform::http::{Client, ClientOptions, Endpoint, Request, Role, Timeouts};
use avp_conform::judge::{Context, Transport};
use avp_conform::keys::Seed;
use avp_conform::protocol::{Suite, Transports};
use avp_conform::record::transcript::Transcript;
use avp_conform::record::{CaseRecord, Record};
use avp_conform::run::{Jobs, Run, RunInfo, run};
use avp_conform::session::RunContext;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const ROUNDS: usize = 7;
/// The rounds of what is compared: on a machine with neighbours, one round's ratio says little.
const PAIRS: usize = 21;

fn main() -> ExitCode {
    let accept = std::env::args().any(|argument| argument == "--accept");
    let mut page = Page::new();
    let bench = Bench::new();
    bench.against_the_floor(&mut page);
    bench.judging(&mut page);
    bench.loading(&mut page);
    bench.latency(&mut page);
    bench.two_segments(&mut page);
    start_up(&mut page);
    growth(&mut page, &bench.server.url());
    drop(bench);
    avp_conform::cli::console::out(&page.text).expect("standard output takes the page");
    if accept {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/bench.md");
        fs::write(path, &page.text).expect("reports/bench.md can be written");
    }
    ExitCode::SUCCESS
}

/// The Markdown page of figures.
struct Page {
    text: String,
}

impl Page {
    fn new() -> Page {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut text = String::from("# What the harness costs\n\n");
        let _ = writeln!(
            text,
            "Made by `cargo bench -- --accept` on {cores} cores of {}, {}. Medians of {ROUNDS} rounds, of (a) and (b) {PAIRS}.\n",
            processor(),
            std::env::consts::OS
        );
        text.push_str("| what | figure |\n|---|---|\n");
        Page { text }
    }

    fn row(&mut self, what: &str, figure: impl std::fmt::Display) {
        let _ = writeln!(self.text, "| {what} | {figure} |");
    }
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    model.unwrap_or("an unknown processor").to_owned()
}

/// A suite, its server and two runtimes: the same things that a run has.
struct Bench {
    runtime: Runtime,
    suite: Arc<Suite>,
    server: Server,
    foreign: Server,
}

impl Bench {
    fn new() -> Bench {
        let suite = (AVP.load)(embedded_sources()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let server = || Server::start(Options::default()).expect("a loopback port is free");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Bench {
            runtime: runtime.expect("a runtime"),
            // The floor's client speaks HTTP.
            suite: Arc::new(suite).over(Transports {
                http: true,
                grpc: false,
            }),
            server: server(),
            foreign: server(),
        }
    }

    fn plan(&self, url: &str, show_secrets: bool) -> Run {
        let target = RunContext {
            client: client(url),
            foreign: Some(client(&self.foreign.url())),
            patience: Timeouts::new(Duration::from_secs(10)),
            seed: Seed::random(),
            keys: Vec::new(),
            generation: 0,
            spec: avp_conform::avp::catalogue().newest(),
            slow: false,
            show_secrets,
            subject: None,
            own_servers: None,
        };
        Run {
            suite: Arc::clone(&self.suite),
            selected: (0..self.suite.cases.len())
                .filter(|at| !self.suite.cases[*at].slow)
                .collect(),
            target: Arc::new(target),
            transport: Transport::Loopback,
            jobs: Jobs::UpTo(DEFAULT_JOBS),
            // A race takes the time that it is given: what is measured has a few rounds of each.
            races: Duration::ZERO,
            fail_fast: None,
            heading: RunInfo::default(),
        }
    }

    fn suite_once(&self, url: &str, show_secrets: bool) -> (Record, Duration) {
        self.suite_with(url, show_secrets, Jobs::UpTo(DEFAULT_JOBS))
    }

    fn suite_with(&self, url: &str, show_secrets: bool, jobs: Jobs) -> (Record, Duration) {
        let mut plan = self.plan(url, show_secrets);
        plan.jobs = jobs;
        let clock = Instant::now();
        let record = self.runtime.block_on(run(&plan, |_| {}));
        let took = clock.elapsed();
        // Whatever is not judged as it should be is no run to be measured.
        assert_eq!(record.verdict.to_string(), "conformant", "{:?}", record.notes);
        (record, took)
    }

    /// (a) the suite, (b) the same requests by a bare client.
    fn against_the_floor(&self, page: &mut Page) {
        let url = self.server.url();
        let (mut suite, mut floor, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut requests = 0;
        for _ in 0..PAIRS {
            let (record, took) = self.suite_once(&url, true);
            let bare = self.floor(&url, record.cases);
            requests = bare.1;
            ratios.push(took.as_secs_f64() / bare.0.as_secs_f64());
            suite.push(took);
            floor.push(bare.0);
        }
        page.row(
            "cases, requests",
            format!("{}, {requests}", self.suite.cases.len()),
        );
        page.row(
            "(a) the suite against the embedded server",
            show(median(&mut suite)),
        );
        page.row(
            "(b) the floor: the same requests by a bare client, same concurrency, no judging",
            show(median(&mut floor)),
        );
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios[PAIRS / 4], ratios[PAIRS * 3 / 4]);
        page.row(
            "**a / b**",
            format!(
                "**{:.2}** (half of them {low:.2} to {high:.2})",
                ratios[PAIRS / 2]
            ),
        );
    }

    /// Every request of a run again, each case's one after the other, as many cases at once. Judges and records nothing.
    fn floor(&self, url: &str, cases: Vec<CaseRecord>) -> (Duration, usize) {
        let client = client(url);
        let mut chains: Vec<Vec<_>> = Vec::new();
        for case in cases {
            let sent = case
                .exchanges
                .into_iter()
                .filter(|exchange| exchange.role != Role::Throttled);
            chains.push(sent.map(|exchange| exchange.request).collect());
        }
        let count = chains.iter().map(Vec::len).sum();
        let clock = Instant::now();
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            let mut waiting = chains.into_iter();
            loop {
                while running.len() < DEFAULT_JOBS {
                    let Some(chain) = waiting.next() else { break };
                    let mut lane = client.lane();
                    running.spawn(async move {
                        for request in &chain {
                            black_box(lane.send(request, Duration::from_secs(10)).await);
                        }
                    });
                }
                if running.join_next().await.is_none() {
                    break;
                }
            }
        });
        (clock.elapsed(), count)
    }

    /// (c) judging alone, over stored transcripts.
    fn judging(&self, page: &mut Page) {
        let plan = self.plan(&self.server.url(), false);
        let record = self.runtime.block_on(run(&plan, |_| {}));
        let context = Context {
            spec: plan.target.spec,
            seed: &plan.target.seed,
            generation: 0,
            transport: Transport::Loopback,
        };
        let stored: Vec<(usize, Transcript)> = record
            .cases
            .iter()
            .filter_map(|case| {
                Some((
                    self.suite.cases.iter().position(|other| other.id == case.id)?,
                    Transcript::of(case),
                ))
            })
            .collect();
        let exchanges: usize = stored
            .iter()
            .map(|(_, transcript)| transcript.exchanges.len())
            .sum();
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let stored = stored.clone();
                timed(|| {
                    for (index, transcript) in stored {
                        black_box(self.suite.meaning().judge(index, transcript, &context));
                    }
                })
            })
            .collect();
        let rate = exchanges as f64 / median(&mut times).as_secs_f64();
        page.row(
            "(c) judging alone, one core",
            format!("{rate:.0} exchanges a second"),
        );
    }

    /// (d) loading and linting all cases.
    fn loading(&self, page: &mut Page) {
        let load = || timed(|| drop(black_box((AVP.load)(embedded_sources()))));
        let mut times: Vec<Duration> = (0..ROUNDS).map(|_| load()).collect();
        page.row("(d) loading and linting all cases", show(median(&mut times)));
    }

    /// (g) the suite against a target that is some way off.
    fn latency(&self, page: &mut Page) {
        let around = [DEFAULT_JOBS / 2, DEFAULT_JOBS, DEFAULT_JOBS * 2].map(|jobs| (10, Jobs::Exactly(jobs)));
        let found = [1, 10, 50].map(|delay| (delay, Jobs::UpTo(DEFAULT_JOBS)));
        for (delay, jobs) in found.into_iter().chain(around) {
            let address = self
                .runtime
                .block_on(far(self.server.address(), Duration::from_millis(delay)));
            let url = format!("http://{}", address.expect("a loopback port is free"));
            let (record, took) = self.suite_with(&url, false, jobs);
            let jobs = match jobs {
                Jobs::UpTo(most) => format!("up to {most} jobs as it finds out"),
                Jobs::Exactly(jobs) => format!("{jobs} jobs"),
            };
            let what = format!("(g) the suite at {delay} ms of latency, {jobs}");
            page.row(&what, format!("{} ({})", show(took), record.verdict));
        }
    }
}

/// How many answers in two segments are timed.
const ANSWERS: usize = 50;

impl Bench {
    /// (h) a server that writes head and body apart and does not turn Nagle's algorithm off.
    fn two_segments(&self, page: &mut Page) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound port"));
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the client connects");
            let mut buffer = [0; 4096];
            while matches!(stream.read(&mut buffer), Ok(1..)) {
                for part in ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "{}"] {
                    stream.write_all(part.as_bytes()).expect("the client reads");
                }
            }
        });
        let request = Request {
            service: avp_conform::avp::VAULT,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: None,
        };
        let mut times: Vec<Duration> = self.runtime.block_on(async {
            let mut lane = client(&url).lane();
            let mut times = Vec::new();
            for _ in 0..ANSWERS {
                times.push(lane.send(&request, Duration::from_secs(5)).await.took);
            }
            times
        });
        serving.join().expect("the server ends with its client");
        page.row(
            "(h) an answer whose head and body come apart",
            show(median(&mut times)),
        );
    }
}

fn client(url: &str) -> Client {
    let endpoint = Endpoint::parse(url).expect("a server has a URL");
    Client::new(ClientOptions::new(endpoint)).expect("plain options make a client")
}

/// A proxy before a server that passes on what the client sends only after a while.
async fn far(server: std::net::SocketAddr, delay: Duration) -> io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(relay(near, server, delay));
        }
    });
    Ok(address)
}

async fn relay(near: TcpStream, server: std::net::SocketAddr, delay: Duration) -> io::Result<()> {
    let far = TcpStream::connect(server).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut far_read, &mut near_write).await });
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = near_read.read(&mut buffer).await?;
        if read == 0 {
            return far_write.shutdown().await;
        }
        tokio::time::sleep(delay).await;
        far_write.write_all(&buffer[..read]).await?;
    }
}

/// (e) from the start of the process to the first request at the target.
fn start_up(page: &mut Page) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
            let url = format!("http://{}", listener.local_addr().expect("a bound port"));
            let clock = Instant::now();
            let child = program().args(["--target", &url, "--timeout", "0.1"]).spawn();
            let mut child = child.expect("the program starts");
            listener.accept().expect("the program connects");
            let took = clock.elapsed();
            child
                .kill()
                .and_then(|()| child.wait())
                .expect("the program ends");
            took
        })
        .collect();
    page.row("(e) from start to first request", show(median(&mut times)));
}

/// (f) the suite repeated against a server that is a process of its own: time and peak memory of the harness.
fn growth(page: &mut Page, url: &str) {
    for repeat in [1, 10, 100] {
        let clock = Instant::now();
        let mut child = program()
            .args(["--target", url, "--repeat", &repeat.to_string()])
            .spawn()
            .expect("the program starts");
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().expect("the program can be waited for").is_none() {
            peak = peak.max(peak_kib(&status));
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = clock.elapsed();
        page.row(
            &format!("(f) the suite {repeat} times"),
            format!("{}, peak {} MiB", show(took), peak / 1024),
        );
    }
}

fn peak_kib(status: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let peak = text.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    });
    peak.unwrap_or(0)
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avp-conform"));
    command.arg("--quiet").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn timed(work: impl FnOnce()) -> Duration {
    let clock = Instant::now();
    work();
    clock.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn show(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}
