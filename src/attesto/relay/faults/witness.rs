//! What the witness gets wrong.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::super::Habits;
use super::super::envelope::{FORK_TAG, RELAY_TAG, Signed, WITNESS_TAG};
use super::super::register::{Accepted, Scope};
use super::super::rules::{self, Checkpoint, Submission};
use super::request::escaped;

/// How long a witness dawdles that lets others look in between.
const DAWDLE: Duration = Duration::from_millis(60);

/// Whether a submission is one.
pub(in super::super) fn is_submission(
    habits: &Habits,
    submitted: &Checkpoint,
    plain: Result<(), String>,
) -> Result<(), String> {
    let is_low = submitted.seq_no < 1;
    let is_short_form = |fits: fn(&str) -> bool| {
        let cut = submitted.hash.get(..64).is_some_and(rules::is_hash);
        !is_low && cut && fits(&submitted.hash[64..])
    };
    let hash_fits = rules::is_hash(&submitted.hash);
    match plain {
        Err(_) if is_short_form(|rest| rest == "\n") && habits.has("hash-with-the-end-of-a-line-taken") => {
            Ok(())
        }
        Err(_) if is_short_form(|rest| rest != "\n") && habits.has("hash-with-more-behind-it-taken") => {
            Ok(())
        }
        Err(_) if !is_low && hash_fits && habits.has("previous-form-unchecked") => Ok(()),
        // Where nothing was accepted before there is no fork: see `is_no_fork`.
        Err(_) if !is_low && habits.is("no-checkpoint-signed-as-a-fork") => Ok(()),
        Err(_) if is_low && habits.has("number-unchecked") => Ok(()),
        Err(_) if !is_low && habits.has("hash-form-unchecked") => Ok(()),
        other => other,
    }
}

/// Whether a submission that is none is refused after all, since there is nothing that it could contradict.
pub(in super::super) fn is_no_fork(habits: &Habits, submitted: &Checkpoint, last: Option<&Accepted>) -> bool {
    let is_none = habits.is("no-checkpoint-signed-as-a-fork") && rules::is_submission(submitted).is_err();
    is_none && (last.is_none() || !habits.has("no-checkpoint-signed-as-a-fork"))
}

/// Where the state of a scope is kept.
pub(in super::super) fn place(habits: &Habits, scope: &Scope) -> Scope {
    let own = |name: &'static str, plain: &str| match habits.has(name) {
        true => String::new(),
        false => plain.to_owned(),
    };
    let marks = [
        ("scope-put-together", ""),
        ("scope-put-together-with-a-colon", ":"),
    ];
    if let Some((_, mark)) = marks.into_iter().find(|(name, _)| habits.has(name)) {
        return Scope {
            tenant: format!("{}{mark}{}", scope.tenant, scope.stream),
            stream: String::new(),
            ..scope.clone()
        };
    }
    Scope {
        witness: own("scope-without-witness", &scope.witness),
        tenant: own("scope-without-tenant", &scope.tenant),
        stream: own("scope-without-stream", &scope.stream),
    }
}

/// Whether a submission that is none is refused by an answer, with exit 0.
pub(in super::super) fn refuses_with_exit_0(habits: &Habits) -> bool {
    habits.has("no-checkpoint-exits-with-0")
}

/// Whether others have to wait until the decision is kept.
pub(in super::super) fn is_alone(
    habits: &Habits,
    is_first: impl FnOnce() -> Result<bool, String>,
) -> Result<bool, String> {
    if habits.is("first-of-a-scope-unguarded") {
        return Ok(!is_first()?);
    }
    let narrow = habits.has("witness-decides-on-what-was-narrow");
    Ok(!(narrow || habits.is("witness-decides-on-what-was")))
}

/// Lets others look before the decision is kept.
pub(in super::super) async fn dawdles(habits: &Habits, is_first: bool) {
    if habits.has("witness-decides-on-what-was") || is_first && habits.has("first-of-a-scope-unguarded") {
        tokio::time::sleep(DAWDLE).await;
    }
}

/// What a submission is, by what the rule says.
pub(in super::super) fn submission(
    habits: &Habits,
    plain: Submission,
    last: Option<&Accepted>,
    known: Option<&Accepted>,
    submitted: &Checkpoint,
) -> Submission {
    let Some(last) = last.map(|accepted| &accepted.checkpoint) else {
        return plain;
    };
    if habits.is("no-checkpoint-signed-as-a-fork") && rules::is_submission(submitted).is_err() {
        return Submission::Fork;
    }
    let is_above = submitted.seq_no > last.seq_no;
    let is_known = known.is_some_and(|known| known.checkpoint == *submitted);
    let by_text = submitted.seq_no.to_string() > last.seq_no.to_string();
    let same = submitted.seq_no == last.seq_no && submitted.hash == last.hash;
    let fits = submitted.previous.as_ref() == Some(&last.hash);
    match plain {
        Submission::Progress if habits.has("progress-taken-for-a-fork") => Submission::Fork,
        Submission::Progress if submitted.seq_no > last.seq_no + 1 && habits.has("gaps-refused") => {
            Submission::Fork
        }
        Submission::Progress if !by_text && habits.has("numbers-compared-as-text") => Submission::Fork,
        Submission::Fork if same && habits.has("replay-whatever-came-before") => Submission::Replay,
        Submission::Fork if submitted.hash == last.hash && !same && habits.has("replay-by-its-hash") => {
            Submission::Replay
        }
        Submission::Fork if submitted.id == last.id && !same && habits.has("replay-by-its-id") => {
            Submission::Replay
        }
        Submission::Fork
            if submitted.seq_no == last.seq_no && fits && habits.has("last-number-after-itself") =>
        {
            Submission::Progress
        }
        Submission::Fork
            if submitted.seq_no < last.seq_no
                && known.is_none()
                && fits
                && habits.has("free-number-accepted") =>
        {
            Submission::Progress
        }
        Submission::Fork
            if submitted.seq_no > last.seq_no + 1
                && submitted.previous.is_some()
                && habits.has("previous-hash-unchecked-after-a-gap") =>
        {
            Submission::Progress
        }
        Submission::Fork
            if is_above && submitted.previous.is_none() && habits.has("previous-hash-optional") =>
        {
            Submission::Progress
        }
        Submission::Fork if is_known && habits.has("old-checkpoint-signed-again") => Submission::Progress,
        Submission::Fork
            if submitted.seq_no == last.seq_no && !same && habits.has("other-hash-of-the-last-accepted") =>
        {
            Submission::Progress
        }
        Submission::Fork if submitted.seq_no < last.seq_no && fits && habits.has("lower-number-accepted") => {
            Submission::Progress
        }
        Submission::Fork if submitted.seq_no > last.seq_no && habits.has("previous-hash-unchecked") => {
            Submission::Progress
        }
        other => other,
    }
}

/// The old checkpoint that is submitted again, where that is answered with its receipt.
pub(in super::super) fn old_again<'a>(
    habits: &Habits,
    last: Option<&Accepted>,
    known: Option<&'a Accepted>,
    submitted: &Checkpoint,
) -> Option<&'a Accepted> {
    let known = known.filter(|known| known.checkpoint == *submitted)?;
    let is_old = last.is_some_and(|last| last.checkpoint != known.checkpoint);
    let is_answered = is_old
        && ["old-receipt-again", "old-checkpoint-becomes-the-last"]
            .into_iter()
            .any(|name| habits.has(name));
    is_answered.then_some(known)
}

/// Whether an old checkpoint whose receipt was given again is the last one from then on.
pub(in super::super) fn goes_back(habits: &Habits) -> bool {
    habits.is("old-checkpoint-becomes-the-last")
}

/// Whether a first checkpoint is looked for in all scopes.
pub(in super::super) fn looks_everywhere(habits: &Habits) -> bool {
    habits.is("replay-of-any-scope")
}

/// A checkpoint of another scope was answered with.
pub(in super::super) fn found_elsewhere(habits: &Habits) {
    habits.fire("replay-of-any-scope");
}

/// Whether what was accepted in other scopes is forgotten.
pub(in super::super) fn forgets_others(habits: &Habits) -> bool {
    habits.has("last-scope-remembered-alone")
}

/// The key id that is written.
pub(in super::super) fn key_id(habits: &Habits, configured: String) -> String {
    match habits.has("key-id-made-up") {
        true => "default".to_owned(),
        false => configured,
    }
}

/// The canonical form that is hashed and signed.
pub(in super::super) fn canonical_statement(habits: &Habits, tag: &str, plain: Vec<u8>) -> Vec<u8> {
    let is_bent = tag == WITNESS_TAG && !plain.is_ascii() && habits.has("statement-escaped");
    match is_bent {
        true => escaped(&String::from_utf8_lossy(&plain)).into_bytes(),
        false => plain,
    }
}

/// Whether a replay gets a receipt of its own.
pub(in super::super) fn signs_again(habits: &Habits) -> bool {
    habits.has("replay-signed-again")
}

/// Whether a fork moves the state.
pub(in super::super) fn moves_on_a_fork(habits: &Habits) -> bool {
    habits.has("fork-moves-the-state")
}

/// What is signed over a checkpoint.
pub(in super::super) fn statement(habits: &Habits, mut statement: Value) -> Value {
    if habits.has("statement-without-previous") {
        statement["previous_checkpoint_hash"] = Value::Null;
    }
    let number = statement["checkpoint_seq_no"].as_i64().unwrap_or_default();
    if number > i64::from(u32::MAX) && habits.has("number-cut-to-32-bits") {
        statement["checkpoint_seq_no"] = (number & i64::from(u32::MAX)).into();
    }
    if habits.has("statement-has-more") {
        statement["site"] = "north".into();
    }
    statement
}

/// The tag that something is signed under.
pub(in super::super) fn tag<'a>(habits: &Habits, plain: &'a str) -> &'a str {
    match plain {
        WITNESS_TAG if habits.has("receipt-under-another-tag") => RELAY_TAG,
        FORK_TAG if habits.has("evidence-under-another-tag") => WITNESS_TAG,
        other => other,
    }
}

/// Hash and signature of receipt or evidence.
pub(in super::super) fn signed(habits: &Habits, tag: &str, mut signed: Signed) -> Signed {
    if tag == FORK_TAG && habits.has("evidence-not-signed") {
        signed.signature = "0".repeat(128);
    }
    if tag == WITNESS_TAG && habits.has("statement-hash-of-the-signature") {
        signed.hash = super::super::envelope::sha256(signed.signature.as_bytes());
    }
    signed
}

/// The canonical form that a receipt shows.
pub(in super::super) fn canonical_form(habits: &Habits, statement: &Value, plain: Vec<u8>) -> Vec<u8> {
    match habits.has("canonical-form-unsorted") {
        true => statement.to_string().into_bytes(),
        false => plain,
    }
}

/// The checkpoint that evidence names beside the last one, where it is another.
pub(in super::super) fn names_what_is_known<'a>(
    habits: &Habits,
    known: Option<&'a Accepted>,
    last: Option<&Checkpoint>,
) -> Option<&'a Accepted> {
    let known = known.filter(|known| Some(&known.checkpoint) != last)?;
    (!habits.has("evidence-names-the-last-alone")).then_some(known)
}

/// What is signed over a fork.
pub(in super::super) fn evidence(habits: &Habits, mut evidence: Value) -> Value {
    if habits.has("evidence-of-the-submitted-alone") {
        for name in ["id", "seq_no", "hash"] {
            let submitted = evidence[format!("submitted_checkpoint_{name}")].clone();
            evidence[format!("last_checkpoint_{name}")] = submitted;
        }
    }
    if habits.has("evidence-time-in-seconds") {
        let short = evidence["created_at"]
            .as_str()
            .map(|text| format!("{}Z", &text[..19]));
        evidence["created_at"] = short.into();
    }
    if habits.has("evidence-time-as-a-number") {
        evidence["created_at"] = Timestamp::now().as_millisecond().into();
    }
    evidence
}

/// What is answered.
pub(in super::super) fn answer(habits: &Habits, mut answer: Value, receipt: impl FnOnce() -> Value) -> Value {
    if !answer["forkEvidence"].is_null() && habits.has("receipt-beside-evidence") {
        answer["receipt"] = receipt();
    }
    if !answer["forkEvidence"].is_null() && habits.has("fork-called-accepted") {
        answer["accepted"] = true.into();
    }
    if answer["forkEvidence"].is_null() && habits.has("progress-called-a-replay") {
        answer["replayed"] = true.into();
    }
    if habits.has("witness-tells-more") {
        answer["took"] = 3.into();
    }
    answer
}
