//! How well a report tells what is wrong: the causes that are told of each fault alone, of each fault that the dictionary does not
//! know, and of three faults at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::matrix::percent;
use super::precision::within;
use super::runner::{Observation, Selftest, SelftestError};
use crate::protocol::Protocol;
use crate::record::Record;
use crate::record::diagnosis::{Cause, Dictionary, Fingerprints, Fit, diagnose, symptoms};
use crate::serve::{Behaviour, Fault};

/// How many servers with three faults at once are tried.
pub const TRIPLES: usize = 50;
/// What the choice of the triples begins with: the same self-test tries the same ones.
const TRIPLE_SEED: u64 = 0x5eed;

/// What is learned of faults by running every case against each.
pub fn learn(suite: &str, observations: &[Observation]) -> Fingerprints {
    let learned: BTreeMap<&str, _> = faulty(observations)
        .map(|(fault, record)| (fault.name, symptoms(record)))
        .collect();
    Fingerprints::pack(suite, &learned)
}

/// The faults that every case ran against, with what broke.
fn faulty(observations: &[Observation]) -> impl Iterator<Item = (&'static Fault, &Record)> {
    observations
        .iter()
        .filter_map(|observation| match observation.behaviour {
            Behaviour::Faulty(fault) => Some((fault, observation.broken_cases.as_ref()?)),
            _ => None,
        })
}

/// Three faults that a server has at once, and what broke.
#[derive(Debug)]
pub struct Triple {
    faults: Vec<&'static Fault>,
    record: Record,
}

/// Runs every case against servers with three faults at once, the same ones in every self-test, on several servers side by side.
///
/// # Errors
/// A server does not start, or a run breaks off.
pub async fn triples(
    bench: &Arc<Selftest>,
    protocol: &Protocol,
    finished: impl Fn(),
) -> Result<Vec<Triple>, SelftestError> {
    let mut waiting = picked(protocol).into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut done = BTreeMap::new();
    loop {
        for (place, faults) in waiting
            .by_ref()
            .take(bench.servers().saturating_sub(running.len()))
        {
            let bench = Arc::clone(bench);
            running.spawn(async move { (place, bench.with_faults(faults.clone()).await, faults) });
        }
        let Some(joined) = running.join_next().await else {
            return Ok(done.into_values().collect());
        };
        let (place, record, faults) = joined?;
        let record = record?;
        done.insert(place, Triple { faults, record });
        finished();
    }
}

/// The faults of each server with three of them.
fn picked(protocol: &Protocol) -> Vec<Vec<&'static Fault>> {
    let all = (protocol.faults)();
    let mut state = TRIPLE_SEED;
    let mut next = || {
        // A linear congruential generator is enough to pick faults all over the table.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        &all[(state >> 33) as usize % all.len()]
    };
    let mut triples = Vec::new();
    while triples.len() < TRIPLES && all.len() >= 3 {
        let faults = vec![next(), next(), next()];
        let names: BTreeSet<&str> = faults.iter().map(|fault| fault.name).collect();
        if names.len() == 3 {
            triples.push(faults);
        }
    }
    triples
}

/// What is told of one fault.
struct Told {
    fault: &'static Fault,
    causes: Vec<Cause>,
}

impl Told {
    /// Whether the first cause is the fault itself, or names a requirement that it breaks.
    fn is_right(&self) -> bool {
        self.causes.first().is_some_and(|first| names(first, self.fault))
    }

    fn requirements(&self) -> usize {
        let ids: BTreeSet<&str> = self.causes.iter().map(|it| it.requirement.as_str()).collect();
        ids.len()
    }
}

/// Whether a cause is this fault, or breaks a requirement that the fault breaks.
fn names(cause: &Cause, fault: &Fault) -> bool {
    cause.like.as_deref() == Some(fault.name) || fault.breaks.contains(&cause.requirement.as_str())
}

/// How well causes are told, as Markdown.
pub fn diagnosis(
    protocol: &Protocol,
    learned: &Fingerprints,
    observations: &[Observation],
    triples: &[Triple],
) -> String {
    let dictionary = protocol.dictionary_of(Some(learned));
    let known: Vec<Told> = faulty(observations)
        .map(|(fault, record)| Told {
            fault,
            causes: diagnose(record, &dictionary),
        })
        .collect();
    let unknown: Vec<Told> = faulty(observations)
        .map(|(fault, record)| Told {
            fault,
            causes: diagnose(record, &without(&dictionary, fault)),
        })
        .collect();
    let mut out = String::from(
        "# What a report says is wrong\n\n\
         Made by `avp-conform selftest --full --accept`; not to be edited. Every case runs against the reference server with each \
         of its faults, one at a time, and with three at once. A cause is right if it is the fault, or names a requirement \
         that the fault breaks.\n\n\
         | | each fault | each fault, its own fingerprint unknown |\n|---|--:|--:|\n",
    );
    let mut row = |what: &str, of: &dyn Fn(&[Told]) -> String| {
        _ = writeln!(out, "| {what} | {} | {} |", of(&known), of(&unknown));
    };
    row("faults", &|told| told.len().to_string());
    row("the first cause is right", &|told| {
        share(told.iter().filter(|it| it.is_right()).count(), told.len())
    });
    row("a fault is named that fits exactly", &|told| {
        let exact = |it: &&Told| it.causes.first().is_some_and(|first| first.fits == Fit::Exact);
        share(told.iter().filter(exact).count(), told.len())
    });
    for (hundredths, name) in [(50, "median"), (95, "in 95 of 100 at most")] {
        row(&format!("causes, {name}"), &|told| {
            most(told.iter().map(|it| it.causes.len()), hundredths)
        });
    }
    for (hundredths, name) in [(50, "median"), (95, "in 95 of 100 at most")] {
        row(&format!("requirements of causes, {name}"), &|told| {
            most(told.iter().map(Told::requirements), hundredths)
        });
    }
    let told: Vec<Together> = triples
        .iter()
        .map(|triple| together(triple, learned, &dictionary))
        .collect();
    let shown = || told.iter().filter(|it| it.hidden.is_empty());
    let missed: usize = told.iter().map(|it| it.missed.len()).sum();
    let missed_though_seen: usize = told.iter().map(Together::missed_though_seen).sum();
    let hidden: usize = told.iter().map(|it| it.hidden.len()).sum();
    let all = told.len() * 3;
    _ = write!(
        out,
        "\nOf a fault nothing is seen where another hides it: where nobody can log in, no push is ever judged.\n\n\
         | three faults at once | all | of which something is seen |\n|---|--:|--:|\n| servers | {} | {} |\n\
         | all three are named | {} | {} |\n| of all faults, named | {} | {} |\n| causes, median | {} | {} |\n",
        told.len(),
        shown().count(),
        share(told.iter().filter(|it| it.missed.is_empty()).count(), told.len()),
        share(shown().filter(|it| it.missed.is_empty()).count(), shown().count()),
        share(all - missed, all),
        share(all - hidden - missed_though_seen, all - hidden),
        most(told.iter().map(|it| it.causes), 50),
        most(shown().map(|it| it.causes), 50),
    );
    out.push_str(
        "\n## Where the first cause is another\n\n| fault | breaks | first cause |\n|---|---|---|\n",
    );
    for it in known.iter().filter(|it| !it.is_right()) {
        let first = it.causes.first();
        let first = first.map_or("nothing is broken".to_owned(), |first| {
            let like = first.like.as_ref().map(|like| format!(" (like `{like}`)"));
            format!("{}{}", first.requirement, like.unwrap_or_default())
        });
        _ = writeln!(
            out,
            "| `{}` | {} | {first} |",
            it.fault.name,
            it.fault.breaks.join(", ")
        );
    }
    out.push_str(
        "\n## Of three faults at once, not named\n\n| faults | not named | of which nothing is seen |\n|---|---|---|\n",
    );
    for it in told.iter().filter(|it| !it.missed.is_empty()) {
        let list = |faults: &[&'static Fault]| {
            let names: Vec<String> = faults.iter().map(|fault| format!("`{}`", fault.name)).collect();
            names.join(", ")
        };
        _ = writeln!(
            out,
            "| {} | {} | {} |",
            list(&it.faults),
            list(&it.missed),
            list(&it.hidden)
        );
    }
    out
}

/// What is told of a server with three faults.
struct Together {
    faults: Vec<&'static Fault>,
    /// Those that no cause names.
    missed: Vec<&'static Fault>,
    /// Those of which nothing was seen that is seen of each alone.
    hidden: Vec<&'static Fault>,
    /// How many causes were told.
    causes: usize,
}

impl Together {
    fn missed_though_seen(&self) -> usize {
        let is_seen = |missed: &&&'static Fault| !self.hidden.iter().any(|hidden| hidden.name == missed.name);
        self.missed.iter().filter(is_seen).count()
    }
}

fn together(triple: &Triple, learned: &Fingerprints, dictionary: &Dictionary) -> Together {
    let causes = diagnose(&triple.record, dictionary);
    let seen = symptoms(&triple.record);
    let of = |is_wanted: &dyn Fn(&Fault) -> bool| {
        let faults = triple.faults.iter().copied();
        faults.filter(|fault| is_wanted(fault)).collect()
    };
    Together {
        faults: triple.faults.clone(),
        missed: of(&|fault| !causes.iter().any(|cause| names(cause, fault))),
        hidden: of(&|fault| learned.symptoms(fault.name).is_disjoint(&seen)),
        causes: causes.len(),
    }
}

/// The dictionary without the fingerprint of one fault, as for a fault that nobody has thought of.
fn without(dictionary: &Dictionary, fault: &Fault) -> Dictionary {
    let mut dictionary = dictionary.clone();
    dictionary.fingerprints.retain(|known| known.fault != fault.name);
    dictionary
}

/// So many of all, in words.
fn share(some: usize, all: usize) -> String {
    match all {
        0 => "-".to_owned(),
        _ => format!("{:.1} %", percent(some, all)),
    }
}

/// What so many in a hundred do not exceed, in words.
fn most(numbers: impl Iterator<Item = usize>, percent: usize) -> String {
    within(numbers.collect(), percent).map_or("-".to_owned(), |number| number.to_string())
}
