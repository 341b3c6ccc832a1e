//! What other programs want to know of the command line: completions of shells, and the manual page.

use clap::CommandFactory as _;

use crate::cli::arguments::{Cli, CompletionsArgs};
use crate::cli::error::Error;
use crate::cli::{console, exit};

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8, Error> {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "avp-conform", &mut script);
    console::out(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}

/// The page of the program, and after it those of its sub-commands.
pub(super) fn man() -> Result<u8, Error> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let unwritable = |error: std::io::Error| Error::Usage(format!("cannot write the manual page: {error}"));
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(unwritable)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("avp-conform {}", sub.get_name());
        let man = clap_mangen::Man::new(sub.clone().bin_name(name));
        man.render_name_section(&mut page).map_err(unwritable)?;
        man.render_synopsis_section(&mut page).map_err(unwritable)?;
        man.render_options_section(&mut page).map_err(unwritable)?;
    }
    console::out(&String::from_utf8_lossy(&page))?;
    Ok(exit::OK)
}
