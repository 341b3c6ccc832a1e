//! Races are run again and again while their time lasts: in heats, each from a fresh start and with ids of its own.
//!
//! What a race looks for is there in few rounds of many, and a report need not hold the others: it holds the first heat,
//! or the one in which something was found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Run, once, supervisor};
use crate::record::CaseRecord;
use crate::record::verdict::Verdict;
use crate::session::{LiveSecrets, RunContext};

/// The seeds of two heats are so far apart; those of cases that are driven again lie between them.
const SEEDS_BETWEEN_HEATS: u32 = 1 << 21;
/// More heats than this have no seeds.
const MOST_HEATS: u32 = 2000;

/// No heat has the seeds of a case that is driven again, in whichever of the repeats; and none has a number too large.
const _: () = assert!(
    super::SEEDS_DRIVEN_AGAIN + (u16::MAX as u32) < SEEDS_BETWEEN_HEATS
        && MOST_HEATS <= u32::MAX / SEEDS_BETWEEN_HEATS
);

/// One race, for about so long, and what of it is secret.
pub(super) async fn race(run: &Run, index: usize, time: Duration) -> (CaseRecord, Vec<LiveSecrets>) {
    let until = Instant::now() + time;
    let (first, secrets) = once(run, index, Some(time)).await;
    let mut secrets = vec![secrets];
    if first.verdict > Verdict::Warn {
        return (first, secrets);
    }
    for heat in 1..MOST_HEATS {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let run = again(run, heat);
        let (mut record, more) = once(&run, index, Some(left)).await;
        secrets.push(more);
        if is_worse(&record, first.verdict) {
            record.generation = Some(run.target.generation);
            return (record, secrets);
        }
        // A limit of the target's, or the end of the run: what was seen before stands.
        if record.verdict > Verdict::Warn {
            break;
        }
    }
    (first, secrets)
}

/// The run with ids and keys that no heat before had.
fn again(run: &Run, heat: u32) -> Run {
    let target = RunContext {
        generation: run.target.generation + heat * SEEDS_BETWEEN_HEATS,
        ..(*run.target).clone()
    };
    Run {
        target: Arc::new(target),
        ..run.clone()
    }
}

/// Whether a heat speaks against the target, or met no target any more.
fn is_worse(record: &CaseRecord, known: Verdict) -> bool {
    let broken = matches!(record.verdict, Verdict::Warn | Verdict::Fail) && record.verdict > known;
    broken || supervisor::broken(record).is_some()
}
