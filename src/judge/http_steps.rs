//! Judges cases of plain HTTP steps: holds each answer against what its step expects. What a protocol asks of every answer
//! beside that it says itself.

use jiff::Timestamp;
use serde_json::Value;

use super::{Checks, Context, Finding, Subject, case_record, without_witness};
use crate::case::file::ReadCase;
use crate::case::http_steps::{
    Expect, HttpProtocol, HttpStep, Kind, Pages, Texts, Variables, is_success, item_ids, items, names_status,
    redirected,
};
use crate::case::is_doubtful;
use crate::catalogue::Catalogue;
use crate::json;
use crate::record::transcript::Transcript;
use crate::record::verdict::Verdict;
use crate::record::{Answer, CaseRecord, Exchange, Outcome, Role, Wire};
use crate::text::{encode_segment, visible_cut};

/// How far a time that is now may be from the exchange, milliseconds.
const NOW_MS: i64 = 300_000;
/// How much of a value a finding shows, characters.
const SHOWN: usize = 120;

/// What a protocol asks of every answer, whatever its step: looks at it, and notes what it sees. Whether the answer is one of those
/// that the step allows, and does not come of what was wrongly granted before, is said too; it says whether what is seen later may
/// come of what it saw.
pub type EveryAnswer = fn(&mut Checks<'_>, usize, &Exchange, bool) -> bool;

/// Judges one case.
pub fn judge<S>(
    case: &ReadCase<HttpStep<S>>,
    transcript: Transcript,
    context: &Context<'_>,
    catalogue: &'static Catalogue,
    protocol: &HttpProtocol<S>,
    every: EveryAnswer,
) -> CaseRecord {
    let doubt = transcript
        .exchanges
        .iter()
        .position(|it| is_doubtful(protocol.operations, it));
    let mut checks = Checks::new(&case.head, catalogue, context.spec, doubt);
    let mut judge = Judge {
        case,
        protocol,
        catalogue,
        every,
        transcript: &transcript.exchanges,
        checks: &mut checks,
        known: Variables::new(context.seed, context.generation, &case.head.id),
        began_ms: transcript.began_ms,
        is_grounded: false,
        upset: None,
    };
    judge.exchanges();
    judge.not_reached(&transcript);
    let is_grounded = judge.is_grounded;
    let mut records = checks.records();
    if !is_grounded {
        without_witness(transcript.stopped.as_ref(), &mut records);
    }
    case_record(&case.head, transcript, records)
}

struct Judge<'a, 'c, S: 'static> {
    case: &'a ReadCase<HttpStep<S>>,
    protocol: &'a HttpProtocol<S>,
    catalogue: &'static Catalogue,
    every: EveryAnswer,
    /// All exchanges of the case.
    transcript: &'a [Exchange],
    checks: &'a mut Checks<'c>,
    known: Variables,
    began_ms: i64,
    /// Whether something came back that only a server with a memory can have.
    is_grounded: bool,
    /// The first exchange after which nothing is as the case meant it.
    upset: Option<Upset>,
}

/// An exchange of which may come what is seen from the next step on.
#[derive(Clone, Copy)]
struct Upset {
    step: usize,
    exchange: usize,
    why: &'static str,
}

/// An exchange and its place in the transcript.
type Placed<'t> = (usize, &'t Exchange);

impl<S> Judge<'_, '_, S> {
    fn exchanges(&mut self) {
        let transcript = self.transcript;
        let is_judged = |index: usize, exchange: &Exchange| {
            exchange.role == Role::Step && !is_sent_on(exchange, &transcript[index + 1..])
        };
        let all = transcript.iter().enumerate();
        let (all, others): (Vec<Placed<'_>>, Vec<Placed<'_>>) =
            all.partition(|(index, exchange)| is_judged(*index, exchange));
        for (index, exchange) in others {
            if exchange.role == Role::Abandoned {
                continue;
            }
            self.every_answer(index, exchange, true);
        }
        for group in all.chunk_by(|(_, one), (_, other)| one.step == other.step) {
            let at = group[0].1.step;
            let Some((at, step)) = at.and_then(|at| Some((at, self.case.steps.get(at)?))) else {
                continue;
            };
            match &step.start {
                Some(_) => self.started(at, step, group),
                None => self.step(at, step, group),
            }
        }
    }

    /// What is asked of every answer; whether it may be so is said by its step.
    fn every_answer(&mut self, index: usize, exchange: &Exchange, is_allowed: bool) {
        if exchange.wire == Wire::Command {
            return;
        }
        let follows = self.upset.is_some_and(|upset| exchange.step > Some(upset.step));
        if (self.every)(self.checks, index, exchange, is_allowed && !follows) {
            self.upset(exchange, index, "what it answered is not what was sent");
        }
    }

    fn upset(&mut self, exchange: &Exchange, index: usize, why: &'static str) {
        let step = exchange.step.unwrap_or_default();
        self.upset.get_or_insert(Upset {
            step,
            exchange: index,
            why,
        });
    }

    fn starts_a_server(&self) -> bool {
        self.case.steps.iter().any(|step| step.start.is_some())
    }

    /// A server was started as the step wants it, or did not start.
    fn started(&mut self, at: usize, step: &HttpStep<S>, group: &[Placed<'_>]) {
        for (index, exchange) in group {
            let Some(answer) = exchange.outcome.answer() else {
                continue;
            };
            let subject = self.subject(
                at,
                "start",
                format!("the server starts, {}", exchange.request.path),
            );
            let finding = match answer.status {
                0 => Finding::Holds,
                _ if step.may_refuse => {
                    self.is_grounded = true;
                    Finding::Holds
                }
                _ => Finding::broken(visible_cut(&answer.body.to_text(), SHOWN)),
            };
            self.checks.note(subject, *index, finding);
        }
    }

    fn step(&mut self, at: usize, step: &HttpStep<S>, group: &[Placed<'_>]) {
        self.known.begin(step.for_each.as_deref());
        for (place, (index, exchange)) in group.iter().enumerate() {
            self.known.n = match step.at_once {
                true => place,
                false => exchange.round / step.variants(),
            };
            let variant = match (&step.pages, step.at_once) {
                (Some(_), _) => 0,
                (None, true) => place % step.variants(),
                (None, false) => exchange.round % step.variants(),
            };
            let status = exchange.outcome.answer().map(|answer| answer.status);
            let is_allowed = status.is_none_or(|status| names_status(step.answers(variant), status));
            self.every_answer(*index, exchange, is_allowed);
            if step.pages.is_some() && self.is_refused_guess(&group[..=place]) {
                continue;
            }
            self.answer(at, step, variant, *index, exchange);
            if let Some(answer) = exchange.outcome.answer() {
                // What is not there has ended the case.
                let _ = self.known.keep(&step.keep, answer);
                let _ = self.known.keep(&step.keep_if_granted, answer);
            }
        }
        if let Some(pages) = &step.pages {
            let guess = usize::from(self.is_refused_guess(group));
            self.pages(at, pages, &group[..group.len() - guess]);
        }
        if let Some(name) = &step.distinct {
            self.distinct(at, name, group);
        }
    }

    /// Whether the last of these requests for pages is one that no page named, and that the target refuses: it is no page.
    fn is_refused_guess(&self, pages: &[Placed<'_>]) -> bool {
        let [.., (_, before), (_, last)] = pages else {
            return false;
        };
        let is_named = before
            .outcome
            .answer()
            .is_none_or(|answer| (self.protocol.next_page)(answer).is_some());
        let status = last.outcome.answer().map(|answer| answer.status);
        !is_named && status.is_some_and(|status| matches!(status, 400 | 404 | 422))
    }

    /// One answer to a step.
    fn answer(&mut self, at: usize, step: &HttpStep<S>, variant: usize, index: usize, exchange: &Exchange) {
        let expected = expected(step.answers(variant), exchange);
        let mut subject = self.subject(at, "answer", expected);
        let answer = match &exchange.outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Failure(failure) => {
                let reason = format!("no answer came: {}", failure.message);
                let verdict = Verdict::Blocked;
                return self
                    .checks
                    .note(subject, index, Finding::Unknown { reason, verdict });
            }
        };
        let status = answer.status;
        if names_status(step.answers(variant), status) {
            if subject.requirements.is_empty() && exchange.spoiled.is_none() {
                subject.requirements = self.prepares(exchange);
            }
            self.checks.note(subject, index, Finding::Holds);
            if is_success(status) {
                for expect in &step.expect {
                    self.expect(at, expect, index, exchange, answer);
                }
            }
            return;
        }
        if matches!(status, 413 | 429 | 503) {
            let reason = format!("the server's own limit refused the request first: status {status}");
            let verdict = Verdict::NotApplicable;
            return self
                .checks
                .note(subject, index, Finding::Unknown { reason, verdict });
        }
        let got = format!("status {status}");
        // A success of another kind says how the operation is answered, and nothing of what the case is about.
        let prepares = self.prepares(exchange);
        let wants_success = (200..300).any(|other| names_status(step.answers(variant), other));
        let is_elsewhere = exchange.spoiled.is_none()
            && wants_success
            && is_success(status)
            && !prepares.is_empty()
            && !subject.requirements.is_empty()
            && !prepares.iter().any(|id| subject.requirements.contains(id));
        if is_elsewhere {
            let reason = format!("the operation was answered in another way: {got}");
            let verdict = Verdict::Blocked;
            self.checks
                .note(subject.clone(), index, Finding::Unknown { reason, verdict });
            subject.requirements = prepares;
            return self.note(subject, index, Finding::broken(got));
        }
        // That a request which is odd on purpose is no breakdown is asked of every answer; its operation is about others.
        if subject.requirements.is_empty() && exchange.spoiled.is_some() && status >= 500 {
            return;
        }
        match (self.protocol.blame)(exchange, &self.transcript[..index]) {
            // Whether a server that was started for the case lets somebody in is what the case is about.
            Some(_)
                if matches!(status, 401 | 403)
                    && self.starts_a_server()
                    && !subject.requirements.is_empty() =>
            {
                self.note(subject, index, Finding::broken(got));
            }
            Some(rule) => {
                self.contradicts(rule, subject, index, got);
                self.upset(
                    exchange,
                    index,
                    "it says that the target is not as the case takes it to be",
                );
            }
            None => {
                if subject.requirements.is_empty() {
                    subject.requirements = self.prepares(exchange);
                }
                self.note(subject, index, Finding::broken(got));
            }
        }
        if is_success(status) && !(200..300).any(|other| names_status(step.answers(variant), other)) {
            self.upset(exchange, index, "it was to be refused");
        }
    }

    /// Notes what contradicts a rule, whatever the step is about; what that is was not seen then.
    fn contradicts(&mut self, rule: &'static str, mut subject: Subject, index: usize, got: String) {
        if !subject.requirements.contains(&rule) {
            let finding = Finding::Unknown {
                reason: format!("{got}, which is about {rule}"),
                verdict: Verdict::Blocked,
            };
            self.checks.note(subject.clone(), index, finding);
            subject.requirements = vec![rule];
        }
        self.note(subject, index, Finding::broken(got));
    }

    /// Notes what was seen, but for what may come of something that went wrong in an earlier step.
    fn note(&mut self, subject: Subject, index: usize, finding: Finding) {
        let finding = match (finding, self.upset) {
            (Finding::Broken { got, .. }, Some(upset)) if subject.step > Some(upset.step) => {
                Finding::Unknown {
                    reason: format!(
                        "{got}, which may come of exchange {}: {}",
                        upset.exchange + 1,
                        upset.why
                    ),
                    verdict: Verdict::Blocked,
                }
            }
            (finding, _) => finding,
        };
        self.checks.note(subject, index, finding);
    }

    /// The rules of the operation of an exchange.
    fn prepares(&self, exchange: &Exchange) -> Vec<&'static str> {
        let operation = exchange.operation.as_ref().map_or("", |name| name.as_str());
        (self.protocol.prepares)(operation).to_vec()
    }

    fn expect(&mut self, at: usize, expect: &Expect, index: usize, exchange: &Exchange, answer: &Answer) {
        let mut subject = self.subject(at, "body", self.about(expect));
        if let Some(own) = &expect.checks {
            subject.requirements = self.ids(own);
        }
        let prepares = self.prepares(exchange);
        if subject.requirements.is_empty() {
            subject.requirements.clone_from(&prepares);
        }
        let is_own = subject.requirements.iter().any(|id| prepares.contains(id));
        if !is_own && !(self.protocol.is_message)(exchange) {
            let reason = "the answer is not the message of its operation".to_owned();
            let verdict = Verdict::Blocked;
            return self
                .checks
                .note(subject, index, Finding::Unknown { reason, verdict });
        }
        let finding = match json::parse(answer.body.as_bytes()) {
            Err(why) => Finding::broken(format!("the body is not JSON: {why}")),
            Ok(body) => match self.look(expect, &body, exchange, answer) {
                Ok(()) => Finding::Holds,
                Err(got) => Finding::broken_at(expect.at.clone(), got),
            },
        };
        if finding == Finding::Holds && self.is_memory(expect, exchange) {
            self.is_grounded = true;
        }
        let rule = expect.has.as_ref().and_then(|has| {
            let id = has.get("/id").and_then(|text| self.known.json(text).ok());
            let items = items(answer, &expect.at);
            self.rule_of_a_list(exchange, index, &items, id.as_ref())
        });
        match (rule, finding) {
            (Some(rule), Finding::Broken { got, .. }) => {
                self.contradicts(rule, subject, index, got);
                self.upset(exchange, index, "the list does not show what is stored");
            }
            (_, finding) => self.note(subject, index, finding),
        }
    }

    /// The rule of the operation where a list lacks an item, or has what nobody asked for: whatever the step is about. None where
    /// somebody has written at the item since it was created: then the step knows better what that was to do.
    fn rule_of_a_list(
        &self,
        exchange: &Exchange,
        index: usize,
        items: &[Value],
        missing: Option<&Value>,
    ) -> Option<&'static str> {
        let rule = self.prepares(exchange).first().copied()?;
        let is_strange = items
            .iter()
            .any(|item| !(self.protocol.is_asked_for)(exchange, item));
        let is_written = |id: &str| {
            let segment = encode_segment(id);
            let writes = self.transcript[..index]
                .iter()
                .filter(|it| !matches!(it.request.method.as_str(), "GET" | "HEAD" | "POST"));
            writes
                .into_iter()
                .any(|it| it.request.path.split(['/', '?']).any(|part| part == segment))
        };
        let is_untouched = missing.is_some_and(|id| !id.as_str().is_some_and(is_written));
        (is_strange || is_untouched).then_some(rule)
    }

    /// Whether what was seen to hold is something that was written before, and that this request does not itself say.
    fn is_memory(&self, expect: &Expect, exchange: &Exchange) -> bool {
        let is_said = |text: &String| {
            let unique = text.contains("${ns}") && !exchange.request.path.contains(self.known.unique());
            unique && exchange.request.body.is_none()
        };
        let has = expect.has.iter().flat_map(Texts::values);
        expect.is.iter().chain(has).any(is_said)
    }

    /// What came in place of what is expected, if it did.
    fn look(
        &self,
        expect: &Expect,
        body: &Value,
        exchange: &Exchange,
        answer: &Answer,
    ) -> Result<(), String> {
        let found = body.pointer(&expect.at);
        if expect.absent {
            return found.map_or(Ok(()), |value| Err(shown(value)));
        }
        let value = found.ok_or("there is nothing")?;
        let holds = |holds: bool| if holds { Ok(()) } else { Err(shown(value)) };
        if let Some(text) = &expect.is {
            holds(json::equal(value, &self.known.json(text)?))?;
        }
        if let Some(text) = &expect.is_not {
            holds(!json::equal(value, &self.known.json(text)?))?;
        }
        if let Some(members) = &expect.same {
            let values: Vec<Option<&Value>> = members.iter().map(|at| value.pointer(at)).collect();
            let is_same = |pair: &[Option<&Value>]| match (pair[0], pair[1]) {
                (Some(one), Some(other)) => json::equal(one, other),
                _ => false,
            };
            holds(values.windows(2).all(is_same))?;
        }
        match expect.kind {
            None => {}
            Some(Kind::Text) => holds(value.as_str().is_some_and(|text| !text.is_empty()))?,
            Some(Kind::Object) => holds(value.is_object())?,
            Some(Kind::List) => holds(value.is_array())?,
            Some(Kind::TimeNow) => holds(self.is_now(value, exchange, answer))?,
        }
        self.items(expect, value)
    }

    fn items(&self, expect: &Expect, value: &Value) -> Result<(), String> {
        let wants = expect.at_most.is_some()
            || expect.has.is_some()
            || expect.lacks.is_some()
            || expect.all.is_some();
        if !wants {
            return Ok(());
        }
        let items = value
            .as_array()
            .ok_or_else(|| format!("no list: {}", shown(value)))?;
        if let Some(most) = expect.at_most.filter(|most| items.len() > *most) {
            return Err(format!("{} items, more than {most}", items.len()));
        }
        let fits = |texts: &Texts, item: &Value| -> Result<bool, String> {
            for (at, text) in texts {
                let wanted = self.known.json(text)?;
                if !item.pointer(at).is_some_and(|value| json::equal(value, &wanted)) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let any = |texts: &Texts| -> Result<bool, String> {
            let all: Result<Vec<bool>, String> = items.iter().map(|item| fits(texts, item)).collect();
            all.map(|all| all.contains(&true))
        };
        if let Some(texts) = &expect.has
            && !any(texts)?
        {
            return Err(format!("{} items, and none of them is it", items.len()));
        }
        if let Some(texts) = &expect.lacks
            && any(texts)?
        {
            return Err("one of the items is it".to_owned());
        }
        if let Some(texts) = &expect.all {
            for item in items {
                if !fits(texts, item)? {
                    return Err(format!("an item is another: {}", shown(item)));
                }
            }
        }
        Ok(())
    }

    /// Whether a value is a time in UTC close to the exchange, by our clock or by that of the server.
    fn is_now(&self, value: &Value, exchange: &Exchange, answer: &Answer) -> bool {
        let text = value.as_str().unwrap_or_default();
        let is_utc = ["Z", "z", "+00:00"].iter().any(|end| text.ends_with(end));
        let Ok(time) = text.parse::<Timestamp>() else {
            return false;
        };
        let ours = self.began_ms + i64::try_from(exchange.at_us / 1000).unwrap_or_default();
        let clocks = [Some(ours), answer.date_ms()];
        let is_near = |clock: &i64| (time.as_millisecond() - clock).abs() <= NOW_MS;
        is_utc && clocks.iter().flatten().any(is_near)
    }

    fn about(&self, expect: &Expect) -> String {
        let at = match expect.at.as_str() {
            "" => "the body",
            at => at,
        };
        let filled = |text: &String| {
            let text = self.known.json_text(text).unwrap_or_else(|_| text.clone());
            visible_cut(&text, SHOWN)
        };
        let texts = |texts: &Texts| {
            let each = texts.iter().map(|(at, text)| format!("{at} {}", filled(text)));
            each.collect::<Vec<_>>().join(" and ")
        };
        let mut parts = Vec::new();
        parts.extend(expect.is.as_ref().map(|text| format!("is {}", filled(text))));
        parts.extend(
            expect
                .is_not
                .as_ref()
                .map(|text| format!("is not {}", filled(text))),
        );
        parts.extend(expect.absent.then(|| "is not there".to_owned()));
        parts.extend(expect.kind.map(|kind| {
            let kind = match kind {
                Kind::Text => "a string that is not empty",
                Kind::Object => "an object",
                Kind::List => "a list",
                Kind::TimeNow => "the present time in UTC (RFC 3339)",
            };
            format!("is {kind}")
        }));
        parts.extend(expect.at_most.map(|most| format!("has at most {most} items")));
        parts.extend(
            expect
                .has
                .as_ref()
                .map(|it| format!("has an item with {}", texts(it))),
        );
        parts.extend(
            expect
                .lacks
                .as_ref()
                .map(|it| format!("has no item with {}", texts(it))),
        );
        parts.extend(
            expect
                .all
                .as_ref()
                .map(|it| format!("has only items with {}", texts(it))),
        );
        parts.extend(
            expect
                .same
                .as_ref()
                .map(|it| format!("has equal values at {}", it.join(" and "))),
        );
        format!("{at} {}", parts.join(", "))
    }

    /// What the pages of a list show together.
    fn pages(&mut self, at: usize, pages: &Pages, group: &[Placed<'_>]) {
        let subject = self.subject(
            at,
            "pages",
            match pages.only {
                true => "the pages end, and show each object once, and no other",
                false => "the pages end, and show each object once",
            },
        );
        let subject = self.filled(subject, group);
        let answers: Option<Vec<&Answer>> = group.iter().map(|(_, it)| it.outcome.answer()).collect();
        let answers = answers.filter(|all| all.iter().all(|answer| is_success(answer.status)));
        let (Some(mut answers), Some((index, last))) = (answers, group.last()) else {
            return;
        };
        if let Some((index, _)) = group.iter().find(|(_, it)| !(self.protocol.is_message)(it)) {
            let reason = "the answer is not the message of its operation".to_owned();
            let verdict = Verdict::Blocked;
            return self
                .checks
                .note(subject, *index, Finding::Unknown { reason, verdict });
        }
        let wanted = self.known.all(&pages.show);
        let mut seen: Vec<Value> = Vec::new();
        let (mut twice, mut idle, mut guesses) = (None, 0, 0);
        let mut items: Vec<Vec<Value>> = answers.iter().map(|answer| items(answer, &pages.items)).collect();
        for (at, page) in items.iter().enumerate() {
            let ids = item_ids(pages, page);
            let is_guessed = at > 0 && (self.protocol.next_page)(answers[at - 1]).is_none();
            if is_guessed && ids.iter().all(|id| seen.contains(id)) {
                // The last item names no page here: it is the list from its start again.
                answers.truncate(at);
                break;
            }
            guesses += usize::from(is_guessed);
            idle = if ids.iter().all(|id| seen.contains(id)) {
                idle + 1
            } else {
                0
            };
            twice = twice.or_else(|| {
                ids.iter()
                    .enumerate()
                    .find(|(at, id)| ids[..*at].contains(id))
                    .map(|(_, id)| id.clone())
            });
            twice = twice.or_else(|| ids.iter().find(|id| seen.contains(id)).cloned());
            seen.extend(ids);
        }
        items.truncate(answers.len());
        let missing: Vec<&Value> = wanted.iter().filter(|id| !seen.contains(id)).collect();
        let other = seen.iter().find(|id| pages.only && !wanted.contains(id));
        let goes_on = answers
            .last()
            .is_some_and(|last| (self.protocol.next_page)(last).is_some());
        // A list that names no next page although its last page is full has more than it shows.
        let named = answers.len() - guesses;
        let last_named = named.checked_sub(1).and_then(|at| items.get(at));
        let is_cut = last_named.is_some_and(|page| {
            let most = parameter(&last.request.path, self.protocol.paging.limit);
            most.is_some_and(|most| page.len() >= most)
        });
        let items = items.concat();
        let is_paged = named > 1;
        let is_about_paging = subject.requirements.contains(&self.protocol.paging.rule);
        // Which rule the evidence contradicts, where it is not what the step is about.
        let rule = match (&twice, other, missing.first()) {
            (Some(_), ..) if is_paged => Some(self.protocol.paging.rule),
            (Some(_), ..) => None,
            (None, Some(_), _) => self.rule_of_a_list(last, *index, &items, None),
            _ if goes_on || is_cut => Some(self.protocol.paging.rule),
            (None, None, Some(_)) if is_paged && is_about_paging => None,
            (None, None, Some(id)) => self.rule_of_a_list(last, *index, &items, Some(id)),
            (None, None, None) => None,
        };
        let finding = match (twice, other, missing.first()) {
            (Some(id), ..) => Finding::broken(format!("{} is shown twice", shown(&id))),
            (None, Some(id), _) => Finding::broken(format!("{} is shown as well", shown(id))),
            _ if goes_on && idle > 1 => {
                Finding::broken(format!("{idle} pages without an object, and no end"))
            }
            _ if goes_on => Finding::Unknown {
                reason: format!("more than {} pages were not asked for", answers.len()),
                verdict: Verdict::NotApplicable,
            },
            (None, None, Some(id)) => Finding::broken(format!(
                "{} of {} objects are not shown on {} pages, {} among them",
                missing.len(),
                wanted.len(),
                answers.len(),
                shown(id)
            )),
            (None, None, None) => Finding::Holds,
        };
        match (rule, finding) {
            (Some(rule), Finding::Broken { got, .. }) => {
                self.contradicts(rule, subject, *index, got);
                self.upset(last, *index, "the pages do not show what is stored");
            }
            (_, finding) => self.note(subject, *index, finding),
        }
    }

    fn distinct(&mut self, at: usize, name: &str, group: &[Placed<'_>]) {
        let subject = self.subject(at, "distinct", format!("no {name} is given twice"));
        let subject = self.filled(subject, group);
        let all = self.known.all(name);
        let mut twice = all
            .iter()
            .enumerate()
            .filter(|(at, value)| all[..*at].contains(value));
        let finding = match twice.next() {
            Some((_, value)) => Finding::broken(format!("{} is given twice", shown(value))),
            None => Finding::Holds,
        };
        if let Some((index, _)) = group.last() {
            self.checks.note(subject, *index, finding);
        }
    }

    /// A subject, with the rules of the operation where the step names none.
    fn filled(&self, mut subject: Subject, group: &[Placed<'_>]) -> Subject {
        if let (true, Some((_, exchange))) = (subject.requirements.is_empty(), group.first()) {
            subject.requirements = self.prepares(exchange);
        }
        subject
    }

    /// Steps that driving never came to.
    fn not_reached(&mut self, transcript: &Transcript) {
        let Some(stopped) = &transcript.stopped else {
            return;
        };
        for at in stopped.step.unwrap_or_default()..self.case.steps.len() {
            let own = self.case.steps[at]
                .expect
                .iter()
                .filter_map(|expect| expect.checks.as_ref());
            let own: Vec<String> = own.flatten().cloned().collect();
            let mut subject = self.subject(at, "answer", "the step is reached");
            subject.requirements.extend(self.ids(&own));
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
            requirements: self.case.requirements_at(at, own, self.catalogue),
            expected: expected.into(),
        }
    }

    fn ids(&self, named: &[String]) -> Vec<&'static str> {
        let known = named.iter().filter_map(|id| self.catalogue.get(id));
        known.map(|requirement| requirement.id.as_str()).collect()
    }
}

/// The number that a parameter of a query is.
fn parameter(path: &str, name: &str) -> Option<usize> {
    let (_, query) = path.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(own, _)| *own == name)?.1.parse().ok()
}

/// Whether an exchange was sent on to the same path with a slash more or less.
fn is_sent_on(exchange: &Exchange, later: &[Exchange]) -> bool {
    let answer = exchange.outcome.answer();
    let Some(path) = answer.and_then(|answer| redirected(&exchange.request.path, answer)) else {
        return false;
    };
    later.iter().any(|next| {
        (next.step, next.round) == (exchange.step, exchange.round)
            && (&next.request.path, &next.request.body) == (&path, &exchange.request.body)
    })
}

fn expected(answers: &str, exchange: &Exchange) -> String {
    let what = match &exchange.operation {
        Some(operation) => operation.to_string(),
        None => format!("{} {}", exchange.request.method, exchange.request.path),
    };
    let how = exchange.spoiled.as_ref().map(|how| format!(" ({how})"));
    format!("{what}{} is answered {answers}", how.unwrap_or_default())
}

fn shown(value: &Value) -> String {
    visible_cut(&value.to_string(), SHOWN)
}
