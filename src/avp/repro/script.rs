//! The script itself.

use std::fmt::Write as _;

use super::{has_calls, scope, tainted};
use crate::avp::cases::TokenForm;
use crate::avp::cases::model::CallForm;
use crate::avp::driver::{EARLIER_SIGNATURE, LOOKALIKES};
use crate::avp::{IDP, Operation, actors};
use crate::http::{CANCEL, Exchange, Outcome, Role, Wire};
use crate::keys::SignatureForm;
use crate::record::transcript::{SIGNATURE_MARK, TOKEN_MARK};
use crate::repro::{self, LARGEST_BODY, PRELUDE, Plan, Text, Words, kind, name, send, status};
use crate::text::{encode_segment, with_small_escapes};

/// What every script begins with behind what those of all protocols do.
const AVP: &str = include_str!("avp.sh");
/// What those begin with beside that make calls over gRPC.
const CALLS: &str = include_str!("calls.sh");
/// The service, for those.
const SERVICE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/avp.proto"));
/// A script that is being written.
struct Script<'a> {
    plan: &'a Plan<'a>,
    text: Text<'a>,
    /// The words of the text, for paths, where they are escaped.
    paths: Words,
    /// What stands in the run for the signature that the script has made last.
    signed: Option<String>,
}

pub(super) fn write(plan: &Plan<'_>) -> String {
    let mut script = Script {
        plan,
        text: Text::new(plan),
        paths: Words::default(),
        signed: None,
    };
    script.keys();
    script.requests();
    script.conclusion();
    let (body, left_out) = (script.text.out, script.text.left_out);
    let calls = if has_calls(plan) { calls() } else { String::new() };
    format!("{}{PRELUDE}{AVP}\n{calls}{body}", head(plan, &left_out))
}

/// How calls are made, and of which service; its comments are left out.
fn calls() -> String {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let service: Vec<&str> = SERVICE.lines().filter(is_code).collect();
    format!(
        "{CALLS}\nproto=$work\ncat >\"$work/avp.proto\" <<'END'\n{}\nEND\n\n",
        service.join("\n")
    )
}

fn head(plan: &Plan<'_>, left_out: &[String]) -> String {
    let mut usage = vec![
        "Usage: TARGET=http://localhost:8787 sh script.sh   (IDP=... if the identity provider differs)",
        "TLS and headers: CACERT, CLIENT_CERT, CLIENT_KEY, INSECURE=1, PROXY; HEADERS and IDP_HEADERS name files of them.",
    ];
    if has_calls(plan) {
        usage.insert(
            1,
            "GRPC=grpc://localhost:8787 says where gRPC is spoken. Needs grpcurl for that, 1.8 or later.",
        );
    }
    let usage: Vec<String> = usage.into_iter().map(str::to_owned).collect();
    let not_the_same = [
        "Not the same as in the run: keys and repository ids are made up here; ciphertexts, wrapped keys and",
        "key bindings are the recorded bytes, which nobody can open with the keys made up here (a server cannot",
        "tell); concurrent requests go out about, not exactly, at once; what is stored is not compared.",
    ];
    let mut out = repro::head(plan, &usage, &not_the_same, left_out);
    let mut address = |name: &str, url: &str| {
        repro::address(&mut out, plan, name, url, "http://localhost:8787", "");
    };
    address("TARGET", &plan.record.target);
    if has_calls(plan) {
        match plan.record.grpc.as_deref() {
            Some(grpc) => address("GRPC", grpc),
            None => out.push_str("GRPC=${GRPC:-'grpc://localhost:8787'}\n"),
        }
    }
    match &plan.record.idp {
        Some(idp) => repro::address(&mut out, plan, "IDP", idp, "http://localhost:8787", ""),
        None => out.push_str("IDP=${IDP:-$TARGET}\n"),
    }
    repro::reach(&mut out, plan.reach);
    out
}

impl Script<'_> {
    fn line(&mut self, text: impl AsRef<str>) {
        self.text.line(text);
    }

    /// A throw-away key pair of each kind for everybody, and an id of its own for the repositories.
    fn keys(&mut self) {
        let scope = scope(self.plan);
        self.line("unique=$(openssl rand -hex 10)");
        let unique = actors::unique(&self.plan.seed, &scope);
        self.text.words.add(unique.clone(), "unique");
        self.paths.add(unique, "unique");
        for actor in self.plan.actors() {
            let identity = actors::identity(&self.plan.seed, &scope, actor);
            let (id, who) = (identity.member_id(), name(actor));
            let form = |key: &str| if key.contains(['+', '/']) { "odd" } else { "plain" };
            self.line(format!(
                "member {who} {} {}",
                form(id),
                form(identity.x25519_public_key())
            ));
            self.line(format!(
                "id_{who}=$id x25519_{who}=$x25519 path_{who}=$path loose_{who}=$loose"
            ));
            for (key, variable) in [(id, "id"), (identity.x25519_public_key(), "x25519")] {
                let variable = format!("{variable}_{who}");
                self.text.words.add(key, variable.clone());
                // As servers spell them that get base64 wrong: an expansion without the padding, and another variable.
                self.text
                    .words
                    .add(key.trim_end_matches('='), format!("{variable}%="));
                self.in_the_other_alphabet(key, &variable);
            }
            self.paths.add(encode_segment(id), format!("path_{who}"));
            self.paths.add(id.replace('/', "%2F"), format!("loose_{who}"));
            self.in_small_escapes(id, &who);
        }
    }

    /// A member's id as it stands in a path whose escapes have small digits, where the run has such a path.
    fn in_small_escapes(&mut self, id: &str, who: &str) {
        let small = with_small_escapes(&encode_segment(id));
        let exchanges = self.plan.exchanges();
        if exchanges.iter().any(|(_, it)| it.request.path.contains(&small)) {
            self.line(format!(
                "small_{who}=$(printf '%s' \"$path_{who}\" | sed 's/%2B/%2b/g; s/%2F/%2f/g; s/%3D/%3d/g')"
            ));
            self.paths.add(small, format!("small_{who}"));
        }
    }

    /// A key as it is spelt in the alphabet for URLs, where the run has it so.
    fn in_the_other_alphabet(&mut self, key: &str, variable: &str) {
        let spelt = key.replace('+', "-").replace('/', "_");
        if spelt != key {
            self.line(format!("url_{variable}=$(url \"${variable}\")"));
            self.text.words.add(spelt, format!("url_{variable}"));
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
                let together = &exchanges[at..at + self.plan.length_of_race(&exchanges[at..])];
                let requests = together.iter().map(|(_, exchange)| self.request(exchange));
                let requests = requests.collect();
                self.text.race(together, requests);
                at += together.len();
            } else {
                self.single(index, exchange);
                at += 1;
            }
        }
    }

    fn login(&mut self, granted: &Exchange) {
        let who = name(granted.actor.as_deref().unwrap_or_default());
        let login = if is_call(granted) { "call_login" } else { "login" };
        self.line(format!("\nsay '{who} logs in'\n{login} {who} \"$id_{who}\""));
        self.keep_token(granted);
    }

    /// The token of an answer, under the name that stands for it in later requests.
    fn keep_token(&mut self, exchange: &Exchange) {
        let text = exchange.outcome.answer().and_then(|answer| answer.body.as_text());
        if let Some(mark) = text.and_then(|text| placeholder(text, TOKEN_MARK)) {
            let variable = name(mark.trim_matches(['[', ']']));
            self.line(format!("{variable}=$(field token)"));
            self.text.words.add(mark, variable.clone());
            self.paths.add(mark, variable);
        }
    }

    fn single(&mut self, index: usize, exchange: &Exchange) {
        self.text.say(exchange);
        let Some(request) = self.request(exchange) else {
            return self.text.leave_out(exchange);
        };
        self.line(request);
        let was_granted = exchange
            .outcome
            .answer()
            .is_some_and(|answer| answer.status < 300);
        match exchange.role {
            Role::Setup if was_granted => self.line("granted"),
            _ => self.line(format!("show {}", status(exchange))),
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
            self.text.words.add(nonce, format!("nonce_{index}"));
        }
    }

    /// The commands of one request; none where a script cannot make it.
    fn request(&mut self, exchange: &Exchange) -> Option<String> {
        let request = &exchange.request;
        let base = if request.service == IDP { "$IDP" } else { "$TARGET" };
        let mut out = String::new();
        let mut words = self.text.words.clone();
        if let Some(text) = request.body.as_ref().and_then(|body| body.as_text())
            && let Some(mark) = placeholder(text, SIGNATURE_MARK)
        {
            let is_the_last = self.signed.as_deref() == Some(mark);
            match how(exchange).contains(EARLIER_SIGNATURE) {
                true if is_the_last => {}
                true => return None,
                false => out = self.signature(exchange, text)?,
            }
            self.signed = Some(mark.to_owned());
            words.add(mark, "signature");
        }
        if self.is_stale(exchange) || LOOKALIKES.iter().any(|(mark, _)| how(exchange).contains(mark)) {
            return None;
        }
        let mut fields = Vec::new();
        for (field, value) in &request.headers {
            let value = match field.eq_ignore_ascii_case("authorization") {
                true if is_of_another_server(exchange) => {
                    let who = name(exchange.actor.as_deref()?);
                    _ = writeln!(out, "elsewhere {who} \"$id_{who}\"");
                    "\"Bearer $elsewhere\"".to_owned()
                }
                true => self.authorization(value)?,
                false => words.quoted(value),
            };
            fields.push(format!(" -H {}{value}", words.quoted(&format!("{field}: "))));
        }
        if is_call(exchange) {
            return Some(format!("{out}{}", call(exchange, &words, &fields)?));
        }
        let path = self.paths.quoted(&request.path);
        Some(format!("{out}{}", send(exchange, base, &path, &fields, &words)?))
    }

    /// Whether a redemption has a nonce or a signature of the run's, respelt or altered, which no script can be given again.
    fn is_stale(&self, exchange: &Exchange) -> bool {
        let how = how(exchange);
        let altered = [
            "a nonce that was issued, with its",
            "the nonce has ",
            "`/nonce` is \"",
        ];
        Operation::of(exchange) == Some(Operation::Token)
            && (altered.iter().any(|altered| how.contains(altered))
                || (how.contains("`/signature` is \"") && has_made_signature(exchange)))
    }

    /// The value of an `Authorization` field as it was written down: a placeholder, and how it deviates.
    fn authorization(&self, value: &str) -> Option<String> {
        let Some((mark, rest)) = value
            .strip_prefix("Bearer ")
            .and_then(|shown| shown.split_once(']'))
            .filter(|(mark, _)| mark.starts_with(TOKEN_MARK))
        else {
            return Some(self.text.words.quoted(value));
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
        let named = |key: &str| how(exchange).split("; ").find_map(|part| part.strip_prefix(key));
        let form = match named("signature: ") {
            Some(form) => SignatureForm::ALL
                .into_iter()
                .find(|known| known.name() == form)?,
            None => SignatureForm::Valid,
        };
        let signer = named("signed by ").or(exchange.actor.as_deref())?;
        let signed = tainted::signature(form, &name(signer))?;
        Some(format!("nonce={}\n{signed}\n", self.text.words.quoted(nonce)))
    }

    fn conclusion(&mut self) {
        self.text.conclude(compare);
    }
}

/// Where a status says too little, what else an answer says.
fn compare(text: &mut Text<'_>) {
    let exchange = text.plan.end();
    let (Some(check), Outcome::Answer(answer)) = (text.plan.check, &exchange.outcome) else {
        return;
    };
    if check.name == "answer" {
        let flags = Words::default().quoted(&flags(&String::from_utf8_lossy(answer.body.as_bytes())));
        return text.line(format!(
            "[ \"$(flags)\" = {flags} ] || gone 'the answer is of another kind'"
        ));
    }
    text.line("[ -z \"$strayed\" ] || gone 'an earlier answer is another'");
    let is_random = |pointer: &str| ["/nonce", "/token", "/expiresAt"].contains(&pointer);
    if check.pointer.as_deref().is_some_and(is_random) {
        return text
            .line("fail 'the finding is in a part that differs in every answer: compare for yourself'");
    }
    text.line(format!(
        "{} >\"$work/recorded\"",
        text.words.printed(answer.body.as_bytes())
    ));
    text.line(
        "[ \"$(plain <\"$work/answer\")\" = \"$(plain <\"$work/recorded\")\" ] || gone 'the answer is another'",
    );
    // grpcurl tells nothing of the head.
    if !is_call(exchange) {
        text.line(format!(
            "[ \"$(kind)\" = {} ] || gone 'the head of the answer is another'",
            Words::default().quoted(&kind(&answer.headers))
        ));
    }
}

/// The commands of a call; none where grpcurl cannot make it: it has no other method than the service's, no frames of its own, and
/// does not give up by itself.
fn call(exchange: &Exchange, words: &Words, fields: &[String]) -> Option<String> {
    let request = &exchange.request;
    let of_the_frame = ["content-type", "grpc-encoding", "grpc-timeout", CANCEL];
    let is_framed = request
        .headers
        .iter()
        .any(|(name, _)| of_the_frame.contains(&name.as_str()));
    let how = exchange.spoiled.as_deref().unwrap_or_default();
    let is_in_a_form = CallForm::ALL.iter().any(|form| how.contains(form.about()));
    let method = Operation::of(exchange)?.rpc()?;
    if is_framed || is_in_a_form || method != request.path {
        return None;
    }
    let body = request.body.as_ref().map_or(&b"{}"[..], |body| body.as_bytes());
    (body.len() <= LARGEST_BODY).then(|| {
        let body = words.printed(body);
        format!("{body} >\"$work/body\"\ncall {method}{}", fields.concat())
    })
}

/// Whether an exchange is a call over gRPC.
fn is_call(exchange: &Exchange) -> bool {
    exchange.wire == Wire::Grpc
}

/// Whether a redemption has a signature that was made of one of the run, and not words that stand for no base64 at all.
fn has_made_signature(exchange: &Exchange) -> bool {
    let body = exchange.request.body.as_ref();
    let body = body.and_then(|body| serde_json::from_slice::<serde_json::Value>(body.as_bytes()).ok());
    let signature = body.as_ref().and_then(|body| body.get("signature")?.as_str());
    signature.is_some_and(|signature| signature.contains(SIGNATURE_MARK) || signature.len() > 16)
}

/// What `flags` in a script says of an answer.
fn flags(body: &str) -> String {
    let text: String = body.split_ascii_whitespace().collect();
    let mut found: Vec<String> = Vec::new();
    for name in ["accepted", "conflict", "unchanged"] {
        let key = format!("\"{name}\":");
        for (at, _) in text.match_indices(&key) {
            let value = text[at + key.len()..]
                .chars()
                .take_while(char::is_ascii_lowercase);
            found.push(format!("{key}{} ", value.collect::<String>()));
        }
    }
    found.sort();
    found.concat()
}

/// How a request deviates from the valid one.
fn how(exchange: &Exchange) -> &str {
    exchange.spoiled.as_deref().unwrap_or_default()
}

/// Whether a request has a token that the case got elsewhere.
fn is_of_another_server(exchange: &Exchange) -> bool {
    how(exchange).contains(&TokenForm::OtherServer.to_string())
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
