//! Sentences about a record that reports and comparisons share: what was judged, why a case is as it is, what came.

use super::{CaseRecord, CheckRecord, EXEC_TARGET, Known, Record};
use crate::text::{cut, hide_passwords, visible, visible_cut};

/// How much of an address or a command stands in a heading.
const ADDRESS_CHARS: usize = 100;

/// How much of one sentence of a record a report shows.
const SENTENCE_CHARS: usize = 600;

/// Section and number of a requirement id: `AVP-5.1-01` is 01 in section 5.1.
pub(crate) fn split_id(id: &str) -> (&str, &str) {
    crate::catalogue::split_id(id).unwrap_or(("", id))
}

/// What was judged, as people name it: the address, the command that the run started, or what is built in.
pub(crate) fn target(record: &Record) -> String {
    let address = match record.target.as_str() {
        "embedded" => "the built-in reference server".to_owned(),
        other => visible_cut(&hide_passwords(other), ADDRESS_CHARS),
    };
    let command = |command: &str| visible_cut(&hide_passwords(command), ADDRESS_CHARS);
    match &record.exec {
        Some(exec) if is_told_by_command(record) => format!("`{}`", command(exec)),
        Some(exec) => format!("{address} (`{}`)", command(exec)),
        None => address,
    }
}

/// Whether the target is where the run's own server is expected unless told.
pub(crate) fn is_told_by_command(record: &Record) -> bool {
    record.exec.is_some() && record.target == EXEC_TARGET
}

/// Why a failure is known, where it is.
pub(crate) fn known_sentence(known: &Known) -> String {
    match &known.issue {
        Some(issue) => format!("{} ({})", sentence(&known.reason), sentence(issue)),
        None => sentence(&known.reason),
    }
}

/// The sentence that says why a case is as it is: its reason, or its worst check.
pub(crate) fn reason(case: &CaseRecord) -> String {
    if let Some(known) = &case.known {
        return format!("known failure: {}", known_sentence(known));
    }
    let stopped = case.stopped.as_ref().map(|stopped| &stopped.reason);
    if let Some(reason) = case.reason.as_ref().or(stopped) {
        return sentence(reason);
    }
    let worst = case.checks.iter().find(|check| check.verdict == case.verdict);
    worst.map_or_else(|| case.verdict.to_string(), got)
}

/// What came, of one check.
pub(crate) fn got(check: &CheckRecord) -> String {
    if check.got.is_empty() {
        "nothing that shows it".to_owned()
    } else {
        sentence(&check.got)
    }
}

/// One sentence of the record, visible and not too long.
pub(crate) fn sentence(text: &str) -> String {
    visible_cut(text, SENTENCE_CHARS)
}

/// What is the matter with a case, in a few words.
pub(crate) fn matter(case: &CaseRecord) -> String {
    let broken = case
        .checks
        .iter()
        .filter(|check| check.is_broken())
        .max_by_key(|check| check.verdict);
    let text = broken.map_or_else(|| reason(case), got);
    cut(text, 160, false)
}

/// `AVP 0.4`
pub(crate) fn protocol(record: &Record) -> String {
    format!("{} {}", visible(&record.protocol.prefix), record.spec)
}
