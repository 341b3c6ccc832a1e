//! What goes wrong in the queue.

use std::borrow::Cow;
use std::time::Duration;

use super::super::Habits;
use super::super::arguments::Target;
use super::super::envelope::sha256;
use super::super::rules::Arrival;
use super::super::settings::Timing;
use super::super::spool::{Item, Spool};

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
    match habits.is("order-is-drift") && plain != sha256(text) && habits.has("order-is-drift") {
        true => sha256(text),
        false => plain,
    }
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

/// The stream in which a reference is looked for; none for any.
pub(in super::super) fn place<'a>(habits: &Habits, stream: &'a str) -> Option<&'a str> {
    (!habits.has("reference-of-any-stream")).then_some(stream)
}

/// What becomes of an attestation by what the rule says.
pub(in super::super) fn arrival(habits: &Habits, plain: Arrival, there: Option<&Item>) -> Kept {
    let is_over = there.is_some_and(|item| item.state == "delivered");
    match plain {
        Arrival::Same if habits.has("enqueued-twice") => Kept::Again,
        Arrival::Same if is_over && habits.has("delivered-queued-again") => Kept::Revived,
        Arrival::Drift if habits.has("drift-replaces") => Kept::Replaced,
        Arrival::Drift if habits.has("drift-answered-as-the-same") => Kept::Plain(Arrival::Same),
        Arrival::Drift if is_over && habits.has("drift-after-delivery-taken") => Kept::Replaced,
        other => Kept::Plain(other),
    }
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
