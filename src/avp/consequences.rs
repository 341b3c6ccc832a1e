//! What follows from another finding is no finding of its own: what only all cases together can tell.
//!
//! Cases are judged one by one. Some evidence is seen in another light beside what the other cases show: a race is judged
//! by the rules of the operations that meet in it, and says nothing where one of them breaks its rule all by itself; an id
//! with escapes in it that is not found says nothing of paths where no id is found. Such findings are taken back: the check
//! is not verified, and says of what it may follow. A pure function of what the cases came to.

use std::collections::{BTreeMap, BTreeSet};

use crate::avp::Operation;
use crate::avp::grpc::NOT_OFFERED;
use crate::avp::judge::profile::{CONFLICTS, GRPC, PROFILE, STATUSES, TOKENS, name_statuses};
use crate::record::consequences::{status, take_back_where};
use crate::record::findings::{decisive, is_broken_case};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Exchange, Over, Role, Wire};

/// An operation is broken in itself where it breaks in so many cases without a race.
const LEAST_BROKEN_CASES: usize = 2;
/// Or in such a part of those that use it: one of so many.
const BROKEN_ONE_IN: usize = 16;

/// The checks of what an operation does, and not of the form of its answer.
const CHECKS_OF_THE_OPERATION: [&str; 10] = [
    "answer",
    "answer body",
    "answer binds",
    "body",
    "stored",
    "changed",
    "unchanged",
    "policy",
    "verbatim",
    "key binding",
];

/// The answers of so many requests that are alike are wrong in the same way before they are taken for one fault.
const LEAST_ALIKE: usize = 3;

/// Takes back what follows from something else, and names alike what is alike.
pub fn take_back_what_follows(cases: &mut [CaseRecord]) {
    twins(cases);
    together(cases);
    paths(cases);
    logins(cases);
    alike(cases);
    statuses(cases);
    agreement(cases);
    profile(cases);
    name_statuses(cases);
}

/// Rules that the gRPC profile says again, each with its own.
const SAID_AGAIN: [(&str, &str); 6] = [
    ("AVP-2-01", "AVP-11-05"),
    ("AVP-2-04", "AVP-11-05"),
    ("AVP-3-10", TOKENS),
    ("AVP-3-11", TOKENS),
    ("AVP-6-21", "AVP-11-07"),
    ("AVP-9-01", "AVP-11-06"),
];

/// What holds in a case over HTTP and breaks in the same step of the same case over gRPC is no matter of the operation: the profile
/// has a rule for it, mostly. What is looked at in every answer needs no such case, where it holds in all answers over HTTP. What
/// else was seen by a call that was answered so says nothing more.
fn twins(cases: &mut [CaseRecord]) {
    type Place = (String, Option<usize>, String);
    let place =
        |case: &str, check: &CheckRecord| -> Place { (case.to_owned(), check.step, check.name.clone()) };
    let is_http = |case: &&CaseRecord| case.transport == Over::Http;
    let is_grpc = |case: &CaseRecord| case.transport == Over::Grpc;
    if !cases.iter().any(|case| is_grpc(case) && is_broken_case(case)) {
        return;
    }
    let mut held: BTreeMap<Place, u16> = BTreeMap::new();
    for case in cases.iter().filter(is_http) {
        for check in case.checks.iter().filter(|check| check.verdict == Verdict::Pass) {
            held.entry(place(&case.id, check))
                .or_insert_with(|| decisive(case, check).map_or(0, |(_, call)| status(call)));
        }
    }
    let names = |is_wanted: fn(&CheckRecord) -> bool| -> BTreeSet<String> {
        let of_http = cases.iter().filter(is_http).flat_map(|case| &case.checks);
        let wanted = of_http.filter(|check| check.step.is_none() && is_wanted(check));
        wanted.map(|check| check.name.clone()).collect()
    };
    let (seen, broken) = (
        names(|check| check.verdict == Verdict::Pass),
        names(CheckRecord::is_broken),
    );
    let holds_everywhere = |check: &CheckRecord| {
        check.step.is_none() && seen.contains(&check.name) && !broken.contains(&check.name)
    };
    let mut wrong: BTreeMap<(Operation, u16), &str> = BTreeMap::new();
    for case in cases.iter_mut().filter(|case| is_grpc(case)) {
        for at in 0..case.checks.len() {
            let check = &case.checks[at];
            let Some((_, call)) = decisive(case, check).filter(|_| check.is_broken()) else {
                continue;
            };
            let rule = match held.get(&place(&case.id, check)) {
                Some(right) => said_again(check).or_else(|| rule_of_answers(check, *right, status(call))),
                None if holds_everywhere(check) => said_again(check),
                None => None,
            };
            let Some(rule) = rule else { continue };
            if status(call) >= 400 {
                wrong.extend(Operation::of(call).map(|operation| ((operation, status(call)), rule)));
            }
            case.checks[at].requirements = vec![rule.to_owned()];
        }
    }
    let rule_of = |call: &Exchange| wrong.get(&(Operation::of(call)?, status(call))).copied();
    take_back_where(
        cases,
        "but such answers are wrong with nothing beside them",
        |case, check| {
            let mut calls = check.exchanges.iter().filter_map(|at| case.exchanges.get(*at));
            let follows = |call: &Exchange| {
                let rule = rule_of(call).filter(|_| check.name != "answer");
                rule.is_some_and(|rule| !check.requirements.iter().any(|id| id == rule))
            };
            is_grpc(case) && calls.any(follows)
        },
    );
}

/// The rule of the profile that says again what a finding stands against; none where it has none.
fn said_again(check: &CheckRecord) -> Option<&'static str> {
    let own = |id: &String| SAID_AGAIN.iter().find(|(plain, _)| plain == id);
    check.requirements.iter().find_map(own).map(|(_, own)| *own)
}

/// The rule of the profile that an answer over gRPC stands against, where HTTP was answered rightly with the status `right`; none
/// where the profile has none of its own.
fn rule_of_answers(check: &CheckRecord, right: u16, status: u16) -> Option<&'static str> {
    // Those rules are musts: what a should asks for stays one.
    let is_must = check.name == "answer" && check.verdict == Verdict::Fail;
    match (right, status) {
        _ if !is_must => None,
        (_, NOT_OFFERED) => Some(GRPC),
        (401, 200..) => Some(TOKENS),
        (400.., 400..) => Some(STATUSES),
        (200, 200..) if check.expected.contains("is a conflict (200") => Some(CONFLICTS),
        _ => None,
    }
}

/// A status that is none of the profile's table is no second finding about an answer that is wrong whatever its status: an error for
/// a stale push, say.
fn statuses(cases: &mut [CaseRecord]) {
    for case in cases {
        let is_answer = |check: &&CheckRecord| {
            check.name == "answer" && check.is_broken() && !check.requirements.iter().any(|id| id == STATUSES)
        };
        let wrong = case.checks.iter().filter(is_answer);
        let wrong: BTreeSet<usize> = wrong.flat_map(|check| check.exchanges.clone()).collect();
        for at in 0..case.checks.len() {
            let check = &case.checks[at];
            let is_status = check.name == "grpc status" && breaks(check, STATUSES);
            if is_status && check.exchanges.iter().all(|exchange| wrong.contains(exchange)) {
                case.take_back(at, "the answer is wrong whatever its status");
            }
        }
    }
}

/// What is broken in a case of the gRPC profile's own stands against the profile's rule and the operation's. It speaks against the
/// operation where something else shows its rule broken as well; at a step, over HTTP, if that was spoken. Else it speaks against the
/// profile. What stands against the profile alone is taken back where the operation does the same whatever the profile.
fn profile(cases: &mut [CaseRecord]) {
    let is_of_profile = |id: &String| id.starts_with(PROFILE);
    let is_either = |check: &CheckRecord| {
        let of_profile = check.requirements.iter().filter(|id| is_of_profile(id)).count();
        check.is_broken() && (1..check.requirements.len()).contains(&of_profile)
    };
    let is_http = |case: &CaseRecord| case.transport == Over::Http;
    let anywhere = broken_requirements(cases, |_, check| !is_either(check));
    let over_http = broken_requirements(cases, |case, check| is_http(case) && !is_either(check));
    let speaks_http = cases.iter().any(is_http);
    let is_profile_alone = |check: &CheckRecord| {
        CHECKS_OF_THE_OPERATION.contains(&check.name.as_str()) && check.requirements.iter().all(is_of_profile)
    };
    let of_operations = all_shown(cases, |case, check| {
        is_http(case) == speaks_http && !is_either(check) && !check.requirements.iter().any(is_of_profile)
    });
    let is_shown = |case: &CaseRecord, check: &CheckRecord| {
        shown(case, check).is_some_and(|(shown, _)| of_operations.contains(&shown))
    };
    take_back_where(cases, "which is so whatever the profile", |case, check| {
        case.transport == Over::Grpc && is_profile_alone(check) && is_shown(case, check)
    });
    let checks = cases.iter_mut().flat_map(|case| &mut case.checks);
    for check in checks.filter(|check| is_either(check)) {
        let told = match check.step {
            Some(_) if speaks_http => &over_http,
            _ => &anywhere,
        };
        let is_of_operation = check.requirements.iter().any(|id| told.contains(id));
        check
            .requirements
            .retain(|id| is_of_profile(id) != is_of_operation);
    }
}

/// The rule that both transports agree.
const AGREEMENT: &str = "AVP-11-09";

/// Cases that go over both transports ask whether the two agree. What no case over one of them alone shows broken is a
/// disagreement; what one does is that, and says nothing of the other.
fn agreement(cases: &mut [CaseRecord]) {
    let broken = broken_requirements(cases, |case, _| case.transport != Over::Both);
    let is_profile = |check: &CheckRecord| check.requirements.iter().any(|id| id.starts_with(PROFILE));
    // Over HTTP it is so by itself; over gRPC it is so over HTTP as well, or by a rule of the profile.
    let over_http = all_shown(cases, |case, _| case.transport == Over::Http);
    let over_grpc = all_shown(cases, |case, check| {
        case.transport == Over::Grpc && is_profile(check)
    });
    for case in cases.iter_mut().filter(|case| case.transport == Over::Both) {
        for at in 0..case.checks.len() {
            // What is recommended alone is no matter of agreement, and discovery is one document for both.
            if case.checks[at].verdict != Verdict::Fail || breaks(&case.checks[at], "AVP-8-01") {
                continue;
            }
            let counterpart = counterpart(case, at);
            let is_alone = shown(case, &case.checks[at]).is_some_and(|(shown, wire)| {
                over_http.contains(&shown) || wire == Wire::Grpc && over_grpc.contains(&shown)
            });
            let check = &mut case.checks[at];
            if is_alone || check.requirements.iter().any(|id| broken.contains(id)) {
                case.take_back(at, "which is seen over one transport alone as well");
            } else {
                check.requirements = vec![AGREEMENT.to_owned()];
                check.verdict = Verdict::Fail;
                check.exchanges.extend(counterpart);
            }
        }
        case.verdict = CaseRecord::worst(&case.checks, case.stopped.as_ref());
    }
}

/// What a finding shows: by which check, of which operation, and whether the request was granted.
type Shown = (String, Operation, bool);

/// What a finding shows, and over what.
fn shown(case: &CaseRecord, check: &CheckRecord) -> Option<(Shown, Wire)> {
    let (_, exchange) = decisive(case, check)?;
    let is_granted = exchange.outcome.answer()?.status == 200;
    let operation = Operation::of(exchange)?;
    Some(((check.name.clone(), operation, is_granted), exchange.wire))
}

/// What the findings show that a test picks.
fn all_shown(cases: &[CaseRecord], picked: impl Fn(&CaseRecord, &CheckRecord) -> bool) -> BTreeSet<Shown> {
    of_findings(cases, picked, |case, check| {
        shown(case, check).map(|(shown, _)| shown)
    })
}

/// The exchange over the other transport with which that of a check disagrees: of a race one of the same round, and else the
/// last before it.
fn counterpart(case: &CaseRecord, at: usize) -> Option<usize> {
    let index = *case.checks[at].exchanges.first()?;
    let decisive = case.exchanges.get(index)?;
    let is_other = |other: &usize| {
        let other = &case.exchanges[*other];
        other.wire != decisive.wire && other.role == Role::Step
    };
    let met = |other: &usize| {
        let other = &case.exchanges[*other];
        (other.step, other.round) == (decisive.step, decisive.round)
    };
    let earlier = (0..index).rev().find(is_other);
    let later = (index + 1..case.exchanges.len()).find(|other| met(other) && is_other(other));
    earlier.filter(met).or(later).or(earlier)
}

fn breaks(check: &CheckRecord, requirement: &str) -> bool {
    check.is_broken() && check.requirements.iter().any(|id| id == requirement)
}

/// How many cases have a finding that a test picks.
fn count(cases: &[CaseRecord], picked: impl Fn(&CaseRecord, &CheckRecord) -> bool) -> usize {
    let has = |case: &&CaseRecord| {
        case.checks
            .iter()
            .any(|check| check.is_broken() && picked(case, check))
    };
    cases.iter().filter(has).count()
}

/// The operation of the exchange that a check looked at.
fn looked_at(case: &CaseRecord, check: &CheckRecord) -> Option<Operation> {
    decisive(case, check).and_then(|(_, exchange)| Operation::of(exchange))
}

/// Ids that need escapes are not found: that says nothing of how paths are read where plain ids are not found either. And
/// where it is about paths, member ids, which always need escapes, are not found for that reason.
fn paths(cases: &mut [CaseRecord]) {
    const RULE: &str = "AVP-7-06";
    let of_paths = count(cases, |_, check| breaks(check, RULE));
    let of_plain = count(cases, |case, check| {
        let is_pull = looked_at(case, check) == Some(Operation::Pull);
        is_pull && check.name == "stored" && !breaks(check, RULE) && check.got.contains("cannot pull")
    });
    if of_paths == 0 {
        return;
    }
    if of_plain > of_paths {
        let why = "but plain ids are not found either";
        return take_back_where(cases, why, |_, check| {
            breaks(check, RULE) && check.name == "stored"
        });
    }
    for case in cases {
        for at in 0..case.checks.len() {
            let check = &case.checks[at];
            let is_fetch = looked_at(case, check) == Some(Operation::FetchMemberKey);
            let is_lost = check.got == "status 404" || check.got == "status 400";
            if check.is_broken() && check.name == "answer" && is_fetch && is_lost {
                case.checks[at].requirements = vec![RULE.to_owned()];
            }
        }
    }
}

/// What somebody does with a token that he should not have says nothing of the login, where everybody may do it. Where tokens that
/// were just issued are refused, a refusal of one says nothing of who may do what.
fn logins(cases: &mut [CaseRecord]) {
    let is_refused = |_: &CaseRecord, check: &CheckRecord| breaks(check, "AVP-3-09") && check.name == "token";
    if count(cases, is_refused) > 0 {
        let why = "but tokens that were just issued are refused (AVP-3-09)";
        take_back_where(cases, why, |case, check| {
            let of_access = breaks(check, "AVP-6-15") || breaks(check, "AVP-10-03");
            let own_token = |call: &Exchange| call.spoiled.is_none() && status(call) == 401;
            of_access && decisive(case, check).is_some_and(|(_, call)| own_token(call))
        });
    }
    let is_open = |case: &CaseRecord, check: &CheckRecord| {
        breaks(check, "AVP-6-15") && looked_at(case, check) == Some(Operation::Pull)
    };
    if count(cases, is_open) > 0 {
        let why = "but no membership is asked for (AVP-6-15)";
        take_back_where(cases, why, |case, check| {
            breaks(check, "AVP-3-08") && looked_at(case, check) == Some(Operation::Pull)
        });
    }
}

/// Answers of one operation that are wrong in the same way are one fault: where most of them break the rule of the
/// operation, the others are not about what is special in their cases.
fn alike(cases: &mut [CaseRecord]) {
    let key = |case: &CaseRecord, check: &CheckRecord| -> Option<(Operation, String)> {
        let operation = looked_at(case, check)?;
        // Or for one of the reasons that a limit has, which is another status.
        let is_due = check.expected.contains("is granted (200)");
        // Who is refused for not being let in may be refused for several reasons.
        let is_telling = check.got != "status 403";
        (check.name == "answer" && is_due && is_telling).then(|| (operation, check.got.clone()))
    };
    let mut found: BTreeMap<(Operation, String), usize> = BTreeMap::new();
    for case in cases.iter() {
        for check in case.checks.iter().filter(|check| check.is_broken()) {
            if let Some((operation, got)) = key(case, check)
                && breaks(check, operation.rule())
            {
                *found.entry((operation, got)).or_default() += 1;
            }
        }
    }
    for case in cases {
        for at in 0..case.checks.len() {
            let check = &case.checks[at];
            let broken = check.is_broken().then(|| key(case, check)).flatten();
            let alike = broken.filter(|key| found.get(key) >= Some(&LEAST_ALIKE));
            if let Some((operation, _)) = alike
                && !breaks(check, operation.rule())
                && !breaks(check, "AVP-3-09")
            {
                case.checks[at].requirements = vec![operation.rule().to_owned()];
            }
        }
    }
}

/// What is said of a roster that lacks somebody who was granted a place in it.
const LOST_MEMBER: &str = "is missing from the roster";

/// Takes back what comes of requests that meet, where one of them is wrong by itself. A member who is lost where requests meet says
/// nothing where members are lost with nothing beside them: such as those of larger rosters.
fn together(cases: &mut [CaseRecord]) {
    let known = broken_in_order(cases);
    let broken = broken_operations(cases);
    let losing = losing_operations(cases);
    for case in cases.iter_mut() {
        let together = steps_together(case);
        for at in 0..case.checks.len() {
            let check = &case.checks[at];
            if !check.is_broken() || !is_of(case, check, &together) {
                continue;
            }
            let is_unknown = check.requirements.iter().any(|id| !known.contains(id.as_str()));
            let is_lost = check.got.contains(LOST_MEMBER);
            let used = operations(case, check.step);
            let by_itself = broken.iter().filter(|_| is_unknown);
            let mut causes = by_itself.chain(losing.iter().filter(|_| is_lost));
            let cause = causes.find(|(operation, _)| used.contains(operation));
            if let Some((operation, witness)) = cause {
                let why = format!("but {operation} is wrong with nothing beside it, see {witness}");
                case.take_back(at, &why);
            }
        }
    }
}

/// The steps in which requests meet: races, and requests whose body comes later.
fn steps_together(case: &CaseRecord) -> BTreeSet<Option<usize>> {
    let is_together = |check: &&CheckRecord| check.name == "race" || is_held(case);
    let steps = case.checks.iter().filter(is_together).map(|check| check.step);
    steps.filter(Option::is_some).collect()
}

/// Whether bodies are held back in a case, while something else happens.
fn is_held(case: &CaseRecord) -> bool {
    case.topic == "held"
}

/// Whether a check is about what came of requests that met. What a request is answered whose body came late is about that
/// request; what is stored in the end is about both.
fn is_of(case: &CaseRecord, check: &CheckRecord, together: &BTreeSet<Option<usize>>) -> bool {
    together.contains(&check.step) && (!is_held(case) || check.name == "stored")
}

/// The operations that were made in a step, and in the set-up of its case.
fn operations(case: &CaseRecord, step: Option<usize>) -> BTreeSet<Operation> {
    let used = case
        .exchanges
        .iter()
        .filter(|exchange| exchange.role == Role::Setup || exchange.step == step);
    used.filter_map(Operation::of)
        .filter(|operation| operation.needs_token())
        .collect()
}

/// The requirements that are broken without requests that meet.
fn broken_in_order(cases: &[CaseRecord]) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for case in cases {
        let together = steps_together(case);
        let broken = case
            .checks
            .iter()
            .filter(|check| check.is_broken() && !is_of(case, check, &together));
        known.extend(broken.flat_map(|check| check.requirements.clone()));
    }
    known
}

/// The requirements of the findings that a test picks.
fn broken_requirements(
    cases: &[CaseRecord],
    picked: impl Fn(&CaseRecord, &CheckRecord) -> bool,
) -> BTreeSet<String> {
    of_findings(cases, picked, |_, check| check.requirements.clone())
}

/// What is read of the findings that a test picks.
fn of_findings<T: Ord, I: IntoIterator<Item = T>>(
    cases: &[CaseRecord],
    picked: impl Fn(&CaseRecord, &CheckRecord) -> bool,
    read: impl Fn(&CaseRecord, &CheckRecord) -> I,
) -> BTreeSet<T> {
    let mut all = BTreeSet::new();
    for case in cases {
        let broken = case
            .checks
            .iter()
            .filter(|check| check.is_broken() && picked(case, check));
        all.extend(broken.flat_map(|check| read(case, check)));
    }
    all
}

/// The operations that lose members with nothing beside them, each with a case that shows it.
fn losing_operations(cases: &[CaseRecord]) -> BTreeMap<Operation, String> {
    let mut losing = BTreeMap::new();
    for case in cases.iter().filter(|case| steps_together(case).is_empty()) {
        let lost = |check: &&CheckRecord| check.is_broken() && check.got.contains(LOST_MEMBER);
        let lost = case.checks.iter().filter(lost);
        for operation in lost.filter_map(|check| operation_of(case, check)) {
            losing.entry(operation).or_insert_with(|| case.id.clone());
        }
    }
    losing
}

/// The operations that are broken in themselves, each with a case that shows it.
fn broken_operations(cases: &[CaseRecord]) -> BTreeMap<Operation, String> {
    let mut used: BTreeMap<Operation, usize> = BTreeMap::new();
    let mut broken: BTreeMap<Operation, Vec<&str>> = BTreeMap::new();
    for case in cases.iter().filter(|case| steps_together(case).is_empty()) {
        for operation in all_operations(case) {
            *used.entry(operation).or_default() += 1;
        }
        let wrong = case
            .checks
            .iter()
            .filter(|check| check.is_broken() && CHECKS_OF_THE_OPERATION.contains(&check.name.as_str()));
        let wrong: BTreeSet<Operation> = wrong.filter_map(|check| operation_of(case, check)).collect();
        for operation in wrong {
            broken.entry(operation).or_default().push(&case.id);
        }
    }
    let is_broken = |operation: &Operation, cases: usize| {
        let used = used.get(operation).copied().unwrap_or(0);
        cases >= LEAST_BROKEN_CASES && cases * BROKEN_ONE_IN >= used
    };
    broken
        .into_iter()
        .filter(|(operation, cases)| is_broken(operation, cases.len()))
        .map(|(operation, cases)| (operation, cases[0].to_owned()))
        .collect()
}

fn all_operations(case: &CaseRecord) -> BTreeSet<Operation> {
    let own = case
        .exchanges
        .iter()
        .filter(|exchange| exchange.role == Role::Step);
    own.filter_map(Operation::of).collect()
}

/// The operation that a check is about: that of its step, or of the exchange that it looked at.
fn operation_of(case: &CaseRecord, check: &CheckRecord) -> Option<Operation> {
    let of_step = case
        .exchanges
        .iter()
        .find(|exchange| check.step.is_some() && exchange.role == Role::Step && exchange.step == check.step)
        .and_then(Operation::of);
    of_step
        .or_else(|| looked_at(case, check))
        .filter(|operation| operation.needs_token())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Exchange, samples};

    fn exchange(role: Role, step: Option<usize>, operation: Operation) -> Exchange {
        Exchange {
            step,
            role,
            actor: Some("alice".to_owned()),
            repo: Some("repo".to_owned()),
            ..samples::exchange("vault", operation.into(), 200)
        }
    }

    fn check(name: &str, requirement: &str, got: &str) -> CheckRecord {
        CheckRecord {
            name: name.to_owned(),
            expected: "push by alice is granted (200)".to_owned(),
            got: got.to_owned(),
            ..samples::failed(requirement)
        }
    }

    /// A case of one step, that makes one request, with one check.
    fn case(id: &str, operation: Operation, check: CheckRecord) -> CaseRecord {
        let made = exchange(Role::Step, Some(0), operation);
        samples::case(id, vec![check], vec![made])
    }

    fn taken_back(mut cases: Vec<CaseRecord>) -> Vec<(Verdict, String)> {
        take_back_what_follows(&mut cases);
        let of_case = |case: &CaseRecord| {
            assert_eq!(case.verdict, case.checks[0].verdict);
            (case.verdict, case.checks[0].requirements[0].clone())
        };
        cases.iter().map(of_case).collect()
    }

    fn verdicts(cases: Vec<CaseRecord>) -> Vec<Verdict> {
        taken_back(cases)
            .into_iter()
            .map(|(verdict, _)| verdict)
            .collect()
    }

    fn race(requirement: &str) -> CaseRecord {
        case(
            "races/pushes",
            Operation::Push,
            check("race", requirement, "no order fits"),
        )
    }

    fn stored(id: &str) -> CaseRecord {
        case(
            id,
            Operation::Push,
            check("stored", "AVP-6-09", "another version"),
        )
    }

    /// A finding of a case of the profile's own, beside one of another case, and what each stands against in the end.
    fn of_profile(rule: &str, other: &str, over: Over) -> Vec<Vec<String>> {
        let mut own = case("status/x", Operation::Push, check("stored", rule, "x"));
        own.transport = Over::Grpc;
        own.checks[0].requirements.insert(0, "AVP-11-03".to_owned());
        let mut beside = case("push/x", Operation::Push, check("stored", other, "x"));
        beside.transport = over;
        let mut cases = [own, beside];
        take_back_what_follows(&mut cases);
        cases.map(|case| case.checks[0].requirements.clone()).to_vec()
    }

    #[test]
    fn the_profile_is_not_blamed_for_what_the_operation_does_in_other_cases_as_well() {
        let ids = |ids: [&str; 2]| ids.map(|id| vec![id.to_owned()]).to_vec();
        let (rule, other) = ("AVP-6-07", "AVP-6-11");
        assert_eq!(of_profile(rule, rule, Over::Http), ids([rule, rule]));
        assert_eq!(of_profile(rule, rule, Over::Grpc), ids([rule, rule]));
        assert_eq!(of_profile(rule, other, Over::Http), ids(["AVP-11-03", other]));
        assert_eq!(of_profile(rule, other, Over::Grpc), ids(["AVP-11-03", other]));
    }

    /// What becomes of a finding over gRPC, or over both, where HTTP alone shows another.
    fn beside_http(over: Over, rule: &str, operation: Operation) -> Verdict {
        let mut own = case("status/x", Operation::Push, check("answer", rule, "x"));
        own.transport = over;
        let beside = case("push/x", operation, check("answer", "AVP-6-07", "x"));
        let mut cases = [own, beside];
        take_back_what_follows(&mut cases);
        cases[0].verdict
    }

    #[test]
    fn what_http_alone_shows_of_an_operation_is_no_matter_of_the_profile_or_of_agreement() {
        for (over, rule) in [(Over::Grpc, "AVP-11-10"), (Over::Both, AGREEMENT)] {
            assert_eq!(
                beside_http(over, rule, Operation::Push),
                Verdict::Blocked,
                "{rule}"
            );
            assert_eq!(beside_http(over, rule, Operation::Pull), Verdict::Fail, "{rule}");
        }
    }

    /// A case of one pull, answered with a status, and what its check came to.
    fn answered(over: Over, rule: &str, status: u16, verdict: Verdict) -> CaseRecord {
        let mut found = case("errors/x", Operation::Pull, check("answer", rule, "x"));
        found.transport = over;
        found.exchanges = vec![Exchange {
            step: Some(0),
            ..samples::exchange("vault", Operation::Pull.into(), status)
        }];
        found.checks[0].step = Some(0);
        found.checks[0].verdict = verdict;
        found.verdict = verdict;
        found
    }

    #[test]
    fn what_holds_over_http_and_breaks_over_grpc_is_told_by_the_rule_of_the_profile() {
        let told = |plain: &str, right: u16, wrong: u16| {
            let mut cases = [
                answered(Over::Http, plain, right, Verdict::Pass),
                answered(Over::Grpc, plain, wrong, Verdict::Fail),
            ];
            take_back_what_follows(&mut cases);
            cases[1].checks[0].requirements.concat()
        };
        assert_eq!(told("AVP-6-16", 404, 500), STATUSES);
        assert_eq!(told("AVP-3-10", 401, 403), TOKENS);
        assert_eq!(told("AVP-3-10", 401, 200), TOKENS);
        assert_eq!(told("AVP-6-04", 200, NOT_OFFERED), GRPC);
        assert_eq!(
            told("AVP-6-04", 200, 500),
            "AVP-6-04",
            "no rule of the profile says it"
        );
        let mut both = [
            answered(Over::Http, "AVP-6-16", 500, Verdict::Fail),
            answered(Over::Grpc, "AVP-6-16", 500, Verdict::Fail),
        ];
        take_back_what_follows(&mut both);
        assert_eq!(both[1].checks[0].requirements, ["AVP-6-16"]);
    }

    #[test]
    fn a_status_is_no_second_finding_about_an_answer_that_is_wrong() {
        let case_of = |rule: &str| {
            let mut found = case("push/x", Operation::Push, check("answer", rule, "x"));
            found
                .checks
                .push(check("grpc status", STATUSES, "grpc-status 10, ABORTED"));
            let mut cases = [found];
            take_back_what_follows(&mut cases);
            let [found] = cases;
            found.checks[1].verdict
        };
        assert_eq!(case_of("AVP-11-04"), Verdict::Blocked);
        assert_eq!(case_of(STATUSES), Verdict::Fail);
    }

    #[test]
    fn a_race_shows_nothing_where_its_operation_is_wrong_by_itself() {
        assert_eq!(verdicts(vec![race("AVP-10-02")]), [Verdict::Fail]);
        let with = |id| vec![stored("push/one"), stored(id), race("AVP-10-02")];
        assert_eq!(
            verdicts(with("push/two")),
            [Verdict::Fail, Verdict::Fail, Verdict::Blocked]
        );
        assert_eq!(
            verdicts(vec![stored("push/one"), race("AVP-10-02")]),
            [Verdict::Fail; 2],
            "one case may have a reason of its own"
        );
        assert_eq!(
            verdicts(vec![stored("push/one"), stored("push/two"), race("AVP-6-09")]),
            [Verdict::Fail; 3],
            "what is broken anyway is named anyway"
        );
    }

    #[test]
    fn a_body_that_comes_late_and_is_taken_is_a_finding_whatever_else_is_wrong() {
        let held = |name| {
            case(
                "held/push",
                Operation::Push,
                check(name, "AVP-10-03", "200, granted"),
            )
        };
        let with = |name| verdicts(vec![stored("push/one"), stored("push/two"), held(name)]);
        assert_eq!(with("answer")[2], Verdict::Fail);
        assert_eq!(with("stored")[2], Verdict::Blocked);
    }

    #[test]
    fn ids_with_escapes_say_nothing_where_plain_ids_are_not_found_either() {
        let lost = |id: &str, rule: &str| {
            let got = "alice, a member, cannot pull: status 404";
            case(id, Operation::Pull, check("stored", rule, got))
        };
        let escaped = || lost("fidelity/id-with-space", "AVP-7-06");
        assert_eq!(verdicts(vec![escaped()]), [Verdict::Fail]);
        let plain = |id: &str| lost(id, "AVP-6-03");
        assert_eq!(
            verdicts(vec![escaped(), plain("create/one"), plain("create/two")]),
            [Verdict::Blocked, Verdict::Fail, Verdict::Fail]
        );
        let fetch = case(
            "members/one",
            Operation::FetchMemberKey,
            check("answer", "AVP-6-14", "status 404"),
        );
        assert_eq!(
            verdicts(vec![escaped(), fetch.clone()]),
            [Verdict::Fail, Verdict::Fail]
        );
        assert_eq!(taken_back(vec![escaped(), fetch])[1].1, "AVP-7-06");
    }

    #[test]
    fn answers_that_are_wrong_alike_have_one_rule() {
        let refused = |id: &str, rule: &str, got: &str| case(id, Operation::Push, check("answer", rule, got));
        let plain = |id: &str| refused(id, "AVP-6-09", "status 500");
        let cases = |got: &str| {
            vec![
                plain("push/one"),
                plain("push/two"),
                plain("push/three"),
                refused("fidelity/text", "AVP-4-01", got),
            ]
        };
        assert_eq!(taken_back(cases("status 500"))[3].1, "AVP-6-09");
        assert_eq!(taken_back(cases("status 400"))[3].1, "AVP-4-01");
    }
}
