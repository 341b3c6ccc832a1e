//! What a reference server tells of its work: a line for each request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::text::visible_cut;

/// Takes a line of the log, without a line end.
pub type LogLine = fn(&str);

/// The longest path that is written, characters.
const LONGEST_PATH: usize = 200;

/// A log of one server.
#[derive(Debug)]
pub struct Log {
    write: LogLine,
    /// The deviations of the server, each with how often it had taken effect when the last line was written.
    deviations: Mutex<BTreeMap<&'static str, u64>>,
}

impl Log {
    /// A log of a server with these deviations.
    pub fn new(write: LogLine, deviations: &[&'static str]) -> Log {
        Log {
            write,
            deviations: Mutex::new(deviations.iter().map(|name| (*name, 0)).collect()),
        }
    }

    /// Writes that a request was answered so, and which deviations took effect since the line before:
    /// `POST /v1/repos/kYx/push 200 (push-ignores-expected)`. Where requests are served side by side it may have been the other.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        answered: &dyn fmt::Display,
        fired: &dyn Fn(&str) -> u64,
    ) {
        let mut deviations = self.deviations.lock().unwrap_or_else(PoisonError::into_inner);
        let mut took_effect = Vec::new();
        for (name, before) in &mut *deviations {
            let now = fired(name);
            if now > *before {
                took_effect.push(*name);
            }
            *before = now;
        }
        let request = format!(
            "{} {} {answered}",
            visible_cut(method, LONGEST_PATH),
            visible_cut(path, LONGEST_PATH)
        );
        match took_effect.is_empty() {
            true => (self.write)(&request),
            false => (self.write)(&format!("{request} ({})", took_effect.join(", "))),
        }
    }
}
