//! The search for the fewest faults that explain what broke: a greedy cover of the symptoms by fingerprints.

use std::collections::{BTreeMap, BTreeSet};

use super::fingerprint::{Fingerprint, Sign, Symptom};

/// Of what a fault predicts for the cases that ran, the share that must have been seen before it is named.
const LEAST_FIT: f64 = 0.6;
/// Of what a fault predicts, the share that must have been seen in the very way in which it predicts it.
const LEAST_ALIKE: f64 = 0.4;
/// What counts as seen of a check that broke as predicted, though by other evidence.
const OTHER_EVIDENCE: f64 = 0.5;
/// What counts as not seen of a check that held, in a case in which another broke: the one may have hidden the other.
const HIDDEN: f64 = 0.4;

/// Of so many symptoms one may be missing by chance where a fault is told as what it is.
const CHANCE_ONE_IN: usize = 100;

/// What one fault explains.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Explained {
    /// The place of the fingerprint.
    pub(super) fault: usize,
    /// The symptoms that it explains.
    pub(super) symptoms: BTreeSet<Symptom>,
    /// The share of what it predicts for the cases that ran that was seen.
    pub(super) fit: f64,
    /// Whether all that it predicts for the cases that ran was seen, but for what chance may hide.
    pub(super) exact: bool,
    /// The places of other fingerprints that predict the same for the cases that ran.
    pub(super) twins: Vec<usize>,
}

/// What was seen of a run.
pub(super) struct Seen<'a> {
    /// The symptoms, with the requirements that each breaks.
    pub(super) symptoms: &'a BTreeMap<Symptom, BTreeSet<&'a str>>,
    /// Those of them that a fault has if it is that fault: what was seen over gRPC alone is learned of few.
    pub(super) learned: &'a BTreeSet<&'a Symptom>,
    /// The ids of the cases that ran to a verdict.
    pub(super) ran: &'a BTreeSet<&'a str>,
}

/// A fingerprint as far as cases ran.
struct Candidate<'a> {
    fault: usize,
    predicted: BTreeSet<&'a Symptom>,
    /// The share of what it predicts that was seen.
    fit: f64,
    /// The share that was seen in the very way in which it predicts it.
    alike: f64,
    /// How much was not seen.
    missing: f64,
}

/// Explains as much as possible by as few fingerprints as possible. What no fingerprint explains is left out.
pub(super) fn cover(seen: &Seen<'_>, fingerprints: &[Fingerprint]) -> Vec<Explained> {
    let weights = weights(seen.symptoms.keys());
    let mut candidates: Vec<Candidate<'_>> = fingerprints
        .iter()
        .enumerate()
        .filter(|(_, it)| is_about(seen, it))
        .map(|(fault, it)| candidate(seen, fault, it))
        .filter(|it| it.fit >= LEAST_FIT && it.alike >= LEAST_ALIKE)
        .filter(|it| !is_narrow(seen, &fingerprints[it.fault], it.predicted.len()))
        .collect();
    let all: Vec<(usize, BTreeSet<&Symptom>)> = candidates
        .iter()
        .map(|it| (it.fault, it.predicted.clone()))
        .collect();
    let mut rest: BTreeSet<&Symptom> = seen.symptoms.keys().collect();
    let mut found = Vec::new();
    loop {
        let gain = |it: &Candidate<'_>| {
            let explained = it.predicted.intersection(&rest);
            explained.map(|symptom| weights[*symptom]).sum::<f64>()
        };
        // Of equals the first in the table wins, so that the same record gives the same causes.
        let mut best: Option<(usize, [f64; 3])> = None;
        for (place, it) in candidates.iter().enumerate() {
            let gain = gain(it);
            // Of faults that predict the same for the cases that ran, the one that predicts least of others.
            let size = fingerprints[it.fault].symptoms.len() as f64;
            let score = [gain - it.missing, it.fit, -size];
            let is_better = best.as_ref().is_none_or(|(_, best)| score > *best);
            if gain > 0.0 && score[0] > 0.0 && is_better {
                best = Some((place, score));
            }
        }
        let Some((place, _)) = best else {
            break;
        };
        let it = candidates.remove(place);
        let symptoms: BTreeSet<&Symptom> = it.predicted.intersection(&rest).copied().collect();
        rest.retain(|symptom| !symptoms.contains(symptom));
        found.push(Explained {
            fault: it.fault,
            fit: it.fit,
            exact: is_exact(seen, &it.predicted),
            twins: all
                .iter()
                .filter(|(fault, predicted)| *fault != it.fault && *predicted == it.predicted)
                .map(|(fault, _)| *fault)
                .collect(),
            symptoms: symptoms.into_iter().cloned().collect(),
        });
    }
    // What shows the same in a case that the fault does not break in every run is the same fault: a race decides what a case meets.
    for it in &mut found {
        let predicted = fingerprints[it.fault].symptoms.iter();
        let signs: BTreeSet<&Sign> = predicted.map(|symptom| &symptom.sign).collect();
        let (alike, other) = rest.iter().partition(|symptom| signs.contains(&symptom.sign));
        rest = other;
        let alike: BTreeSet<&Symptom> = alike;
        it.symptoms.extend(alike.into_iter().cloned());
    }
    found
}

/// Whether a fault breaks less than half of what shows the very same: then it is a part of what is wrong at most, and no name for it.
fn is_narrow(seen: &Seen<'_>, fingerprint: &Fingerprint, predicted: usize) -> bool {
    let signs: BTreeSet<&Sign> = fingerprint.symptoms.iter().map(|it| &it.sign).collect();
    let shows_the_same = |it: &&Symptom| signs.contains(&it.sign) && !fingerprint.symptoms.contains(*it);
    seen.learned.iter().copied().filter(shows_the_same).count() > predicted
}

/// Whether what a fault predicts was seen: of a hundred symptoms, all but one. What a race shows, or a clock, differs from run to run.
fn is_exact(seen: &Seen<'_>, predicted: &BTreeSet<&Symptom>) -> bool {
    let unseen = predicted
        .iter()
        .filter(|symptom| !seen.symptoms.contains_key(**symptom));
    unseen.count() * CHANCE_ONE_IN <= predicted.len()
}

/// Whether a requirement that the fault breaks was seen broken where it predicts it.
fn is_about(seen: &Seen<'_>, fingerprint: &Fingerprint) -> bool {
    let explained = fingerprint.symptoms.iter().filter_map(|it| seen.symptoms.get(it));
    explained
        .flatten()
        .any(|id| fingerprint.breaks.iter().any(|breaks| breaks == id))
}

fn candidate<'a>(seen: &Seen<'_>, fault: usize, fingerprint: &'a Fingerprint) -> Candidate<'a> {
    let ran = |it: &&Symptom| seen.ran.contains(it.case.as_str());
    let predicted: BTreeSet<&Symptom> = fingerprint.symptoms.iter().filter(ran).collect();
    let weights = weights(predicted.iter().copied());
    let broken_checks: BTreeSet<(&str, &str)> = seen.symptoms.keys().map(place).collect();
    let broken_cases: BTreeSet<&str> = seen.symptoms.keys().map(|it| it.case.as_str()).collect();
    let (mut alike, mut hit, mut missing) = (0.0, 0.0, 0.0);
    for symptom in &predicted {
        let (seen, unseen) = match () {
            () if seen.symptoms.contains_key(*symptom) => (1.0, 0.0),
            () if broken_checks.contains(&place(symptom)) => (OTHER_EVIDENCE, 1.0 - OTHER_EVIDENCE),
            () if broken_cases.contains(symptom.case.as_str()) => (0.0, HIDDEN),
            () => (0.0, 1.0),
        };
        let weight = weights[symptom];
        if seen == 1.0 {
            alike += weight;
        }
        hit += seen * weight;
        missing += unseen * weight;
    }
    let share = |part: f64| {
        if hit + missing > 0.0 {
            part / (hit + missing)
        } else {
            0.0
        }
    };
    Candidate {
        fault,
        predicted,
        fit: share(hit),
        alike: share(alike),
        missing,
    }
}

fn place(symptom: &Symptom) -> (&str, &str) {
    (&symptom.case, &symptom.sign.check)
}

/// How much each symptom counts: a sign that many cases show counts more than one that a single case shows, but by its
/// logarithm, for it is one thing that they show.
fn weights<'a>(symptoms: impl Iterator<Item = &'a Symptom> + Clone) -> BTreeMap<&'a Symptom, f64> {
    let mut cases: BTreeMap<&Sign, u32> = BTreeMap::new();
    for symptom in symptoms.clone() {
        *cases.entry(&symptom.sign).or_default() += 1;
    }
    let weight = |symptom: &Symptom| {
        let cases = f64::from(cases[&symptom.sign]);
        (1.0 + cases.log2()) / cases
    };
    symptoms.map(|symptom| (symptom, weight(symptom))).collect()
}
