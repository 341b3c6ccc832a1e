//! Drives a case: starts the server, lets the client walk or tells its adapter what to do, and writes down what is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::alts;
use super::cases::{Act, Expected, Spelling, Step};
use super::forge::{Forger, Written};
use super::host::{Host, MOST_REQUESTS, no_answer};
use super::marks::{INTRUDER, OVER_BYTES, RUN, TELL, bearer, weak_key, word};
use crate::avp::VAULT;
use crate::avp::actors::{identity, scope, unique};
use crate::avp::adapter_contract::{Act as Command, Command as Line, Reply};
use crate::avp::crypto::{DataKey, open_payload, sign_binding};
use crate::avp::{DEFAULT_SCHEME, EncryptedEnvelope, MemberEntry};
use crate::http::{Answer, Body, Exchange, FailureKind, Outcome, Request, Role, Side, Wire};
use crate::keys::Identity;
use crate::keys::encoding::encode;
use crate::keys::primitives::{ed25519_key_pair, ed25519_public_key, ed25519_verify, x25519_public_key};
use crate::record::Stopped;
use crate::record::transcript::{PRIVATE_KEY_MARK, SIGNATURE_MARK, Transcript};
use crate::record::verdict::Verdict;
use crate::session::{LiveSecrets, RunContext, Secrets};
use crate::subject::{Adapter, Silence, Subject};

/// How long a client may take for one command, starting included, unless a case may take less.
const ANSWER_TIME: Duration = Duration::from_secs(40);
/// So many texts of an output are tried as keys.
const MOST_CANDIDATES: usize = 400;
/// Name of the issuer that binds keys in cases about bindings.
pub(super) const ISSUER: &str = "issuer";
/// Drives a case from its first step to its last.
pub(super) async fn drive(id: &str, steps: &[Step], context: &RunContext) -> (Transcript, LiveSecrets) {
    let began = Instant::now();
    let began_ms = Timestamp::now().as_millisecond();
    let mut driver = Driver::new(id, steps, context, began);
    let ended = tokio::select! {
        biased;
        reason = context.patience.halt().called() => Err(driver.stopped(reason, Verdict::Error)),
        ended = driver.run(steps) => ended,
    };
    let (exchanges, stopped) = driver.finish(ended.err()).await;
    let mut transcript = Transcript::unread(began_ms, exchanges, stopped, began.elapsed());
    let secrets = driver.secrets(&mut transcript);
    secrets.hide(&mut transcript);
    (transcript, secrets.live(id))
}

struct Driver<'a> {
    context: &'a RunContext,
    scope: String,
    began: Instant,
    at: Option<usize>,
    members: BTreeMap<String, Identity>,
    repo: String,
    is_bound: bool,
    host: Option<Host>,
    adapter: Option<Box<dyn Adapter>>,
    known: BTreeSet<String>,
    commands: u64,
    exchanges: Vec<Exchange>,
    elsewhere: bool,
}

impl<'a> Driver<'a> {
    fn new(id: &str, steps: &[Step], context: &'a RunContext, began: Instant) -> Driver<'a> {
        let scope = scope(context.generation, id);
        let mut names: BTreeSet<&str> = steps.iter().map(|step| step.member.as_str()).collect();
        names.extend([ISSUER, INTRUDER]);
        for step in steps {
            match &step.act {
                Act::Add(add) => drop(names.insert(&add.member)),
                Act::Remove(name) | Act::Fetch(name) => drop(names.insert(name)),
                _ => {}
            }
        }
        let member = |name: &str| (name.to_owned(), identity(&context.seed, &scope, name));
        let odd = steps
            .iter()
            .any(|step| matches!(&step.act, Act::Create(create) if create.odd_id));
        let unique = unique(&context.seed, &scope);
        let repo = match odd {
            true => format!("a/b c%2F?é+{unique}"),
            false => format!("repo-{unique}"),
        };
        Driver {
            members: names.into_iter().map(member).collect(),
            context,
            scope,
            began,
            at: None,
            repo,
            is_bound: steps
                .iter()
                .any(|step| matches!(&step.act, Act::Add(add) if add.bound)),
            host: None,
            adapter: None,
            known: BTreeSet::new(),
            commands: 0,
            exchanges: Vec::new(),
            elsewhere: false,
        }
    }

    async fn run(&mut self, steps: &[Step]) -> Result<(), Stopped> {
        let Some(subject) = self.context.subject.clone() else {
            return Err(self.stopped("there is no client to judge", Verdict::Error));
        };
        let forger = Forger::new(self.context.seed, &self.scope, self.members.clone());
        let host = Host::start(forger, self.began, subject.wants_tls()).await;
        let host = host.map_err(|why| {
            self.stopped(
                format!("the harness's server does not start: {why}"),
                Verdict::Error,
            )
        })?;
        self.host = Some(host);
        for (index, step) in steps.iter().enumerate() {
            self.at = Some(index);
            self.step(steps, step, &*subject).await?;
        }
        Ok(())
    }

    fn stopped(&self, reason: impl Into<String>, verdict: Verdict) -> Stopped {
        Stopped {
            step: self.at,
            reason: reason.into(),
            verdict,
            held_up: false,
        }
    }

    fn host(&self) -> Result<&Host, Stopped> {
        let host = self.host.as_ref();
        host.ok_or_else(|| self.stopped("the harness's server is not up", Verdict::Error))
    }

    async fn step(&mut self, steps: &[Step], step: &Step, subject: &dyn Subject) -> Result<(), Stopped> {
        let host = self.host()?;
        if !step.vary.is_empty() {
            host.replace(&step.vary);
        }
        host.begin(self.at, &step.server);
        match &step.act {
            Act::Walk {} => self.walk(subject).await,
            Act::Plant(alts) => self.plant(host, step, Written::Alts(alts)),
            Act::Leap(version) => self.plant(host, step, Written::Again(*version)),
            Act::Restart {} => {
                self.end_adapter().await;
                Ok(())
            }
            _ => self.command(steps, step, subject).await,
        }
    }

    /// The harness writes as a member.
    fn plant(&self, host: &Host, step: &Step, what: Written<'_>) -> Result<(), Stopped> {
        let wrote = host.write_as(&step.member, &self.repo, what);
        wrote.map_err(|why| {
            let why = format!("the harness could not write as {}: {why}", step.member);
            self.stopped(why, Verdict::Blocked)
        })
    }

    async fn walk(&mut self, subject: &dyn Subject) -> Result<(), Stopped> {
        if !subject.walks() {
            let why = "the client has no program that walks (--walk)";
            return Err(self.stopped(why, Verdict::NotApplicable));
        }
        let told = self.host()?.told();
        let at = self.began.elapsed();
        let limit = self
            .context
            .patience
            .case_limit()
            .unwrap_or(Duration::from_secs(120));
        let left = limit.saturating_sub(self.began.elapsed());
        let walked = subject.walk(&told, left).await;
        let outcome = match walked.code {
            Some(code) => Outcome::Answer(Answer {
                status: u16::try_from(code.rem_euclid(256)).unwrap_or(u16::MAX),
                headers: Vec::new(),
                body: Body::from(walked.output),
            }),
            None => no_answer(FailureKind::Closed, format!("it {}", walked.how)),
        };
        let request = self.request(RUN, "the walk".to_owned(), None);
        let exchange = self.exchange(None, Role::Step, request, outcome, at);
        self.exchanges.push(exchange);
        self.collect()?;
        let is_silent = !self
            .exchanges
            .iter()
            .any(|exchange| exchange.side == Side::Answered && exchange.step == self.at);
        if is_silent {
            let why = format!("the client sent no request: it {}", walked.how);
            return Err(self.stopped(why, Verdict::Blocked));
        }
        Ok(())
    }

    /// Tells the adapter what to do, and before it who it is.
    async fn command(&mut self, steps: &[Step], step: &Step, subject: &dyn Subject) -> Result<(), Stopped> {
        if !subject.obeys() {
            let why = "the client has no adapter that takes commands (--adapter)";
            return Err(self.stopped(why, Verdict::NotApplicable));
        }
        if self.adapter.is_none() {
            let told = self.host()?.told();
            let started = subject.adapter(&told).await;
            self.adapter = Some(started.map_err(|why| self.stopped(why, Verdict::Blocked))?);
        }
        if let Act::Elsewhere {} = step.act {
            self.elsewhere = true;
            return self.introduce(&step.member).await;
        }
        if !self.known.contains(&step.member) {
            self.introduce(&step.member).await?;
        }
        let command = self.line(step)?;
        let reply = self.tell(&step.member, command, Role::Step).await?;
        self.heed(steps, step, &reply)
    }

    /// Gives the adapter the keys of a member. Whoever does not take them on is not judged.
    async fn introduce(&mut self, name: &str) -> Result<(), Stopped> {
        let member = self.member(name);
        let [ed25519, x25519] = member.secrets();
        let host = self.host()?;
        let server = if self.elsewhere {
            host.elsewhere()
        } else {
            host.url()
        };
        let command = Command::Identity {
            ed25519_secret: encode(&ed25519),
            x25519_secret: encode(&x25519),
            server,
            issuer: self.is_bound.then(|| self.member(ISSUER).member_id().to_owned()),
        };
        let reply = self.tell(name, command, Role::Setup).await?;
        let given = reply
            .ok
            .as_ref()
            .and_then(|ok| ok.get("memberId")?.as_str().map(str::to_owned));
        // How it spells base64 shows in what it sends, and is judged there.
        if given.as_deref().map(plain_base64) != Some(plain_base64(member.member_id())) {
            let why = format!("the adapter did not take on the keys of {name}: {}", said(&reply));
            return Err(self.stopped(why, Verdict::Blocked));
        }
        self.known.insert(name.to_owned());
        Ok(())
    }

    fn member(&self, name: &str) -> Identity {
        let known = self.members.get(name).cloned();
        known.unwrap_or_else(|| identity(&self.context.seed, &self.scope, name))
    }

    fn line(&self, step: &Step) -> Result<Command, Stopped> {
        let repo = self.repo.clone();
        let mark = alts::mark(&self.context.seed, &self.scope);
        let host = "vault.example:8443".to_owned();
        Ok(match &step.act {
            Act::Login {} => Command::Login {},
            Act::Create(create) => Command::Create {
                repo,
                alts: alts::alts(&mark, &create.alts),
                share_refresh_tokens: create.share,
            },
            Act::Pull(pull) => Command::Pull {
                repo,
                known: pull.known,
            },
            Act::Save(names) => Command::Save {
                repo,
                alts: alts::alts(&mark, names),
            },
            Act::Add(add) => {
                let member = self.member(&add.member);
                let (ed25519, x25519) = (member.member_id(), member.x25519_public_key());
                Command::Add {
                    repo,
                    ed25519_public_key: ed25519.to_owned(),
                    x25519_public_key: add.weak.map_or(x25519.to_owned(), weak_key),
                    key_binding_sig: add
                        .bound
                        .then(|| sign_binding(&self.member(ISSUER), ed25519, x25519)),
                }
            }
            Act::Remove(name) => Command::Remove {
                repo,
                member_id: self.member(name).member_id().to_owned(),
            },
            Act::Fetch(name) => Command::Fetch {
                repo,
                member_id: self.member(name).member_id().to_owned(),
            },
            Act::WriteInvite {} => Command::WriteInvite {},
            Act::WriteLocator(place) => Command::WriteLocator {
                host: place.host.clone(),
                repo: place.repo.clone(),
            },
            Act::ReadInvite(spelling) => Command::ReadInvite {
                token: invite(&self.member(&step.member), *spelling),
            },
            Act::ReadLocator(spelling) => Command::ReadLocator {
                token: locator(&host, &repo, *spelling),
            },
            Act::WriteAddress(place) => Command::WriteAddress {
                host: place.host.clone(),
                repo: place.repo.clone(),
            },
            Act::ReadAddress(place) => Command::ReadAddress {
                address: format!("avp://{}/{}", place.host, place.repo),
            },
            Act::Walk {} | Act::Plant(_) | Act::Leap(_) | Act::Restart {} | Act::Elsewhere {} => {
                return Err(self.stopped("a bug in the harness: this is no command", Verdict::Error));
            }
        })
    }

    /// Says a line and waits for the answer.
    async fn tell(&mut self, name: &str, act: Command, role: Role) -> Result<Reply, Stopped> {
        self.commands += 1;
        let path = act.name().to_owned();
        let line = Line {
            id: self.commands,
            member: name.to_owned(),
            act,
        };
        let line = serde_json::to_string(&line).unwrap_or_default();
        let at = self.began.elapsed();
        let of_case = self.context.patience.case_limit().unwrap_or(ANSWER_TIME);
        let left = of_case.saturating_sub(at).min(ANSWER_TIME);
        let Some(adapter) = &mut self.adapter else {
            return Err(self.stopped("the adapter was ended", Verdict::Blocked));
        };
        let came = adapter.ask(&line, left).await;
        let request = self.request(TELL, path.clone(), Some(Body::from(line)));
        let (outcome, reply) = read(came, self.commands);
        let exchange = self.exchange(Some(name), role, request, outcome, at);
        self.exchanges.push(exchange);
        self.collect()?;
        reply.map_err(|why| self.stopped(format!("{path} by {name}: {why}"), Verdict::Blocked))
    }

    /// What keeps a case from going on: a step that does not decide it and did not come to what it needs.
    fn heed(&self, steps: &[Step], step: &Step, reply: &Reply) -> Result<(), Stopped> {
        if reply.is_unsupported() {
            let why = "the adapter says that the client has no such function";
            return Err(self.stopped(why, Verdict::NotApplicable));
        }
        let last = steps.iter().rposition(|other| other.checks.is_none());
        let is_free = match &step.checks {
            Some(checks) => checks.is_empty(),
            None => last != self.at,
        };
        let is_done = reply.error.is_none();
        if is_free && step.answer == [Expected::Done] && !is_done {
            let why = format!("{} did not do what the case needs: {}", step.member, said(reply));
            return Err(self.stopped(why, Verdict::Blocked));
        }
        Ok(())
    }

    fn request(&self, method: &str, path: String, body: Option<Body>) -> Request {
        Request {
            service: VAULT,
            method: method.to_owned(),
            path,
            headers: Vec::new(),
            body,
        }
    }

    fn exchange(
        &self,
        actor: Option<&str>,
        role: Role,
        request: Request,
        outcome: Outcome,
        at: Duration,
    ) -> Exchange {
        Exchange {
            step: self.at,
            role,
            actor: actor.map(str::to_owned),
            wire: Wire::Command,
            ..Exchange::new(request, outcome, at, self.began.elapsed().saturating_sub(at))
        }
    }

    /// Takes over what the server has seen.
    fn collect(&mut self) -> Result<(), Stopped> {
        let host = self.host()?;
        let (seen, refused) = (host.take(), host.refused());
        self.exchanges.extend(seen);
        match refused {
            0 => Ok(()),
            _ => Err(self.stopped(
                format!("the client sent more than {MOST_REQUESTS} requests in one case"),
                Verdict::Blocked,
            )),
        }
    }

    /// Ends the adapter. What it wrote beside its answers is an exchange of its own.
    async fn end_adapter(&mut self) {
        self.known.clear();
        let Some(adapter) = self.adapter.take() else {
            return;
        };
        let at = self.began.elapsed();
        // It belongs to no step.
        self.at = None;
        let output = adapter.end().await;
        if output.is_empty() {
            return;
        }
        let outcome = Outcome::Answer(Answer {
            status: 0,
            headers: Vec::new(),
            body: Body::from(output),
        });
        let request = self.request(RUN, "the adapter".to_owned(), None);
        let exchange = self.exchange(None, Role::Step, request, outcome, at);
        self.exchanges.push(exchange);
    }

    /// The end.
    async fn finish(&mut self, mut stopped: Option<Stopped>) -> (Vec<Exchange>, Option<Stopped>) {
        self.end_adapter().await;
        if let (Err(late), None) = (self.collect(), &stopped) {
            stopped = Some(late);
        }
        self.host = None;
        let mut exchanges = std::mem::take(&mut self.exchanges);
        // A command stands before the requests that it led to.
        exchanges.sort_by_key(|exchange| exchange.at_us);
        (exchanges, stopped)
    }

    /// Looks for all that is secret, says who asked, and puts a word in the place of each signature.
    fn secrets(&self, transcript: &mut Transcript) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, member) in &self.members {
            secrets.private_keys(name, &member.secrets());
        }
        name_actors(&self.members, &mut transcript.exchanges, &mut secrets);
        let opened = Opened::of(&self.members, &transcript.exchanges);
        for key in &opened.keys {
            secrets.private_keys("data-key", &[*key.as_bytes()]);
        }
        let known: BTreeSet<[u8; 32]> = self
            .members
            .values()
            .flat_map(Identity::secrets)
            .chain(opened.keys.iter().map(|key| *key.as_bytes()))
            .collect();
        let leaked = Leaks::of(&transcript.exchanges);
        for key in leaked.keys(&opened.envelopes) {
            secrets.private_keys("leaked", &[key]);
        }
        for (text, key) in &leaked.numbers {
            if known.contains(key) || leaked.is_key(key, &opened.envelopes) {
                secrets.variant(
                    text,
                    &format!("{}leaked", PRIVATE_KEY_MARK.trim_start_matches('[')),
                );
            }
        }
        secrets
    }
}

/// Base64 in one spelling: that of the standard alphabet, without padding.
fn plain_base64(text: &str) -> String {
    text.trim_end_matches('=').replace('-', "+").replace('_', "/")
}

fn said(reply: &Reply) -> String {
    match (&reply.ok, &reply.error) {
        (_, Some(error)) => format!("{} ({})", word(error.kind), error.message),
        (Some(ok), None) => Value::Object(ok.clone()).to_string(),
        (None, None) => "neither ok nor error".to_owned(),
    }
}

/// A line as an answer: what is written down of it, and what it says. The error is one sentence.
fn read(came: Result<String, Silence>, id: u64) -> (Outcome, Result<Reply, String>) {
    let line = match came {
        Ok(line) => line,
        Err(silence) => {
            let (kind, why) = match silence {
                Silence::Ended(why) => (FailureKind::Closed, why),
                Silence::Late => (
                    FailureKind::Timeout,
                    "the adapter did not answer in time".to_owned(),
                ),
                Silence::Flood => (
                    FailureKind::TooLarge,
                    "the adapter's line does not end".to_owned(),
                ),
            };
            return (no_answer(kind, why.clone()), Err(why));
        }
    };
    let reply = read_reply(&line).and_then(|reply| {
        match (reply.id == id, reply.ok.is_some() != reply.error.is_some()) {
            (true, true) => Ok(reply),
            (false, _) => Err(format!("it answers command {}, not {id}", reply.id)),
            (_, false) => Err("it has to have either ok or error".to_owned()),
        }
    });
    let status = if reply.as_ref().is_ok_and(|reply| reply.error.is_none()) {
        0
    } else {
        1
    };
    let outcome = Outcome::Answer(Answer {
        status,
        headers: Vec::new(),
        body: Body::from(line),
    });
    (
        outcome,
        reply.map_err(|why| format!("the adapter's answer is none: {why}")),
    )
}

/// A reply that is a line. One that says `ok` and no more was done: null is all that it has to tell.
fn read_reply(line: &str) -> Result<Reply, String> {
    // The line itself is not told: it may hold keys.
    let no_reply = |why: serde_json::Error| {
        format!("a reply is one line of JSON, and logs belong on standard error ({why})")
    };
    let mut value: Value = serde_json::from_str(line).map_err(no_reply)?;
    if value.get("ok").is_some_and(Value::is_null) && value.get("error").is_none_or(Value::is_null) {
        value["ok"] = json!({});
    }
    serde_json::from_value(value).map_err(no_reply)
}

fn invite(member: &Identity, spelling: Spelling) -> String {
    let (ed25519, x25519) = (member.member_id(), member.x25519_public_key());
    token(
        &[
            ("v", json!(1)),
            ("ed25519PublicKey", ed25519.into()),
            ("x25519PublicKey", x25519.into()),
        ],
        spelling,
    )
}

fn locator(host: &str, repo: &str, spelling: Spelling) -> String {
    let repo = match spelling {
        Spelling::Letters => format!("{repo}/\u{e9}\"\u{2713}"),
        _ => repo.to_owned(),
    };
    let mut fields = vec![("v", json!(1)), ("host", host.into()), ("repoId", repo.into())];
    match spelling {
        Spelling::Least => {}
        Spelling::Nulls => {
            fields.extend(["schemeId", "keyEpoch", "issuerJwksUrl"].map(|name| (name, Value::Null)));
        }
        _ => {
            fields.push(("schemeId", DEFAULT_SCHEME.into()));
            fields.push(("keyEpoch", json!(3)));
        }
    }
    token(&fields, spelling)
}

fn token(fields: &[(&str, Value)], spelling: Spelling) -> String {
    let (between, around) = match spelling {
        Spelling::Spaced => (" ,\n ", " \n"),
        _ => (",", ""),
    };
    let field = |(name, value): &(&str, Value)| match spelling {
        Spelling::Spaced => format!("\"{name}\" :\t{value}"),
        _ => format!("\"{name}\":{value}"),
    };
    let mut fields: Vec<String> = fields.iter().map(field).collect();
    if spelling == Spelling::OtherOrder {
        fields.reverse();
    }
    URL_SAFE_NO_PAD.encode(format!(
        "{around}{{{around}{}{around}}}{around}",
        fields.join(between)
    ))
}

/// Says of each request who made it, by its token and its key; hides tokens, and says of each signature what it is over.
fn name_actors(members: &BTreeMap<String, Identity>, exchanges: &mut [Exchange], secrets: &mut Secrets) {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (name, member) in members {
        names.insert(member.member_id().to_owned(), name.clone());
    }
    let mut tokens: BTreeMap<String, String> = BTreeMap::new();
    let mut nonces: BTreeSet<String> = BTreeSet::new();
    for exchange in exchanges.iter_mut().filter(|it| it.wire == Wire::Http) {
        let body = exchange.request.body_bytes();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = exchange.outcome.answer();
        let answer: Value = answer
            .and_then(|answer| serde_json::from_slice(answer.body.as_bytes()).ok())
            .unwrap_or_default();
        let id = body["ed25519PublicKey"].as_str().map(str::to_owned);
        let number = names.len();
        let of_key = id.map(|id| {
            let fresh = format!("member-{}", number.saturating_sub(members.len()) + 1);
            names.entry(id).or_insert(fresh).clone()
        });
        let bearer = bearer(exchange).map(str::to_owned);
        let of_token = bearer.and_then(|token| tokens.get(&token).cloned());
        exchange.actor = of_token.or_else(|| of_key.clone());
        nonces.extend(answer["nonce"].as_str().map(str::to_owned));
        if let (Some(token), Some(name)) = (answer["token"].as_str(), of_key) {
            secrets.token(&name, token);
            tokens.insert(token.to_owned(), name);
        }
        if let Some(signature) = body["signature"].as_str() {
            let over = format!("{SIGNATURE_MARK}{}]", signed(&body, signature, &nonces));
            let text = exchange
                .request
                .body
                .as_ref()
                .map(|body| body.to_text().into_owned());
            let text = text.unwrap_or_default();
            // Escapes are undone: what is left is the same value.
            let mut hidden = body.clone();
            hidden["signature"] = over.as_str().into();
            let replaced = match text.contains(signature) {
                true => text.replace(signature, &over),
                false => hidden.to_string(),
            };
            exchange.request.body = Some(Body::from(replaced));
        }
    }
}

/// What a signature is over.
fn signed(body: &Value, signature: &str, nonces: &BTreeSet<String>) -> &'static str {
    let key = body["ed25519PublicKey"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok());
    let key: Option<[u8; 32]> = key.and_then(|key| key.try_into().ok());
    let bytes = STANDARD
        .decode(signature)
        .or_else(|_| URL_SAFE.decode(signature))
        .ok();
    let bytes: Option<[u8; 64]> = bytes.and_then(|bytes| bytes.try_into().ok());
    let nonce = body["nonce"].as_str().unwrap_or_default();
    let (Some(key), Some(bytes)) = (key, bytes) else {
        return "of another form";
    };
    let raw = STANDARD.decode(nonce).unwrap_or_default();
    if !nonces.contains(nonce) {
        return "for a nonce that was not issued";
    }
    if ed25519_verify(&key, &raw, &bytes) {
        return OVER_BYTES;
    }
    match ed25519_verify(&key, nonce.as_bytes(), &bytes) {
        true => "over the text of the nonce",
        false => "over something else",
    }
}

/// Data keys that members hold, and envelopes that were seen.
struct Opened {
    keys: Vec<DataKey>,
    envelopes: Vec<EncryptedEnvelope>,
}

impl Opened {
    fn of(members: &BTreeMap<String, Identity>, exchanges: &[Exchange]) -> Opened {
        let mut opened = Opened {
            keys: Vec::new(),
            envelopes: Vec::new(),
        };
        for exchange in exchanges.iter().filter(|it| it.wire == Wire::Http) {
            let body = exchange.request.body_bytes();
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            for pointer in ["/initialEnvelope", "/envelope", "/rotatedEnvelope"] {
                let envelope = body.pointer(pointer).cloned();
                opened
                    .envelopes
                    .extend(envelope.and_then(|it| serde_json::from_value(it).ok()));
            }
            let mut entries: Vec<MemberEntry> = Vec::new();
            for pointer in ["/manifest/members", "/rewrappedMembers", "/rotatedMembers"] {
                let list = body.pointer(pointer).cloned();
                entries.extend(
                    list.and_then(|it| serde_json::from_value::<Vec<_>>(it).ok())
                        .unwrap_or_default(),
                );
            }
            entries.extend(
                body.get("member")
                    .and_then(|it| serde_json::from_value(it.clone()).ok()),
            );
            for entry in entries {
                let member = members
                    .values()
                    .find(|it| it.member_id() == entry.ed25519_public_key);
                let key = member.and_then(|member| member.unwrap_key(&entry.wrapped_data_key).ok());
                let key = key.map(DataKey::from_bytes);
                let is_new = key.as_ref().is_some_and(|key| !opened.keys.contains(key));
                opened.keys.extend(key.filter(|_| is_new));
            }
        }
        opened
    }
}

/// What stands in requests and outputs and may be a key that nobody told the harness.
#[derive(Default)]
struct Leaks {
    public: BTreeSet<String>,
    words: BTreeSet<String>,
    /// What is written as 32 numbers, as text and as bytes.
    numbers: Vec<(String, [u8; 32])>,
}

impl Leaks {
    fn of(exchanges: &[Exchange]) -> Leaks {
        let mut leaks = Leaks::default();
        for exchange in exchanges {
            let request = &exchange.request;
            for (_, value) in &request.headers {
                leaks.take(value);
            }
            if exchange.wire == Wire::Http {
                leaks.take(&request.path);
                let body = request.body.as_ref();
                leaks.take(&body.map(|body| body.to_text().into_owned()).unwrap_or_default());
                let body: Value = body
                    .and_then(|body| serde_json::from_slice(body.as_bytes()).ok())
                    .unwrap_or_default();
                keys_of(&body, &mut leaks.public);
            } else if let Some(answer) = exchange.outcome.answer() {
                let text = answer.body.to_text();
                leaks.take(&text);
                leaks.numbers.extend(numbers(&text));
            }
        }
        leaks
    }

    fn take(&mut self, text: &str) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c)) {
            if (43..=64).contains(&word.len()) {
                self.words.insert(word.to_owned());
            }
        }
    }

    /// Those that belong to somebody who was seen, or open what was written.
    fn keys(&self, envelopes: &[EncryptedEnvelope]) -> Vec<[u8; 32]> {
        let unknown = self.words.iter().filter(|text| !self.public.contains(*text));
        let candidates: BTreeSet<[u8; 32]> = unknown
            .filter_map(|text| decoded(text))
            .take(MOST_CANDIDATES)
            .collect();
        candidates
            .into_iter()
            .filter(|key| self.is_key(key, envelopes))
            .collect()
    }

    fn is_key(&self, key: &[u8; 32], envelopes: &[EncryptedEnvelope]) -> bool {
        let own = [
            encode(&ed25519_public_key(&ed25519_key_pair(key))),
            encode(&x25519_public_key(key)),
        ];
        let data_key = DataKey::from_bytes(*key);
        own.iter().any(|id| self.public.contains(id))
            || envelopes
                .iter()
                .any(|envelope| open_payload(&data_key, envelope).is_ok())
    }
}

/// Wherever 32 numbers stand in a row, decimal or of two hexadecimal digits, as languages print arrays of bytes.
fn numbers(text: &str) -> Vec<(String, [u8; 32])> {
    let mut found = Vec::new();
    let mut row: Vec<(usize, &str)> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    let is_between = |c: char| !c.is_ascii_alphanumeric();
    for piece in text.split_inclusive(is_between) {
        let (at, word) = (begin, piece.trim_end_matches(is_between));
        begin += piece.len();
        if word.is_empty() {
            continue;
        }
        let is_next = text[end..at]
            .chars()
            .all(|c| c.is_whitespace() || ",:;".contains(c));
        if !is_next || word.len() > 4 {
            row.clear();
        }
        end = at + word.len();
        if word.len() <= 4 {
            row.push((at, word));
        }
        let Some(last) = row.len().checked_sub(32).map(|first| &row[first..]) else {
            continue;
        };
        let decimal = |(_, word): &(usize, &str)| word.parse::<u8>().ok();
        let hex = |(_, word): &(usize, &str)| {
            let digits = word.strip_prefix("0x").unwrap_or(word);
            (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
        };
        for bytes in [
            last.iter().map(decimal).collect::<Option<Vec<u8>>>(),
            last.iter().map(hex).collect(),
        ] {
            let key = bytes.and_then(|bytes| bytes.try_into().ok());
            found.extend(key.map(|key| (text[last[0].0..end].to_owned(), key)));
        }
        if found.len() >= MOST_CANDIDATES {
            break;
        }
    }
    found
}

/// All public keys that stand in a body.
fn keys_of(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value.as_str() {
                    Some(text) if name.ends_with("PublicKey") || name == "removedMemberId" => {
                        keys.insert(text.to_owned());
                    }
                    _ => keys_of(value, keys),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys_of(value, keys)),
        _ => {}
    }
}

/// The 32 bytes that a text may stand for.
fn decoded(text: &str) -> Option<[u8; 32]> {
    let hex = || {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok();
        is_hex.then(|| (0..32).map(byte).collect::<Option<Vec<u8>>>())?
    };
    let bare = text.trim_end_matches('=');
    let bytes = hex()
        .or_else(|| STANDARD_NO_PAD.decode(bare).ok())
        .or_else(|| URL_SAFE_NO_PAD.decode(bare).ok())?;
    // Behind the head of PKCS #8 stands the key.
    let bytes = match bytes.strip_prefix(&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65]) {
        Some(rest) if rest.len() == 37 => rest[5..].to_vec(),
        _ => bytes,
    };
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_as_languages_print_them() {
        let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 7 % 256).unwrap());
        let joined = |form: fn(u8) -> String, between: &str| key.map(form).join(between);
        let decimal = |byte: u8| byte.to_string();
        for text in [
            format!("key: [{}]", joined(decimal, ", ")),
            format!("[{}]", joined(decimal, " ")),
            format!("[\n   {}\n]", joined(decimal, ",\n   ")),
            format!("<Buffer {}>", joined(|byte| format!("{byte:02x}"), " ")),
            format!("{{{}}}", joined(|byte| format!("0x{byte:02X}"), ", ")),
        ] {
            let found = numbers(&text);
            assert!(
                found.iter().any(|(at, bytes)| *bytes == key && text.contains(at)),
                "{text}"
            );
        }
        assert!(numbers("12, 13, 14").is_empty());
        assert!(numbers(&joined(decimal, " and ")).is_empty());
    }

    #[test]
    fn the_key_in_pkcs_8_is_found() {
        let head = [
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        let text = encode(&[&head[..], &[7; 32]].concat());
        assert_eq!(decoded(&text), Some([7; 32]));
    }
}
