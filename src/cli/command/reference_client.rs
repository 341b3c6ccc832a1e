//! The reference client: one walk, or commands of somebody else.

use std::io::{BufRead as _, Read as _};
use std::sync::Arc;

use super::serve::{habits, list_of_faults, list_of_variations};
use crate::cli::arguments::{AdapterArgs, HabitArgs, WalkArgs};
use crate::cli::error::Error;
use crate::cli::{console, exit};
use crate::protocols::reference_client::adapter::Adapter;
use crate::protocols::reference_client::walk::{Ended, Options};
use crate::protocols::reference_client::{FAULTS, Habits, VARIATIONS, walk as walking};
use crate::text::visible;

/// A longer line is no command.
const LONGEST_LINE_BYTES: u64 = 16 << 20;

pub(super) fn walk(args: &WalkArgs) -> Result<u8, Error> {
    let Some(habits) = asked_for(&args.habits)? else {
        return Ok(exit::OK);
    };
    let options = Options {
        server: args.target.clone(),
        authority: args.trust.cacert.clone(),
        members: args.members.into(),
        json: args.json,
        verbose: args.verbose,
        habits,
    };
    let json = args.json;
    let print = move |line: &str| {
        // In JSON nothing from the wire is left to escape.
        let line = match json {
            true => line.to_owned(),
            false => line.lines().map(visible).collect::<Vec<_>>().join("\n"),
        };
        // Whoever does not read on does not want to know.
        let _unread = console::out(&format!("{line}\n"));
    };
    match runtime()?.block_on(walking::walk(&options, Arc::new(print))) {
        Ended::Well => Ok(exit::OK),
        Ended::Badly => Ok(exit::NOT_CONFORMANT),
        Ended::Unanswered => Ok(exit::UNREACHABLE),
        Ended::Unusable => Ok(exit::USAGE),
    }
}

pub(super) fn adapter(args: &AdapterArgs) -> Result<u8, Error> {
    let Some(habits) = asked_for(&args.habits)? else {
        return Ok(exit::OK);
    };
    let runtime = runtime()?;
    let log = Arc::new(|line: &str| console::err(&format!("{line}\n")));
    let mut adapter = Adapter::new(habits, args.trust.cacert.clone(), log);
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = String::new();
        let read = input.by_ref().take(LONGEST_LINE_BYTES).read_line(&mut line);
        match read.map_err(|error| Error::Usage(format!("cannot read standard input: {error}")))? {
            0 => return Ok(exit::OK),
            _ if line.trim().is_empty() => {}
            _ => console::out(&format!("{}\n", runtime.block_on(adapter.answer(&line))))?,
        }
    }
}

/// What was asked for; none where a list was, which is told then.
fn asked_for(args: &HabitArgs) -> Result<Option<Habits>, Error> {
    if args.list_faults {
        console::out(&list_of_faults(FAULTS))?;
        return Ok(None);
    }
    if args.list_variations {
        console::out(&list_of_variations(VARIATIONS))?;
        return Ok(None);
    }
    habits(args.fault.as_slice(), &args.vary, "").map(Some)
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Unreachable(format!("cannot start the client: {error}")))
}
