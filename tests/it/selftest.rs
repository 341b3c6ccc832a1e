//! The self-test: a part of it for real, and the published matrix held against the suite and the server as they are.

use std::sync::Arc;

use avp_conform::avp::AVP;
use avp_conform::avp::server::{faults, variations};
use avp_conform::case::Source;
use avp_conform::selftest::{
    self, Matrix, MutantStatus, PUBLISHED_JSON, PUBLISHED_MARKDOWN, Selftest, SelftestOutcome, Settings,
};
use avp_conform::serve::{Behaviour, CANARY};

use crate::support::program::ran;
use crate::support::servers::{fault, variation};
use crate::support::suite::ALL;

const REMEDY: &str = "the published matrix is out of date: run `cargo run --release -- selftest --accept`";

/// A few servers of every kind: enough to see that the self-test sees.
const FAULTS: [&str; 5] = [
    CANARY,
    "push-ignores-expected",
    "errors-as-text",
    "open-pull",
    "pull-unchanged-with-envelope",
];

fn published() -> &'static Matrix {
    selftest::published().expect("the published matrix can be read")
}

#[test]
fn a_few_faults_are_caught_and_conformant_servers_are_not() {
    let varied = ["null-envelope", "chunked"].map(variation);
    let faulty = FAULTS.map(fault);
    let behaviours: Vec<Behaviour> = std::iter::once(Behaviour::Plain)
        .chain(varied)
        .chain(faulty)
        .collect();
    let bench = Selftest::new(Arc::clone(&ALL), Settings::default()).expect("a server starts");
    let bench = Arc::new(bench);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let observations = runtime
        .block_on(selftest::observe(Arc::clone(&bench), &behaviours, |_| {}))
        .expect("every run comes to an end");
    let matrix = Matrix::of(bench.suite(), bench.selected(), &observations, false);
    let shown = selftest::text(&matrix, avp_conform::report::paint::Paint::default());
    assert!(matrix.plain.green && matrix.canary, "{shown}");
    assert_eq!(
        matrix.false_alarms().count() + matrix.survivors().count(),
        0,
        "{shown}"
    );
    assert_eq!(matrix.standing, SelftestOutcome::Sound, "{shown}");
}

/// A case that is wrong about servers that use one freedom, among them one that shares its server with another.
#[test]
fn of_variations_that_share_a_server_the_right_one_is_named() {
    const WRONG: &str = "about = 'x'\n[[case]]\nid = 'wrong/step'\ntitle = 'x'\nchecks = ['AVP-6-09']\n\
                         kills = ['canary']\nrepo = {}\n[[case.step]]\npull = {}\nanswer = 'unchanged'\n\
                         [[case.step]]\npush = { version = 'current+3' }\nanswer = 'granted'\n";
    let source = Source {
        name: "wrong.toml".to_owned(),
        text: WRONG.to_owned(),
    };
    let wrong = (AVP.load)(vec![source]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let varied = ["null-envelope", "long-nonces", "strict-steps", "chunked"].map(variation);
    let bench = Selftest::new(Arc::new(wrong), Settings::default()).expect("a server starts");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let observations = runtime
        .block_on(selftest::observe(Arc::new(bench), &varied, |_| {}))
        .expect("every run comes to an end");
    let seen = observations.iter().map(|observation| {
        assert!(observation.fired > 0, "{observation:?}");
        let blamed = !observation.broken.is_empty();
        (observation.behaviour.name().unwrap_or_default(), blamed)
    });
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            ("null-envelope", false),
            ("long-nonces", false),
            ("strict-steps", true),
            ("chunked", false)
        ]
    );
}

#[test]
fn the_published_matrix_is_that_of_this_suite_and_this_server() {
    let matrix = published();
    assert_eq!(matrix.suite, ALL.hash, "{REMEDY}");
    let row = |name: &str, breaks: &str, level| format!("{name} {breaks} {level}");
    let known = faults()
        .iter()
        .map(|fault| row(fault.name, &fault.breaks.join(" "), fault.level));
    let shown = matrix
        .faults
        .iter()
        .map(|fault| row(&fault.name, &fault.breaks.join(" "), fault.level));
    assert_eq!(shown.collect::<Vec<_>>(), known.collect::<Vec<_>>(), "{REMEDY}");
    let known = variations().iter().map(|variation| variation.name);
    let shown = matrix.variations.iter().map(|variation| variation.name.as_str());
    assert_eq!(shown.collect::<Vec<_>>(), known.collect::<Vec<_>>(), "{REMEDY}");
}

#[test]
fn the_published_files_are_written_by_the_program() {
    assert_eq!(selftest::json(published()), PUBLISHED_JSON, "{REMEDY}");
    assert_eq!(selftest::markdown(published()), PUBLISHED_MARKDOWN, "{REMEDY}");
    assert_eq!(selftest::kill_rate(&ALL.hash), Some(published().kill_rate));
    assert_eq!(selftest::kill_rate("another suite"), None);
}

#[test]
fn nothing_survives_and_every_requirement_is_proven() {
    let matrix = published();
    assert!(matrix.plain.green && matrix.canary);
    assert!(matrix.faults.iter().all(|row| row.fate == MutantStatus::Killed));
    assert_eq!(
        (matrix.must.of, matrix.should.of),
        (matrix.must.killed, matrix.should.killed)
    );
    assert_eq!(matrix.false_alarms().count(), 0);
    assert_eq!(matrix.unproven.requirements, [""; 0]);
    assert_eq!(matrix.unproven.cases, [""; 0]);
    assert_eq!(matrix.unproven.checks, [""; 0]);
    assert_eq!(matrix.standing, SelftestOutcome::Sound);
}

/// What `selftest --full --accept` published: every fault that there is, with what it breaks.
#[test]
fn what_is_published_of_blame_speaks_of_every_fault() {
    for fault in faults() {
        let row = format!("| `{}` | {} |", fault.name, fault.breaks.join(", "));
        assert!(
            include_str!("../../reports/blame.md").contains(&row),
            "reports/blame.md has no row {row}: run `cargo run --release -- selftest --full --accept`"
        );
    }
}

#[test]
fn the_readme_quotes_the_figures() {
    let matrix = published();
    let readme: String = include_str!("../../README.md")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let figures = [
        format!("catches {} of {} faults", matrix.must.killed, matrix.must.of),
        format!(
            "{} of {} that break a *should*",
            matrix.should.killed, matrix.should.of
        ),
        format!(
            "blames {} of {} variations",
            matrix.false_alarms().count(),
            matrix.variations.len()
        ),
    ];
    for figure in figures {
        assert!(readme.contains(&figure), "the README does not say {figure:?}");
    }
}

#[test]
fn only_json_and_markdown_can_be_written() {
    let (code, _, err) = ran(&["selftest", "--report", "junit=-"]);
    assert_eq!(code, 2, "{err}");
}
