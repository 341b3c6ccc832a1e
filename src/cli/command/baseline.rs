//! Brings a list of known failures up to date with a report.

use std::fs;

use crate::cli::arguments::{BaselineArgs, BaselineCommand, BaselineUpdateArgs};
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::record::Known;
use crate::record::baseline::{Baseline, Change, update};
use crate::report::{Input, write_whole};
use crate::text::{count, visible};

pub(super) fn baseline(args: &BaselineArgs) -> Result<u8, Error> {
    match &args.command {
        BaselineCommand::Update(args) => bring_up_to_date(args),
    }
}

fn bring_up_to_date(args: &BaselineUpdateArgs) -> Result<u8, Error> {
    let path = &args.baseline;
    let mut inputs = config::case_files(&args.cases)?;
    inputs.push(Input::new("the report", &args.record));
    if let Some(input) = inputs.iter().find(|input| input.is(path)) {
        let path = path.display();
        return Err(Error::Usage(format!(
            "the list {path} is {}, and would be overwritten",
            input.what
        )));
    }
    let record = config::load_record(&args.record)?;
    let suite = config::load_suite(config::protocol_of(&record)?, &args.cases)?;
    let (list, before) = match path.exists() {
        true => {
            let list = config::read_baseline(path)?;
            let text = fs::read_to_string(path);
            (
                list,
                text.map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))?,
            )
        }
        false => (
            Baseline::empty(path),
            "# Failures that are known: each with a reason, and gone from here when it is mended.\n\n"
                .to_owned(),
        ),
    };
    let fresh = Known {
        reason: args.reason.clone(),
        issue: args.issue.clone(),
    };
    let (after, changes) = update(&list, &before, &record, &suite, &fresh)
        .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
    if after != before || !path.exists() {
        write_whole(path, after.as_bytes())?;
    }
    for change in &changes {
        console::out(&match change {
            Change::Added(what) => format!("added    {}\n", visible(what)),
            Change::Removed(what, why) => format!("removed  {}: {why}\n", visible(what)),
            Change::Narrowed(what, parts) => {
                format!("narrowed {}: {parts} of it are seen no more\n", visible(what))
            }
            Change::Expired(what, why) => format!(
                "kept     {}: {why} and still fails; mend it, or decide on another date\n",
                visible(what)
            ),
        })?;
    }
    let expired = changes
        .iter()
        .filter(|it| matches!(it, Change::Expired(..)))
        .count();
    console::out(&match (changes.len() - expired, expired) {
        (0, 0) => format!("{} is up to date\n", path.display()),
        (number, _) => format!("{}: {}\n", path.display(), count(number, "change")),
    })?;
    Ok(match expired {
        0 => exit::OK,
        _ => exit::STALE,
    })
}
