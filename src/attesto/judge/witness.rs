//! Judges what the witness signs: receipts and evidence, whenever there are any.

use serde_json::Value;

use super::Judge;
use super::deliveries::{cut, time_ms};
use super::outputs::{Output, Witnessed, options};
use crate::attesto::canonical::{FORK_TAG, WITNESS_TAG, canonical, from_hex, hash, preimage};
use crate::judge::Finding;
use crate::keys::primitives::ed25519_verify;
use crate::record::Exchange;
use crate::text::visible_cut;

/// A checkpoint as it stands in a command line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Submitted {
    pub(super) tenant: Value,
    pub(super) stream: Value,
    pub(super) id: Value,
    pub(super) number: Value,
    pub(super) hash: Value,
    pub(super) previous: Value,
}

impl Submitted {
    /// What a command submitted; none where it is no `witness-checkpoint`.
    pub(super) fn of(exchange: &Exchange) -> Option<Submitted> {
        let options = options(exchange);
        if options.get("").map(String::as_str) != Some("witness-checkpoint") {
            return None;
        }
        let text = |name: &str| options.get(name).map_or(Value::Null, |text| text.as_str().into());
        let number: Option<i64> = options
            .get("checkpoint-seq-no")
            .and_then(|text| text.parse().ok());
        Some(Submitted {
            tenant: text("tenant-id"),
            stream: text("stream-id"),
            id: text("checkpoint-id"),
            number: number.into(),
            hash: text("checkpoint-hash"),
            previous: text("previous-checkpoint-hash"),
        })
    }
}

/// Judges all that the witness signed.
pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    for at in 0..judge.exchanges.len() {
        let exchange = &judge.exchanges[at];
        let Some(submitted) = Submitted::of(exchange) else {
            continue;
        };
        let (receipt, evidence) = match Witnessed::of(&Output::of(exchange)) {
            Witnessed::Accepted { receipt, is_replay } => (Some((receipt, is_replay)), None),
            Witnessed::Fork { evidence } => (None, Some(evidence)),
            Witnessed::Contradiction(_) | Witnessed::Nothing => (None, None),
        };
        if let Some((receipt, is_replay)) = receipt {
            // The receipt of a replay says what was submitted when it was given: whether it had to be, the step decides.
            let first = judge.first_receipt_of(&receipt).filter(|_| is_replay);
            let given = first.unwrap_or(at);
            let finding = match Submitted::of(&judge.exchanges[given]) {
                Some(first) => self::receipt(judge, given, &receipt, &first),
                None => self::receipt(judge, at, &receipt, &submitted),
            };
            judge.note(
                "receipt",
                "ALV-WIT-05",
                "a receipt whose statement says what was submitted, hashed and signed",
                at,
                finding,
            );
        }
        if let Some(fork) = evidence {
            let finding = self::evidence(judge, at, &fork, &submitted);
            judge.note(
                "evidence",
                "ALV-WIT-06",
                "evidence that names the submitted and the last checkpoint, hashed and signed",
                at,
                finding,
            );
        }
    }
}

/// What is expected of members: the first that is another is told.
fn first_other(object: &Value, wanted: &[(&str, Value)]) -> Option<String> {
    let other = wanted
        .iter()
        .find(|(name, wanted)| object.get(*name) != Some(wanted))?;
    let got = object.get(other.0).map_or("missing".to_owned(), cut);
    Some(format!("{} is {got}, and {} is wanted", other.0, cut(&other.1)))
}

/// What a member is that is to be a time, and is none: to the millisecond in a statement, and in any form of RFC 3339 in evidence, of
/// which the page says no more.
fn no_time(object: &Value, name: &str, is_time: impl Fn(&str) -> bool) -> Option<String> {
    let is_one = object[name].as_str().is_some_and(is_time);
    let got = || object.get(name).map_or("missing".to_owned(), cut);
    (!is_one).then(|| format!("{name} is {}, and no time like 2026-01-02T03:04:05.678Z", got()))
}

fn scope(judge: &Judge<'_, '_>, at: usize, submitted: &Submitted) -> Vec<(&'static str, Value)> {
    vec![
        ("protocol", "ATTESTO-PROOFSTREAM-001".into()),
        ("protocol_version", "0.1-alpha".into()),
        ("witness_id", judge.witness_at(at).into()),
        ("tenant_id", submitted.tenant.clone()),
        ("stream_id", submitted.stream.clone()),
    ]
}

fn checkpoint(prefix: &str, submitted: &Submitted) -> Vec<(String, Value)> {
    vec![
        (format!("{prefix}checkpoint_id"), submitted.id.clone()),
        (format!("{prefix}checkpoint_seq_no"), submitted.number.clone()),
        (format!("{prefix}checkpoint_hash"), submitted.hash.clone()),
    ]
}

fn borrowed(members: &[(String, Value)]) -> Vec<(&str, Value)> {
    members
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect()
}

fn receipt(judge: &Judge<'_, '_>, at: usize, receipt: &Value, submitted: &Submitted) -> Finding {
    let statement = &receipt["statement"];
    if !statement.is_object() {
        return Finding::broken("the receipt has no statement");
    }
    let own = checkpoint("", submitted);
    let mut wanted = scope(judge, at, submitted);
    wanted.extend(borrowed(&own));
    wanted.push(("previous_checkpoint_hash", submitted.previous.clone()));
    wanted.push(("key_epoch", judge.names.key_id().into()));
    if let Some(other) = first_other(statement, &wanted) {
        return Finding::broken(format!("in the statement {other}"));
    }
    if let Some(other) = no_time(statement, "accepted_at", |text| time_ms(text).is_some()) {
        return Finding::broken(format!("in the statement {other}"));
    }
    let outer = [
        "witness_id",
        "tenant_id",
        "stream_id",
        "checkpoint_id",
        "checkpoint_seq_no",
        "checkpoint_hash",
        "previous_checkpoint_hash",
    ];
    let differs = outer
        .iter()
        .find(|name| receipt.get(**name) != statement.get(**name));
    if let Some(name) = differs {
        return Finding::broken(format!(
            "{name} of the receipt is another than that of its statement"
        ));
    }
    let canon = canonical(statement);
    let shown: String = canon.bytes().map(|byte| format!("{byte:02x}")).collect();
    if receipt["canonical_json_hex"] != shown.as_str() {
        return Finding::broken("canonical_json_hex is not that of the statement");
    }
    let wanted = hash(WITNESS_TAG, statement);
    if receipt["statement_hash"] != wanted.as_str() {
        return Finding::broken(format!(
            "statement_hash is {}, and {wanted} is that of the statement",
            cut(&receipt["statement_hash"])
        ));
    }
    verified(judge, receipt, WITNESS_TAG, statement)
}

fn evidence(judge: &Judge<'_, '_>, at: usize, fork: &Value, submitted: &Submitted) -> Finding {
    let evidence = &fork["evidence"];
    if !evidence.is_object() {
        return Finding::broken("the evidence has no evidence in it");
    }
    let own = checkpoint("submitted_", submitted);
    let mut wanted = scope(judge, at, submitted);
    wanted.push(("reason", "conflicting-checkpoint".into()));
    wanted.extend(borrowed(&own));
    wanted.push(("submitted_previous_checkpoint_hash", submitted.previous.clone()));
    let last = judge.last_accepted_before(at, submitted);
    let of_last = last
        .as_ref()
        .map(|last| checkpoint("last_", last))
        .unwrap_or_default();
    wanted.extend(borrowed(&of_last));
    if let Some(other) = first_other(evidence, &wanted).or_else(|| {
        no_time(evidence, "created_at", |text| {
            text.parse::<jiff::Timestamp>().is_ok()
        })
    }) {
        return Finding::broken(format!("in the evidence {other}"));
    }
    let wanted = hash(FORK_TAG, evidence);
    if fork["evidence_hash"] != wanted.as_str() {
        return Finding::broken(format!(
            "evidence_hash is {}, and {wanted} is that of the evidence",
            cut(&fork["evidence_hash"])
        ));
    }
    verified(judge, fork, FORK_TAG, evidence)
}

/// Whether a signature is by the configured key, over the tagged canonical form.
fn verified(judge: &Judge<'_, '_>, signed: &Value, tag: &str, value: &Value) -> Finding {
    let text = |pointer: &str| {
        signed
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let own = judge.names.public_key();
    let key_id = judge.names.key_id();
    let named = [("alg", "ed25519"), ("kid", &*key_id), ("key_epoch", &*key_id)];
    for part in ["signature", "public_key"] {
        let wanted = named.map(|(name, wanted)| (name, wanted.into()));
        if let Some(other) = first_other(&signed[part], &wanted) {
            return Finding::broken(format!("in {part} {other}"));
        }
    }
    let key = text("/public_key/public_key_hex");
    if from_hex::<32>(key) != Some(own) {
        return Finding::broken(format!(
            "the public key is {}, and not that of the configured signing key",
            visible_cut(key, 80)
        ));
    }
    let signature = text("/signature/signature_hex");
    let bytes = from_hex::<64>(signature);
    match bytes.is_some_and(|bytes| ed25519_verify(&own, &preimage(tag, &canonical(value)), &bytes)) {
        true => Finding::Holds,
        false => Finding::broken(format!(
            "the signature {} does not verify under {tag}",
            visible_cut(signature, 24)
        )),
    }
}
