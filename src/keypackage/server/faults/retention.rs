//! What becomes of what is stored: in the background, and over a restart.

use std::sync::atomic::Ordering;

use crate::keypackage::server::answer::Answer;
use crate::keypackage::server::flags::Flags;
use crate::keypackage::server::retention::Pruning;
use crate::keypackage::server::store::{Bundle, Store, Which};
use crate::keypackage::server::{Registry, lock};
use crate::serve::StartError;

const MS_PER_DAY: i64 = 86_400_000;

impl Registry {
    /// One run of the background task.
    pub(in crate::keypackage::server) fn prunes(&self, pruning: Pruning) -> Result<(), Answer> {
        if self.has("days-are-milliseconds") {
            let soon = (self.clock)() - self.flags.retention_ms / MS_PER_DAY;
            if self.stored(|store| store.drop_until(soon))? > 0 {
                self.fire("days-are-milliseconds");
            }
        }
        if self.has("task-runs-once") && self.pruned.swap(true, Ordering::Relaxed) {
            self.fire("task-runs-once");
            return Ok(());
        }
        self.prunes_by_payloads(pruning)?;
        if self.has("task-drops-the-empty") && self.stored(|store| store.drop_of_length(0, 0))? > 0 {
            self.fire("task-drops-the-empty");
        }
        let is_old = self.stored(|store| store.has_until(pruning.stored_until_ms))?;
        if is_old && self.bends("old-bundles-stay") {
            return Ok(());
        }
        self.stored(|store| store.drop_until(pruning.stored_until_ms))?;
        if self.has("task-caps-over-all") && self.stored(|store| store.cap(pruning.most))? > 0 {
            self.fire("task-caps-over-all");
        }
        for device in self.stored(Store::devices)? {
            if self.has("task-keeps-the-oldest")
                && self.stored(|store| store.keep_oldest(&device, pruning.most))? > 0
            {
                self.fire("task-keeps-the-oldest");
            }
            self.stored(|store| store.keep_newest(&device, pruning.most))?;
        }
        Ok(())
    }

    /// What a task drops that looks into payloads.
    fn prunes_by_payloads(&self, pruning: Pruning) -> Result<(), Answer> {
        let (by_age, by_number) = ("task-goes-by-payload-time", "task-keeps-the-latest-time");
        if !self.has(by_age) && !self.has(by_number) {
            return Ok(());
        }
        for device in self.stored(Store::devices)? {
            let get = |which| self.stored(|store| store.get(Some(&device), which));
            let (newest, latest) = (get(Which::Newest)?, get(Which::LatestTime)?);
            let is_old = newest
                .as_ref()
                .is_some_and(|newest| time_ms(newest) <= pruning.stored_until_ms);
            if is_old && self.bends(by_age) {
                self.stored(|store| store.remove(&device))?;
            }
            if let Some(latest) = latest
                && newest.as_ref() != Some(&latest)
                && self.bends(by_number)
            {
                self.stored(|store| store.remove(&device))?;
                self.stored(|store| store.add(&device, &latest, (self.clock)()))?;
            }
        }
        Ok(())
    }

    /// What a registry does with what it finds in its database when it is started.
    ///
    /// # Errors
    /// It does not start.
    pub(in crate::keypackage::server) fn opened(&self) -> Result<(), StartError> {
        let is_tuned = self.flags.prune_interval_secs != Flags::default().prune_interval_secs;
        if is_tuned && self.bends("interval-is-no-flag") {
            return Err(StartError("there is no flag --prune-interval-secs".into()));
        }
        let store = lock(&self.store);
        let found = store.devices().map_err(|error| StartError(Box::new(error)))?;
        if found.is_empty() {
            return Ok(());
        }
        let dropped = match () {
            () if self.bends("restart-forgets") => store.cap(0),
            () if self.bends("restart-forgets-the-last") => store.drop_newest(),
            () if self.bends("restart-forgets-the-empty") => store.drop_of_length(0, 0),
            () if self.bends("restart-forgets-the-long") => store.drop_of_length(8 << 10, usize::MAX),
            () if self.bends("restart-forgets-times") => store.forget_times(),
            () => Ok(0),
        };
        dropped.map(drop).map_err(|error| StartError(Box::new(error)))
    }
}

/// The time that a payload begins with, epoch milliseconds; now and later where it has none.
fn time_ms(bundle: &Bundle) -> i64 {
    let first = bundle.payload.first_chunk();
    first.map_or(i64::MAX, |first| i64::from_le_bytes(*first))
}
