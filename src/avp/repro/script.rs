//! The script itself.

use std::fmt::Write as _;

use super::shell::{Words, name};
use super::{Plan, tainted};
use crate::avp::cases::TokenForm;
use crate::avp::cases::model::CallForm;
use crate::avp::{IDP, Operation, actors};
use crate::http::{CANCEL, Exchange, FailureKind, Headers, Outcome, Role, Wire};
use crate::keys::SignatureForm;
use crate::protocol::Reach;
use crate::record::transcript::{SIGNATURE_MARK, TOKEN_MARK};
use crate::text::{encode_segment, visible, visible_cut};

/// What every script begins with.
const PRELUDE: &str = include_str!("prelude.sh");
/// What those begin with beside that make calls over gRPC.
const CALLS: &str = include_str!("calls.sh");
/// The service, for those.
const SERVICE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/avp.proto"));
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
    /// Whether the request that shows the finding is among them.
    lacks_decisive: bool,
}

pub(super) fn write(plan: &Plan<'_>) -> String {
    let mut script = Script {
        plan,
        out: String::new(),
        words: Words::default(),
        paths: Words::default(),
        left_out: Vec::new(),
        lacks_decisive: false,
    };
    script.keys();
    script.requests();
    script.conclusion();
    let (body, left_out) = (script.out, script.left_out);
    let calls = if plan.calls() { calls() } else { String::new() };
    format!("{}{PRELUDE}\n{calls}{body}", head(plan, &left_out))
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
    if plan.calls() {
        line("GRPC=grpc://localhost:8787 says where gRPC is spoken. Needs grpcurl for that, 1.8 or later.");
    }
    line(
        "TLS and headers: CACERT, CLIENT_CERT, CLIENT_KEY, INSECURE=1, PROXY; HEADERS and IDP_HEADERS name files of them.",
    );
    line(
        "Needs curl and openssl 3. Ends with 0 where the finding (or, without one, the recorded answer) is seen",
    );
    line("again, with 1 where it is not, and with 2 where that cannot be told.");
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
    out.push('\n');
    let target = |out: &mut String, name: &str, url: &str| match url {
        "embedded" => _ = writeln!(out, "{name}=${{{name}:-'http://localhost:8787'}}"),
        url if url.contains("{port}") => {
            let command = visible(plan.record.exec.as_deref().unwrap_or_default());
            needed(
                out,
                name,
                &format!("start the server ({command}) and set {name} to its address"),
            );
        }
        url => _ = writeln!(out, "{name}=${{{name}:-'{}'}}", visible(url).replace('\'', "")),
    };
    target(&mut out, "TARGET", &plan.record.target);
    if plan.calls() {
        match plan.record.grpc.as_deref() {
            Some(grpc) => target(&mut out, "GRPC", grpc),
            None => out.push_str("GRPC=${GRPC:-'grpc://localhost:8787'}\n"),
        }
    }
    match &plan.record.idp {
        Some(idp) => target(&mut out, "IDP", idp),
        None => out.push_str("IDP=${IDP:-$TARGET}\n"),
    }
    reach(&mut out, plan.reach);
    out
}

/// A variable without which a script says what it is for, and that nothing can be told.
fn needed(out: &mut String, name: &str, what: &str) {
    let what = Words::default().quoted(what);
    _ = writeln!(
        out,
        "[ -n \"${{{name}:-}}\" ] || {{ printf '%s\\n' {what} >&2; exit 2; }}"
    );
}

/// How the target was reached; what is secret must be given to the script by whoever runs it.
fn reach(out: &mut String, reach: &Reach) {
    for (name, path) in [
        ("CACERT", &reach.cacert),
        ("CLIENT_CERT", &reach.client_cert),
        ("CLIENT_KEY", &reach.client_key),
    ] {
        if let Some(path) = path {
            let path = Words::default().quoted(&path.display().to_string());
            _ = writeln!(out, "[ -n \"${{{name}:-}}\" ] || {name}={path}");
        }
    }
    if reach.insecure {
        out.push_str("INSECURE=${INSECURE:-1}\n");
    }
    for (name, what, is_needed) in [
        ("HEADERS", "the headers for the target", reach.has_headers),
        (
            "IDP_HEADERS",
            "the headers for the identity provider",
            reach.has_idp_headers,
        ),
        ("PROXY", "the address of the proxy", reach.has_proxy),
    ] {
        if is_needed {
            let file = if name == "PROXY" { "" } else { "a file of " };
            needed(out, name, &format!("set {name} to {file}{what}"));
        }
    }
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
                self.words.add(key, variable.clone());
                // As servers spell them that get base64 wrong: an expansion without the padding, and another variable.
                self.words.add(key.trim_end_matches('='), format!("{variable}%="));
                self.in_the_other_alphabet(key, &variable);
            }
            self.paths.add(encode_segment(id), format!("path_{who}"));
            self.paths.add(id.replace('/', "%2F"), format!("loose_{who}"));
        }
    }

    /// A key as it is spelt in the alphabet for URLs, where the run has it so.
    fn in_the_other_alphabet(&mut self, key: &str, variable: &str) {
        let spelt = key.replace('+', "-").replace('/', "_");
        if spelt != key {
            self.line(format!("url_{variable}=$(url \"${variable}\")"));
            self.words.add(spelt, format!("url_{variable}"));
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
                 printf '%s' \"$status\" >\"$work/status\"; say {about}; show {}\n) &",
                status(exchange)
            ));
        }
        self.line("wait");
        if exchanges.iter().any(|(index, _)| *index == self.plan.decisive) {
            let place = format!("$work/{}", self.plan.decisive);
            self.line(format!(
                "status=$(cat \"{place}/status\"); cp \"{place}/answer\" \"{place}/head\" \"$work\""
            ));
        }
    }

    fn leave_out(&mut self, exchange: &Exchange) {
        self.line("say '  (not made again: see the head of this script)'");
        self.left_out.push(about(exchange));
        self.lacks_decisive |= std::ptr::eq(exchange, &self.plan.case.exchanges[self.plan.decisive]);
    }

    /// The commands of one request; none where a script cannot make it.
    fn request(&mut self, exchange: &Exchange) -> Option<String> {
        let request = &exchange.request;
        let base = if request.service == IDP { "$IDP" } else { "$TARGET" };
        let mut out = String::new();
        let mut words = self.words.clone();
        if let Some(text) = request.body.as_ref().and_then(|body| body.as_text())
            && let Some(mark) = placeholder(text, SIGNATURE_MARK)
        {
            out = self.signature(exchange, text)?;
            words.add(mark, "signature");
        }
        if self.is_stale(exchange) {
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

    /// Whether a redemption has a nonce or a signature of the run's, respelt or altered, which no script can be given again.
    fn is_stale(&self, exchange: &Exchange) -> bool {
        let how = exchange.spoiled.as_deref().unwrap_or_default();
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
        let recorded = status(exchange);
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
        if self.lacks_decisive {
            return self
                .line("fail 'the request that shows it is not made here: see the head of this script'");
        }
        let (seen, gone) = match self.plan.check {
            Some(_) => ("the finding is seen again", "the finding is not seen again"),
            None => ("the same status as recorded", "another status than recorded"),
        };
        // What was left out may be why an answer is another.
        let code = if self.left_out.is_empty() { 1 } else { 2 };
        self.line(format!("gone() {{ say \"{gone}: $*\"; end {code}; }}"));
        let otherwise = match is_no_proof(exchange) {
            Some(why) => format!("fail \"$status now; {why}\""),
            None => "gone \"$status\"".to_owned(),
        };
        self.line(format!("[ \"$status\" = {recorded} ] || {otherwise}"));
        self.compare(exchange);
        self.line(format!("say '{seen}'\nend 0"));
    }

    /// Where a status says too little, what else an answer says.
    fn compare(&mut self, exchange: &Exchange) {
        let (Some(check), Outcome::Answer(answer)) = (self.plan.check, &exchange.outcome) else {
            return;
        };
        if check.name == "answer" {
            let flags = Words::default().quoted(&flags(&String::from_utf8_lossy(answer.body.as_bytes())));
            return self.line(format!(
                "[ \"$(flags)\" = {flags} ] || gone 'the answer is of another kind'"
            ));
        }
        self.line("[ -z \"$strayed\" ] || gone 'an earlier answer is another'");
        let is_random = |pointer: &str| ["/nonce", "/token", "/expiresAt"].contains(&pointer);
        if check.pointer.as_deref().is_some_and(is_random) {
            return self
                .line("fail 'the finding is in a part that differs in every answer: compare for yourself'");
        }
        self.line(format!(
            "{} >\"$work/recorded\"",
            self.words.printed(answer.body.as_bytes())
        ));
        self.line(
            "[ \"$(plain <\"$work/answer\")\" = \"$(plain <\"$work/recorded\")\" ] || gone 'the answer is another'",
        );
        // grpcurl tells nothing of the head.
        if !is_call(exchange) {
            self.line(format!(
                "[ \"$(kind)\" = {} ] || gone 'the head of the answer is another'",
                Words::default().quoted(&kind(&answer.headers))
            ));
        }
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

/// Why another answer would not show that the finding is gone.
fn is_no_proof(exchange: &Exchange) -> Option<&'static str> {
    match &exchange.outcome {
        Outcome::Failure(_) if is_call(exchange) => {
            Some("grpcurl has a status for what is no answer: compare for yourself")
        }
        Outcome::Answer(answer) if answer.status == 429 => {
            Some("a rate limit depends on all requests that are sent: compare for yourself")
        }
        Outcome::Failure(failure)
            if matches!(failure.kind, FailureKind::Malformed | FailureKind::TooLarge) =>
        {
            Some(
                "curl accepts some answers that the run did not, and uses each connection once: compare for yourself",
            )
        }
        _ => None,
    }
}

/// The status of an answer, as a script has it.
fn status(exchange: &Exchange) -> String {
    match &exchange.outcome {
        Outcome::Answer(answer) => answer.status.to_string(),
        Outcome::Failure(_) => "none".to_owned(),
    }
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

/// What `kind` in a script says of an answer.
fn kind(headers: &Headers) -> String {
    let said = headers.iter().filter_map(|(name, value)| {
        let value = value.to_ascii_lowercase().replace(' ', "");
        match name.to_ascii_lowercase().as_str() {
            "content-type" => Some(format!("type:{value} ")),
            "retry-after" => Some("retry ".to_owned()),
            _ => None,
        }
    });
    said.collect()
}

/// Whether a request has a token that the case got elsewhere.
fn is_of_another_server(exchange: &Exchange) -> bool {
    let how = exchange.spoiled.as_deref().unwrap_or_default();
    how.contains(&TokenForm::OtherServer.to_string())
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
