//! The text of a script that is being written: requests, races, and how it ends.

use std::fmt::Write as _;

use super::Plan;
use super::words::Words;
use crate::http::{Exchange, FailureKind, Headers, Outcome, Role, Wire};
use crate::text::visible_cut;

/// A body above this is not written into a script, bytes.
pub(crate) const LARGEST_BODY: usize = 256 << 10;

/// A script that is being written.
pub(crate) struct Text<'a> {
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) out: String,
    /// What stands in bodies and headers for keys, ids and the like of the run.
    pub(crate) words: Words,
    /// What is not made again, in a few words each.
    pub(crate) left_out: Vec<String>,
    /// Whether the request that shows the finding is among them.
    pub(crate) lacks_decisive: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn new(plan: &'a Plan<'a>) -> Text<'a> {
        Text {
            plan,
            out: String::new(),
            words: Words::default(),
            left_out: Vec::new(),
            lacks_decisive: false,
        }
    }

    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    /// Says what comes.
    pub(crate) fn say(&mut self, exchange: &Exchange) {
        self.line(format!("\nsay {}", self.words.quoted(&about(exchange))));
    }

    pub(crate) fn leave_out(&mut self, exchange: &Exchange) {
        self.line("say '  (not made again: see the head of this script)'");
        self.left_out.push(about(exchange));
        self.lacks_decisive |= std::ptr::eq(exchange, self.plan.end());
    }

    /// Requests that went out together, each by the commands that stand for it, or none where a script cannot make it. What came of
    /// request N is in `$work/N` afterwards.
    pub(crate) fn race(&mut self, exchanges: &[(usize, &Exchange)], requests: Vec<Option<String>>) {
        self.line(format!("\nsay '{} requests at once'", exchanges.len()));
        for ((index, exchange), request) in exchanges.iter().zip(requests) {
            let Some(request) = request else {
                self.leave_out(exchange);
                continue;
            };
            let about = self.words.quoted(&about(exchange));
            self.line(format!(
                "(\nmkdir \"$work/{index}\"; work=$work/{index}\n{request}\n\
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

    /// How it ends: by the status, and by what `compare` adds where that says too little.
    pub(crate) fn conclude(&mut self, compare: impl FnOnce(&mut Self)) {
        let exchange = self.plan.end();
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
        compare(self);
        self.line(format!("say '{seen}'\nend 0"));
    }
}

/// The commands of one request over HTTP, with its fields as curl is told them; none where its body is too large to be written down.
pub(crate) fn send(
    exchange: &Exchange,
    base: &str,
    path: &str,
    fields: &[String],
    words: &Words,
) -> Option<String> {
    let request = &exchange.request;
    let mut out = String::new();
    let mut line = format!("send {} \"{base}\" {path}", words.quoted(&request.method));
    line.push_str(&fields.concat());
    if let Some(body) = &request.body {
        if body.len() > LARGEST_BODY {
            return None;
        }
        _ = writeln!(out, "{} >\"$work/body\"", words.printed(body.as_bytes()));
        // curl names a content type of its own unless told.
        let is_typed = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        if !request.headers.iter().any(is_typed) {
            line.push_str(" -H 'Content-Type:'");
        }
        line.push_str(" --data-binary @\"$work/body\"");
    }
    Some(format!("{out}{line}"))
}

/// Why another answer would not show that the finding is gone.
fn is_no_proof(exchange: &Exchange) -> Option<&'static str> {
    match &exchange.outcome {
        Outcome::Failure(_) if exchange.wire == Wire::Grpc => {
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
pub(crate) fn status(exchange: &Exchange) -> String {
    match &exchange.outcome {
        Outcome::Answer(answer) => answer.status.to_string(),
        Outcome::Failure(_) => "none".to_owned(),
    }
}

/// What `kind` in a script says of an answer.
pub(crate) fn kind(headers: &Headers) -> String {
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
