//! The script itself.

use std::fmt::Write as _;

use super::shell::{Words, name};
use super::{Plan, tainted};
use crate::avp::cases::TokenForm;
use crate::avp::{Operation, actors};
use crate::http::{Exchange, Outcome, Role, Service};
use crate::keys::SignatureForm;
use crate::record::transcript::{SIGNATURE_MARK, TOKEN_MARK};
use crate::text::{encode_segment, visible, visible_cut};

/// What every script begins with.
const PRELUDE: &str = include_str!("prelude.sh");
/// A body above this is not written into a script.
const LARGEST_BODY: usize = 256 << 10;

/// A script that is being written.
struct Script<'a> {
    plan: &'a Plan<'a>,
    out: String,
    /// What stands in bodies and headers for keys, ids, nonces and tokens of the run.
    words: Words,
    /// The same for paths, where they are escaped.
    paths: Words,
    left_out: Vec<String>,
}

pub(super) fn write(plan: &Plan<'_>) -> String {
    let mut script = Script {
        plan,
        out: String::new(),
        words: Words::default(),
        paths: Words::default(),
        left_out: Vec::new(),
    };
    script.keys();
    script.requests();
    script.conclusion();
    let (body, left_out) = (script.out, script.left_out);
    format!("{}{PRELUDE}\n{body}", head(plan, &left_out))
}

fn head(plan: &Plan<'_>, left_out: &[String]) -> String {
    let case = plan.case;
    let mut out = String::from("#!/bin/sh\n");
    let mut line = |text: &str| _ = writeln!(out, "# {text}");
    line(&format!("{}: {}", visible(&case.id), visible(&case.title)));
    if let Some(check) = plan.check {
        line(&format!(
            "Requirement: {}",
            visible(&check.requirements.join(" "))
        ));
        line(&format!("Expected: {}", visible_cut(&check.expected, 300)));
        line(&format!("Got: {}", visible_cut(&check.got, 300)));
    }
    line("");
    line("Usage: TARGET=http://localhost:8787 sh script.sh   (IDP=... if the identity provider differs)");
    line(
        "Needs curl and openssl 3. Ends with 0 where the decisive answer has the recorded status, else with 1.",
    );
    line("");
    line(
        "Not the same as in the run: keys and repository ids are made up here; ciphertexts, wrapped keys and",
    );
    line(
        "key bindings are the recorded bytes, which nobody can open with the keys made up here (a server cannot",
    );
    line("tell); concurrent requests go out about, not exactly, at once; what is stored is not compared.");
    for text in left_out {
        line(&format!("Not made again: {text}"));
    }
    let default = |name: &str, url: &str| match url {
        "embedded" => "-'http://localhost:8787'".to_owned(),
        url if url.contains("{port}") => {
            let command = plan.record.exec.as_deref().unwrap_or_default();
            let command = visible(command).replace(['\'', '"', '`', '$', '\\', '}'], "");
            format!("?start the server ({command}) and set {name} to its address")
        }
        other => format!("-'{}'", visible(other).replace('\'', "")),
    };
    let target = default("TARGET", &plan.record.target);
    _ = writeln!(out, "\nTARGET=${{TARGET:{target}}}");
    match &plan.record.idp {
        Some(idp) => _ = writeln!(out, "IDP=${{IDP:{}}}", default("IDP", idp)),
        None => out.push_str("IDP=${IDP:-$TARGET}\n"),
    }
    out
}

impl Script<'_> {
    fn line(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    /// A throw-away key pair of each kind for everybody, and an id of its own for the repositories.
    fn keys(&mut self) {
        let scope = self.plan.scope();
        self.line("unique=$(openssl rand -hex 10)");
        let unique = actors::unique(&self.plan.seed, &scope);
        self.words.add(unique.clone(), "unique");
        self.paths.add(unique, "unique");
        for actor in self.plan.actors() {
            let identity = actors::identity(&self.plan.seed, &scope, actor);
            let (id, who) = (identity.member_id(), name(actor));
            self.line(format!("member {who}"));
            self.line(format!(
                "id_{who}=$id x25519_{who}=$x25519 path_{who}=$path loose_{who}=$loose"
            ));
            self.words.add(id, format!("id_{who}"));
            self.words
                .add(identity.x25519_public_key(), format!("x25519_{who}"));
            self.paths.add(encode_segment(id), format!("path_{who}"));
            self.paths.add(id.replace('/', "%2F"), format!("loose_{who}"));
        }
    }

    fn requests(&mut self) {
        let exchanges = self.plan.exchanges();
        let mut at = 0;
        while at < exchanges.len() {
            let (index, exchange) = exchanges[at];
            let next = exchanges.get(at + 1).map(|(_, exchange)| *exchange);
            if next.is_some_and(|next| is_login(exchange, next)) {
                self.login(exchanges[at + 1].1);
                at += 2;
            } else if self.plan.is_race(exchange) {
                let same =
                    |(_, it): &&(usize, &Exchange)| it.at_us == exchange.at_us && it.role == Role::Step;
                let length = exchanges[at..].iter().take_while(same).count();
                self.race(&exchanges[at..at + length]);
                at += length;
            } else {
                self.single(index, exchange);
                at += 1;
            }
        }
    }

    fn login(&mut self, granted: &Exchange) {
        let who = name(granted.actor.as_deref().unwrap_or_default());
        self.line(format!("\nsay '{who} logs in'\nlogin {who} \"$id_{who}\""));
        self.keep_token(granted);
    }

    /// The token of an answer, under the name that stands for it in later requests.
    fn keep_token(&mut self, exchange: &Exchange) {
        let text = exchange.outcome.answer().and_then(|answer| answer.body.as_text());
        if let Some(mark) = text.and_then(|text| placeholder(text, TOKEN_MARK)) {
            let variable = name(mark.trim_matches(['[', ']']));
            self.line(format!("{variable}=$(field token)"));
            self.words.add(mark, variable.clone());
            self.paths.add(mark, variable);
        }
    }

    fn single(&mut self, index: usize, exchange: &Exchange) {
        self.line(format!("\nsay {}", self.words.quoted(&about(exchange))));
        let Some(request) = self.request(exchange) else {
            return self.leave_out(exchange);
        };
        self.line(request);
        match exchange.role {
            Role::Setup => self.line("granted"),
            _ => self.line("show"),
        }
        if Operation::of(exchange) == Some(Operation::Challenge) {
            self.keep_nonce(index, exchange);
        }
        if Operation::of(exchange) == Some(Operation::Token) {
            self.keep_token(exchange);
        }
    }

    fn keep_nonce(&mut self, index: usize, exchange: &Exchange) {
        let answer = exchange.outcome.answer();
        let body = answer
            .and_then(|answer| serde_json::from_slice::<serde_json::Value>(answer.body.as_bytes()).ok());
        if let Some(nonce) = body.as_ref().and_then(|body| body.get("nonce")?.as_str()) {
            self.line(format!("nonce_{index}=$(field nonce)"));
            self.words.add(nonce, format!("nonce_{index}"));
        }
    }

    /// Requests that went out together.
    fn race(&mut self, exchanges: &[(usize, &Exchange)]) {
        self.line(format!("\nsay '{} requests at once'", exchanges.len()));
        for (index, exchange) in exchanges {
            let Some(request) = self.request(exchange) else {
                self.leave_out(exchange);
                continue;
            };
            let about = self.words.quoted(&about(exchange));
            self.line(format!(
                "(\nmkdir \"$work/{index}\"; cp \"$work\"/*.pem \"$work/{index}\"; work=$work/{index}\n{request}\n\
                 printf '%s' \"$status\" >\"$work/status\"; say {about}; show\n) &"
            ));
        }
        self.line("wait");
        if exchanges.iter().any(|(index, _)| *index == self.plan.decisive) {
            self.line(format!("status=$(cat \"$work/{}/status\")", self.plan.decisive));
        }
    }

    fn leave_out(&mut self, exchange: &Exchange) {
        self.line("say '  (not made again: see the head of this script)'");
        self.left_out.push(about(exchange));
    }

    /// The commands of one request; none where a script cannot make it.
    fn request(&mut self, exchange: &Exchange) -> Option<String> {
        let request = &exchange.request;
        let base = match request.service {
            Service::Vault => "$TARGET",
            Service::Idp => "$IDP",
        };
        let mut out = String::new();
        let mut words = self.words.clone();
        if let Some(text) = request.body.as_ref().and_then(|body| body.as_text())
            && let Some(mark) = placeholder(text, SIGNATURE_MARK)
        {
            out = self.signature(exchange, text)?;
            words.add(mark, "signature");
        }
        let mut fields = Vec::new();
        for (field, value) in &request.headers {
            let value = match field.eq_ignore_ascii_case("authorization") {
                true => self.authorization(value)?,
                false => words.quoted(value),
            };
            fields.push(format!(" -H {}{value}", words.quoted(&format!("{field}: "))));
        }
        let path = self.paths.quoted(&request.path);
        let mut line = format!("send {} \"{base}\" {path}", words.quoted(&request.method));
        line.push_str(&fields.concat());
        if let Some(body) = &request.body {
            if body.len() > LARGEST_BODY {
                return None;
            }
            _ = writeln!(out, "{} >\"$work/body\"", words.printed(body.as_bytes()));
            // curl names a content type of its own unless told.
            if !request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                line.push_str(" -H 'Content-Type:'");
            }
            line.push_str(" --data-binary @\"$work/body\"");
        }
        Some(format!("{out}{line}"))
    }

    /// The value of an `Authorization` field as it was written down: a placeholder, and how it deviates.
    fn authorization(&self, value: &str) -> Option<String> {
        let Some((mark, rest)) = value
            .strip_prefix("Bearer ")
            .and_then(|shown| shown.split_once(']'))
            .filter(|(mark, _)| mark.starts_with(TOKEN_MARK))
        else {
            return Some(self.words.quoted(value));
        };
        let variable = name(mark.trim_start_matches('['));
        match rest.strip_prefix(", ") {
            None => Some(format!("\"Bearer ${{{variable}}}\"")),
            Some(form) => match tainted::token_form(form) {
                Some(TokenForm::OtherServer) | None => None,
                Some(form) => tainted::authorization(&form, &variable),
            },
        }
    }

    /// Signs the nonce of a redemption as the run did.
    fn signature(&self, exchange: &Exchange, body: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        let nonce = body.get("nonce")?.as_str()?;
        let spoiled = exchange.spoiled.as_deref().unwrap_or_default();
        let named = |key: &str| spoiled.split("; ").find_map(|part| part.strip_prefix(key));
        let form = match named("signature: ") {
            Some(form) => SignatureForm::ALL
                .into_iter()
                .find(|known| known.name() == form)?,
            None => SignatureForm::Valid,
        };
        let signer = named("signed by ").or(exchange.actor.as_deref())?;
        let signed = tainted::signature(form, &name(signer))?;
        Some(format!("nonce={}\n{signed}\n", self.words.quoted(nonce)))
    }

    fn conclusion(&mut self) {
        let exchange = &self.plan.case.exchanges[self.plan.decisive];
        let recorded = match &exchange.outcome {
            Outcome::Answer(answer) => answer.status.to_string(),
            Outcome::Failure(_) => "none".to_owned(),
        };
        if let Outcome::Answer(answer) = &exchange.outcome {
            let body = visible_cut(&String::from_utf8_lossy(answer.body.as_bytes()), 600);
            self.line(format!(
                "\nsay {}",
                Words::default().quoted(&format!("recorded: status {recorded} {body}"))
            ));
        }
        if let Some(check) = self.plan.check {
            let expected = visible_cut(&check.expected, 300);
            self.line(format!(
                "say {}",
                Words::default().quoted(&format!("expected: {expected}"))
            ));
        }
        self.line(format!(
            "if [ \"$status\" = {recorded} ]; then say 'the same status as recorded'; else say \"another status \
             than recorded: $status\"; exit 1; fi"
        ));
    }
}

/// Whether these two are an actor's way to a token that the case takes for granted.
fn is_login(challenge: &Exchange, token: &Exchange) -> bool {
    let granted = token.outcome.answer().is_some_and(|answer| answer.status == 200);
    let setup = challenge.role == Role::Setup && token.role == Role::Setup;
    setup
        && granted
        && challenge.actor == token.actor
        && Operation::of(challenge) == Some(Operation::Challenge)
        && Operation::of(token) == Some(Operation::Token)
}

/// The first placeholder of a kind in a text.
fn placeholder<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let start = text.find(mark)?;
    let length = text[start..].find(']')? + 1;
    Some(&text[start..start + length])
}

/// What a request is, in a few words.
fn about(exchange: &Exchange) -> String {
    let what = exchange
        .operation
        .as_ref()
        .map_or(exchange.request.method.as_str(), |operation| operation.as_str());
    let who = exchange.actor.as_deref().unwrap_or("nobody");
    let place = match (exchange.role, exchange.step) {
        (Role::Step, Some(step)) => format!("step {}: ", step + 1),
        (Role::Audit, _) => "look: ".to_owned(),
        _ => String::new(),
    };
    let how = exchange
        .spoiled
        .as_deref()
        .map(|how| format!(" ({how})"))
        .unwrap_or_default();
    visible_cut(&format!("{place}{what} by {who}{how}"), 300)
}
