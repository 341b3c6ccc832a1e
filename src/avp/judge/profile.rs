//! What of the checks of a case means nothing for its calls over gRPC: rules about paths, error objects and content types say
//! nothing there, and what is no HTTP is no gRPC.

use crate::avp::{catalogue, grpc};
use crate::case::CaseHead;
use crate::record::consequences::status;
use crate::record::transcript::Transcript;
use crate::record::{CaseRecord, CheckRecord, Exchange, Over, Wire};

/// The rule that what comes is HTTP, and the one that it is gRPC.
const HTTP: &str = "AVP-12-02";
pub(crate) const GRPC: &str = "AVP-11-01";
/// What the ids of the profile's rules begin with.
pub(crate) const PROFILE: &str = "AVP-11-";
/// What the ids of the rules of logins begin with.
const LOGIN: &str = "AVP-3-";
/// The rule of tokens in metadata, and that of the statuses of refusals.
pub(crate) const TOKENS: &str = "AVP-11-02";
pub(crate) const STATUSES: &str = "AVP-11-03";
/// The rule of how a stale push is answered.
pub(crate) const CONFLICTS: &str = "AVP-11-04";

/// Takes the rules of HTTP alone out of the checks that rest on calls alone, and with them the checks that have no other. In a case
/// over gRPC that is so, too, of what rests on nothing, since what came cannot be judged.
pub(super) fn of_grpc(records: &mut Vec<CheckRecord>, over: Over, transcript: &Transcript) {
    let is_call = |at: &usize| {
        transcript
            .exchanges
            .get(*at)
            .is_some_and(|it| it.wire == Wire::Grpc)
    };
    let is_http_only = |id: &String| catalogue().get(id).is_some_and(|it| it.http_only);
    let is_of_calls = |record: &CheckRecord| match record.exchanges.is_empty() {
        true => over == Over::Grpc,
        false => record.exchanges.iter().all(is_call),
    };
    for record in records.iter_mut().filter(|record| is_of_calls(record)) {
        for id in record.requirements.iter_mut().filter(|id| *id == HTTP) {
            GRPC.clone_into(id);
        }
        record.requirements.retain(|id| !is_http_only(id));
    }
    records.retain(|record| !record.requirements.is_empty());
}

/// Gives what a case of the profile's own shows at its deciding steps, and in no step, to the rule of the profile that it is about.
/// What is broken there keeps its own rules beside that one: all cases together tell which of them it speaks against. What is broken
/// where both transports are asked is told already.
pub(super) fn of_its_own(records: &mut [CheckRecord], head: &CaseHead, transcript: &Transcript) {
    let is_of_profile = |id: &String| id.starts_with(PROFILE);
    let own: Vec<&String> = head.requirements.iter().filter(|id| is_of_profile(id)).collect();
    let [own] = own.as_slice() else { return };
    let decides = |step: usize| head.steps.get(step).is_some_and(|step| step.decides);
    for record in records {
        let decides = record.step.map(decides);
        let is_told = record.requirements.iter().any(is_of_profile) || head.over == Over::Both;
        match record.is_broken() {
            true if is_told || decides == Some(false) || !speaks_of(own, record, transcript) => {}
            true => record.requirements.insert(0, (*own).clone()),
            false if decides == Some(true) => record.requirements = vec![(*own).clone()],
            false => {}
        }
    }
}

/// Whether a finding can be about a rule of the profile. How somebody logs in is about none but that of tokens, and an answer that is
/// no refusal has no status that the table could tell.
fn speaks_of(rule: &str, record: &CheckRecord, transcript: &Transcript) -> bool {
    let is_of_login = record.requirements.iter().all(|id| id.starts_with(LOGIN));
    let looked_at = record
        .exchanges
        .first()
        .and_then(|at| transcript.exchanges.get(*at));
    let status = looked_at
        .and_then(|exchange| exchange.outcome.answer())
        .map(|answer| answer.status);
    match rule {
        TOKENS => true,
        STATUSES => !is_of_login && status.is_some_and(|status| status >= 400),
        _ => !is_of_login,
    }
}

/// Puts behind each status that was expected of a call, or came, the name that it has over gRPC: `404 (NOT_FOUND)`.
pub(crate) fn name_statuses(cases: &mut [CaseRecord]) {
    for case in cases {
        let all = &case.exchanges;
        for check in &mut case.checks {
            let looked_at: Vec<&Exchange> = check.exchanges.iter().filter_map(|at| all.get(*at)).collect();
            if looked_at.is_empty() || looked_at.iter().any(|it| it.wire != Wire::Grpc) {
                continue;
            }
            // Several statuses of gRPC stand for one of HTTP: that of the call that was looked at counts first.
            let came = |wanted: u16| {
                let calls = looked_at.iter().copied().chain(all);
                calls
                    .filter(|call| status(call) == wanted)
                    .find_map(Exchange::grpc_status)
            };
            check.expected = with_names(&check.expected, grpc::name_for);
            check.got = with_names(&check.got, came);
        }
    }
}

/// A sentence with names behind its statuses, which stand behind `status`, `is` and `or`; none behind those that have one.
fn with_names(sentence: &str, name: impl Fn(u16) -> Option<&'static str>) -> String {
    let mut named = String::with_capacity(sentence.len());
    let mut words = sentence.split_inclusive(' ').peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        let number = word.trim_end_matches([' ', ',', ';', ':']);
        let is_status = number.len() == 3 && matches!(before, "status" | "is" | "or");
        let has_name = words.peek().is_some_and(|next| next.starts_with('('));
        let name = number
            .parse()
            .ok()
            .filter(|_| is_status && !has_name)
            .and_then(&name);
        named.push_str(number);
        if let Some(name) = name {
            named.extend([" (", name, ")"]);
        }
        named.push_str(&word[number.len()..]);
        before = word.trim_end();
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_names_behind_them_and_other_numbers_have_not() {
        let named = |sentence: &str| with_names(sentence, grpc::name_for);
        for (plain, wanted) in [
            (
                "pull by bob is 404 or 400",
                "pull by bob is 404 (NOT_FOUND) or 400 (INVALID_ARGUMENT)",
            ),
            ("status 403, twice", "status 403 (PERMISSION_DENIED), twice"),
            ("pull by bob is granted (200)", "pull by bob is granted (200)"),
            (
                "an id of 404 characters is 4096 bytes",
                "an id of 404 characters is 4096 bytes",
            ),
            ("status 418", "status 418"),
            ("pull by bob is 404 (NOT_FOUND)", "pull by bob is 404 (NOT_FOUND)"),
        ] {
            assert_eq!(named(plain), wanted);
        }
    }
}
