//! The background task: at every interval it drops what is too old, and what is too much of a device.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::Registry;

/// The task. Dropping it ends it.
pub(super) struct Task {
    _stop: Sender<()>,
}

/// Begins the task of a registry, for which a second lasts so long.
pub(super) fn begin(registry: &Arc<Registry>, second: Duration) -> Task {
    let (stop, stopped) = channel::<()>();
    // An interval of nothing would be no rest at all.
    let rest = (second * registry.flags.prune_interval_secs).max(Duration::from_millis(1));
    let registry: Weak<Registry> = Arc::downgrade(registry);
    thread::spawn(move || {
        while stopped.recv_timeout(rest) == Err(RecvTimeoutError::Timeout) {
            let Some(registry) = registry.upgrade() else {
                return;
            };
            // A database that refuses now may take it at the next interval.
            let _refused = registry.prunes(prune(&registry));
        }
    });
    Task { _stop: stop }
}

/// What is dropped: by age, and by number of each device.
fn prune(registry: &Registry) -> Pruning {
    Pruning {
        stored_until_ms: (registry.clock)().saturating_sub(registry.flags.retention_ms),
        most: registry.flags.max_per_identity,
    }
}

/// What one run of the task drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pruning {
    /// Bundles that were stored then or before, epoch milliseconds.
    pub(super) stored_until_ms: i64,
    /// All but so many of a device, the newest.
    pub(super) most: usize,
}
