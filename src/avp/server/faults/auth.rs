//! What is got wrong about nonces and signatures.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::decision::{Asked, Decision, Grant, Rule, grant_if, stop_if};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::nonces::Used;
use crate::avp::server::rules::keys;
use crate::avp::server::rules::login::Claim;
use crate::avp::server::state::{State, now};
use crate::avp::server::tokens::random;
use crate::avp::server::vault::text;

/// How long a used nonce is honoured where clients are forgiven a retry, milliseconds.
const USED_NONCE_GRACE_MS: i64 = 2000;

/// How long a nonce lives that tells its age itself, milliseconds.
const STAMPED_NONCE_MS: i64 = 120_000;

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

faults! { "auth";
    Answer(nonce_of_its_connection) "nonce-of-its-connection", Must "AVP-3-09",
        "A nonce can be redeemed on the connection alone that it came on.",
        "Logins fail behind a proxy, and wherever a client pools its connections.",
        "Keep what belongs to a login under its nonce, and nothing at the socket.";
    Named(NONCE_BY_TEXT) and Claim(nonce_read_leniently) and Rule(nonce_by_text) "nonce-remembered-by-its-text", Must "AVP-3-03" and "AVP-6-21",
        "Of a used nonce the text is remembered, and base64 is read leniently.",
        "A login that was overheard can be replayed with a line break in it.",
        "Remember the bytes.";
    Rule(nonce_per_key) "nonce-used-per-key", Must "AVP-3-03",
        "That a nonce is used is remembered together with the key that used it.",
        "One nonce logs in any number of people.",
        "Mark the nonce itself.";
    Nonce(nonces_revived) "nonce-revived-by-a-challenge", Must "AVP-3-03",
        "A new challenge forgets which nonces of the key were used.",
        "A login that was overheard can be replayed after the next one.",
        "Delete used nonces one by one, and keep no counter per key.";
    Nonce(nonce_short) "nonce-short", Must "AVP-3-01",
        "Nonces carry 16 bytes.",
        "Nothing, until somebody collects nonces and waits for one to come again.",
        "Take 32 bytes from the system's random source for each challenge.";
    Nonce(nonce_31) "nonce-31-bytes", Must "AVP-3-01",
        "Nonces carry 31 bytes.",
        "Clients that check the length of a nonce refuse to sign.",
        "Take 32 bytes; a buffer that ends one early is the usual cause.";
    Nonce(nonce_hex) "nonce-hex-text", Must "AVP-3-01",
        "Nonces are 32 hexadecimal digits served as if they were base64, and so carry 24 bytes.",
        "Clients that check the length of a nonce refuse to sign.",
        "Encode the random bytes as base64 and not as hexadecimal digits.";
    Nonce(nonce_fixed) "nonce-fixed", Must "AVP-3-02" and "AVP-3-09",
        "Every challenge is the same nonce.",
        "A login that was overheard can be used again.",
        "Take fresh random bytes for each challenge.";
    Nonce(nonce_of_key) "nonce-of-key", Must "AVP-3-02" and "AVP-3-03",
        "The nonce is a hash of the key that asks.",
        "A login that was overheard can be used again.",
        "Take fresh random bytes for each challenge; derive nothing.";
    Nonce(nonce_of_time) "nonce-of-second", Must "AVP-3-02" and "AVP-3-09",
        "The nonce is a hash of the current second.",
        "Two logins in one second share a nonce, and one of them fails.",
        "Take fresh random bytes for each challenge; the clock is not random.";
    Nonce(nonce_kept) "nonce-kept-while-open", Must "AVP-3-02",
        "A key that has a nonce outstanding is given the same one again.",
        "Two devices that log in at once share a nonce, and one of them fails.",
        "Issue a new nonce for each challenge.";
    Nonce(nonce_counter) "nonce-counter", Must "AVP-3-02",
        "The nonce is a counter, written in 32 bytes.",
        "Who knows one nonce knows the next, and can have it signed beforehand.",
        "Take random bytes; that they differ is not enough.";
    Rule(nonce_reusable) "nonce-reusable", Must "AVP-3-03",
        "A redeemed nonce can be redeemed again.",
        "A login that was overheard can be replayed while the nonce lives.",
        "Delete the nonce in the step that finds it.";
    Rule(nonce_grace) "nonce-grace", Must "AVP-3-03",
        "A redeemed nonce is honoured for another two seconds, for clients that retry.",
        "A login that was overheard can be replayed at once.",
        "Delete the nonce in the step that finds it; clients that retry ask for another.";
    Rule(nonce_restored) "nonce-restored-by-refusal", Must "AVP-3-03",
        "A redemption that is refused puts the nonce back, used or not.",
        "A login that was overheard can be replayed at the second try.",
        "Roll back what the request did, and not what it found: the nonce was gone before.";
    Rule(nonce_folded) "nonce-compared-without-case", Must "AVP-3-06",
        "Nonces are compared as text and without regard to case.",
        "A nonce that was never issued is taken; a case-insensitive collation is the usual cause.",
        "Compare the bytes of nonces, or give the column a binary collation.";
    Rule(nonce_unissued) "nonce-unissued", Must "AVP-3-06" and "AVP-3-03",
        "Any nonce is taken, whether it was issued or not.",
        "Who has one signature of a member over anything can log in as them.",
        "Look the nonce up among those that were issued.";
    Nonce(nonce_stamped) and Rule(nonce_by_age) "nonce-checked-by-age", Must "AVP-3-06" and "AVP-3-03",
        "A nonce is judged by the time stamp in its last bytes, and not looked up.",
        "Whoever knows the layout makes nonces of their own.",
        "Look the nonce up among those that were issued, or authenticate it with a key of the server.";
    Nonce(nonce_long) and Rule(signature_head) "signature-over-the-head", Must "AVP-3-07",
        "Nonces carry 64 bytes, and a signature over the first 32 of them is taken as well.",
        "Half of a nonce is enough: what was signed for one login may serve for another.",
        "Verify over all bytes of the nonce.";
    Named(SIGNATURE_UNCHECKED) and Rule(signature_unchecked) "signature-unchecked", Must "AVP-3-08" and "AVP-3-07" and "AVP-3-14" and "AVP-6-21",
        "The signature is not looked at.",
        "Anybody logs in as anybody.",
        "Verify the signature over the decoded nonce under the presented key.";
    Named(SIGNATURE_CHECKED_ONCE) and Rule(signature_checked_once) "signature-checked-once", Must "AVP-3-08" and "AVP-3-07" and "AVP-3-14" and "AVP-6-21",
        "The signature is checked at the first login of a key, and never again.",
        "Whoever has logged in once can be impersonated by anybody.",
        "Verify each signature; that a key is known proves nothing about who presents it.";
    Rule(signature_text_too) "signature-over-text-too", Must "AVP-3-07",
        "A signature over the base64 text of the nonce is taken as well.",
        "Clients with the classic mistake work here and nowhere else.",
        "Verify over the decoded bytes alone.";
    Rule(signature_spelt) "signature-over-any-spelling", Must "AVP-3-07",
        "A signature over the nonce in hexadecimal digits, or over its base64 without padding or in the URL-safe alphabet, is taken as well.",
        "Clients with the classic mistake work here and nowhere else.",
        "Verify over the decoded bytes alone.";
    Rule(signature_keyed) "signature-over-key-and-nonce", Must "AVP-3-07",
        "A signature over the public key and the nonce behind it is taken as well.",
        "Clients of another protocol work here, and nowhere else.",
        "Verify over the decoded bytes of the nonce, and nothing before or behind them.";
    Rule(signature_remembered) "signature-remembered", Must "AVP-3-07",
        "A signature that once held for a key holds for every nonce of that key.",
        "A login that was overheard can be replayed with any new nonce.",
        "Verify each signature over the nonce that came with it, and cache none.";
    Rule(signature_text_only) "signature-over-text-only", Must "AVP-3-09" and "AVP-3-07",
        "The signature is verified over the base64 text of the nonce.",
        "No correct client can log in.",
        "Decode the nonce before you verify.";
    Rule(signature_askers_key) "signature-under-askers-key", Must "AVP-3-08",
        "The signature is verified under the key that asked for the nonce, and the token is for the presented one.",
        "Anybody with a key of their own logs in as anybody.",
        "Verify under the presented key, and issue the token for the key that you verified under.";
    Rule(nonce_lent) and Grant(subject_asker) "token-for-whoever-asked-for-the-nonce", Must "AVP-3-08",
        "The signature is verified under the presented key, and the token is for the key that asked for the nonce.",
        "Anybody who sees a nonce logs in as the one who asked for it.",
        "Issue the token for the key that you verified under.";
    Named(SIGNATURE_EMPTY) and Rule(signature_empty) "signature-empty-taken", Must "AVP-3-08",
        "An empty signature is taken for a good one.",
        "Anybody logs in as anybody.",
        "Refuse signatures that are not 64 bytes before anything else.";
    Named(SIGNATURE_LONGER) and Rule(signature_longer) "signature-tail-ignored", Should "AVP-3-14",
        "Of a signature the first 64 bytes count, and whatever follows is ignored.",
        "Nothing at once; records that name logins by their signature can be fooled.",
        "Refuse signatures that are not exactly 64 bytes.";
    Rule(signature_malleable) "signature-malleable", Should "AVP-3-14",
        "A signature whose S is not below the group order is taken.",
        "One signature can be rewritten into another that holds as well.",
        "Use a verification that follows RFC 8032; strict ones do.";
    Answer(bad_signature_granted_empty) "bad-signature-answers-200", Must "AVP-3-08",
        "A bad signature is answered with 200 and an empty token.",
        "Clients believe they are logged in, and every later request fails.",
        "Answer 401.";
    Answer(expires_seconds) "expires-in-seconds", Must "AVP-2-03",
        "The expiresAt of a token is in seconds.",
        "Clients think that every token is over, and log in before each request.",
        "Multiply by 1000: times of the protocol are in milliseconds.";
    Answer(expires_micros) "expires-in-microseconds", Must "AVP-2-03",
        "The expiresAt of a token is in microseconds.",
        "Clients never renew a token, and fail when it is over.",
        "Times of the protocol are in milliseconds.";
    Answer(expires_duration) "expires-as-duration", Must "AVP-2-03",
        "The expiresAt of a token is its lifetime and not a time.",
        "Clients think that every token is over, and log in before each request.",
        "Add the lifetime to the current time.";
    Answer(expires_past) "expires-in-the-past", Must "AVP-3-12",
        "The expiresAt of a token lies a minute before its time of issue.",
        "Clients think that every token is over, and log in before each request.",
        "Add the lifetime to the current time.";
    Rule(known_keys_only) "known-keys-only", Must "AVP-3-09",
        "A challenge is refused to keys that are in no roster.",
        "Nobody can create a first repository.",
        "Keep no accounts: whoever can sign can log in.";
    Rule(challenge_once) "challenge-refused-while-logged-in", Must "AVP-3-09",
        "A key that holds a token is given no nonce.",
        "A second device cannot log in, nor can a client that lost its token.",
        "Issue a nonce for every challenge; tokens beside each other do no harm.";
    Rule(login_once) "login-refused-while-logged-in", Must "AVP-3-09",
        "A key that holds a token is given no second one.",
        "A second device cannot log in, nor can a client that lost its token.",
        "Issue a token for every nonce that is rightly redeemed.";
}

fn bad_signature_granted_empty(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.on(Operation::Token) && answer.status == 401;
    if here {
        *answer = Answer::ok(json!({ "token": "", "expiresAt": now() + 3_600_000 }));
    }
    here
}

fn expires_seconds(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    expires(answer, |time| time / 1000)
}

fn expires_micros(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    expires(answer, |time| time * 1000)
}

fn expires_duration(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    expires(answer, |time| time - now())
}

fn expires_past(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    expires(answer, |_| now() - 60_000)
}

fn expires(answer: &mut Answer, change: impl Fn(i64) -> i64) -> bool {
    let time = message_access::object(answer).and_then(|token| token.get_mut("expiresAt"));
    time.is_some_and(|time| {
        *time = Value::from(change(time.as_i64().unwrap_or_default()));
        true
    })
}

/// Issues another nonce than the random one.
fn issue(nonce: &mut Vec<u8>, other: Vec<u8>) -> bool {
    *nonce = other;
    true
}

fn nonce_short(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    issue(nonce, random(16))
}

fn nonce_31(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    issue(nonce, random(31))
}

/// Hexadecimal digits, taken for base64.
fn nonce_hex(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    let text: String = random(16).iter().map(|byte| format!("{byte:02x}")).collect();
    issue(nonce, STANDARD.decode(text).unwrap_or_default())
}

fn nonce_fixed(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    issue(nonce, vec![0x5a; 32])
}

fn nonce_of_key(_: &State, key: &str, nonce: &mut Vec<u8>) -> bool {
    issue(nonce, Sha256::digest(key).to_vec())
}

fn nonce_of_time(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    issue(nonce, Sha256::digest((now() / 1000).to_be_bytes()).to_vec())
}

fn nonce_counter(state: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    let count = state.count_request().to_be_bytes();
    issue(nonce, [&[0; 24][..], &count].concat())
}

fn nonce_stamped(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    issue(nonce, [&random(24)[..], &now().to_be_bytes()].concat())
}

fn nonce_long(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    issue(nonce, random(64))
}

fn nonce_kept(state: &State, key: &str, nonce: &mut Vec<u8>) -> bool {
    let outstanding = state.nonces().outstanding(key);
    outstanding.is_some_and(|outstanding| issue(nonce, outstanding))
}

fn nonces_revived(state: &State, key: &str, _: &mut Vec<u8>) -> bool {
    state.nonces().revive(key)
}

/// Honours a nonce that is not open, where `is_honoured` does so, given what is known of its use: it is issued anew.
fn honours(
    asked: &Asked<'_>,
    rule: Rule<'_>,
    decision: &mut Decision,
    is_honoured: impl Fn(&Claim, Option<&Used>) -> bool,
) -> bool {
    let Rule::NonceIsOpen(claim) = rule else {
        return false;
    };
    let mut nonces = asked.state.nonces();
    let honoured = grant_if(decision, is_honoured(claim, nonces.used(&claim.nonce)));
    if honoured {
        let expires = now() + asked.state.lifetimes.nonce;
        nonces.issue(claim.nonce.clone(), &claim.member_id, expires);
    }
    honoured
}

/// When the same member has used a nonce.
fn used_before(claim: &Claim, used: Option<&Used>) -> Option<i64> {
    used.filter(|used| used.by == claim.member_id).map(|used| used.at)
}

fn nonce_reusable(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    honours(asked, rule, decision, |claim, used| {
        used_before(claim, used).is_some()
    })
}

fn nonce_grace(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    honours(asked, rule, decision, |claim, used| {
        used_before(claim, used).is_some_and(|at| now() - at < USED_NONCE_GRACE_MS)
    })
}

fn nonce_per_key(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    honours(asked, rule, decision, |claim, used| {
        used.is_some_and(|used| used.by != claim.member_id)
    })
}

fn nonce_unissued(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    honours(asked, rule, decision, |claim, used| {
        used_before(claim, used).is_none() && !claim.nonce.is_empty()
    })
}

fn nonce_folded(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::NonceIsOpen(claim) = rule else {
        return false;
    };
    let open = asked.state.nonces().outstanding(&claim.member_id);
    let alike = open.is_some_and(|open| STANDARD.encode(open).eq_ignore_ascii_case(&claim.nonce_text));
    honours(asked, rule, decision, |_, used| alike && used.is_none())
}

fn nonce_by_age(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    honours(asked, rule, decision, |claim, used| {
        used_before(claim, used).is_none() && is_stamped(&claim.nonce)
    })
}

fn is_stamped(nonce: &[u8]) -> bool {
    let stamp = nonce
        .get(24..32)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i64::from_be_bytes);
    stamp.is_some_and(|stamp| (0..STAMPED_NONCE_MS).contains(&now().saturating_sub(stamp)))
}

/// The refusal stands, and the nonce is good again after it.
fn nonce_restored(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::NonceIsOpen(claim) if decision.is_err() => {
            asked.state.nonces().restore(&claim.nonce, &claim.member_id)
        }
        _ => false,
    }
}

fn nonce_read_leniently(_: &Value, claim: &mut Claim) -> bool {
    let text = &claim.nonce_text;
    if STANDARD.decode(text).is_ok() {
        return false;
    }
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '=').collect();
    claim.nonce = STANDARD_NO_PAD.decode(bare).unwrap_or_default();
    !claim.nonce.is_empty()
}

/// Honours a used nonce in another spelling than the one that it was used in, since texts are remembered.
fn nonce_by_text(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    honours(asked, rule, decision, |claim, used| {
        used.is_some() && STANDARD.encode(&claim.nonce) != claim.nonce_text
    })
}

/// Honours a nonce that another key asked for.
fn nonce_lent(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::NonceIsOpen(claim) => {
            let asker = asked.state.nonces().asker(&claim.nonce);
            grant_if(decision, asker.is_some())
        }
        _ => false,
    }
}

fn subject_asker(state: &State, claim: &Claim, grant: &mut Grant) -> bool {
    let used = state.nonces().used(&claim.nonce).cloned();
    let asker = used.and_then(|used| used.asker);
    asker.is_some_and(|asker| std::mem::replace(&mut grant.member_id, asker.clone()) != asker)
}

/// Takes a signature that does not hold, where `is_taken` takes it.
fn takes_signature(rule: Rule<'_>, decision: &mut Decision, is_taken: impl Fn(&Claim) -> bool) -> bool {
    match rule {
        Rule::Signature(claim) if decision.is_err() => grant_if(decision, is_taken(claim)),
        _ => false,
    }
}

fn signature_unchecked(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, |_| true)
}

fn signature_empty(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, |claim| claim.signature.is_empty())
}

fn signature_longer(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, |claim| {
        let head = claim.signature.get(..64).unwrap_or_default();
        keys::verifies(&claim.member_id, &claim.nonce, head)
    })
}

fn signature_malleable(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, |claim| {
        let reduced = reduce(&claim.signature);
        reduced.is_some_and(|reduced| keys::verifies(&claim.member_id, &claim.nonce, &reduced))
    })
}

fn signature_head(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, |claim| {
        let head = claim.nonce.get(..32);
        head.is_some_and(|head| keys::verifies(&claim.member_id, head, &claim.signature))
    })
}

fn signature_askers_key(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    nonce_lent(asked, rule, decision)
        || takes_signature(rule, decision, |claim| {
            let asker = asked.state.nonces().asker(&claim.nonce);
            asker.is_some_and(|asker| keys::verifies(&asker, &claim.nonce, &claim.signature))
        })
}

fn signature_checked_once(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::Signature(claim) = rule else {
        return false;
    };
    let key = format!("seen {}", claim.member_id);
    let is_noted = asked.state.noted(key, decision.is_ok());
    grant_if(decision, is_noted)
}

fn signature_text_too(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, holds_for_text)
}

fn signature_text_only(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::Signature(claim) if holds_for_text(claim) => grant_if(decision, true),
        Rule::Signature(_) => {
            let refusal = Refusal::unauthorized("the signature does not hold for this nonce and key");
            stop_if(decision, true, refusal)
        }
        _ => false,
    }
}

fn signature_spelt(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, |claim| {
        let hex: String = claim.nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let spellings = [
            hex,
            STANDARD_NO_PAD.encode(&claim.nonce),
            URL_SAFE_NO_PAD.encode(&claim.nonce),
        ];
        let mut spellings = spellings.iter().filter(|it| **it != claim.nonce_text);
        spellings.any(|text| keys::verifies(&claim.member_id, text.as_bytes(), &claim.signature))
    })
}

fn signature_keyed(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_signature(rule, decision, |claim| {
        let key = STANDARD.decode(&claim.member_id).unwrap_or_default();
        keys::verifies(
            &claim.member_id,
            &[key, claim.nonce.clone()].concat(),
            &claim.signature,
        )
    })
}

fn signature_remembered(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::Signature(claim) = rule else {
        return false;
    };
    let key = format!("held {} {}", claim.member_id, STANDARD.encode(&claim.signature));
    let is_noted = asked.state.noted(key, decision.is_ok());
    grant_if(decision, is_noted)
}

fn holds_for_text(claim: &Claim) -> bool {
    keys::verifies(&claim.member_id, claim.nonce_text.as_bytes(), &claim.signature)
}

/// A signature whose S is not below the group order, with S brought below it; `None` for any other.
fn reduce(signature: &[u8]) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = signature.to_vec();
    let scalar = bytes.get_mut(32..64)?;
    let (mut borrow, mut reduced) = (0, [0; 32]);
    for index in 0..32 {
        let difference = i16::from(scalar[index]) - i16::from(ORDER[index]) - borrow;
        borrow = i16::from(difference < 0);
        reduced[index] = u8::try_from(difference.rem_euclid(256)).ok()?;
    }
    scalar.copy_from_slice(&reduced);
    (borrow == 0 && signature.len() == 64).then_some(bytes)
}

/// Refuses a key, where `is_refused` does so, when it asks for a nonce.
fn refuses_key(
    asked: &Asked<'_>,
    rule: Rule<'_>,
    decision: &mut Decision,
    is_refused: impl Fn(&str) -> bool,
    refusal: Refusal,
) -> bool {
    match rule {
        Rule::PublicKey(key) if asked.call.operation == Operation::Challenge => {
            stop_if(decision, is_refused(key), refusal)
        }
        _ => false,
    }
}

fn known_keys_only(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let refusal = Refusal::unauthorized("there is no account with this key");
    refuses_key(
        asked,
        rule,
        decision,
        |key| !asked.state.vault().knows(key),
        refusal,
    )
}

fn challenge_once(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let refusal = Refusal::failure(409, "this key is logged in already");
    refuses_key(
        asked,
        rule,
        decision,
        |key| asked.state.tokens().has(key),
        refusal,
    )
}

fn login_once(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let key = text(asked.body, "ed25519PublicKey");
    let here = matches!(rule, Rule::NonceIsTaken) && asked.state.tokens().has(key);
    stop_if(
        decision,
        here,
        Refusal::failure(409, "this key is logged in already"),
    )
}

fn nonce_of_its_connection(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let key = |nonce: &str| format!("connection of {nonce}");
    if answer.status != 200 {
        return false;
    }
    if scene.on(Operation::Challenge) {
        if let Some(object) = message_access::object(answer) {
            let nonce = object.get("nonce").and_then(Value::as_str).unwrap_or_default();
            scene.state.remember(key(nonce), json!(scene.request.connection));
        }
        return false;
    }
    let nonce = scene.sent()["nonce"].as_str().map(key);
    let came_by = nonce.and_then(|key| scene.state.recall(&key)).map(|(_, it)| it);
    let here = scene.on(Operation::Token) && came_by.is_some_and(|it| it != json!(scene.request.connection));
    if here {
        *answer = Refusal::unauthorized("the nonce is unknown").into();
    }
    here
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    #[test]
    fn a_signature_with_the_order_added_is_refused_until_reduced() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let id = STANDARD.encode(key.verifying_key().as_bytes());
        let good = key.sign(b"message").to_bytes();
        let mut malleable = good;
        let mut carry = 0;
        for index in 0..32 {
            let sum = u16::from(good[32 + index]) + u16::from(ORDER[index]) + carry;
            malleable[32 + index] = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(!keys::verifies(&id, b"message", &malleable));
        assert_eq!(reduce(&malleable).as_deref(), Some(&good[..]));
        assert_eq!(reduce(&good), None);
    }
}
