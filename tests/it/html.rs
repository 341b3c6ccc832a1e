//! The page in a real browser: filter, search and links do what they say.
//!
//! Needs Chromium (`CHROME`, or `chromium`, `chromium-browser`, `google-chrome` on the path); without one the test says so
//! and ends. The fragment of the address carries the state, and the browser prints the document that results.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use avp_conform::record::Record;
use avp_conform::report::{Format, View, render};
use tempfile::TempDir;

use crate::support::fixture;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const OPTIONS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--timeout=20000",
    "--dump-dom",
];

fn browser() -> Option<PathBuf> {
    if let Some(path) = env::var_os("CHROME") {
        return Some(path.into());
    }
    let path = env::var_os("PATH")?;
    let places: Vec<_> = env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| places.iter().map(move |place| place.join(name)))
        .find(|file| file.is_file())
}

/// A page that stays open for as long as it is asked about.
struct Page {
    browser: PathBuf,
    home: TempDir,
}

/// A case as the browser shows it.
#[derive(Debug, PartialEq)]
struct Case {
    id: String,
    verdict: String,
    hidden: bool,
    open: bool,
}

impl Page {
    /// The page of a record; none where there is no browser.
    fn of(record: &Record) -> Option<Page> {
        let Some(browser) = browser() else {
            println!("skipped: no Chromium found; set CHROME, or put one of {NAMES:?} on the path");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        fs::write(
            home.path().join("page.html"),
            render(Format::Html, record, &View::default()),
        )
        .unwrap();
        Some(Page { browser, home })
    }

    /// The document at a fragment.
    fn at(&self, fragment: &str) -> String {
        let profile = tempfile::tempdir_in(self.home.path()).unwrap();
        let output = Command::new(&self.browser)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(address(&self.home.path().join("page.html"), fragment))
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let document = String::from_utf8(output.stdout).unwrap();
        assert!(
            document.contains("class=\"js\""),
            "the script ran: {}",
            document.len()
        );
        document
    }
}

fn address(file: &Path, fragment: &str) -> String {
    format!("file://{}{fragment}", file.display())
}

fn cases(document: &str) -> Vec<Case> {
    let tags = document
        .split("<details class=\"case\"")
        .skip(1)
        .map(|rest| rest.split_once('>').unwrap().0);
    let value = |tag: &str, name: &str| {
        let rest = tag.split_once(&format!("{name}=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.to_owned()
    };
    tags.map(|tag| Case {
        id: value(tag, "data-id"),
        verdict: value(tag, "data-verdict"),
        hidden: tag.contains(" hidden=\"\""),
        open: tag.contains(" open=\"\""),
    })
    .collect()
}

fn visible(document: &str) -> Vec<Case> {
    cases(document).into_iter().filter(|case| !case.hidden).collect()
}

#[test]
fn a_failing_run_opens_on_what_is_wrong() {
    let Some(page) = Page::of(&fixture::one_failure()) else {
        return;
    };
    let document = page.at("");
    let shown = visible(&document);
    assert_eq!(
        shown.iter().map(|case| case.verdict.as_str()).collect::<Vec<_>>(),
        ["fail", "warn"]
    );
    assert!(
        document.contains("2 of 186 cases"),
        "the count says how many are hidden"
    );
}

#[test]
fn search_and_verdicts_narrow_the_list() {
    let Some(page) = Page::of(&fixture::one_failure()) else {
        return;
    };
    let document = page.at("#q=push%20BY-the-rule&verdict=fail");
    assert_eq!(
        visible(&document)
            .iter()
            .map(|case| case.id.as_str())
            .collect::<Vec<_>>(),
        ["push/6-08-by-the-rule"]
    );
    assert!(document.contains(r#"data-chip="fail" aria-pressed="true""#));
    assert!(document.contains(r#"data-chip="pass" aria-pressed="false""#));

    let rule = visible(&page.at("#q=AVP-10-03"));
    assert_eq!(rule.len(), 3, "a requirement finds its cases: {rule:?}");
    assert!(
        rule.iter().all(|case| case.id.starts_with("invariants/10-03")),
        "{rule:?}"
    );

    let nothing = page.at("#q=no-such-thing&verdict=all");
    assert_eq!(visible(&nothing), []);
    assert!(
        !nothing.contains(r#"<p id="none" hidden"#),
        "the page says that nothing is like that"
    );
}

#[test]
fn a_link_opens_its_case() {
    let Some(page) = Page::of(&fixture::one_failure()) else {
        return;
    };
    let open: Vec<_> = cases(&page.at("#case=invariants/10-01-by-the-rule"))
        .into_iter()
        .filter(|case| case.open)
        .collect();
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].id.as_str(), open[0].hidden),
        ("invariants/10-01-by-the-rule", false)
    );
}

#[test]
fn a_conformant_run_shows_every_case() {
    let Some(page) = Page::of(&fixture::conformant()) else {
        return;
    };
    assert_eq!(visible(&page.at("")).len(), 186);
}
