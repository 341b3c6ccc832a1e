//! Holds what members see after a write against what must be stored.

use serde_json::Value;

use super::answers::{self, report};
use super::blame;
use super::compare::{self, Difference, Kind};
use super::parsed::ParsedExchange;
use super::steps::{Mark, Walk};
use crate::avp::cases::ExpectedAnswer;
use crate::avp::crypto::{DataKey, OpenError, open_payload};
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::{RepoState, member_id};
use crate::avp::{DEFAULT_SCHEME, EncryptedEnvelope, Operation, WrappedKey, schema};
use crate::judge::Finding;
use crate::record::verdict::Verdict;

/// What may be stored.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// One of these; the preferred one first. `None` stands for no repository.
    pub(super) states: Vec<Option<RepoState>>,
    /// Or any state with a version above this.
    pub(super) above: Option<i64>,
    /// Or any state at all.
    pub(super) anything: bool,
}

impl Expected {
    pub(super) fn exactly(state: Option<RepoState>) -> Expected {
        Expected {
            states: vec![state],
            above: None,
            anything: false,
        }
    }
}

/// The requirements that speak of malformed bodies.
const MALFORMED: [&str; 2] = ["AVP-6-20", "AVP-6-21"];

/// The audits of one write.
pub(super) struct Audit {
    pub(super) step: Option<usize>,
    pub(super) requirements: Vec<&'static str>,
    pub(super) operation: Operation,
    pub(super) granted: bool,
    pub(super) before: Option<RepoState>,
    pub(super) expected: Expected,
    /// What the first member saw; the others must see the same.
    pub(super) seen: Option<RepoState>,
    /// Whether the request had to be refused and was granted: then any difference is that one fault.
    pub(super) tainted: bool,
    /// Whether the request was changed on purpose: what it says may then not fit together.
    pub(super) altered: bool,
    /// Whether the request was sent before, word by word.
    pub(super) is_again: bool,
    /// Whether neither the version nor the envelope is the one that was written: then nothing else of the write is, either.
    pub(super) is_undone: bool,
    /// Whether nothing was amiss in the repository until then.
    pub(super) is_first: bool,
    /// Whether it was answered as a conflict.
    pub(super) is_conflict: bool,
    /// The status of its answer, where it was refused.
    pub(super) refusal: Option<u16>,
    /// Whether a member made it, under his own token.
    pub(super) is_of_member: bool,
    /// Whether several requests were made at once.
    pub(super) is_race: bool,
    /// Whether members are served different rosters at the same time.
    pub(super) is_split: bool,
    /// The case's name for the repository.
    pub(super) repo: Option<String>,
    /// The writes of the set-up, where this is the first look after it.
    pub(super) made_by: Option<Vec<Operation>>,
    /// What the write, or the create of the set-up, was answered with.
    pub(super) told: Option<Value>,
}

impl Audit {
    /// The audits of a write that was granted as it was asked for, and is neither the first of its kind nor one of several.
    pub(super) fn new(frame: &ParsedExchange<'_>, operation: Operation, expected: Expected) -> Audit {
        Audit {
            step: None,
            requirements: Vec::new(),
            operation,
            granted: true,
            before: None,
            expected,
            seen: None,
            tainted: false,
            altered: false,
            is_again: false,
            is_undone: false,
            is_first: true,
            is_conflict: false,
            refusal: None,
            is_of_member: false,
            is_race: false,
            is_split: false,
            repo: frame.exchange.repo.clone(),
            made_by: None,
            told: None,
        }
    }

    /// One member's look.
    pub(super) fn judge(&mut self, walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>) {
        if self.expected.anything && !self.is_known_member(walk, frame) {
            return;
        }
        if walk.token_refused(frame, self.step) {
            return;
        }
        let (name, sentence) = self.sentence();
        let base = self.basis();
        let finding = match (&frame.reading, &base) {
            (AnswerClass::Granted(body), Some(base)) => return self.compare(walk, frame, body, base),
            (AnswerClass::Granted(body), None) if self.expected.anything => {
                self.seen = RepoState::served(body);
                Finding::Holds
            }
            (AnswerClass::Granted(_), None) if frame.breach().is_some() => Finding::Unknown {
                reason: "what is served is no repository, which is a finding of its own".to_owned(),
                verdict: Verdict::Blocked,
            },
            (AnswerClass::Granted(_), None) => Finding::broken("the repository exists"),
            (reading, None)
                if reading.is(ExpectedAnswer::Status(404)) || reading.is(ExpectedAnswer::Status(403)) =>
            {
                Finding::Holds
            }
            (reading, None) => Finding::Unknown {
                reason: format!("{}: that says nothing of whether it exists", reading.describe()),
                verdict: Verdict::Blocked,
            },
            // A create that may not have been done, since it was given up.
            (reading, Some(_))
                if reading.is(ExpectedAnswer::Status(404)) && self.expected.states.contains(&None) =>
            {
                Finding::Holds
            }
            (reading, Some(_)) => return self.shut_out(walk, frame, reading),
        };
        let rule = match &finding {
            Finding::Broken { .. } if self.operation != Operation::CreateRepo => self.aliased(),
            Finding::Broken { .. } if !self.tainted => self.unwritten(walk),
            _ => self.requirements.clone(),
        };
        report(walk, frame, self.step, name, sentence, &rule, finding);
    }

    /// What it breaks that a repository is served that nobody created.
    fn aliased(&self) -> Vec<&'static str> {
        let mut own = self.requirements.iter().copied();
        let found = own.find(|id| ["AVP-4-01", "AVP-7-06"].contains(id));
        vec![found.unwrap_or("AVP-6-16")]
    }

    /// What it breaks that something is written of a request that was refused.
    fn unwritten(&self, walk: &Walk<'_, '_>) -> Vec<&'static str> {
        let one_of = |wanted: &[&'static str], or: &'static str| {
            let own = self.requirements.iter().copied();
            own.into_iter().find(|id| wanted.contains(id)).unwrap_or(or)
        };
        let is_create = self.operation == Operation::CreateRepo;
        let rule = match self.refusal {
            _ if is_create && self.before.is_some() => "AVP-6-02",
            _ if is_create && !self.requirements.iter().any(|id| MALFORMED.contains(id)) => {
                one_of(&["AVP-3-10", "AVP-3-11"], "AVP-6-01")
            }
            Some(401) => one_of(&["AVP-3-11"], "AVP-3-10"),
            Some(403) if is_create => "AVP-6-01",
            // To a member it says that he may not do this here, such as beyond a limit, and not that he is none.
            Some(403) if !self.is_of_member => one_of(&["AVP-10-03"], "AVP-6-15"),
            Some(404) => "AVP-6-16",
            Some(400..500) if walk.in_force("AVP-6-20") => "AVP-6-20",
            Some(_) => self.operation.rule(),
            None => return self.requirements.clone(),
        };
        vec![rule]
    }

    /// Whether somebody who was refused is a member, as far as that can be told where anything may be stored.
    fn is_known_member(&self, walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>) -> bool {
        let id = walk.member_id(frame.actor());
        let seen = self.seen.as_ref();
        frame.reading.granted().is_some() || seen.is_some_and(|seen| seen.member(&id).is_some())
    }

    /// A member who is not served at all: the write is to blame where nothing is there or nobody is let in, and else the pull.
    fn shut_out(&self, walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, reading: &AnswerClass) {
        let (name, sentence) = self.sentence();
        // Whether he still is one, nobody knows, where the write may or may not have been done.
        let id = walk.member_id(frame.actor());
        let states = &self.expected.states;
        let may_be_out = states.iter().flatten().any(|state| state.member(&id).is_none());
        if states.len() > 1 && !self.is_race && may_be_out {
            return;
        }
        let got = format!("{}, a member, cannot pull: {}", frame.actor(), reading.describe());
        let (rule, finding) = match reading.status() {
            _ if frame.breach().is_some() || walk.is_deviated(frame) => (
                self.requirements.clone(),
                Finding::Unknown {
                    reason: format!("{got}, which is a finding of its own"),
                    verdict: Verdict::Blocked,
                },
            ),
            Some(401) => (vec!["AVP-3-09"], Finding::broken(got)),
            Some(403 | 404) if self.is_race => (self.requirements.clone(), Finding::broken(got)),
            Some(301 | 302 | 307 | 308 | 400 | 403 | 404)
                if blame::is_escaped(frame) && !walk.was_served(frame) =>
            {
                (vec!["AVP-7-06"], Finding::broken(got))
            }
            Some(300..=399) => (vec!["AVP-6-22"], Finding::broken(got)),
            // Whether he was let in before, nothing shows.
            Some(403 | 404) if self.is_untold(walk, frame) => (
                self.requirements.clone(),
                Finding::Unknown {
                    reason: format!("{got}; whether he ever could, nothing shows"),
                    verdict: Verdict::Blocked,
                },
            ),
            Some(403 | 404) => (self.shut_out_by(walk, frame), Finding::broken(got)),
            _ if blame::is_no_http(reading) => (vec!["AVP-12-02"], Finding::broken(got)),
            _ if blame::is_missing_method(frame) => (vec!["AVP-11-01"], Finding::broken(got)),
            _ => (vec![Operation::Pull.rule()], Finding::broken(got)),
        };
        if matches!(reading.status(), Some(403 | 404)) {
            walk.mark(frame, Mark::DoubtfulRoster);
            walk.mark(frame, Mark::Deviated);
        }
        report(walk, frame, self.step, name, sentence, &rule, finding);
    }

    /// Whether it may be the refused write that shuts a member out, or what made him a member.
    fn is_untold(&self, walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>) -> bool {
        let is_new = !walk.was_served_to(frame) && !walk.is_creator(frame);
        is_new && !self.granted && self.made_by.is_none() && self.seen.is_none()
    }

    /// What it breaks that a member is let in nowhere: what made him a member, where he never was let in, and else the
    /// write that is looked at.
    fn shut_out_by(&self, walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>) -> Vec<&'static str> {
        let by_roster = matches!(self.operation, Operation::Push | Operation::RemoveMember);
        match (walk.was_served_to(frame), walk.is_creator(frame)) {
            (false, true) => vec![Operation::CreateRepo.rule()],
            (false, false) if self.granted && by_roster && self.made_by.is_none() => {
                let id = walk.member_id(frame.actor());
                let is_let_in = self
                    .before
                    .as_ref()
                    .is_some_and(|before| before.member(&id).is_none());
                match self.operation {
                    Operation::Push if is_let_in => vec!["AVP-6-10"],
                    operation => vec![operation.rule()],
                }
            }
            (false, false) => vec![Operation::AddMember.rule()],
            (true, _) if self.granted => vec![self.operation.rule()],
            (true, _) => self.unwritten(walk),
        }
    }

    /// What this look is held against: what the first one saw, or else what is expected.
    fn basis(&self) -> Option<RepoState> {
        if self.seen.is_some() {
            return self.seen.clone();
        }
        let first = self.expected.states.iter().flatten().next();
        first.or(self.before.as_ref()).cloned()
    }

    fn sentence(&self) -> (&'static str, String) {
        let after = if self.granted {
            "what was granted is stored"
        } else {
            "nothing is written"
        };
        (
            "stored",
            format!(
                "after {}, {after}, and every member sees it alike",
                self.operation
            ),
        )
    }

    fn compare(
        &mut self,
        walk: &mut Walk<'_, '_>,
        frame: &ParsedExchange<'_>,
        body: &Value,
        base: &RepoState,
    ) {
        let differences = walk.stale_or_altered(frame, self.differences(body), body);
        let (name, sentence) = self.sentence();
        let state: Vec<Difference> = differences
            .iter()
            .filter(|it| it.kind.is_state())
            .cloned()
            .collect();
        let requirements = self.requirements.clone();
        if self.tainted {
            let finding = broken(&differences, frame.actor());
            let requirements = match self.is_race {
                true => self.of_race(&state),
                false => requirements,
            };
            report(walk, frame, self.step, name, sentence, &requirements, finding);
            self.binds(walk, frame, body);
            self.growth(walk, frame, body);
            self.seen = base.observed(body).or(self.seen.take());
            return;
        }
        if state.is_empty() && differences.iter().all(|it| it.kind != Kind::Verbatim) {
            report(
                walk,
                frame,
                self.step,
                name,
                sentence.clone(),
                &requirements,
                Finding::Holds,
            );
        }
        if state.is_empty() {
            walk.mark_as_served(frame);
        }
        self.is_undone = state
            .iter()
            .any(|it| matches!(it.kind, Kind::Version | Kind::Envelope));
        let version = state.iter().find(|it| it.kind == Kind::Version);
        if version.is_some_and(|version| self.is_echo(walk, frame, version)) {
            walk.mark(frame, Mark::Echoing);
        }
        for (rule, of_rule) in grouped(state.clone(), |it| self.rule(walk, frame, it)) {
            let finding = answers::follow(!self.is_first, broken(&of_rule, frame.actor()));
            report(walk, frame, self.step, name, sentence.clone(), &rule, finding);
            walk.mark(frame, Mark::Deviated);
            if of_rule.iter().any(|it| it.kind == Kind::Members) {
                walk.mark(frame, Mark::DoubtfulRoster);
            }
            if self.altered && !self.granted {
                walk.taint(frame);
            }
        }
        // Of a request that was refused nothing is to be stored, in whatever form.
        if self.is_first && (self.granted || self.is_conflict || state.is_empty()) {
            aspects(
                walk,
                frame,
                base,
                self.operation,
                &differences,
                self.made_by.as_deref(),
            );
        }
        self.pull_rules(walk, frame, body);
        let removed = self.operation == Operation::RemoveMember && self.granted;
        if removed && !self.altered && !walk.is_spoilt(frame) {
            // What was bound to one version, or is spelt otherwise, cannot be decrypted.
            let is_sound =
                schema::base64_violations("PullResponse", body).is_empty() && !walk.is_altered(frame);
            if differences.is_empty() && self.expected.above.is_none() && is_sound {
                opens(walk, frame, body, self.step);
            }
            if state.is_empty() && self.is_first {
                self.shuts(walk, frame, body);
            }
        }
        self.seen = base.observed(body).or(self.seen.take());
    }

    /// Whatever a push had to be refused for, the version does not go back.
    fn growth(&self, walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, body: &Value) {
        let before = self.before.as_ref().filter(|_| self.operation == Operation::Push);
        let version = body.pointer("/manifest/payloadVersion").and_then(Value::as_i64);
        if let (Some(before), Some(version)) = (before, version)
            && version < before.version
        {
            let got = format!("version {version}, when it was {} before", before.version);
            let finding = Finding::broken_at("/manifest/payloadVersion", got);
            let sentence = "the version of a repository only grows";
            report(
                walk,
                frame,
                self.step,
                "growth",
                sentence,
                &["AVP-10-02"],
                finding,
            );
        }
    }

    /// What a difference of state breaks.
    fn rule(
        &self,
        walk: &Walk<'_, '_>,
        frame: &ParsedExchange<'_>,
        difference: &Difference,
    ) -> Vec<&'static str> {
        if difference.kind == Kind::Version && self.is_echo(walk, frame, difference) {
            return vec![Operation::Pull.rule()];
        }
        // Who is let in is a member, whatever roster is served.
        let is_let_in = difference
            .member
            .as_ref()
            .is_some_and(|id| walk.is_let_in(frame, id));
        let is_missing = difference.kind == Kind::Members && difference.pointer.ends_with("/members");
        if self.is_undone
            && difference.kind == Kind::Entry
            && self.granted
            && self.operation == Operation::Push
        {
            return vec![self.operation.rule()];
        }
        if walk.is(frame, Mark::Split) && difference.kind == Kind::Members || is_missing && is_let_in {
            return vec![Operation::Pull.rule()];
        }
        if let (Some(made_by), false) = (&self.made_by, self.is_split) {
            return vec![blame::set_up(walk, difference, made_by, self.told.as_ref())];
        }
        if self.is_race {
            return self.of_race(std::slice::from_ref(difference));
        }
        if self.is_split && difference.kind == Kind::Members {
            return vec![Operation::Pull.rule()];
        }
        if self.granted && self.expected.above.is_some() {
            return self.requirements.clone();
        }
        if self.granted {
            let before = self.before.as_ref();
            return vec![blame::granted(
                self.operation,
                difference,
                &self.requirements,
                (self.is_again, self.is_first),
                before,
            )];
        }
        let is_roster = matches!(difference.kind, Kind::Members | Kind::Entry);
        match (self.is_conflict, is_roster) {
            (true, true) => vec!["AVP-6-10"],
            (true, false) => vec!["AVP-6-08"],
            (false, _) => self.unwritten(walk),
        }
    }

    /// What differences after a race break. What is lost or stale gives nobody access.
    fn of_race(&self, differences: &[Difference]) -> Vec<&'static str> {
        let is_extra = |it: &Difference| it.kind == Kind::Members && !it.pointer.ends_with("/members");
        let mut rules = self.requirements.clone();
        if rules.len() > 1 && !differences.iter().any(is_extra) {
            rules.retain(|id| *id != "AVP-10-03");
        }
        rules
    }

    /// Whether a pull answers the version that it was told in place of the one that a create was answered with.
    fn is_echo(&self, walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>, difference: &Difference) -> bool {
        let known = frame.known();
        let is_known = difference.counters.is_some_and(|(_, seen)| Some(seen) == known);
        let is_create = self.operation == Operation::CreateRepo && self.granted;
        let is_back = !self.granted && difference.counters.is_some_and(|(wanted, seen)| seen < wanted);
        is_known && (is_create || is_back || walk.is(frame, Mark::Echoing))
    }

    /// An answer binds, whatever the request was: who was told that a version is applied must be served it.
    fn binds(&self, walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, body: &Value) {
        let told = self
            .told
            .as_ref()
            .and_then(|told| told.get("payloadVersion")?.as_i64());
        let served = body.pointer("/manifest/payloadVersion").and_then(Value::as_i64);
        if let (Operation::Push, Some(told), Some(served)) = (self.operation, told, served) {
            let finding = match told == served {
                true => return,
                false => Finding::broken_at(
                    "/manifest/payloadVersion",
                    format!("{served}, where the push was answered as applied with version {told}"),
                ),
            };
            let sentence = "what a push is answered as is what is served";
            let rule = [self.operation.rule()];
            report(walk, frame, self.step, "answer binds", sentence, &rule, finding);
        }
    }

    /// After a removal the wrapped key that a member was served before opens nothing that is served now.
    fn shuts(&self, walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, body: &Value) {
        let epoch = body.pointer("/manifest/keyEpoch").and_then(Value::as_i64);
        let before = self.before.as_ref().filter(|before| epoch > Some(before.epoch));
        let old = before.and_then(|before| before.member(&walk.member_id(frame.actor())));
        let (Some(old), Some((_, envelope))) = (old.and_then(wrapped_key), served(walk, frame, body)) else {
            return;
        };
        let finding = match open(walk, frame, &old, &envelope) {
            Err(_) => Finding::Holds,
            Ok(()) => Finding::broken_at("/envelope", "the key that the removed member holds opens it"),
        };
        let sentence = "after a removal the old wrapped key opens nothing that is served";
        let requirements = ["AVP-10-05"];
        report(
            walk,
            frame,
            self.step,
            "old key",
            sentence,
            &requirements,
            finding,
        );
    }

    /// The differences from the acceptable state that is nearest.
    fn differences(&self, body: &Value) -> Vec<Difference> {
        if let Some(seen) = &self.seen {
            let found = differences(seen, self.before.as_ref(), body);
            // When a request is done that got no answer, nobody knows: it may be between two looks.
            let may_be_late = !self.granted && !self.is_race && self.expected.states.len() > 1;
            let mut states = self.expected.states.iter().flatten();
            let is_late =
                may_be_late && states.any(|state| differences(state, self.before.as_ref(), body).is_empty());
            return if is_late { Vec::new() } else { found };
        }
        if self.expected.anything {
            return Vec::new();
        }
        let version = body.pointer("/manifest/payloadVersion").and_then(Value::as_i64);
        if let (Some(above), Some(version)) = (self.expected.above, version)
            && version > above
        {
            return Vec::new();
        }
        let candidates = self.expected.states.iter().flatten();
        let compared = candidates
            .filter(|state| self.is_as_told(state))
            .map(|state| differences(state, self.before.as_ref(), body));
        compared.min_by_key(Vec::len).unwrap_or_else(|| {
            let got = match self.expected.above {
                Some(above) => answers::not_above(version, above),
                None => "a repository where there is none".to_owned(),
            };
            vec![Difference::new(Kind::Version, "/manifest/payloadVersion", got)]
        })
    }

    /// Whether a state is one that the answer to a push tells of, where its epoch is that of one of them: whoever may move the
    /// epoch or leave it does what it said.
    fn is_as_told(&self, state: &RepoState) -> bool {
        let told = self.told.as_ref().filter(|_| self.operation == Operation::Push);
        let told = told.and_then(|told| told.get("keyEpoch")?.as_i64());
        let mut states = self.expected.states.iter().flatten();
        told.is_none_or(|told| state.epoch == told || !states.any(|state| state.epoch == told))
    }

    /// An audit asks with another version than the current one: the answer must bring the envelope.
    fn pull_rules(&self, walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, body: &Value) {
        if walk.is_deviated(frame) {
            return;
        }
        let known = frame.known();
        let current = body.pointer("/manifest/payloadVersion").and_then(Value::as_i64);
        if known != current {
            super::answers::changed(walk, frame, None, &["AVP-6-06"], body);
        }
    }
}

fn differences(expected: &RepoState, before: Option<&RepoState>, body: &Value) -> Vec<Difference> {
    let manifest = body.get("manifest").unwrap_or(&Value::Null);
    let mut differences = compare::manifest(expected, before, manifest, "/manifest");
    let old = before
        .map(|before| before.envelope.as_ref())
        .filter(|old| *old != expected.envelope.as_ref());
    if let Some(envelope) = body.get("envelope").filter(|envelope| envelope.is_object()) {
        differences.extend(compare::envelope(&expected.envelope, old, envelope, "/envelope"));
    }
    differences
}

/// Differences by what they break, in the order of the first of each.
pub(super) fn grouped(
    differences: Vec<Difference>,
    rule: impl Fn(&Difference) -> Vec<&'static str>,
) -> Vec<(Vec<&'static str>, Vec<Difference>)> {
    let mut groups: Vec<(Vec<&'static str>, Vec<Difference>)> = Vec::new();
    for difference in differences {
        let broken = rule(&difference);
        match groups.iter_mut().find(|(known, _)| *known == broken) {
            Some((_, group)) => group.push(difference),
            None => groups.push((broken, vec![difference])),
        }
    }
    groups
}

/// One finding of several differences.
pub(super) fn broken(differences: &[Difference], who: &str) -> Finding {
    let Some(first) = differences.first() else {
        return Finding::Holds;
    };
    let more = match differences.len() {
        1 => String::new(),
        many => format!(" (and {} more differences)", many - 1),
    };
    Finding::broken_at(
        &first.pointer,
        format!("{who} is served `{}`: {}{more}", first.pointer, first.got),
    )
}

/// The rules that hold for everything stored, whatever the case is about: verbatim bytes, policy, key binding.
pub(super) fn aspects(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    expected: &RepoState,
    operation: Operation,
    differences: &[Difference],
    made_by: Option<&[Operation]>,
) {
    let of = |kind: Kind| -> Vec<Difference> {
        differences
            .iter()
            .filter(|difference| difference.kind == kind)
            .cloned()
            .collect()
    };
    let told = walk.told(frame);
    let pull_drops_policy = walk.pull_drops_policy(frame);
    let served = frame.reading.granted().unwrap_or(&Value::Null);
    let has_policy = compare::has_policy(served.get("manifest").unwrap_or(served));
    // What was said of a value once is not said again, whatever comes of it later.
    let told_again = |walk: &mut Walk<'_, '_>, found: &[Difference]| {
        let fresh = found.iter().filter(|it| walk.is_new(frame, it)).count();
        fresh == 0 && !found.is_empty()
    };
    let (altered, policy, binding) = (of(Kind::Verbatim), of(Kind::Policy), of(Kind::Binding));
    let was_altered = told_again(walk, &altered);
    let was_dropped = told_again(walk, &policy);
    let was_unbound = told_again(walk, &binding);
    let mut note = |name: &'static str, rule: &'static str, sentence: &'static str, found: &[Difference]| {
        let finding = broken(found, frame.actor());
        report(walk, frame, None, name, sentence, &[rule], finding);
    };
    let verbatim = "envelopes, keys, scheme names and signatures are served byte for byte as they were sent";
    if !was_altered {
        note("verbatim", "AVP-4-01", verbatim, &altered);
    }
    let preserved = match (
        made_by,
        told.as_ref().and_then(|told| told.get("shareRefreshTokens")),
    ) {
        // The create told it rightly, so that an addition after it dropped it.
        _ if pull_drops_policy => "AVP-5.1-01",
        (Some(made_by), Some(Value::Bool(true))) if made_by.contains(&Operation::AddMember) => "AVP-5.1-03",
        (Some(_), _) => "AVP-5.1-01",
        (None, _) => blame::preserves_policy(operation),
    };
    // Who was given true and serves none dropped it; who serves true for anything else made it up.
    let sentence = "shareRefreshTokens stays what it was sent as";
    match (expected.policy, policy.is_empty()) {
        _ if was_dropped || !has_policy => {}
        (Some(true), true) => {
            note("policy", preserved, sentence, &[]);
            note("policy", "AVP-5.1-05", sentence, &[]);
        }
        (Some(true), false) => note("policy", preserved, sentence, &policy),
        (_, false) => note("policy", "AVP-5.1-05", sentence, &policy),
        (_, true) => {}
    }
    let bound = expected
        .members
        .iter()
        .any(|member| member.get("keyBindingSig").is_some_and(Value::is_string));
    if !was_unbound && (bound || !binding.is_empty()) {
        let sentence = "keyBindingSig is served as it was sent";
        let rule = match operation {
            Operation::FetchMemberKey => "AVP-6-14",
            _ => "AVP-9-01",
        };
        note("key binding", rule, sentence, &binding);
    }
    if !policy.is_empty() {
        walk.mark(frame, Mark::Deviated);
    }
}

/// After a removal: the keys that are served open what is served.
fn opens(walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, body: &Value, step: Option<usize>) {
    let Some((wrapped, envelope)) = served(walk, frame, body) else {
        return;
    };
    let finding = match open(walk, frame, &wrapped, &envelope) {
        Ok(()) => Finding::Holds,
        Err(error) => Finding::broken_at(
            "/envelope",
            format!(
                "{}'s served key does not open the served envelope: {error}",
                frame.actor()
            ),
        ),
    };
    let sentence = "after a removal the keys of those who stay open what is served";
    report(walk, frame, step, "decryption", sentence, &["AVP-10-05"], finding);
}

/// The wrapped key and the envelope that a member is served, where the key is under the scheme that the harness speaks.
fn served(
    walk: &Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    body: &Value,
) -> Option<(WrappedKey, EncryptedEnvelope)> {
    let id = walk.member_id(frame.actor());
    let entries = body.pointer("/manifest/members")?.as_array()?;
    let own = entries.iter().find(|entry| member_id(entry) == Some(&id))?;
    let envelope = serde_json::from_value(body.get("envelope")?.clone()).ok()?;
    Some((wrapped_key(own)?, envelope))
}

fn wrapped_key(entry: &Value) -> Option<WrappedKey> {
    let wrapped: WrappedKey = serde_json::from_value(entry.get("wrappedDataKey")?.clone()).ok()?;
    (wrapped.scheme_id == DEFAULT_SCHEME).then_some(wrapped)
}

fn open(
    walk: &Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    wrapped: &WrappedKey,
    envelope: &EncryptedEnvelope,
) -> Result<(), OpenError> {
    let key = walk.cast.identity(frame.actor()).unwrap_key(wrapped)?;
    open_payload(&DataKey::from_bytes(key), envelope).map(|_| ())
}
