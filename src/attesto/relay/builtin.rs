//! The reference relay as a program under test: in this process, without a process of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Habits;
use super::faults::timing;
use super::operations::Finish;
use super::settings::{Environment, Timing};
use super::{Lines, Stream, run};
use crate::serve::{Reference, ServeOptions, StartError};
use crate::subject::{Adapter, Call, Ending, Ran, Subject, Task, Told, Walked};

/// Nobody is asked there: the relay asks. The port is that of the discard protocol.
const NOWHERE: &str = "http://127.0.0.1:9";

/// It waits less than the program that is run by itself, so that no case takes long for it.
const TIMING: Timing = Timing {
    attempt: Duration::from_millis(1500),
    first_delay: Duration::from_millis(200),
};

/// The reference relay, with what it does otherwise.
#[derive(Debug, Clone)]
struct Builtin(Habits);

/// Gets the reference relay ready.
///
/// # Errors
/// None.
pub(in crate::attesto) fn start(options: ServeOptions) -> Result<Box<dyn Reference>, StartError> {
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

impl Subject for Builtin {
    fn name(&self) -> String {
        "built-in".to_owned()
    }

    fn walks(&self) -> bool {
        false
    }

    fn obeys(&self) -> bool {
        false
    }

    fn takes_calls(&self) -> bool {
        true
    }

    fn walk<'a>(&'a self, _server: &'a Told, _limit: Duration) -> Task<'a, Walked> {
        Box::pin(async {
            Walked {
                code: None,
                how: "does not walk".to_owned(),
                output: Vec::new(),
            }
        })
    }

    fn adapter<'a>(&'a self, _server: &'a Told) -> Task<'a, Result<Box<dyn Adapter>, String>> {
        Box::pin(async { Err("it has no adapter".to_owned()) })
    }

    fn call<'a>(&'a self, call: &'a Call, ending: Ending, limit: Duration) -> Task<'a, Ran> {
        Box::pin(async move {
            let (habits, call, told) = (self.0.clone(), call.clone(), ending.clone());
            // The spool is waited for without giving way to others: the receivers are not to wait with it.
            let own_thread = tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(called(&habits, &call, &told, limit)),
                    Err(error) => Ran::none(format!("cannot start: {error}")),
                }
            });
            // Whoever does not wait any more does not leave it behind.
            let _end = EndOnDrop(ending);
            own_thread
                .await
                .unwrap_or_else(|error| Ran::none(format!("broke off: {error}")))
        })
    }
}

/// Ends a run when it is dropped.
struct EndOnDrop(Ending);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

async fn called(habits: &Habits, call: &Call, ending: &Ending, limit: Duration) -> Ran {
    let written = Arc::new(Mutex::new((String::new(), String::new())));
    let lines: Lines = {
        let written = Arc::clone(&written);
        Arc::new(move |stream, line| {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            let text = if stream == Stream::Output {
                &mut written.0
            } else {
                &mut written.1
            };
            text.push_str(line);
            text.push('\n');
        })
    };
    let set = call.environment.iter();
    let variables = set.filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    let environment = Environment::new(variables);
    let finish = Finish::default();
    let timing = timing(habits, TIMING);
    let work = run(&call.arguments, &environment, timing, habits, &finish, &lines);
    let asked = async {
        ending.terminated().await;
        finish.ask();
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        code = work => Ok(code),
        () = ending.killed() => Err("was killed by the harness".to_owned()),
        () = tokio::time::sleep(limit) => Err(format!("did not end within {:.0} s, and was ended", limit.as_secs_f64())),
        () = asked => Err("ended".to_owned()),
    };
    let (output, errors) = std::mem::take(&mut *written.lock().unwrap_or_else(PoisonError::into_inner));
    Ran {
        code: ended.as_ref().ok().map(|code| i32::from(*code)),
        how: match ended {
            Ok(code) => format!("exited with status {code}"),
            Err(how) => how,
        },
        output: output.into_bytes(),
        errors: errors.into_bytes(),
    }
}
