//! What people wrote and this program reads, from files and from standard input. A byte order mark, with which editors of
//! Windows begin a file, is no text.

use std::io::{self, Read as _};
use std::path::Path;

/// The path that stands for standard input.
pub const STDIN: &str = "-";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path).map(without_mark)
}

/// The text of standard input.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn standard() -> io::Result<String> {
    io::read_to_string(io::stdin().lock().take(MOST)).map(without_mark)
}

/// More than that on standard input is no case file.
const MOST: u64 = 64 << 20;

fn without_mark(text: String) -> String {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}
