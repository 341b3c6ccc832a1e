//! `reports/reference.*` are the results of the reference server: written by `UPDATE=1 cargo test --test it published`, and
//! held against a run. Times, seeds and whatever else differs from run to run are not in them.

use std::fmt::Write as _;

use avp_conform::avp::AVP;
use avp_conform::avp::server::find_fault;
use avp_conform::protocols;
use avp_conform::record::Record;
use avp_conform::record::diagnosis::{Fingerprints, Fit};
use avp_conform::record::verdict::Verdict;
use avp_conform::serve::Behaviour;
use serde_json::{Value, json};

use crate::support::files::hold;
use crate::support::run;

fn summary(record: &Record) -> Value {
    let requirement = |it: &avp_conform::record::RequirementRecord| json!({ "id": it.id, "level": it.level, "verdict": it.verdict, "cases": it.cases.len(), "reason": it.reason });
    let case = |it: &avp_conform::record::CaseRecord| json!({ "id": it.id, "verdict": it.verdict, "reason": it.reason });
    json!({
        "tool": record.tool,
        "target": "embedded",
        "spec": record.spec,
        "verdict": record.verdict,
        "summary": record.summary,
        "requirements": record.requirements.iter().map(requirement).collect::<Vec<_>>(),
        "cases": record.cases.iter().map(case).collect::<Vec<_>>(),
    })
}

fn page(record: &Record) -> String {
    let count = |verdict| {
        record
            .requirements
            .iter()
            .filter(|it| it.verdict == verdict)
            .count()
    };
    let mut page = format!(
        "# Results of the reference server\n\n\
         The server that is built into avp-conform {}, under its own suite: **{}** with AVP {}.\n\
         {} cases; of {} requirements {} are verified, {} do not apply, {} are open or broken.\n\n\
         Made by `UPDATE=1 cargo test --test it published`; a test holds it against a run.\n\n\
         | requirement | level | result | cases | rule |\n|---|---|---|--:|---|\n",
        record.tool.version,
        record.verdict,
        record.spec,
        record.cases.len(),
        record.requirements.len(),
        count(Verdict::Pass),
        count(Verdict::NotApplicable),
        record.requirements.len() - count(Verdict::Pass) - count(Verdict::NotApplicable),
    );
    for it in &record.requirements {
        let reason = match (it.verdict, &it.reason) {
            (Verdict::Pass, _) | (_, None) => String::new(),
            (_, Some(reason)) => format!(" ({reason})"),
        };
        _ = writeln!(
            page,
            "| {} | {} | {}{reason} | {} | {} |",
            it.id,
            it.level,
            it.verdict,
            it.cases.len(),
            it.text.replace('|', "\\|")
        );
    }
    let other = record.cases.iter().filter(|case| case.verdict != Verdict::Pass);
    let lines: Vec<String> = other
        .map(|case| {
            let reason = case.reason.clone().unwrap_or_default();
            format!("- {}: {}: {reason}\n", case.id, case.verdict)
        })
        .collect();
    if !lines.is_empty() {
        _ = write!(page, "\n## Cases that did not pass\n\n{}", lines.concat());
    }
    page
}

#[test]
fn the_published_results_are_in_step() {
    let record = run::against(Behaviour::Plain, &[]);
    hold(
        "reports/reference.json",
        &format!("{:#}\n", summary(&record)),
        "published",
    );
    hold("reports/reference.md", &page(&record), "published");
}

/// What a diagnosis goes by was learned of every fault there is, and with cases that the suite still has. Sentences about cases may
/// change without learning anew: they are in no fingerprint.
#[test]
fn fingerprints_are_those_of_this_suite() {
    for protocol in protocols::ALL {
        let learned: Fingerprints = serde_json::from_str(protocol.fingerprints).unwrap();
        // Of a protocol whose faults were not learned yet, causes are told by what was seen.
        if learned.suite.is_empty() {
            continue;
        }
        let suite = (protocol.load)((protocol.sources)()).unwrap();
        let again = "selftest --full --accept makes them anew";
        let gone = learned.cases().iter().find(|id| suite.get(id).is_none());
        assert_eq!(gone, None, "{}: {again}", protocol.name);
        let mut faults: Vec<&str> = (protocol.faults)().iter().map(|fault| fault.name).collect();
        faults.sort_unstable();
        assert_eq!(
            learned.faults().collect::<Vec<_>>(),
            faults,
            "{}: {again}",
            protocol.name
        );
        let silent = faults.iter().filter(|fault| learned.symptoms(fault).is_empty());
        // What two requests have to meet within microseconds for is not seen in every run.
        assert!(silent.count() <= 8, "{}", protocol.name);
    }
}

/// A fault that is run alone is told as what it is, in one cause that fits exactly.
#[test]
fn a_server_with_one_fault_is_told_what_is_wrong_with_it() {
    for name in [
        "push-ignores-expected",
        "open-pull",
        "counters-as-strings",
        "expires-in-seconds",
    ] {
        let fault = find_fault(name).unwrap();
        let mut record = run::against(Behaviour::Faulty(fault), &[]);
        AVP.diagnose(&mut record);
        let causes = record.diagnosis.unwrap();
        let said: Vec<_> = causes
            .iter()
            .map(|it| (it.like.as_deref(), it.fits, it.cause.as_str()))
            .collect();
        assert_eq!(said, [(Some(name), Fit::Exact, fault.about)]);
    }
}
