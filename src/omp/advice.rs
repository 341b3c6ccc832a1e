//! What a reader is told of signatures beside what was checked: the published profile covers neither the body nor the time.

use crate::record::Record;

/// How a request is called whose signature is the same as that of another one of its case.
pub(super) const REPEATABLE: &str = "the same signature as another request of the case";

/// How a request is called that is signed under a key of small order, as anybody can.
pub(super) const SMALL_ORDER_KEY: &str = "by a key of small order, with R the identity element and S 0";

/// Sentences on signatures that were taken twice, with another body the second time, or under a key that has no secret.
pub(super) fn notes(record: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    if granted(record, REPEATABLE) > 1 {
        notes.push(
            "advice on signatures: one signature was taken for two requests with different bodies, as the published profile \
             allows: it covers neither the body nor a nonce, so that whoever sees a request can make it again with another \
             body until the server refuses old or used signatures"
                .to_owned(),
        );
    }
    if granted(record, SMALL_ORDER_KEY) > 0 {
        notes.push(
            "advice on signatures: a public key of small order was taken, and a signature under it that anybody can write, as RFC \
             8032 allows: refuse such keys where keys are read, so that a mistake in the configuration opens nothing"
                .to_owned(),
        );
    }
    notes
}

/// How many requests of one case that are called so were granted, at most.
fn granted(record: &Record, about: &str) -> usize {
    let counts = record.cases.iter().map(|case| {
        let called = case
            .exchanges
            .iter()
            .filter(|exchange| exchange.spoiled.as_ref().is_some_and(|how| how.contains(about)));
        let answers = called.filter_map(|exchange| exchange.outcome.answer());
        answers
            .filter(|answer| (200..300).contains(&answer.status))
            .count()
    });
    counts.max().unwrap_or_default()
}
