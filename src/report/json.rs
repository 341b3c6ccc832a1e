//! The complete record as JSON: a line per check and exchange, so that it can be searched, compared and stored.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::record::Record;
use crate::text::is_hidden;

/// Levels that are laid out over several lines: the record, its cases, and the lists of checks and exchanges in them.
const OPEN_LEVELS: usize = 4;

/// The record as JSON.
pub(super) fn render(record: &Record) -> Vec<u8> {
    write(record)
}

/// Any value in the layout of the record.
pub(super) fn write(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Layout::default());
    if let Err(error) = value.serialize(&mut serializer) {
        // Plain data in memory has no way to fail; what is not a record is at least seen not to be one.
        out = format!("the record cannot be written: {error}").into_bytes();
    }
    out.push(b'\n');
    out
}

/// Pretty above [`OPEN_LEVELS`], one line below it, and no character that a terminal would obey.
#[derive(Default)]
struct Layout {
    depth: usize,
    pretty: PrettyFormatter<'static>,
}

impl Layout {
    fn is_open(&self) -> bool {
        self.depth <= OPEN_LEVELS
    }

    fn enter<W: ?Sized + Write>(&mut self, writer: &mut W, object: bool) -> io::Result<()> {
        self.depth += 1;
        match (self.is_open(), object) {
            (true, true) => self.pretty.begin_object(writer),
            (true, false) => self.pretty.begin_array(writer),
            (false, true) => CompactFormatter.begin_object(writer),
            (false, false) => CompactFormatter.begin_array(writer),
        }
    }

    fn leave<W: ?Sized + Write>(&mut self, writer: &mut W, object: bool) -> io::Result<()> {
        let open = self.is_open();
        self.depth -= 1;
        match (open, object) {
            (true, true) => self.pretty.end_object(writer),
            (true, false) => self.pretty.end_array(writer),
            (false, true) => CompactFormatter.end_object(writer),
            (false, false) => CompactFormatter.end_array(writer),
        }
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter(writer, false)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.leave(writer, false)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter(writer, true)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.leave(writer, true)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if self.is_open() {
            return self.pretty.begin_array_value(writer, first);
        }
        CompactFormatter.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_array_value(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if self.is_open() {
            return self.pretty.begin_object_key(writer, first);
        }
        CompactFormatter.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.is_open() {
            return self.pretty.begin_object_value(writer);
        }
        CompactFormatter.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(writer)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, character)| is_hidden(*character)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hidden.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}
