//! Puts a record where it was asked for: the terminal and files.

use crate::console;
use crate::error::Error;
use crate::record::Record;
use crate::report::{self, Format, Output, Sources, Verbosity, View};

/// Writes every report. The terminal has its own unless one of them goes to standard output.
pub(super) fn deliver(
    record: &Record,
    outputs: Vec<Output>,
    verbosity: Verbosity,
    sources: Sources,
) -> Result<(), Error> {
    let view = View {
        sources,
        ..terminal(verbosity)
    };
    if !outputs.iter().any(Output::is_stdout) {
        let text = report::render(Format::Text, record, &view);
        console::out(&String::from_utf8_lossy(&text));
    }
    let plain = View { color: false, ..view };
    for output in outputs {
        let bytes = report::render(output.format, record, &plain);
        output.write(&bytes)?;
    }
    Ok(())
}

/// The view of this terminal, without case files.
pub(super) fn terminal(verbosity: Verbosity) -> View {
    View {
        color: console::color(),
        width: console::width(),
        verbosity,
        sources: Sources::new(),
    }
}
