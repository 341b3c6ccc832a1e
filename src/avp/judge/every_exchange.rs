//! The checks that every exchange gets, whatever its case is about.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::parsed::ParsedExchange;
use super::sent::Sent;
use super::steps::Tainted;
use crate::avp::cases::LoadedCase;
use crate::avp::judge::jwt_claims;
use crate::avp::{Operation, schema};
use crate::judge::{Checks, Finding, Subject, Transport};
use crate::record::transcript::{PLAINTEXT_MARK, PRIVATE_KEY_MARK};
use crate::record::verdict::Verdict;
use crate::record::{Answer, Role};

/// Ten years, milliseconds. A time that is so near to now when read in another unit is in that unit.
const TEN_YEARS_MS: i64 = 10 * 366 * 86_400_000;
/// A day, milliseconds.
const DAY_MS: i64 = 86_400_000;
/// By so much, milliseconds, clocks may differ where nothing tells what time it is at the target.
const CLOCK_SKEW_MS: i64 = 300_000;

/// Looks at every exchange of a case.
pub(super) fn check(
    checks: &mut Checks<'_>,
    case: &LoadedCase,
    frames: &[ParsedExchange<'_>],
    tainted: &Tainted,
    began_ms: i64,
    transport: Transport,
) {
    for frame in frames {
        own_request(checks, frame);
        retry_after(checks, frame);
        if frame.exchange.role == Role::Throttled && frame.answer().is_none() {
            continue;
        }
        status(checks, frame);
        match serves_spoilt(frame, tainted) {
            true => served_as_sent(checks, frame),
            // What was to be refused has no body that could be of the wrong form.
            false if is_success(frame) && was_to_be_refused(case, frame) => {}
            false => body(checks, frames, frame),
        }
        content_type(checks, frame);
        leaks(checks, frame);
        tokens(checks, frame, began_ms, transport);
        jwt(checks, frame);
    }
    nonces(checks, frames);
}

fn is_success(frame: &ParsedExchange<'_>) -> bool {
    let status = frame.answer().map(|answer| answer.status);
    status.is_some_and(|status| (200..300).contains(&status)) && !frame.is_refusal_in_disguise()
}

/// Whether the case's step allows nothing but refusals.
fn was_to_be_refused(case: &LoadedCase, frame: &ParsedExchange<'_>) -> bool {
    let step = frame.exchange.step.filter(|_| frame.exchange.role == Role::Step);
    let step = step.and_then(|step| case.case.steps.get(step));
    step.is_some_and(|step| step.get_ref().is_to_be_refused())
}

/// Whether an answer holds what the harness itself sent wrongly and the target should have refused.
fn serves_spoilt(frame: &ParsedExchange<'_>, tainted: &Tainted) -> bool {
    let repo = frame.exchange.repo.as_ref();
    frame.reading.granted().is_some()
        && repo
            .and_then(|repo| tainted.get(repo))
            .is_some_and(|since| frame.index >= *since)
}

/// What was no valid message should not be stored, and so not be served.
fn served_as_sent(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let (Some(operation), Some(body)) = (frame.operation, frame.json()) else {
        return;
    };
    let message = operation.answer_message();
    let violations = schema::violations(message, body)
        .into_iter()
        .chain(schema::base64_violations(message, body));
    for violation in violations.take(1) {
        let expected = "what is not of the schema is refused, or left out: it is not served";
        let subject = standing("stored", "AVP-6-21", expected);
        checks.note(
            subject,
            frame.index,
            Finding::broken_at(violation.pointer, violation.message),
        );
    }
}

fn standing(
    name: &'static str,
    requirement: &'static str,
    expected: impl Into<Cow<'static, str>>,
) -> Subject {
    Subject {
        step: None,
        name,
        requirements: vec![requirement],
        expected: expected.into(),
    }
}

/// A harness that sends wrong bytes must notice.
fn own_request(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    if frame.exchange.spoiled.is_some() {
        return;
    }
    let Some(message) = frame.operation.and_then(Operation::request_message) else {
        return;
    };
    let wrong = match &frame.request {
        None => Some("it is not JSON".to_owned()),
        // A nonce is the target's own, whatever it is.
        Some(request) => schema::violations(message, request)
            .into_iter()
            .chain(schema::base64_violations(message, request))
            .find(|violation| violation.pointer != "/nonce")
            .map(|violation| format!("{}: {}", violation.pointer, violation.message)),
    };
    if let Some(wrong) = wrong {
        let reason = format!("the harness sent a request that its own schema refuses: {wrong}");
        let finding = Finding::Unknown {
            reason,
            verdict: Verdict::Error,
        };
        let subject = standing(
            "own request",
            "AVP-2-02",
            "every request of the harness's own is a valid message",
        );
        checks.note(subject, frame.index, finding);
    }
}

fn status(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let Some(answer) = frame
        .answer()
        .filter(|answer| (200..300).contains(&answer.status))
    else {
        return;
    };
    if frame.operation.is_none() {
        return;
    }
    let finding = match answer.status {
        200 => Finding::Holds,
        other => Finding::broken(format!("status {other}")),
    };
    checks.note(
        standing("status", "AVP-6-22", "success is answered with status 200"),
        frame.index,
        finding,
    );
}

fn body(checks: &mut Checks<'_>, frames: &[ParsedExchange<'_>], frame: &ParsedExchange<'_>) {
    let Some(answer) = frame.answer() else { return };
    match frame.operation {
        Some(_) if frame.is_refusal_in_disguise() => {
            let expected = "an error object comes with a status that is not 2xx";
            let finding = Finding::broken(format!("status {} with an error object", answer.status));
            checks.note(
                standing("error object", "AVP-6-18", expected),
                frame.index,
                finding,
            );
        }
        Some(operation) if (200..300).contains(&answer.status) => success(checks, frames, frame, operation),
        _ if answer.status < 300 => {}
        operation => error_object(checks, frame, operation, answer.status),
    }
}

fn success(
    checks: &mut Checks<'_>,
    frames: &[ParsedExchange<'_>],
    frame: &ParsedExchange<'_>,
    operation: Operation,
) {
    let message = operation.answer_message();
    let rule = match operation {
        Operation::Discovery => "AVP-8-01",
        _ => "AVP-2-02",
    };
    let subject = || {
        let expected = format!("the body of {operation} is a {message}, and nothing more");
        standing("schema", rule, expected)
    };
    // Another status of success has a rule of its own, and no body that the table speaks of.
    let is_other = frame.answer().is_some_and(|answer| answer.status != 200);
    if is_other && frame.body.is_none() {
        return;
    }
    let body = match &frame.body {
        Some(Ok(body)) => body,
        Some(Err(why)) => {
            return checks.note(
                subject(),
                frame.index,
                Finding::broken(format!("not JSON: {why}")),
            );
        }
        None => return checks.note(subject(), frame.index, Finding::broken("no body")),
    };
    let violations = schema::violations(message, body);
    if violations.is_empty() {
        checks.note(subject(), frame.index, Finding::Holds);
    }
    // JSON Schema takes 2.0 for an integer; who reads an int64 does not.
    if let Some(pointer) = fraction_in(body).filter(|_| operation != Operation::Discovery) {
        let got = "a counter that is written with a fraction";
        checks.note(subject(), frame.index, Finding::broken_at(pointer, got));
    }
    for violation in violations {
        // A time that is none has a rule of its own.
        let subject = match violation.pointer.as_str() {
            "/expiresAt" => standing("time", "AVP-2-03", "times are epoch milliseconds"),
            _ => subject(),
        };
        checks.note(
            subject,
            frame.index,
            Finding::broken_at(violation.pointer, violation.message),
        );
    }
    base64(checks, frames, frame, message, body);
    if operation == Operation::Challenge {
        nonce_length(checks, frame, body);
    }
}

/// Where a number stands that is no integer by the way it is written: a JSON pointer.
fn fraction_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| Some(format!("/{name}{}", fraction_in(value)?))),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, value)| Some(format!("/{index}{}", fraction_in(value)?))),
        Value::Number(number) => number.is_f64().then(String::new),
        _ => None,
    }
}

/// Values that the server was sent in this case are not of its making.
fn base64(
    checks: &mut Checks<'_>,
    frames: &[ParsedExchange<'_>],
    frame: &ParsedExchange<'_>,
    message: &str,
    body: &Value,
) {
    let subject = || {
        standing(
            "base64",
            "AVP-2-01",
            "binary values are standard base64 with padding",
        )
    };
    let ours = |text: &str| {
        let sent = frames
            .iter()
            .filter_map(|other| other.exchange.request.body.as_ref());
        let quoted = Value::from(text).to_string();
        sent.filter_map(|body| body.as_text())
            .any(|body| body.contains(&quoted))
    };
    let mut sound = true;
    let violations = schema::base64_violations(message, body);
    let sent = match violations.is_empty() {
        true => Sent::default(),
        false => Sent::of(frames),
    };
    for violation in violations {
        let text = body
            .pointer(&violation.pointer)
            .and_then(Value::as_str)
            .unwrap_or_default();
        // Of another length is another value: that of a nonce has a rule of its own, and all the others are held against
        // what was sent.
        let is_another =
            BASE64_STANDARD.decode(text).is_ok() || (altered(message) && !sent.is_respelt(frame.index, text));
        if !is_another && !ours(text) {
            sound = false;
            checks.note(
                subject(),
                frame.index,
                Finding::broken_at(violation.pointer, violation.message),
            );
        }
    }
    if sound && !schema::base64_fields(message).is_empty() {
        checks.note(subject(), frame.index, Finding::Holds);
    }
}

/// Whether the binary values of a message are the client's own: what else they hold is altered.
fn altered(message: &str) -> bool {
    message != "AuthChallenge"
}

fn nonce_length(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>, body: &Value) {
    let Some(nonce) = body.get("nonce").and_then(Value::as_str) else {
        return;
    };
    let Ok(bytes) = BASE64_STANDARD.decode(nonce) else {
        return;
    };
    let finding = match bytes.len() {
        32.. => Finding::Holds,
        short => Finding::broken_at("/nonce", format!("a nonce of {short} bytes")),
    };
    checks.note(
        standing("nonce", "AVP-3-01", "a nonce carries at least 32 bytes"),
        frame.index,
        finding,
    );
}

fn error_object(
    checks: &mut Checks<'_>,
    frame: &ParsedExchange<'_>,
    operation: Option<Operation>,
    status: u16,
) {
    // Discovery is optional: a server without it answers whatever it answers to unknown routes. Outside the route table a
    // refusal with no body at all is as good as any.
    let outside = operation.is_none_or(|operation| operation == Operation::Discovery) || status == 304;
    if outside && (frame.body.is_none() || operation.is_some()) {
        return;
    }
    let subject = || {
        standing(
            "error object",
            "AVP-6-18",
            "every answer that is not 2xx is an error object",
        )
    };
    let object = match &frame.body {
        Some(Ok(body)) if body.is_object() => body,
        Some(Ok(_)) => {
            return checks.note(
                subject(),
                frame.index,
                Finding::broken(format!("status {status} with JSON that is no object")),
            );
        }
        Some(Err(why)) => {
            let got = format!("status {status} with a body that is not JSON: {why}");
            return checks.note(subject(), frame.index, Finding::broken(got));
        }
        None => {
            return checks.note(
                subject(),
                frame.index,
                Finding::broken(format!("status {status} with no body")),
            );
        }
    };
    let finding = match (object.get("error"), object.get("detail")) {
        (Some(Value::String(_)), None | Some(Value::String(_))) => Finding::Holds,
        (Some(Value::String(_)), Some(_)) => Finding::broken_at("/detail", "a `detail` that is no string"),
        (Some(_), _) => Finding::broken_at("/error", "an `error` that is no string"),
        (None, _) => Finding::broken_at("", "an object without `error`"),
    };
    checks.note(subject(), frame.index, finding);
    error_code(checks, frame, object, status);
}

/// A field may be left out; one that is there has a word of the table, and null is none.
///
/// A server may answer with statuses that the error table does not have: 405, 411, 415. A code that comes with them need
/// only be one of the table.
fn error_code(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>, object: &Value, status: u16) {
    let expected = "an error's code is one that the table gives for its status";
    let subject = standing("error code", "AVP-6-19", expected);
    let Some(code) = object.get("code") else {
        let reason = "the target's errors carry no code".to_owned();
        let finding = Finding::Unknown {
            reason,
            verdict: Verdict::NotApplicable,
        };
        return checks.note(subject, frame.index, finding);
    };
    let known = match codes(status) {
        [] => &ERROR_CODES,
        known => known,
    };
    let fits = code.as_str().is_some_and(|code| known.contains(&code));
    let finding = match fits {
        true => Finding::Holds,
        false => Finding::broken_at(
            "/code",
            format!("the code {code} with status {status}, not {}", known.join(" or ")),
        ),
    };
    checks.note(subject, frame.index, finding);
}

/// Every code of the error table.
const ERROR_CODES: [&str; 8] = [
    "unauthorized",
    "forbidden",
    "not_found",
    "duplicate_repo",
    "quota_exceeded",
    "too_large",
    "policy_denied",
    "bad_request",
];

/// The codes that the error table gives for a status (section 7 of the protocol page).
fn codes(status: u16) -> &'static [&'static str] {
    match status {
        400 => &["bad_request"],
        401 => &["unauthorized"],
        403 => &["forbidden", "policy_denied"],
        404 => &["not_found"],
        409 => &["duplicate_repo"],
        413 => &["too_large"],
        429 => &["quota_exceeded"],
        _ => &[],
    }
}

fn content_type(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let (Some(answer), Some(Ok(_)), Some(_)) = (frame.answer(), &frame.body, frame.operation) else {
        return;
    };
    let value = answer.header("content-type");
    let media = value
        .and_then(|value| value.split(';').next())
        .map(|media| media.trim().to_ascii_lowercase());
    let finding = match media.as_deref() {
        Some("application/json") => Finding::Holds,
        Some(other) => Finding::broken(format!("content-type: {}", other.escape_default())),
        None => Finding::broken("no content type"),
    };
    checks.note(
        standing("content type", "AVP-2-05", "JSON is served as application/json"),
        frame.index,
        finding,
    );
}

/// Nothing that stands only in plaintext or in private keys may come back, in whatever encoding.
fn leaks(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let Some(answer) = frame.answer() else { return };
    let subject = standing(
        "plaintext",
        "AVP-10-01",
        "nothing served holds or decodes to plaintext of an account",
    );
    let text = answer.body.to_text();
    let found = [PLAINTEXT_MARK, PRIVATE_KEY_MARK]
        .into_iter()
        .find(|mark| text.contains(mark));
    if let Some(mark) = found {
        let got = format!("a secret of the client's in the answer, shown here as {mark}...]");
        return checks.note(subject, frame.index, Finding::broken(got));
    }
    match frame.json().and_then(plaintext_in) {
        Some(pointer) => {
            checks.note(
                subject,
                frame.index,
                Finding::broken_at(pointer, "text that decodes to fields of an account"),
            );
        }
        None if frame.operation == Some(Operation::Pull) && frame.reading.granted().is_some() => {
            checks.note(subject, frame.index, Finding::Holds);
        }
        None => {}
    }
}

/// Fields of an AltAccount that no answer of a server has.
const ACCOUNT_FIELDS: [&str; 3] = ["accessToken", "refreshToken", "alts"];

/// Where a value holds plaintext: a JSON pointer.
fn plaintext_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let below = match ACCOUNT_FIELDS.contains(&key.as_str()) {
                true => String::new(),
                false => plaintext_in(value)?,
            };
            Some(format!("/{key}{below}"))
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| plaintext_in(item).map(|below| format!("/{index}{below}"))),
        Value::String(text) => decodes_to_account(text).then(String::new),
        _ => None,
    }
}

fn decodes_to_account(text: &str) -> bool {
    if !may_decode_to_object(text) {
        return false;
    }
    let bytes = BASE64_STANDARD.decode(text).unwrap_or_default();
    serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| plaintext_in(&value).is_some())
}

/// Whether the first bytes are such as an object of JSON begins with: few strings are decoded whole.
fn may_decode_to_object(text: &str) -> bool {
    let mut head = [0; 3];
    let decoded = text
        .get(..4)
        .map(|text| BASE64_STANDARD.decode_slice(text, &mut head));
    matches!(decoded, Some(Ok(3))) && matches!(head.trim_ascii_start().first(), None | Some(b'{'))
}

/// Token answers: the time is epoch milliseconds, and in the future.
fn tokens(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>, began_ms: i64, transport: Transport) {
    if frame.operation != Some(Operation::Token) {
        return;
    }
    let Some(expires) = frame
        .reading
        .granted()
        .and_then(|body| body.get("expiresAt"))
        .and_then(Value::as_i64)
    else {
        return;
    };
    let elapsed = i64::try_from((frame.exchange.at_us + frame.exchange.took_us) / 1000).unwrap_or(0);
    // Clocks differ: the server's own Date, which has whole seconds, is as good a witness of the time as ours.
    let ours = began_ms.saturating_add(elapsed);
    let date = frame.answer().and_then(Answer::date_ms);
    let now = date.map_or(ours, |date| date.min(ours));
    let is_told = date.is_some() || transport == Transport::Loopback;
    let unit = other_unit(expires, now);
    let finding = unit.map_or(Finding::Holds, |unit| {
        Finding::broken_at("/expiresAt", format!("{expires}: this looks like {unit}"))
    });
    checks.note(
        standing("time", "AVP-2-03", "times are epoch milliseconds"),
        frame.index,
        finding,
    );
    let finding = match expires > now {
        _ if unit.is_some() => Finding::Unknown {
            reason: "expiresAt is in another unit, which is a finding of its own".to_owned(),
            verdict: Verdict::Blocked,
        },
        true => Finding::Holds,
        false if is_told || expires < now - CLOCK_SKEW_MS => {
            Finding::broken_at("/expiresAt", format!("{expires}, when it was {now}"))
        }
        false => Finding::Unknown {
            reason: "the target's answers have no Date, so nobody can tell what time it is there".to_owned(),
            verdict: Verdict::NotApplicable,
        },
    };
    let expected = "expiresAt lies in the future when the token is issued";
    checks.note(
        standing("token lifetime", "AVP-3-12", expected),
        frame.index,
        finding,
    );
}

/// The unit in which a time is near to now, where it is not milliseconds. A token may live for centuries.
fn other_unit(time: i64, now: i64) -> Option<&'static str> {
    let near = |time: i64| (now - DAY_MS..now + TEN_YEARS_MS).contains(&time);
    match time {
        _ if near(time) => None,
        _ if near(time.saturating_mul(1000)) => Some("epoch seconds"),
        _ if near(time / 1000) => Some("epoch microseconds"),
        _ if near(time / 1_000_000) => Some("epoch nanoseconds"),
        // A duration, in seconds or in milliseconds.
        _ if (0..TEN_YEARS_MS).contains(&time) => Some("a time span, or epoch seconds"),
        _ => None,
    }
}

/// The form of tokens is the issuer's own; where they are JWTs, their claims are looked at.
fn jwt(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    if frame.operation != Some(Operation::Token) || frame.reading.granted().is_none() {
        return;
    }
    let finding = match &frame.exchange.jwt {
        None => Finding::Unknown {
            reason: "the target's tokens are no JWTs".to_owned(),
            verdict: Verdict::NotApplicable,
        },
        Some(jwt) => match jwt_claims::reference_form(frame.exchange, jwt) {
            Ok(()) => Finding::Holds,
            Err(why) => Finding::Unknown {
                reason: format!("the target's tokens are JWTs of another form: {why}"),
                verdict: Verdict::NotApplicable,
            },
        },
    };
    let expected = "a JWT names the member by its key, and tells nothing else of it";
    checks.note(
        standing("token claims", "AVP-3-15", expected),
        frame.index,
        finding,
    );
}

/// Two nonces that hold no more than 128 random bits are this close once in 10^18 pairs; counters always are.
const CLOSE_NONCE_BITS: u32 = 16;

/// In how many bits two nonces of one length differ.
fn distance(a: &str, b: &str) -> Option<u32> {
    let (a, b) = (BASE64_STANDARD.decode(a).ok()?, BASE64_STANDARD.decode(b).ok()?);
    let bits = |(a, b): (u8, u8)| (a ^ b).count_ones();
    (a.len() == b.len()).then(|| a.into_iter().zip(b).map(bits).sum())
}

/// No two challenges share a nonce, and none follows from another by counting.
fn nonces(checks: &mut Checks<'_>, frames: &[ParsedExchange<'_>]) {
    let challenges = frames
        .iter()
        .filter(|frame| frame.operation == Some(Operation::Challenge));
    let issued: Vec<(usize, &str)> = challenges
        .filter_map(|frame| Some((frame.index, frame.reading.granted()?.get("nonce")?.as_str()?)))
        .collect();
    for (at, (index, nonce)) in issued.iter().enumerate().skip(1) {
        let nearest = issued[..at]
            .iter()
            .filter_map(|(_, earlier)| distance(earlier, nonce))
            .min();
        let again = issued[..at].iter().any(|(_, earlier)| earlier == nonce);
        let finding = match nearest {
            _ if again => Finding::broken_at("/nonce", "a nonce that was issued before"),
            Some(bits @ ..CLOSE_NONCE_BITS) => {
                let got = format!(
                    "a nonce that differs from an earlier one in {bits} bits alone: it is not random"
                );
                Finding::broken_at("/nonce", got)
            }
            _ => Finding::Holds,
        };
        checks.note(
            standing(
                "nonce",
                "AVP-3-02",
                "nonces are random: no two challenges share one, or nearly",
            ),
            *index,
            finding,
        );
    }
}

fn retry_after(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let Some(answer) = frame.answer().filter(|answer| answer.status == 429) else {
        return;
    };
    let finding = match answer.header("retry-after") {
        Some(_) => Finding::Holds,
        None => Finding::broken("429 without Retry-After"),
    };
    checks.note(
        standing("retry after", "AVP-7-02", "429 says when to try again"),
        frame.index,
        finding,
    );
}
