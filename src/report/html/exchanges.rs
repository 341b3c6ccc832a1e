//! The exchanges of a case: what was sent, what came, how long it took, the decisive place marked.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::pretty::{Piece, pretty};
use crate::record::findings::decisive;
use crate::record::sentences::sentence;
use crate::record::{Body, CaseRecord, CheckRecord, Exchange, Headers, Outcome};
use crate::report::facts::took;
use crate::report::text::{exchange_place, exchange_status, short_path};
use crate::text::{count, visible_cut};

/// How much of a body is shown, in characters.
const MOST_BODY_BYTES: usize = 4096;
/// How many header fields are shown, and how much of each.
const HEADERS_AND_VALUE_CHARS: (usize, usize) = (24, 300);
/// How many exchanges of a case are shown.
const MOST_EXCHANGES: usize = 60;

/// How many bytes the page still has: for cases that did not pass, and for what is told in brief.
pub(super) struct Budget {
    full: usize,
    brief: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            full: 800 << 10,
            brief: 400 << 10,
        }
    }
}

impl Budget {
    /// The markup, if there is room for it.
    pub(super) fn full(&mut self, markup: Markup) -> Option<Markup> {
        take(&mut self.full, markup)
    }

    /// The markup, if there is room for it among what is told in brief.
    pub(super) fn brief(&mut self, markup: Markup) -> Option<Markup> {
        take(&mut self.brief, markup)
    }
}

/// Once something did not fit, nothing does: a page that leaves out here and there would be hard to trust.
fn take(left: &mut usize, markup: Markup) -> Option<Markup> {
    *left = left.checked_sub(markup.0.len()).unwrap_or_default();
    (*left > 0).then_some(markup)
}

/// The exchanges of a case, in full where they are wanted, as far as there is room.
pub(super) fn write(case: &CaseRecord, full: bool, budget: &mut Budget) -> Markup {
    if case.exchanges.is_empty() {
        return html! {};
    }
    let mut one = |index: usize| {
        let exchange = &case.exchanges[index];
        let shown = if full {
            budget.full(in_full(case, index, exchange))
        } else {
            None
        };
        shown.or_else(|| budget.brief(in_brief(index, exchange)))
    };
    let shown: Vec<Markup> = chosen(case).into_iter().map_while(&mut one).collect();
    let hidden = case.exchanges.len() - shown.len();
    html! {
        h4 { "Exchanges" }
        @if full { @if let Some(bars) = budget.full(waterfall(case)) { (bars) } }
        div.exchanges {
            @for markup in shown { (markup) }
            @if hidden > 0 {
                p.quiet { (count(hidden, "exchange")) " left out to keep the page small; the JSON report has all." }
            }
        }
        @if !full && hidden < case.exchanges.len() {
            p.quiet { "Bodies of passing cases are left out; the JSON report has them." }
        }
    }
}

/// When each exchange began and how long it took, as bars over the time of the case.
fn waterfall(case: &CaseRecord) -> Markup {
    let shown = &case.exchanges[..case.exchanges.len().min(MOST_EXCHANGES)];
    let end = |exchange: &Exchange| exchange.at_us.saturating_add(exchange.took_us);
    let begin = shown.iter().map(|exchange| exchange.at_us).min().unwrap_or(0);
    let whole = shown
        .iter()
        .map(end)
        .max()
        .unwrap_or(0)
        .saturating_sub(begin)
        .max(1);
    let percent = |microseconds: u64| format!("{:.2}%", microseconds as f64 * 100.0 / whole as f64);
    let decisive: BTreeSet<usize> = deciding(case).map(|(at, _)| at).collect();
    html! {
        @if shown.len() > 1 {
            svg.waterfall width="100%" height=(shown.len() * 5) role="img"
                aria-label=(format!("{} in {}", count(shown.len(), "exchange"), took(whole))) {
                @for (index, exchange) in shown.iter().enumerate() {
                    rect.fail[decisive.contains(&index)] x=(percent(exchange.at_us - begin)) y=(index * 5)
                        width=(percent(exchange.took_us.max(whole / 400))) height="4" {
                        title { "#" (index + 1) " " (took(exchange.took_us)) }
                    }
                }
            }
        }
    }
}

/// The exchanges that decide what is broken, and as many of the first as there is room for besides.
fn chosen(case: &CaseRecord) -> BTreeSet<usize> {
    let mut chosen: BTreeSet<usize> = deciding(case)
        .map(|(at, _)| at)
        .take(MOST_EXCHANGES / 2)
        .collect();
    let room = MOST_EXCHANGES - chosen.len();
    let first: Vec<usize> = (0..case.exchanges.len())
        .filter(|index| !chosen.contains(index))
        .take(room)
        .collect();
    chosen.extend(first);
    chosen
}

/// The broken checks of a case with the exchange that decides each.
fn deciding(case: &CaseRecord) -> impl Iterator<Item = (usize, &CheckRecord)> {
    let broken = case.checks.iter().filter(|check| check.is_broken());
    broken.filter_map(|check| decisive(case, check).map(|(at, _)| (at, check)))
}

fn in_brief(index: usize, exchange: &Exchange) -> Markup {
    html! { div.exchange.brief { (line(index, exchange)) } }
}

fn line(index: usize, exchange: &Exchange) -> Markup {
    let answer = exchange_status(exchange);
    let class = match &exchange.outcome {
        Outcome::Answer(answer) if answer.status < 400 => "s2",
        Outcome::Answer(answer) if answer.status < 500 => "s4",
        _ => "s5",
    };
    html! {
        span.number { (index + 1) }
        span.place { (exchange_place(exchange)) }
        @if let Some(actor) = &exchange.actor { span.actor { (visible_cut(actor, 40)) } }
        span.path { b { (visible_cut(&exchange.request.method, 40)) } " " (short_path(&exchange.request.path)) }
        span.status.(class) { (answer) }
        span.time { (took(exchange.took_us)) }
        @if exchange.resent { span.spoiled { "sent twice" } }
        @if let Some(spoiled) = &exchange.spoiled { span.spoiled { (visible_cut(spoiled, 200)) } }
    }
}

fn in_full(case: &CaseRecord, index: usize, exchange: &Exchange) -> Markup {
    let decided: Vec<&CheckRecord> = deciding(case)
        .filter(|(at, _)| *at == index)
        .map(|(_, check)| check)
        .collect();
    let pointers: Vec<&str> = decided
        .iter()
        .filter_map(|check| check.pointer.as_deref())
        .collect();
    let concerned = !decided.is_empty();
    let request = &exchange.request;
    let first = format!(
        "{} {}",
        visible_cut(&request.method, 40),
        visible_cut(&request.path, 1000)
    );
    html! {
        details.exchange.concerned[concerned] open[concerned] {
            summary { (line(index, exchange)) }
            div.halves {
                (half("Request", &first, &request.headers, request.body.as_ref(), &[]))
                @match &exchange.outcome {
                    Outcome::Answer(answer) => (half(
                        "Answer", &exchange_status(exchange), &answer.headers, Some(&answer.body), &pointers,
                    )),
                    Outcome::Failure(failure) => div.half { h5 { "No answer" } p { (sentence(&failure.message)) } },
                }
            }
        }
    }
}

fn half(name: &str, first: &str, headers: &Headers, body: Option<&Body>, marks: &[&str]) -> Markup {
    let (fields, length) = HEADERS_AND_VALUE_CHARS;
    html! {
        div.half {
            h5 { (name) }
            pre.head {
                b { (first) } "\n"
                @for (name, value) in headers.iter().take(fields) {
                    span.field { (visible_cut(name, length)) ":" } " " (visible_cut(value, length)) "\n"
                }
                @if headers.len() > fields { "… " (count(headers.len() - fields, "more header field")) "\n" }
            }
            @if let Some(body) = body.filter(|body| !body.is_empty()) {
                pre.body { @for piece in pretty(body, marks, MOST_BODY_BYTES) { (write_piece(&piece)) } }
            }
        }
    }
}

fn write_piece(piece: &Piece) -> Markup {
    html! { @if piece.marked { mark { (piece.text) } } @else { (piece.text) } }
}
