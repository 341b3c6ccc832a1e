//! Files of the repository that are made by tests: `UPDATE=1` writes them, and a run without it holds them against what is made.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn path(name: &str) -> PathBuf {
    root().join(name)
}

pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Holds a file against what it is to be, or writes it. `tests` names the module whose tests make it.
pub(crate) fn hold(name: &str, wanted: &str, tests: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path(name), wanted).unwrap();
    }
    assert!(
        fs::read_to_string(path(name)).unwrap_or_default() == wanted,
        "{name} is out of step: UPDATE=1 cargo test --test it {tests}"
    );
}
