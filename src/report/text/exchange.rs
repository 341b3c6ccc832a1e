//! Exchanges as text: one in a line, or all of a case in full.

use super::page::Page;
use crate::record::sentences::sentence;
use crate::record::{Answer, Body, CaseRecord, Exchange, Headers, Outcome, Role, Wire};
use crate::report::facts::took;
use crate::report::paint::Tone;
use crate::text::{count, visible, visible_block, visible_cut};

/// How much of a body is shown, in characters.
const MOST_BODY_BYTES: usize = 2048;
/// How many exchanges of a case are shown.
const MOST_EXCHANGES: usize = 6;
/// How many header fields are shown.
const MOST_HEADERS: usize = 40;
/// How much of a header field's value is shown.
const MOST_VALUE_CHARS: usize = 300;

/// `bob POST /v1/repos/…/push (spoiled so) → 200 in 1.2 ms`
pub(in crate::report) fn line(exchange: &Exchange) -> String {
    let actor = exchange
        .actor
        .as_ref()
        .map(|actor| format!("{} ", visible(actor)))
        .unwrap_or_default();
    let spoiled = exchange
        .spoiled
        .as_ref()
        .map(|how| format!(" ({})", visible_cut(how, 120)))
        .unwrap_or_default();
    let method = visible_cut(&exchange.request.method, 40);
    let path = short_path(&exchange.request.path);
    let twice = if exchange.resent { ", sent twice" } else { "" };
    format!(
        "{actor}{method} {path}{spoiled} → {} in {}{twice}",
        came(exchange),
        took(exchange.took_us)
    )
}

/// What came of it: a status, of a command whether it was carried out.
fn came(exchange: &Exchange) -> String {
    match (exchange.wire, &exchange.outcome) {
        (Wire::Command, Outcome::Answer(answer)) if answer.status == 0 => "done".to_owned(),
        (Wire::Command, Outcome::Answer(answer)) => format!("failed ({})", answer.status),
        (Wire::Http, Outcome::Answer(answer)) if let Some(server) = page_of(answer) => {
            format!("{} (a page of {})", answer.status, visible_cut(server, 40))
        }
        _ => status(exchange),
    }
}

/// What calls itself the server of an answer that is a page for people: often it stands in front of the one that is meant.
fn page_of(answer: &Answer) -> Option<&str> {
    let is_page = answer
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"));
    answer.header("server").filter(|_| is_page)
}

/// The status, of a call with its name, or why there is none.
pub(in crate::report) fn status(exchange: &Exchange) -> String {
    let status = outcome(&exchange.outcome);
    match exchange.grpc_status() {
        Some(name) => format!("{status} ({name})"),
        None => status,
    }
}

/// The status, or why there is none.
fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(answer) => answer.status.to_string(),
        Outcome::Failure(failure) => format!("no answer: {}", sentence(&failure.message)),
    }
}

/// A path whose long segments are cut in their middle.
pub(in crate::report) fn short_path(path: &str) -> String {
    let visible = visible_cut(path, 1000);
    let segments = visible.split('/').map(|segment| {
        let characters: Vec<char> = segment.chars().collect();
        match characters.len() {
            0..=20 => segment.to_owned(),
            length => characters[..8]
                .iter()
                .chain(&['…'])
                .chain(&characters[length - 6..])
                .collect(),
        }
    });
    cut_middle(segments.collect::<Vec<_>>().join("/"))
}

fn cut_middle(path: String) -> String {
    match path.chars().count() {
        0..=120 => path,
        _ => visible_cut(&path, 120),
    }
}

/// The exchanges of a case up to the one that decides the first of its findings, the last of them where there are many.
pub(super) fn upto(page: &mut Page, case: &CaseRecord, decisive: Option<usize>) {
    let end = decisive.map_or(case.exchanges.len(), |index| index + 1);
    let from = end.saturating_sub(MOST_EXCHANGES);
    let left = case.exchanges.len() - (end - from).min(case.exchanges.len());
    if left > 0 {
        let left = count(left, "other exchange");
        page.blank();
        page.line(format!("    {left}: see --report html or json"));
    }
    for (index, exchange) in case.exchanges.iter().enumerate().take(end).skip(from) {
        page.blank();
        let title = format!("    #{} {}: {}", index + 1, place(exchange), line(exchange));
        let title = page.paint.tone(Tone::Strong, title);
        page.line(title);
        full(page, exchange);
    }
}

/// `step 2`, `set-up`, `audit of step 2`
pub(in crate::report) fn place(exchange: &Exchange) -> String {
    let step = exchange.step.map(|step| format!("step {}", step + 1));
    match (exchange.role, step) {
        (Role::Step, Some(step)) => step,
        (Role::Step | Role::Setup, None) => "set-up".to_owned(),
        (Role::Setup, Some(step)) => format!("set-up of {step}"),
        (Role::Audit, step) => format!("audit of {}", step.unwrap_or_else(|| "set-up".to_owned())),
        (Role::Abandoned, step) => {
            format!("abandoned {}", step.unwrap_or_else(|| "set-up".to_owned()))
        }
        (Role::Throttled, step) => format!("throttled {}", step.unwrap_or_else(|| "set-up".to_owned())),
    }
}

fn full(page: &mut Page, exchange: &Exchange) {
    let request = &exchange.request;
    half(
        page,
        '>',
        &format!("{} {}", request.method, request.path),
        &request.headers,
        request.body.as_ref(),
    );
    match &exchange.outcome {
        Outcome::Answer(answer) => half(
            page,
            '<',
            &answer.status.to_string(),
            &answer.headers,
            Some(&answer.body),
        ),
        Outcome::Failure(failure) => side(page, '<', &sentence(&failure.message)),
    }
}

fn half(page: &mut Page, mark: char, first: &str, headers: &Headers, body: Option<&Body>) {
    side(page, mark, &visible_cut(first, 1000));
    for (name, value) in headers.iter().take(MOST_HEADERS) {
        side(
            page,
            mark,
            &format!(
                "{}: {}",
                visible_cut(name, MOST_VALUE_CHARS),
                visible_cut(value, MOST_VALUE_CHARS)
            ),
        );
    }
    if headers.len() > MOST_HEADERS {
        side(
            page,
            mark,
            &format!("… {} more header fields", headers.len() - MOST_HEADERS),
        );
    }
    if let Some(body) = body.filter(|body| !body.is_empty()) {
        side(page, mark, "");
        for line in visible_block(body.as_bytes(), MOST_BODY_BYTES).lines() {
            side(page, mark, line);
        }
    }
}

fn side(page: &mut Page, mark: char, text: &str) {
    let mark = page.paint.tone(Tone::Dim, mark);
    let text = visible(&text.replace('\t', "  "));
    page.line(format!("    {mark} {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::OperationName;
    use crate::record::samples;

    #[test]
    fn a_page_says_whose_it_is() {
        let answered = |headers: &[(&str, &str)]| {
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let mut exchange = samples::exchange("vault", OperationName::new("push"), 413);
            if let Outcome::Answer(answer) = &mut exchange.outcome {
                answer.headers = headers.collect();
            }
            exchange
        };
        let page = ("content-type", "text/html; charset=utf-8");
        let server = ("server", "nginx/1.22.1");
        assert_eq!(came(&answered(&[page, server])), "413 (a page of nginx/1.22.1)");
        assert_eq!(came(&answered(&[page])), "413");
        assert_eq!(came(&answered(&[server])), "413");
    }
}
