//! A stored run is judged again without the server, to the same verdicts.

use avp_conform::avp::server::{faults, variations};
use avp_conform::record::Record;
use avp_conform::record::rejudged::Rejudged;
use avp_conform::record::verdict::Verdict;
use avp_conform::report::{Format, View, rejudged_text, render};
use avp_conform::run::rejudge::rejudge;
use avp_conform::serve::Behaviour;

use crate::support::program::ran;
use crate::support::suite::SUITE;
use crate::support::{files, run};

/// The record as a reader of the JSON report has it.
fn stored(record: &Record) -> Record {
    serde_json::from_slice(&render(Format::Json, record, &View::default())).unwrap()
}

fn again(record: &Record) -> Rejudged {
    rejudge(&stored(record), &SUITE).unwrap()
}

/// Of every kind of step a few cases: races, sweeps, spoilt tokens and bodies, removals.
const CASES: [&str; 5] = [
    "push/applied",
    "token/*",
    "authorization/push-without-token",
    "malformed/push-not-the-message",
    "members/*",
];

fn stays_the_same(behaviour: Behaviour) {
    let record = run::against(behaviour, &CASES);
    let again = again(&record);
    let text = rejudged_text(&again, &View::default());
    assert!(again.is_the_same(), "{:?}\n{text}", behaviour.name());
    for (old, new) in record.cases.iter().zip(&again.record.cases) {
        assert_eq!(old.checks, new.checks, "{:?} {}", behaviour.name(), old.id);
    }
}

#[test]
fn the_plain_server_is_judged_the_same() {
    stays_the_same(Behaviour::Plain);
}

#[test]
fn faults_are_judged_the_same() {
    let step = (faults().len() / 3).max(1);
    for fault in faults().iter().step_by(step) {
        stays_the_same(Behaviour::Faulty(fault));
    }
}

#[test]
fn variations_are_judged_the_same() {
    let step = (variations().len() / 3).max(1);
    for variation in variations().iter().step_by(step) {
        stays_the_same(Behaviour::Varied(variation));
    }
}

#[test]
fn what_would_change_is_told() {
    let mut record = run::against(Behaviour::Plain, &["push/applied", "push/stale-is-a-conflict"]);
    record.cases[0].verdict = Verdict::Fail;
    record.cases[1].checks[0].verdict = Verdict::NotApplicable;
    let mut gone = record.cases[0].clone();
    gone.id = "push/of-old".to_owned();
    record.cases.push(gone);
    let again = again(&record);
    assert!(!again.is_the_same());
    assert_eq!(again.unknown, ["push/of-old"]);
    let text = rejudged_text(&again, &View::default());
    for part in [
        "note: push/of-old is not in the suite any more",
        "would be fine: 1",
        "push/applied",
        "was fail",
        "checks of cases that stay as they are: 1",
        "was not applicable",
        "changed: 2 cases judged again, still conformant",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn steps_that_a_case_does_not_have_any_more_do_no_harm() {
    let mut record = run::against(Behaviour::Plain, &["push/applied"]);
    for exchange in &mut record.cases[0].exchanges {
        exchange.step = exchange.step.map(|step| step + 40);
    }
    assert!(!again(&record).is_the_same());
}

#[test]
fn cases_of_a_merged_report_are_judged_with_the_keys_that_they_ran_with() {
    let mut record = run::against(Behaviour::Plain, &["removal/in-one-step", "races/removals"]);
    for case in &mut record.cases {
        case.generation.get_or_insert(record.generation);
    }
    record.generation = 9;
    let again = again(&record);
    assert!(again.is_the_same(), "{}", rejudged_text(&again, &View::default()));
    assert_eq!(again.record.cases[0].generation, record.cases[0].generation);
}

#[test]
fn a_record_without_a_usable_seed_is_refused() {
    let mut record = run::against(Behaviour::Plain, &["push/applied"]);
    record.seed = "beef".to_owned();
    let error = rejudge(&record, &SUITE).unwrap_err();
    assert!(error.starts_with("the seed cannot be read"), "{error}");
}

/// Reports that were written before records said their protocol.
#[test]
fn reports_of_the_first_format_load_show_differ_and_are_judged_the_same() {
    let report = |name: &str| files::path(&format!("tests/fixtures/format-1/{name}.json"));
    let [conformant, stale] = ["conformant", "stale-push-applied"].map(report);
    for (report, said) in [(&conformant, "conformant: "), (&stale, "AVP-6-07")] {
        let path = report.to_str().unwrap();
        let (code, out, err) = ran(&["rejudge", path]);
        assert!(code == 0 && out.contains("no change"), "{path}: {out}{err}");
        let (code, out, err) = ran(&["show", path]);
        assert!(
            code == 0 && out.contains(said) && out.contains("AVP 0.4"),
            "{path}: {out}{err}"
        );
    }
    let (code, out, err) = ran(&["diff", conformant.to_str().unwrap(), stale.to_str().unwrap()]);
    assert!(
        code == 0 && out.contains("FAIL     push/stale-is-a-conflict"),
        "{out}{err}"
    );
}
