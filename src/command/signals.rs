//! Ctrl-C and SIGTERM: the first ends the run in order, the second ends everything at once.

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
    let (interrupt, halt) = (Interrupt::default(), halt.clone());
    let came = interrupt.0.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = ctrl_c.recv() => {}
                _ = terminate.recv() => {}
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
