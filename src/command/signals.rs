//! Ctrl-C, SIGTERM and the end of the terminal (SIGHUP): the first ends the run in order, the second ends everything at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;
use crate::exit;
use crate::process::Ender;
use crate::wire::Halt;

/// Why a run ends that somebody ended.
pub(super) const INTERRUPTED: &str = "the run was interrupted";

/// Whether somebody wants the run to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Whether it was wanted.
    pub(super) fn came(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Listens from now on.
pub(super) fn listen(halt: &Halt, ender: Option<Ender>) -> Result<Interrupt, Error> {
    let deaf = |error: std::io::Error| Error::Unreachable(format!("cannot listen for signals: {error}"));
    let mut ctrl_c = signal(SignalKind::interrupt()).map_err(deaf)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut hang_up = match outlives_its_terminal() {
        true => None,
        false => Some(signal(SignalKind::hangup()).map_err(deaf)?),
    };
    let (interrupt, halt) = (Interrupt::default(), halt.clone());
    let came = interrupt.0.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = ctrl_c.recv() => {}
                _ = terminate.recv() => {}
                Some(_) = async { hang_up.as_mut()?.recv().await } => {}
            }
            if came.swap(true, Ordering::SeqCst) {
                if let Some(ender) = &ender {
                    ender.end();
                }
                std::process::exit(exit::INTERRUPTED.into());
            }
            halt.call(INTERRUPTED);
        }
    });
    Ok(interrupt)
}

/// Whether the program was started to go on when its terminal is gone, as `nohup` does it: SIGHUP is ignored then. Where
/// that cannot be read, it was not.
fn outlives_its_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 == 1)
}
