//! The suite of a protocol, held against the faults and variations of its reference server, client or program.

use std::sync::Arc;

use avp_conform::protocol::Protocol;
use avp_conform::report::paint::Paint;
use avp_conform::selftest::{self, Matrix, Observation, Selftest, Settings};
use avp_conform::serve::{Behaviour, Fault};

/// A self-test of a protocol with these faults and every variation, beside the plain server: what was observed, the matrix, and
/// the matrix as text.
pub(crate) fn self_test(
    protocol: &Protocol,
    settings: Settings,
    is_tried: impl Fn(&Fault) -> bool,
) -> (Vec<Observation>, Matrix, String) {
    let suite = (protocol.load)((protocol.sources)()).unwrap();
    let bench = Arc::new(Selftest::new(Arc::new(suite), settings).unwrap());
    let variations = (protocol.variations)().iter().map(Behaviour::Varied);
    let faults = (protocol.faults)().iter().filter(|fault| is_tried(fault));
    let behaviours: Vec<Behaviour> = std::iter::once(Behaviour::Plain)
        .chain(variations)
        .chain(faults.map(Behaviour::Faulty))
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let observed = selftest::observe(Arc::clone(&bench), &behaviours, |_| {});
    let observations = runtime.block_on(observed).unwrap();
    let matrix = Matrix::of(bench.suite(), bench.selected(), &observations, false);
    let shown = selftest::text(&matrix, Paint::default());
    (observations, matrix, shown)
}
