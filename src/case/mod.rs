//! Cases: what the files say, read and checked.
//!
//! [`model`] is the file format, [`load`] reads files into a [`Suite`], [`lint`] finds what is wrong with cases that can be
//! read, and [`snippet`] shows a problem at its place in the file. Nothing here talks to a server.

mod action;
mod json;
pub mod lint;
mod load;
mod mistakes;
pub mod model;
pub mod selection;
mod snippet;
mod words;

pub use action::Action;
pub use json::to_json;
pub(crate) use load::toml_problem;
pub use load::{LoadedCase, Source, Suite, embedded_sources, read_path};
pub use snippet::{Problem, render};
pub use words::{Counter, ExpectedAnswer, Forgery, NonceSource, OneOrMany, TokenForm, nearest};
