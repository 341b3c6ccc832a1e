//! The live line of a run on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use tokio::task::JoinHandle;

use crate::http::Timeouts;
use crate::record::verdict::Verdict;
use crate::run::Event;
use crate::text::count;

/// Shows how far a run is. Nothing is drawn where standard error is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A line for so many things of a kind.
    pub(super) fn new(length: usize, kind: &str, quiet: bool) -> Progress {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(length as u64), target);
        let style = ProgressStyle::with_template(&format!(
            "{{bar:24}} {{pos}}/{{len}} {kind}  {{elapsed}}  {{prefix}}{{wide_msg}}"
        ));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar }
    }

    /// Shows how many cases wait because the target asked for it, until what is returned is aborted.
    pub(super) fn watch(&self, patience: &Timeouts) -> JoinHandle<()> {
        let (bar, patience) = (self.bar.clone(), patience.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                bar.set_prefix(match patience.refusals().waiting() {
                    0 => String::new(),
                    cases => format!("{} waiting, as the target asked (429)  ", count(cases, "case")),
                });
            }
        })
    }

    /// One of them is done.
    pub(super) fn step(&self, name: &str) {
        self.bar.inc(1);
        self.bar.set_message(name.to_owned());
    }

    /// A case was judged.
    pub(super) fn note(&self, event: &Event<'_>) {
        let Event::Finished(case) = event;
        self.bar.inc(1);
        match case.verdict {
            Verdict::Fail | Verdict::Error => self.bar.println(format!("{} {}", case.verdict, case.id)),
            _ => self.bar.set_message(case.id.clone()),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
