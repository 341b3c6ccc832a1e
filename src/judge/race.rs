//! Judges a race: the answers, and what is stored afterwards, must be those of some order of the requests, one after the
//! other. No case has to say who wins.

use std::sync::Arc;

use serde_json::Value;

use super::compare;
use super::tape::Frame;
use super::walk::epoch_left;
use crate::ledger::{Stored, member_id};
use crate::protocol::Operation;
use crate::reading::Reading;

/// The search for an order gives up after so many steps; races of eight need a few hundred.
const MOST_STEPS: usize = 20_000;
/// So many different final states are told apart.
const MOST_FINALS: usize = 16;

/// One request of a race.
pub(super) struct Runner<'a> {
    pub(super) operation: Operation,
    /// The member id of who made it.
    pub(super) caller: String,
    pub(super) request: &'a Value,
    pub(super) reading: &'a Reading,
}

impl Runner<'_> {
    /// The id of the member who is added, if that is what it does.
    fn added(&self) -> Option<&str> {
        match self.operation {
            Operation::AddMember => member_id(self.request.get("member")?),
            _ => None,
        }
    }
}

/// The runners of a round. A request that is not of the route table's vault operations takes no part.
pub(super) fn runner<'a>(frame: &'a Frame<'_>, caller: String) -> Option<Runner<'a>> {
    let operation = frame.exchange.operation?;
    Some(Runner {
        operation,
        caller,
        request: frame.request.as_ref()?,
        reading: &frame.reading,
    })
}

/// What a pull saw. It changes nothing, but the state that it shows must be one of the order.
fn saw(state: &Stored, answer: &Value) -> bool {
    let manifest = answer.get("manifest").unwrap_or(&Value::Null);
    let envelope = answer.get("envelope").filter(|envelope| envelope.is_object());
    compare::manifest(state, None, manifest, "").is_empty()
        && envelope.is_none_or(|envelope| compare::envelope(&state.envelope, None, envelope, "").is_empty())
}

/// Every state that some order of the requests leads to, in which each got the answer that it got. Empty where there is no
/// such order.
pub(super) fn finals(before: Option<&Stored>, runners: &[Runner<'_>]) -> Vec<Option<Stored>> {
    let mut search = Search {
        runners,
        before,
        done: vec![false; runners.len()],
        finals: Vec::new(),
        steps: 0,
    };
    search.go(before.cloned());
    search.finals
}

struct Search<'a> {
    runners: &'a [Runner<'a>],
    before: Option<&'a Stored>,
    done: Vec<bool>,
    finals: Vec<Option<Stored>>,
    steps: usize,
}

impl Search<'_> {
    fn go(&mut self, state: Option<Stored>) {
        self.steps += 1;
        if self.steps > MOST_STEPS || self.finals.len() >= MOST_FINALS {
            return;
        }
        if self.done.iter().all(|done| *done) {
            if !self
                .finals
                .iter()
                .any(|known| same(known.as_ref(), state.as_ref()))
            {
                self.finals.push(state);
            }
            return;
        }
        // Answers that change nothing can all come now: their order among themselves does not matter.
        if let Some(quiet) = self.quiet(state.as_ref()) {
            self.done[quiet] = true;
            self.go(state);
            self.done[quiet] = false;
            return;
        }
        if let Some((at, next)) = self.apart(state.as_ref()) {
            self.done[at] = true;
            self.go(Some(next));
            self.done[at] = false;
            return;
        }
        for at in 0..self.runners.len() {
            if self.done[at] {
                continue;
            }
            let runner = &self.runners[at];
            for next in outcomes(state.as_ref(), runner) {
                self.done[at] = true;
                self.go(Some(next));
                self.done[at] = false;
            }
        }
    }

    /// A member who is added, where no request that is still to come has to do with it: others are added or a payload is
    /// pushed, and the new member asks for nothing. Such an addition can as well come now.
    fn apart(&self, state: Option<&Stored>) -> Option<(usize, Stored)> {
        let waiting = || (0..self.runners.len()).filter(|at| !self.done[*at]);
        let alone = |at: &usize| {
            let added = self.runners[*at].added();
            added.is_some()
                && waiting().filter(|other| other != at).all(|other| {
                    let other = &self.runners[other];
                    let other_member = other.operation == Operation::AddMember && other.added() != added;
                    let payload = other.operation == Operation::Push
                        && other.request.get("rotatedMembers").is_none_or(Value::is_null);
                    (other_member || payload) && added != Some(other.caller.as_str())
                })
        };
        let at = waiting().find(alone)?;
        step(state, &self.runners[at]).map(|next| (at, next))
    }

    /// A request that was refused, in this state rightly so, and that nothing later in the order can need to wait for.
    fn quiet(&self, state: Option<&Stored>) -> Option<usize> {
        (0..self.runners.len())
            .find(|at| !self.done[*at] && refused_rightly(state, self.before, &self.runners[*at]))
    }
}

/// The states that a granted request may lead to.
fn outcomes(state: Option<&Stored>, runner: &Runner<'_>) -> Vec<Stored> {
    let next = step(state, runner);
    let kept = keeps_entry(state, runner).then(|| state.cloned()).flatten();
    // Where the target gave a version of its own, the envelope may say so or be as it was sent.
    let verbatim = next.as_ref().and_then(|next| {
        let sent = runner.request.get("rotatedEnvelope")?;
        (*next.envelope != *sent).then(|| Stored {
            envelope: Arc::new(sent.clone()),
            ..next.clone()
        })
    });
    let stays = state
        .zip(next.as_ref())
        .and_then(|(state, next)| epoch_left(runner.operation, state, next));
    next.into_iter()
        .chain(kept)
        .chain(verbatim)
        .chain(stays)
        .collect()
}

/// The state after a granted request, where it may be granted and says what it must. `None` otherwise.
fn step(state: Option<&Stored>, runner: &Runner<'_>) -> Option<Stored> {
    let Reading::Granted(answer) = runner.reading else {
        return None;
    };
    if let (Operation::Pull, Some(state)) = (runner.operation, state) {
        let may = state.member(&runner.caller).is_some() && saw(state, answer);
        return may.then(|| state.clone());
    }
    let mut next = Stored::after(runner.operation, state, runner.request)?;
    if let (Operation::RemoveMember, Some(state)) = (runner.operation, state) {
        assigned_version(&mut next, state, answer);
    }
    let allowed = match (runner.operation, state) {
        (Operation::CreateRepo, None) => true,
        (Operation::CreateRepo, Some(_)) | (_, None) => false,
        (operation, Some(state)) if state.member(&runner.caller).is_some() => match operation {
            Operation::Push => {
                let expected = runner
                    .request
                    .get("expectedPayloadVersion")
                    .and_then(Value::as_i64);
                let told = answer.get("payloadVersion").and_then(Value::as_i64);
                expected == Some(state.version) && next.version > state.version && told == Some(next.version)
            }
            Operation::RemoveMember => next.version > state.version && next.epoch > state.epoch,
            _ => true,
        },
        _ => false,
    };
    allowed.then_some(next)
}

/// Whether a granted request adds somebody who is a member: the entry may then stay what it is.
fn keeps_entry(state: Option<&Stored>, runner: &Runner<'_>) -> bool {
    let is_granted = matches!(runner.reading, Reading::Granted(_));
    let (Some(state), Some(added), true) = (state, runner.added(), is_granted) else {
        return false;
    };
    state.member(&runner.caller).is_some() && state.member(added).is_some()
}

/// A server may give an envelope that comes too late a version above the current one, instead of refusing it.
fn assigned_version(next: &mut Stored, state: &Stored, answer: &Value) {
    let told = answer.get("payloadVersion").and_then(Value::as_i64).unwrap_or(0);
    if next.version <= state.version && told > state.version {
        next.version = told;
        Arc::make_mut(&mut next.envelope)["payloadVersion"] = told.into();
    }
}

/// Whether a refusal is the right answer in this state; `before` is that at the beginning of the race.
fn refused_rightly(state: Option<&Stored>, before: Option<&Stored>, runner: &Runner<'_>) -> bool {
    let status = match runner.reading {
        // Not executed, and no part of the race.
        Reading::Status(429) => return true,
        Reading::Status(status) => Some(*status),
        Reading::Conflict(_) => None,
        _ => return false,
    };
    let Some(state) = state else {
        return status == Some(404) && runner.operation != Operation::CreateRepo;
    };
    if runner.operation == Operation::CreateRepo {
        return status == Some(409);
    }
    // Who is removed while the request is under way may have passed the look at the roster, but not that at the version.
    let was_member = before.is_some_and(|before| before.member(&runner.caller).is_some());
    let overtaken = was_member && matches!(runner.reading, Reading::Conflict(_));
    if state.member(&runner.caller).is_none() && !overtaken {
        return matches!(status, Some(403 | 404));
    }
    let next = Stored::after(runner.operation, Some(state), runner.request);
    let grows = next.as_ref().is_some_and(|next| next.version > state.version);
    match (runner.operation, runner.reading) {
        (Operation::Push, Reading::Conflict(answer)) => {
            let expected = runner
                .request
                .get("expectedPayloadVersion")
                .and_then(Value::as_i64);
            let told = answer.get("payloadVersion").and_then(Value::as_i64);
            expected != Some(state.version) && told == Some(state.version)
        }
        (Operation::Push, _) => !grows && matches!(status, Some(400)),
        // Somebody who is a member already may be refused, and so may an entry whose key is of an epoch that is over.
        (Operation::AddMember, _) => {
            let epoch = runner.request.pointer("/member/keyEpoch").and_then(Value::as_i64);
            let is_member = runner.added().is_some_and(|id| state.member(id).is_some());
            is_member && matches!(status, Some(400..=499))
                || epoch != Some(state.epoch) && matches!(status, Some(400 | 409))
        }
        // A removal that was prepared for an older version may be refused.
        (Operation::RemoveMember, Reading::Conflict(_)) => !grows,
        (Operation::RemoveMember, _) => {
            let target = runner
                .request
                .get("removedMemberId")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let gone = state.member(target).is_none();
            // A roster that forgets a member, or brings one back, was prepared for another one.
            let outdated = next.as_ref().is_some_and(|next| !is_rest(next, state, target));
            (!grows || outdated) && matches!(status, Some(400 | 409))
                || gone && matches!(status, Some(400 | 404))
        }
        _ => false,
    }
}

/// Whether the roster of a removal holds exactly those who stay.
fn is_rest(next: &Stored, state: &Stored, removed: &str) -> bool {
    let staying = state.members.iter().filter_map(|entry| member_id(entry));
    let mut staying: Vec<&str> = staying.filter(|id| *id != removed).collect();
    let mut listed: Vec<&str> = next.members.iter().filter_map(|entry| member_id(entry)).collect();
    staying.sort_unstable();
    listed.sort_unstable();
    staying == listed
}

/// Whether two states are the same but for the order of the roster.
fn same(a: Option<&Stored>, b: Option<&Stored>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            let sorted = |state: &Stored| {
                let mut members = state.members.clone();
                members.sort_by(|a, b| member_id(a).cmp(&member_id(b)));
                members
            };
            (a.version, a.epoch, &a.envelope) == (b.version, b.epoch, &b.envelope) && sorted(a) == sorted(b)
        }
        (None, None) => true,
        _ => false,
    }
}

/// The answers of a round for people: `2 x 200, granted; 6 x status 409`.
pub(super) fn describe(runners: &[Runner<'_>]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for runner in runners {
        let what = format!("{} {}", runner.operation, runner.reading.describe());
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(what, count)| format!("{count} x {what}"))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> Stored {
        Stored::created(&json!({
            "manifest": {"repoId": "r", "schemeId": "s", "keyEpoch": 1, "payloadVersion": 1,
                "members": [{"ed25519PublicKey": "A"}, {"ed25519PublicKey": "B"}]},
            "initialEnvelope": {"payloadVersion": 1, "mark": "first"},
        }))
        .unwrap()
    }

    fn push(mark: &str) -> Value {
        json!({"expectedPayloadVersion": 1, "envelope": {"payloadVersion": 2, "keyEpoch": 1, "mark": mark}})
    }

    fn granted(version: i64) -> Reading {
        Reading::Granted(Arc::new(json!({"accepted": true, "payloadVersion": version})))
    }

    fn conflict(version: i64) -> Reading {
        Reading::Conflict(Arc::new(json!({"conflict": true, "payloadVersion": version})))
    }

    fn race(caller_readings: &[(&str, Operation, &Value, &Reading)]) -> usize {
        let runners: Vec<Runner<'_>> = caller_readings
            .iter()
            .map(|(caller, operation, request, reading)| Runner {
                operation: *operation,
                caller: (*caller).to_owned(),
                request,
                reading,
            })
            .collect();
        finals(Some(&state()), &runners).len()
    }

    #[test]
    fn of_concurrent_pushes_exactly_one_applies() {
        let (one, two) = (push("one"), push("two"));
        let race = |a: &Reading, b: &Reading| {
            race(&[("A", Operation::Push, &one, a), ("B", Operation::Push, &two, b)])
        };
        assert_eq!(race(&granted(2), &conflict(2)), 1);
        assert_eq!(race(&conflict(2), &granted(2)), 1);
        assert_eq!(race(&granted(2), &granted(2)), 0, "a lost update");
        assert_eq!(race(&conflict(1), &conflict(1)), 0, "nobody won");
        assert_eq!(
            race(&granted(2), &conflict(1)),
            0,
            "a conflict with a version that is not current"
        );
        assert_eq!(race(&granted(2), &Reading::Status(429)), 1, "not executed");
        assert_eq!(race(&granted(2), &Reading::Status(500)), 0);
    }

    #[test]
    fn a_pull_sees_the_state_before_a_push_or_the_one_after_it() {
        let sealed = |version: i64| json!({"repoId": "r", "payloadVersion": version, "keyEpoch": 1, "iv": version, "ciphertext": version});
        let state = || Stored {
            envelope: Arc::new(sealed(1)),
            ..state()
        };
        let pushed = json!({"expectedPayloadVersion": 1, "envelope": sealed(2)});
        let pull = json!({"knownPayloadVersion": 0});
        let race = |served: &Stored| {
            let answer =
                json!({"manifest": served.manifest(), "envelope": *served.envelope, "unchanged": false});
            let answer = Reading::Granted(Arc::new(answer));
            let runners = [
                (Operation::Push, &pushed, granted(2)),
                (Operation::Pull, &pull, answer),
            ];
            let runners: Vec<Runner<'_>> = runners
                .iter()
                .map(|(operation, request, reading)| Runner {
                    operation: *operation,
                    caller: "A".to_owned(),
                    request,
                    reading,
                })
                .collect();
            finals(Some(&state()), &runners).len()
        };
        let (before, after) = (state(), state().pushed(&pushed).unwrap());
        assert_eq!((race(&before), race(&after)), (1, 1));
        let torn = Stored {
            envelope: before.envelope.clone(),
            ..after
        };
        assert_eq!(race(&torn), 0);
    }

    #[test]
    fn a_rotation_may_move_the_epoch_or_leave_it() {
        let rotation = json!({
            "expectedPayloadVersion": 1,
            "envelope": {"payloadVersion": 2, "keyEpoch": 2, "mark": "rotated"},
            "rotatedMembers": [{"ed25519PublicKey": "A", "keyEpoch": 2}],
        });
        let reading = granted(2);
        let runner = Runner {
            operation: Operation::Push,
            caller: "A".to_owned(),
            request: &rotation,
            reading: &reading,
        };
        let ends = finals(Some(&state()), &[runner]);
        let epochs: Vec<i64> = ends.iter().flatten().map(|end| end.epoch).collect();
        assert_eq!(epochs, [2, 1]);
    }

    #[test]
    fn of_two_who_add_one_member_either_entry_stays() {
        let add = |mark: &str| json!({"member": {"ed25519PublicKey": "C", "mark": mark, "keyEpoch": 1}});
        let (one, two) = (add("one"), add("two"));
        let race = |a: &Reading, b: &Reading| {
            race(&[
                ("A", Operation::AddMember, &one, a),
                ("B", Operation::AddMember, &two, b),
            ])
        };
        let manifest = Reading::Granted(Arc::new(json!({})));
        assert_eq!(race(&manifest, &manifest), 2);
        assert_eq!(race(&manifest, &Reading::Status(409)), 1);
        assert_eq!(race(&Reading::Status(409), &Reading::Status(409)), 0);
    }

    #[test]
    fn members_added_at_once_have_one_end_however_many_they_are() {
        let requests: Vec<Value> = (0..12)
            .map(|at| json!({"member": {"ed25519PublicKey": format!("new {at}")}}))
            .collect();
        let granted = Reading::Granted(Arc::new(json!({})));
        let runners: Vec<Runner<'_>> = requests
            .iter()
            .map(|request| Runner {
                operation: Operation::AddMember,
                caller: "A".to_owned(),
                request,
                reading: &granted,
            })
            .collect();
        let finals = finals(Some(&state()), &runners);
        assert_eq!(finals.len(), 1);
        assert_eq!(finals[0].as_ref().unwrap().members.len(), 14);
    }

    #[test]
    fn a_removal_and_a_push_of_the_removed_have_an_order() {
        let pushed = push("late");
        let removal = json!({"removedMemberId": "B", "newKeyEpoch": 2, "rotatedEnvelope": {"payloadVersion": 2},
            "rewrappedMembers": [{"ed25519PublicKey": "A"}]});
        let manifest = Reading::Granted(Arc::new(json!({})));
        let race = |a: &Reading, b: &Reading| {
            race(&[
                ("A", Operation::RemoveMember, &removal, a),
                ("B", Operation::Push, &pushed, b),
            ])
        };
        assert_eq!(race(&manifest, &Reading::Status(403)), 1);
        assert_eq!(
            race(&manifest, &conflict(2)),
            1,
            "B was a member when the push came, and its version is stale"
        );
        assert_eq!(race(&manifest, &conflict(1)), 0);
        assert_eq!(
            race(&Reading::Status(400), &granted(2)),
            1,
            "the removal came second, with an old version"
        );
        assert_eq!(race(&manifest, &granted(2)), 0, "both write version 2");
    }
}
