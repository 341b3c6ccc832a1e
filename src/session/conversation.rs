//! A conversation with a target: sends as an actor, waits out 429, keeps to the time limits of the run and writes every exchange
//! down. What depends on a login makes its requests itself, and keeps to the same limits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{
    ATTEMPTS_AFTER_429, LACKS_SERVER, NoServer, OTHER_REQUESTS, OwnServer, RunContext, Wish, throttle_wait,
};
use crate::catalogue::OperationName;
use crate::http::{
    Answer, Body, Client, Connections, Exchange, Failure, FailureKind, Outcome, Request, Role, Sent, Service,
    Wire, is_of_gateway,
};
use crate::record::Stopped;
use crate::record::transcript::{JsonBody, Read, Transcript, json_body};
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
    /// What is sent over.
    pub connections: Connections,
    began: Instant,
    step: Option<usize>,
    /// How long it has waited because the target asked for it.
    excused: Duration,
    /// How long it has waited for answers that came.
    answered: Duration,
    /// How often each operation timed out in this case.
    timeouts: BTreeMap<String, u32>,
    /// What was said so far.
    pub transcript: Transcript,
}

/// The method of the exchange that says that the case's own server was started.
const START: &str = "START";

/// What came of a request: a status, or why there is none.
pub type Came = Result<u16, Failure>;

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

    /// The step that is being driven, from 0; none before the first.
    pub fn current_step(&self) -> Option<usize> {
        self.step
    }

    /// How long ago the case began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time that counts for no limit of the case: the target or the case asked for it.
    pub fn excuse(&mut self, time: Duration) {
        self.excused += time;
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
        let request = Request {
            service: Service::new("server"),
            method: START.to_owned(),
            path: about,
            headers: Vec::new(),
            body: None,
        };
        let outcome = Outcome::Answer(Answer {
            status: u16::from(error.is_some()),
            headers: Vec::new(),
            body: Body::from(said),
        });
        let took = self.began.elapsed().saturating_sub(at);
        let exchange = Exchange {
            step: self.step,
            wire: Wire::Command,
            ..Exchange::new(request, outcome, at, took)
        };
        self.excused += self.began.elapsed().saturating_sub(at);
        self.transcript.push(exchange, Read::default());
        Ok(())
    }

    /// Sends a request, again where it is answered 429, or once by a gateway where that is the same as sending it once, and says
    /// what came: none where no answer came in time.
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
        let mut may_ask_again = !message.is_spent_by_use;
        loop {
            let limit = self.limit(&key, 1)?;
            let at = self.began.elapsed();
            self.connections.send_once(message.is_spent_by_use);
            let sent = self.connections.send(&message.request, limit).await;
            self.excused += self.connections.take_waited();
            let (came, took) = (came(&sent.outcome), sent.took);
            let answer = sent.outcome.answer().cloned();
            if let Some(refusal) = answer.as_ref().filter(|answer| answer.status == 429) {
                self.write_down(message, Role::Throttled, round, at, sent);
                let first = *refused.get_or_insert_with(Instant::now);
                self.wait_out(refusal, attempt, first, true).await?;
                attempt += 1;
                continue;
            }
            if may_ask_again && came.as_ref().is_ok_and(|status| is_of_gateway(*status)) {
                self.write_down(message, Role::Abandoned, round, at, sent);
                may_ask_again = false;
                continue;
            }
            self.write_down(message, role, round, at, sent);
            self.heed(&key, 1, message.spoiled.is_some(), &came, took)?;
            return Ok(answer);
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
        let (mut answers, mut ends) = (Vec::new(), Vec::new());
        for (message, sent) in messages.iter().zip(sent) {
            let Some(sent) = sent else { continue };
            let answer = sent.outcome.answer().cloned();
            let throttled = answer.as_ref().is_some_and(|answer| answer.status == 429);
            ends.push((message, came(&sent.outcome), sent.took));
            let role = if throttled { Role::Throttled } else { Role::Step };
            self.write_down(message, role, round, at, sent);
            answers.push(answer.filter(|_| !throttled));
        }
        for (message, came, took) in ends {
            self.heed(
                key(message),
                messages.len(),
                message.spoiled.is_some(),
                &came,
                took,
            )?;
        }
        Ok(answers)
    }

    /// The end of the case, and why it came early, if it did.
    pub fn finish(mut self, stopped: Option<Stopped>) -> Transcript {
        self.transcript.stopped = stopped;
        self.disown();
        self.transcript.exchanges.shrink_to_fit();
        self.transcript.took = self.began.elapsed().saturating_sub(self.transcript.throttled);
        self.transcript
    }

    /// Takes back what was seen where the case's own server has ended and everything was answered all the same: then somebody
    /// else has its port, as where several runs on one machine start servers at the same moment.
    fn disown(&mut self) {
        let Some(how) = self.own_server.as_ref().and_then(|server| server.died()) else {
            return;
        };
        let exchanges = &self.transcript.exchanges;
        let all_answered = exchanges.iter().all(|it| it.outcome.answer().is_some());
        // One that would not start as the case wanted it has ended rightly.
        let last_start = exchanges.iter().rev().find(|it| it.request.method == START);
        let is_up = last_start.is_some_and(|it| it.outcome.answer().is_some_and(|answer| answer.status == 0));
        if all_answered && is_up {
            let reason = format!(
                "the server that was started for this case {how}, and its address answered all the same: something else has it; \
                 run the case again"
            );
            self.transcript.stopped = Some(self.error(reason));
            self.transcript.exchanges.clear();
            self.transcript.read.clear();
        }
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
        let answer = self.read(&mut sent);
        let exchange = Exchange {
            step: self.step,
            role,
            round,
            actor: Some(message.actor.clone()),
            operation: message.operation.clone(),
            spoiled: message.spoiled.clone(),
            resent: sent.resent,
            ..Exchange::new(message.request.clone(), sent.outcome, at, sent.took)
        };
        let read = Read {
            request: None,
            answer,
        };
        self.transcript.push(exchange, read);
    }

    /// The body of an answer, read as JSON; one that came before in this case is shared with it.
    pub fn read(&mut self, sent: &mut Sent) -> Option<JsonBody> {
        match self.transcript.read_before(&mut sent.outcome) {
            Some(body) => Some(body),
            None => sent.outcome.answer().and_then(json_body),
        }
    }

    /// How long the next request may take, one of so many that are sent at the same moment: as long as the operation is worth
    /// waiting for, and no longer than the case has left.
    ///
    /// # Errors
    /// The case has no time left, or the target refuses everything.
    pub fn limit(&self, key: &str, at_once: usize) -> Result<Duration, Stopped> {
        let timeouts = &self.context.patience;
        if let Some(reason) = timeouts.refusals().given_up() {
            return Err(self.error(reason));
        }
        let is_vain = self.timeouts.contains_key(key) || timeouts.hangs(key) && !timeouts.is_alone();
        let limit = match is_vain {
            true => timeouts.short_limit(key),
            false => timeouts.limit(key, u32::try_from(at_once).unwrap_or(u32::MAX)),
        };
        Ok(limit.min(self.left()?))
    }

    /// What the case has left of its time.
    ///
    /// # Errors
    /// That is nothing.
    pub fn left(&self) -> Result<Duration, Stopped> {
        let timeouts = &self.context.patience;
        let Some(limit) = timeouts.case_limit() else {
            return Ok(Duration::MAX);
        };
        let whole = limit + timeouts.stretch(self.answered) + self.excused;
        let left = whole.saturating_sub(self.began.elapsed());
        match left.is_zero() {
            true => Err(self.error(format!("the case was not done within {} s", limit.as_secs_f64()))),
            false => Ok(left),
        }
    }

    /// Remembers how long an operation took or that it failed. The request was one of so many that were sent at the same
    /// moment; what is odd may be met by a closed connection on purpose.
    ///
    /// # Errors
    /// There is no point in going on with the case.
    pub fn heed(
        &mut self,
        key: &str,
        at_once: usize,
        is_odd: bool,
        came: &Came,
        took: Duration,
    ) -> Result<(), Stopped> {
        let timeouts = &self.context.patience;
        let beside_others = !timeouts.is_alone();
        let hangs = timeouts.hangs(key);
        if beside_others && !hangs && is_load(came, is_odd) {
            let began = Instant::now().checked_sub(took).unwrap_or(self.began);
            timeouts.concurrency().note_trouble(began);
        }
        let Err(failure) = came else {
            timeouts.note_answer(key, took);
            timeouts.refusals().note_other(Instant::now());
            self.context.client.pace().note_granted();
            if beside_others && at_once == 1 {
                timeouts.concurrency().note_answer(took, timeouts.limit(key, 1));
            }
            self.answered += took;
            return Ok(());
        };
        match failure.kind {
            FailureKind::Connect | FailureKind::Tls => Err(self.error(failure.message.clone())),
            FailureKind::Timeout => {
                self.left()?;
                if !timeouts.was_answered() {
                    return Err(self.error(format!(
                        "{}: the target has not answered anything in time; if it is only slow, raise --timeout",
                        failure.message
                    )));
                }
                if beside_others && hangs {
                    self.abandon(at_once);
                    return Err(self.blocked(format!("{key} is known to hang: {}", failure.message)));
                }
                if beside_others {
                    let reason = format!("{key}: {}, while other cases were under way", failure.message);
                    return Err(self.error(reason));
                }
                let count = self.timeouts.entry(key.to_owned()).or_default();
                *count += 1;
                match *count {
                    MOST_TIMEOUTS.. => {
                        let reason = format!("{key} timed out {count} times: {}", failure.message);
                        Err(self.blocked(reason))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The last exchanges, as many as were made at once, say nothing where no answer came: too little was waited.
    fn abandon(&mut self, at_once: usize) {
        for exchange in self.transcript.exchanges.iter_mut().rev().take(at_once) {
            if matches!(&exchange.outcome, Outcome::Failure(failure) if failure.kind == FailureKind::Timeout)
            {
                exchange.role = Role::Abandoned;
            }
        }
    }

    /// Waits as a 429 asks for. What is not plain may meet another limit than the rate of requests.
    ///
    /// # Errors
    /// Waiting leads nowhere.
    pub async fn wait_out(
        &mut self,
        answer: &Answer,
        attempt: u32,
        first: Instant,
        is_plain: bool,
    ) -> Result<(), Stopped> {
        let Some((wait, told)) = throttle_wait(answer, attempt, Timestamp::now()) else {
            return Err(self.error("the target answered 429 and asks for a longer wait than a run has"));
        };
        let timeouts = &self.context.patience;
        if told && is_plain && self.context.client.pace().note_refused(wait) {
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

/// What came of a request.
fn came(outcome: &Outcome) -> Came {
    match outcome {
        Outcome::Answer(answer) => Ok(answer.status),
        Outcome::Failure(failure) => Err(failure.clone()),
    }
}

/// Whether load may be the reason of what came: no connection, no answer, or a gateway that had nobody to ask. Some servers
/// close the connection on what they cannot read.
fn is_load(came: &Came, is_odd: bool) -> bool {
    match came {
        Ok(status) => is_of_gateway(*status),
        Err(failure) => match failure.kind {
            FailureKind::Connect | FailureKind::Timeout => true,
            FailureKind::Closed | FailureKind::Reset => !is_odd,
            _ => false,
        },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{ClientOptions, Endpoint, Timeouts};
    use crate::keys::Seed;
    use crate::session::OwnServers;
    use crate::subject::Task;

    /// A server that ends as soon as it has answered once.
    struct Dead(Client);

    impl OwnServers for Dead {
        fn start(&self, _: Wish) -> Task<'_, Result<Box<dyn OwnServer>, NoServer>> {
            Box::pin(async { Ok(Box::new(Dead(self.0.clone())) as Box<dyn OwnServer>) })
        }
    }

    impl OwnServer for Dead {
        fn client(&self) -> &Client {
            &self.0
        }

        fn restart(&mut self, _: Vec<String>) -> Task<'_, Result<(), NoServer>> {
            Box::pin(async { Err(NoServer::Refused("it wants other flags".to_owned())) })
        }

        fn second(&self) -> Duration {
            Duration::ZERO
        }

        fn died(&self) -> Option<String> {
            Some("exited with status 98".to_owned())
        }
    }

    /// A transcript of a case whose server has died, after `then`.
    fn finished(then: impl AsyncFnOnce(&mut Conversation<'_>)) -> Transcript {
        let nowhere = Endpoint::parse("http://127.0.0.1:9").unwrap();
        let client = Client::new(ClientOptions::new(nowhere)).unwrap();
        let context = RunContext {
            client: client.clone(),
            foreign: None,
            patience: Timeouts::new(Duration::from_secs(1)),
            seed: Seed::random(),
            keys: Vec::new(),
            generation: 0,
            spec: crate::avp::catalogue().newest(),
            slow: false,
            show_secrets: false,
            subject: None,
            own_servers: Some(std::sync::Arc::new(Dead(client))),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let mut talk = Conversation::new(&context);
            assert_eq!(talk.start_server(Wish::default()).await, Ok(true));
            then(&mut talk).await;
            talk.finish(None)
        })
    }

    #[test]
    fn what_somebody_else_answered_is_not_judged() {
        let transcript = finished(async |_| {});
        let stopped = transcript.stopped.unwrap();
        assert_eq!(stopped.verdict, Verdict::Error);
        assert!(
            stopped.reason.contains("exited with status 98"),
            "{}",
            stopped.reason
        );
        assert!(transcript.exchanges.is_empty() && transcript.read.is_empty());
    }

    #[test]
    fn a_server_that_broke_off_or_would_not_start_is_judged() {
        let broken = finished(async |talk| {
            let mut exchange = talk.transcript.exchanges[0].clone();
            exchange.request.method = "GET".to_owned();
            exchange.outcome = Outcome::Failure(Failure {
                kind: FailureKind::Closed,
                message: "the connection ended".to_owned(),
                begun: false,
            });
            talk.transcript.push(exchange, Read::default());
        });
        assert_eq!((broken.stopped, broken.exchanges.len()), (None, 2));
        let refused = finished(async |talk| {
            assert_eq!(talk.restart_server(Vec::new()).await, Ok(false));
        });
        assert_eq!((refused.stopped, refused.exchanges.len()), (None, 2));
    }
}
