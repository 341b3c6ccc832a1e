//! Logging in, and the many wrong ways to try it.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::draft::{Draft, Mask};
use super::lifetime::Lifetime;
use super::world::{Redeemed, Token, World};
use super::{CaseResult, Driver, ExchangeMeta};
use crate::avp::cases::NonceSource;
use crate::avp::cases::model::{Challenge, KeyForm, Redeem};
use crate::avp::outcome::AnswerClass;
use crate::avp::{IDP, Operation};
use crate::http::Role;
use crate::keys;
use crate::keys::SignatureForm;
use crate::text::swap_case;

/// What is written down of a redemption whose signature is that of the login before it.
pub(in crate::avp) const EARLIER_SIGNATURE: &str = "signed at the login before, and not again";

impl Driver<'_> {
    /// Logs an actor in, unless it holds a token that is good for a while yet.
    pub(super) async fn ensure_token(&mut self, name: &str) -> CaseResult<()> {
        let now = super::now_ms();
        let usable = |token: &Token| self.keep_tokens || !token.lifetime.is_stale(now - token.issued_at);
        if self.world.actor(name).token.as_ref().is_some_and(usable) {
            return Ok(());
        }
        let mut reading = self.log_in(name).await?;
        // A nonce may live for seconds, and so run out while a rate limit is waited out.
        for _ in 0..2 {
            let waited = self.talk.transcript.exchanges.iter().rev().nth(1);
            let waited = waited.is_some_and(|exchange| exchange.role == Role::Throttled);
            if reading.status() != Some(401) || !waited {
                break;
            }
            if let Some(last) = self.talk.transcript.exchanges.last_mut() {
                last.role = Role::Throttled;
            }
            reading = self.log_in(name).await?;
        }
        if reading.granted().is_some() && self.world.actor(name).token.is_some() {
            return Ok(());
        }
        Err(self.talk.blocked(got_no(name, "token", &reading)))
    }

    /// Asks for a nonce and redeems it. The token is the actor's from then on, if one came.
    async fn log_in(&mut self, name: &str) -> CaseResult<AnswerClass> {
        let actor = self.world.actor(name);
        if let Some(before) = actor.token.take() {
            actor.earlier = Some(before);
        }
        let nonce = self.fresh_nonce(name).await?;
        let identity = &self.world.actor(name).identity;
        let signature = keys::sign_nonce(identity, &nonce, SignatureForm::Valid).map_err(|error| {
            self.talk
                .blocked(format!("{name} cannot sign the nonce: {error}"))
        })?;
        let body = token_body(identity.member_id(), &nonce, &signature);
        let draft = Draft::new(Operation::Token, Operation::Token.path("", ""), Some(body));
        let reading = self.without_token(&draft, name).await?;
        if self.keep_token(name, &reading) {
            self.world.actor(name).used = Some(Redeemed { nonce, signature });
        }
        Ok(reading)
    }

    /// A nonce that was just issued to an actor.
    pub(super) async fn fresh_nonce(&mut self, name: &str) -> CaseResult<String> {
        let draft = challenge_draft(&self.world.member_id(name));
        let reading = self.without_token(&draft, name).await?;
        let nonce = reading
            .granted()
            .and_then(|body| body.get("nonce"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        self.world.actor(name).nonce.clone_from(&nonce);
        nonce.ok_or_else(|| self.talk.blocked(got_no(name, "nonce", &reading)))
    }

    /// A request of the set-up to the identity provider.
    async fn without_token(&mut self, draft: &Draft, who: &str) -> CaseResult<AnswerClass> {
        let errand = ExchangeMeta {
            draft,
            who,
            repo: None,
            role: Role::Setup,
            round: 0,
        };
        self.transact(errand, self.finished(draft, None), Mask::Nothing)
            .await
    }

    /// Remembers the token of an answer. False where there is none.
    pub(super) fn keep_token(&mut self, name: &str, reading: &AnswerClass) -> bool {
        let Some(body) = reading.granted() else {
            return false;
        };
        let Some(text) = body
            .get("token")
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
        else {
            return false;
        };
        let issued_at = super::now_ms();
        let expires_at = body.get("expiresAt").and_then(Value::as_i64).unwrap_or(i64::MAX);
        let last = self.talk.transcript.exchanges.last();
        let date = last.and_then(|exchange| exchange.outcome.answer()?.date_ms());
        let is_local = self.target.client.endpoint(&IDP).is_loopback();
        self.secrets.token(name, text);
        let token = Token {
            text: text.to_owned(),
            issued_at,
            lifetime: Lifetime::new(expires_at, issued_at, date, is_local),
        };
        let actor = self.world.actor(name);
        if let Some(before) = actor.token.replace(token) {
            actor.earlier = Some(before);
        }
        true
    }

    /// Whether the token of an actor may have run out by now, other than on purpose.
    pub(super) fn may_have_run_out(&mut self, name: &str) -> bool {
        let now = super::now_ms();
        let over = |token: &Token| token.lifetime.may_be_over(now - token.issued_at);
        !self.keep_tokens && self.world.actor(name).token.as_ref().is_some_and(over)
    }

    /// The requests of a challenge step.
    pub(super) fn challenge_drafts(&mut self, name: &str, challenge: &Challenge) -> Vec<Draft> {
        let valid = challenge_draft(&self.world.member_id(name));
        if challenge.key.is_empty() {
            return vec![valid; challenge.times.unwrap_or(1)];
        }
        let with_key = |form: &KeyForm| {
            let (key, about) = key_of(&mut self.world, *form);
            let mut draft = challenge_draft(&key);
            draft.spoil(about);
            draft
        };
        challenge.key.iter().map(with_key).collect()
    }

    /// The request of a redeem step with one form of signature. Asks for the nonce it needs.
    pub(super) async fn redeem_draft(
        &mut self,
        name: &str,
        redeem: &Redeem,
        form: SignatureForm,
    ) -> CaseResult<Draft> {
        if redeem.forged_small_order {
            return self.forged_draft(name).await;
        }
        let presented = redeem.key.as_deref().unwrap_or(name);
        let signer = redeem.signer.as_deref().unwrap_or(name);
        let mut spoils = Vec::new();
        let nonce = match redeem.nonce.as_ref().unwrap_or(&NonceSource::Fresh) {
            NonceSource::Fresh => self.fresh_nonce(presented).await?,
            NonceSource::Last => {
                let last = self.world.actor(name).nonce.clone();
                last.ok_or_else(|| self.talk.blocked(format!("{name} was never given a nonce")))?
            }
            // The signature is over the bytes, however the text is spelt.
            NonceSource::Used | NonceSource::UsedWrapped | NonceSource::UsedUnpadded => {
                self.redeemed(name)?.nonce
            }
            NonceSource::UsedOf(other) => {
                spoils.push(format!("{other} has logged in with the nonce"));
                self.redeemed(other)?.nonce
            }
            NonceSource::Invented => {
                spoils.push("a nonce that was never issued".to_owned());
                BASE64_STANDARD.encode(self.world.draw("invented-nonce"))
            }
            altered @ (NonceSource::AlteredHead | NonceSource::AlteredTail) => {
                let fresh = self.fresh_nonce(presented).await?;
                let (nonce, which) = alter(&fresh, altered == &NonceSource::AlteredHead);
                spoils.push(format!("a nonce that was issued, with its {which} byte changed"));
                nonce
            }
            NonceSource::AlteredCase => {
                let fresh = self.fresh_nonce(presented).await?;
                spoils.push("a nonce that was issued, with its letters in the other case".to_owned());
                in_other_case(&fresh)
            }
            NonceSource::Of(other) => {
                spoils.push(format!("the nonce was issued to {other}"));
                self.fresh_nonce(other).await?
            }
        };
        if presented != name {
            spoils.push(format!("the key presented is that of {presented}"));
        }
        if signer != presented {
            spoils.push(format!("signed by {signer}"));
        }
        if form != SignatureForm::Valid {
            spoils.push(format!("signature: {}", form));
        }
        let signature = if redeem.earlier_signature {
            spoils.push(EARLIER_SIGNATURE.to_owned());
            self.redeemed(name)?.signature
        } else {
            keys::sign_nonce(&self.world.actor(signer).identity, &nonce, form).map_err(|error| {
                self.talk
                    .blocked(format!("{signer} cannot sign the nonce: {error}"))
            })?
        };
        let size = BASE64_STANDARD.decode(&nonce).map_or(0, |bytes| bytes.len());
        if form == SignatureForm::OverHead && size <= 32 {
            let reason = format!("a nonce carries {size} bytes here, so that its head is all of it");
            return Err(self.talk.not_applicable(reason));
        }
        // Whatever becomes of the body, its signature is one.
        self.secrets.signature(&signature);
        let nonce = match &redeem.nonce {
            Some(NonceSource::UsedWrapped) => {
                spoils.push("the nonce has a line break in its base64".to_owned());
                format!("{}\n{}", &nonce[..4], &nonce[4..])
            }
            Some(NonceSource::UsedUnpadded) => {
                spoils.push("the nonce has no padding".to_owned());
                nonce.trim_end_matches('=').to_owned()
            }
            _ => nonce,
        };
        let body = token_body(&self.world.member_id(presented), &nonce, &signature);
        let mut draft = Draft::new(Operation::Token, Operation::Token.path("", ""), Some(body));
        spoils.into_iter().for_each(|how| draft.spoil(how));
        Ok(draft)
    }

    /// The nonce with which an actor logged in last, and its signature.
    fn redeemed(&mut self, name: &str) -> CaseResult<Redeemed> {
        let used = self.world.actor(name).used.clone();
        used.filter(|used| used.nonce.is_ascii() && used.nonce.len() > 4)
            .ok_or_else(|| {
                self.talk
                    .blocked(format!("{name} has not logged in with a nonce"))
            })
    }

    /// A redemption under a key of small order, with a signature that a lax verifier takes for any message.
    async fn forged_draft(&mut self, name: &str) -> CaseResult<Draft> {
        let weak = weak_key();
        let draft = challenge_draft(weak);
        let reading = self.without_token(&draft, name).await?;
        // A server that refuses such a key at once is asked with a nonce of its own all the same.
        let nonce = match reading
            .granted()
            .and_then(|body| body.get("nonce"))
            .and_then(Value::as_str)
        {
            Some(nonce) => nonce.to_owned(),
            None => self.fresh_nonce(name).await?,
        };
        let body = token_body(weak, &nonce, keys::IDENTITY_FORGERY);
        let mut draft = Draft::new(Operation::Token, Operation::Token.path("", ""), Some(body));
        draft.spoil("a key of small order, with a signature forged under it");
        Ok(draft)
    }
}

fn challenge_draft(member_id: &str) -> Draft {
    let body = json!({ "ed25519PublicKey": member_id });
    Draft::new(
        Operation::Challenge,
        Operation::Challenge.path("", ""),
        Some(body.into()),
    )
}

/// The nonce with one byte changed, in base64 as it was. What is not base64 is left as it is.
fn alter(nonce: &str, head: bool) -> (String, &'static str) {
    let mut bytes = BASE64_STANDARD.decode(nonce).unwrap_or_default();
    let (byte, which) = match head {
        true => (bytes.first_mut(), "first"),
        false => (bytes.last_mut(), "last"),
    };
    if let Some(byte) = byte {
        *byte ^= 0x55;
    }
    (BASE64_STANDARD.encode(bytes), which)
}

/// A nonce whose base64 has its letters in the other case, but for the last four characters: the bits that those have to
/// spare must stay zero.
fn in_other_case(nonce: &str) -> String {
    let kept = nonce.chars().count().saturating_sub(4);
    let swapped = nonce.chars().take(kept).map(swap_case);
    swapped.chain(nonce.chars().skip(kept)).collect()
}

fn token_body(member_id: &str, nonce: &str, signature: &str) -> Arc<Value> {
    json!({ "ed25519PublicKey": member_id, "nonce": nonce, "signature": signature }).into()
}

fn key_of(world: &mut World<'_>, form: KeyForm) -> (String, &'static str) {
    let bytes = world.draw("key");
    let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    match form {
        KeyForm::SmallOrder => (weak_key().to_owned(), "the key is a point of small order"),
        KeyForm::NotOnCurve => (keys::NOT_A_POINT.to_owned(), "the key is no point of the curve"),
        KeyForm::Short => (encode(&bytes[..31]), "the key is 31 bytes"),
        KeyForm::Long => (encode(&[&bytes[..], &[7]].concat()), "the key is 33 bytes"),
        KeyForm::Empty => (String::new(), "the key is empty"),
        KeyForm::NotBase64 => ("no base64, this!".to_owned(), "the key is not base64"),
    }
}

/// The identity element, under which one forged signature is good for every message.
fn weak_key() -> &'static str {
    keys::small_order_keys()[0].public_key
}

/// What a login lacks, and what came in its place.
fn got_no(name: &str, member: &str, reading: &AnswerClass) -> String {
    match reading.granted() {
        Some(_) => {
            format!("{name} got no {member}: the answer was 200, and its `{member}` is missing or no text")
        }
        None => format!("{name} got no {member}: {}", reading.describe()),
    }
}
