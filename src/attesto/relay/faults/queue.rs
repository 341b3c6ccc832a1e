//! What goes wrong in the queue.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::super::Habits;
use super::super::arguments::Target;
use super::super::envelope::{canonical, sha256};
use super::super::rules::Arrival;
use super::super::settings::Timing;
use super::super::spool::{Item, Place, Spool};

/// What becomes of an attestation that is enqueued.
pub(in super::super) enum Kept {
    /// By the rule.
    Plain(Arrival),
    /// As an item of its own, whatever is there.
    Again,
    /// In the place of what is there.
    Replaced,
    /// What is there is queued once more.
    Revived,
}

/// The hash by which a payload is known again.
pub(in super::super) fn digest(habits: &Habits, plain: String, text: &[u8]) -> String {
    // The hash of the file instead: it is sent as well, so the judge of payloads sees it where the file is not canonical.
    if habits.is("order-is-drift") && plain != sha256(text) && habits.has("order-is-drift") {
        return sha256(text);
    }
    let as_it_stands = sorted_on_top(text);
    let sorted = sorted_on_top(&canonical(&serde_json::from_slice(text).unwrap_or_default()));
    match as_it_stands != sorted && habits.has("order-within-is-drift") {
        true => sha256(as_it_stands.as_bytes()),
        false => plain,
    }
}

/// The members of an object in their order, and what is within them as it stands.
fn sorted_on_top(text: &[u8]) -> String {
    let members: BTreeMap<String, Value> = serde_json::from_slice(text).unwrap_or_default();
    let members = members.into_iter().map(|(name, value)| format!("{name}:{value}"));
    members.collect()
}

/// Whether what is there is looked at beforehand, and others are let in between.
pub(in super::super) fn looks_beforehand(habits: &Habits) -> bool {
    habits.has("enqueue-decides-on-what-was")
}

/// Lets others in between.
pub(in super::super) async fn dawdles() {
    tokio::time::sleep(Duration::from_millis(60)).await;
}

/// The options of a drain, as far as they are read.
pub(in super::super) fn options(habits: &Habits, target: &Target) -> Target {
    let has_some = target.endpoint_url.is_some() || target.installation_id.is_some();
    match has_some && habits.has("options-not-read") {
        true => Target {
            endpoint_url: None,
            installation_id: None,
            key_id: None,
        },
        false => target.clone(),
    }
}

/// Where an item is looked for.
pub(in super::super) fn place<'a>(habits: &Habits, stream: &'a str) -> Place<'a> {
    match () {
        () if habits.has("reference-of-any-stream") => Place::Anywhere,
        () if habits.has("names-put-together") => Place::PutTogether(stream, ""),
        () if habits.has("names-put-together-with-a-colon") => Place::PutTogether(stream, ":"),
        () => Place::Stream(stream),
    }
}

/// What becomes of an attestation by what the rule says.
pub(in super::super) fn arrival(
    habits: &Habits,
    plain: Arrival,
    there: Option<&Item>,
    payload: &Value,
    first: impl FnOnce() -> Option<Value>,
) -> Kept {
    let is_over = there.is_some_and(|item| item.state == "delivered");
    let is_in_flight = there.is_some_and(|item| item.state == "inflight");
    match plain {
        Arrival::Same if is_in_flight && habits.has("in-flight-queued-again") => Kept::Revived,
        Arrival::Drift
            if there.is_some_and(|item| item.attempts > 0 && item.state == "queued")
                && habits.has("drift-after-a-failure-taken") =>
        {
            Kept::Replaced
        }
        Arrival::Drift if is_in_flight && habits.has("drift-in-flight-taken") => Kept::Plain(Arrival::Same),
        Arrival::Drift if is_nearly_the_same(habits, payload, first) => Kept::Plain(Arrival::Same),
        Arrival::Same if habits.has("enqueued-twice") => Kept::Again,
        Arrival::Same if is_over && habits.has("delivered-queued-again") => Kept::Revived,
        Arrival::Drift if habits.has("drift-replaces") => Kept::Replaced,
        Arrival::Drift if habits.has("drift-answered-as-the-same") => Kept::Plain(Arrival::Same),
        Arrival::Drift if is_over && habits.has("drift-after-delivery-taken") => Kept::Replaced,
        other => Kept::Plain(other),
    }
}

/// A payload as what it is taken for.
type Likened = fn(&Value) -> Value;

/// Whether a payload passes for the first, though it differs from it.
fn is_nearly_the_same(habits: &Habits, payload: &Value, first: impl FnOnce() -> Option<Value>) -> bool {
    let likened: [(&'static str, Likened); 7] = [
        ("one-is-true", |value| {
            likened(value, &|value| value.as_bool().map(|is| u8::from(is).into()))
        }),
        ("numbers-are-texts", |value| {
            likened(value, &|value| {
                value.is_number().then(|| value.to_string().into())
            })
        }),
        ("null-is-nothing", |value| {
            likened(value, &|value| {
                let mut members = value.as_object()?.clone();
                members.retain(|_, value| !value.is_null());
                Some(members.into())
            })
        }),
        ("arrays-have-no-order", |value| {
            likened(value, &|value| {
                let mut values = value.as_array()?.clone();
                values.sort_by_key(Value::to_string);
                Some(values.into())
            })
        }),
        ("payloads-without-case", |value| {
            likened(value, &|value| Some(value.as_str()?.to_lowercase().into()))
        }),
        ("characters-put-together", |value| {
            likened(value, &|value| {
                Some(value.as_str()?.replace("e\u{301}", "\u{e9}").into())
            })
        }),
        ("drift-looked-for-on-top", |value| {
            let mut members = value.as_object().cloned().unwrap_or_default();
            members.retain(|_, value| !value.is_array() && !value.is_object());
            members.into()
        }),
    ];
    let Some((name, likened)) = likened.into_iter().find(|(name, _)| habits.is(name)) else {
        return false;
    };
    first().is_some_and(|first| likened(&first) == likened(payload)) && habits.has(name)
}

/// A value in which every value within is what another is taken for.
fn likened(value: &Value, each: &dyn Fn(&Value) -> Option<Value>) -> Value {
    let within = match value {
        Value::Array(values) => values.iter().map(|value| likened(value, each)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| (name.clone(), likened(value, each));
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    };
    each(&within).unwrap_or(within)
}

/// Which items may be taken at a time, as SQL over the time `?1`.
///
/// # Errors
/// The database refuses.
pub(in super::super) fn order(
    habits: &Habits,
    spool: &Spool,
    now_ms: i64,
) -> Result<Cow<'static, str>, String> {
    let order = of_the_due(habits);
    if habits.is("drain-decides-on-what-was")
        && let Some(number) = spool.first(now_ms, order)?
        && habits.has("drain-decides-on-what-was")
    {
        return Ok(format!("number = {number}").into());
    }
    Ok(order.into())
}

/// The same, whoever else takes some.
fn of_the_due(habits: &Habits) -> &'static str {
    if habits.has("failing-item-holds-up-all") {
        return "number = (SELECT MIN(number) FROM item WHERE state IN ('queued', 'inflight')) AND state = 'queued' AND due_ms <= ?1";
    }
    if habits.has("strict-order-in-a-stream") {
        return "state = 'queued' AND due_ms <= ?1 AND NOT EXISTS (SELECT 1 FROM item AS before WHERE before.stream_id = item.stream_id
                AND before.number < item.number AND before.state IN ('queued', 'inflight'))";
    }
    if habits.has("in-flight-taken-too") {
        return "state IN ('queued', 'inflight') AND due_ms <= ?1";
    }
    "state = 'queued' AND due_ms <= ?1"
}

/// An item was taken.
pub(in super::super) fn claimed(habits: &Habits, spool: &Spool, item: &Item) -> Result<(), String> {
    if habits.has("delivered-when-sent") {
        spool.settle(&item.event, "delivered", 0)?;
    }
    if habits.has("taken-out-when-sent") {
        spool.forget(&item.event)?;
    }
    Ok(())
}

/// An item cannot be decrypted.
pub(in super::super) fn undecryptable(habits: &Habits, spool: &Spool, item: &Item) -> Result<(), String> {
    if habits.has("undecryptable-stops-all") {
        spool.settle(&item.event, "queued", 0)?;
        return Err("an item cannot be decrypted".to_owned());
    }
    Ok(())
}

/// The state of an item that was acknowledged.
pub(in super::super) fn delivered(habits: &Habits) -> &'static str {
    match habits.has("delivered-stays-queued") {
        true => "queued",
        false => "delivered",
    }
}

/// The error that is told.
pub(in super::super) fn said(habits: &Habits, error: Option<String>) -> Option<String> {
    match error.is_some() && habits.has("failure-told-as-sent") {
        true => None,
        false => error,
    }
}

/// What becomes of an item after a failed attempt.
pub(in super::super) enum Rest {
    /// It rests.
    For(Duration),
    /// It is dead.
    Dead,
    /// It is deleted.
    Forgotten,
}

/// What becomes of an item after its failed attempt of this number, which was answered with this status.
pub(in super::super) fn rest(
    habits: &Habits,
    attempt: u32,
    status: Option<u16>,
    plain: Option<Duration>,
) -> Rest {
    let is_final = status.is_some_and(|status| [400, 401, 403, 404, 410, 422].contains(&status));
    if is_final && habits.has("final-statuses-are-final") {
        return Rest::Dead;
    }
    let is_other = status.is_some_and(|status| (200..300).contains(&status));
    let is_busy = status.is_some_and(|status| [408, 425, 429].contains(&status));
    let is_trouble = status.is_some_and(|status| status >= 500 && status != 503);
    let finals = [
        ("busy-is-final", is_busy),
        ("trouble-of-the-receiver-is-final", is_trouble),
        ("other-answer-is-final", is_other),
        ("broken-connection-is-final", status.is_none()),
    ];
    if finals.into_iter().any(|(name, is)| is && habits.has(name)) {
        return Rest::Dead;
    }
    if habits.has("failed-is-dropped") {
        return Rest::Forgotten;
    }
    if habits.has("failed-is-dead") {
        return Rest::Dead;
    }
    if habits.has("no-delay") {
        return Rest::For(Duration::ZERO);
    }
    match plain {
        _ if habits.is("delays-shrink") && habits.has("delays-shrink") => {
            Rest::For(Duration::from_millis(1600) / attempt.saturating_mul(attempt).max(1))
        }
        Some(_) if habits.has("dead-after-four") && attempt >= 4 => Rest::Dead,
        Some(delay) => Rest::For(delay),
        None => Rest::Dead,
    }
}

/// Whether an attempt counts that was broken off by a crash.
pub(in super::super) fn crash_counts(habits: &Habits) -> bool {
    !habits.is("crash-not-counted")
}

/// Attempts that do not count were taken back.
pub(in super::super) fn taken_back(habits: &Habits, items: usize) {
    if items > 0 && habits.is("crash-not-counted") {
        habits.fire("crash-not-counted");
    }
}

/// How a command ends that has told a failure.
pub(in super::super) fn exit(habits: &Habits, is_failure: bool) -> Result<(), String> {
    match is_failure && habits.has("exits-tell-failure") {
        true => Err("it failed".to_owned()),
        false => Ok(()),
    }
}

/// Whether the loop knows its endpoint.
pub(in super::super) fn loop_target(habits: &Habits, target: &Target) -> Result<(), String> {
    match target.endpoint_url.is_none() && habits.has("loop-heeds-no-variables") {
        true => Err("drain-loop needs --endpoint-url".to_owned()),
        false => Ok(()),
    }
}

/// Whether the loop goes on when it is asked to end.
pub(in super::super) fn goes_on(habits: &Habits) -> bool {
    habits.has("loop-deaf-to-sigterm")
}

/// Whether the attempt in hand is broken off when the loop is asked to end.
pub(in super::super) fn breaks_off(habits: &Habits) -> bool {
    habits.is("attempt-broken-off-by-sigterm")
}

/// An attempt was broken off.
pub(in super::super) fn broken_off(habits: &Habits) {
    habits.fire("attempt-broken-off-by-sigterm");
}

/// Whether the loop ends when nothing is due.
pub(in super::super) fn ends_when_idle(habits: &Habits) -> bool {
    habits.has("loop-ends-when-idle")
}

/// Whether the loop rests after each attempt.
pub(in super::super) fn rests_after_each(habits: &Habits) -> bool {
    habits.has("loop-rests-after-each")
}

/// How long the relay waits for what.
pub(in super::super) fn timing(habits: &Habits, plain: Timing) -> Timing {
    Timing {
        first_delay: match habits.has("longer-delays") {
            true => plain.first_delay * 4,
            false => plain.first_delay,
        },
        ..plain
    }
}
