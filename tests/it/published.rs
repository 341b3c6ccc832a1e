//! `reports/reference.*` are the results of the reference server: written by `UPDATE=1 cargo test --test it published`, and
//! held against a run. Times, seeds and whatever else differs from run to run are not in them.

use std::fmt::Write as _;

use avp_conform::record::Record;
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
