//! Drives cases of plain HTTP steps: fills in what earlier answers gave, signs, sends, follows pages, and stops with a fact.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::{Conversation, LiveSecrets, Message, RunContext, Wish};
use crate::case::http_steps::{
    Call, HttpProtocol, HttpStep, Pages, Unsigned, Variables, is_success, item_ids, items, operation_name,
    redirected,
};
use crate::http::{Answer, Body, Request, Role, Service};
use crate::json;
use crate::keys::encoding::hex;
use crate::record::Stopped;
use crate::record::transcript::Transcript;

/// So often a request is sent on to the same path with a slash more or less.
const MOST_REDIRECTS: usize = 2;
/// So many pages without anything new, and no end is waited for.
pub const IDLE_PAGES: usize = 3;

/// Drives a case from its first step to its last. Nothing of it is secret: whoever is to hide signatures says so afterwards.
pub async fn drive<S: Clone + Sync>(
    id: &str,
    steps: &[HttpStep<S>],
    protocol: &HttpProtocol<S>,
    context: &RunContext,
) -> (Transcript, LiveSecrets) {
    let mut driver = Driver {
        protocol,
        context,
        talk: Conversation::new(context),
        known: Variables::new(&context.seed, context.generation, id),
    };
    let ended = tokio::select! {
        biased;
        reason = context.patience.halt().called() => Err(reason),
        ended = driver.run(steps) => Ok(ended),
    };
    let stopped = match ended {
        Ok(ended) => ended.err(),
        Err(reason) => Some(driver.talk.error(reason)),
    };
    (driver.talk.finish(stopped), LiveSecrets::default())
}

struct Driver<'a, S: 'static> {
    protocol: &'a HttpProtocol<S>,
    context: &'a RunContext,
    talk: Conversation<'a>,
    known: Variables,
}

impl<S: Clone + Sync> Driver<'_, S> {
    async fn run(&mut self, steps: &[HttpStep<S>]) -> Result<(), Stopped> {
        for (index, step) in steps.iter().enumerate() {
            self.talk.step(index);
            if let Some(variables) = &step.start {
                if !self.start(variables).await? {
                    return match step.may_refuse {
                        true => Ok(()),
                        false => Err(self.talk.blocked("the server did not start as the case wants it")),
                    };
                }
                continue;
            }
            let service = self.service(step)?;
            self.known.begin(step.for_each.as_deref());
            match (&step.pages, step.at_once) {
                (Some(pages), _) => self.pages(step, pages, &service).await?,
                (None, true) => self.at_once(step, &service).await?,
                (None, false) => self.in_turn(step, &service).await?,
            }
        }
        Ok(())
    }

    /// Starts a server for this case alone. False where it does not start.
    async fn start(&mut self, variables: &BTreeMap<String, String>) -> Result<bool, Stopped> {
        let filled = |text: &str| match self.context.keys.first() {
            Some(key) => text
                .replace("${key-id}", &key.id)
                .replace("${key-base64url}", &URL_SAFE_NO_PAD.encode(key.public()))
                .replace("${key-base64}", &STANDARD.encode(key.public()))
                .replace("${key-hex}", &hex(&key.public())),
            None => text.to_owned(),
        };
        let environment = variables.iter().map(|(name, value)| {
            let value = (!value.is_empty()).then(|| filled(value));
            (filled(name), value)
        });
        let environment = environment.collect();
        self.talk
            .start_server(Wish {
                environment,
                ..Wish::default()
            })
            .await
    }

    /// The service that a step asks.
    fn service(&self, step: &HttpStep<S>) -> Result<Service, Stopped> {
        let named: Vec<&Service> = self.talk.client().services().collect();
        let is_there = |name: &str| named.is_empty() || named.iter().any(|service| service.as_str() == name);
        let known = |name: &str| {
            self.protocol
                .services
                .iter()
                .find(|known| **known == name)
                .copied()
        };
        match &step.on {
            Some(name) => known(name)
                .filter(|name| is_there(name))
                .map(Service::new)
                .ok_or_else(|| {
                    self.talk
                        .not_applicable(format!("no server was named that is {name}"))
                }),
            None => self
                .protocol
                .services
                .iter()
                .find(|name| is_there(name))
                .map(|name| Service::new(name))
                .ok_or_else(|| self.talk.not_applicable("no server was named")),
        }
    }

    async fn in_turn(&mut self, step: &HttpStep<S>, service: &Service) -> Result<(), Stopped> {
        for n in 0..step.times(&self.known) {
            self.known.n = n;
            for variant in 0..step.variants() {
                let call = self.call(step, variant)?;
                let round = n * step.variants() + variant;
                let answer = self.send(&call, service, round).await?;
                self.keep(step, answer.as_ref())?;
            }
        }
        Ok(())
    }

    async fn at_once(&mut self, step: &HttpStep<S>, service: &Service) -> Result<(), Stopped> {
        let mut calls = Vec::new();
        for n in 0..step.times(&self.known) {
            self.known.n = n;
            for variant in 0..step.variants() {
                calls.push(self.call(step, variant)?);
            }
        }
        for _ in 0..=MOST_REDIRECTS {
            let messages: Result<Vec<Message>, Stopped> =
                calls.iter().map(|call| self.message(call, service)).collect();
            let answers = self.talk.send_at_once(&messages?, 0).await?;
            // What comes then goes by what each of them did, where they are not alike.
            if step.variants() > 1 && answers.iter().any(Option::is_none) {
                return Err(self
                    .talk
                    .not_applicable("one of the requests at the same moment was not executed"));
            }
            let mut sent_on = Vec::new();
            for (call, answer) in calls.into_iter().zip(answers) {
                match answer.as_ref().and_then(|answer| redirected(&call.path, answer)) {
                    Some(path) => sent_on.push(Call { path, ..call }),
                    None => self.keep(step, answer.as_ref())?,
                }
            }
            calls = sent_on;
            if calls.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Asks for one page after the other: by the name that a page gives for the next, or, where it gives none although
    /// something is still missing, by the last item.
    async fn pages(&mut self, step: &HttpStep<S>, pages: &Pages, service: &Service) -> Result<(), Stopped> {
        let (mut seen, mut idle, mut is_guess) = (Vec::new(), 0, false);
        let mut call = self.call(step, 0)?;
        let first = call.path.clone();
        for round in 0..pages.most {
            let Some(answer) = self.send(&call, service, round).await? else {
                return Ok(());
            };
            let ids = item_ids(pages, &items(&answer, &pages.items));
            let new = ids.iter().filter(|id| !seen.contains(*id)).count();
            idle = if new == 0 { idle + 1 } else { 0 };
            let last = ids.last().cloned();
            seen.extend(ids);
            let misses = self.known.all(&pages.show).iter().any(|id| !seen.contains(id));
            let named = (self.protocol.next_page)(&answer);
            let is_start_again = is_guess && new == 0;
            is_guess = named.is_none();
            let next = match named {
                // What no page named, and shows nothing new, is the list from its start again.
                _ if is_start_again => None,
                Some(next) => Some(next),
                // Where the text says nothing of the next page, the last item may name it.
                None if misses && new > 0 => last.and_then(|id| id.as_str().map(str::to_owned)),
                None => None,
            };
            let Some(next) = next.filter(|_| idle < IDLE_PAGES && answer.status == 200) else {
                return Ok(());
            };
            let joint = if first.contains('?') { '&' } else { '?' };
            let next = crate::text::encode_segment(&next);
            call.path = format!("{first}{joint}{}={next}", pages.parameter);
        }
        Ok(())
    }

    fn call<'s>(&self, step: &'s HttpStep<S>, variant: usize) -> Result<Call<'s, S>, Stopped> {
        let call = step.call(variant, self.protocol.operations, &self.known);
        call.map_err(|why| self.talk.blocked(why))
    }

    fn message(&self, call: &Call<'_, S>, service: &Service) -> Result<Message, Stopped> {
        let endpoint = self.talk.client().endpoint(service).to_string();
        let host = call.headers.iter().find(|(name, _)| name == "host");
        let origin = match host {
            Some((_, host)) => at_another_host(&endpoint, host),
            None => endpoint.clone(),
        };
        let signed = (self.protocol.sign)(
            &Unsigned {
                service: service.as_str(),
                method: &call.method,
                url: &format!("{origin}{}", call.path),
                asked_at: &format!("{endpoint}{}", call.path),
                body: call.body.as_deref(),
                keys: &self.context.keys,
                now: Timestamp::now().as_second(),
                unique: self.known.unique(),
            },
            call.sign,
        );
        let signed = signed.map_err(|why| self.talk.not_applicable(why))?;
        let abouts = call.about.iter().chain(&signed.about);
        let abouts: Vec<&str> = abouts.map(String::as_str).collect();
        Ok(Message {
            request: Request {
                service: service.clone(),
                method: call.method.clone(),
                path: call.path.clone(),
                headers: [&call.headers[..], &signed.headers].concat(),
                body: call.body.clone().map(Body::from),
            },
            operation: operation_name(call.operation),
            is_spent_by_use: call
                .operation
                .map_or(call.method != "GET", |it| it.is_spent_by_use),
            actor: "client".to_owned(),
            spoiled: (!abouts.is_empty()).then(|| abouts.join("; ")),
        })
    }

    async fn send(
        &mut self,
        call: &Call<'_, S>,
        service: &Service,
        round: usize,
    ) -> Result<Option<Answer>, Stopped> {
        let mut call = call.clone();
        for _ in 0..MOST_REDIRECTS {
            let message = self.message(&call, service)?;
            let answer = self.talk.send(&message, Role::Step, round).await?;
            match answer.as_ref().and_then(|answer| redirected(&call.path, answer)) {
                Some(path) => call.path = path,
                None => return Ok(answer),
            }
        }
        let message = self.message(&call, service)?;
        self.talk.send(&message, Role::Step, round).await
    }

    /// Keeps what a step wants of an answer. A case whose steps have nothing to go on with ends.
    fn keep(&mut self, step: &HttpStep<S>, answer: Option<&Answer>) -> Result<(), Stopped> {
        if let Some(answer) = answer {
            // What it does not have is judged where the value is wanted.
            _ = self.known.keep(&step.keep_if_granted, answer);
        }
        let Some(answer) = answer.filter(|_| !step.keep.is_empty()) else {
            return Ok(());
        };
        match answer.status {
            _ if step.at_once || is_success(answer.status) => {}
            413 | 503 => {
                let reason = format!(
                    "the server's own limit refused a request first: status {}",
                    answer.status
                );
                return Err(self.talk.not_applicable(reason));
            }
            status => {
                let reason = format!("the answer that is to be gone on with is a refusal: status {status}");
                return Err(self.talk.blocked(reason));
            }
        }
        let is_json = json::first(answer.body.as_bytes()).is_some();
        let kept = self.known.keep(&step.keep, answer);
        kept.map_err(|why| match is_json {
            true => self.talk.blocked(why),
            false => self
                .talk
                .blocked("the answer that is to be gone on with is no JSON"),
        })
    }
}

/// An address with another authority in it.
fn at_another_host(address: &str, host: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    format!("{scheme}://{host}{path}")
}
