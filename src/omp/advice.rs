//! What a reader is told of signatures beside what was checked: the published profile covers neither the body nor the time.

use crate::record::Record;

/// How a request is called whose signature is the same as that of another one of its case.
pub(super) const REPEATABLE: &str = "the same signature as another request of the case";

/// A sentence where a signature was taken twice, with another body the second time.
pub(super) fn notes(record: &Record) -> Vec<String> {
    let is_repeated = |exchange: &&crate::record::Exchange| {
        exchange
            .spoiled
            .as_ref()
            .is_some_and(|how| how.contains(REPEATABLE))
    };
    let granted = record.cases.iter().map(|case| {
        let repeated = case.exchanges.iter().filter(is_repeated);
        let answers = repeated.filter_map(|exchange| exchange.outcome.answer());
        answers
            .filter(|answer| (200..300).contains(&answer.status))
            .count()
    });
    match granted.max() {
        Some(2..) => vec![
            "advice on signatures: one signature was taken for two requests with different bodies, as the published profile \
             allows: it covers neither the body nor a nonce, so that whoever sees a request can make it again with another \
             body until the server refuses old or used signatures"
                .to_owned(),
        ],
        _ => Vec::new(),
    }
}
