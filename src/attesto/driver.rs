//! Drives a case: runs the sub-commands of the program under test, scripts the receivers, and writes down what is seen.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cases::{
    Act, Checkpoint, Drain, Enqueue, HashForm, Loop, Place, Retry, Step, WINNER, WitnessRace,
};
use super::files::look;
use super::names::Names;
use super::receipts::Reply;
use super::receiver::{MOST_REQUESTS, Receivers};
use super::write_lock;
use crate::http::{
    Answer, Body, Exchange, Failure, FailureKind, Outcome, Request, Role, Service, Wire, micros,
};
use crate::keys::encoding::hex;
use crate::record::Stopped;
use crate::record::transcript::Transcript;
use crate::record::verdict::Verdict;
use crate::session::{LiveSecrets, RunContext, Secrets};
use crate::subject::{Call, Ending, Ran, Subject};

/// What a run of a sub-command is called where an HTTP exchange has its method.
pub(super) const RUN: &str = "RUN";
/// What the rest of an item is called, where times are noted.
const REST: &str = "REST";
/// What a look at the files is called.
pub(super) const LOOK: &str = "LOOK";
/// The name of the spool's file.
pub(super) const SPOOL: &str = "spool.db";
/// The name of the witness's file.
const WITNESS: &str = "witness.db";
/// How long an attempt may take until it has to be given up.
pub(super) const GIVE_UP_TIME: Duration = Duration::from_secs(60);
/// Who is waited for until an item is dead.
const DEAD_TIME: Duration = Duration::from_secs(25 * 60);
/// How long the second of two drains may take: it may wait for the first, whose answer waits for it.
const OVERLAP_TIME: Duration = Duration::from_secs(4);
/// For how long writers are held up, at least and at most. Whoever waits for a database waits for five seconds, as a rule.
const LEAST_HELD_TIME: Duration = Duration::from_millis(50);
const MOST_HELD_TIME: Duration = Duration::from_secs(3);
/// How long a loop is left alone until more is enqueued.
const IDLE_TIME: Duration = Duration::from_millis(400);
/// How long a program has, that was asked to end, until its delivery is answered: whoever breaks off has done so by then.
const SIGNAL_TIME: Duration = Duration::from_millis(250);
/// What the variables begin with.
const PREFIX: &str = "ATTESTO_LOCAL_VAULT_";
/// The sub-commands that take as long as the program itself does.
const WAIT_FOR_NOBODY: [&str; 2] = ["enqueue-json", "witness-checkpoint"];
/// Variables that would send a program elsewhere, or tell it what others are to be told.
const NOT_INHERITED: [&str; 9] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
];

/// Drives a case from its first step to its last: over http, and over https where nothing arrives over http.
///
/// A relay may refuse plain http even to this machine.
pub(super) async fn drive(id: &str, steps: &[Step], context: &RunContext) -> (Transcript, LiveSecrets) {
    match drive_over(Place::Http, id, steps, context).await {
        Some(driven) => driven,
        None => {
            let over_https = drive_over(Place::Https, id, steps, context).await;
            over_https.unwrap_or_default()
        }
    }
}

/// Nothing where the case was given up, because nothing had arrived over http.
async fn drive_over(
    home: Place,
    id: &str,
    steps: &[Step],
    context: &RunContext,
) -> Option<(Transcript, LiveSecrets)> {
    let began = Instant::now();
    let began_ms = Timestamp::now().as_millisecond();
    let names = Names::new(&context.seed, context.generation, id);
    let mut exchanges = Vec::new();
    let driven = async {
        let mut driver = Driver::new(home, steps, context, &names, began).await?;
        let ended = tokio::select! {
            biased;
            reason = context.patience.halt().called() => Err(driver.stopped(reason, Verdict::Error)),
            ended = driver.run(steps) => ended,
        };
        driver.collect();
        exchanges = std::mem::take(&mut driver.exchanges);
        ended
    };
    let stopped = match driven.await {
        Ok(End::Unheard) => return None,
        ended => ended.err(),
    };
    // A command stands before the requests that it led to.
    exchanges.sort_by_key(|exchange| exchange.at_us);
    let mut transcript = Transcript::unread(began_ms, exchanges, stopped, began.elapsed());
    let mut secrets = Secrets::default();
    secrets.private_keys("signing", &[names.signing_key()]);
    secrets.private_keys(
        "encryption",
        &[names.encryption_key(false), names.encryption_key(true)],
    );
    secrets.hide(&mut transcript);
    Some((transcript, secrets.live(id)))
}

/// How a case was driven.
enum End {
    /// To its last step.
    Whole,
    /// Nothing had arrived over http when something was sent for the first time.
    Unheard,
}

struct Driver<'a> {
    context: &'a RunContext,
    subject: &'a dyn Subject,
    names: &'a Names,
    began: Instant,
    home: Place,
    at: Option<usize>,
    round: usize,
    /// The files of the case.
    root: TempDir,
    /// Where the spool is now.
    folder: PathBuf,
    receivers: Receivers,
    /// The hash that won the last race.
    winner: String,
    /// What was done and seen.
    exchanges: Vec<Exchange>,
}

/// What a command is run with beside what all are.
#[derive(Default)]
struct Extra<'a> {
    variables: Vec<(String, Option<String>)>,
    /// What it sends, for a reader.
    body: Option<String>,
    ending: Ending,
    limit: Option<Duration>,
    role: Option<Role>,
    /// What is told of it where it deviates.
    spoiled: Option<&'a str>,
}

impl<'a> Driver<'a> {
    async fn new(
        home: Place,
        steps: &[Step],
        context: &'a RunContext,
        names: &'a Names,
        began: Instant,
    ) -> Result<Driver<'a>, Stopped> {
        let error = |reason: String| Stopped {
            step: None,
            reason,
            verdict: Verdict::Error,
            held_up: false,
        };
        let subject = context.subject.as_deref().filter(|subject| subject.takes_calls());
        let subject = subject.ok_or_else(|| error("there is no program to judge".to_owned()))?;
        let wants_tls = |step: &Step| match &step.act {
            Act::Endpoints(_) | Act::RejectOverHttps(_) => true,
            Act::Drain(drain) => drain.endpoint.is_some_and(|place| place == Place::Https),
            _ => false,
        };
        let with_tls = home == Place::Https || steps.iter().any(wants_tls);
        let receivers = Receivers::start(began, with_tls).await.map_err(error)?;
        let root = TempDir::with_prefix("attesto-")
            .map_err(|no| error(format!("no directory for the case: {no}")))?;
        let mut driver = Driver {
            context,
            subject,
            names,
            began,
            home,
            at: None,
            round: 0,
            folder: PathBuf::new(),
            root,
            receivers,
            winner: String::new(),
            exchanges: Vec::new(),
        };
        driver.fresh("spool")?;
        driver.write("in", "", b"")?;
        if let Some(pem) = driver.receivers.authority.clone() {
            driver.write("in", "ca.pem", pem.as_bytes())?;
        }
        Ok(driver)
    }

    /// The spool is in a folder of its own from here on.
    fn fresh(&mut self, name: &str) -> Result<(), Stopped> {
        self.folder = self.root.path().join(name);
        let made = std::fs::create_dir_all(&self.folder);
        made.map_err(|error| self.stopped(format!("no directory for the case: {error}"), Verdict::Error))
    }

    fn write(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<PathBuf, Stopped> {
        let folder = self.root.path().join(folder);
        let path = folder.join(name);
        let written = std::fs::create_dir_all(&folder).and_then(|()| match name {
            "" => Ok(()),
            _ => std::fs::write(&path, bytes),
        });
        written.map_err(|error| self.stopped(format!("{}: {error}", path.display()), Verdict::Error))?;
        Ok(path)
    }

    fn stopped(&self, reason: impl Into<String>, verdict: Verdict) -> Stopped {
        Stopped {
            step: self.at,
            reason: reason.into(),
            verdict,
            held_up: false,
        }
    }

    async fn run(&mut self, steps: &[Step]) -> Result<End, Stopped> {
        for (index, step) in steps.iter().enumerate() {
            self.at = Some(index);
            self.round = 0;
            let only = step.only.as_ref().map(|item| self.names.source(item));
            self.receivers.begin(self.at, 0, &step.receiver, only);
            let held = match step.all_read_first {
                true => Some(self.hold_writes(&step.act).await),
                false => None,
            };
            let done = self.step(step).await;
            if let Some(held) = held {
                // It cannot fail: it waits and closes a file.
                _ = held.await;
            }
            done?;
            self.collect();
            if self.receivers.refused() > 0 {
                let why = format!("the program sent more than {MOST_REQUESTS} requests in one case");
                return Err(self.stopped(why, Verdict::Blocked));
            }
            let sends = matches!(
                step.act,
                Act::Drain(_)
                    | Act::Loop(_)
                    | Act::Terminate {}
                    | Act::Kill {}
                    | Act::Overlap { .. }
                    | Act::Reject(_)
            );
            if sends && self.home == Place::Http && self.receivers.arrived() == 0 {
                return Ok(End::Unheard);
            }
        }
        Ok(End::Whole)
    }

    async fn step(&mut self, step: &Step) -> Result<(), Stopped> {
        let asks_to_end = matches!(step.act, Act::Terminate {} | Act::Loop(Loop { ends: true, .. }));
        if asks_to_end && !self.subject.can_be_asked_to_end() {
            let why = "this system cannot ask a program to end";
            return Err(self.stopped(why, Verdict::NotApplicable));
        }
        match &step.act {
            Act::Enqueue(enqueue) => self.enqueue(enqueue, Role::Step).await,
            Act::Drain(drain) => self.drains(drain).await,
            Act::Retry(retry) if retry.until_dead => self.until_dead().await,
            Act::Retry(retry) => self.retry(retry).await,
            Act::Loop(lasting) => self.lasting(lasting).await,
            Act::Terminate {} => self.terminate().await,
            Act::Kill {} => self.kill().await,
            Act::Overlap { again } => self.overlap(again.as_ref()).await,
            Act::Reject(replies) => self.reject(replies, None).await,
            Act::RejectOverHttps(replies) => self.reject(replies, Some(Place::Https)).await,
            Act::Endpoints(places) => self.endpoints(places).await,
            Act::Look {} => self.look(),
            Act::Witness(checkpoint) => {
                let (arguments, variables) = self.checkpoint(checkpoint);
                let extra = Extra {
                    variables,
                    ..Extra::default()
                };
                let ran = self.call(arguments, extra).await;
                self.push(ran);
                Ok(())
            }
            Act::WitnessRace(race) => {
                self.race(race).await;
                Ok(())
            }
        }
    }

    /// Holds up whoever writes to the database that the commands of a step use, until all of them have had time to read it.
    async fn hold_writes(&self, act: &Act) -> JoinHandle<()> {
        let (file, commands) = match act {
            Act::WitnessRace(race) => (WITNESS, race.hashes.len()),
            Act::Enqueue(enqueue) => (SPOOL, enqueue.at_once),
            Act::Drain(drain) => (SPOOL, drain.at_once.unwrap_or(1)),
            _ => (SPOOL, 1),
        };
        let runs = self
            .exchanges
            .iter()
            .filter(|exchange| exchange.request.method == RUN);
        let longest = runs.map(|exchange| exchange.took_us).max().unwrap_or_default();
        let commands = u32::try_from(commands).unwrap_or(u32::MAX);
        let time = Duration::from_micros(longest).saturating_mul(commands);
        write_lock::hold(
            self.folder.join(file),
            time.clamp(LEAST_HELD_TIME, MOST_HELD_TIME),
        )
        .await
    }

    /// How long an ordinary answer may take: what is waited for is a multiple of it.
    fn unit(&self) -> Duration {
        self.context.patience.limit(RUN, 1)
    }

    /// How long a drain may take.
    fn drain_limit(&self) -> Duration {
        (self.unit() * 12).min(GIVE_UP_TIME)
    }

    /// How long a relay may let an item rest, in an ordinary run.
    fn rest_limit(&self) -> Duration {
        match self.context.slow {
            true => DEAD_TIME,
            // It has nothing to do with how fast the program is.
            false => self.context.patience.limit(REST, 1) * 8,
        }
    }

    /// The variables that every command is given.
    fn variables(&self) -> Vec<(String, Option<String>)> {
        let mut variables: Vec<(String, Option<String>)> = NOT_INHERITED
            .iter()
            .map(|name| ((*name).to_owned(), None))
            .collect();
        let file = |name: &str| self.folder.join(name).display().to_string();
        let names = self.names;
        let own = [
            ("SPOOL_DB", file(SPOOL)),
            ("WITNESS_DB", file(WITNESS)),
            ("INSTALLATION_ID", names.installation()),
            ("WITNESS_ID", names.installation()),
            ("RELAY_URL", self.receivers.url(self.home).unwrap_or_default()),
            ("KEY_ID", names.key_id()),
            ("SIGNING_KEY", hex(&names.signing_key())),
            ("ENCRYPTION_KEY", URL_SAFE.encode(names.encryption_key(false))),
        ];
        variables.extend(own.map(|(name, value)| (format!("{PREFIX}{name}"), Some(value))));
        if self.receivers.authority.is_some() {
            let file = self.root.path().join("in/ca.pem");
            variables.push(("SSL_CERT_FILE".to_owned(), Some(file.display().to_string())));
        }
        variables
    }

    /// Runs a sub-command: what is written down of it, and what it wrote.
    async fn call(&self, arguments: Vec<String>, extra: Extra<'_>) -> (Exchange, Ran) {
        let mut environment = self.variables();
        for (name, value) in extra.variables {
            environment.retain(|(known, _)| *known != name);
            environment.push((name, value));
        }
        let at = self.began.elapsed();
        let call = Call {
            arguments,
            environment,
        };
        let limit = extra.limit.unwrap_or(self.unit() * 6);
        let ran = self.subject.call(&call, extra.ending, limit).await;
        let waits_for_nobody = |argument: &String| WAIT_FOR_NOBODY.contains(&argument.as_str());
        if ran.code.is_some() && call.arguments.iter().any(waits_for_nobody) {
            let took = self.began.elapsed().saturating_sub(at);
            self.context.patience.note_answer(RUN, took);
        }
        let outcome = match ran.code {
            Some(code) => Outcome::Answer(Answer {
                status: u16::try_from(code.rem_euclid(256)).unwrap_or(u16::MAX),
                headers: match ran.errors.is_empty() {
                    true => Vec::new(),
                    false => vec![(
                        "stderr".to_owned(),
                        self.shown(&String::from_utf8_lossy(&ran.errors)),
                    )],
                },
                body: Body::from(self.shown(&String::from_utf8_lossy(&ran.output))),
            }),
            None => Outcome::Failure(Failure {
                kind: if ran.how.contains("did not end") {
                    FailureKind::Timeout
                } else {
                    FailureKind::Closed
                },
                message: format!("it {}", ran.how),
                begun: false,
            }),
        };
        let set = call.environment.iter().filter(|(_, value)| value.is_some());
        let request = Request {
            service: Service::new("program"),
            method: RUN.to_owned(),
            path: self.line(&call.arguments),
            headers: set.map(|(name, _)| (name.clone(), "[set]".to_owned())).collect(),
            body: extra.body.map(Body::from),
        };
        let exchange = Exchange {
            role: extra.role.unwrap_or(Role::Step),
            spoiled: extra.spoiled.map(str::to_owned),
            at_us: micros(at),
            took_us: micros(self.began.elapsed().saturating_sub(at)),
            ..self.exchange(request, outcome)
        };
        (exchange, ran)
    }

    fn exchange(&self, request: Request, outcome: Outcome) -> Exchange {
        Exchange {
            step: self.at,
            round: self.round,
            wire: Wire::Command,
            ..Exchange::new(request, outcome, self.began.elapsed(), Duration::ZERO)
        }
    }

    fn push(&mut self, (exchange, ran): (Exchange, Ran)) -> Ran {
        self.exchanges.push(exchange);
        ran
    }

    /// A text without the place of the case's files, which is another each time.
    fn shown(&self, text: &str) -> String {
        text.replace(&self.root.path().display().to_string(), "{dir}")
    }

    /// A command line as people would type it.
    fn line(&self, arguments: &[String]) -> String {
        let quoted =
            shlex::try_join(arguments.iter().map(String::as_str)).unwrap_or_else(|_| arguments.join(" "));
        self.shown(&quoted)
    }

    /// Takes over what the receivers have seen.
    fn collect(&mut self) {
        self.exchanges.extend(self.receivers.take());
    }

    /// The command line that enqueues an item, and the text of its file, which is written.
    fn enqueue_line(&self, enqueue: &Enqueue) -> Result<(Vec<String>, String), Stopped> {
        let text = self.names.file(&enqueue.item, enqueue.payload);
        let name = format!("{}-{:?}.json", enqueue.item, enqueue.payload).to_lowercase();
        let name = name.replace(|it: char| !it.is_ascii_alphanumeric() && it != '.', "-");
        let file = self.write("in", &name, text.as_bytes())?;
        let arguments = [
            "enqueue-json",
            "--stream-id",
            &self.names.stream(&enqueue.stream),
            "--source-ref",
            &self.names.source(&enqueue.item),
            "--payload-file",
            &file.display().to_string(),
        ];
        Ok((arguments.map(str::to_owned).to_vec(), text))
    }

    async fn enqueue(&mut self, enqueue: &Enqueue, role: Role) -> Result<(), Stopped> {
        let (arguments, text) = self.enqueue_line(enqueue)?;
        let key = URL_SAFE.encode(self.names.encryption_key(true));
        let extra = || Extra {
            variables: match enqueue.under_another_key {
                true => vec![(format!("{PREFIX}ENCRYPTION_KEY"), Some(key.clone()))],
                false => Vec::new(),
            },
            body: Some(text.clone()),
            role: Some(role),
            spoiled: enqueue
                .under_another_key
                .then_some("the encryption key is another one"),
            ..Extra::default()
        };
        let calls = (0..enqueue.at_once).map(|_| self.call(arguments.clone(), extra()));
        for done in join_all(calls).await {
            self.push(done);
        }
        Ok(())
    }

    /// The command line and the variables of a drain.
    fn drain(&self, drain: &Drain) -> (Vec<String>, Vec<(String, Option<String>)>) {
        let mut variables = Vec::new();
        let place = drain.endpoint.unwrap_or(self.home);
        let url = self.receivers.url(place).unwrap_or_default();
        if matches!(
            place,
            Place::PlainHost | Place::LocalhostAsPrefix | Place::AddressAsPrefix
        ) {
            variables.extend(
                ["http_proxy", "HTTP_PROXY"].map(|name| (name.to_owned(), Some(self.receivers.proxy()))),
            );
        }
        let mut arguments = vec!["drain-once".to_owned()];
        if !drain.by_options {
            variables.push((format!("{PREFIX}RELAY_URL"), Some(url)));
            return (arguments, variables);
        }
        for name in ["RELAY_URL", "INSTALLATION_ID", "KEY_ID", "SPOOL_DB"] {
            variables.push((format!("{PREFIX}{name}"), None));
        }
        let spool = self.folder.join(SPOOL).display().to_string();
        let (installation, key_id) = (self.names.installation(), self.names.key_id());
        let options = [
            "--endpoint-url",
            &url,
            "--installation-id",
            &installation,
            "--key-id",
            &key_id,
        ];
        arguments.extend(options.map(str::to_owned));
        arguments.splice(0..0, ["--spool-db".to_owned(), spool]);
        (arguments, variables)
    }

    async fn drain_once(&self, drain: &Drain, ending: Ending, limit: Duration) -> (Exchange, Ran) {
        let (arguments, variables) = self.drain(drain);
        let extra = Extra {
            variables,
            ending,
            limit: Some(limit),
            ..Extra::default()
        };
        self.call(arguments, extra).await
    }

    async fn drains(&mut self, drain: &Drain) -> Result<(), Stopped> {
        let limit = if drain.ends {
            GIVE_UP_TIME
        } else {
            self.drain_limit()
        };
        let calls = (0..drain.at_once.unwrap_or(1)).map(|_| self.drain_once(drain, Ending::default(), limit));
        for done in join_all(calls).await {
            self.push(done);
        }
        Ok(())
    }

    /// Drains until something arrives, or until it has taken too long. Drains at which nothing was due are not kept but for the last.
    async fn retry(&mut self, retry: &Retry) -> Result<(), Stopped> {
        let (limit, until) = (self.drain_limit(), Instant::now() + self.rest_limit());
        let before = self.receivers.arrived();
        let mut idle = None;
        loop {
            let (exchange, ran) = self.drain_once(&Drain::default(), Ending::default(), limit).await;
            let has_arrived = match &retry.until {
                Some(item) => self.receivers.has_come(&self.names.source(item)),
                None => self.receivers.arrived() > before,
            };
            let is_late = Instant::now() > until;
            if has_arrived || is_late {
                self.exchanges.extend(idle);
                self.push((exchange, ran));
                return Ok(());
            }
            if ran.code.is_none() && self.context.patience.halt().reason().is_some() {
                return Ok(());
            }
            idle = Some(exchange);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Drains until the item is dead: until its state says so.
    async fn until_dead(&mut self) -> Result<(), Stopped> {
        let until = Instant::now() + DEAD_TIME;
        let item = Enqueue {
            item: "a".to_owned(),
            stream: "main".to_owned(),
            payload: super::names::Kind::Plain,
            under_another_key: false,
            at_once: 1,
        };
        loop {
            let before = self.receivers.arrived();
            let (exchange, ran) = self
                .drain_once(&Drain::default(), Ending::default(), self.drain_limit())
                .await;
            if self.receivers.arrived() > before {
                self.push((exchange, ran));
                self.enqueue(&item, Role::Step).await?;
                let output = self.exchanges.last().and_then(|it| it.outcome.answer());
                if output.is_some_and(|output| output.body.to_text().contains("\"dead\"")) {
                    return Ok(());
                }
            }
            if Instant::now() > until {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Runs `drain-loop` until it ends, and tells whoever waits for what it sends.
    async fn drain_loop(
        &self,
        ending: Ending,
        limit: Duration,
        is_over: watch::Sender<bool>,
    ) -> (Exchange, Ran) {
        let arguments = ["drain-loop", "--idle-sleep-seconds", "1"];
        let extra = Extra {
            ending,
            limit: Some(limit),
            ..Extra::default()
        };
        let done = self.call(arguments.map(str::to_owned).to_vec(), extra).await;
        is_over.send_replace(true);
        done
    }

    async fn terminate(&mut self) -> Result<(), Stopped> {
        self.receivers.hold(true);
        let before = self.receivers.arrived();
        let (ending, limit) = (Ending::default(), self.unit() * 6);
        let (is_over, over) = watch::channel(false);
        let looping = self.drain_loop(ending.clone(), limit, is_over);
        let asking = async {
            // Whoever sends nothing in this time is seen by the judge.
            self.wait_for(before + 1, limit / 2, over).await;
            ending.terminate();
            tokio::time::sleep(SIGNAL_TIME).await;
            self.receivers.hold(false);
        };
        let (done, ()) = tokio::join!(looping, asking);
        self.push(done);
        Ok(())
    }

    async fn lasting(&mut self, lasting: &Loop) -> Result<(), Stopped> {
        let limit = match lasting.ends {
            true => self.unit() * 6,
            false => self.drain_limit(),
        };
        let ending = Ending::default();
        let before = self.receivers.arrived();
        let (is_over, over) = watch::channel(false);
        let looping = self.drain_loop(ending.clone(), limit, is_over);
        let meanwhile = async {
            let enqueued = self.meanwhile(lasting, before, limit / 2, over).await;
            if lasting.ends || lasting.rests {
                // It is to find nothing, and to rest.
                tokio::time::sleep(IDLE_TIME).await;
            }
            ending.terminate();
            enqueued
        };
        let (done, enqueued) = tokio::join!(looping, meanwhile);
        self.exchanges.extend(enqueued);
        let ran = self.push(done);
        match ran.code {
            None if lasting.ends => {
                Err(self.stopped("the loop does not end when it is asked to", Verdict::Blocked))
            }
            _ => Ok(()),
        }
    }

    /// Waits until so many requests have arrived; no longer than the limit, and not for a loop that is over.
    async fn wait_for(&self, count: usize, limit: Duration, mut over: watch::Receiver<bool>) {
        tokio::select! {
            () = self.receivers.more_than(count - 1) => {}
            // Its sender is gone where the loop is.
            _over = over.wait_for(|is_over| *is_over) => {}
            () = tokio::time::sleep(limit) => {}
        }
    }

    /// Waits until a loop has delivered what was there, and enqueues more, item by item. What does not arrive is seen by the judge.
    async fn meanwhile(
        &self,
        lasting: &Loop,
        before: usize,
        limit: Duration,
        over: watch::Receiver<bool>,
    ) -> Vec<Exchange> {
        self.wait_for(before + lasting.deliveries, limit, over.clone())
            .await;
        let mut enqueued = Vec::new();
        for (at, item) in lasting.meanwhile.iter().enumerate() {
            // The loop is to find nothing before that.
            tokio::time::sleep(IDLE_TIME).await;
            let Ok((arguments, text)) = self.enqueue_line(item) else {
                break;
            };
            let extra = Extra {
                body: Some(text),
                ..Extra::default()
            };
            enqueued.push(self.call(arguments, extra).await.0);
            self.wait_for(before + lasting.deliveries + at + 1, limit, over.clone())
                .await;
        }
        enqueued
    }

    async fn kill(&mut self) -> Result<(), Stopped> {
        self.receivers.hold(true);
        let before = self.receivers.arrived();
        let (ending, limit) = (Ending::default(), self.drain_limit());
        let drain = Drain::default();
        let killing = async {
            // Whoever sends nothing ends by itself.
            let _never = tokio::time::timeout(limit, self.receivers.more_than(before)).await;
            ending.kill();
            std::future::pending::<()>().await;
        };
        let done = {
            let draining = self.drain_once(&drain, ending.clone(), limit);
            tokio::pin!(draining);
            tokio::select! {
                done = &mut draining => Some(done),
                () = killing => None,
            }
        };
        self.exchanges.extend(done.map(|(exchange, _)| exchange));
        Ok(())
    }

    async fn overlap(&mut self, again: Option<&Enqueue>) -> Result<(), Stopped> {
        self.receivers.hold(true);
        let before = self.receivers.arrived();
        let limit = self.drain_limit();
        let drain = Drain::default();
        let line = again.map(|enqueue| self.enqueue_line(enqueue)).transpose()?;
        let first = self.drain_once(&drain, Ending::default(), limit);
        let second = async {
            let came = tokio::time::timeout(limit / 4, self.receivers.more_than(before)).await;
            let other = match came {
                Ok(()) => {
                    let enqueued = match line {
                        Some((arguments, text)) => {
                            let extra = Extra {
                                body: Some(text),
                                limit: Some(OVERLAP_TIME.min(limit / 4)),
                                role: Some(Role::Setup),
                                ..Extra::default()
                            };
                            Some(self.call(arguments, extra).await)
                        }
                        None => None,
                    };
                    let other = self.drain_once(&drain, Ending::default(), OVERLAP_TIME.min(limit / 4));
                    let third = self.receivers.more_than(before + 1);
                    // A second delivery waits for its answer as the first does: it is let go.
                    tokio::pin!(other);
                    let other = tokio::select! {
                        done = &mut other => done,
                        () = third => {
                            self.receivers.hold(false);
                            other.await
                        }
                    };
                    vec![enqueued, Some(other)]
                }
                Err(_) => Vec::new(),
            };
            self.receivers.hold(false);
            other
        };
        let (first, second) = tokio::join!(first, second);
        self.push(first);
        for done in second.into_iter().flatten() {
            self.push(done);
        }
        Ok(())
    }

    /// The item of a round, in a spool of its own.
    async fn round(&mut self, round: usize) -> Result<Enqueue, Stopped> {
        self.round = round;
        let step = self.at.unwrap_or_default();
        self.fresh(&format!("spool-{step}-{round}"))?;
        let item = Enqueue {
            item: format!("x{step}-{round}"),
            stream: "main".to_owned(),
            payload: super::names::Kind::Plain,
            under_another_key: false,
            at_once: 1,
        };
        self.enqueue(&item, Role::Setup).await?;
        Ok(item)
    }

    /// At an endpoint; at the receiver of the case unless told.
    async fn reject(&mut self, replies: &[Reply], endpoint: Option<Place>) -> Result<(), Stopped> {
        let drain = Drain {
            endpoint,
            ..Drain::default()
        };
        for (round, reply) in replies.iter().enumerate() {
            let item = self.round(round).await?;
            self.receivers.begin(self.at, round, &[*reply], None);
            self.drains(&drain).await?;
            self.enqueue(&item, Role::Audit).await?;
            self.collect();
        }
        Ok(())
    }

    async fn endpoints(&mut self, places: &[Place]) -> Result<(), Stopped> {
        for (round, place) in places.iter().enumerate() {
            let item = self.round(round).await?;
            self.receivers.begin(self.at, round, &[], None);
            // What this system cannot have is left out, and the judge sees no drain.
            if self.receivers.url(*place).is_some() {
                let drain = Drain {
                    endpoint: Some(*place),
                    ..Drain::default()
                };
                self.drains(&drain).await?;
                self.enqueue(&item, Role::Audit).await?;
            }
            self.collect();
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Stopped> {
        let seen = look(&self.folder, SPOOL, &self.names.mark());
        let seen =
            seen.map_err(|error| self.stopped(format!("the files of the case: {error}"), Verdict::Error))?;
        let request = Request {
            service: Service::new("files"),
            method: LOOK.to_owned(),
            path: self.shown(&self.folder.display().to_string()),
            headers: Vec::new(),
            body: None,
        };
        let answer = Answer {
            status: 0,
            headers: Vec::new(),
            body: Body::from(seen.to_string()),
        };
        let exchange = self.exchange(request, Outcome::Answer(answer));
        self.exchanges.push(exchange);
        Ok(())
    }

    /// The command line and the variables of a submission.
    fn checkpoint(&self, checkpoint: &Checkpoint) -> (Vec<String>, Vec<(String, Option<String>)>) {
        let hash = written(checkpoint.form, &self.names.hash(&checkpoint.hash));
        let id = checkpoint
            .id
            .clone()
            .unwrap_or_else(|| format!("chk_{}_{}", checkpoint.number, checkpoint.hash));
        let mut arguments = vec![
            "witness-checkpoint".to_owned(),
            "--tenant-id".to_owned(),
            self.names.tenant(&checkpoint.tenant),
            "--stream-id".to_owned(),
            self.names.stream(&checkpoint.stream),
            "--checkpoint-id".to_owned(),
            id,
            format!("--checkpoint-seq-no={}", checkpoint.number),
            "--checkpoint-hash".to_owned(),
            hash,
        ];
        let previous = match checkpoint.previous.as_deref() {
            Some(WINNER) => Some(self.winner.clone()),
            other => other.map(|name| self.names.hash(name)),
        };
        if let Some(previous) = previous {
            let previous = written(checkpoint.previous_form, &previous);
            arguments.extend(["--previous-checkpoint-hash".to_owned(), previous]);
        }
        let witness = self.names.witness(&checkpoint.witness);
        let variables = match checkpoint.witness.as_str() {
            "own" => Vec::new(),
            _ => ["WITNESS_ID", "INSTALLATION_ID"]
                .map(|name| (format!("{PREFIX}{name}"), Some(witness.clone())))
                .to_vec(),
        };
        (arguments, variables)
    }

    async fn race(&mut self, race: &WitnessRace) {
        let calls = race.hashes.iter().map(|hash| {
            let checkpoint = Checkpoint {
                witness: "own".to_owned(),
                tenant: "main".to_owned(),
                stream: "main".to_owned(),
                id: None,
                number: race.number,
                hash: hash.clone(),
                previous: race.previous.clone(),
                form: HashForm::Right,
                previous_form: HashForm::Right,
            };
            let (arguments, variables) = self.checkpoint(&checkpoint);
            self.call(
                arguments,
                Extra {
                    variables,
                    ..Extra::default()
                },
            )
        });
        for done in join_all(calls).await {
            let ran = self.push(done);
            let won = hash_of_receipt(&ran.output);
            self.winner = won.unwrap_or_else(|| self.winner.clone());
        }
    }
}

/// A hash in a form.
fn written(form: HashForm, hash: &str) -> String {
    match form {
        HashForm::Right => hash.to_owned(),
        HashForm::UpperCase => hash.to_uppercase(),
        HashForm::Short => hash[..62].to_owned(),
        HashForm::NoDigit => format!("{}zz", &hash[..62]),
        HashForm::Long => format!("{hash}00"),
        HashForm::Newline => format!("{hash}\n"),
    }
}

/// The hash of the checkpoint that an output has a receipt for.
fn hash_of_receipt(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let hash = |line: Value| {
        line.pointer("/receipt/checkpoint_hash")?
            .as_str()
            .map(str::to_owned)
    };
    lines.filter_map(hash).next_back()
}
