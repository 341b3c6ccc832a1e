//! What becomes of what is stored: in the background, and over a restart.

use crate::keypackage::server::answer::Answer;
use crate::keypackage::server::flags::Flags;
use crate::keypackage::server::retention::Pruning;
use crate::keypackage::server::store::Store;
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
            () => Ok(0),
        };
        dropped.map(drop).map_err(|error| StartError(Box::new(error)))
    }
}
