//! Lists of known failures: what they make of a run, when they are out of date, and how they are mended.

use std::sync::LazyLock;

use avp_conform::cli::exit;
use avp_conform::record::baseline::{Baseline, Change, update};
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{Known, Record, merge};
use avp_conform::report::{Format, View, render};
use avp_conform::serve::Behaviour;

use crate::support::run;
use crate::support::servers::fault;
use crate::support::suite::SUITE;

const CASES: [&str; 2] = ["authorization/push-without-token", "push/applied"];

/// A server that pushes without a token.
static FAULTY: LazyLock<Record> = LazyLock::new(|| {
    let mut record = run::against(fault("push-without-token"), &CASES);
    record.started = "2026-03-01T00:00:00Z".to_owned();
    // Requirements that two cases leave open are no matter here.
    record.requirements.retain(|it| it.verdict != Verdict::Blocked);
    assert_eq!(record.verdict, RunVerdict::Nonconformant);
    record
});

fn list(text: &str) -> Baseline {
    Baseline::parse("known.toml".to_owned(), text.to_owned()).unwrap()
}

fn applied(record: &Record, text: &str) -> Record {
    let mut record = record.clone();
    list(text).apply(&mut record, &SUITE);
    record
}

/// The exit code, and why entries are out of date.
fn outcome(record: &Record) -> (u8, Vec<String>) {
    let stale = &record.baseline.as_ref().unwrap().out_of_date;
    (
        exit::of(record),
        stale
            .iter()
            .map(|it| format!("{}: {}", it.line, it.reason))
            .collect(),
    )
}

fn entry(what: &str) -> String {
    format!("[[known]]\n{what}\nreason = 'being mended'\nissue = 'https://example.org/7'\n")
}

#[test]
fn a_known_failure_does_not_fail_the_run_and_stays_a_failure() {
    for what in [
        "case = 'authorization/push-without-token'",
        "case = '*/push-without-*'",
        "check = 'AVP-*'",
        "case = 'authorization/*'\ncheck = 'AVP-*'",
    ] {
        let record = applied(&FAULTY, &entry(what));
        assert_eq!(outcome(&record), (exit::OK, vec![]), "{what}");
        assert_eq!(record.verdict, RunVerdict::Nonconformant);
        assert_eq!(record.baseline.as_ref().unwrap().verdict, RunVerdict::Conformant);
        let known = record.cases[0].known.as_ref().unwrap();
        assert_eq!(known.reason, "being mended");
        assert!(record.cases[1].known.is_none());
        assert_eq!(record.cases[0].verdict, Verdict::Fail);
    }
}

#[test]
fn what_is_not_listed_fails_the_run() {
    assert_eq!(outcome(&applied(&FAULTY, "")), (exit::NOT_CONFORMANT, vec![]));
    let one_of_its_checks = applied(&FAULTY, &entry("check = 'AVP-3-10'"));
    let mut other = one_of_its_checks.clone();
    let failing = other.cases[0].checks.iter_mut();
    failing.for_each(|check| check.known = None);
    avp_conform::record::baseline::compare(&mut other);
    assert_eq!(exit::of(&other), exit::NOT_CONFORMANT);
}

#[test]
fn an_entry_that_does_not_fit_is_out_of_date() {
    let mend = entry("case = 'authorization/push-without-token'");
    for (what, why) in [
        ("case = 'push/applied'", "it fails no more"),
        ("check = 'AVP-6-09'", "it fails no more"),
        (
            "case = 'push/aplied'",
            "no case is called that; did you mean \"push/applied\"?",
        ),
        (
            "check = 'AVP-6-99'",
            "no requirement is called that; did you mean \"AVP-6-",
        ),
        (
            "case = 'authorization/push-without-token'\nexpires = '2026-02-28'",
            "it expired on 2026-02-28",
        ),
    ] {
        let record = applied(&FAULTY, &format!("{}\n{mend}", entry(what)));
        let (code, stale) = outcome(&record);
        let whole = why.starts_with("it fails") && what.starts_with("check");
        if whole {
            // A part of the suite does not tell that a requirement holds everywhere.
            assert_eq!((code, stale.len()), (exit::OK, 0), "{what}");
            continue;
        }
        assert_eq!(code, exit::STALE, "{what}: {stale:?}");
        assert!(stale[0].starts_with(&format!("1: {why}")), "{what}: {stale:?}");
        assert_eq!(stale.len(), 1);
    }
    let alone = applied(
        &FAULTY,
        &entry("case = 'authorization/push-without-token'\nexpires = '2026-02-28'"),
    );
    assert_eq!(
        exit::of(&alone),
        exit::NOT_CONFORMANT,
        "what has expired counts again"
    );
    let today = applied(
        &FAULTY,
        &entry("case = 'authorization/push-without-token'\nexpires = '2026-03-01'"),
    );
    assert_eq!(outcome(&today), (exit::OK, vec![]), "the day itself still counts");
}

#[test]
fn an_entry_about_what_did_not_run_is_left_alone() {
    let text = format!(
        "{}\n{}",
        entry("case = 'races/pushes'"),
        entry("case = 'authorization/push-without-token'")
    );
    assert_eq!(outcome(&applied(&FAULTY, &text)), (exit::OK, vec![]));
}

#[test]
fn a_race_that_is_won_once_is_still_known() {
    let text = entry("case = 'races/creates'");
    let record = run::against(Behaviour::Plain, &["races/creates"]);
    let mut found = applied(&record, &text);
    assert_eq!(found.cases[0].verdict, Verdict::Pass);
    let stale = found.baseline.take().unwrap().out_of_date;
    assert!(stale.is_empty(), "{stale:?}");
    let (text, changes) = update(&list(&text), &text, &record, &SUITE, &fresh()).unwrap();
    assert_eq!(text, "");
    assert!(matches!(&changes[..], [Change::Removed(_, why)] if why == "it fails no more"));
}

#[test]
fn every_format_shows_what_is_known() {
    let text = format!(
        "{}\n{}",
        entry("case = 'authorization/push-without-token'"),
        entry("case = 'push/applied'")
    );
    let mut record = applied(&FAULTY, &text);
    record.latency.clear();
    let shown = |format| String::from_utf8(render(format, &record, &View::default())).unwrap();
    for format in [
        Format::Text,
        Format::Json,
        Format::Junit,
        Format::Ctrf,
        Format::Tap,
        Format::Markdown,
        Format::Github,
        Format::Html,
    ] {
        assert!(shown(format).contains("being mended"), "{format}");
    }
    for format in [Format::Text, Format::Markdown, Format::Github, Format::Html] {
        let mend = "avp-conform baseline update --baseline known.toml REPORT.json";
        assert!(shown(format).contains(mend), "{format}");
    }
    let junit = shown(Format::Junit);
    assert!(!junit.contains("<failure"), "{junit}");
    assert!(
        junit.contains("<skipped message=\"known failure: being mended (https://example.org/7)\"/>"),
        "{junit}"
    );
    assert!(shown(Format::Tap).contains("# TODO known failure: being mended"));
    assert!(!shown(Format::Github).contains("::error title=avp-conform"));
    assert!(shown(Format::Html).contains("data-verdict=\"known\""));
    let text = shown(Format::Text);
    assert!(
        text.contains("nonconformant with 1 known failure and nothing new, 1 list entry out of date:"),
        "{text}"
    );
    assert!(!text.contains("FAIL "), "{text}");
    insta::assert_snapshot!(
        text.split_once("known failures:")
            .unwrap()
            .1
            .split_once("note:")
            .unwrap()
            .0
    );
}

#[test]
fn shards_with_a_list_are_merged() {
    let record = applied(&FAULTY, &entry("case = 'authorization/push-without-token'"));
    let part = |index: usize| {
        let mut part = record.clone();
        part.cases = vec![record.cases[index].clone()];
        part
    };
    let whole = merge(vec![part(0), part(1)], |_| {}).unwrap();
    assert_eq!(outcome(&whole), (exit::OK, vec![]));
}

const WRITTEN: &str = "# What we know of.

# Team blue has it.
[[known]]
case = 'authorization/push-without-token' # the big one
reason = 'being mended'
expires = '2026-01-01'

# Gone since spring.
[[known]]
case = 'push/applied'
reason = 'was slow'

[[known]]
case = 'push/aplied'
reason = 'a typing error'
";

fn fresh() -> Known {
    Known {
        reason: "new".to_owned(),
        issue: Some("x#1".to_owned()),
    }
}

#[test]
fn a_list_is_mended_and_keeps_its_comments() {
    let (text, changes) = update(&list(WRITTEN), WRITTEN, &FAULTY, &SUITE, &fresh()).unwrap();
    assert_eq!(
        text,
        "# What we know of.

# Team blue has it.
[[known]]
case = 'authorization/push-without-token' # the big one
reason = 'being mended'
expires = '2026-01-01'
"
    );
    assert!(matches!(
        &changes[..],
        [Change::Expired(..), Change::Removed(..), Change::Removed(..)]
    ));
    assert_eq!(
        outcome(&applied(&FAULTY, &text)).0,
        exit::NOT_CONFORMANT,
        "what has expired is for people to decide"
    );
    let (again, changes) = update(&list(&text), &text, &FAULTY, &SUITE, &fresh()).unwrap();
    assert_eq!(again, text, "a second time changes nothing");
    assert!(matches!(&changes[..], [Change::Expired(..)]));
}

/// The list that a report makes, and what it is then.
fn made_from(record: &Record) -> String {
    let (text, _) = update(&list(""), "", record, &SUITE, &fresh()).unwrap();
    assert_eq!(outcome(&applied(record, &text)), (exit::OK, vec![]), "{text}");
    text
}

fn faulty(name: &str, cases: &[&str]) -> Record {
    let mut record = run::against(fault(name), cases);
    record.requirements.retain(|it| it.verdict != Verdict::Blocked);
    assert_eq!(record.verdict, RunVerdict::Nonconformant);
    record
}

#[test]
fn what_fails_otherwise_in_the_same_case_is_news() {
    let case = ["push/stale-is-a-conflict"];
    let text = made_from(&faulty("push-conflict-409", &case));
    insta::assert_snapshot!(text);
    for other in [
        "push-ignores-expected",
        "push-conflict-412",
        "push-conflict-echoes-expected",
    ] {
        let record = applied(&faulty(other, &case), &text);
        assert_eq!(outcome(&record).0, exit::NOT_CONFORMANT, "{other}");
    }
}

#[test]
fn a_finding_of_every_case_hides_no_other() {
    let text = made_from(&faulty("nonce-short", &CASES));
    insta::assert_snapshot!(text);
    assert_eq!(outcome(&applied(&FAULTY, &text)).0, exit::NOT_CONFORMANT);
}

#[test]
fn what_is_mended_in_part_is_out_of_date() {
    let text = made_from(&FAULTY);
    let more = text.replacen("seen = [", "seen = [\n  { step = 1, look = \"gone\" },", 1);
    let more = more.replacen("seen = [", "seen = [\n  { look = \"schema\" },", 1);
    let (code, stale) = outcome(&applied(&FAULTY, &more));
    assert_eq!(code, exit::STALE);
    assert_eq!(stale, ["1: a part of it fails no more: schema"]);
    let (less, changes) = update(&list(&more), &more, &FAULTY, &SUITE, &fresh()).unwrap();
    assert!(
        matches!(&changes[..], [Change::Narrowed(_, parts)] if parts == "2 parts"),
        "{changes:?}"
    );
    assert_eq!(outcome(&applied(&FAULTY, &less)), (exit::OK, vec![]));
    assert!(!less.contains("gone"), "{less}");
}

#[test]
fn a_report_that_is_incomplete_makes_no_list() {
    let said = |record: &Record| {
        let made = update(&list(""), "", record, &SUITE, &fresh());
        made.unwrap_err().to_string()
    };
    let mut record = FAULTY.clone();
    record.cases[1].verdict = Verdict::Error;
    assert!(said(&record).contains("1 case in error"));
    let mut record = FAULTY.clone();
    record.missing = vec!["2/3".to_owned()];
    assert!(said(&record).contains("shard 2/3 is missing"));
}

#[test]
fn the_form_of_the_file_stays() {
    let written = WRITTEN.replace('\n', "\r\n");
    let written = format!("\u{feff}{written}");
    let (text, _) = update(&list(&written), &written, &FAULTY, &SUITE, &fresh()).unwrap();
    assert!(text.starts_with("\u{feff}# What we know of.\r\n"), "{text:?}");
    assert_eq!(
        text.matches('\n').count(),
        text.matches("\r\n").count(),
        "{text:?}"
    );
    // Line ends of both kinds, odd spaces: what needs no change is left to the byte.
    let odd = "# a\r\n\n[[known]]\r\ncase   = 'authorization/push-without-token'\nreason='x'   \r\n";
    let untouched = update(&list(odd), odd, &FAULTY, &SUITE, &fresh()).unwrap();
    assert_eq!(untouched, (odd.to_owned(), vec![]));
}

#[test]
fn a_list_begins_with_what_fails() {
    let head = "# Known.\n\n";
    let (text, changes) = update(&list(head), head, &FAULTY, &SUITE, &fresh()).unwrap();
    assert!(
        text.starts_with("# Known.\n\n[[known]]\ncase = \"authorization/push-without-token\"\nseen = [\n"),
        "{text}"
    );
    assert!(text.ends_with("]\nreason = \"new\"\nissue = \"x#1\"\n"), "{text}");
    assert_eq!(changes.len(), 1);
    assert_eq!(outcome(&applied(&FAULTY, &text)), (exit::OK, vec![]));
    let mended = run::against(Behaviour::Plain, &CASES);
    let (text, _) = update(&list(&text), &text, &mended, &SUITE, &fresh()).unwrap();
    assert_eq!(text, head);
}
