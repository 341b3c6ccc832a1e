//! Reports: every output form of a finished run, each a function of its one record.
//!
//! A report reads the [`Record`] and nothing else: no clock, no network, no case files (their source text, for quoting a
//! line, comes in the [`View`]). To add a format, write its file, name it in [`Format`] and in [`render`].

mod destination;
mod excerpt;
mod facts;
mod findings;
mod format;
mod json;
mod junit;
mod locate;
mod text;
mod view;

pub use destination::{Destination, Output, OutputError};
pub use format::Format;
pub use view::{Sources, Verbosity, View};

use crate::record::Record;

/// The record in a format. The view matters to [`Format::Text`] alone.
pub fn render(format: Format, record: &Record, view: &View) -> Vec<u8> {
    match format {
        Format::Text => text::render(record, view).into_bytes(),
        Format::Json => json::render(record),
        Format::Junit => junit::render(record),
        _ => Vec::new(),
    }
}
