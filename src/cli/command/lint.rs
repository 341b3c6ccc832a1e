//! Checks case files.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::coverage;
use crate::case::{Problem, Source};
use crate::cli::arguments::{LintArgs, LintFormat};
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::protocol::{Protocol, Suite};
use crate::report::github;
use crate::text;
use crate::text::{STDIN, count};

pub(super) fn lint(args: &LintArgs) -> Result<u8, Error> {
    let protocol = args.protocol.get();
    let built_in = args.paths.is_empty();
    let given = if built_in {
        (protocol.sources)()
    } else {
        read(args)?
    };
    let texts: Vec<String> = given.iter().map(|source| source.text.clone()).collect();
    let mut sources = if built_in {
        Vec::new()
    } else {
        others(protocol, &given)
    };
    sources.extend(given);
    let is_given = |source: &Source| texts.contains(&source.text);
    match (protocol.load)(sources) {
        Err(problems) => tell(args.format, &problems),
        Ok(suite) => {
            let cases = suite.cases.iter().filter(|case| is_given(&case.source)).count();
            // Only the whole suite can be asked to leave no requirement out.
            if built_in {
                leaves_nothing_out(&suite)?;
            }
            praise(args.format, cases, texts.len())
        }
    }
}

fn leaves_nothing_out(suite: &Suite) -> Result<(), Error> {
    let rows = coverage::rows(suite);
    let Some(gap) = rows.iter().find(|row| row.is_gap()) else {
        return Ok(());
    };
    let requirement = gap.requirement;
    Err(Error::Cases(format!(
        "no case checks {} ({}): {}",
        requirement.id, requirement.level, requirement.text
    )))
}

fn read(args: &LintArgs) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for path in &args.paths {
        if path != Path::new(STDIN) {
            sources.extend(config::read_cases(path)?);
            continue;
        }
        let text = text::read_standard()
            .map_err(|error| Error::Usage(format!("cannot read standard input: {error}")))?;
        sources.push(Source {
            name: STDIN.to_owned(),
            text,
        });
    }
    Ok(sources)
}

/// The built-in case files whose ids are taken where those that are given are run. One that begins as a given one does is
/// that file itself, as it was.
fn others(protocol: &Protocol, given: &[Source]) -> Vec<Source> {
    let about = |source: &Source| {
        source
            .text
            .lines()
            .find(|line| line.starts_with("about"))
            .map(str::to_owned)
    };
    let is_given = |source: &Source| given.iter().any(|other| about(other) == about(source));
    (protocol.sources)()
        .into_iter()
        .filter(|source| !is_given(source))
        .collect()
}

/// Tells all problems. Standard output is for programs, standard error for people.
fn tell(format: LintFormat, problems: &[Problem]) -> Result<u8, Error> {
    match format {
        LintFormat::Text => return Err(Error::Cases(config::counted(problems, "the case files"))),
        LintFormat::Json => console::out(&json(problems))?,
        LintFormat::Github => console::out(&annotations(problems))?,
    }
    Ok(exit::USAGE)
}

fn praise(format: LintFormat, cases: usize, files: usize) -> Result<u8, Error> {
    console::out(&match format {
        LintFormat::Json => json(&[]),
        _ => format!(
            "{} in {}, no problems\n",
            count(cases, "case"),
            count(files, "file")
        ),
    })?;
    Ok(exit::OK)
}

fn json(problems: &[Problem]) -> String {
    let row = |problem: &Problem| {
        let (source, span) = (&problem.source, &problem.span);
        json!({
            "file": source.name,
            "line": source.line_of(span.start),
            "column": source.column_of(span.start),
            "end_line": source.line_of(span.end),
            "end_column": source.column_of(span.end),
            "message": problem.message,
            "help": problem.help,
        })
    };
    let problems: Vec<serde_json::Value> = problems.iter().map(row).collect();
    format!("{:#}\n", json!({ "problems": problems }))
}

fn annotations(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let (source, span) = (&problem.source, &problem.span);
        let help = problem.help.iter().map(|help| format!("\n{help}"));
        let message = problem.message.clone() + &help.collect::<String>();
        _ = writeln!(
            out,
            "::error file={},line={},endLine={},col={},title=avp-conform lint::{}",
            github::property(&source.name),
            source.line_of(span.start),
            source.line_of(span.end),
            source.column_of(span.start),
            github::data(&message)
        );
    }
    out
}
