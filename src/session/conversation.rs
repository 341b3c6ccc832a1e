//! A conversation with a target, for protocols in which one request depends on no login: sends as an actor, waits out 429,
//! keeps to the time limits of the run and writes every exchange down.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{
    ATTEMPTS_AFTER_429, LACKS_SERVER, NoServer, OTHER_REQUESTS, OwnServer, RunContext, Wish, throttle_wait,
};
use crate::catalogue::OperationName;
use crate::http::{
    Answer, Body, Client, Connections, Exchange, FailureKind, Outcome, Request, Role, Sent, Service, Wire,
    micros,
};
use crate::record::Stopped;
use crate::record::transcript::{Read, Transcript, json_body};
use crate::record::verdict::Verdict;

/// So often an operation may time out in one case.
const MOST_TIMEOUTS: u32 = 3;

/// A request and why it is made.
#[derive(Debug, Clone)]
pub struct Message {
    /// What goes out.
    pub request: Request,
    /// The operation that it is, or is derived from; none outside the route table.
    pub operation: Option<OperationName>,
    /// Whether executing it twice is another thing than executing it once.
    pub is_spent_by_use: bool,
    /// Who makes it.
    pub actor: String,
    /// How it deviates from a valid request on purpose.
    pub spoiled: Option<String>,
}

/// One case being driven.
pub struct Conversation<'a> {
    context: &'a RunContext,
    /// The client of whoever is asked: the target, or a server of the case's own.
    client: Client,
    own_server: Option<Box<dyn OwnServer>>,
    connections: Connections,
    began: Instant,
    step: Option<usize>,
    /// How long it has waited because the target asked for it.
    excused: Duration,
    /// How long it has waited for answers that came.
    answered: Duration,
    timeouts: BTreeMap<String, u32>,
    transcript: Transcript,
}

impl<'a> Conversation<'a> {
    /// Nothing has been said yet.
    pub fn new(context: &'a RunContext) -> Conversation<'a> {
        Conversation {
            context,
            client: context.client.clone(),
            own_server: None,
            connections: context.client.lane(),
            began: Instant::now(),
            step: None,
            excused: Duration::ZERO,
            answered: Duration::ZERO,
            timeouts: BTreeMap::new(),
            transcript: Transcript {
                began_ms: Timestamp::now().as_millisecond(),
                ..Transcript::default()
            },
        }
    }

    /// What is said from now on belongs to this step, from 0.
    pub fn step(&mut self, index: usize) {
        self.step = Some(index);
    }

    /// The client of whoever is asked.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Starts a server for this case alone, which is asked from now on, and writes that down. False where it does not start.
    ///
    /// # Errors
    /// There is no point in going on: the run cannot start one, or not in that way.
    pub async fn start_server(&mut self, wish: Wish) -> Result<bool, Stopped> {
        let Some(servers) = self.context.own_servers.clone() else {
            return Err(self.not_applicable(format!(
                "{LACKS_SERVER}: let the harness start it, with --exec in place of --target"
            )));
        };
        let at = self.began.elapsed();
        let about = described(&wish);
        self.own_server = None;
        let started = servers.start(wish).await;
        self.note_start(at, about, started.as_ref().err())?;
        let Ok(server) = started else { return Ok(false) };
        self.client = server.client().clone();
        self.connections = self.client.lane();
        self.own_server = Some(server);
        Ok(true)
    }

    /// Kills the server of this case and starts it again with these flags, and writes that down. False where it does not start.
    ///
    /// # Errors
    /// There is no point in going on: the case has no such server, or the harness cannot do its work.
    pub async fn restart_server(&mut self, flags: Vec<String>) -> Result<bool, Stopped> {
        let at = self.began.elapsed();
        let Some(mut server) = self.own_server.take() else {
            return Err(self.error("the case restarts a server that it has not started"));
        };
        let about = match flags.is_empty() {
            true => "killed and started again".to_owned(),
            false => format!("killed and started again with {}", flags.join(" ")),
        };
        let restarted = server.restart(flags).await;
        self.note_start(at, about, restarted.as_ref().err())?;
        self.client = server.client().clone();
        self.connections = self.client.lane();
        self.own_server = Some(server);
        Ok(restarted.is_ok())
    }

    /// How long a second lasts for whoever is asked.
    pub fn second(&self) -> Duration {
        let own = self.own_server.as_ref();
        own.map_or(Duration::from_secs(1), |server| server.second())
    }

    /// Waits. It counts for no limit of the case.
    pub async fn pause(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.excused += time;
    }

    fn note_start(&mut self, at: Duration, about: String, error: Option<&NoServer>) -> Result<(), Stopped> {
        let said = match error {
            None => String::new(),
            Some(NoServer::Refused(why)) => why.clone(),
            Some(NoServer::Impossible(why)) => return Err(self.not_applicable(why.clone())),
            Some(NoServer::Failed(why)) => return Err(self.error(why.clone())),
        };
        let exchange = Exchange {
            step: self.step,
            role: Role::Step,
            round: 0,
            actor: None,
            operation: None,
            repo: None,
            spoiled: None,
            request: Request {
                service: Service::new("server"),
                method: "START".to_owned(),
                path: about,
                headers: Vec::new(),
                body: None,
            },
            outcome: Outcome::Answer(Answer {
                status: u16::from(error.is_some()),
                headers: Vec::new(),
                body: Body::from(said),
            }),
            at_us: micros(at),
            took_us: micros(self.began.elapsed().saturating_sub(at)),
            jwt: None,
            resent: false,
            side: crate::record::Side::default(),
            wire: Wire::Command,
            omitted: None,
        };
        self.excused += self.began.elapsed().saturating_sub(at);
        self.transcript.push(exchange, Read::default());
        Ok(())
    }

    /// Sends a request, again where it is answered 429, and says what came: none where no answer came in time.
    ///
    /// # Errors
    /// There is no point in going on with the case.
    pub async fn send(
        &mut self,
        message: &Message,
        role: Role,
        round: usize,
    ) -> Result<Option<Answer>, Stopped> {
        let key = key(message).to_owned();
        let (mut attempt, mut refused) = (0, None);
        loop {
            let limit = self.limit(&key, 1)?;
            let at = self.began.elapsed();
            self.connections.send_once(message.is_spent_by_use);
            let sent = self.connections.send(&message.request, limit).await;
            self.excused += self.connections.take_waited();
            let answer = sent.outcome.answer().cloned();
            let throttled = answer.as_ref().is_some_and(|answer| answer.status == 429);
            let written_as = if throttled { Role::Throttled } else { role };
            let took = sent.took;
            let failure = match &sent.outcome {
                Outcome::Failure(failure) => Some(failure.clone()),
                Outcome::Answer(_) => None,
            };
            self.write_down(message, written_as, round, at, sent);
            match (answer, failure) {
                (Some(refusal), _) if throttled => {
                    let first = *refused.get_or_insert_with(Instant::now);
                    self.wait_out(&refusal, attempt, first).await?;
                    attempt += 1;
                }
                (Some(answer), _) => {
                    self.note_answer(&key, took, 1);
                    return Ok(Some(answer));
                }
                (None, failure) => {
                    let kind = failure
                        .as_ref()
                        .map_or(FailureKind::Closed, |failure| failure.kind);
                    let said = failure.map(|failure| failure.message).unwrap_or_default();
                    self.heed_failure(&key, kind, said, took)?;
                    return Ok(None);
                }
            }
        }
    }

    /// Sends requests at the same moment, each over a connection of its own, and writes them down in their order. Those that
    /// are answered 429 are not sent again.
    ///
    /// # Errors
    /// There is no point in going on with the case.
    pub async fn send_at_once(
        &mut self,
        messages: &[Message],
        round: usize,
    ) -> Result<Vec<Option<Answer>>, Stopped> {
        let mut running = JoinSet::new();
        let at = self.began.elapsed();
        for (index, message) in messages.iter().enumerate() {
            let limit = self.limit(key(message), messages.len())?;
            let mut connections = self.client.lane();
            connections.send_once(message.is_spent_by_use);
            let request = message.request.clone();
            running.spawn(async move { (index, connections.send(&request, limit).await) });
        }
        let mut sent: Vec<Option<Sent>> = messages.iter().map(|_| None).collect();
        while let Some(done) = running.join_next().await {
            let (index, came) = done.map_err(|why| self.error(format!("a bug in the harness: {why}")))?;
            sent[index] = Some(came);
        }
        let mut answers = Vec::new();
        for (message, sent) in messages.iter().zip(sent) {
            let Some(sent) = sent else { continue };
            let answer = sent.outcome.answer().cloned();
            let throttled = answer.as_ref().is_some_and(|answer| answer.status == 429);
            if answer.is_some() {
                self.note_answer(key(message), sent.took, messages.len());
            }
            let role = if throttled { Role::Throttled } else { Role::Step };
            self.write_down(message, role, round, at, sent);
            answers.push(answer.filter(|_| !throttled));
        }
        Ok(answers)
    }

    /// The end of the case, and why it came early, if it did.
    pub fn finish(mut self, stopped: Option<Stopped>) -> Transcript {
        self.transcript.stopped = stopped;
        self.transcript.took = self.began.elapsed().saturating_sub(self.transcript.throttled);
        self.transcript
    }

    /// The case cannot go on: the harness cannot do its work.
    pub fn error(&self, reason: impl Into<String>) -> Stopped {
        self.stopped(reason, Verdict::Error)
    }

    /// The case cannot go on: the target does not offer what it needs, and need not.
    pub fn not_applicable(&self, reason: impl Into<String>) -> Stopped {
        self.stopped(reason, Verdict::NotApplicable)
    }

    /// The case cannot go on: an answer that is needed did not come.
    pub fn blocked(&self, reason: impl Into<String>) -> Stopped {
        self.stopped(reason, Verdict::Blocked)
    }

    fn stopped(&self, reason: impl Into<String>, verdict: Verdict) -> Stopped {
        Stopped {
            step: self.step,
            reason: reason.into(),
            verdict,
            held_up: false,
        }
    }

    fn write_down(&mut self, message: &Message, role: Role, round: usize, at: Duration, mut sent: Sent) {
        let body = match self.transcript.read_before(&mut sent.outcome) {
            Some(body) => Some(body),
            None => sent.outcome.answer().and_then(json_body),
        };
        let exchange = Exchange {
            step: self.step,
            role,
            round,
            actor: Some(message.actor.clone()),
            operation: message.operation.clone(),
            repo: None,
            spoiled: message.spoiled.clone(),
            request: message.request.clone(),
            outcome: sent.outcome,
            at_us: micros(at),
            took_us: micros(sent.took),
            jwt: None,
            resent: sent.resent,
            side: crate::record::Side::default(),
            wire: crate::record::Wire::default(),
            omitted: None,
        };
        self.transcript.push(
            exchange,
            Read {
                request: None,
                answer: body,
            },
        );
    }

    /// How long the next request may take: as long as the operation is worth waiting for, and no longer than the case has
    /// left.
    fn limit(&self, key: &str, at_once: usize) -> Result<Duration, Stopped> {
        let timeouts = &self.context.patience;
        if let Some(reason) = timeouts.refusals().given_up() {
            return Err(self.error(reason));
        }
        let is_vain = self.timeouts.contains_key(key) || timeouts.hangs(key) && !timeouts.is_alone();
        let limit = match is_vain {
            true => timeouts.short_limit(key),
            false => timeouts.limit(key, u32::try_from(at_once).unwrap_or(u32::MAX)),
        };
        let Some(of_case) = timeouts.case_limit() else {
            return Ok(limit);
        };
        let whole = of_case + timeouts.stretch(self.answered) + self.excused;
        let left = whole.saturating_sub(self.began.elapsed());
        match left.is_zero() {
            true => Err(self.error(format!(
                "the case was not done within {} s",
                of_case.as_secs_f64()
            ))),
            false => Ok(limit.min(left)),
        }
    }

    fn note_answer(&mut self, key: &str, took: Duration, at_once: usize) {
        let timeouts = &self.context.patience;
        timeouts.note_answer(key, took);
        timeouts.refusals().note_other(Instant::now());
        self.context.client.pace().note_granted();
        if !timeouts.is_alone() && at_once == 1 {
            timeouts.concurrency().note_answer(took, timeouts.limit(key, 1));
        }
        self.answered += took;
    }

    fn heed_failure(
        &mut self,
        key: &str,
        kind: FailureKind,
        said: String,
        took: Duration,
    ) -> Result<(), Stopped> {
        let timeouts = &self.context.patience;
        let is_load = matches!(
            kind,
            FailureKind::Connect | FailureKind::Timeout | FailureKind::Closed
        );
        if is_load && !timeouts.is_alone() && !timeouts.hangs(key) {
            let began = Instant::now().checked_sub(took).unwrap_or(self.began);
            timeouts.concurrency().note_trouble(began);
        }
        match kind {
            FailureKind::Connect | FailureKind::Tls => Err(self.error(said)),
            FailureKind::Timeout => {
                let times = self.timeouts.entry(key.to_owned()).or_default();
                *times += 1;
                match *times >= MOST_TIMEOUTS {
                    true => Err(self.error(format!("{key} was not answered in time, {MOST_TIMEOUTS} times"))),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Waits as a 429 asks for, or ends the case where that leads nowhere.
    async fn wait_out(&mut self, answer: &Answer, attempt: u32, first: Instant) -> Result<(), Stopped> {
        let Some((wait, told)) = throttle_wait(answer, attempt, Timestamp::now()) else {
            return Err(self.error("the target answered 429 and asks for a longer wait than a run has"));
        };
        let timeouts = &self.context.patience;
        if told && self.context.client.pace().note_refused(wait) {
            timeouts.concurrency().note_rate();
        }
        let refusals = timeouts.refusals();
        if refusals.is_for_good(first, attempt, told, Instant::now()) {
            return Err(self.error(refusals.given_up().unwrap_or_default()));
        }
        if attempt + 1 >= ATTEMPTS_AFTER_429 {
            let reason = format!("the target answered 429 {ATTEMPTS_AFTER_429} times to the same request");
            return Err(self.error(reason));
        }
        let waiting = refusals.wait();
        tokio::time::sleep(wait).await;
        drop(waiting);
        self.transcript.throttled += wait;
        self.excused += wait;
        Ok(())
    }
}

/// What a server is started with, for people.
fn described(wish: &Wish) -> String {
    let variables = wish.environment.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => format!("without {name}"),
    });
    let words: Vec<String> = variables.chain(wish.flags.iter().cloned()).collect();
    match words.is_empty() {
        true => "as it is".to_owned(),
        false => words.join(" "),
    }
}

fn key(message: &Message) -> &str {
    message
        .operation
        .as_ref()
        .map_or(OTHER_REQUESTS, OperationName::as_str)
}
