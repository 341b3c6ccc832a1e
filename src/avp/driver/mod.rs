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

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

pub(in crate::avp) use auth::EARLIER_SIGNATURE;
pub(in crate::avp) use mutate::LOOKALIKES;
#[cfg(test)]
pub(in crate::avp) use steps::authorization;
pub use world::marker;

use crate::avp::Operation;
use crate::avp::actors::scope;
use crate::avp::cases::{LoadedCase, TokenForm};
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::RepoState;
use crate::catalogue::OperationName;
use crate::http::{Exchange, Outcome, Over, Request, Role, Sent, Wire, is_of_gateway};
use crate::record::Stopped;
use crate::record::transcript::{JsonBody, Read, Transcript};
use crate::session::{Came, Conversation, LiveSecrets, OTHER_REQUESTS, RunContext, Secrets, throttle_wait};
use draft::{Content, Draft, Mask};
use throttle::Demand;
use world::World;

/// Metadata that carry no token by the protocol, and what stands before a token there.
const OTHER_METADATA: [(&str, &str); 5] = [
    ("x-authorization", "Bearer "),
    ("token", ""),
    ("access-token", ""),
    ("x-auth-token", ""),
    ("cookie", "token="),
];
/// The second of two tokens that nobody issued.
const OTHER_GARBAGE: &str = "bW9yZS1nYXJiYWdlLW1vcmUtZ2FyYmFnZS1tb3JlLWc";
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
        talk: Conversation::new(target),
        secrets: Secrets::default(),
        keep_tokens: false,
        demand: Demand::default(),
        races_end: races.map(|time| began + time),
        most_at_once: usize::MAX,
        spent: BTreeMap::new(),
        took: BTreeMap::new(),
    };
    let ended = tokio::select! {
        biased;
        reason = target.patience.halt().called() => Err(reason),
        result = driver.run() => Ok(result),
    };
    let stopped = match ended {
        Ok(result) => result.err(),
        Err(reason) => Some(driver.talk.error(reason)),
    };
    driver.finish(stopped)
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
    /// What was said so far, and within which limits it goes on.
    talk: Conversation<'a>,
    secrets: Secrets,
    /// Whether tokens are used as they are, even if they have expired.
    keep_tokens: bool,
    /// What the current request asks for beyond the ordinary.
    demand: Demand,
    /// When the time for the case's races is over.
    races_end: Option<Instant>,
    /// How many connections the target was seen to take at a time, where it takes no more.
    most_at_once: usize,
    /// Repositories that hold what should have been refused, or that a refused request damaged, with what they held before:
    /// the next step gets fresh ones in their place.
    spent: BTreeMap<String, Option<RepoState>>,
    /// How long each operation took that was answered last.
    took: BTreeMap<Operation, Duration>,
}

impl Driver<'_> {
    async fn run(&mut self) -> CaseResult<()> {
        self.check_sayable_case()?;
        self.set_up().await?;
        for index in 0..self.case.case.steps.len() {
            self.talk.step(index);
            self.run_step(index).await?;
        }
        Ok(())
    }

    fn finish(mut self, stopped: Option<Stopped>) -> (Transcript, LiveSecrets) {
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
        let mut transcript = self.talk.finish(stopped);
        self.secrets.hide(&mut transcript);
        let live = self
            .secrets
            .live(&format!("{}{}", self.case.id(), self.over.suffix()));
        (transcript, live)
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
        if let Some(last) = self.talk.transcript.exchanges.last_mut() {
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
        let mut may_ask_again = draft.says_the_same_twice();
        loop {
            let limit = self.talk.limit(key, 1)?;
            let at = self.talk.now();
            let is_spent_by_use = draft.operation.is_none_or(Operation::is_spent_by_use);
            self.talk.connections.send_once(is_spent_by_use);
            self.talk.connections.over(self.wire(draft));
            let on_wire = self.on_wire(draft, &request, errand.round);
            let sent = self.talk.connections.send(&on_wire, limit).await;
            let waited = self.talk.connections.take_waited();
            self.talk.excuse(waited);
            let status = sent.outcome.answer().map(|answer| answer.status);
            self.heed_no_auth_service(draft, status)?;
            let asks = draft.operation.is_none_or(Operation::writes) || errand.role == Role::Step;
            let throttled = status == Some(429) && !(asks && self.is_final_429(attempt));
            let lost = may_ask_again && status.is_some_and(is_of_gateway);
            let again = match () {
                () if throttled => Some(Role::Throttled),
                () if lost => Some(Role::Abandoned),
                () => None,
            };
            let Some(role) = again else {
                let took = sent.took;
                if let (Some(operation), Some(_)) = (draft.operation, status) {
                    self.took.insert(operation, took);
                }
                let reading = self.note(&errand, request, mask, at, sent);
                let is_odd = draft.spoiled.is_some();
                self.talk.heed(key, 1, is_odd, &came(&reading), took)?;
                return Ok(reading);
            };
            let refusal = sent.outcome.answer().filter(|_| throttled).cloned();
            self.note(
                &ExchangeMeta { role, ..errand },
                request.clone(),
                mask.clone(),
                at,
                sent,
            );
            match refusal {
                Some(refusal) => {
                    let first = *refused.get_or_insert_with(Instant::now);
                    self.wait_out(&refusal, attempt, first).await?;
                    attempt += 1;
                }
                None => may_ask_again = false,
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
        let is_unusual = self.demand.is_unusual();
        if is_unusual && throttle_wait(answer, attempt, Timestamp::now()).is_none() {
            return Err(self.limited(answer.status));
        }
        self.talk.wait_out(answer, attempt, first, !is_unusual).await
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
        let body = self.talk.read(&mut sent);
        let reading = AnswerClass::with_body(operation, &sent.outcome, body.as_ref());
        let login = operation == Some(Operation::Token);
        if login {
            self.note_secrets(errand, &request, body.as_ref(), &sent.outcome);
        }
        let jwt = body.as_ref().filter(|_| login).and_then(jwt::of);
        let exchange = Exchange {
            step: self.talk.current_step(),
            role: errand.role,
            round: errand.round,
            actor: Some(errand.who.to_owned()),
            operation: operation.map(OperationName::from),
            repo: errand.repo.map(str::to_owned),
            spoiled: errand.draft.spoiled.clone(),
            jwt,
            resent: sent.resent,
            wire: self.wire(errand.draft),
            ..Exchange::new(mask.over(request), sent.outcome, at, sent.took)
        };
        let request = match &errand.draft.content {
            _ if errand.draft.operation == Some(Operation::FetchMemberKey) => None,
            Some(Content::Json(request)) => Some(Arc::clone(request)),
            _ => None,
        };
        self.talk.transcript.push(
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
            Some(TokenForm::Earlier) => self.earlier_token(who).await?,
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
            let others = OTHER_METADATA.map(|(name, before)| (name.to_owned(), format!("{before}{value}")));
            request.headers.extend(others);
            let mask = match self.target.show_secrets {
                true => Mask::Nothing,
                false => Mask::Everywhere {
                    shown: self.secrets.placeholder(&value).to_owned(),
                    token: value,
                },
            };
            return Ok((request, mask));
        }
        if form == &Some(TokenForm::GarbageTwice) {
            let second = ("authorization".to_owned(), format!("Bearer {OTHER_GARBAGE}"));
            let mut request = self.finished(draft, header);
            request.headers.push(second);
            return Ok((request, Mask::Nothing));
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

    /// The token that an actor was given before its own. It may not be over yet.
    async fn earlier_token(&mut self, name: &str) -> CaseResult<(String, String)> {
        self.ensure_token(name).await?;
        let earlier = self.world.actor(name).earlier.clone();
        let Some(earlier) = earlier else {
            return Err(self.talk.blocked(format!("{name} has not logged in twice")));
        };
        if earlier.lifetime.may_be_over(now_ms() - earlier.issued_at) {
            return Err(self
                .talk
                .not_applicable("the target's tokens live for too short a time"));
        }
        let shown = self.secrets.placeholder(&earlier.text).to_owned();
        Ok((earlier.text, shown))
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

/// What came of a request, as the time limits want to know it.
fn came(reading: &AnswerClass) -> Came {
    match reading {
        AnswerClass::Failed(failure) => Err(failure.clone()),
        reading => Ok(reading.status().unwrap_or(200)),
    }
}

fn patience_key(draft: &Draft) -> &'static str {
    draft.operation.map_or(OTHER_REQUESTS, Operation::name)
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
