//! The reference relay and witness as a program of its own.

use std::sync::Arc;

use super::serve::habits;
use crate::cli::arguments::RelayArgs;
use crate::cli::console;
use crate::cli::error::Error;
use crate::protocols::reference_relay::{Environment, Finish, Habits, Lines, Stream, Timing, execute};

pub(super) fn relay(args: &RelayArgs) -> Result<u8, Error> {
    let habits: Habits = habits(&args.fault, &args.vary, "serve --protocol attesto ")?;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = Environment::new(variables);
    let lines: Lines = Arc::new(|stream, line| match stream {
        // Whoever does not read on does not want to know.
        Stream::Output => drop(console::out(&format!("{line}\n"))),
        Stream::Error => console::err(&format!("{line}\n")),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Unreachable(format!("cannot start the relay: {error}")))?;
    let finish = Finish::default();
    Ok(runtime.block_on(async {
        tokio::spawn(asked_to_end(finish.clone()));
        execute(
            &args.command,
            &environment,
            Timing::default(),
            &habits,
            &finish,
            &lines,
        )
        .await
    }))
}

/// Ends the relay after the attempt in hand when it is asked to.
async fn asked_to_end(finish: Finish) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut asked) = signal(SignalKind::terminate()) {
            asked.recv().await;
            finish.ask();
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_ok() {
        finish.ask();
    }
}
