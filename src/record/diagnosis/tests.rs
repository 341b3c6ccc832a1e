use std::collections::{BTreeMap, BTreeSet};

use super::cover::{Explained, Seen, cover};
use super::{Fingerprint, Sign, Symptom};

fn symptom(text: &str) -> Symptom {
    let (case, evidence) = text.split_once(':').unwrap_or((text, "0"));
    Symptom {
        case: case.to_owned(),
        sign: Sign {
            check: "answer".to_owned(),
            evidence: evidence.parse().unwrap(),
        },
    }
}

fn fingerprint(fault: &str, symptoms: &str) -> Fingerprint {
    Fingerprint {
        fault: fault.to_owned(),
        about: format!("The server is {fault}."),
        mend: format!("Be not {fault}."),
        breaks: vec!["R-1".to_owned()],
        symptoms: symptoms.split(' ').map(symptom).collect(),
    }
}

/// What explains the symptoms `seen`, where the cases in `passed` passed: each fault with its number of symptoms, `=` where it fits
/// exactly and alone.
fn explained(seen: &str, passed: &str, fingerprints: &[Fingerprint]) -> Vec<String> {
    let symptoms: BTreeMap<Symptom, BTreeSet<&str>> = seen
        .split(' ')
        .map(|it| (symptom(it), BTreeSet::from(["R-1"])))
        .collect();
    let cases: Vec<String> = symptoms.keys().map(|it| it.case.clone()).collect();
    let ran = cases.iter().map(String::as_str).chain(passed.split(' '));
    let seen = Seen {
        symptoms: &symptoms,
        learned: &symptoms.keys().collect(),
        ran: &ran.collect(),
    };
    let told = |it: &Explained| {
        let fits = if it.exact && it.twins.is_empty() { "=" } else { "~" };
        format!("{}{fits}{}", fingerprints[it.fault].fault, it.symptoms.len())
    };
    cover(&seen, fingerprints).iter().map(told).collect()
}

#[test]
fn the_fault_that_explains_all_is_named_and_nothing_else() {
    let faults = [
        fingerprint("deaf", "a b"),
        fingerprint("mute", "a b c d"),
        fingerprint("blind", "d"),
    ];
    assert_eq!(explained("a b c d", "e f", &faults), ["mute=4"]);
    assert_eq!(explained("a b", "c d", &faults), ["deaf=2"]);
}

#[test]
fn two_faults_at_once_are_both_named() {
    let faults = [
        fingerprint("deaf", "a:1 b:1"),
        fingerprint("mute", "c:2 d:2 e:2"),
        fingerprint("lame", "f:3 g:3 h:3"),
    ];
    let seen = "a:1 b:1 c:2 d:2 e:2";
    assert_eq!(explained(seen, "f g h", &faults), ["mute=3", "deaf=2"]);
}

#[test]
fn what_a_fault_predicts_and_was_not_seen_speaks_against_it() {
    let faults = [fingerprint("mute", "a b c d e f"), fingerprint("deaf", "a")];
    assert_eq!(explained("a", "b c d e f", &faults), ["deaf=1"]);
    // Cases that did not run say nothing; two faults that predict the same for the others are not told apart.
    assert_eq!(explained("a", "z", &faults), ["deaf~1"]);
}

#[test]
fn what_broke_otherwise_is_not_explained() {
    let faults = [fingerprint("deaf", "a:1 b:1 c:1")];
    assert!(explained("a:2 b:2 c:2", "z", &faults).is_empty());
    assert_eq!(explained("a:1 b:1 c:2", "z", &faults), ["deaf~2"]);
}

#[test]
fn what_shows_the_same_in_a_case_that_breaks_in_some_runs_only_is_the_same_fault() {
    let faults = [fingerprint("deaf", "a:1 b:1")];
    assert_eq!(explained("a:1 b:1 race:1", "z", &faults), ["deaf=3"]);
    assert_eq!(explained("a:1 b:1 race:2", "z", &faults), ["deaf=2"]);
}

#[test]
fn a_fault_that_breaks_a_small_part_of_what_shows_the_same_is_not_named() {
    let faults = [fingerprint("deaf", "a:1 b:1")];
    assert_eq!(
        explained("a:1 b:1 c:1 d:1", "z", &faults),
        ["deaf=4"],
        "half of it"
    );
    assert!(explained("a:1 b:1 c:1 d:1 e:1", "z", &faults).is_empty());
}

#[test]
fn a_fault_is_not_named_for_a_requirement_that_it_does_not_break() {
    let mut fault = fingerprint("deaf", "a b");
    fault.breaks = vec!["R-2".to_owned()];
    assert!(explained("a b", "z", &[fault]).is_empty());
}
