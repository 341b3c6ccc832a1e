//! Judges a transcript: a pure function of the case and what was written down of driving it.
//!
//! No input or output, no clock: a stored transcript is judged again with the same result. The judge walks through the
//! exchanges once, keeps the state that the target's own answers commit it to, and holds every answer against it. It
//! shares no code with the reference server.

mod actors;
mod answers;
mod blame;
mod compare;
pub(super) mod every_exchange;
mod hitches;
pub mod jwt_claims;
mod parsed;
pub(super) mod profile;
mod race;
mod sent;
mod steps;
mod stored;
mod witness;

use crate::avp::cases::LoadedCase;
use crate::avp::{Operation, catalogue};
use crate::case::{CaseHead, is_doubtful};
use crate::judge::{Checks, Context, case_record};
use crate::record::transcript::Transcript;
use crate::record::{CaseRecord, Over};

/// Judges one case. What was written down becomes part of the record.
pub fn judge(
    case: &LoadedCase,
    head: &CaseHead,
    transcript: Transcript,
    context: &Context<'_>,
) -> CaseRecord {
    let frames = parsed::read(&transcript);
    let doubt = transcript
        .exchanges
        .iter()
        .position(|exchange| is_doubtful(Operation::infos(), exchange));
    let mut checks = Checks::new(head, catalogue(), context.spec, doubt);
    let cast = actors::Actors::new(context, &head.name());
    let tainted = steps::walk(
        case,
        &frames,
        context,
        &cast,
        &mut checks,
        transcript.stopped.as_ref(),
    );
    every_exchange::check(
        &mut checks,
        case,
        &frames,
        &tainted,
        transcript.began_ms,
        context.transport,
    );
    let mut records = checks.records();
    if head.over != Over::Http {
        profile::of_grpc(&mut records, head.over, &transcript);
        profile::of_its_own(&mut records, head, &transcript);
    }
    witness::require_witness(case, &frames, &cast, transcript.stopped.as_ref(), &mut records);
    case_record(head, transcript, records)
}
