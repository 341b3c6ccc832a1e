//! From findings to causes: as few sentences as explain what was seen.
//!
//! The faults of the reference server are the dictionary: their fingerprints say which checks break under each. What broke
//! in a run is covered by as few of them as possible; what none explains is grouped by requirement and operation. A
//! fingerprint is a hint: where it does not fit exactly, the cause is told by what was seen, and the fault only as what it
//! looks like.

mod alike;
mod cover;
mod fingerprint;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Harm, Level};
use crate::record::findings::{actors, decisive, plainness};
use crate::record::sentences::{got, sentence};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Exchange, Over, Record, Role};
use alike::{OPERATIONS_ALIKE, alike, join_operations, races_with};
use cover::{Explained, Seen, cover};
pub use fingerprint::{Fingerprint, Fingerprints, Sign, Symptom};

/// One thing that is wrong with the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The requirement that it breaks.
    pub requirement: String,
    /// What else its checks break and no cause is named after, in the order of ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The level of that requirement.
    pub level: Level,
    /// What the target does, one sentence.
    pub cause: String,
    /// What to do about it.
    pub mend: String,
    /// How many broken checks it explains.
    pub findings: usize,
    /// The ids of the cases with those checks, in suite order.
    pub cases: Vec<String>,
    /// The plainest of these cases.
    pub shown_by: String,
    /// The check of that case that shows it, by its place among the case's checks, from 0.
    pub check: usize,
    /// The fault of the reference server that looks like it; null where none does.
    pub like: Option<String>,
    /// How well that fault fits; `partly` where there is none.
    pub fits: Fit,
    /// Whether all that it explains is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
}

/// How well a fault explains what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// All that breaks under the fault broke, in the same way, in every case that ran, and under no other fault the same
    /// breaks: the cause is told by what the fault does.
    Exact,
    /// Something of it; the cause is told by what was expected and what came.
    Partly,
}

/// What a diagnosis goes by beside the record.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    /// What is known of faults, in the order of their table.
    pub fingerprints: Vec<Fingerprint>,
    /// What it does to users where a requirement is broken; of what is not named here nothing is known.
    pub harms: BTreeMap<String, Harm>,
}

/// Of what a fault predicts, the share that must have been seen before how to mend it is told.
const FIT_TO_MEND: f64 = 0.8;

/// One broken check: its case, its place among the case's checks, and itself.
type Broken<'a> = (&'a CaseRecord, usize, &'a CheckRecord);

/// The fault that looks like what broke.
struct Like<'a> {
    explained: &'a Explained,
    fingerprint: &'a Fingerprint,
    /// Whether every fault that looks the same is mended in the same way.
    has_one_mend: bool,
}

impl Like<'_> {
    /// Whether it is that very fault, as far as can be seen.
    fn is_it(&self) -> bool {
        self.explained.exact && self.explained.twins.is_empty()
    }
}

/// Broken checks that have one cause.
struct Group<'a, 'f> {
    checks: Vec<Broken<'a>>,
    like: Option<Like<'f>>,
}

impl Group<'_, '_> {
    /// The requirement that the cause is named after; none where no check names one.
    fn requirement(&self) -> Option<String> {
        let like = self.like.as_ref();
        let breaks =
            |id: &str| like.is_some_and(|it| it.fingerprint.breaks.iter().any(|broken| broken == id));
        most_broken(&self.checks, &breaks).or_else(|| most_broken(&self.checks, &|_| true))
    }
}

/// The causes of all that is broken in a record, the worst first: what is new before what is known, musts before shoulds, what explains
/// half of the failing cases before what explains fewer, then by what they do to users, then by how many cases they explain.
pub fn diagnose(record: &Record, dictionary: &Dictionary) -> Vec<Cause> {
    let broken = broken(record);
    let symptoms: BTreeMap<Symptom, BTreeSet<&str>> = broken
        .iter()
        .map(|(symptom, checks)| (symptom.clone(), requirements(checks)))
        .collect();
    let has_run = |case: &&CaseRecord| matches!(case.verdict, Verdict::Pass | Verdict::Warn | Verdict::Fail);
    let ran = record.cases.iter().filter(has_run);
    // Faults are learned without the ordinary cases over gRPC.
    let is_unlearned = |symptom: &Symptom| {
        broken[symptom]
            .iter()
            .all(|(case, _, _)| case.transport == Over::Grpc)
    };
    let learned = symptoms.keys().filter(|symptom| !is_unlearned(symptom)).collect();
    let seen = Seen {
        symptoms: &symptoms,
        learned: &learned,
        ran: &ran.map(|case| case.id.as_str()).collect(),
    };
    let mut rest: BTreeSet<&Symptom> = symptoms.keys().collect();
    let mut groups: Vec<Group<'_, '_>> = Vec::new();
    let explained = cover(&seen, &dictionary.fingerprints);
    for it in &explained {
        rest.retain(|symptom| !it.symptoms.contains(symptom));
    }
    for it in &explained {
        let fingerprint = &dictionary.fingerprints[it.fault];
        let mut own: BTreeSet<&Symptom> = it.symptoms.iter().collect();
        // What else breaks the same requirement is rather the same cause, seen in another way: of a fault that fits exactly, what
        // was seen over gRPC alone.
        own.extend(rest.iter().filter(|symptom| {
            let ids = &symptoms[*symptom];
            (!it.exact || is_unlearned(symptom))
                && fingerprint.breaks.iter().any(|id| ids.contains(id.as_str()))
        }));
        rest.retain(|symptom| !own.contains(symptom));
        let checks = own.iter().flat_map(|symptom| &broken[symptom]).copied();
        let mut twins = it.twins.iter().map(|twin| &dictionary.fingerprints[*twin]);
        let like = Like {
            explained: it,
            fingerprint,
            has_one_mend: twins.all(|twin| twin.mend == fingerprint.mend),
        };
        groups.push(Group {
            checks: checks.collect(),
            like: Some(like),
        });
    }
    let others = alike(&rest, &broken).into_iter();
    groups.extend(others.map(|checks| Group { checks, like: None }));
    let told = join_operations(groups)
        .into_iter()
        .filter_map(|group| Some((cause(record, &group)?, group.checks)));
    let mut causes = name_the_others(told.collect());
    let failing: BTreeSet<&str> = causes
        .iter()
        .flat_map(|cause| &cause.cases)
        .map(String::as_str)
        .collect();
    let half = failing.len().div_ceil(2);
    causes.sort_by_key(|cause| {
        (
            cause.known,
            Reverse(cause.level),
            cause.cases.len() < half,
            Reverse(dictionary.harms.get(&cause.requirement).copied()),
            Reverse(cause.cases.len()),
        )
    });
    causes
}

/// The causes, where what is broken and no cause is named after is said by the one of which most checks break it.
fn name_the_others(causes: Vec<(Cause, Vec<Broken<'_>>)>) -> Vec<Cause> {
    let (mut told, checks): (Vec<Cause>, Vec<_>) = causes.into_iter().unzip();
    let named: BTreeSet<String> = told.iter().map(|cause| cause.requirement.clone()).collect();
    let broken: BTreeSet<&str> = checks.iter().flat_map(|checks| requirements(checks)).collect();
    for id in broken.into_iter().filter(|id| !named.contains(*id)) {
        let breaks = |(_, _, check): &&Broken<'_>| check.requirements.iter().any(|other| other == id);
        let places = 0..told.len();
        // Of equals the first.
        let most = places.min_by_key(|place| Reverse(checks[*place].iter().filter(breaks).count()));
        if let Some(cause) = most.and_then(|place| told.get_mut(place)) {
            cause.also.push(id.to_owned());
        }
    }
    told
}

/// All broken checks of a record by what they are symptoms of.
fn broken(record: &Record) -> BTreeMap<Symptom, Vec<Broken<'_>>> {
    let names: BTreeSet<&str> = record.cases.iter().flat_map(actors).collect();
    let mut broken: BTreeMap<Symptom, Vec<Broken<'_>>> = BTreeMap::new();
    for case in &record.cases {
        for (place, check) in case.checks.iter().enumerate() {
            if check.is_broken() {
                let symptom = Symptom::of(case, check, &names);
                broken.entry(symptom).or_default().push((case, place, check));
            }
        }
    }
    broken
}

/// The causes that a record has, or those that can be told without a dictionary where it is older than they are.
pub fn causes(record: &Record) -> Cow<'_, [Cause]> {
    match &record.diagnosis {
        Some(causes) => Cow::Borrowed(causes),
        None => Cow::Owned(diagnose(record, &Dictionary::default())),
    }
}

/// The causes that are not known, in the same order.
pub fn new_causes(record: &Record) -> Vec<Cause> {
    let all = causes(record).into_owned();
    all.into_iter().filter(|cause| !cause.known).collect()
}

/// What breaks in a record, each thing once; what a self-test learns of a fault.
pub fn symptoms(record: &Record) -> BTreeSet<Symptom> {
    broken(record).into_keys().collect()
}

fn requirements<'a>(checks: &[Broken<'a>]) -> BTreeSet<&'a str> {
    let ids = checks.iter().flat_map(|(_, _, check)| &check.requirements);
    ids.map(String::as_str).collect()
}

/// The operation that a check is about: where it was read back what a step had done, that of the step. Empty where there is none.
fn operation<'a>((case, _, check): Broken<'a>) -> &'a str {
    let decisive = decisive(case, check).map(|(_, exchange)| exchange);
    let of_step = || {
        let of_step = |exchange: &&Exchange| exchange.role == Role::Step && exchange.step == check.step;
        case.exchanges.iter().find(of_step)
    };
    let exchange = match decisive {
        Some(read_back) if read_back.role == Role::Audit => of_step().or(decisive),
        other => other,
    };
    let operation = exchange.and_then(|exchange| exchange.operation.as_ref());
    operation.map_or("", |operation| operation.as_str())
}

/// The requirement that most cases show broken, of those that are wanted.
fn most_broken(checks: &[Broken<'_>], is_wanted: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut cases: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (case, _, check) in checks {
        for id in check.requirements.iter().filter(|id| is_wanted(id)) {
            cases.entry(id).or_default().insert(&case.id);
        }
    }
    // Of equals the one of the lowest id.
    let most = cases.into_iter().min_by_key(|(_, cases)| Reverse(cases.len()));
    most.map(|(id, _)| id.to_owned())
}

/// The topic in which most of the cases are: there a reader expects to see what is wrong.
fn home<'a>(checks: &[Broken<'a>]) -> Option<&'a str> {
    let mut cases: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (case, _, _) in checks {
        cases.entry(&case.topic).or_default().insert(&case.id);
    }
    let most = cases.into_iter().min_by_key(|(_, cases)| Reverse(cases.len()));
    most.map(|(topic, _)| topic)
}

/// The cause that these checks have; none where there is no check, or none that names a requirement.
fn cause(record: &Record, group: &Group<'_, '_>) -> Option<Cause> {
    let (checks, like) = (&group.checks, group.like.as_ref());
    let requirement = group.requirement()?;
    let is_of_it = |(_, _, check): &Broken<'_>| check.requirements.contains(&requirement);
    let of_it: Vec<Broken<'_>> = checks.iter().copied().filter(is_of_it).collect();
    let home = home(&of_it);
    let at_home = of_it
        .iter()
        .filter(|(case, _, _)| Some(case.topic.as_str()) == home);
    let (shown_by, place, check) = *at_home.min_by_key(|(case, _, check)| plainness(case, check))?;
    let found = record.requirements.iter().find(|it| it.id == requirement);
    let exact = like.filter(|it| it.is_it());
    let concerned: BTreeSet<_> = checks.iter().map(|(case, _, _)| case.name()).collect();
    let in_order = record.cases.iter().map(CaseRecord::name);
    let by_rule = || found.map_or(String::new(), |it| format!("Make this hold: {}", it.text));
    Some(Cause {
        level: found.map_or(Level::Must, |it| it.level),
        cause: exact.map_or_else(
            || as_seen((shown_by, place, check), &of_it) + &races(checks),
            |it| it.fingerprint.about.clone(),
        ),
        mend: match like.filter(|it| exact.is_some() || it.has_one_mend && it.explained.fit >= FIT_TO_MEND) {
            Some(it) => it.fingerprint.mend.clone(),
            None => check.hint.clone().unwrap_or_else(by_rule),
        },
        findings: checks.len(),
        cases: in_order
            .filter(|name| concerned.contains(name))
            .map(Cow::into_owned)
            .collect(),
        shown_by: shown_by.name().into_owned(),
        check: place,
        like: like.map(|it| it.fingerprint.fault.clone()),
        fits: match exact {
            Some(_) => Fit::Exact,
            None => Fit::Partly,
        },
        known: checks.iter().all(|(_, _, check)| check.known.is_some()),
        also: Vec::new(),
        requirement,
    })
}

/// Which races break which rules, where those of one operation break several.
fn races(checks: &[Broken<'_>]) -> String {
    let rules: Vec<&str> = requirements(checks).into_iter().collect();
    match races_with(checks) {
        Some(operation) if rules.len() > 1 => {
            format!(
                " Races with {operation} break {} rules: {}.",
                rules.len(),
                rules.join(", ")
            )
        }
        _ => String::new(),
    }
}

/// What was seen, as a sentence: `push: expected a conflict; got accepted = true.` And where else the same rule breaks, if that is
/// in many operations.
fn as_seen(it: Broken<'_>, all: &[Broken<'_>]) -> String {
    let (_, _, check) = it;
    let operation = match operation(it) {
        "" => String::new(),
        name => format!("{name}: "),
    };
    let got = got(check);
    let got = got.trim_end_matches('.');
    let others: BTreeSet<&str> = all.iter().map(|other| self::operation(*other)).collect();
    let others: Vec<&str> = others.into_iter().filter(|name| !name.is_empty()).collect();
    let elsewhere = match others.len() >= OPERATIONS_ALIKE {
        true => format!(
            " The rule breaks in {} operations: {}.",
            others.len(),
            others.join(", ")
        ),
        false => String::new(),
    };
    format!(
        "{operation}expected {}; got {got}.{elsewhere}",
        sentence(&check.expected).trim_end_matches('.')
    )
}
