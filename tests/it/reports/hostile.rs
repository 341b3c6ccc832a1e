//! Every format stays valid, readable and bounded whatever the target sent and whatever a stored report says.

use std::sync::LazyLock;

use avp_conform::http::{Body, Failure, FailureKind, Outcome};
use avp_conform::record::Record;
use avp_conform::record::verdict::Verdict;
use avp_conform::report::{Format, Verbosity, View, render};
use avp_conform::text::is_hidden;
use quick_xml::events::Event;

use crate::support::fixture;

/// What breaks naive reports: controls, escapes, ends of containers, directives, directions, line ends.
const NASTY: &str = "\0\x07\x1b[31m\x1b]0;title\x07\u{9b}2J ]]> <![CDATA[ </script><script>alert(1)</script> </pre></style> --> \
    \u{2028}\u{2029}\u{202e}evil\u{2066}\u{200b}\u{feff}\u{fffe} \"'`| # SKIP # TODO \\ %0A :: , \r\nok 1 - forged\n::error::forged\n\
    ...\n---\nBail out! <img src=x onerror=alert(1)> &amp; &#0; $(id) @everyone \u{e0041}\u{7f}";
const MEGABYTE: usize = 1 << 20;

static HOSTILE: LazyLock<Record> = LazyLock::new(hostile);

/// A record of which every text is hostile.
fn hostile() -> Record {
    let mut record = fixture::many_grouped();
    for (index, case) in record.cases.iter_mut().enumerate() {
        if index % 3 == 0 {
            fixture::spoil(
                case,
                if index % 2 == 0 {
                    Verdict::Fail
                } else {
                    Verdict::Warn
                },
            );
        }
        for check in &mut case.checks {
            check.got = format!("{index} {NASTY}");
            check.expected = format!("{} {NASTY}", index % 50);
            check.hint = Some(NASTY.into());
        }
        if index % 7 == 0 {
            case.reason = Some(NASTY.into());
            case.checks[0].verdict = Verdict::Blocked;
        }
        case.title.push_str(NASTY);
        for (number, exchange) in case.exchanges.iter_mut().enumerate() {
            exchange.spoiled = Some(NASTY.into());
            exchange.actor = Some(NASTY.into());
            match &mut exchange.outcome {
                Outcome::Answer(answer) => {
                    answer.headers.push(("x-nasty".into(), NASTY.into()));
                    answer.body = body(index + number);
                }
                Outcome::Failure(_) => {}
            }
        }
    }
    large(&mut record);
    record.target = format!("http://localhost/{NASTY}");
    record.notes = vec![NASTY.into()];
    fixture::tally(&mut record);
    record
}

/// Single things that are far too large.
fn large(record: &mut Record) {
    let long = NASTY.repeat(MEGABYTE / NASTY.len());
    let case = &mut record.cases[0];
    case.checks[1].got = long.clone();
    case.checks[1].pointer = Some("/a".repeat(MEGABYTE / 2));
    if let Outcome::Answer(answer) = &mut case.exchanges[3].outcome {
        answer.headers = (0..10_000)
            .map(|number| (format!("x-{number}"), NASTY.to_owned()))
            .collect();
        answer.body = Body::from(vec![0xff; MEGABYTE]);
    }
    record.cases[3].title = long.clone();
    record.cases[6].exchanges[3].request.path = format!("/{long}");
    record.cases[9].exchanges[3].outcome = Outcome::Failure(Failure {
        kind: FailureKind::Malformed,
        message: long.clone(),
        begun: false,
    });
    record.cases[12].reason = Some(long);
}

fn body(number: usize) -> Body {
    match number % 5 {
        0 => Body::from(NASTY),
        1 => Body::from(vec![0, 0xff, 0xfe, 0x1b, b'[', b'm', 0xc3, 0x28]),
        2 => Body::from(format!("{{\"accepted\":{}}}", serde_json::Value::from(NASTY))),
        3 => Body::from("[".repeat(100_000)),
        _ => Body::from(format!("base64:{NASTY}")),
    }
}

fn shown(format: Format) -> String {
    let view = View {
        color: false,
        verbosity: Verbosity::Verbose,
        ..View::default()
    };
    String::from_utf8(render(format, &HOSTILE, &view)).unwrap()
}

#[test]
fn no_format_lets_a_hidden_character_through() {
    for format in Format::ALL {
        let text = shown(format);
        let found = text
            .chars()
            .find(|character| is_hidden(*character) && !matches!(character, '\n' | '\t'));
        assert_eq!(found, None, "{format}");
    }
}

#[test]
fn sizes_are_bounded() {
    // The complete record is as large as what was seen; JUnit, CTRF and the verbose text grow with the cases alone.
    for (format, limit) in [
        (Format::Text, 8 * MEGABYTE),
        (Format::Junit, 4 * MEGABYTE),
        (Format::Ctrf, 4 * MEGABYTE),
        (Format::Tap, 2 * MEGABYTE),
        (Format::Markdown, 65_536),
        (Format::Github, MEGABYTE / 2),
        (Format::Badge, 1000),
        (Format::Svg, 4000),
        (Format::Html, 2_000_000),
        (Format::Sarif, MEGABYTE),
    ] {
        let size = shown(format).len();
        assert!(size <= limit, "{format}: {size}");
    }
}

#[test]
fn json_comes_back_as_it_was() {
    assert_eq!(
        serde_json::from_str::<Record>(&shown(Format::Json)).unwrap(),
        hostile()
    );
    for format in [Format::Ctrf, Format::Badge] {
        serde_json::from_str::<serde_json::Value>(&shown(format)).unwrap();
    }
}

#[test]
fn xml_is_well_formed() {
    for format in [Format::Junit, Format::Svg] {
        let text = shown(format);
        let mut reader = quick_xml::Reader::from_str(&text);
        reader.config_mut().check_end_names = true;
        let mut cases = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(tag) | Event::Empty(tag) => {
                    tag.attributes().for_each(|attribute| drop(attribute.unwrap()));
                    cases += usize::from(tag.name().as_ref() == b"testcase");
                }
                Event::Text(text) => assert!(!text.decode().unwrap().contains("]]>")),
                _ => {}
            }
        }
        assert_eq!(cases, if format == Format::Junit { 186 } else { 0 });
    }
}

#[test]
fn junit_has_at_most_one_outcome_per_case() {
    for case in shown(Format::Junit).split("<testcase ").skip(1) {
        let outcomes = ["<failure", "<error", "<skipped"].map(|tag| case.matches(tag).count());
        assert!(outcomes.iter().sum::<usize>() <= 1, "{outcomes:?}");
    }
}

#[test]
fn tap_lines_are_as_many_as_cases() {
    let text = shown(Format::Tap);
    let points = text
        .lines()
        .filter(|line| line.starts_with("ok ") || line.starts_with("not ok "))
        .count();
    assert_eq!(points, 186);
    for line in text.lines().skip(2) {
        let known = ["ok ", "not ok ", "  ", "# "]
            .iter()
            .any(|start| line.starts_with(start));
        assert!(known && !line.starts_with("Bail out!"), "{line}");
    }
    let forged = |line: &&str| line.contains(" # TODO") || line.matches(" # SKIP").count() > 1;
    assert_eq!(
        text.lines().filter(|line| !line.starts_with(' ')).find(forged),
        None
    );
}

#[test]
fn github_lines_are_ours_alone() {
    let text = shown(Format::Github);
    assert!(text.lines().count() <= 20);
    for line in text.lines() {
        let (properties, _) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
        assert!(
            properties.starts_with("error ") || properties.starts_with("warning "),
            "{line}"
        );
        assert!(properties.matches(',').count() <= 2, "{properties}");
    }
}

#[test]
fn markdown_and_html_obey_nothing() {
    let markdown = shown(Format::Markdown);
    let html = shown(Format::Html);
    for text in [&markdown, &html] {
        for tag in ["<img", "<script>alert", "</style> ", "<![CDATA["] {
            assert!(!text.contains(tag), "{tag}");
        }
    }
    let tags = |text: &str, tag: &str| text.matches(tag).count();
    assert_eq!(
        [
            tags(&html, "<script"),
            tags(&html, "</script"),
            tags(&html, "<style"),
            tags(&html, "</style")
        ],
        [1; 4]
    );
    assert_eq!(tags(&markdown, "<pre>"), tags(&markdown, "</pre>"));
    assert!(html.contains("default-src 'none'") && !html.contains("unsafe-inline"));
}

#[test]
fn the_page_holds_nothing_that_could_load_or_run() {
    let html = shown(Format::Html);
    for attribute in [
        " src=",
        " onclick=",
        " onerror=\"",
        "url(",
        "@import",
        "javascript:",
    ] {
        let text_only = html.replace("onerror=alert(1)", "").replace("src=x", "");
        assert!(!text_only.contains(attribute), "{attribute}");
    }
    assert_eq!(
        html.matches(" style=\"").count(),
        0,
        "inline styles are against the page's own policy"
    );
}

/// The attributes that the schema allows which Jenkins publishes for JUnit files, and `file` for GitLab.
const JUNIT: [(&str, &[&str]); 8] = [
    ("testsuites", &["name", "time", "tests", "failures", "errors"]),
    (
        "testsuite",
        &[
            "name",
            "time",
            "tests",
            "failures",
            "errors",
            "skipped",
            "timestamp",
        ],
    ),
    ("properties", &[]),
    ("property", &["name", "value"]),
    ("testcase", &["name", "time", "classname", "file"]),
    ("failure", &["type", "message"]),
    ("error", &["type", "message"]),
    ("skipped", &["type", "message"]),
];

#[test]
fn junit_has_the_elements_and_attributes_that_readers_know() {
    let text = shown(Format::Junit);
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut names = std::collections::HashSet::new();
    loop {
        let tag = match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => tag,
            _ => continue,
        };
        let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
        let attributes: Vec<_> = tag.attributes().map(|attribute| attribute.unwrap()).collect();
        let known = JUNIT
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, known)| *known);
        for attribute in &attributes {
            let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            assert!(
                known.is_some_and(|known| known.contains(&key.as_str())),
                "{key} on {name}"
            );
        }
        if name == "testcase" {
            let value = |key: &[u8]| {
                attributes
                    .iter()
                    .find(|attribute| attribute.key.as_ref() == key)
                    .unwrap()
                    .value
                    .to_vec()
            };
            assert!(
                names.insert((value(b"classname"), value(b"name"))),
                "names are unique"
            );
        }
    }
}
