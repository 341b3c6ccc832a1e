//! Explains a case, a requirement or a fault.

use std::fmt::Write as _;

use crate::avp::cases::{LoadedCase, Suite};
use crate::avp::judge;
use crate::avp::server::{Fault, faults, find_fault};
use crate::case::{nearest, selection};
use crate::catalogue::{Requirement, catalogue, section_title};
use crate::cli::arguments::ExplainArgs;
use crate::cli::error::Error;
use crate::cli::{config, console, exit};

pub(super) fn explain(args: &ExplainArgs) -> Result<u8, Error> {
    let suite = config::load_suite(&args.cases)?;
    let id = args.id.as_str();
    let text = if let Some(case) = suite.get(id) {
        about_case(case)
    } else if let Some(requirement) = catalogue().get(id) {
        about_requirement(requirement, &suite)
    } else if let Some(fault) = find_fault(id) {
        about_fault(fault, &suite)
    } else {
        return Err(unknown(id, &suite));
    };
    console::out(&text)?;
    Ok(exit::OK)
}

fn unknown(id: &str, suite: &Suite) -> Error {
    if suite.cases.iter().any(|case| case.topic() == id) {
        return Error::Usage(format!(
            "{id:?} is a topic; `avp-conform list --filter {id}` lists its cases"
        ));
    }
    let cases = suite.cases.iter().map(LoadedCase::id);
    let requirements = catalogue().iter().map(|requirement| requirement.id.as_str());
    let names = faults().iter().map(|fault| fault.name);
    let near = nearest(id, cases.chain(requirements).chain(names));
    let near = near
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default();
    Error::Usage(format!("{id:?} is no case, requirement or fault{near}"))
}

fn about_case(case: &LoadedCase) -> String {
    let mut text = format!("{}\n{}\n", case.id(), case.case.title);
    if let Some(why) = &case.case.why {
        let _ = write!(text, "\n{}\n", why.trim());
    }
    text.push_str("\nVerifies:\n");
    for id in selection::requirements(case) {
        if let Some(requirement) = catalogue().get(id) {
            let _ = writeln!(text, "  {id:11} {:6} {}", requirement.level, requirement.text);
        }
    }
    if !case.case.kills.is_empty() {
        text.push_str("\nCatches these faults of the reference server:\n");
        for name in &case.case.kills {
            let about = find_fault(name.get_ref())
                .map(|fault| fault.about)
                .unwrap_or_default();
            let _ = writeln!(text, "  {:36} {about}", name.get_ref());
        }
    }
    if let Some(power) = &case.case.power {
        let _ = write!(text, "\nHow sure it is: {}\n", power.trim());
    }
    let _ = write!(text, "\n{}:{}\n{}", case.source.name, case.line, source_of(case));
    let _ = write!(text, "\nRun it: avp-conform --filter '{}'\n", case.id());
    text
}

/// The case as it stands in its file: from its header to the next one's.
fn source_of(case: &LoadedCase) -> String {
    let text = &case.source.text;
    let start = text[..case.span.start]
        .rfind("[[case]]")
        .unwrap_or(case.span.start);
    let rest = &text[start..];
    let end = rest[1..].find("[[case]]").map_or(rest.len(), |at| at + 1);
    rest[..end]
        .trim_end()
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect()
}

fn about_requirement(requirement: &Requirement, suite: &Suite) -> String {
    let section = requirement.section();
    let title = section_title(section).unwrap_or_default();
    let mut text = format!(
        "{} ({}, since {})\nSection {section}: {title}\n\n{}\n",
        requirement.id, requirement.level, requirement.since, requirement.text
    );
    if let Some(why) = &requirement.unobservable {
        let _ = write!(text, "\nNot observable from outside: {why}\n");
    }
    if judge::STANDING_REQUIREMENTS.contains(&requirement.id.as_str()) {
        text.push_str("\nChecked on every exchange of every case.\n");
    }
    let named: Vec<&LoadedCase> = suite
        .cases
        .iter()
        .filter(|case| selection::requirements(case).contains(&requirement.id.as_str()))
        .collect();
    if !named.is_empty() {
        text.push_str("\nVerified by:\n");
        for case in named {
            let _ = writeln!(text, "  {:44} {}", case.id(), case.case.title);
        }
    }
    let broken: Vec<&Fault> = faults()
        .iter()
        .filter(|fault| fault.breaks.contains(&requirement.id.as_str()))
        .collect();
    if !broken.is_empty() {
        text.push_str("\nFaults of the reference server that break it:\n");
        for fault in broken {
            let _ = writeln!(text, "  {:44} {}", fault.name, fault.about);
        }
    }
    text
}

fn about_fault(fault: &Fault, suite: &Suite) -> String {
    let mut text = format!(
        "{} (breaks {}, {})\n{}\n",
        fault.name,
        fault.breaks.join(" and "),
        fault.level,
        fault.about
    );
    let _ = write!(
        text,
        "\nWhat a user notices: {}\nHow to mend it: {}\n",
        fault.notice, fault.fix
    );
    let killers = suite
        .cases
        .iter()
        .filter(|case| case.case.kills.iter().any(|kill| kill.get_ref() == fault.name));
    let killers: Vec<&str> = killers.map(LoadedCase::id).collect();
    if !killers.is_empty() {
        let _ = write!(text, "\nCaught by:\n  {}\n", killers.join("\n  "));
    }
    let _ = write!(text, "\nTry it: avp-conform serve --fault {}\n", fault.name);
    text
}
