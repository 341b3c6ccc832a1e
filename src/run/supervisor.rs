//! Keeps the process of a target alive: notices that it died, starts it again, and remembers what happened.

use std::time::Duration;

use tokio::time::sleep;

use crate::http::{Client, Exchange, FailureKind, Outcome};
use crate::record::CaseRecord;
use crate::run::process::{Process, ProcessError};
use crate::text::{hide_passwords, visible_cut};

/// So many deaths, and the server is not started again.
const MOST_DEATHS: usize = 25;
/// So many broken connections that no death explains, and the next is not waited upon.
const MOST_ALARMS: usize = 5;
/// How long a death may take to be seen after a connection broke.
const LAST_BREATH: Duration = Duration::from_millis(150);
/// How much of the server's last words stands in a report, in lines and in characters.
const LAST_LINES: usize = 3;
const LAST_WORDS: usize = 300;

/// The processes of the target: one, or one for each of its services.
#[derive(Debug)]
pub struct Supervisor {
    processes: Vec<Process>,
    ready: Duration,
    deaths: usize,
    alarms: usize,
    notes: Vec<String>,
}

impl Supervisor {
    /// Keeps processes that are ready; a new one is to be ready within the time.
    pub fn new(processes: Vec<Process>, ready: Duration) -> Supervisor {
        Supervisor {
            processes,
            ready,
            deaths: 0,
            alarms: 0,
            notes: Vec::new(),
        }
    }

    /// What a reader of the record must know.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Leaves the server little time to end.
    pub fn hurry(&mut self) {
        self.processes.iter_mut().for_each(Process::hurry);
    }

    /// The end of what the server wrote.
    pub fn output(&self) -> String {
        self.processes.iter().map(Process::output_tail).collect()
    }

    /// How the server ended, if it did: "exited with status 1".
    pub(super) async fn death(&mut self) -> Option<String> {
        // A server that closes connections as a habit is not waited for each time.
        let looks = if self.alarms < MOST_ALARMS { 10 } else { 0 };
        for _ in 0..looks {
            if self.gone().is_some() {
                break;
            }
            sleep(LAST_BREATH / 10).await;
        }
        let death = self.gone();
        self.alarms += usize::from(death.is_none());
        death
    }

    /// How the server ended, if it has been seen to. Nothing is waited for.
    pub(super) fn gone(&self) -> Option<String> {
        self.processes.iter().find_map(Process::died)
    }

    /// Ends the servers. A sentence where somebody still answers in its place.
    pub async fn end(mut self, client: &Client) -> Option<String> {
        let mut still = Vec::new();
        for process in &mut self.processes {
            let left = process.leave_nobody(client).await;
            still.extend(left.err().map(|error| error.to_string()));
        }
        (!still.is_empty()).then(|| still.join("; "))
    }

    /// A sentence for reports: how the server ended, and its last words.
    pub(super) async fn exit_report(&self, how: &str) -> String {
        let words = match self.processes.iter().find(|process| process.died().is_some()) {
            Some(process) => process.final_output().await,
            None => self.output(),
        };
        let lines: Vec<&str> = words.trim_end().lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join(" ");
        match hide_passwords(&last).as_str() {
            "" => format!("the server {how}"),
            tail => format!(
                "the server {how}; its last words: {}",
                visible_cut(tail, LAST_WORDS)
            ),
        }
    }

    /// Starts the server again. The error says why there is none.
    pub(super) async fn restart(&mut self, how: &str, client: &Client) -> Result<(), String> {
        self.deaths += 1;
        self.notes
            .push(format!("the server {how} in the middle of the run"));
        if self.deaths >= MOST_DEATHS {
            return Err(format!(
                "the server ended {} times, and was not started again",
                self.deaths
            ));
        }
        let started = self.start(client).await;
        started.map_err(|error| format!("the server could not be started again: {error}"))
    }

    async fn start(&mut self, client: &Client) -> Result<(), ProcessError> {
        let dead = self
            .processes
            .iter_mut()
            .filter(|process| process.died().is_some());
        for process in dead {
            process.leave_nobody(client).await?;
            process.restart()?;
            process.wait_ready(client, self.ready).await?;
        }
        Ok(())
    }

    /// Adds a sentence to the last note.
    pub(super) fn remark(&mut self, what: &str) {
        if let Some(note) = self.notes.last_mut() {
            note.push_str(what);
        }
    }
}

/// The first exchange of a case that a death of the server may have ended.
pub(super) fn broken(case: &CaseRecord) -> Option<&Exchange> {
    case.exchanges.iter().find(|exchange| is_broken(exchange))
}

/// Whether the connection broke, or there was none to be had.
pub(super) fn is_broken(exchange: &Exchange) -> bool {
    match &exchange.outcome {
        Outcome::Failure(failure) => matches!(failure.kind, FailureKind::Closed | FailureKind::Connect),
        Outcome::Answer(_) => false,
    }
}
