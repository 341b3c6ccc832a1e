//! What the witness gets wrong.

use std::time::Duration;

use serde_json::Value;

use super::super::Habits;
use super::super::envelope::{FORK_TAG, RELAY_TAG, Signed, WITNESS_TAG};
use super::super::register::{Accepted, Scope};
use super::super::rules::{Checkpoint, Submission};

/// How long a witness dawdles that lets others look in between.
const DAWDLE: Duration = Duration::from_millis(60);

/// Whether a submission is one.
pub(in super::super) fn is_submission(
    habits: &Habits,
    submitted: &Checkpoint,
    plain: Result<(), String>,
) -> Result<(), String> {
    let is_low = submitted.seq_no < 1;
    match plain {
        Err(_) if is_low && habits.has("number-unchecked") => Ok(()),
        Err(_) if !is_low && habits.has("hash-form-unchecked") => Ok(()),
        other => other,
    }
}

/// Where the state of a scope is kept.
pub(in super::super) fn place(habits: &Habits, scope: &Scope) -> Scope {
    let own = |name: &'static str, plain: &str| match habits.has(name) {
        true => String::new(),
        false => plain.to_owned(),
    };
    Scope {
        witness: own("scope-without-witness", &scope.witness),
        tenant: own("scope-without-tenant", &scope.tenant),
        stream: own("scope-without-stream", &scope.stream),
    }
}

/// Whether others have to wait until the decision is kept.
pub(in super::super) fn is_alone(habits: &Habits) -> bool {
    let narrow = habits.has("witness-decides-on-what-was-narrow");
    !(narrow || habits.is("witness-decides-on-what-was"))
}

/// Lets others look before the decision is kept.
pub(in super::super) async fn dawdles(habits: &Habits) {
    if habits.has("witness-decides-on-what-was") {
        tokio::time::sleep(DAWDLE).await;
    }
}

/// What a submission is, by what the rule says.
pub(in super::super) fn submission(
    habits: &Habits,
    plain: Submission,
    last: Option<&Accepted>,
    submitted: &Checkpoint,
) -> Submission {
    let Some(last) = last.map(|accepted| &accepted.checkpoint) else {
        return plain;
    };
    let same = submitted.seq_no == last.seq_no && submitted.hash == last.hash;
    let fits = submitted.previous.as_ref() == Some(&last.hash);
    match plain {
        Submission::Progress if habits.has("progress-taken-for-a-fork") => Submission::Fork,
        Submission::Progress if submitted.seq_no > last.seq_no + 1 && habits.has("gaps-refused") => {
            Submission::Fork
        }
        Submission::Fork if same && habits.has("replay-whatever-came-before") => Submission::Replay,
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
    evidence
}

/// What is answered.
pub(in super::super) fn answer(habits: &Habits, mut answer: Value, receipt: impl FnOnce() -> Value) -> Value {
    if !answer["forkEvidence"].is_null() && habits.has("receipt-beside-evidence") {
        answer["receipt"] = receipt();
    }
    if habits.has("witness-tells-more") {
        answer["took"] = 3.into();
    }
    answer
}
