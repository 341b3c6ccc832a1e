//! Cases: what the files say, read and checked.
//!
//! [`model`] is the file format, [`load`] reads files into [`LoadedCases`], [`lint`] finds what is wrong with cases that can be
//! read. Nothing here talks to a server.

mod action;
mod heads;
mod json;
pub mod lint;
mod load;
mod mistakes;
pub mod model;
mod words;

pub use action::Action;
pub use heads::{http_alone, rules};
pub use json::to_json;
pub use load::{LoadedCase, LoadedCases, embedded_sources};
pub use words::{Counter, ExpectedAnswer, Forgery, NonceSource, OneOrMany, TokenForm};
