//! The record of a run: plain data from which every report is made.

pub mod baseline;
pub mod claim;
pub mod consequences;
pub mod diagnosis;
mod diff;
pub mod findings;
mod load;
mod merge;
pub mod outline;
pub mod rejudged;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod sentences;
pub mod summarize;
pub mod transcript;
pub mod verdict;

pub use crate::http::{
    Answer, Body, Exchange, Failure, FailureKind, Headers, Jwt, Outcome, Over, Request, Role, Service, Side,
    Wire, is_of_gateway,
};
pub use diff::{Change, Diff, diff};
pub use load::{LoadError, Stored, load};
pub use merge::merge;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Level, OperationName, Section, Version};
use crate::record::verdict::{RunVerdict, Verdict};

/// The name of a check that is a piece of advice: it is not applicable to any requirement, and says what came and what to mind.
pub const ADVICE: &str = "advice";
/// Where a server that we start is expected, unless told.
pub const EXEC_TARGET: &str = "http://127.0.0.1:{port}";

/// The version of the report format; raised when a reader of the old one would go wrong.
pub const FORMAT: u32 = 1;

/// Everything one run knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this format: 1.
    pub format: u32,
    /// The program that made it.
    pub tool: Tool,
    /// The protocol; a report that says nothing was written when there was one alone.
    #[serde(default)]
    pub protocol: ProtocolInfo,
    /// The suite that was run.
    pub suite: Suite,
    /// The URL of the target; `embedded` for the reference server that is built in.
    pub target: String,
    /// The URL of the identity provider, where it is not the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    /// The URL at which it was asked over gRPC, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// The URLs of the services by their names, where each is a server of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, String>,
    /// The command that started the target, where the run owned its process; `{port}` in it and in the URL stands for the
    /// port that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<String>,
    /// The commands of the client that was judged, where it was one. The target is then what it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientCommands>,
    /// The protocol version the target was judged by.
    pub spec: Version,
    /// The seed of all keys, ids and ivs, hexadecimal.
    pub seed: String,
    /// Which use of the seed against this target it was, from 0: a server that keeps its data is met with fresh ids.
    #[serde(default)]
    pub generation: u32,
    /// Whether a should that is not kept makes the target nonconformant.
    #[serde(default)]
    pub strict: bool,
    /// What was selected, where it was not the whole suite: the filters as given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// Which parts of the selection were run, where it was not the whole of it: `1/4`, or several of them with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The parts that are missing, where reports of parts were merged and some were not among them: `2/3`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What a reader must know of how the run was made: certificate checks off, interrupted, and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the run came to.
    pub verdict: RunVerdict,
    /// How many cases came to each verdict.
    pub summary: Summary,
    /// What a list of known failures made of it, where the run had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// How many requests were sent, where that is more than the exchanges that are kept: all rounds of a repeated run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<usize>,
    /// Time spent waiting because the target asked for it (429), milliseconds, summed over cases.
    #[serde(default)]
    pub throttled_ms: u64,
    /// How long the target took to answer, by operation, in the order of the route table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<Latency>,
    /// The causes of what is broken, the worst first; none in a report that was written before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Vec<diagnosis::Cause>>,
    /// Who stands for the report. `avp-conform sign` adds it to the file; what is written of a record has none, for it would be
    /// of another text.
    #[serde(default, skip_serializing)]
    pub claim: Option<claim::Claim>,
    /// Every server requirement that the selected cases concern, in catalogue order.
    pub requirements: Vec<RequirementRecord>,
    /// Every case that was selected, in suite order.
    pub cases: Vec<CaseRecord>,
}

/// The commands of a client under test; none of a client that is built in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCommands {
    /// The command that walks through a lifecycle by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walk: Option<String>,
    /// The command that takes commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The command of a program with sub-commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Whether the servers that the client was told to ask spoke TLS, with certificates by an authority of the run's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
}

/// The program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `avp-conform`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The protocol of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProtocolInfo {
    /// What it is called on the command line: `avp`.
    pub name: String,
    /// What it is called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What the ids of its requirements begin with: `AVP`. It is its short name too.
    #[serde(default = "first_prefix")]
    pub prefix: String,
    /// The newest version that the program knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Version>,
    /// The sections of its specification that hold requirements, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
}

/// The protocol that there was before records said which.
pub const FIRST_PROTOCOL: &str = "avp";

fn first_prefix() -> String {
    FIRST_PROTOCOL.to_ascii_uppercase()
}

impl Default for ProtocolInfo {
    /// The one that there was before records said so.
    fn default() -> Self {
        ProtocolInfo {
            name: FIRST_PROTOCOL.to_owned(),
            title: String::new(),
            prefix: first_prefix(),
            newest: None,
            sections: Vec::new(),
        }
    }
}

/// The suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// SHA-256 over all case files and the catalogue, hexadecimal.
    pub hash: String,
    /// How many cases it has.
    pub cases: usize,
    /// The share of the reference server's must faults that the published self-test saw caught, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_rate: Option<f64>,
}

/// A count per verdict, of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Summary {
    /// Seen to hold.
    pub pass: usize,
    /// A should is not kept.
    pub warn: usize,
    /// A must is not kept.
    pub fail: usize,
    /// Optional and not offered, or the server's own limit refused the request first.
    pub not_applicable: usize,
    /// Not verified.
    pub blocked: usize,
    /// The harness could not do its work.
    pub error: usize,
}

impl Summary {
    /// Counts verdicts.
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>) -> Summary {
        let mut summary = Summary::default();
        for verdict in verdicts {
            *summary.slot(verdict) += 1;
        }
        summary
    }

    /// The count of one verdict.
    pub fn count(mut self, verdict: Verdict) -> usize {
        *self.slot(verdict)
    }

    fn slot(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Warn => &mut self.warn,
            Verdict::Fail => &mut self.fail,
            Verdict::NotApplicable => &mut self.not_applicable,
            Verdict::Blocked => &mut self.blocked,
            Verdict::Error => &mut self.error,
        }
    }
}

/// How long the target took to answer one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// The operation.
    pub operation: OperationName,
    /// Over what it was asked.
    #[serde(default, skip_serializing_if = "Wire::is_http")]
    pub wire: Wire,
    /// How many answers were timed; 429 is not among them.
    pub answers: usize,
    /// Half of them took no longer than this, microseconds.
    pub median_us: u64,
    /// Ninety-nine in a hundred took no longer than this, microseconds.
    pub p99_us: u64,
}

/// What a list of known failures made of a run. The verdicts say what was seen, known or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The file, as it was given.
    pub file: String,
    /// What the run comes to but for what is known.
    pub verdict: RunVerdict,
    /// Entries that must be mended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_of_date: Vec<OutOfDate>,
}

/// An entry of a list of known failures that does not fit what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutOfDate {
    /// The line of the entry in the file, from 1.
    pub line: usize,
    /// What it names: `case = "push/*"`.
    pub entry: String,
    /// Why it does not fit, one sentence.
    pub reason: String,
}

/// Why something is expected not to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The reason that the list of known failures gives.
    pub reason: String,
    /// Where it is followed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
}

/// What one requirement came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementRecord {
    /// `AVP-6-07`.
    pub id: String,
    /// Its level.
    pub level: Level,
    /// What conforms, one sentence.
    pub text: String,
    /// What it came to; blocked where no check verified it.
    pub verdict: Verdict,
    /// Why, where it is neither pass nor the plain sum of its checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Set where all that speaks against it is a known failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// The ids of the cases whose checks concern it.
    pub cases: Vec<String>,
}

/// What one case came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseRecord {
    /// `push/stale-is-a-conflict`.
    pub id: String,
    /// Over what it was run, where it was not HTTP alone.
    #[serde(default, skip_serializing_if = "Over::is_http")]
    pub transport: Over,
    /// One sentence.
    pub title: String,
    /// The part of the id before the slash.
    pub topic: String,
    /// The case file, as shown to people: `cases/push.toml`.
    pub file: String,
    /// The line of the case in it, from 1.
    pub line: usize,
    /// Which use of the seed the case was, where it is not that of the run: it was driven again, or is of another shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The worst of its checks.
    pub verdict: Verdict,
    /// The requirements its checks concern.
    pub requirements: Vec<String>,
    /// Why, for not-applicable, blocked and error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Set where all that is wrong with it is a known failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// How long it took, milliseconds, waiting for throttling left out.
    pub duration_ms: f64,
    /// When driving it began, epoch milliseconds.
    #[serde(default)]
    pub began_ms: i64,
    /// How long it waited because the target asked for it (429), milliseconds.
    #[serde(default)]
    pub throttled_ms: u64,
    /// Why driving ended before the last step, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// All its checks, in the order of the steps; standing checks last.
    pub checks: Vec<CheckRecord>,
    /// Its exchanges in the order in which they were made; checks name them by index.
    pub exchanges: Vec<Exchange>,
}

/// The id of a case and over what it was run, by its name.
pub fn split_name(name: &str) -> (&str, Over) {
    let of = |over: Over| Some((name.strip_suffix(over.suffix())?, over));
    of(Over::Grpc)
        .or_else(|| of(Over::Both))
        .unwrap_or((name, Over::Http))
}

/// Why driving a case ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// The step that could not be made, from 0; none where the set-up failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// What is missing, one sentence.
    pub reason: String,
    /// What the checks that were not reached come to: blocked, not-applicable or error; fail, where the step is known to
    /// have ended the target's process, and then for that step alone.
    pub verdict: Verdict,
    /// Whether the target answered nobody else while it waited for the rest of a request's body.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_up: bool,
}

impl Stopped {
    /// What the checks of a step that was not reached come to: a fault is that of the one step that brought it out.
    pub fn verdict_at(&self, step: usize) -> Verdict {
        match self.verdict {
            Verdict::Fail if step > self.step.unwrap_or(0) => Verdict::Blocked,
            verdict => verdict,
        }
    }
}

impl CheckRecord {
    /// Whether it says that the target does something wrong.
    pub fn is_broken(&self) -> bool {
        matches!(self.verdict, Verdict::Fail | Verdict::Warn)
    }
}

impl CaseRecord {
    /// The id, and over what it was run: `push/stale-is-a-conflict over gRPC`. No two cases of a record share it.
    pub fn name(&self) -> Cow<'_, str> {
        match self.transport {
            Over::Http => Cow::Borrowed(&self.id),
            other => Cow::Owned(format!("{}{}", self.id, other.suffix())),
        }
    }

    /// Takes a finding back, for a reason; the verdict of the case follows.
    pub fn take_back(&mut self, at: usize, why: &str) {
        let check = &mut self.checks[at];
        check.verdict = Verdict::Blocked;
        check.got = format!("{}; {why}", check.got);
        self.verdict = CaseRecord::worst(&self.checks, self.stopped.as_ref());
    }

    /// The worst of the checks; or why driving ended, where that is worse.
    pub fn worst(checks: &[CheckRecord], stopped: Option<&Stopped>) -> Verdict {
        let of_checks = checks.iter().map(|check| check.verdict).max();
        let verdict = of_checks.unwrap_or(Verdict::NotApplicable);
        let stopped = stopped.map(|stopped| stopped.verdict);
        let stopped = stopped.filter(|it| *it != Verdict::NotApplicable);
        stopped.map_or(verdict, |stopped| verdict.max(stopped))
    }
}

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRecord {
    /// What was looked at, in a few words: `answer`, `stored`, `schema`.
    pub name: String,
    /// The requirements it verifies; their levels decide the verdict.
    pub requirements: Vec<String>,
    /// What it came to.
    pub verdict: Verdict,
    /// The step it belongs to, from 0; none for the set-up and for standing checks over the whole case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The line of the step (or case) in the case file, from 1.
    pub line: usize,
    /// The exchanges that prove it or break it, as indices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<usize>,
    /// A JSON pointer to the decisive place in the answer's body, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What was expected, one sentence.
    pub expected: String,
    /// What came; empty for a check that passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub got: String,
    /// What to do about it, where there is more to say than the requirement's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Set where it is a known failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
}
