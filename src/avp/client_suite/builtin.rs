//! The reference client as a client under test: in this process, without a program of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::avp::client::adapter::Adapter as ReferenceAdapter;
use crate::avp::client::walk::{Ended, Options, walk};
use crate::avp::client::{FAULTS, Habits, Log, VARIATIONS};
use crate::serve::{Fault, Reference, ServeOptions, StartError, Variation};
use crate::subject::{Adapter, Silence, Subject, Task, Told, Walked};

/// Nobody is asked there: a client asks. The port is that of the discard protocol.
const NOWHERE: &str = "http://127.0.0.1:9";

/// What it can be told to get wrong.
pub(super) fn faults() -> &'static [Fault] {
    FAULTS
}

/// The freedoms that it can use.
pub(super) fn variations() -> &'static [Variation] {
    VARIATIONS
}

/// The reference client, with what it does otherwise.
#[derive(Debug, Clone)]
struct Builtin(Habits);

/// Gets the reference client ready.
///
/// # Errors
/// None.
pub(super) fn start(options: ServeOptions) -> Result<Box<dyn Reference>, StartError> {
    Ok(Box::new(Builtin(Habits::new(options.deviations()))))
}

impl Reference for Builtin {
    fn url(&self) -> String {
        NOWHERE.to_owned()
    }

    fn fired(&self, name: &str) -> u64 {
        self.0.fired(name)
    }

    fn subject(&self) -> Option<Arc<dyn Subject>> {
        Some(Arc::new(self.clone()))
    }
}

/// Lines that the client writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Lines {
    fn log(&self) -> Log {
        let lines = self.clone();
        Arc::new(move |line: &str| {
            let mut held = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.push_str(line);
            held.push('\n');
        })
    }

    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subject for Builtin {
    fn name(&self) -> String {
        "built-in".to_owned()
    }

    fn walks(&self) -> bool {
        true
    }

    fn obeys(&self) -> bool {
        true
    }

    fn walk<'a>(&'a self, server: &'a Told, limit: Duration) -> Task<'a, Walked> {
        let options = Options {
            server: server.url.clone(),
            authority: server.authority.clone(),
            members: *crate::avp::client::walk::MEMBERS.start(),
            json: false,
            verbose: false,
            habits: self.0.clone(),
        };
        Box::pin(async move {
            let lines = Lines::default();
            let ended = tokio::time::timeout(limit, walk(&options, lines.log())).await;
            let code = match ended {
                Ok(Ended::Well) => Some(0),
                Ok(Ended::Badly) => Some(1),
                Ok(Ended::Unanswered) => Some(3),
                Ok(Ended::Unusable) => Some(2),
                Err(_) => None,
            };
            let how = code.map_or("did not end in time".to_owned(), |code| {
                format!("exited with status {code}")
            });
            Walked {
                code,
                how,
                output: lines.take().into_bytes(),
            }
        })
    }

    fn adapter<'a>(&'a self, server: &'a Told) -> Task<'a, Result<Box<dyn Adapter>, String>> {
        let lines = Lines::default();
        let adapter = Spoken {
            adapter: ReferenceAdapter::new(self.0.clone(), server.authority.clone(), lines.log()),
            lines,
        };
        Box::pin(async move { Ok(Box::new(adapter) as Box<dyn Adapter>) })
    }
}

struct Spoken {
    adapter: ReferenceAdapter,
    lines: Lines,
}

impl Adapter for Spoken {
    fn ask<'a>(&'a mut self, line: &'a str, limit: Duration) -> Task<'a, Result<String, Silence>> {
        Box::pin(async move {
            let answer = tokio::time::timeout(limit, self.adapter.answer(line)).await;
            answer.map_err(|_| Silence::Late)
        })
    }

    fn end(self: Box<Self>) -> Task<'static, String> {
        Box::pin(async move { self.lines.take() })
    }
}
