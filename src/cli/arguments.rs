//! What can be typed: options and sub-commands, as clap reads them. Nothing is checked here beyond its form.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::case::selection::{Filter, Shard};
use crate::catalogue::Version;
use crate::keys::Seed;
use crate::protocol::Protocol;
use crate::protocols;
use crate::protocols::reference_relay::RelayCommand;
use crate::report::Destination;

/// Conformance tests for servers of the Alt Vault Protocol.
///
/// Without a target, the suite runs against the reference server that is built in.
#[derive(Debug, Parser)]
#[command(
    name = "avp-conform",
    bin_name = "avp-conform",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 110
)]
#[command(
    after_help = "Exit codes: 0 conformant, 1 not conformant, 2 wrong usage, 3 target unreachable or run \
                        incomplete, 4 expectations out of date, 5 nothing selected, 130 interrupted"
)]
pub struct Cli {
    /// What to do; the suite is run if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run.
    #[command(flatten)]
    pub run: RunArgs,
    /// When to colour: auto (a terminal; NO_COLOR, FORCE_COLOR and CLICOLOR are heeded), always or never.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        hide_possible_values = true,
        hide_default_value = true
    )]
    #[arg(default_value_t = Color::Auto)]
    pub color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// Where it can be seen and nobody said no.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// What a command line asks for that could not be understood as a whole.
    pub fn of_arguments(arguments: impl Iterator<Item = String>) -> Color {
        let mut chosen = Color::Auto;
        let mut is_next = false;
        for argument in arguments {
            let value = match is_next {
                true => Some(argument.as_str()),
                false => argument.strip_prefix("--color="),
            };
            chosen = value
                .and_then(|value| Color::from_str(value, false).ok())
                .unwrap_or(chosen);
            is_next = argument == "--color";
        }
        chosen
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the suite (what happens without a sub-command).
    Run(Box<RunArgs>),
    /// Write a configuration, a first case of one's own and a file for CI. Nothing that is there is touched.
    Init(InitArgs),
    /// Serve the reference server alone.
    Serve(ServeArgs),
    /// Judge a client: the harness is the server, and the client is started for each case.
    Client(Box<ClientArgs>),
    /// Walk through one lifecycle against a server with the reference client, a line a step. Exits with 0, with 1 at the
    /// first step that does not go as the protocol says, with 3 where nobody answers.
    Walk(WalkArgs),
    /// The reference client, spoken to: a JSON command a line on standard input, an answer a line on standard output.
    Adapter(AdapterArgs),
    /// The reference relay and witness of Attesto: enqueue-json, drain-once, drain-loop and witness-checkpoint, configured by
    /// options and by the variables ATTESTO_LOCAL_VAULT_*.
    Relay(RelayArgs),
    /// List the cases.
    List(ListArgs),
    /// Explain a case, a requirement or a fault.
    Explain(ExplainArgs),
    /// Show which cases verify which requirement, and what none verifies.
    Coverage(ListArgs),
    /// Check case files.
    Lint(LintArgs),
    /// Join the JSON reports of shards into one.
    Merge(MergeArgs),
    /// Write completions for a shell to standard output.
    Completions(CompletionsArgs),
    /// Write the manual page to standard output.
    Man,
    /// Hold the suite against every fault and every variation of the reference server.
    Selftest(SelftestArgs),
    /// Show a stored report, in any form.
    Show(ShowArgs),
    /// Tell what changed from one stored report to another.
    Diff(DiffArgs),
    /// Put reports of several implementations side by side, requirement by requirement.
    Matrix(MatrixArgs),
    /// Judge the exchanges of a stored report again, with the suite of this program and without the server.
    Rejudge(RejudgeArgs),
    /// Sign a stored report: stand for it with an Ed25519 key.
    Sign(SignArgs),
    /// Hold a signed report against its signature, and against what this program finds in its exchanges.
    Verify(VerifyArgs),
    /// Keep a list of known failures.
    Baseline(BaselineArgs),
    /// Print a shell script that makes the requests of a case again, with curl and openssl.
    Repro(Box<ReproArgs>),
}

/// The name of a protocol that the harness knows.
#[derive(Debug, Clone, Copy)]
pub struct ProtocolName(pub &'static Protocol);

impl FromStr for ProtocolName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        protocols::find(name).map(ProtocolName).ok_or_else(|| {
            let known: Vec<&str> = protocols::ALL.iter().map(|protocol| protocol.name).collect();
            format!("there is no protocol {name:?}: {}", known.join(", "))
        })
    }
}

/// Which protocol is meant.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ProtocolArg {
    /// The protocol: avp, omp, keypackage or attesto [default: avp].
    #[arg(long, value_name = "NAME", value_parser = ProtocolName::from_str)]
    pub protocol: Option<ProtocolName>,
}

impl ProtocolArg {
    /// The protocol; the first that the harness knows unless told.
    pub fn get(self) -> &'static Protocol {
        self.protocol.map_or(protocols::ALL[0], |name| name.0)
    }
}

/// Over what cases are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TransportArg {
    /// HTTP.
    Http,
    /// gRPC.
    Grpc,
    /// Each case over both.
    Both,
}

/// Options of a run.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Which protocol is meant.
    #[command(flatten)]
    pub protocol: ProtocolArg,
    /// The server under test; the reference server that is built in, if none is given.
    #[arg(long, value_name = "URL", env = "AVP_TARGET", hide_env_values = true)]
    pub target: Option<String>,
    /// URL of the identity provider, if it differs from --target.
    #[arg(long, value_name = "URL", env = "AVP_IDP", hide_env_values = true)]
    pub idp: Option<String>,
    /// Where the target speaks gRPC: grpc://HOST:PORT, or grpcs:// for TLS. Beside --target or alone.
    #[arg(long, value_name = "URL", env = "AVP_GRPC", hide_env_values = true)]
    pub grpc: Option<String>,
    /// Over what the cases are run: http, grpc or both [default: whatever was given an address].
    #[arg(long, value_name = "NAME")]
    pub transport: Option<TransportArg>,
    /// Where one of the protocol's services is: for AVP vault (the same as --target) and idp (--idp), for OMP strict,
    /// permissive and off.
    #[arg(long, value_name = "NAME=URL")]
    pub service: Vec<ServiceArg>,
    /// A signing key that the target knows by this id: its private key, 64 hexadecimal digits. It is never printed.
    #[arg(long, value_name = "ID=HEX")]
    pub sign_with: Vec<Secret>,
    /// Start the server under test with this shell command, and end it afterwards. {port} in it is replaced by a free port,
    /// which is in PORT as well, {dir} by a fresh directory, and {flags} by what a case wants on the command line of a server that is
    /// started for it alone. The target is then http://127.0.0.1:{port}, unless --target says otherwise; with
    /// --grpc it has to be named beside it, where HTTP is to be judged too.
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,
    /// The program under test, where the protocol is one of programs with sub-commands (attesto): a shell command, to which each
    /// sub-command with its options is appended. The reference relay that is built in, if none is given.
    #[arg(long, value_name = "CMD")]
    pub program: Option<String>,
    /// How long the server that --exec starts may take until it answers [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub ready_timeout: Option<f64>,
    /// A header for every request to the target, 'NAME: VALUE'. It is never printed.
    #[arg(long, value_name = "HEADER", env = "AVP_HEADER", hide_env_values = true)]
    pub header: Vec<Secret>,
    /// A header for every request to the identity provider.
    #[arg(long, value_name = "HEADER", env = "AVP_IDP_HEADER", hide_env_values = true)]
    pub idp_header: Vec<Secret>,
    /// A file of such headers, a line each; those for the identity provider stand below a line [idp].
    #[arg(long, value_name = "FILE", env = "AVP_HEADER_FILE")]
    pub header_file: Option<PathBuf>,
    /// Certificates of authorities to trust besides the system's (PEM).
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Our own certificate chain for TLS (PEM).
    #[arg(long, value_name = "FILE")]
    pub client_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM); it may be in the same file.
    #[arg(long, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Do not check certificates. Reports say so.
    #[arg(long)]
    pub insecure: bool,
    /// Reach target and identity provider through this proxy, http://HOST:PORT, which must allow tunnels (CONNECT). None
    /// unless told: HTTP_PROXY and the like are not read.
    #[arg(long, value_name = "URL", env = "AVP_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,
    /// A should that is not kept makes the target nonconformant.
    #[arg(long)]
    pub strict: bool,
    /// How long one exchange may take; more, up to four times as much, where the target is seen to be slow [default: 5].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<f64>,
    /// How long one case may take, what the target or the case itself asks to wait for left out [default: 120,
    /// and up to five times as much where the target is slow].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub case_timeout: Option<f64>,
    /// How long the whole run may take; what was not run by then is an error.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub budget: Option<f64>,
    /// How long races may take together: they run last, with nothing beside them, and find the more the longer [default: 1].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub races: Option<f64>,
    /// Send at most so many requests a second.
    #[arg(long, value_name = "N")]
    pub rps: Option<f64>,
    /// How many cases run at once; fewer where connections fail [default: as many as the target gains from, 32 at most].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Where all keys, ids and ivs come from, 64 hexadecimal digits; random unless given.
    #[arg(long, value_name = "HEX")]
    pub seed: Option<Seed>,
    /// Run only what matches: a glob over case ids, topics and requirement ids; prefix with `!` to exclude.
    #[arg(long, value_name = "EXPR", value_parser = Filter::parse)]
    pub filter: Vec<Filter>,
    /// Run only the cases that failed, or could not be judged, in this report.
    #[arg(long, value_name = "REPORT", conflicts_with = "filter")]
    pub failed: Option<PathBuf>,
    /// Begin no more cases when so many have failed.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1", conflicts_with = "baseline")]
    pub fail_fast: Option<NonZeroUsize>,
    /// Run again and again: on Enter, and when this file or directory changes, if one is named.
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub watch: Option<OsString>,
    /// The protocol version that the target claims, for AVP 0.2, 0.3 or 0.4 [default: the newest].
    #[arg(long, value_name = "VERSION")]
    pub spec: Option<Version>,
    /// Write a report: json, junit, html, markdown, ... `-` is standard output.
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<Destination>,
    /// Run the K-th of N parts of the cases; `merge` joins their reports. Needs --seed, the same for all.
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Run all of it so many times; each case counts as its worst.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeat: Option<u16>,
    /// Read options from this file; else from the nearest avp-conform.toml, from the working directory upwards.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// More case files: a file, or the *.toml of a directory.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
    /// Failures that are known and do not fail the run.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Run the cases that take minutes as well.
    #[arg(long)]
    pub slow: bool,
    /// Show tokens and signatures in reports.
    #[arg(long)]
    pub show_secrets: bool,
    /// Show every requirement and the exchanges of failing cases.
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// One line.
    #[arg(short, long)]
    pub quiet: bool,
}

/// The address of a service, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceArg {
    /// The name.
    pub name: String,
    /// The address; `{port}` in it stands for the port of a server that is started.
    pub url: String,
}

impl FromStr for ServiceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, url)) if !name.is_empty() && !url.is_empty() => Ok(ServiceArg {
                name: name.to_owned(),
                url: url.to_owned(),
            }),
            _ => Err("a service is written as NAME=URL".to_owned()),
        }
    }
}

/// Something typed that must not be printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// What it is.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Seconds as they are typed.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(seconds),
        _ => Err("seconds, above 0 and at most 3600".to_owned()),
    }
}

/// The id and the public key of a signer as they are typed.
fn public_key(text: &str) -> Result<(String, String), String> {
    let (id, key) = text.split_once('=').ok_or("a key is written as ID=BASE64URL")?;
    Ok((id.to_owned(), key.to_owned()))
}

/// Options of the reference server.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Speak HTTP alone, where the protocol has a gRPC profile too.
    #[arg(long)]
    pub no_grpc: bool,
    /// Keep what is stored in this file, where the protocol's server can; in memory unless told.
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Which protocol is meant.
    #[command(flatten)]
    pub protocol: ProtocolArg,
    /// Which of the protocol's services to be, for OMP strict, permissive or off; `all` for all of them, at ports one after the
    /// other. What OMP_SIG_MODE says unless told, else off.
    #[arg(long, value_name = "NAME")]
    pub mode: Option<String>,
    /// A public key of a signer, by its id. May be given several times.
    #[arg(long, value_name = "ID=BASE64URL", value_parser = public_key)]
    pub key: Vec<(String, String)>,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, value_name = "PORT", env = "PORT", default_value_t = 8787)]
    pub port: u16,
    /// Get one thing wrong: the name of a fault. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// Use one of the freedoms that the protocol leaves: the name of a variation. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub vary: Vec<String>,
    /// Write a line for each request to standard error: method, path, status, and which faults and variations took effect.
    #[arg(long)]
    pub log: bool,
    /// List the faults.
    #[arg(long)]
    pub list_faults: bool,
    /// List the variations.
    #[arg(long)]
    pub list_variations: bool,
    /// Serve https with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve https with a certificate made up for this run.
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls_self_signed: bool,
    /// Flags that the protocol gives to its servers: those of the registry of key packages.
    #[arg(last = true, value_name = "FLAG")]
    pub flags: Vec<String>,
}

/// Which client is judged, and how.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// A shell command that walks through a lifecycle by itself and ends. {url} in it is replaced by the server's address, which
    /// is in AVP_SERVER_URL as well.
    #[arg(long, value_name = "CMD")]
    pub walk: Option<String>,
    /// A shell command that takes commands on standard input, a line of JSON each, and answers on standard output. Without
    /// either the client is the reference client that is built in.
    #[arg(long, value_name = "CMD")]
    pub adapter: Option<String>,
    /// Serve over https, with a certificate by an authority of the run's own. The file with the authority's certificate is told
    /// in SSL_CERT_FILE and in AVP_CACERT.
    #[arg(long)]
    pub tls: bool,
    /// Options of a run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// How the reference client deviates.
#[derive(Debug, Args)]
pub struct HabitArgs {
    /// Get one thing wrong: the name of a fault.
    #[arg(long, value_name = "NAME")]
    pub fault: Option<String>,
    /// Use one of the freedoms that clients have: the name of a variation. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub vary: Vec<String>,
    /// List the faults.
    #[arg(long)]
    pub list_faults: bool,
    /// List the variations.
    #[arg(long)]
    pub list_variations: bool,
}

/// Whom the reference client trusts.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Certificates of authorities to trust besides the system's (PEM).
    #[arg(long, value_name = "FILE", env = "AVP_CACERT")]
    pub cacert: Option<PathBuf>,
}

/// Options of the walk.
#[derive(Debug, Args)]
pub struct WalkArgs {
    /// The address of the server.
    #[arg(
        long,
        value_name = "URL",
        env = "AVP_SERVER_URL",
        hide_env_values = true,
        default_value = "http://localhost:8787"
    )]
    pub target: String,
    /// How many members there are, from 2 to 8.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=8), default_value_t = 2)]
    pub members: u8,
    /// A JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Tell every request as well.
    #[arg(short, long)]
    pub verbose: bool,
    /// Whom the client trusts.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// What the client does otherwise.
    #[command(flatten)]
    pub habits: HabitArgs,
}

/// Options of the adapter.
#[derive(Debug, Args)]
pub struct AdapterArgs {
    /// Whom the client trusts.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// What the client does otherwise.
    #[command(flatten)]
    pub habits: HabitArgs,
}

/// A command of the reference relay, and how it deviates.
#[derive(Debug, Args)]
pub struct RelayArgs {
    /// Get one thing wrong: the name of a fault. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// Use one of the freedoms that relays have: the name of a variation. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub vary: Vec<String>,
    /// The command.
    #[command(flatten)]
    pub command: RelayCommand,
}

/// What to begin with.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where the files go.
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// The address of the server under test.
    #[arg(long, value_name = "URL", conflicts_with = "exec")]
    pub target: Option<String>,
    /// The command that starts the server under test.
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,
    /// Whose CI: github, gitlab or none.
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Ci::Github)]
    pub ci: Ci,
}

/// What runs the suite on every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Nothing.
    None,
}

/// Options of commands that look at the suite.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which protocol is meant.
    #[command(flatten)]
    pub protocol: ProtocolArg,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Only what matches.
    #[arg(long, value_name = "EXPR", value_parser = Filter::parse)]
    pub filter: Vec<Filter>,
    /// More case files.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
}

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Which protocol is meant.
    #[command(flatten)]
    pub protocol: ProtocolArg,
    /// The id of a case or requirement, or the name of a fault.
    pub id: String,
    /// More case files.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
}

/// What to check.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Which protocol is meant.
    #[command(flatten)]
    pub protocol: ProtocolArg,
    /// Case files, or directories of them; `-` is standard input. The ones that are built in, if none are given.
    pub paths: Vec<PathBuf>,
    /// How problems are told: text, json or github.
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = LintFormat::Text)]
    pub format: LintFormat,
}

/// A form in which `lint` tells problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// Each at its place, with the line it is about.
    Text,
    /// One object, with file, line, column, message and help of each.
    Json,
    /// Workflow commands of GitHub.
    Github,
}

/// Options of the self-test.
#[derive(Debug, Args)]
pub struct SelftestArgs {
    /// Which protocol is meant.
    #[command(flatten)]
    pub protocol: ProtocolArg,
    /// Only faults and variations whose names match: a glob. The plain server and the canary run all the same.
    #[arg(long, value_name = "GLOB")]
    pub filter: Vec<String>,
    /// Write the matrix: json or markdown; `-` is standard output.
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<Destination>,
    /// Publish the matrix: write reports/selftest.json and reports/selftest.md of the current directory; with --full, what is
    /// blamed under each fault: reports/blame.md.
    #[arg(long, conflicts_with_all = ["filter", "cases"])]
    pub accept: bool,
    /// Run all cases against every fault, and not only those that declare it, and try each variation alone: minutes, and
    /// every case that breaks.
    #[arg(long)]
    pub full: bool,
    /// More case files.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
    /// How many servers are tried at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub servers: Option<u16>,
    /// How long one exchange with a faulty server may take.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<f64>,
    /// Show every check that broke.
    #[arg(short, long)]
    pub verbose: bool,
}

/// What to show, and how.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A JSON report; `-` is standard input.
    #[arg(value_name = "REPORT")]
    pub record: PathBuf,
    /// Write it in another form: junit, html, markdown, ... `-` is standard output.
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<Destination>,
    /// Show it only if one of these keys signed it and `verify` finds nothing against it: a file (PEM), or base64.
    #[arg(long, value_name = "KEY")]
    pub signed_by: Vec<String>,
    /// More case files, to quote from.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
    /// Show every requirement and the exchanges of failing cases.
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// One line.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What to merge.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The JSON reports, in any order.
    #[arg(required = true, value_name = "REPORT")]
    pub records: Vec<PathBuf>,
    /// Write the whole: json, junit, html, markdown, ... `-` is standard output.
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<Destination>,
    /// Show every requirement and the exchanges of failing cases.
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// One line.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What to compare.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The JSON report of the earlier run.
    pub old: PathBuf,
    /// The JSON report of the later run.
    pub new: PathBuf,
}

/// What to put side by side.
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// JSON reports; NAME=REPORT gives a column another name than that of the file.
    #[arg(value_name = "[NAME=]REPORT", required = true)]
    pub records: Vec<String>,
    /// Write it as text, markdown or html; `-` is standard output.
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<Destination>,
    /// Take only reports that one of these keys signed and that `verify` finds nothing against: a file (PEM), or base64.
    #[arg(long, value_name = "KEY")]
    pub signed_by: Vec<String>,
    /// Show the requirements that nobody breaks as well.
    #[arg(short, long)]
    pub verbose: bool,
}

/// What to judge again.
#[derive(Debug, Args)]
pub struct RejudgeArgs {
    /// A JSON report; `-` is standard input.
    #[arg(value_name = "REPORT")]
    pub record: PathBuf,
    /// More case files: those that the run had.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
}

/// What to sign.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// A JSON report. The claim is added to it, unless it is to be written elsewhere.
    #[arg(value_name = "REPORT")]
    pub record: PathBuf,
    /// The private key: PEM, as `openssl genpkey -algorithm ed25519` writes it.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Write the signed report here; `-` is standard output.
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
}

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A JSON report; `-` is standard input.
    #[arg(value_name = "REPORT")]
    pub record: PathBuf,
    /// A key that may have signed it: a file (PEM), or base64. May be given several times; without it whoever signed will do.
    #[arg(long, value_name = "KEY")]
    pub signed_by: Vec<String>,
    /// More case files: those that the run had.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
}

/// For whom.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh.
    pub shell: clap_complete::Shell,
}

/// What to do with a list of known failures.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: BaselineCommand,
}

/// What to do with a list of known failures.
#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Bring the list up to date with a report: what fails is in it, what does not is not.
    ///
    /// An entry names what was seen, so that what fails otherwise in the same case is news. Comments, reasons, issues and
    /// dates of entries that stay are kept. What has expired and still fails stays as it is, and the exit code is 4.
    Update(BaselineUpdateArgs),
}

/// How to bring a list up to date.
#[derive(Debug, Args)]
pub struct BaselineUpdateArgs {
    /// The list; it is made if there is none.
    #[arg(long, value_name = "FILE")]
    pub baseline: PathBuf,
    /// Why what is new fails.
    #[arg(long, value_name = "TEXT", default_value = "not looked into yet")]
    pub reason: String,
    /// Where what is new is followed up.
    #[arg(long, value_name = "URL")]
    pub issue: Option<String>,
    /// More case files: those that the run had.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
    /// A JSON report; `-` is standard input.
    #[arg(value_name = "REPORT")]
    pub record: PathBuf,
}

/// How a target is reached whose requests are made again.
#[derive(Debug, Clone, Default, Args)]
pub struct ReachArgs {
    /// A header for every request to the target, 'NAME: VALUE'. A script reads it from a file, HEADERS.
    #[arg(long, value_name = "HEADER", env = "AVP_HEADER", hide_env_values = true)]
    pub header: Vec<Secret>,
    /// A header for every request to the identity provider. A script reads it from a file, IDP_HEADERS.
    #[arg(long, value_name = "HEADER", env = "AVP_IDP_HEADER", hide_env_values = true)]
    pub idp_header: Vec<Secret>,
    /// A file of such headers.
    #[arg(long, value_name = "FILE", env = "AVP_HEADER_FILE")]
    pub header_file: Option<PathBuf>,
    /// Certificates of authorities to trust besides the system's (PEM).
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Our own certificate chain for TLS (PEM).
    #[arg(long, value_name = "FILE")]
    pub client_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Do not check certificates.
    #[arg(long)]
    pub insecure: bool,
    /// A proxy that tunnels (CONNECT). A script reads it from PROXY.
    #[arg(long, value_name = "URL", env = "AVP_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,
}

/// Which requests to make again.
#[derive(Debug, Args)]
pub struct ReproArgs {
    /// Which protocol is meant.
    #[command(flatten)]
    pub protocol: ProtocolArg,
    /// The id of the case; of a report, the first that is broken unless told.
    #[arg(required_unless_present = "from")]
    pub case: Option<String>,
    /// Take the requests from a JSON report instead of running the case.
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["target", "idp", "grpc", "service", "sign_with", "seed"])]
    pub from: Option<PathBuf>,
    /// The server to run the case against; the reference server that is built in, if none is given.
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// URL of the identity provider, if it differs from --target.
    #[arg(long, value_name = "URL")]
    pub idp: Option<String>,
    /// Where the target speaks gRPC: grpc://HOST:PORT, or grpcs:// for TLS. Beside --target or alone.
    #[arg(long, value_name = "URL")]
    pub grpc: Option<String>,
    /// Where one of the protocol's services is, as for a run: for OMP strict, permissive and off.
    #[arg(long, value_name = "NAME=URL")]
    pub service: Vec<ServiceArg>,
    /// A signing key that the target knows by this id, 64 hexadecimal digits. A script reads it from SIGN_WITH.
    #[arg(long, value_name = "ID=HEX")]
    pub sign_with: Vec<Secret>,
    /// Over what the case was run, where that is more than one: http, grpc, or both of them at once.
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub transport: Option<TransportArg>,
    /// How the target is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Up to which step, from 1; the first that is broken unless told, else the last.
    #[arg(long, value_name = "N")]
    pub step: Option<NonZeroUsize>,
    /// Where all keys, ids and ivs come from, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub seed: Option<Seed>,
    /// More case files.
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
}
