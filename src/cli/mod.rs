//! The command line: arguments, configuration, one file per command, the terminal, errors and exit codes.

pub mod arguments;
pub mod command;
pub mod config;
pub mod console;
pub mod error;
pub mod exit;
