//! What is got wrong about nonces and signatures.

use serde_json::{Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::state::now;

faults! { "auth";
    Rule(NONCE_BY_TEXT) "nonce-remembered-by-its-text", Must "AVP-3-03" and "AVP-6-21",
        "Of a used nonce the text is remembered, and base64 is read leniently.",
        "A login that was overheard can be replayed with a line break in it.",
        "Remember the bytes.";
    Rule(NONCE_PER_KEY) "nonce-used-per-key", Must "AVP-3-03",
        "That a nonce is used is remembered together with the key that used it.",
        "One nonce logs in any number of people.",
        "Mark the nonce itself.";
    Rule(NONCE_REVIVED) "nonce-revived-by-a-challenge", Must "AVP-3-03",
        "A new challenge forgets which nonces of the key were used.",
        "A login that was overheard can be replayed after the next one.",
        "Delete used nonces one by one, and keep no counter per key.";
    Rule(NONCE_SHORT) "nonce-short", Must "AVP-3-01",
        "Nonces carry 16 bytes.",
        "Nothing, until somebody collects nonces and waits for one to come again.",
        "Take 32 bytes from the system's random source for each challenge.";
    Rule(NONCE_31) "nonce-31-bytes", Must "AVP-3-01",
        "Nonces carry 31 bytes.",
        "Clients that check the length of a nonce refuse to sign.",
        "Take 32 bytes; a buffer that ends one early is the usual cause.";
    Rule(NONCE_HEX) "nonce-hex-text", Must "AVP-3-01",
        "Nonces are 32 hexadecimal digits served as if they were base64, and so carry 24 bytes.",
        "Clients that check the length of a nonce refuse to sign.",
        "Encode the random bytes as base64 and not as hexadecimal digits.";
    Rule(NONCE_FIXED) "nonce-fixed", Must "AVP-3-02" and "AVP-3-09",
        "Every challenge is the same nonce.",
        "A login that was overheard can be used again.",
        "Take fresh random bytes for each challenge.";
    Rule(NONCE_OF_KEY) "nonce-of-key", Must "AVP-3-02" and "AVP-3-03",
        "The nonce is a hash of the key that asks.",
        "A login that was overheard can be used again.",
        "Take fresh random bytes for each challenge; derive nothing.";
    Rule(NONCE_OF_TIME) "nonce-of-second", Must "AVP-3-02" and "AVP-3-09",
        "The nonce is a hash of the current second.",
        "Two logins in one second share a nonce, and one of them fails.",
        "Take fresh random bytes for each challenge; the clock is not random.";
    Rule(NONCE_KEPT) "nonce-kept-while-open", Must "AVP-3-02",
        "A key that has a nonce outstanding is given the same one again.",
        "Two devices that log in at once share a nonce, and one of them fails.",
        "Issue a new nonce for each challenge.";
    Rule(NONCE_COUNTER) "nonce-counter", Must "AVP-3-02",
        "The nonce is a counter, written in 32 bytes.",
        "Who knows one nonce knows the next, and can have it signed beforehand.",
        "Take random bytes; that they differ is not enough.";
    Rule(NONCE_REUSABLE) "nonce-reusable", Must "AVP-3-03",
        "A redeemed nonce can be redeemed again.",
        "A login that was overheard can be replayed while the nonce lives.",
        "Delete the nonce in the step that finds it.";
    Rule(NONCE_GRACE) "nonce-grace", Must "AVP-3-03",
        "A redeemed nonce is honoured for another two seconds, for clients that retry.",
        "A login that was overheard can be replayed at once.",
        "Delete the nonce in the step that finds it; clients that retry ask for another.";
    Rule(NONCE_RESTORED) "nonce-restored-by-refusal", Must "AVP-3-03",
        "A redemption that is refused puts the nonce back, used or not.",
        "A login that was overheard can be replayed at the second try.",
        "Roll back what the request did, and not what it found: the nonce was gone before.";
    Rule(NONCE_UNISSUED) "nonce-unissued", Must "AVP-3-06" and "AVP-3-03",
        "Any nonce is taken, whether it was issued or not.",
        "Who has one signature of a member over anything can log in as them.",
        "Look the nonce up among those that were issued.";
    Rule(NONCE_BY_AGE) "nonce-checked-by-age", Must "AVP-3-06" and "AVP-3-03",
        "A nonce is judged by the time stamp in its last bytes, and not looked up.",
        "Whoever knows the layout makes nonces of their own.",
        "Look the nonce up among those that were issued, or authenticate it with a key of the server.";
    Rule(SIGNATURE_HEAD) "signature-over-the-head", Must "AVP-3-07",
        "Nonces carry 64 bytes, and a signature over the first 32 of them is taken as well.",
        "Half of a nonce is enough: what was signed for one login may serve for another.",
        "Verify over all bytes of the nonce.";
    Rule(SIGNATURE_UNCHECKED) "signature-unchecked", Must "AVP-3-08" and "AVP-3-07" and "AVP-3-14" and "AVP-6-21",
        "The signature is not looked at.",
        "Anybody logs in as anybody.",
        "Verify the signature over the decoded nonce under the presented key.";
    Rule(SIGNATURE_CHECKED_ONCE) "signature-checked-once", Must "AVP-3-08" and "AVP-3-07" and "AVP-3-14" and "AVP-6-21",
        "The signature is checked at the first login of a key, and never again.",
        "Whoever has logged in once can be impersonated by anybody.",
        "Verify each signature; that a key is known proves nothing about who presents it.";
    Rule(SIGNATURE_TEXT_TOO) "signature-over-text-too", Must "AVP-3-07",
        "A signature over the base64 text of the nonce is taken as well.",
        "Clients with the classic mistake work here and nowhere else.",
        "Verify over the decoded bytes alone.";
    Rule(SIGNATURE_TEXT_ONLY) "signature-over-text-only", Must "AVP-3-09" and "AVP-3-07",
        "The signature is verified over the base64 text of the nonce.",
        "No correct client can log in.",
        "Decode the nonce before you verify.";
    Rule(SIGNATURE_ASKERS_KEY) "signature-under-askers-key", Must "AVP-3-08",
        "The signature is verified under the key that asked for the nonce, and the token is for the presented one.",
        "Anybody with a key of their own logs in as anybody.",
        "Verify under the presented key, and issue the token for the key that you verified under.";
    Rule(SUBJECT_ASKER) "token-for-whoever-asked-for-the-nonce", Must "AVP-3-08",
        "The signature is verified under the presented key, and the token is for the key that asked for the nonce.",
        "Anybody who sees a nonce logs in as the one who asked for it.",
        "Issue the token for the key that you verified under.";
    Rule(SIGNATURE_EMPTY) "signature-empty-taken", Must "AVP-3-08",
        "An empty signature is taken for a good one.",
        "Anybody logs in as anybody.",
        "Refuse signatures that are not 64 bytes before anything else.";
    Rule(SIGNATURE_LONGER) "signature-tail-ignored", Should "AVP-3-14",
        "Of a signature the first 64 bytes count, and whatever follows is ignored.",
        "Nothing at once; records that name logins by their signature can be fooled.",
        "Refuse signatures that are not exactly 64 bytes.";
    Rule(SIGNATURE_MALLEABLE) "signature-malleable", Should "AVP-3-14",
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
    Rule(KNOWN_KEYS_ONLY) "known-keys-only", Must "AVP-3-09",
        "A challenge is refused to keys that are in no roster.",
        "Nobody can create a first repository.",
        "Keep no accounts: whoever can sign can log in.";
    Rule(CHALLENGE_ONCE) "challenge-refused-while-logged-in", Must "AVP-3-09",
        "A key that holds a token is given no nonce.",
        "A second device cannot log in, nor can a client that lost its token.",
        "Issue a nonce for every challenge; tokens beside each other do no harm.";
    Rule(LOGIN_ONCE) "login-refused-while-logged-in", Must "AVP-3-09",
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

/// The refusal of a server that wants to know a key before it talks to it.
pub(in crate::avp::server) fn unknown_key() -> Refusal {
    Refusal::unauthorized("there is no account with this key")
}
