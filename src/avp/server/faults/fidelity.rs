//! What does not come back as it was sent.

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{Engine, alphabet};
use serde_json::{Value, json};

use super::members::rewrite_bindings;
use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body, Refusal};
use crate::avp::server::core::Call;
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::vault::Repo;

/// Takes bits to spare.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

faults! { "fidelity";
    Write(scheme_cut_at_255) "scheme-cut-at-255", Must "AVP-4-01",
        "Scheme names are cut at 255 characters.",
        "Clients do not know the scheme that is served.",
        "Use a column that holds any name, or refuse those it does not hold.";
    Named(DECODED_BY_CHUNKS) "bodies-decoded-by-chunks", Must "AVP-4-01",
        "Each chunk of a body is decoded by itself, and a character that two of them share is lost.",
        "Text is damaged now and then, by where the network cuts it.",
        "Put the bytes of a body together before you decode them.";
    Write(scheme_composed) "scheme-composed", Must "AVP-4-01",
        "Scheme names are stored in a unicode normal form.",
        "Clients compare names byte for byte, and do not find the scheme.",
        "Store text as it came.";
    Write(binding_recoded) "binding-recoded", Must "AVP-9-01",
        "A keyBindingSig is decoded as base64 and encoded again, where a lenient decoder takes it.",
        "A signature is served that nobody sent.",
        "Store text as it came.";
    Write(lines_normalised) "binding-line-breaks-normalised", Must "AVP-9-01",
        "The line breaks of a keyBindingSig are stored as line feeds.",
        "A signature in armour cannot be verified.",
        "Store text as it came.";
    Answer(dates_revived) "dates-revived", Must "AVP-6-03",
        "An id that looks like a date is read as one, and served in another spelling.",
        "Clients are served a repository that they did not ask for.",
        "Turn date revival off: ids are text.";
    Answer(digits_numeric) "digits-served-as-numbers", Must "AVP-2-02",
        "Once a repository has been written again, its texts of digits alone are served as numbers.",
        "Clients cannot read what they wrote.",
        "Keep the writer of JSON from taking texts for numbers: it is an option, and often one of a single call.";
    Answer(long_id_500) "long-ids-answer-500", Must "AVP-6-03",
        "An id of more than 255 characters ends in a 500, since the column does not hold it.",
        "Clients retry what can never work.",
        "Check the length first, and answer 400.";
    Write(scheme_cut) "scheme-cut-at-64", Must "AVP-4-01",
        "Scheme names are cut at 64 characters.",
        "Members cannot tell how their keys are wrapped.",
        "Refuse what does not fit; a column that cuts in silence is the usual cause.";
    Write(removal_rounded) "remove-rounds-counters", Must "AVP-2-04",
        "removeMember handles counters as floating point numbers.",
        "After a removal beyond 2^53 every push is a conflict.",
        "Read and write 64-bit integers on every route.";
    Answer(url_safe) "base64-url-safe", Must "AVP-2-01",
        "Binary values come back in the URL-safe alphabet.",
        "Clients fail on some values and not on others.",
        "Keep the text, or encode with the standard alphabet.";
    Answer(unpadded) "base64-unpadded", Must "AVP-2-01",
        "Binary values come back without padding.",
        "Strict clients refuse most values.",
        "Keep the text, or encode with padding.";
    Answer(line_broken) "base64-line-broken", Must "AVP-2-01",
        "Long binary values come back with a line break after every 76 characters.",
        "Strict clients refuse large payloads.",
        "Use the basic encoder and not the one for mail.";
    Answer(nonce_url_safe) "nonce-url-safe", Must "AVP-2-01",
        "Nonces are written in the URL-safe alphabet.",
        "Some logins fail and others do not.",
        "Encode with the standard alphabet.";
    Answer(nonce_unpadded) "nonce-unpadded", Must "AVP-2-01",
        "Nonces are written without padding.",
        "Strict clients cannot log in.",
        "Encode with padding.";
    Write(truncated) "ciphertext-truncated", Must "AVP-4-01",
        "Of a ciphertext the first 65,535 characters are stored.",
        "Large payloads cannot be decrypted.",
        "Use a column that holds more, and let the database refuse what it cannot hold.";
    Answer(iv_zero) "iv-zeroed", Must "AVP-4-01",
        "The envelope's iv comes back as twelve zero bytes.",
        "Nothing can be decrypted.",
        "Store the iv beside the ciphertext.";
    Answer(wrap_scheme) "wrap-scheme-defaulted", Must "AVP-4-01",
        "The schemeId of wrapped keys comes back as the manifest's.",
        "Keys under another scheme cannot be unwrapped.",
        "Store the scheme with each wrapped key.";
    Answer(ephemeral_lost) "ephemeral-key-replaced", Must "AVP-4-01",
        "The ephemeralPublicKey of wrapped keys comes back as the member's own key.",
        "Nothing can be unwrapped.",
        "Store the ephemeral key with each wrapped key.";
    Write(scheme_folded) "scheme-folded", Must "AVP-4-01",
        "The name of the wrap scheme is stored in lower case.",
        "Clients do not recognise the scheme.",
        "Store the name as it is.";
    Write(scheme_trimmed) "scheme-truncated", Must "AVP-4-01",
        "Of the name of the wrap scheme the first 32 characters are stored.",
        "Clients do not recognise long names.",
        "Use a column that holds any name, or refuse those it does not hold.";
    Answer(binding_folded) "binding-trimmed", Must "AVP-9-01",
        "The padding of keyBindingSig is trimmed.",
        "Signatures do not verify.",
        "Store the string as it is.";
    Answer(binding_empty) "binding-empty", Must "AVP-9-01",
        "A keyBindingSig that was null or absent comes back as an empty string.",
        "Clients verify a signature that is none, and refuse the member.",
        "Keep absence: a field of a type without null is the usual cause.";
    Answer(binding_shared) "binding-of-the-first", Must "AVP-9-01",
        "Every entry comes back with the keyBindingSig of the first.",
        "Members refuse each other.",
        "Store the signature with its entry.";
    Answer(entry_epochs) "entry-epochs-overwritten", Must "AVP-2-04",
        "The keyEpoch of every entry comes back as one more than was sent.",
        "Clients look for a key of the wrong epoch.",
        "Store the epoch with its entry.";
    Answer(doubled) "counters-rounded", Must "AVP-2-04",
        "Counters pass through a double, and lose their last digits above 2^53.",
        "Clients that count high are in conflict for ever.",
        "Read and write int64; in JavaScript use BigInt.";
    Answer(wrapped_32) "counters-32-bit", Must "AVP-2-04",
        "Counters pass through 32 bits.",
        "After two thousand million versions everything breaks; clients that count in milliseconds break at once.",
        "Use 64-bit columns and types.";
    Answer(capped) "counters-capped", Must "AVP-2-04",
        "Counters above 2^53 - 1 come back as 2^53 - 1.",
        "Clients that count high are in conflict for ever.",
        "Read and write int64.";
    Named(COUNTERS_REFUSED) "counters-above-int32-refused", Must "AVP-2-04",
        "Counters above 2^31 - 1 are refused with 400.",
        "Clients that count in milliseconds cannot create a repository.",
        "Use 64-bit columns and types.";
    Answer(html_escaped) "strings-html-escaped", Must "AVP-4-01",
        "Ampersands, quotes and angle brackets come back as HTML entities.",
        "Ids and names with such characters do not compare.",
        "Escape where HTML is made, nowhere else.";
    Answer(not_ascii_lost) "strings-latin-only", Must "AVP-4-01",
        "Characters beyond Latin-1 come back as question marks.",
        "Repositories with such names or schemes are lost.",
        "Use UTF-8 in the connection to the database and in its columns.";
    Answer(astral_lost) "strings-cut-at-emoji", Must "AVP-4-01",
        "Strings end before the first character beyond the basic plane.",
        "Repositories with such names are lost.",
        "Use four-byte UTF-8 in the database.";
    Answer(backup) "plaintext-index-served", Must "AVP-10-01" and "AVP-4-01",
        "The envelope's ciphertext comes back as an index of the accounts in plain text.",
        "The server knows the accounts.",
        "Store what the client encrypted, and nothing else.";
    Answer(alts_beside) "plaintext-beside-manifest", Must "AVP-10-01" and "AVP-2-02",
        "The manifest carries a list of the accounts in plain text.",
        "The server knows the accounts.",
        "Store no account data: it belongs into the payload.";
}

const BINARY: [&str; 6] = [
    "ciphertext",
    "iv",
    "ed25519PublicKey",
    "x25519PublicKey",
    "ephemeralPublicKey",
    "keyBindingSig",
];

const COUNTERS: [&str; 2] = ["payloadVersion", "keyEpoch"];

fn dates_revived(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let id = message_access::manifest(answer).and_then(|manifest| manifest.get_mut("repoId"));
    id.is_some_and(|id| {
        let text = id.as_str().unwrap_or_default();
        let shape = text
            .bytes()
            .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
        let date = shape.eq(*b"0000-00-00T00:00:00Z");
        if date {
            *id = Value::from(text.replace('Z', ".000Z"));
        }
        date
    })
}

fn digits_numeric(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let Some(manifest) = message_access::manifest(answer) else {
        return false;
    };
    let is_written_again = manifest.get("payloadVersion").and_then(Value::as_i64) > Some(1);
    let mut here = false;
    for name in ["repoId", "schemeId"] {
        let number = manifest
            .get(name)
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| is_written_again) {
            manifest.insert(name.to_owned(), number.into());
            here = true;
        }
    }
    here
}

fn long_id_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let sent = scene.sent();
    let id = sent
        .pointer("/manifest/repoId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let here = scene.on(Operation::CreateRepo) && id.chars().count() > 255;
    if here {
        *answer = Answer::from(Refusal::failure(
            500,
            "value too long for type character varying(255)",
        ));
    }
    here
}

fn scheme_cut_at_255(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let cut: String = repo.scheme.chars().take(255).collect();
    std::mem::replace(&mut repo.scheme, cut.clone()) != cut
}

fn scheme_composed(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let composed = repo.scheme.replace("e\u{301}", "\u{e9}");
    std::mem::replace(&mut repo.scheme, composed.clone()) != composed
}

fn lines_normalised(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    rewrite_bindings(repo, |binding| binding.replace("\r\n", "\n").replace('\r', "\n"))
}

fn binding_recoded(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    rewrite_bindings(repo, |binding| {
        let bytes = LENIENT.decode(binding);
        bytes.map_or_else(|_| binding.to_owned(), |bytes| STANDARD.encode(bytes))
    })
}

fn scheme_cut(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let cut: String = repo.scheme.chars().take(64).collect();
    std::mem::replace(&mut repo.scheme, cut.clone()) != cut
}

fn removal_rounded(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "this is the fault"
    )]
    let rounded = |counter: i64| counter as f64 as i64;
    let (version, epoch) = (rounded(repo.version), rounded(repo.epoch));
    place.operation == Operation::RemoveMember
        && (
            std::mem::replace(&mut repo.version, version),
            std::mem::replace(&mut repo.epoch, epoch),
        ) != (version, epoch)
}

fn url_safe(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    binary(answer, |text| text.replace('+', "-").replace('/', "_"))
}

fn unpadded(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    binary(answer, |text| text.trim_end_matches('=').to_owned())
}

fn line_broken(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    binary(answer, |text| match text.len() > 76 && text.is_ascii() {
        true => text
            .as_bytes()
            .chunks(76)
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join("\r\n"),
        false => text.to_owned(),
    })
}

fn nonce_url_safe(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    named(answer, &["nonce"], |text| {
        text.replace('+', "-").replace('/', "_")
    })
}

fn nonce_unpadded(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    named(answer, &["nonce"], |text| text.trim_end_matches('=').to_owned())
}

fn truncated(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let Some(Value::String(ciphertext)) = repo.envelope.get_mut("ciphertext") else {
        return false;
    };
    let here = ciphertext.len() > 65_535;
    ciphertext.truncate(65_535);
    here
}

fn iv_zero(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let zero = Value::String(STANDARD.encode([0; 12]));
    let envelope = message_access::envelope(answer);
    envelope.is_some_and(|envelope| envelope.insert("iv".to_owned(), zero.clone()) != Some(zero))
}

fn wrap_scheme(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let scheme = message_access::manifest(answer).and_then(|manifest| manifest.get("schemeId").cloned());
    let Some(scheme) = scheme else { return false };
    message_access::entries(answer, |entry| wrap(entry, "schemeId", scheme.clone()))
}

fn ephemeral_lost(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::entries(answer, |entry| {
        let key = entry.get("x25519PublicKey").cloned().unwrap_or_default();
        wrap(entry, "ephemeralPublicKey", key)
    })
}

fn wrap(entry: &mut message_access::Object, name: &str, value: Value) -> bool {
    let wrapped = entry.get_mut("wrappedDataKey").and_then(Value::as_object_mut);
    wrapped.is_some_and(|wrapped| wrapped.insert(name.to_owned(), value.clone()) != Some(value))
}

fn scheme_folded(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let folded = repo.scheme.to_lowercase();
    std::mem::replace(&mut repo.scheme, folded.clone()) != folded
}

fn scheme_trimmed(_: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let short: String = repo.scheme.chars().take(32).collect();
    std::mem::replace(&mut repo.scheme, short.clone()) != short
}

fn binding_folded(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    named(answer, &["keyBindingSig"], |text| {
        text.trim_end_matches('=').to_owned()
    })
}

fn binding_empty(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::entries(answer, |entry| {
        let none = entry.get("keyBindingSig").is_none_or(Value::is_null);
        if none {
            entry.insert("keyBindingSig".to_owned(), json!(""));
        }
        none
    })
}

fn binding_shared(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let mut first = None;
    message_access::entries(answer, |entry| {
        let own = entry.get("keyBindingSig").cloned().unwrap_or_default();
        let shared = first.get_or_insert(own.clone()).clone();
        let here = own != shared;
        if here {
            entry.insert("keyBindingSig".to_owned(), shared);
        }
        here
    })
}

fn entry_epochs(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::entries(answer, |entry| {
        let epoch = entry.get("keyEpoch").and_then(Value::as_i64).unwrap_or_default();
        entry.insert("keyEpoch".to_owned(), json!(epoch.saturating_add(1)));
        true
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the loss is the fault"
)]
fn doubled(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    counters(answer, |count| (count as f64) as i64)
}

#[expect(clippy::cast_possible_truncation, reason = "the loss is the fault")]
fn wrapped_32(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    counters(answer, |count| i64::from(count as i32))
}

fn capped(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    counters(answer, |count| count.min((1 << 53) - 1))
}

fn counters(answer: &mut Answer, change: impl Fn(i64) -> i64) -> bool {
    let granted = answer.status < 300;
    let Body::Json(value) = &mut answer.body else {
        return false;
    };
    granted
        && message_access::fields(value, &mut |name, value| {
            let Some(count) = value.as_i64().filter(|_| COUNTERS.contains(&name)) else {
                return false;
            };
            *value = Value::from(change(count));
            value.as_i64() != Some(count)
        })
}

fn html_escaped(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::strings(answer, |_, text| {
        Some(
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;"),
        )
    })
}

fn not_ascii_lost(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::strings(answer, |_, text| {
        let kept = |letter: char| if u32::from(letter) < 256 { letter } else { '?' };
        Some(text.chars().map(kept).collect())
    })
}

fn astral_lost(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::strings(answer, |_, text| {
        Some(text.chars().take_while(|letter| letter.len_utf8() < 4).collect())
    })
}

fn backup(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let index = json!({ "alts": [alt()], "payloadVersion": 1 }).to_string();
    let plain = Value::String(STANDARD.encode(index));
    let envelope = message_access::envelope(answer);
    envelope.is_some_and(|envelope| envelope.insert("ciphertext".to_owned(), plain).is_some())
}

fn alts_beside(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let manifest = message_access::manifest(answer);
    manifest.is_some_and(|manifest| manifest.insert("alts".to_owned(), json!([alt()])).is_none())
}

/// An account as a server that knows accounts would list it.
fn alt() -> Value {
    json!({
        "uuid": "069a79f4-44e9-4726-a5be-fca90e38aaf5", "username": "Notch", "accessToken": "eyJraWQiOiJhYzg0YSJ9",
        "type": "MICROSOFT", "lastUsed": 1_700_000_000_000_i64,
    })
}

fn binary(answer: &mut Answer, change: impl Fn(&str) -> String) -> bool {
    named(answer, &BINARY, change)
}

fn named(answer: &mut Answer, names: &[&str], change: impl Fn(&str) -> String) -> bool {
    message_access::strings(answer, |name, text| names.contains(&name).then(|| change(text)))
}

/// Whether a body carries a counter that 32 bits do not hold.
pub(in crate::avp::server) fn is_beyond_int32(body: &Value) -> bool {
    let mut copy = body.clone();
    message_access::fields(&mut copy, &mut |_, value| {
        value.as_i64().is_some_and(|count| count > i64::from(i32::MAX))
    })
}
