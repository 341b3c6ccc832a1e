//! What reports look like, seen from outside.

mod hostile;

use std::borrow::Cow;
use std::collections::BTreeSet;

use avp_conform::record::diagnosis;
use avp_conform::record::verdict::Verdict;
use avp_conform::record::{CaseRecord, Record, diff, merge};
use avp_conform::report::{
    Column, Format, Sources, Verbosity, View, diff_text, matrix_html, matrix_markdown, matrix_text, render,
};
use serde_json::Value;

use crate::support::fixture;

fn text(record: &Record, view: &View) -> String {
    String::from_utf8(render(Format::Text, record, view)).unwrap()
}

#[test]
fn text_of_a_conformant_server() {
    insta::assert_snapshot!(text(&fixture::conformant(), &View::default()));
}

/// Advice stands in every report that people read, once, and is no finding.
#[test]
fn advice_is_shown_and_counts_for_nothing() {
    let mut record = fixture::conformant();
    let plain = text(&record, &View::default());
    for case in record.cases.iter_mut().take(3) {
        let mut advice = case.checks[0].clone();
        advice.name = "advice".to_owned();
        advice.verdict = Verdict::NotApplicable;
        advice.got =
            "status 404: clients whose URL library leaves `+` as it is cannot fetch keys here".to_owned();
        case.checks.push(advice);
    }
    let first = record.cases[0].id.clone();
    for format in [Format::Text, Format::Markdown, Format::Html] {
        let shown = String::from_utf8(render(format, &record, &View::default())).unwrap();
        assert_eq!(shown.matches("cannot fetch keys here").count(), 1, "{shown}");
        assert!(shown.contains("and 2 others"), "{shown}");
    }
    let shown = text(&record, &View::default());
    assert!(shown.contains(&format!("({first} and 2 others)")), "{shown}");
    let verdict = |text: &str| text.lines().last().map(str::to_owned);
    assert_eq!(verdict(&shown), verdict(&plain));
}

#[test]
fn text_of_one_failure_fits_a_screen() {
    let mut record = fixture::one_failure();
    record.cases.retain(|case| case.verdict != Verdict::Warn);
    fixture::tally(&mut record);
    let shown = text(
        &record,
        &View {
            width: 80,
            ..View::default()
        },
    );
    assert!(shown.lines().count() <= 24, "{shown}");
    assert!(shown.lines().last().unwrap().starts_with("nonconformant: "));
    insta::assert_snapshot!(shown);
}

#[test]
fn verbose_text_of_one_failure_quotes_the_case_file() {
    let source: String = (1..=100)
        .map(|line| match line {
            91 => "push   = { expected = 1, version = 2 }\n".to_owned(),
            _ => format!("# line {line}\n"),
        })
        .collect();
    let sources = Sources::from([("cases/push.toml".to_owned(), Cow::Owned(source))]);
    let view = View {
        sources,
        verbosity: Verbosity::Verbose,
        ..View::default()
    };
    let shown = text(&fixture::one_failure(), &view);
    let quoted = "       91 | push   = { expected = 1, version = 2 }\n";
    assert!(shown.contains(quoted), "{shown}");
}

#[test]
fn text_of_a_fault_that_shows_everywhere_is_short() {
    let shown = text(
        &fixture::many_grouped(),
        &View {
            width: 80,
            ..View::default()
        },
    );
    assert!(shown.lines().count() < 120, "{shown}");
    let whole = |line: &&str| line.contains("again: ") || line.starts_with("nonconformant: ");
    for line in shown.lines().filter(|line| !whole(line)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn text_of_a_server_that_lets_nobody_in() {
    insta::assert_snapshot!(text(&fixture::blocked(), &View::default()));
}

#[test]
fn quiet_is_one_line() {
    let view = View {
        verbosity: Verbosity::Quiet,
        ..View::default()
    };
    assert_eq!(
        text(&fixture::conformant(), &view),
        "conformant: http://localhost:8787 · 62 of 62 applicable requirements verified, 186 cases, 930 requests, 812 ms (AVP 0.4, seed 5f3a90c1)\n"
    );
}

#[test]
fn verbose_shows_every_requirement_and_the_exchanges_of_failing_cases() {
    let view = View {
        verbosity: Verbosity::Verbose,
        ..View::default()
    };
    insta::assert_snapshot!(text(&fixture::one_failure(), &view));
}

#[test]
fn colours_are_there_only_where_asked_for() {
    let record = fixture::many_grouped();
    let coloured = text(
        &record,
        &View {
            color: true,
            ..View::default()
        },
    );
    let plain = text(&record, &View::default());
    assert!(!plain.contains('\x1b'));
    let mut stripped = String::new();
    for (index, piece) in coloured.split('\x1b').enumerate() {
        let piece = if index == 0 {
            piece
        } else {
            piece.split_once('m').unwrap().1
        };
        stripped.push_str(piece);
    }
    let trim = |text: &str| {
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(trim(&stripped), trim(&plain));
}

#[test]
fn json_is_the_record_and_fits_its_schema() {
    for record in [fixture::conformant(), fixture::many_grouped(), fixture::blocked()] {
        let bytes = render(Format::Json, &record, &View::default());
        assert_eq!(serde_json::from_slice::<Record>(&bytes).unwrap(), record);
        let schema = serde_json::to_value(schemars::schema_for!(Record)).unwrap();
        let value = serde_json::from_slice(&bytes).unwrap();
        jsonschema::validate(&schema, &value).unwrap();
    }
}

#[test]
fn json_has_a_line_per_exchange() {
    let json = String::from_utf8(render(Format::Json, &fixture::conformant(), &View::default())).unwrap();
    let exchanges = json
        .lines()
        .filter(|line| line.trim_start().starts_with("{\"step\":1,\"role\":\"step\""))
        .count();
    assert_eq!(exchanges, 186);
}

/// A few cases of every standing.
fn every_standing() -> Record {
    let mut record = fixture::blocked();
    fixture::spoil(
        fixture::find(&mut record, "login/3-05-by-the-rule"),
        Verdict::Warn,
    );
    let keep = [
        "login/3-09-by",
        "login/3-13-by",
        "login/3-05-by",
        "login/3-01-by",
        "discovery/8-01-by",
        "push/6-01-by",
    ];
    record
        .cases
        .retain(|case| keep.iter().any(|prefix| case.id.starts_with(prefix)));
    fixture::tally(&mut record);
    record
}

fn shown(format: Format, record: &Record) -> String {
    String::from_utf8(render(format, record, &View::default())).unwrap()
}

#[test]
fn junit_of_every_standing() {
    insta::assert_snapshot!(shown(Format::Junit, &every_standing()));
}

#[test]
fn ctrf_of_every_standing() {
    insta::assert_snapshot!(shown(Format::Ctrf, &every_standing()));
}

#[test]
fn tap_of_every_standing() {
    insta::assert_snapshot!(shown(Format::Tap, &every_standing()));
}

#[test]
fn markdown_of_every_standing() {
    insta::assert_snapshot!(shown(Format::Markdown, &every_standing()));
}

#[test]
fn github_of_every_standing() {
    insta::assert_snapshot!(shown(Format::Github, &every_standing()));
}

#[test]
fn badges() {
    let records = [fixture::conformant(), fixture::one_failure(), fixture::blocked()];
    insta::assert_snapshot!(records.map(|record| shown(Format::Badge, &record)).join(""));
    insta::assert_snapshot!(shown(Format::Svg, &fixture::conformant()));
}

#[test]
fn a_strict_run_fails_on_warnings() {
    let mut record = fixture::one_failure();
    record.cases.retain(|case| case.verdict == Verdict::Warn);
    let lenient = shown(Format::Junit, &record);
    assert!(
        !lenient.contains("<failure") && lenient.contains("<system-out>WARN"),
        "{lenient}"
    );
    record.strict = true;
    assert!(shown(Format::Junit, &record).contains("<failure"));
    assert!(shown(Format::Tap, &record).contains("not ok 1"));
}

#[test]
fn sarif_of_every_standing() {
    insta::assert_snapshot!(shown(Format::Sarif, &every_standing()));
}

/// A result's fingerprint hangs on what is wrong, and not on seed, time, or numbers.
#[test]
fn what_is_found_again_has_the_same_fingerprint() {
    let prints = |record: &Record| {
        let sarif: Value = serde_json::from_str(&shown(Format::Sarif, record)).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap().clone();
        let prints = results
            .iter()
            .map(|it| it["partialFingerprints"]["cause/v1"].to_string());
        prints.collect::<Vec<_>>()
    };
    let record = fixture::many_grouped();
    let mut again = record.clone();
    again.seed = "77".to_owned();
    again.duration_ms += 500;
    for check in again.cases.iter_mut().flat_map(|case| &mut case.checks) {
        check.got = check.got.replace('2', "3");
    }
    assert_eq!(prints(&record), prints(&again));
    assert!(prints(&record).len() > 1);
    assert!(prints(&fixture::conformant()).is_empty());
}

#[test]
fn an_http_archive_has_every_exchange() {
    let record = fixture::one_failure();
    let har: Value = serde_json::from_str(&shown(Format::Har, &record)).unwrap();
    let entries = har["log"]["entries"].as_array().unwrap();
    let exchanges = record.cases.iter().flat_map(|case| &case.exchanges);
    assert_eq!(entries.len(), exchanges.count());
    let pages = har["log"]["pages"].as_array().unwrap();
    assert_eq!(pages.len(), record.cases.len());
    let entry = &entries[0];
    let url = entry["request"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://localhost:8787/"), "{url}");
    assert!(entry["response"]["status"].is_u64() && entry["timings"]["wait"].is_number());
}

#[test]
fn no_more_annotations_of_a_kind_than_are_shown() {
    let mut record = fixture::conformant();
    for (index, case) in record.cases.iter_mut().enumerate() {
        fixture::spoil(
            case,
            if index % 2 == 0 {
                Verdict::Fail
            } else {
                Verdict::Warn
            },
        );
        case.checks[1].expected = "x".repeat(index % 15 + 1);
    }
    fixture::tally(&mut record);
    let lines = shown(Format::Github, &record);
    for kind in ["::error ", "::warning "] {
        assert!(
            lines.lines().filter(|line| line.starts_with(kind)).count() <= 10,
            "{lines}"
        );
    }
    assert!(lines.contains("more causes::"), "{lines}");
}

#[test]
fn a_page_of_a_large_failing_run_is_small() {
    let mut record = fixture::many_grouped();
    let mut more = record.cases.clone();
    more.iter_mut().for_each(|case| case.id.push_str("-again"));
    record.cases.extend(more);
    for case in &mut record.cases {
        let once = case.exchanges.clone();
        case.exchanges = once.iter().cycle().take(20).cloned().collect();
        case.checks.extend_from_within(..);
        fixture::spoil(case, Verdict::Fail);
    }
    fixture::tally(&mut record);
    let page = shown(Format::Html, &record);
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("left out to keep the page small"));
}

#[test]
fn a_difference_names_what_changed() {
    let (old, mut new) = (fixture::one_failure(), fixture::many_grouped());
    fixture::find(&mut new, "push/6-08-by-the-rule").checks[1].verdict = Verdict::Pass;
    new.cases.retain(|case| case.topic != "transport");
    fixture::find(&mut new, "codec/2-01-by-the-rule").id = "codec/renamed".into();
    fixture::tally(&mut new);
    let found = diff(&old, &new);
    assert!(found.regressions);
    insta::assert_snapshot!(diff_text(&found, &View::default()));
}

#[test]
fn what_got_better_is_no_regression() {
    let found = diff(&fixture::one_failure(), &fixture::conformant());
    assert!(!found.regressions);
    assert_eq!(found.summary(), "1 case fixed, 1 case otherwise changed");
    let same = diff(&fixture::blocked(), &fixture::blocked());
    assert_eq!((same.summary().as_str(), same.regressions), ("", false));
    assert_eq!(
        diff_text(&same, &View::default()),
        "no regressions: still incomplete: http://localhost:8787\n"
    );
}

/// A record with the cases of which the place leaves a remainder, as a shard would leave it.
fn shard(record: &Record, remainder: usize) -> Record {
    let mut shard = record.clone();
    let mut place = 0;
    shard.cases.retain(|_| {
        place += 1;
        place % 2 == remainder
    });
    shard.filters = vec![format!("shard {remainder}")];
    fixture::tally(&mut shard);
    shard
}

#[test]
fn shards_are_merged_into_the_whole() {
    let mut record = fixture::many_grouped();
    record
        .cases
        .sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    fixture::tally(&mut record);
    let whole = merge(vec![shard(&record, 1), shard(&record, 0)], fixture::tally).unwrap();
    let ids = |record: &Record| {
        record
            .cases
            .iter()
            .map(|case| case.id.clone())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&whole), ids(&record));
    assert_eq!(
        (&whole.requirements, whole.summary, whole.verdict, &whole.filters),
        (&record.requirements, record.summary, record.verdict, &Vec::new(),)
    );
}

#[test]
fn what_is_not_of_one_run_is_not_merged() {
    let record = fixture::conformant();
    let (one, other) = (shard(&record, 0), shard(&record, 1));
    let said = |change: fn(&mut Record)| {
        let mut other = other.clone();
        change(&mut other);
        merge(vec![one.clone(), other], |_| {}).unwrap_err()
    };
    assert_eq!(
        said(|record| record.seed = "00".into()),
        "report 2 has another seed than the first: 00, not 5f3a90c1"
    );
    assert!(said(|record| record.suite.hash.clear()).starts_with("report 2 has another suite"));
    assert!(said(|record| record.spec = avp_conform::avp::V0_2).ends_with("0.2, not 0.4"));
    let twice = merge(vec![one.clone(), one], |_| {}).unwrap_err();
    assert!(twice.ends_with("is in more than one report"), "{twice}");
    assert_eq!(
        merge(Vec::new(), |_| {}).unwrap_err(),
        "there are no reports to merge"
    );
}

/// Breaks the second check of a case: what was expected, and what came.
fn broken<'a>(record: &'a mut Record, id: &str, expected: &str, got: &str) -> &'a mut CaseRecord {
    let case = fixture::find(record, id);
    fixture::spoil(case, Verdict::Fail);
    case.checks[1].expected = expected.to_owned();
    case.checks[1].got = got.to_owned();
    case
}

/// All that there is to say for the terminal.
fn verbose(record: &Record) -> String {
    let view = View {
        verbosity: Verbosity::Verbose,
        ..View::default()
    };
    text(record, &view)
}

/// The lines of a verbose report for the terminal that name each finding.
fn overview(record: &Record) -> Vec<String> {
    let text = verbose(record);
    let lines = text
        .lines()
        .skip_while(|line| !line.ends_with(" cause") && !line.ends_with(" causes"));
    let lines = lines.skip(2).take_while(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn what_differs_in_ids_names_and_numbers_is_one_finding_told_by_the_plainest_case() {
    let mut record = fixture::conformant();
    for (id, got) in [
        ("push/6-07-by-the-rule", "alice is served version 3, not 2"),
        ("push/6-08-by-the-rule", "bob is served version 9, not 8"),
        (
            "push/6-09-by-the-rule",
            "alice is served version 4, not 1 (and 2 more differences)",
        ),
        ("push/6-10-by-the-rule", "alice is served version 5, not 4"),
        ("push/6-11-by-the-rule", "bob is served version 7, not 4"),
        ("push/6-12-by-the-rule", "alice is refused"),
    ] {
        broken(&mut record, id, "the version of the push is served", got).checks[1].requirements =
            vec!["AVP-6-09".to_owned()];
    }
    fixture::find(&mut record, "push/6-07-by-the-rule").checks[1].requirements = vec!["AVP-6-07".to_owned()];
    fixture::find(&mut record, "push/6-08-by-the-rule").checks[0].name = "race".to_owned();
    fixture::find(&mut record, "push/6-09-by-the-rule").exchanges[0].spoiled = Some("half a body".to_owned());
    fixture::find(&mut record, "push/6-10-by-the-rule").exchanges[0].actor = Some("carol".to_owned());
    fixture::tally(&mut record);
    let shown = overview(&record);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(
        shown[0].contains("push/6-11-by-the-rule and 4 others") && shown[0].ends_with("AVP-6-09 AVP-6-07"),
        "{shown:?}"
    );
    assert!(shown[1].contains("push/6-12-by-the-rule  "), "{shown:?}");
    let text = verbose(&record);
    assert!(text.contains("     also: AVP-6-07 (1 case)\n"), "{text}");
}

/// The page begins with what is wrong, and each entry opens its case.
#[test]
fn the_page_says_each_thing_once() {
    let page = shown(Format::Html, &fixture::many_grouped());
    let (_, rest) = page.split_once("<section id=\"causes\">").unwrap();
    let (causes, _) = rest.split_once("</section>").unwrap();
    assert_eq!(causes.matches("<article ").count(), 4, "{causes}");
    assert_eq!(causes.matches("Expected: ").count(), 4, "{causes}");
    assert!(
        causes.contains(
            "<a href=\"#case=push%2F6-01-for-a-second-member\">push/6-01-for-a-second-member</a>, step 2"
        ),
        "{causes}"
    );
    assert!(causes.contains(" and 15 more cases"), "{causes}");
    assert!(!shown(Format::Html, &fixture::conformant()).contains("What is wrong"));
}

#[test]
fn what_is_not_printed_is_counted_and_can_be_asked_for() {
    let mut record = fixture::conformant();
    let ids: Vec<String> = record.cases.iter().map(|case| case.id.clone()).take(20).collect();
    for (index, id) in ids.iter().enumerate() {
        let letter = char::from(b'a' + u8::try_from(index).unwrap());
        broken(&mut record, id, &format!("expected {letter}"), "something else");
    }
    let first = fixture::find(&mut record, &ids[0]);
    for letter in ["v", "w", "x", "y", "z"] {
        let mut more = first.checks[1].clone();
        more.expected = format!("expected {letter}");
        first.checks.push(more);
    }
    fixture::tally(&mut record);
    assert_eq!(overview(&record).len(), 20);
    let normal = text(&record, &View::default());
    assert_eq!(normal.matches("\n expected: expected ").count(), 5);
    let others = normal.matches("\nalso: AVP-").count();
    let said = format!(
        "\n20 failing cases, {} causes: -v lists every finding\n",
        5 + others
    );
    assert!(others > 0 && normal.contains(&said), "{normal}");
    let verbose = verbose(&record);
    assert!(!verbose.contains("-v lists"), "{verbose}");
    // Each cause once, and each finding once.
    assert_eq!(verbose.matches("\n expected: expected ").count(), 5 + others + 25);
}

/// What else a check names is more of the same: neither it nor anything in it is what the sentence is about.
#[test]
fn what_is_marked_is_the_exchange_that_the_sentence_is_about() {
    let mut record = fixture::conformant();
    let id = "push/6-08-by-the-rule";
    let case = broken(
        &mut record,
        id,
        "a conflict",
        "accepted is true (and 1 more like it in this step)",
    );
    let mut later = case.exchanges[3].clone();
    later.actor = Some("carol".to_owned());
    case.exchanges.push(later);
    case.checks[1].exchanges = vec![3, case.exchanges.len() - 1];
    fixture::tally(&mut record);
    let text = text(&record, &View::default());
    assert!(text.contains(" exchange: bob POST"), "{text}");
    assert!(shown(Format::Tap, &record).contains("exchange: \"bob POST"));
    let page = shown(Format::Html, &record);
    assert_eq!(page.matches("class=\"exchange concerned\"").count(), 1);
    assert_eq!(page.matches("<mark>").count(), 1);
    assert!(page.contains("<dt>In</dt><dd>exchange 4</dd>"), "{page}");
}

/// The exchange that decides is shown, however many there are before it.
#[test]
fn the_page_shows_the_deciding_exchange_of_a_long_case() {
    let mut record = fixture::conformant();
    let case = broken(
        &mut record,
        "push/6-08-by-the-rule",
        "a conflict",
        "accepted is true",
    );
    let (early, deciding) = (case.exchanges[0].clone(), case.exchanges[3].clone());
    case.exchanges = vec![early; 300];
    case.exchanges.push(deciding);
    case.checks[1].exchanges = vec![300];
    fixture::tally(&mut record);
    let page = shown(Format::Html, &record);
    assert!(page.contains("<span class=\"number\">301</span>"));
    assert_eq!(page.matches("<mark>").count(), 1);
    assert!(page.contains("241 exchanges left out"));
}

#[test]
fn what_lacks_the_deciding_member_is_marked_in_its_stead() {
    let whole = fixture::one_failure();
    let mut lacking = whole.clone();
    fixture::find(&mut lacking, "push/6-05-by-the-rule").checks[1].pointer = Some("/envelope/iv".to_owned());
    assert_eq!(text(&lacking, &View::default()), text(&whole, &View::default()));
}

/// One word for what nothing showed, wherever people read. The JSON report and what is made for programs keep their values.
#[test]
fn what_nothing_showed_is_called_not_verified_everywhere() {
    let record = every_standing();
    for format in [
        Format::Text,
        Format::Markdown,
        Format::Github,
        Format::Junit,
        Format::Tap,
        Format::Html,
    ] {
        let whole = shown(format, &record);
        let read = match format {
            Format::Html => words_of(&whole),
            _ => whole,
        };
        let lower = read.to_lowercase();
        assert!(lower.contains("not verified"), "{read}");
        for other in ["blocked", "unverified", "unproven"] {
            assert!(!lower.contains(other), "{other} in {read}");
        }
    }
    assert!(shown(Format::Json, &record).contains("\"blocked\""));
}

/// What a reader sees of a page: no style, no script, no tags.
fn words_of(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1;
    let body = body.split_once("<script>").unwrap().0;
    let pieces = body
        .split('<')
        .map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    pieces.collect::<Vec<_>>().join(" ")
}

/// What a cause looks like stands in the column of all that is said of it.
#[test]
fn a_fault_that_does_not_fit_exactly_is_a_resemblance() {
    let mut record = fixture::one_failure();
    let mut causes = diagnosis::causes(&record).into_owned();
    causes[0].like = Some("push-ignores-expected".to_owned());
    record.diagnosis = Some(causes);
    let shown = text(&record, &View::default());
    let said = "\nresembles: the built-in fault `push-ignores-expected`\n";
    assert!(shown.contains(said), "{shown}");
}

/// Two implementations: one that is conformant, and one that breaks a few.
fn columns() -> Vec<Column> {
    let column = |name: &str, record: Record| Column {
        name: name.to_owned(),
        record,
    };
    vec![
        column("oak", fixture::conformant()),
        column("<b>birch|", fixture::one_failure()),
    ]
}

#[test]
fn implementations_stand_side_by_side() {
    let columns = columns();
    insta::assert_snapshot!(matrix_text(&columns, &View::default()));
    let markdown = matrix_markdown(&columns);
    assert!(
        markdown.starts_with("| requirement | oak | &lt;b&gt;birch&#124; |\n"),
        "{markdown}"
    );
    let row = markdown.lines().find(|line| line.contains("AVP-6-08")).unwrap();
    assert!(row.ends_with("| ✅ | ❌ |"), "{row}");
    let page = String::from_utf8(matrix_html(&columns)).unwrap();
    assert!(
        page.contains("&lt;b&gt;birch|") && !page.contains("<b>birch"),
        "{page}"
    );
    assert_eq!(page.matches("<td class=\"fail\">FAIL</td>").count(), 1);
    let all = View {
        verbosity: Verbosity::Verbose,
        ..View::default()
    };
    let rows = |text: String| text.lines().filter(|line| line.starts_with("AVP-")).count();
    assert_eq!(
        rows(matrix_text(&columns, &all)),
        columns[0].record.requirements.len()
    );
}
