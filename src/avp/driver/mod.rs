//! Drives a case: turns its steps into exchanges with the target and writes them down.
//!
//! Driving decides nothing about the target. It keeps just enough of the answers to make the next request a valid one:
//! tokens, nonces, and what the repositories hold. It ends early only when a later step needs what an earlier answer did not
//! give; the transcript then says what is missing.

mod auth;
mod calls;
mod draft;
mod forgery;
mod grpc;
mod held;
mod jwt;
mod lifetime;
mod mutate;
mod race;
mod read_back;
mod requests;
mod steps;
mod throttle;
mod world;

use crate::record::transcript::{JsonBody, json_body};
use crate::session::{ATTEMPTS_AFTER_429, throttle_wait};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

pub use world::marker;

use crate::avp::Operation;
use crate::avp::actors::scope;
use crate::avp::cases::{LoadedCase, TokenForm};
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::RepoState;
use crate::catalogue::OperationName;
use crate::http::{Connections, Exchange, FailureKind, Outcome, Over, Request, Role, Sent, Wire, micros};
use crate::record::Stopped;
use crate::record::transcript::{Read, Transcript};
use crate::record::verdict::Verdict;
use crate::session::{LiveSecrets, OTHER_REQUESTS, RunContext, Secrets};
use draft::{Content, Draft, Mask};
use throttle::Demand;
use world::World;

/// So often an operation may time out in one case.
const MOST_TIMEOUTS: u32 = 3;
/// Metadata that carries no token by the protocol.
const OTHER_METADATA: &str = "x-authorization";
/// What connecting is called where patience is kept.
const CONNECTING: &str = "connecting";

/// Drives one case from set-up to last step.
pub async fn drive(case: &LoadedCase, target: &RunContext) -> Transcript {
    drive_within(case, Over::Http, target, None).await.0
}

/// Drives one case; its races end when their time is over, but not before a few rounds were run. Beside the transcript stands
/// what of it no other case may be seen to be served.
pub async fn drive_within(
    case: &LoadedCase,
    over: Over,
    target: &RunContext,
    races: Option<Duration>,
) -> (Transcript, LiveSecrets) {
    let began = Instant::now();
    let mut driver = Driver {
        case,
        over,
        step_wire: Wire::Http,
        is_about_login: grpc::is_about_login(case),
        target,
        world: World::new(
            &target.seed,
            scope(target.generation, &format!("{}{}", case.id(), over.suffix())),
            target.spec,
        ),
        lane: target.client.lane(),
        began,
        transcript: Transcript {
            began_ms: now_ms(),
            ..Transcript::default()
        },
        step: None,
        secrets: Secrets::default(),
        keep_tokens: false,
        demand: Demand::default(),
        excused: Duration::ZERO,
        answered: Duration::ZERO,
        timeouts: BTreeMap::new(),
        races_end: races.map(|time| began + time),
        spent: BTreeMap::new(),
    };
    let ended = tokio::select! {
        biased;
        reason = target.patience.halt().called() => Err(reason),
        result = driver.run() => Ok(result),
    };
    driver.transcript.stopped = match ended {
        Ok(result) => result.err(),
        Err(reason) => Some(error(driver.step, reason)),
    };
    driver.finish()
}

/// A result that ends the driving of a case.
type CaseResult<T> = Result<T, Stopped>;

/// One case being driven.
struct Driver<'a> {
    case: &'a LoadedCase,
    /// Over what the case is run.
    over: Over,
    /// Over what the current step goes, in a case that goes over both.
    step_wire: Wire,
    /// Whether the case is about logging in.
    is_about_login: bool,
    target: &'a RunContext,
    world: World<'a>,
    lane: Connections,
    began: Instant,
    transcript: Transcript,
    step: Option<usize>,
    secrets: Secrets,
    /// Whether tokens are used as they are, even if they have expired.
    keep_tokens: bool,
    /// What the current request asks for beyond the ordinary.
    demand: Demand,
    /// How long it has waited because the target or the case asked for it.
    excused: Duration,
    /// How long it has waited for answers that came.
    answered: Duration,
    /// How often each operation timed out in this case.
    timeouts: BTreeMap<String, u32>,
    /// When the time for the case's races is over.
    races_end: Option<Instant>,
    /// Repositories that hold what should have been refused, or that a refused request damaged, with what they held before:
    /// the next step gets fresh ones in their place.
    spent: BTreeMap<String, Option<RepoState>>,
}

impl Driver<'_> {
    async fn run(&mut self) -> CaseResult<()> {
        self.check_sayable_case()?;
        self.set_up().await?;
        for index in 0..self.case.case.steps.len() {
            self.step = Some(index);
            self.run_step(index).await?;
        }
        Ok(())
    }

    fn finish(mut self) -> (Transcript, LiveSecrets) {
        for (name, actor) in self.world.actors() {
            self.secrets.private_keys(name, &actor.identity.secrets());
        }
        for (name, value) in self.target.client.configured_headers() {
            self.secrets.header(name, value);
        }
        for planted in self.world.planted() {
            self.secrets.plaintext(planted);
        }
        // What no server can have stays hidden in any event: the judge goes by its marks.
        if self.target.show_secrets {
            self.secrets.show_live();
        }
        self.secrets.hide(&mut self.transcript);
        self.transcript.exchanges.shrink_to_fit();
        self.transcript.took = self.began.elapsed().saturating_sub(self.transcript.throttled);
        let live = self
            .secrets
            .live(&format!("{}{}", self.case.id(), self.over.suffix()));
        (self.transcript, live)
    }

    /// Sends a request as an actor and reads the answer. A 429 is waited out and the request sent again; what stays 429
    /// after that is a limit, or ends the case.
    async fn exchange(
        &mut self,
        draft: &Draft,
        who: &str,
        repo: Option<&str>,
        role: Role,
        round: usize,
    ) -> CaseResult<AnswerClass> {
        let (request, mask) = self.with_token(draft, who).await?;
        let errand = ExchangeMeta {
            draft,
            who,
            repo,
            role,
            round,
        };
        let reading = self.transact(errand, request, mask).await?;
        let is_own = draft.token == Some(None);
        if reading.status() != Some(401) || !is_own || !self.may_have_run_out(who) {
            return Ok(reading);
        }
        // The token ran out on the way: with a new one the request is made once more.
        if let Some(last) = self.transcript.exchanges.last_mut() {
            last.role = Role::Throttled;
        }
        self.world.actor(who).token = None;
        let (request, mask) = self.with_token(draft, who).await?;
        self.transact(errand, request, mask).await
    }

    /// Like [`Driver::exchange`], for a request that carries no token or has it already.
    async fn transact(
        &mut self,
        errand: ExchangeMeta<'_>,
        request: Request,
        mask: Mask,
    ) -> CaseResult<AnswerClass> {
        let draft = errand.draft;
        let key = patience_key(draft);
        let (mut attempt, mut refused) = (0, None);
        loop {
            let limit = self.limit(key, 1)?;
            let at = self.began.elapsed();
            self.lane
                .send_once(draft.operation.is_none_or(Operation::is_spent_by_use));
            self.lane.over(self.wire(draft));
            let sent = self.lane.send(&self.on_wire(draft, &request), limit).await;
            self.excused += self.lane.take_waited();
            let status = sent.outcome.answer().map(|answer| answer.status);
            self.heed_no_auth_service(draft, status)?;
            let asks = draft.operation.is_none_or(Operation::writes) || errand.role == Role::Step;
            let throttled = status == Some(429) && !(asks && self.is_final_429(attempt));
            let Some(refusal) = sent.outcome.answer().filter(|_| throttled).cloned() else {
                let took = sent.took;
                let reading = self.note(&errand, request, mask, at, sent);
                let is_odd = draft.spoiled.is_some();
                self.heed_failure(key, 1, is_odd, &reading, took)?;
                return Ok(reading);
            };
            let role = Role::Throttled;
            self.note(
                &ExchangeMeta { role, ..errand },
                request.clone(),
                mask.clone(),
                at,
                sent,
            );
            let first = *refused.get_or_insert_with(Instant::now);
            self.wait_out(&refusal, attempt, first).await?;
            attempt += 1;
        }
    }

    /// How long the next request may take, one of so many that are sent at the same moment: as long as the operation is
    /// worth waiting for, and no longer than the case has left.
    fn limit(&self, key: &str, at_once: usize) -> CaseResult<Duration> {
        let patience = &self.target.patience;
        if let Some(reason) = patience.refusals().given_up() {
            return Err(error(self.step, reason));
        }
        let is_vain = self.timeouts.contains_key(key) || patience.hangs(key) && !patience.is_alone();
        let limit = match is_vain {
            true => patience.short_limit(key),
            false => patience.limit(key, u32::try_from(at_once).unwrap_or(u32::MAX)),
        };
        Ok(limit.min(self.left()?))
    }

    /// What the case has left of its time; an error where that is nothing.
    fn left(&self) -> CaseResult<Duration> {
        let Some(limit) = self.target.patience.case_limit() else {
            return Ok(Duration::MAX);
        };
        let stretch = self.target.patience.stretch(self.answered);
        let left = (limit + stretch + self.excused).saturating_sub(self.began.elapsed());
        match left.is_zero() {
            true => Err(error(
                self.step,
                format!("the case was not done within {} s", limit.as_secs_f64()),
            )),
            false => Ok(left),
        }
    }

    /// Remembers how long an operation took or that it failed, and ends the case where there is no point in going on. The
    /// request was one of so many that were sent at the same moment; what is odd may be met by a closed connection on purpose.
    fn heed_failure(
        &mut self,
        key: &str,
        at_once: usize,
        is_odd: bool,
        reading: &AnswerClass,
        took: Duration,
    ) -> CaseResult<()> {
        let patience = &self.target.patience;
        let beside_others = !patience.is_alone();
        let hangs = patience.hangs(key);
        if beside_others && !hangs && is_load(reading, is_odd) {
            let began = Instant::now().checked_sub(took).unwrap_or(self.began);
            patience.concurrency().note_trouble(began);
        }
        let failure = match reading {
            AnswerClass::Failed(failure) => failure,
            _ => {
                patience.note_answer(key, took);
                patience.refusals().note_other(Instant::now());
                self.target.client.pace().note_granted();
                if beside_others && at_once == 1 {
                    patience.concurrency().note_answer(took, patience.limit(key, 1));
                }
                self.answered += took;
                return Ok(());
            }
        };
        match failure.kind {
            FailureKind::Connect | FailureKind::Tls => Err(error(self.step, failure.message.clone())),
            FailureKind::Timeout => {
                self.left()?;
                if !patience.was_answered() {
                    let reason = format!(
                        "{}: the target has not answered anything in time; if it is only slow, raise --timeout",
                        failure.message
                    );
                    return Err(error(self.step, reason));
                }
                if beside_others && hangs {
                    self.abandon(at_once);
                    let reason = format!("{key} is known to hang: {}", failure.message);
                    return Err(blocked(self.step, reason));
                }
                if beside_others {
                    let reason = format!("{key}: {}, while other cases were under way", failure.message);
                    return Err(error(self.step, reason));
                }
                let count = self.timeouts.entry(key.to_owned()).or_default();
                *count += 1;
                match *count >= MOST_TIMEOUTS {
                    true => Err(blocked(
                        self.step,
                        format!("{key} timed out {count} times: {}", failure.message),
                    )),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The last exchanges, as many as were made at once, say nothing where no answer came: too little was waited.
    fn abandon(&mut self, at_once: usize) {
        for exchange in self.transcript.exchanges.iter_mut().rev().take(at_once) {
            let failure = match &exchange.outcome {
                Outcome::Failure(failure) => failure.kind,
                Outcome::Answer(_) => continue,
            };
            if failure == FailureKind::Timeout {
                exchange.role = Role::Abandoned;
            }
        }
    }

    /// What asks for much is tried four times: what is 429 each time is a limit, and not a rate.
    fn is_final_429(&self, attempt: u32) -> bool {
        attempt >= 3 && self.demand.is_unusual()
    }

    /// Waits as a 429 asks for, or ends the case where that leads nowhere.
    async fn wait_out(
        &mut self,
        answer: &crate::http::Answer,
        attempt: u32,
        first: Instant,
    ) -> CaseResult<()> {
        let refusals = self.target.patience.refusals();
        let Some((wait, told)) = throttle_wait(answer, attempt, Timestamp::now()) else {
            if self.demand.is_unusual() {
                return Err(self.limited(answer.status));
            }
            let reason = "the target answered 429 and asks for a longer wait than a run has";
            return Err(error(self.step, reason));
        };
        // What asks for much may meet another limit than the rate.
        if told && !self.demand.is_unusual() && self.target.client.pace().note_refused(wait) {
            self.target.patience.concurrency().note_rate();
        }
        if refusals.is_for_good(first, attempt, told, Instant::now()) {
            return Err(error(self.step, refusals.given_up().unwrap_or_default()));
        }
        if attempt + 1 >= ATTEMPTS_AFTER_429 {
            let reason = format!(
                "the target answered 429 {} times to the same request",
                ATTEMPTS_AFTER_429
            );
            return Err(error(self.step, reason));
        }
        let waiting = refusals.wait();
        tokio::time::sleep(wait).await;
        drop(waiting);
        self.transcript.throttled += wait;
        self.excused += wait;
        Ok(())
    }

    /// Writes an exchange down, and says what was answered.
    fn note(
        &mut self,
        errand: &ExchangeMeta<'_>,
        request: Request,
        mask: Mask,
        at: Duration,
        mut sent: Sent,
    ) -> AnswerClass {
        let operation = errand.draft.operation;
        let body = match self.transcript.read_before(&mut sent.outcome) {
            Some(body) => Some(body),
            None => sent.outcome.answer().and_then(json_body),
        };
        let reading = AnswerClass::with_body(operation, &sent.outcome, body.as_ref());
        let login = operation == Some(Operation::Token);
        if login {
            self.note_secrets(errand, &request, body.as_ref(), &sent.outcome);
        }
        let jwt = body.as_ref().filter(|_| login).and_then(jwt::of);
        let exchange = Exchange {
            step: self.step,
            role: errand.role,
            round: errand.round,
            actor: Some(errand.who.to_owned()),
            operation: operation.map(OperationName::from),
            repo: errand.repo.map(str::to_owned),
            spoiled: errand.draft.spoiled.clone(),
            request: mask.over(request),
            outcome: sent.outcome,
            at_us: micros(at),
            took_us: micros(sent.took),
            jwt,
            resent: sent.resent,
            side: crate::record::Side::default(),
            wire: self.wire(errand.draft),
            omitted: None,
        };
        let request = match &errand.draft.content {
            _ if errand.draft.operation == Some(Operation::FetchMemberKey) => None,
            Some(Content::Json(request)) => Some(Arc::clone(request)),
            _ => None,
        };
        self.transcript.push(
            exchange,
            Read {
                request,
                answer: body,
            },
        );
        reading
    }

    /// A signature that goes out, and a token that comes back, whoever is meant to have it.
    fn note_secrets(
        &mut self,
        errand: &ExchangeMeta<'_>,
        request: &Request,
        body: Option<&JsonBody>,
        outcome: &Outcome,
    ) {
        let text = |body: &Value, name: &str| body.get(name)?.as_str().map(str::to_owned);
        // Even what breaks a rule of JSON may hold one.
        let lenient = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
        let signature = match errand.draft.json() {
            Some(sent) => text(sent, "signature"),
            None => request
                .body
                .as_ref()
                .and_then(|body| text(&lenient(body.as_bytes())?, "signature")),
        };
        if let Some(signature) = signature {
            self.secrets.signature(&signature);
        }
        let token = match body {
            Some(Ok(body)) => text(body, "token"),
            _ => outcome
                .answer()
                .and_then(|answer| text(&lenient(answer.body.as_bytes())?, "token")),
        };
        if let Some(token) = token {
            self.secrets.token(errand.who, &token);
        }
    }

    /// The request with its token as it goes out, and what is shown in the token's place.
    async fn with_token(&mut self, draft: &Draft, who: &str) -> CaseResult<(Request, Mask)> {
        let Some(form) = &draft.token else {
            return Ok((self.finished(draft, None), Mask::Nothing));
        };
        let (value, shown) = match form {
            None => self.own_token(who).await?,
            Some(TokenForm::Of(other)) => self.own_token(other).await?,
            Some(TokenForm::OtherServer) => self.foreign_token(who).await?,
            Some(form @ TokenForm::Forged(forgery)) => {
                let (own, shown) = self.own_token(who).await?;
                (self.forge(*forgery, &own, who).await?, format!("{shown}, {form}"))
            }
            Some(form) => {
                let (own, shown) = self.own_token(who).await?;
                (own, format!("{shown}, {form}"))
            }
        };
        let member_id = self.world.member_id(who);
        let header = form.as_ref().map_or_else(
            || bearer(&value),
            |form| steps::authorization(form, &value, &member_id),
        );
        if form == &Some(TokenForm::InQuery) {
            let path = |token: &str| format!("{}?access_token={token}", draft.path);
            let mut request = draft.request(None);
            request.path = path(&crate::text::encode_segment(&value));
            let mask = match self.target.show_secrets {
                true => Mask::Nothing,
                false => Mask::Path(path(self.secrets.placeholder(&value))),
            };
            return Ok((request, mask));
        }
        if form == &Some(TokenForm::InMetadata) {
            let mut request = self.finished(draft, None);
            request
                .headers
                .push((OTHER_METADATA.to_owned(), format!("Bearer {value}")));
            let mask = match self.target.show_secrets {
                true => Mask::Nothing,
                false => Mask::Authorization(format!("Bearer {}", self.secrets.placeholder(&value))),
            };
            return Ok((request, mask));
        }
        // A member id is no secret: it stands in every roster.
        let secret = header
            .as_deref()
            .filter(|_| form != &Some(TokenForm::MemberId))
            .and_then(|header| header.split(' ').nth(1));
        if let Some(secret) = secret {
            self.secrets.variant(secret, &shown);
        }
        let mask = match self.target.show_secrets {
            true => Mask::Nothing,
            false => Mask::Authorization(format!("Bearer {shown}")),
        };
        Ok((self.finished(draft, header), mask))
    }

    async fn own_token(&mut self, name: &str) -> CaseResult<(String, String)> {
        self.ensure_token(name).await?;
        let token = self.world.actor(name).token.clone();
        let text = token.map(|token| token.text).unwrap_or_default();
        let shown = self.secrets.placeholder(&text).to_owned();
        Ok((text, shown))
    }
}

/// One request on its way, and what is written down of it.
#[derive(Clone, Copy)]
struct ExchangeMeta<'a> {
    draft: &'a Draft,
    who: &'a str,
    repo: Option<&'a str>,
    role: Role,
    round: usize,
}

fn bearer(token: &str) -> Option<String> {
    Some(format!("Bearer {token}"))
}

fn patience_key(draft: &Draft) -> &'static str {
    draft.operation.map_or(OTHER_REQUESTS, Operation::name)
}

/// Whether load may be the reason of what came: no connection, no answer, or a gateway that had nobody to ask. Some servers
/// close the connection on what they cannot read.
fn is_load(reading: &AnswerClass, is_odd: bool) -> bool {
    match reading {
        AnswerClass::Failed(failure) => match failure.kind {
            FailureKind::Connect | FailureKind::Timeout => true,
            FailureKind::Closed => !is_odd,
            _ => false,
        },
        AnswerClass::Status(status) => (502..=504).contains(status),
        _ => false,
    }
}

/// The case cannot go on: the target did not give what it needs.
fn blocked(step: Option<usize>, reason: impl Into<String>) -> Stopped {
    Stopped {
        step,
        reason: reason.into(),
        verdict: Verdict::Blocked,
        held_up: false,
    }
}

/// The case need not go on: what it needs is optional or beyond a limit of the target's.
fn not_applicable(step: Option<usize>, reason: impl Into<String>) -> Stopped {
    Stopped {
        step,
        reason: reason.into(),
        verdict: Verdict::NotApplicable,
        held_up: false,
    }
}

/// The case cannot go on: the harness cannot do its work.
fn error(step: Option<usize>, reason: impl Into<String>) -> Stopped {
    Stopped {
        step,
        reason: reason.into(),
        verdict: Verdict::Error,
        held_up: false,
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
