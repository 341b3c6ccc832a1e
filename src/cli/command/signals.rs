//! Ctrl-C, SIGTERM and the end of the terminal (SIGHUP): the first ends the run in order, the second ends everything at once.
//! On Windows these are Ctrl-C, Ctrl-Break and the end of the console.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::error::Error;
use crate::cli::exit;
use crate::http::Cancel;
use crate::run::process::Ender;

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
pub(super) fn listen(halt: &Cancel, enders: Vec<Ender>) -> Result<Interrupt, Error> {
    let deaf = |error: io::Error| Error::Unreachable(format!("cannot listen for signals: {error}"));
    let mut signals = Signals::listen().map_err(deaf)?;
    let (interrupt, halt) = (Interrupt::default(), halt.clone());
    let came = interrupt.0.clone();
    tokio::spawn(async move {
        loop {
            signals.next().await;
            if came.swap(true, Ordering::SeqCst) {
                enders.iter().for_each(Ender::end);
                std::process::exit(exit::INTERRUPTED.into());
            }
            halt.call(INTERRUPTED);
        }
    });
    Ok(interrupt)
}

/// Waits until somebody asks this program to end, and does `first` as soon as it listens. Process 1 of a container gets no
/// signal that it does not listen for.
pub(super) fn wait(first: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let deaf = |error: io::Error| Error::Unreachable(format!("cannot listen for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(deaf)?.block_on(async {
        let mut signals = Signals::listen().map_err(deaf)?;
        first()?;
        signals.next().await;
        Ok(())
    })
}

/// Waits until somebody asks this program to end. A program that has once listened is not ended by the signal itself any more.
pub(super) async fn wanted() {
    match Signals::listen() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

/// All that asks a program to end.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: match outlives_its_terminal() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(_) = async { self.hang_up.as_mut()?.recv().await } => {}
        }
    }
}

/// All that asks a program to end.
#[cfg(windows)]
struct Signals {
    ctrl_c: tokio::signal::windows::CtrlC,
    ctrl_break: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Ok(Signals {
            ctrl_c: ctrl_c()?,
            ctrl_break: ctrl_break()?,
            close: ctrl_close()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.ctrl_break.recv() => {}
            _ = self.close.recv() => {}
        }
    }
}

/// Whether the program was started to go on when its terminal is gone, as `nohup` does it: SIGHUP is ignored then. Where
/// that cannot be read, it was not.
#[cfg(unix)]
fn outlives_its_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 == 1)
}
