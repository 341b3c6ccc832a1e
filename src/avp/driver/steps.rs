//! Set-up and steps, one after the other.

use std::time::Duration;

use serde_json::Value;

use super::draft::{Content, Draft, path};
use super::read_back::{Readers, Sight};
use super::throttle::{Demand, is_told_limit};
use super::world::Redeemed;
use super::{CaseResult, Driver, jwt, mutate, now_ms, requests, world};
use crate::avp::Operation;
use crate::avp::cases::model::{Create, Repo, Step, Stored as StoredWords, Wait};
use crate::avp::cases::{Action, NonceSource, TokenForm};
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::{RepoState, member_id};
use crate::http::{Answer, Over, Role};
use crate::json;
use crate::keys::SignatureForm;
use crate::record::Stopped;
use crate::text::{encode_segment, swap_case};

/// A nonce lives two minutes or less; so much later it is gone.
const NONCE_LIFETIME: Duration = Duration::from_secs(125);
/// How long a run waits for a token to expire, and how long under `--slow`.
const TOKEN_PATIENCE: Duration = Duration::from_secs(6);
const TOKEN_PATIENCE_SLOW: Duration = Duration::from_secs(150);
/// How long after its `expiresAt` a token is tried: clocks differ by a little.
const CLOCK_MARGIN_MS: i64 = 1_500;

impl Driver<'_> {
    /// Logs everybody in and makes the repositories of the case.
    pub(super) async fn set_up(&mut self) -> CaseResult<()> {
        let case = &self.case.case;
        for name in world::cast(case) {
            self.ensure_token(&name).await?;
        }
        if let Some(id) = &case.nowhere {
            let style = Create {
                id: Some(id.clone()),
                ..Default::default()
            };
            self.world.repo("nowhere", &style);
        }
        for (name, repo) in [("repo", &case.repo), ("other", &case.other)] {
            if let Some(repo) = repo {
                self.make_repo(name, repo).await?;
                self.look_once(name, &repo.by).await?;
            }
        }
        Ok(())
    }

    /// What the set-up left behind: whatever is wrong with it is no step's fault. And a case that neither pulls nor writes
    /// would prove nothing: nobody would see that the target remembers anything.
    async fn look_once(&mut self, repo: &str, creator: &str) -> CaseResult<()> {
        match self.case.case.steps.iter().all(|step| step.get_ref().is_race()) {
            // Each round of a race has a repository of its own.
            true => Ok(()),
            false => self.audit(repo, creator, Readers::All, 0).await,
        }
    }

    async fn make_repo(&mut self, name: &str, repo: &Repo) -> CaseResult<()> {
        self.set_up_write(name, &repo.by, Action::Create(&repo.with))
            .await?;
        for member in repo.members.iter().filter(|member| **member != repo.by) {
            let add = crate::avp::cases::model::AddMember {
                member: member.clone(),
                other_keys: false,
                same_entry: false,
                bound: repo.with.bound,
                again: false,
            };
            self.set_up_write(name, &repo.by, Action::AddMember(&add)).await?;
        }
        Ok(())
    }

    /// A write that the case takes for granted.
    pub(super) async fn set_up_write(
        &mut self,
        repo: &str,
        actor: &str,
        action: Action<'_>,
    ) -> CaseResult<()> {
        let Some(draft) = self.valid_draft(actor, repo, action) else {
            return Ok(());
        };
        self.measure_demand(actor, repo, &draft);
        let reading = self.exchange(&draft, actor, Some(repo), Role::Setup, 0).await?;
        self.heed_limit()?;
        self.apply(actor, repo, &draft, &reading);
        match reading {
            AnswerClass::Granted(_) => Ok(()),
            other => {
                let operation = draft.operation.map_or("the set-up", Operation::name);
                Err(self.talk.blocked(format!(
                    "{operation} by {actor} was not granted: {}",
                    other.describe()
                )))
            }
        }
    }

    pub(super) async fn run_step(&mut self, index: usize) -> CaseResult<()> {
        let step = self.case.step(index);
        self.talk.connections.keep_after_error(step.keep_connection);
        self.step_wire = step.over.unwrap_or_default();
        match step.action() {
            Action::Wait(wait) => return self.wait(step, wait).await,
            Action::Transport(_) => return Ok(()),
            _ if step.is_race() => return self.race(step, index).await,
            action if step.meanwhile.is_some() => return self.held(step, index, action).await,
            Action::Redeem(redeem) => {
                let forms = if redeem.sign.is_empty() {
                    vec![SignatureForm::Valid]
                } else {
                    redeem.sign.to_vec()
                };
                let name = step.actor_names()[0];
                for (round, form) in forms.into_iter().enumerate() {
                    // Each request has a nonce of its own: one that was refused may be used up.
                    let (mut at, mut count) = (0, 1);
                    while at < count {
                        let draft = self.redeem_draft(name, redeem, form).await?;
                        let drafts = mutate::variants(&mut self.world, step.with.as_ref(), &step.repo, draft);
                        let drafts = self.sayable(drafts)?;
                        count = drafts.len();
                        if let Some(draft) = drafts.into_iter().nth(at) {
                            self.run_variant(step, index, name, &step.repo, draft, round + at, false)
                                .await?;
                        }
                        at += 1;
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        let name = step.actor_names()[0].to_owned();
        let mut repo = self.good_repo(&step.repo).await?;
        let drafts = self.drafts(step, &name, &repo);
        let mut drafts = self.sayable(drafts)?.into_iter();
        let mut round = 0;
        while let Some(draft) = drafts.next() {
            let is_last = drafts.len() == 0;
            let changed = self
                .run_variant(step, index, &name, &repo, draft, round, is_last)
                .await?;
            round += 1;
            // The other requests were made for another version, or for a repository that is of no use any more.
            if changed && !is_last {
                repo = self.good_repo(&step.repo).await?;
                let again = self.drafts(step, &name, &repo);
                drafts = self.sayable(again)?.into_iter();
                drafts.by_ref().take(round).for_each(drop);
            }
        }
        Ok(())
    }

    /// The repository that a step means by a name. Where the one of that name holds what should have been refused, a fresh
    /// one takes its place: of the same members, and made in the same way.
    async fn good_repo(&mut self, name: &str) -> CaseResult<String> {
        let current = self.world.current(name);
        let Some(good) = self.spent.remove(&current) else {
            return Ok(current);
        };
        let (style, creator) = {
            let repo = self.world.known_repo(&current);
            (repo.style.clone(), repo.creator.clone())
        };
        let fresh = self.world.replace(name);
        let Some(good) = good else { return Ok(fresh) };
        let ids = good.members.iter().filter_map(|entry| member_id(entry));
        let members: Vec<String> = ids
            .filter_map(|id| self.world.name_of(id))
            .map(str::to_owned)
            .collect();
        let creator = creator.filter(|creator| members.contains(creator));
        if let Some(by) = creator.or_else(|| members.first().cloned()) {
            let with = Create {
                members: None,
                ..style
            };
            self.make_repo(&fresh, &Repo { by, members, with }).await?;
        }
        Ok(fresh)
    }

    /// The requests of a step that is neither a race nor a redemption.
    fn drafts(&mut self, step: &Step, name: &str, repo: &str) -> Vec<Draft> {
        let valid = match step.action() {
            Action::Challenge(challenge) => {
                let drafts = self.challenge_drafts(name, challenge);
                let spoil = |draft| mutate::variants(&mut self.world, step.with.as_ref(), repo, draft);
                return drafts.into_iter().flat_map(spoil).collect();
            }
            Action::Request(request) => {
                let id = encode_segment(&self.world.ensure_repo(repo).id);
                let path = request
                    .path
                    .split('/')
                    .map(|segment| match segment.starts_with("{id:") {
                        true => encode_segment(&mutate::fill_text(&mut self.world, segment)),
                        false => segment.replace("{repo}", &id),
                    });
                let path = path.collect::<Vec<_>>().join("/");
                let mut draft = Draft::new(Operation::Pull, path, None);
                draft.operation = None;
                draft.method.clone_from(&request.method);
                if let Some(body) = &request.body {
                    draft.headers.push(super::draft::json_type());
                    draft.content = Some(Content::Bytes(body.clone().into_bytes()));
                }
                Some(draft)
            }
            action => self.valid_draft(name, repo, action),
        };
        let Some(valid) = valid else { return Vec::new() };
        mutate::variants(&mut self.world, step.with.as_ref(), repo, valid)
    }

    /// The valid request of an operation of the route table.
    pub(super) fn valid_draft(&mut self, actor: &str, repo: &str, action: Action<'_>) -> Option<Draft> {
        let operation = action.operation()?;
        let body = requests::body(&mut self.world, actor, repo, action);
        let member = match action {
            Action::FetchMember(fetch) => Some(fetch.member.as_str()),
            _ => None,
        };
        let path = path(&mut self.world, operation, repo, member);
        Some(Draft::new(operation, path, body))
    }

    /// One request of a step, what it changes, and the audit behind it. Says whether it changed something, or spoilt the
    /// repository for the requests after it.
    #[expect(
        clippy::too_many_arguments,
        reason = "one request of a sweep, and its place in it"
    )]
    async fn run_variant(
        &mut self,
        step: &Step,
        index: usize,
        name: &str,
        repo: &str,
        draft: Draft,
        round: usize,
        last: bool,
    ) -> CaseResult<bool> {
        let repo = self.repo_of(step, &draft, repo);
        let before = self.world.stored(&repo).cloned();
        self.measure_demand(name, &repo, &draft);
        let on_vault = draft.operation.is_some_and(Operation::needs_token);
        let reading = self
            .exchange(&draft, name, on_vault.then_some(repo.as_str()), Role::Step, round)
            .await?;
        if draft.operation == Some(Operation::Token) {
            self.keep_token_of(step, name, &draft, &reading);
        }
        if draft.operation == Some(Operation::Challenge) && draft.spoiled.is_none() {
            let nonce = reading
                .granted()
                .and_then(|body| body.get("nonce"))
                .and_then(Value::as_str);
            self.world.actor(name).nonce = nonce.map(str::to_owned);
        }
        self.check_answer(step, index, &reading)?;
        self.apply(name, &repo, &draft, &reading);
        // With a token that is over on purpose nobody can look.
        if !draft.operation.is_some_and(Operation::writes) || self.keep_tokens {
            return Ok(false);
        }
        let granted = reading.granted().is_some();
        let eyes = if last || granted {
            Readers::All
        } else {
            Readers::One(round)
        };
        let sight = self.survey(&repo, name, eyes, round).await?;
        let is_spent = draft.spoiled.is_some()
            && match granted {
                true => !last || step.is_to_be_refused(),
                false => sight != Sight::AsKnown,
            };
        match is_spent {
            true => _ = self.spent.insert(repo, before),
            false => self.build_on(sight)?,
        }
        Ok(granted || is_spent)
    }

    /// The repository that a request concerns, of the one that the step is about: the path decides.
    fn repo_of(&self, step: &Step, draft: &Draft, repo: &str) -> String {
        let other = step.with.as_ref().and_then(|with| with.path_repo.as_ref());
        match (draft.operation, other) {
            (Some(Operation::CreateRepo) | None, _) | (_, None) => repo.to_owned(),
            (Some(_), Some(other)) => self.world.current(other),
        }
    }

    /// A token that was granted is the actor's from then on, unless it was got with somebody else's key or a bad signature.
    fn keep_token_of(&mut self, step: &Step, name: &str, draft: &Draft, reading: &AnswerClass) {
        let own = self.world.member_id(name);
        let presented = draft
            .json()
            .and_then(|body| body.get("ed25519PublicKey"))
            .and_then(Value::as_str);
        let with_anothers_nonce = matches!(
            step.action(),
            Action::Redeem(redeem) if redeem.sign.is_empty()
                && redeem.signer.is_none()
                && matches!(redeem.nonce, Some(NonceSource::Of(_)))
        );
        if presented == Some(&own) && (draft.spoiled.is_none() || with_anothers_nonce) {
            let sent = |member: &str| draft.json()?.get(member)?.as_str().map(str::to_owned);
            let used = sent("nonce").zip(sent("signature"));
            if self.keep_token(name, reading) {
                self.world.actor(name).used = used.map(|(nonce, signature)| Redeemed { nonce, signature });
            }
        }
    }

    /// Whether the case can go on after an answer.
    pub(super) fn check_answer(&self, step: &Step, index: usize, reading: &AnswerClass) -> CaseResult<()> {
        if let Some(word) = step.not_offered.iter().find(|word| reading.is(**word)) {
            let reason = format!("the target does not offer it: it answered {word}");
            return Err(self.talk.not_applicable(reason));
        }
        if step.advice.is_some() {
            return Ok(());
        }
        let words = step.words();
        if words.iter().any(|word| reading.is(*word)) {
            return Ok(());
        }
        if words.iter().all(|word| word.is_refusal()) {
            // Of two reasons to refuse, the limit may have come first.
            return match self.last_answer().filter(|last| self.demand.meets_limit(last)) {
                Some(last) => Err(self.limited(last.status)),
                None => Ok(()),
            };
        }
        self.heed_limit()?;
        // Where the answer was to change nothing, the steps behind it need nothing of it.
        if *step.stored == [StoredWords::Unchanged] && reading.granted().is_none() {
            return Ok(());
        }
        if index + 1 < self.case.case.steps.len() && !words.iter().any(|word| word.is_refusal()) {
            let reason = format!(
                "step {} was to be {}, but came back: {}",
                index + 1,
                words[0],
                reading.describe()
            );
            return Err(Stopped {
                step: Some(index + 1),
                ..self.talk.blocked(reason)
            });
        }
        Ok(())
    }

    /// Ends the case where the last request asked for more than a limit of the target's allows.
    pub(super) fn heed_limit(&self) -> CaseResult<()> {
        match self.last_answer() {
            Some(last) if self.demand.meets_limit(last) => Err(self.limited(last.status)),
            Some(last) if self.demand.repos > 0 && is_told_limit(last) => Err(self.full(last.status)),
            _ => Ok(()),
        }
    }

    /// The answer to the last request, if one came.
    fn last_answer(&self) -> Option<&Answer> {
        self.talk.transcript.exchanges.last()?.outcome.answer()
    }

    /// More than the target offers was asked for.
    pub(super) fn limited(&self, status: u16) -> Stopped {
        let reason = format!("the server's own limit refused the request first: status {status}");
        self.talk.not_applicable(reason)
    }

    /// Not even an ordinary repository is to be had: the target may be right, but there is nothing to judge.
    pub(super) fn full(&self, status: u16) -> Stopped {
        let reason = format!(
            "the target refuses an ordinary repository, for a limit or policy of its own (status {status}): \
             start it afresh, or raise the limit"
        );
        self.talk.error(reason)
    }

    /// Notes what a request asks for beyond the ordinary.
    pub(super) fn measure_demand(&mut self, who: &str, repo: &str, draft: &Draft) {
        let creates = draft.operation == Some(Operation::CreateRepo);
        let stored = self.world.stored(repo);
        let (before, after) = (
            stored.map_or(0, |stored| stored.members.len()),
            members_after(stored, draft),
        );
        let repos = if creates {
            self.world.created_by(who) + 1
        } else {
            0
        };
        let known = self.world.ensure_repo(repo);
        let odd = |c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c);
        self.demand = Demand {
            body: draft.content.as_ref().map_or(0, Content::size),
            members: if after > before { after } else { 0 },
            repos,
            id: known.id.chars().count(),
            is_crowded: creates && after > 1,
            is_odd: creates && (known.id.contains(odd) || known.style.scheme.is_some()),
        };
    }

    /// Writes down what a granted request changed.
    pub(super) fn apply(&mut self, who: &str, repo: &str, draft: &Draft, reading: &AnswerClass) {
        let (Some(operation), Some(content), AnswerClass::Granted(_)) =
            (draft.operation, &draft.content, reading)
        else {
            return;
        };
        let read;
        let request = match content {
            Content::Json(request) => request,
            Content::Bytes(bytes) => {
                read = json::first(bytes).unwrap_or_default();
                &read
            }
        };
        let repo = self.world.ensure_repo(repo);
        if let Some(next) = RepoState::after(operation, repo.stored.as_ref(), request) {
            repo.stored = Some(next);
            repo.creator.get_or_insert_with(|| who.to_owned());
        }
    }

    pub(super) async fn wait(&mut self, step: &Step, wait: Wait) -> CaseResult<()> {
        let began = std::time::Instant::now();
        let _away = self.target.patience.concurrency().leave();
        self.wait_for(step, wait).await?;
        self.talk.excuse(began.elapsed());
        Ok(())
    }

    async fn wait_for(&mut self, step: &Step, wait: Wait) -> CaseResult<()> {
        match wait {
            Wait::NonceExpiry => tokio::time::sleep(NONCE_LIFETIME).await,
            Wait::TokenHalfLife | Wait::TokenExpiry => {
                let token = self.world.actor(step.actor_names()[0]).token.clone();
                if token.as_ref().is_some_and(|token| token.lifetime.most <= 0) {
                    let reason = "by its `expiresAt` the token was over when it was issued, which is a finding of its own";
                    return Err(self.talk.blocked(reason));
                }
                if token.as_ref().is_some_and(|token| !token.lifetime.is_certain) {
                    let reason =
                        "the target's answers have no Date, so nobody can tell what time it is there";
                    return Err(self.talk.not_applicable(reason));
                }
                let over = token.map_or(i64::MAX, |token| {
                    token.issued_at.saturating_add(token.lifetime.most)
                });
                let left = over.saturating_add(CLOCK_MARGIN_MS).saturating_sub(now_ms());
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                let patience = if self.target.slow {
                    TOKEN_PATIENCE_SLOW
                } else {
                    TOKEN_PATIENCE
                };
                if left > patience {
                    let reason = format!(
                        "the token lives longer than the {} s that this run waits",
                        patience.as_secs()
                    );
                    return Err(self.talk.not_applicable(reason));
                }
                self.keep_tokens = true;
                let part = if wait == Wait::TokenHalfLife { 2 } else { 1 };
                tokio::time::sleep(left / part).await;
            }
        }
        Ok(())
    }

    /// A token that another server issued to the actor's key, and how it is shown.
    pub(super) async fn foreign_token(&mut self, name: &str) -> CaseResult<(String, String)> {
        let Some(foreign) = &self.target.foreign else {
            return Err(self.talk.error("no second server to get a token from"));
        };
        let lane = std::mem::replace(&mut self.talk.connections, foreign.lane());
        let over = std::mem::replace(&mut self.over, Over::Http);
        let own = self.world.actor(name).token.take();
        let kept = self.talk.transcript.exchanges.len();
        let result = self.own_token(name).await;
        // What passed between the harness and its own second server is no exchange with the target.
        self.talk.transcript.truncate(kept);
        self.talk.connections = lane;
        self.over = over;
        self.world.actor(name).token = own;
        result
    }
}

/// How many members a repository has once a request is granted.
fn members_after(stored: Option<&RepoState>, draft: &Draft) -> usize {
    let body = draft.json();
    let known = |id: &str| stored.is_some_and(|stored| stored.member(id).is_some());
    let added = body.and_then(|body| body.pointer("/member/ed25519PublicKey")?.as_str());
    let roster = |pointer: &str| {
        body.and_then(|body| body.pointer(pointer)?.as_array())
            .map(Vec::len)
    };
    let rosters = ["/rotatedMembers", "/rewrappedMembers", "/manifest/members"]
        .into_iter()
        .find_map(roster);
    let members = stored.map_or(0, |stored| stored.members.len());
    rosters.unwrap_or(members + usize::from(added.is_some_and(|id| !known(id))))
}

/// The value of the `Authorization` header for a spoiled token; none where there is no header.
pub(in crate::avp) fn authorization(form: &TokenForm, own: &str, member_id: &str) -> Option<String> {
    let half = own.len() / 2;
    // Never the other case of the same letter: that is a form of its own, and another bug's.
    let flip = |c: char| if c.eq_ignore_ascii_case(&'x') { 'y' } else { 'x' };
    let token = match form {
        TokenForm::None | TokenForm::InQuery | TokenForm::InMetadata => return None,
        TokenForm::Empty => return Some("Bearer ".to_owned()),
        TokenForm::Basic => return Some(format!("Basic {own}")),
        TokenForm::Digest => return Some(format!("Digest {own}")),
        TokenForm::Glued => return Some(format!("Bearer{own}")),
        TokenForm::NoScheme => own.to_owned(),
        TokenForm::Trailed => format!("{own} and-more"),
        TokenForm::Preceded => format!("at-first {own}"),
        TokenForm::WithAPart => format!("{own}.x"),
        TokenForm::MemberId => member_id.to_owned(),
        TokenForm::Unsigned => jwt::unsigned(member_id, now_ms()),
        TokenForm::Garbage | TokenForm::GarbageTwice => {
            "Z2FyYmFnZS1nYXJiYWdlLWdhcmJhZ2UtZ2FyYmFnZQ".to_owned()
        }
        TokenForm::Truncated => own.chars().take(own.chars().count().saturating_sub(1)).collect(),
        TokenForm::Extended => format!("{own}x"),
        TokenForm::Altered => own
            .char_indices()
            .map(|(at, c)| if at == half { flip(c) } else { c })
            .collect(),
        TokenForm::LastAltered => alter_last(own),
        TokenForm::Prefix => own
            .char_indices()
            .map(|(at, c)| if at < half { c } else { flip(c) })
            .collect(),
        // A token without letters is spoiled in another way: as it is, it would be a good one.
        TokenForm::CaseSwapped if own.chars().all(|c| !c.is_ascii_alphabetic()) => format!("{own}x"),
        TokenForm::CaseSwapped => own.chars().map(swap_case).collect(),
        TokenForm::OtherServer | TokenForm::Forged(_) | TokenForm::Of(_) | TokenForm::Earlier => {
            own.to_owned()
        }
    };
    match form {
        TokenForm::NoScheme => Some(token),
        _ => Some(format!("Bearer {token}")),
    }
}

/// The token with its last character changed so that its last byte changes as well, where it is base64: the low bits of a
/// last character may be padding, which decoders are free to ignore.
fn alter_last(own: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let end = own.trim_end_matches('=').len();
    let (head, padding) = own.split_at(end);
    let mut head: Vec<char> = head.chars().collect();
    if let Some(last) = head.last_mut() {
        let place = ALPHABET.chars().position(|c| c == *last);
        let other = place.and_then(|place| ALPHABET.chars().nth(place ^ 32));
        *last = other.unwrap_or('x');
    }
    head.into_iter().chain(padding.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_altered_in_more_than_the_case_of_its_letters() {
        for own in ["aaXaa", "aaxaa", "XXXXX", "aayaa", "AAAAA", "a-_09"] {
            for form in [TokenForm::Altered, TokenForm::LastAltered, TokenForm::Prefix] {
                let field = authorization(&form, own, "").unwrap();
                let token = field.strip_prefix("Bearer ").unwrap();
                assert_eq!(token.len(), own.len(), "{form} of {own}");
                assert!(!token.eq_ignore_ascii_case(own), "{form} of {own}: {token}");
            }
        }
    }
}
