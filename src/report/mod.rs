//! Reports: every output form of a finished run, each a function of its one record.
//!
//! A report reads the [`Record`] and nothing else: no clock, no network, no case files (their source text, for quoting a
//! line, comes in the [`View`]). To add a format, write its file, name it in [`Format`] and in [`render`].

mod badge;
mod ctrf;
mod destination;
mod diff;
mod excerpt;
mod facts;

mod format;
pub(crate) mod github;
mod har;
mod html;
mod ids;
mod json;
mod junit;
mod locate;
mod markdown;
mod matrix;

pub mod paint;
mod rejudged;
mod sarif;
mod tap;
mod text;
mod view;

pub use destination::{Destination, Input, Output, OutputError, write_whole};
pub use diff::diff_text;
pub use format::Format;
pub use matrix::{Column, matrix_html, matrix_markdown, matrix_text};
pub use rejudged::rejudged_text;
pub use view::{Sources, Verbosity, View};

use crate::record::Record;

/// The record in a format. The view matters to [`Format::Text`], its scripts to [`Format::Html`].
pub fn render(format: Format, record: &Record, view: &View) -> Vec<u8> {
    match format {
        Format::Text => text::render(record, view).into_bytes(),
        Format::Json => json::render(record),
        Format::Junit => junit::render(record),
        Format::Ctrf => ctrf::render(record),
        Format::Tap => tap::render(record).into_bytes(),
        Format::Markdown => markdown::render(record).into_bytes(),
        Format::Github => github::render(record).into_bytes(),
        Format::Badge => badge::render(record),
        Format::Svg => badge::svg(record).into_bytes(),
        Format::Html => html::render(record, view),
        Format::Sarif => sarif::render(record),
        Format::Har => har::render(record),
    }
}
