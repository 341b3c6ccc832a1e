//! Explains a case, a requirement or a fault.

use std::fmt::Write as _;

use crate::case::{CaseHead, nearest};
use crate::catalogue::Requirement;
use crate::cli::arguments::ExplainArgs;
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::protocol::{Protocol, Suite};
use crate::protocols;
use crate::record::Over;
use crate::serve::Fault;

pub(super) fn explain(args: &ExplainArgs) -> Result<u8, Error> {
    let suite = config::load_suite(protocol(args), &args.cases)?;
    let id = args.id.as_str();
    let text = if let Some(case) = suite.get(id) {
        about_case(case, &suite)
    } else if let Some(requirement) = suite.rules.catalogue.get(id) {
        about_requirement(requirement, &suite)
    } else if let Some(fault) = suite.protocol.find_fault(id) {
        about_fault(fault, &suite)
    } else {
        return Err(unknown(id, &suite));
    };
    console::out(&text)?;
    Ok(exit::OK)
}

/// The protocol that is meant: the one whose ids begin as the id does, or the one that is named.
fn protocol(args: &ExplainArgs) -> &'static Protocol {
    let is_its = |protocol: &&&'static Protocol| {
        let prefix = format!("{}-", protocol.catalogue().prefix);
        args.id.to_ascii_uppercase().starts_with(&prefix)
    };
    match args.protocol.protocol {
        None => protocols::ALL.iter().find(is_its).copied(),
        Some(_) => None,
    }
    .unwrap_or_else(|| args.protocol.get())
}

fn unknown(id: &str, suite: &Suite) -> Error {
    if suite.cases.iter().any(|case| case.topic() == id) {
        return Error::Usage(format!(
            "{id:?} is a topic; `avp-conform list --filter {id}` lists its cases"
        ));
    }
    let cases = suite.cases.iter().map(|case| case.id.as_str());
    let requirements = suite
        .rules
        .catalogue
        .iter()
        .map(|requirement| requirement.id.as_str());
    let names = (suite.protocol.faults)().iter().map(|fault| fault.name);
    let near = nearest(id, cases.chain(requirements).chain(names));
    let near = near
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default();
    Error::Usage(format!("{id:?} is no case, requirement or fault{near}"))
}

fn about_case(case: &CaseHead, suite: &Suite) -> String {
    let mut text = format!("{}\n{}\n", case.id, case.title);
    if let Some(why) = &case.why {
        let _ = write!(text, "\n{}\n", why.trim());
    }
    text.push_str("\nVerifies:\n");
    for id in &case.requirements {
        if let Some(requirement) = suite.rules.catalogue.get(id) {
            let _ = writeln!(text, "  {id:11} {:6} {}", requirement.level, requirement.text);
        }
    }
    if suite.protocol.grpc.is_some() {
        let _ = write!(text, "\nRuns over {}\n", transports(case));
    }
    if !case.kills.is_empty() {
        text.push_str("\nCatches these faults of the reference server:\n");
        for name in &case.kills {
            let about = suite
                .protocol
                .find_fault(name)
                .map(|fault| fault.about)
                .unwrap_or_default();
            let _ = writeln!(text, "  {:36} {about}", name);
        }
    }
    if let Some(power) = &case.power {
        let _ = write!(text, "\nHow sure it is: {}\n", power.trim());
    }
    let _ = write!(text, "\n{}:{}\n{}", case.source.name, case.line, source_of(case));
    let _ = write!(text, "\nRun it: avp-conform --filter '{}'\n", case.id);
    text
}

/// Over what a case runs.
fn transports(case: &CaseHead) -> String {
    match (case.over, case.http_alone) {
        (Over::Grpc, _) => "gRPC alone.".to_owned(),
        (Over::Both, _) => "HTTP and gRPC at once, where the target speaks both.".to_owned(),
        (Over::Http, Some(what)) => format!("HTTP alone: it is about {what}."),
        (Over::Http, None) => "HTTP, and over gRPC where the target speaks it.".to_owned(),
    }
}

/// The case as it stands in its file: from its header to the next one's.
fn source_of(case: &CaseHead) -> String {
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
    let title = suite.rules.catalogue.section_title(section).unwrap_or_default();
    let mut text = format!(
        "{} ({}, since {})\nSection {section}: {title}\n\n{}\n",
        requirement.id, requirement.level, requirement.since, requirement.text
    );
    if let Some(why) = &requirement.unobservable {
        let _ = write!(text, "\nNot observable from outside: {why}\n");
    }
    if requirement.everywhere {
        text.push_str("\nChecked on every exchange of every case.\n");
    }
    if requirement.http_only {
        text.push_str("\nHTTP alone has it: it means nothing over gRPC.\n");
    }
    let named: Vec<&CaseHead> = suite
        .cases
        .iter()
        .filter(|case| case.verifies(&requirement.id))
        .collect();
    if !named.is_empty() {
        text.push_str("\nVerified by:\n");
        for case in named {
            let _ = writeln!(text, "  {:44} {}", case.id, case.title);
        }
    }
    let broken: Vec<&Fault> = (suite.protocol.faults)()
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
        .filter(|case| case.kills.iter().any(|kill| kill == fault.name));
    let killers: Vec<&str> = killers.map(|case| case.id.as_str()).collect();
    if !killers.is_empty() {
        let _ = write!(text, "\nCaught by:\n  {}\n", killers.join("\n  "));
    }
    let _ = write!(text, "\nTry it: avp-conform serve --fault {}\n", fault.name);
    text
}
