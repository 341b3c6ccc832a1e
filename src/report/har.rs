//! The exchanges as an HTTP archive, version 1.2: a page for each case, an entry for each exchange. What the record hides stays
//! hidden.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::json as layout;
use super::text::exchange_place;
use crate::record::sentences::sentence;
use crate::record::{Body, CaseRecord, Exchange, Outcome, Record};
use crate::text::{hide_passwords, visible};

/// The record as HAR.
pub(super) fn render(record: &Record) -> Vec<u8> {
    let entries = record.cases.iter().flat_map(|case| {
        case.exchanges
            .iter()
            .map(move |exchange| entry(record, case, exchange))
    });
    layout::write(&json!({
        "log": {
            "version": "1.2",
            "creator": { "name": record.tool.name, "version": record.tool.version },
            "pages": record.cases.iter().map(page).collect::<Vec<_>>(),
            "entries": entries.collect::<Vec<_>>(),
        }
    }))
}

fn page(case: &CaseRecord) -> Value {
    json!({
        "startedDateTime": moment(case, 0),
        "id": case.name(),
        "title": format!("{}: {}", case.verdict, sentence(&case.title)),
        "pageTimings": {},
    })
}

/// When it was so many microseconds after a case began.
fn moment(case: &CaseRecord, after_us: u64) -> String {
    let after_ms = i64::try_from(after_us / 1000).unwrap_or(i64::MAX);
    let moment = Timestamp::from_millisecond(case.began_ms.saturating_add(after_ms));
    moment.unwrap_or_default().to_string()
}

fn entry(record: &Record, case: &CaseRecord, exchange: &Exchange) -> Value {
    let took = exchange.took_us as f64 / 1000.0;
    let actor = exchange.actor.as_deref().unwrap_or("nobody");
    let spoiled = exchange.spoiled.as_ref().map(|how| format!(", {how}"));
    json!({
        "pageref": case.name(),
        "startedDateTime": moment(case, exchange.at_us),
        "time": took,
        "request": request(record, exchange),
        "response": response(&exchange.outcome),
        "cache": {},
        "timings": { "send": 0, "wait": took, "receive": 0 },
        "comment": visible(&format!("{} by {actor}{}", exchange_place(exchange), spoiled.unwrap_or_default())),
    })
}

fn request(record: &Record, exchange: &Exchange) -> Value {
    let request = &exchange.request;
    let base = match request.service.as_str() {
        "idp" => record.idp.as_ref().unwrap_or(&record.target),
        _ => &record.target,
    };
    let base = match base.as_str() {
        "embedded" => "http://embedded",
        other => other.trim_end_matches('/'),
    };
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut value = json!({
        "method": visible(&request.method),
        "url": visible(&format!("{}{}", hide_passwords(base), request.path)),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs_of(&request.headers),
        "queryString": pairs.map(|(name, value)| json!({ "name": visible(name), "value": visible(value) })).collect::<Vec<_>>(),
        "headersSize": -1,
        "bodySize": request.body.as_ref().map_or(0, Body::len),
    });
    if let Some(body) = request.body.as_ref().filter(|body| !body.is_empty()) {
        value["postData"] = json!({ "mimeType": kind(&request.headers), "text": visible_text(body) });
    }
    value
}

fn response(outcome: &Outcome) -> Value {
    let (status, headers, body, comment) = match outcome {
        Outcome::Answer(answer) => (
            answer.status,
            answer.headers.as_slice(),
            answer.body.clone(),
            String::new(),
        ),
        Outcome::Failure(failure) => (0, &[][..], Body::default(), sentence(&failure.message)),
    };
    let mut content = json!({ "size": body.len(), "mimeType": kind(headers) });
    match body.as_text() {
        Some("") => {}
        Some(_) => content["text"] = visible_text(&body).into(),
        None => {
            content["text"] = BASE64_STANDARD.encode(body.as_bytes()).into();
            content["encoding"] = "base64".into();
        }
    }
    json!({
        "status": status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs_of(headers),
        "content": content,
        "redirectURL": value_of(headers, "location"),
        "headersSize": -1,
        "bodySize": body.len(),
        "comment": comment,
    })
}

/// A body as text. The layout escapes what a terminal would obey.
fn visible_text(body: &Body) -> String {
    body.to_text().into_owned()
}

fn pairs_of(headers: &[(String, String)]) -> Vec<Value> {
    let pair = |(name, value): &(String, String)| json!({ "name": visible(name), "value": visible(value) });
    headers.iter().map(pair).collect()
}

fn kind(headers: &[(String, String)]) -> String {
    match value_of(headers, "content-type").as_str() {
        "" => "application/octet-stream".to_owned(),
        kind => kind.to_owned(),
    }
}

/// The first value of a header field, empty where there is none.
fn value_of(headers: &[(String, String)], wanted: &str) -> String {
    let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map_or_else(String::new, |(_, value)| visible(value))
}
