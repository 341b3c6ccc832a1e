//! Checks case files.

use std::fs;
use std::path::PathBuf;

use super::coverage;
use crate::case::{Source, embedded_sources, read_directory};
use crate::cli::LintArgs;
use crate::error::Error;
use crate::{config, console, exit};

pub(super) fn lint(args: &LintArgs) -> Result<u8, Error> {
    let built_in = args.paths.is_empty();
    let sources = if built_in {
        embedded_sources()
    } else {
        read(&args.paths)?
    };
    let files = sources.len();
    let suite = config::load(sources)?;
    // Only the whole suite can be asked to leave no requirement out.
    if built_in && let Some(gap) = coverage::rows(&suite).iter().find(|row| row.is_gap()) {
        let requirement = gap.requirement;
        return Err(Error::Cases(format!(
            "no case checks {} ({}): {}",
            requirement.id, requirement.level, requirement.text
        )));
    }
    let (cases, files) = (
        crate::style::count(suite.cases.len(), "case"),
        crate::style::count(files, "file"),
    );
    console::out(&format!("{cases} in {files}, no problems\n"))?;
    Ok(exit::OK)
}

fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Error> {
    let mut sources = Vec::new();
    for path in paths {
        let cannot = |error: std::io::Error| Error::Usage(format!("cannot read {}: {error}", path.display()));
        if path.is_dir() {
            sources.extend(read_directory(path).map_err(cannot)?);
        } else {
            sources.push(Source {
                name: path.display().to_string(),
                text: fs::read_to_string(path).map_err(cannot)?,
            });
        }
    }
    match sources.is_empty() {
        true => Err(Error::Usage("there is no *.toml to check".to_owned())),
        false => Ok(sources),
    }
}
