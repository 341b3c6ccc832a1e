//! Judges a case: keeps what may be served of each device, and holds every answer against it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::cases::{Publish, Step};
use super::protocol::{OPERATIONS, catalogue};
use crate::case::file::ReadCase;
use crate::case::is_doubtful;
use crate::json;
use crate::judge::{Checks, Context, Finding, Subject, case_record, without_witness};
use crate::record::transcript::Transcript;
use crate::record::verdict::Verdict;
use crate::record::{Answer, CaseRecord, Exchange, FailureKind, Outcome, Role, Wire};
use crate::text::{media_type, visible_cut};

/// A payload and its signature, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bundle {
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What is known of the bundles of a device.
#[derive(Default)]
struct Shelf {
    /// Those of which one is to be served; none where nobody has published.
    newest: Vec<Bundle>,
    /// Those that were published before.
    older: Vec<Bundle>,
    /// Those that were refused.
    refused: Vec<Bundle>,
    /// Whether the newest was published under the device id in upper case.
    is_respelt: bool,
    /// The one that was served last.
    seen: Option<Bundle>,
    /// Whether a publication was refused since.
    is_refused_since: bool,
    /// Those that may be stored, nobody knows when: their publication got no answer, or a 5xx. From then on each may be the
    /// one that is served.
    unsettled: Vec<Bundle>,
    /// Whether it is not known that one of `newest` is stored at all.
    is_open: bool,
}

impl Shelf {
    /// Those of which one may be served.
    fn may_be_served(&self) -> Vec<Bundle> {
        [&self.newest[..], &self.unsettled].concat()
    }

    /// Whether nothing may be what is served: nothing is known to be stored.
    fn may_be_empty(&self) -> bool {
        self.newest.is_empty() || self.is_open
    }

    /// Whether a bundle that may be served was served before: it is stored.
    fn was_seen(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| self.newest.contains(seen))
    }
}

struct Judge<'a, 'c> {
    case: &'a ReadCase<Step>,
    checks: &'a mut Checks<'c>,
    /// By the id of the device, in lower case.
    shelves: BTreeMap<String, Shelf>,
    /// Whether something was served that only a registry with a memory can have.
    is_grounded: bool,
}

/// Judges one case.
pub(super) fn judge(case: &ReadCase<Step>, transcript: Transcript, context: &Context<'_>) -> CaseRecord {
    let doubt = transcript
        .exchanges
        .iter()
        .position(|it| is_doubtful(&OPERATIONS, it));
    let mut checks = Checks::new(&case.head, catalogue(), context.spec, doubt);
    let mut judge = Judge {
        case,
        checks: &mut checks,
        shelves: BTreeMap::new(),
        is_grounded: false,
    };
    judge.exchanges(&transcript);
    judge.not_reached(&transcript);
    let is_grounded = judge.is_grounded;
    let mut records = checks.records();
    if !is_grounded {
        without_witness(transcript.stopped.as_ref(), &mut records);
    }
    case_record(&case.head, transcript, records)
}

impl Judge<'_, '_> {
    fn exchanges(&mut self, transcript: &Transcript) {
        let all: Vec<(usize, &Exchange)> = transcript.exchanges.iter().enumerate().collect();
        // What several did at the same moment is looked at together.
        let case = self.case;
        for group in all.chunk_by(|(_, one), (_, other)| is_together(case, one, other)) {
            if let [(index, exchange)] = group
                && exchange.wire == Wire::Command
            {
                self.started(*index, exchange);
                continue;
            }
            for (index, exchange) in group.iter().filter(|(_, it)| it.role != Role::Abandoned) {
                self.soundness(*index, exchange);
            }
            let executed: Vec<(usize, &Exchange)> = group
                .iter()
                .copied()
                .filter(|(_, it)| it.role == Role::Step)
                .collect();
            for (index, exchange) in &executed {
                let is_last = transcript
                    .exchanges
                    .get(index + 1)
                    .is_none_or(|next| next.step != exchange.step);
                match self.waited(exchange) {
                    Some(_) if !is_last => {}
                    Some(seconds) => self.in_time(*index, exchange, seconds),
                    None => self.answer(*index, exchange),
                }
            }
            self.shelve(&executed);
        }
    }

    /// A registry was started with the flags of the case, or killed and started again.
    fn started(&mut self, index: usize, exchange: &Exchange) {
        let (Some(at), Some(answer)) = (exchange.step, exchange.outcome.answer()) else {
            return;
        };
        let subject = Subject {
            step: Some(at),
            name: "start",
            requirements: vec!["KPR-RET-06"],
            expected: format!("the registry starts, {}", exchange.request.path).into(),
        };
        let finding = match answer.status {
            0 => Finding::Holds,
            _ => Finding::broken(visible_cut(&answer.body.to_text(), 500)),
        };
        self.checks.note(subject, index, finding);
    }

    /// What is asked of every answer.
    fn soundness(&mut self, index: usize, exchange: &Exchange) {
        let subject = standing(
            "status",
            &["KPR-PUB-16"],
            "every request is answered, and none with a status of 5xx",
        );
        let finding = match &exchange.outcome {
            Outcome::Answer(answer) if answer.status == 503 => return,
            Outcome::Answer(answer) if answer.status >= 500 => {
                Finding::broken(format!("status {}", answer.status))
            }
            Outcome::Answer(_) => Finding::Holds,
            Outcome::Failure(failure) if matches!(failure.kind, FailureKind::Connect | FailureKind::Tls) => {
                return;
            }
            Outcome::Failure(failure) => Finding::broken(failure.message.clone()),
        };
        self.checks.note(subject, index, finding);
        let Some(answer) = exchange.outcome.answer() else {
            return;
        };
        if operation(exchange) == "fetch" && answer.status == 200 {
            let content_type = answer
                .header("content-type")
                .unwrap_or_default()
                .to_ascii_lowercase();
            let subject = standing(
                "content-type",
                &["KPR-FET-07"],
                "a Bundle is served as application/json",
            );
            let finding = match media_type(&content_type).as_str() {
                "application/json" => Finding::Holds,
                _ => Finding::broken(format!("content-type {content_type:?}")),
            };
            self.checks.note(subject, index, finding);
        }
    }

    /// For how many seconds the step of an exchange waits for an answer.
    fn waited(&self, exchange: &Exchange) -> Option<u32> {
        self.case.steps.get(exchange.step?)?.within
    }

    /// The last answer to a step that waits for another.
    fn in_time(&mut self, index: usize, exchange: &Exchange, seconds: u32) {
        let Some((at, step)) = exchange.step.and_then(|at| Some((at, self.case.steps.get(at)?))) else {
            return;
        };
        let expected = format!("{} within {seconds} s", expected(step, exchange));
        let subject = self.subject(at, "answer", expected);
        let finding = match &exchange.outcome {
            Outcome::Answer(answer) if step.answer.contains(&answer.status) => Finding::Holds,
            Outcome::Answer(answer) => Finding::broken(format!("still status {}", answer.status)),
            Outcome::Failure(failure) => Finding::Unknown {
                reason: format!("no answer came: {}", failure.message),
                verdict: Verdict::Blocked,
            },
        };
        self.checks.note(subject, index, finding);
    }

    /// One answer to a step.
    fn answer(&mut self, index: usize, exchange: &Exchange) {
        let Some((at, step)) = exchange.step.and_then(|at| Some((at, self.case.steps.get(at)?))) else {
            return;
        };
        let expected = expected(step, exchange);
        let answer = match &exchange.outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Failure(failure) => {
                let reason = format!("no answer came: {}", failure.message);
                let verdict = Verdict::Blocked;
                let subject = self.subject(at, "answer", expected);
                return self
                    .checks
                    .note(subject, index, Finding::Unknown { reason, verdict });
            }
        };
        if is_limit(answer.status) {
            let reason = format!(
                "the server's own limit refused the request first: status {}",
                answer.status
            );
            let verdict = Verdict::NotApplicable;
            let subject = self.subject(at, "answer", expected);
            return self
                .checks
                .note(subject, index, Finding::Unknown { reason, verdict });
        }
        if operation(exchange) == "fetch" && exchange.spoiled.is_none() {
            return self.served(at, step, index, exchange, answer);
        }
        let finding = self.status(step, exchange, answer);
        let mut subject = self.subject(at, "answer", expected);
        if let Some((reason, rule)) = self.elsewhere(step, exchange, answer) {
            let unknown = Finding::Unknown {
                reason,
                verdict: Verdict::Blocked,
            };
            self.checks.note(subject.clone(), index, unknown);
            let Some(rule) = rule else {
                return;
            };
            subject.requirements = vec![rule];
        }
        // A publication that merely prepares is held to the rule of its operation.
        if operation(exchange) == "publish" && exchange.spoiled.is_none() && subject.requirements.is_empty() {
            subject.requirements = vec![self.rule_of_publishing(step)];
        }
        self.checks.note(subject, index, finding);
    }

    /// Why an answer that is not the expected one says nothing of what the step is about, and the rule that it contradicts, if none
    /// of all answers says so.
    fn elsewhere(
        &self,
        step: &Step,
        exchange: &Exchange,
        answer: &Answer,
    ) -> Option<(String, Option<&'static str>)> {
        let status = answer.status;
        if operation(exchange) != "publish" || step.answer.contains(&status) {
            return None;
        }
        let is_sound = exchange.spoiled.is_none();
        match status {
            // What was taken was taken, however that is told.
            200..300 if is_sound => Some((
                format!("the publication was granted in another way: status {status}"),
                Some("KPR-PUB-01"),
            )),
            // It is refused in another way than with 400: that is none of the breakdowns that the step is about.
            400..500 if Self::is_of_breakdowns(step) => Some((
                format!("the publication was refused in another way: status {status}"),
                None,
            )),
            // Nothing shows that it is the mistake in the request on which the server breaks.
            500.. if !is_sound && !self.is_grounded => Some((
                format!("the server fails at what is sound as well: status {status}"),
                None,
            )),
            _ => None,
        }
    }

    /// Whether a step is about breakdowns alone.
    fn is_of_breakdowns(step: &Step) -> bool {
        step.checks
            .as_deref()
            .is_some_and(|checks| checks == ["KPR-PUB-16"])
    }

    /// The rule that a sound publication is granted by: that of its payload where that is out of the ordinary, that of many where
    /// others were granted in this case before.
    fn rule_of_publishing(&self, step: &Step) -> &'static str {
        let is_odd = |publish: &Publish| publish.bytes.is_some() || publish.time.is_some();
        match step.publish.as_ref() {
            Some(publish) if is_odd(publish) => "KPR-PUB-10",
            _ if self.shelves.values().any(|shelf| !shelf.newest.is_empty()) => "KPR-PUB-11",
            _ => "KPR-PUB-01",
        }
    }

    fn status(&self, step: &Step, exchange: &Exchange, answer: &Answer) -> Finding {
        let status = answer.status;
        if !step.answer.contains(&status) {
            return Finding::broken(format!("status {status}"));
        }
        if status == 204 && !answer.body.is_empty() {
            return Finding::broken("status 204 with a body".to_owned());
        }
        let wants_allow = step.request.as_ref().is_some_and(|raw| raw.allow);
        match wants_allow && operation(exchange).is_empty() && answer.header("allow").is_none() {
            true => Finding::broken(format!("status {status} without a header Allow")),
            false => Finding::Holds,
        }
    }

    /// What is served of a device, held against what may be.
    fn served(&mut self, at: usize, step: &Step, index: usize, exchange: &Exchange, answer: &Answer) {
        let id = exchange
            .request
            .path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let shelf = self.shelves.get(&id);
        let newest = shelf.map(Shelf::may_be_served).unwrap_or_default();
        let bundle = read(answer);
        let is_right = match (answer.status, &bundle) {
            (200, Ok(bundle)) => newest.contains(bundle),
            (404, _) => shelf.is_none_or(Shelf::may_be_empty) || step.answer.contains(&404),
            (status, _) => status != 200 && step.answer.contains(&status),
        };
        if is_right {
            self.is_grounded |= answer.status == 200;
            let mut subject = self.subject(
                at,
                "served",
                "the bundle that was published last is served, as it was",
            );
            if newest.is_empty() {
                subject.expected = "nothing is served of who has not published".into();
            }
            // A fetch that merely prepares shows what every fetch shows.
            if subject.requirements.is_empty() {
                subject.requirements = match (newest.is_empty(), answer.status) {
                    (true, _) => vec!["KPR-FET-02"],
                    (false, 200) => vec!["KPR-PUB-01", "KPR-FET-01", "KPR-FET-03", "KPR-FET-05"],
                    (false, _) => Vec::new(),
                };
            }
            if let (Ok(bundle), Some(shelf)) = (bundle, self.shelves.get_mut(&id)) {
                shelf.seen = Some(bundle);
                shelf.is_refused_since = false;
            }
            return self.checks.note(subject, index, Finding::Holds);
        }
        let is_respelt = !exchange.request.path.ends_with(&id);
        let (rule, pointer, got) = self.blame(&id, is_respelt, answer, bundle);
        let own = self.subject(
            at,
            "served",
            "the bundle that was published last is served, as it was",
        );
        // What a step on retention looks for shows in that a bundle is gone, or that an older one stands in its place.
        let is_gone = answer.status == 404 && rule != "KPR-FET-02" || rule == "KPR-FET-03";
        let own_rule = own.requirements.iter().find(|id| id.starts_with("KPR-RET-"));
        let own_rule = own_rule.copied().or_else(|| self.rule_of_the_task());
        let rule = own_rule.filter(|_| is_gone).unwrap_or(rule);
        if !own.requirements.contains(&rule) && !own.requirements.is_empty() {
            let reason = format!("what was served is wrong in another way: {got}");
            let verdict = Verdict::Blocked;
            self.checks
                .note(own.clone(), index, Finding::Unknown { reason, verdict });
        }
        let subject = Subject {
            requirements: vec![rule],
            ..own
        };
        self.checks.note(subject, index, Finding::Broken { pointer, got });
    }

    /// The rule on retention of a case in which the background task may run at any moment.
    fn rule_of_the_task(&self) -> Option<&'static str> {
        let mut starts = self.case.steps.iter().filter_map(|step| step.start.as_ref());
        let is_soon = |flags: &Vec<String>| flags.windows(2).any(|two| two == ["--prune-interval-secs", "1"]);
        let rules = ["KPR-RET-02", "KPR-RET-03", "KPR-RET-04"];
        let own = rules
            .into_iter()
            .find(|rule| self.case.checks.iter().any(|id| id == rule));
        own.filter(|_| starts.any(is_soon))
    }

    /// The rule that an answer to a fetch contradicts, where in its body, and what came.
    fn blame(
        &self,
        id: &str,
        is_respelt: bool,
        answer: &Answer,
        bundle: Result<Bundle, (&'static str, String)>,
    ) -> (&'static str, Option<String>, String) {
        let shelf = self.shelves.get(id);
        let has_published = shelf.is_some_and(|shelf| !shelf.may_be_served().is_empty());
        let bundle = match (answer.status, bundle) {
            (200, Ok(bundle)) => bundle,
            (200, Err((pointer, why))) if has_published => {
                return ("KPR-FET-01", Some(pointer.to_owned()), why);
            }
            (200, Err(_)) => {
                return (
                    "KPR-FET-02",
                    None,
                    "status 200 for a device that never published".to_owned(),
                );
            }
            (404, _) if shelf.is_some_and(|shelf| shelf.was_seen() && shelf.is_refused_since) => {
                return (
                    "KPR-PUB-09",
                    None,
                    "status 404 for a bundle that was served before another was refused".to_owned(),
                );
            }
            (404, _) if shelf.is_some_and(Shelf::was_seen) => {
                return (
                    "KPR-RET-02",
                    None,
                    "status 404 for a bundle that was served before".to_owned(),
                );
            }
            (404, _) => {
                return (
                    "KPR-PUB-01",
                    None,
                    "status 404 after a publication was answered 204".to_owned(),
                );
            }
            (status, _) if has_published => return ("KPR-FET-01", None, format!("status {status}")),
            (status, _) => {
                return (
                    "KPR-FET-02",
                    None,
                    format!("status {status} for a device that never published"),
                );
            }
        };
        let of = |shelf: &Shelf| [&shelf.newest[..], &shelf.unsettled, &shelf.older, &shelf.refused].concat();
        let is_part = |known: &Bundle| known.payload == bundle.payload || known.signature == bundle.signature;
        if shelf.is_some_and(|shelf| shelf.refused.contains(&bundle)) {
            return (
                "KPR-PUB-09",
                None,
                "a bundle that was refused is served".to_owned(),
            );
        }
        if let Some(shelf) = shelf.filter(|shelf| shelf.older.contains(&bundle)) {
            let got = "a bundle is served that was published earlier".to_owned();
            return match () {
                () if is_respelt => ("KPR-FET-06", None, format!("{got}, under the id in capitals")),
                () if shelf.is_respelt => ("KPR-FET-06", None, format!("{got}, under the id in lower case")),
                () if shelf.seen.as_ref() == Some(&bundle) => {
                    ("KPR-FET-05", None, format!("{got}, as at the fetch before"))
                }
                () => ("KPR-FET-03", None, got),
            };
        }
        let others = self.shelves.iter().filter(|(other, _)| *other != id);
        if others.into_iter().any(|(_, shelf)| of(shelf).contains(&bundle)) || !has_published {
            return (
                "KPR-FET-04",
                None,
                "a bundle is served that this device did not publish".to_owned(),
            );
        }
        let own = shelf.map(of).unwrap_or_default();
        let is_mixed = own.iter().any(|it| it.payload == bundle.payload)
            && own.iter().any(|it| it.signature == bundle.signature);
        if is_mixed {
            return (
                "KPR-FET-03",
                None,
                "payload and signature are of two publications".to_owned(),
            );
        }
        match own.iter().any(is_part) {
            true => (
                "KPR-FET-01",
                Some("/payload".to_owned()),
                "a bundle is served that is altered".to_owned(),
            ),
            false => (
                "KPR-FET-04",
                None,
                "a bundle is served that this device did not publish".to_owned(),
            ),
        }
    }

    /// What may be served after publications that were made at the same moment.
    fn shelve(&mut self, group: &[(usize, &Exchange)]) {
        let mut granted: BTreeMap<String, Vec<Bundle>> = BTreeMap::new();
        for (_, exchange) in group.iter().filter(|(_, it)| operation(it) == "publish") {
            let Some((id, bundle)) = sent(exchange) else {
                continue;
            };
            let is_respelt = id.bytes().any(|byte| byte.is_ascii_uppercase());
            let id = id.to_ascii_lowercase();
            let shelf = self.shelves.entry(id.clone()).or_default();
            let status = exchange.outcome.answer().map(|answer| answer.status);
            match (status, &exchange.spoiled) {
                (Some(200..300), None) if shelf.older.contains(&bundle) => shelf.newest.push(bundle),
                (Some(200..300), None) => {
                    shelf.is_respelt = is_respelt;
                    granted.entry(id).or_default().push(bundle);
                }
                (Some(200..300), Some(_)) => {
                    // It may be stored: as good as what was there before.
                    shelf.is_open |= shelf.newest.is_empty();
                    shelf.newest.push(bundle);
                }
                (None, _) => shelf.unsettled.push(bundle),
                // Whoever breaks down says nothing of what he had done by then. A 503 was not executed.
                (Some(500..=502 | 504..), None) => shelf.unsettled.push(bundle),
                (Some(_), _) => {
                    shelf.is_refused_since = true;
                    shelf.refused.push(bundle);
                }
            }
        }
        for (id, bundles) in granted {
            let shelf = self.shelves.entry(id).or_default();
            shelf.older.append(&mut shelf.newest);
            shelf.newest = bundles;
            shelf.is_open = false;
        }
    }

    /// Steps that driving never came to.
    fn not_reached(&mut self, transcript: &Transcript) {
        let Some(stopped) = &transcript.stopped else {
            return;
        };
        for at in stopped.step.unwrap_or_default()..self.case.steps.len() {
            let subject = self.subject(at, "answer", "the step is reached");
            let finding = Finding::Unknown {
                reason: stopped.reason.clone(),
                verdict: stopped.verdict_at(at),
            };
            self.checks.note(subject, 0, finding);
        }
    }

    fn subject(
        &self,
        at: usize,
        name: &'static str,
        expected: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Subject {
        let own = self.case.steps[at].checks.as_ref();
        Subject {
            step: Some(at),
            name,
            requirements: self.case.requirements_at(at, own, catalogue()),
            expected: expected.into(),
        }
    }
}

/// Whether two exchanges were made at the same moment.
fn is_together(case: &ReadCase<Step>, one: &Exchange, other: &Exchange) -> bool {
    let races = one.step.is_some_and(|step| case.steps[step].is_race());
    races && one.step == other.step && one.round == other.round
}

fn standing(name: &'static str, requirements: &[&'static str], expected: &'static str) -> Subject {
    Subject {
        step: None,
        name,
        requirements: requirements.to_vec(),
        expected: expected.into(),
    }
}

fn operation(exchange: &Exchange) -> &str {
    exchange.operation.as_ref().map_or("", |name| name.as_str())
}

/// Limits that a registry may have: of bodies, of requests in a time, and of its own health.
fn is_limit(status: u16) -> bool {
    matches!(status, 413 | 429 | 503)
}

fn expected(step: &Step, exchange: &Exchange) -> String {
    let statuses: Vec<String> = step.answer.iter().map(u16::to_string).collect();
    let what = match operation(exchange) {
        "" => "the request",
        operation => operation,
    };
    let how = exchange
        .spoiled
        .as_ref()
        .map(|how| format!(" ({how})"))
        .unwrap_or_default();
    format!("{what}{how} is answered {}", statuses.join(" or "))
}

/// The device, as its id was written, and the bundle of a publication of ours.
fn sent(exchange: &Exchange) -> Option<(String, Bundle)> {
    let body = json::first(exchange.request.body.as_ref()?.as_bytes())?;
    let text = |name: &str| body.get(name)?.as_str();
    let bundle = Bundle {
        payload: STANDARD
            .decode(text("payload")?)
            .unwrap_or_else(|_| text("payload").unwrap_or_default().into()),
        signature: STANDARD.decode(text("signature")?).unwrap_or_default(),
    };
    Some((text("device_id")?.to_owned(), bundle))
}

/// The Bundle of an answer. The error is where it is none, and why.
fn read(answer: &Answer) -> Result<Bundle, (&'static str, String)> {
    let body =
        json::parse(answer.body.as_bytes()).map_err(|why| ("", format!("the body is not JSON: {why}")))?;
    let bytes = |name: &str, pointer: &'static str| {
        let text = body
            .get(name)
            .and_then(Value::as_str)
            .ok_or((pointer, format!("{name} is missing or no string")))?;
        STANDARD
            .decode(text)
            .map_err(|_| (pointer, format!("{name} is not standard base64")))
    };
    Ok(Bundle {
        payload: bytes("payload", "/payload")?,
        signature: bytes("signature", "/signature")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::case::Source;
    use crate::case::file::read_cases;
    use crate::catalogue::OperationName;
    use crate::judge::Transport;
    use crate::keypackage::KEYPACKAGE;
    use crate::keypackage::cases::facts;
    use crate::keys::Seed;
    use crate::record::{Failure, Request, Service};

    const DEVICE: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    /// What becomes of one publication or of one fetch; a bundle is called by its number.
    #[derive(Clone, Copy)]
    enum Seen {
        Published(u8, u16),
        Unanswered(u8),
        Served(u8),
        Nothing,
    }

    fn bundle(number: u8) -> Value {
        json!({ "payload": STANDARD.encode([number]), "signature": STANDARD.encode([number; 64]) })
    }

    fn answered(status: u16, body: String) -> Outcome {
        Outcome::Answer(Answer {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
        })
    }

    fn exchange(step: usize, seen: Seen) -> Exchange {
        let (published, outcome) = match seen {
            Seen::Published(number, status) => (Some(number), answered(status, String::new())),
            Seen::Unanswered(number) => {
                let failure = Failure {
                    kind: FailureKind::Timeout,
                    message: "no answer within 10 s".to_owned(),
                    begun: false,
                };
                (Some(number), Outcome::Failure(failure))
            }
            Seen::Served(number) => (None, answered(200, bundle(number).to_string())),
            Seen::Nothing => (None, answered(404, String::new())),
        };
        let body = published.map(|number| {
            let mut body = bundle(number);
            body["device_id"] = DEVICE.into();
            body.to_string().into()
        });
        let (operation, method, path) = match body {
            Some(_) => ("publish", "POST", "/v0/keypackage".to_owned()),
            None => ("fetch", "GET", format!("/v0/keypackage/{DEVICE}")),
        };
        Exchange {
            step: Some(step),
            actor: Some("alice".to_owned()),
            operation: Some(OperationName::new(operation)),
            ..Exchange::new(
                Request {
                    service: Service::new("registry"),
                    method: method.to_owned(),
                    path,
                    headers: Vec::new(),
                    body,
                },
                outcome,
                Duration::ZERO,
                Duration::ZERO,
            )
        }
    }

    /// The requirements that are found broken, sorted.
    fn broken(all: &[Seen]) -> Vec<String> {
        let steps = all.iter().map(|seen| match seen {
            Seen::Served(_) | Seen::Nothing => "{ fetch = {}, answer = [200] },",
            _ => "{ publish = {}, answer = [204], checks = [] },",
        });
        let text = format!(
            "about = \"A test.\"\n[[case]]\nid = \"test/seen\"\ntitle = \"What is seen\"\n\
             checks = [\"KPR-FET-03\"]\nstep = [{}]",
            steps.collect::<String>()
        );
        let source = Source {
            name: "test.toml".to_owned(),
            text,
        };
        let cases = read_cases(vec![source], &(KEYPACKAGE.rules)(), &[], facts);
        let case = cases.unwrap_or_else(|problems| panic!("{problems:?}")).remove(0);
        let transcript = Transcript {
            began_ms: 0,
            exchanges: all
                .iter()
                .enumerate()
                .map(|(step, seen)| exchange(step, *seen))
                .collect(),
            read: Vec::new(),
            stopped: None,
            took: std::time::Duration::ZERO,
            throttled: std::time::Duration::ZERO,
        };
        let context = Context {
            spec: catalogue().newest(),
            seed: &Seed::from_bytes([1; 32]),
            generation: 0,
            transport: Transport::Loopback,
        };
        let record = judge(&case, transcript, &context);
        let checks = record.checks.iter();
        let is_broken = |verdict| matches!(verdict, Verdict::Fail | Verdict::Warn);
        let bad = checks.filter(|check| is_broken(check.verdict));
        let mut ids: Vec<String> = bad.flat_map(|check| check.requirements.clone()).collect();
        ids.sort();
        ids
    }

    #[test]
    fn the_newest_is_to_be_served() {
        use Seen::{Nothing, Published, Served};
        assert_eq!(
            broken(&[Published(1, 204), Published(2, 204), Served(2)]),
            Vec::<String>::new()
        );
        assert_eq!(
            broken(&[Published(1, 204), Published(2, 204), Served(1)]),
            ["KPR-FET-03"]
        );
        assert_eq!(broken(&[Published(1, 204), Served(1), Nothing]), ["KPR-RET-02"]);
        assert_eq!(
            broken(&[Published(1, 204), Served(1), Published(2, 400), Nothing]),
            ["KPR-PUB-09", "KPR-PUB-11"]
        );
        assert_eq!(
            broken(&[Published(1, 204), Published(2, 400), Served(2)]),
            ["KPR-PUB-09", "KPR-PUB-11"]
        );
    }

    #[test]
    fn a_publication_without_an_answer_may_take_effect_at_any_time() {
        use Seen::{Nothing, Published, Served, Unanswered};
        let all = [Published(1, 204), Unanswered(2), Published(3, 204)];
        for served in [2, 3] {
            assert_eq!(
                broken(&[&all[..], &[Served(served)]].concat()),
                ["KPR-PUB-16"],
                "{served}"
            );
        }
        assert_eq!(
            broken(&[&all[..], &[Served(1)]].concat()),
            ["KPR-FET-03", "KPR-PUB-16"]
        );
        assert_eq!(
            broken(&[&all[..], &[Nothing]].concat()),
            ["KPR-PUB-01", "KPR-PUB-16"]
        );
        assert_eq!(broken(&[Unanswered(1), Nothing]), ["KPR-PUB-16"]);
        assert_eq!(broken(&[Unanswered(1), Served(1)]), ["KPR-PUB-16"]);
    }

    #[test]
    fn a_breakdown_is_no_refusal() {
        use Seen::{Published, Served};
        for status in [500, 502, 504] {
            let all = [Published(1, 204), Published(2, status)];
            for served in [1, 2] {
                let found = broken(&[&all[..], &[Served(served)]].concat());
                assert!(!found.contains(&"KPR-PUB-09".to_owned()), "{found:?}");
                assert!(found.contains(&"KPR-PUB-16".to_owned()), "{found:?}");
            }
        }
    }
}
