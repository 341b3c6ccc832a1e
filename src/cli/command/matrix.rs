//! Puts the reports of several implementations side by side.

use std::path::{Path, PathBuf};

use super::{claim, output};
use crate::cli::arguments::MatrixArgs;
use crate::cli::error::Error;
use crate::cli::{console, exit};
use crate::record::Record;
use crate::record::sentences::target;
use crate::report::{
    Column, Destination, Format, Input, Output, Verbosity, matrix_html, matrix_markdown, matrix_text,
};

pub(super) fn matrix(args: &MatrixArgs) -> Result<u8, Error> {
    let named: Vec<(Option<&str>, PathBuf)> = args.records.iter().map(|typed| split(typed)).collect();
    let inputs: Vec<Input> = named
        .iter()
        .map(|(_, path)| Input::new("a report to be compared", path))
        .collect();
    if let Some(other) = args
        .report
        .iter()
        .find(|it| !matches!(it.format, Format::Text | Format::Markdown | Format::Html))
    {
        let format = other.format;
        return Err(Error::Usage(format!(
            "a matrix is written as text, markdown or html, not as {format}"
        )));
    }
    let outputs = Destination::open_all(&args.report, &inputs)?;
    let mut columns: Vec<Column> = Vec::new();
    for (name, path) in &named {
        let record = claim::load(path, &args.signed_by, &[])?;
        if let Some(first) = columns
            .first()
            .filter(|first| first.record.protocol.name != record.protocol.name)
        {
            return Err(Error::Usage(format!(
                "{} is a report of another protocol than the first: {}, not {}",
                path.display(),
                record.protocol.name,
                first.record.protocol.name
            )));
        }
        let name = name.map_or_else(|| called(&record, path), str::to_owned);
        columns.push(Column { name, record });
    }
    let view = output::terminal(Verbosity::of(false, args.verbose));
    if !outputs.iter().any(Output::is_stdout) {
        console::out(&matrix_text(&columns, &view))?;
    }
    let plain = crate::report::View { color: false, ..view };
    let failed = outputs.iter().filter_map(|output| {
        let bytes = match output.format {
            Format::Html => matrix_html(&columns),
            Format::Markdown => matrix_markdown(&columns).into_bytes(),
            _ => matrix_text(&columns, &plain).into_bytes(),
        };
        output.write(&bytes).err()
    });
    match failed.map(|error| error.to_string()).collect::<Vec<_>>() {
        none if none.is_empty() => Ok(exit::OK),
        failures => Err(Error::Unwritten(failures)),
    }
}

/// `NAME=REPORT`, or a path alone.
fn split(typed: &str) -> (Option<&str>, PathBuf) {
    match typed.split_once('=') {
        Some((name, path)) if !name.is_empty() && !Path::new(typed).exists() => (Some(name), path.into()),
        _ => (None, typed.into()),
    }
}

/// The name of the file without its ending, which is what people call their implementations by; of the built-in server that.
fn called(record: &Record, path: &Path) -> String {
    let name = path
        .file_stem()
        .map(|name| name.to_string_lossy().trim_end_matches(".json").to_owned());
    name.filter(|name| name != "-").unwrap_or_else(|| target(record))
}
