//! The small words of case files: one value or several, counters relative to the current one, answers, tokens, nonces.
//!
//! Each is read from plain text, and an unknown word is answered with the nearest that exists.

use crate::case::nearest;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{I64Deserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// One value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany(Vec::new())
    }
}

impl<T> std::ops::Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ManyVisitor(PhantomData))
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(StrDeserializer::new(text)).map(|one| OneOrMany(vec![one]))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        T::deserialize(I64Deserializer::new(number)).map(|one| OneOrMany(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Many_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("{word:?} is no {what}; did you mean {near:?}?"),
        None => format!("{word:?} is no {what}; these are: {}", known.join(", ")),
    }
}

/// Reads a word type from a TOML string by its `FromStr`.
macro_rules! read_from_text {
    ($type:ty, $name:literal, $about:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($about)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                        number.to_string().parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["string", "integer"], "description": $about })
            }
        }
    };
}

/// A counter: a number, or one relative to the current value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Exactly this.
    Is(i64),
    /// The current value and so much more (or less).
    Current(i64),
}

impl Counter {
    /// The number, where the current value is `current`.
    pub fn resolve(self, current: i64) -> i64 {
        match self {
            Counter::Is(number) => number,
            Counter::Current(offset) => current.saturating_add(offset),
        }
    }
}

impl FromStr for Counter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no counter: a number, `current`, `current+1` or `current-1`");
        match text.strip_prefix("current") {
            Some("") => Ok(Counter::Current(0)),
            Some(offset) => offset.parse().map(Counter::Current).map_err(|_| wrong()),
            None => text.parse().map(Counter::Is).map_err(|_| wrong()),
        }
    }
}

read_from_text!(
    Counter,
    "Count",
    "a number, `current`, `current+1` or `current-1`"
);

/// One acceptable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpectedAnswer {
    /// 200, and the operation was done; for a push: accepted.
    Granted,
    /// A push refused as stale: 200 with `conflict: true`.
    Conflict,
    /// A pull at the current version.
    Unchanged,
    /// A pull at another version.
    Changed,
    /// Any 4xx.
    Refused,
    /// Any error status: over gRPC a framework may refuse what is no message before any method of the server's looks at it.
    Error,
    /// No answer, or one that says that the call was given up: the harness cancelled it, or its deadline passed.
    Cancelled,
    /// This status.
    Status(u16),
}

const ANSWER_WORDS: [&str; 7] = [
    "granted",
    "conflict",
    "unchanged",
    "changed",
    "refused",
    "error",
    "cancelled",
];

impl ExpectedAnswer {
    /// Whether it says that the request was not granted.
    pub fn is_refusal(self) -> bool {
        match self {
            ExpectedAnswer::Refused | ExpectedAnswer::Error => true,
            ExpectedAnswer::Status(status) => !(200..300).contains(&status),
            ExpectedAnswer::Granted
            | ExpectedAnswer::Conflict
            | ExpectedAnswer::Cancelled
            | ExpectedAnswer::Unchanged
            | ExpectedAnswer::Changed => false,
        }
    }
}

impl FromStr for ExpectedAnswer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "granted" => Ok(ExpectedAnswer::Granted),
            "conflict" => Ok(ExpectedAnswer::Conflict),
            "unchanged" => Ok(ExpectedAnswer::Unchanged),
            "changed" => Ok(ExpectedAnswer::Changed),
            "refused" | "4xx" => Ok(ExpectedAnswer::Refused),
            "error" => Ok(ExpectedAnswer::Error),
            "cancelled" => Ok(ExpectedAnswer::Cancelled),
            _ => match text.parse() {
                Ok(status @ 100..=599) => Ok(ExpectedAnswer::Status(status)),
                Ok(other) => Err(format!("{other} is no HTTP status")),
                Err(_) => Err(unknown("answer", text, &ANSWER_WORDS)),
            },
        }
    }
}

impl fmt::Display for ExpectedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpectedAnswer::Granted => f.write_str("granted (200)"),
            ExpectedAnswer::Conflict => f.write_str("a conflict (200, `conflict: true`)"),
            ExpectedAnswer::Unchanged => f.write_str("unchanged (200, `unchanged: true`)"),
            ExpectedAnswer::Changed => f.write_str("the current envelope (200, `unchanged: false`)"),
            ExpectedAnswer::Refused => f.write_str("refused (4xx)"),
            ExpectedAnswer::Error => f.write_str("refused (any error status)"),
            ExpectedAnswer::Cancelled => f.write_str("given up (no answer)"),
            ExpectedAnswer::Status(status) => write!(f, "{status}"),
        }
    }
}

read_from_text!(
    ExpectedAnswer,
    "Answer",
    "granted, conflict, unchanged, changed, refused, error, cancelled, or a status"
);

/// Which token a request carries instead of the actor's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenForm {
    /// No `Authorization` at all.
    None,
    /// `Bearer` and nothing behind it.
    Empty,
    /// Text that no server issued.
    Garbage,
    /// The actor's own without its last character.
    Truncated,
    /// The actor's own with a character more.
    Extended,
    /// The actor's own with one character changed in the middle.
    Altered,
    /// The actor's own with its last character changed.
    LastAltered,
    /// The first half of the actor's own, the rest replaced.
    Prefix,
    /// The actor's own with upper and lower case swapped.
    CaseSwapped,
    /// One that another server issued to the same key.
    OtherServer,
    /// The actor's own under the `Basic` scheme.
    Basic,
    /// The actor's own under the `Digest` scheme, whose name is as long as `Bearer`.
    Digest,
    /// The actor's own with `Bearer` before it and no blank between them.
    Glued,
    /// The actor's own without a scheme.
    NoScheme,
    /// The actor's own in the query string, with no header.
    InQuery,
    /// The actor's own in other metadata of a call, with no `authorization`.
    InMetadata,
    /// Two `Authorization` fields, with texts that no server issued.
    GarbageTwice,
    /// The actor's own with a word behind it.
    Trailed,
    /// The actor's own with a word before it.
    Preceded,
    /// The actor's member id.
    MemberId,
    /// A JWT of the reference form for the actor, of the algorithm `none` and without a signature.
    Unsigned,
    /// The one that the actor was given before its own.
    Earlier,
    /// The actor's own with a dot and a word behind it.
    WithAPart,
    /// A JWT forged from the actor's own; not applicable where that is no JWT.
    Forged(Forgery),
    /// Another actor's.
    Of(String),
}

/// How a JWT is forged: it has the claims of a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// The signature is empty.
    EmptySignature,
    /// There is no third part.
    NoSignature,
    /// The algorithm is `none`, and the signature is empty.
    None,
    /// The algorithm is `None`.
    NoneTitle,
    /// The algorithm is `NONE`.
    NoneUpper,
    /// The algorithm is `nOnE`.
    NoneMixed,
    /// The algorithm is `none`, and a signature stands there all the same.
    NoneSigned,
    /// The real signature under the name of another algorithm.
    OtherAlgorithm,
    /// A signature of zeros, called ES256.
    ZeroSignature,
    /// HS256 with the empty secret.
    EmptySecret,
    /// HS256 with the secret `secret`.
    WeakSecret,
    /// HS256 with the secret `your-256-bit-secret`, which examples have.
    ExampleSecret,
    /// HS256 with the empty secret, and a `kid` that names an empty file.
    KidFile,
    /// HS256 with the secret that an SQL query in `kid` answers.
    KidQuery,
    /// EdDSA with a key of the forger's.
    OwnKey,
    /// EdDSA with a key of the forger's, which stands in the header as `jwk`.
    OwnKeyInHeader,
    /// EdDSA with a key of the forger's, and a `kid` that no key of the issuer's has.
    OwnKeyUnknown,
    /// HS256 with the bytes of the issuer's public key as the secret.
    PublicKeyRaw,
    /// HS256 with the base64 text of the issuer's public key as the secret.
    PublicKeyText,
    /// HS256 with the issuer's public key in PEM as the secret.
    PublicKeyPem,
    /// HS256 with the issuer's public key as a JWK as the secret.
    PublicKeyJwk,
}

/// Each forgery with its name in case files and what it is, for people.
const FORGERIES: [(Forgery, &str, &str); 21] = [
    (
        Forgery::EmptySignature,
        "jwt-empty-signature",
        "the JWT with an empty signature",
    ),
    (
        Forgery::NoSignature,
        "jwt-no-signature",
        "the JWT without its third part",
    ),
    (
        Forgery::None,
        "jwt-none",
        "the JWT under the algorithm none, unsigned",
    ),
    (
        Forgery::NoneTitle,
        "jwt-none-title",
        "the JWT under the algorithm None, unsigned",
    ),
    (
        Forgery::NoneUpper,
        "jwt-none-upper",
        "the JWT under the algorithm NONE, unsigned",
    ),
    (
        Forgery::NoneMixed,
        "jwt-none-mixed",
        "the JWT under the algorithm nOnE, unsigned",
    ),
    (
        Forgery::NoneSigned,
        "jwt-none-signed",
        "the JWT under the algorithm none, with a signature",
    ),
    (
        Forgery::OtherAlgorithm,
        "jwt-other-algorithm",
        "the JWT under the name of another algorithm",
    ),
    (
        Forgery::ZeroSignature,
        "jwt-zero-signature",
        "the JWT under ES256 with a signature of zeros",
    ),
    (
        Forgery::EmptySecret,
        "jwt-empty-secret",
        "the JWT under HS256 with the empty secret",
    ),
    (
        Forgery::WeakSecret,
        "jwt-weak-secret",
        "the JWT under HS256 with the word secret as the secret",
    ),
    (
        Forgery::ExampleSecret,
        "jwt-example-secret",
        "the JWT under HS256 with a secret that stands in examples",
    ),
    (
        Forgery::KidFile,
        "jwt-kid-file",
        "the JWT under HS256 with an empty file named by kid as the secret",
    ),
    (
        Forgery::KidQuery,
        "jwt-kid-query",
        "the JWT under HS256 with the answer to a query in kid as the secret",
    ),
    (
        Forgery::OwnKey,
        "jwt-own-key",
        "the JWT signed with a key of the forger's",
    ),
    (
        Forgery::OwnKeyInHeader,
        "jwt-own-key-in-header",
        "the JWT signed with a key from its own header",
    ),
    (
        Forgery::OwnKeyUnknown,
        "jwt-own-key-unknown",
        "the JWT signed with a key of the forger's under a kid that nobody has",
    ),
    (
        Forgery::PublicKeyRaw,
        "jwt-public-key-raw",
        "the JWT under HS256 with the issuer's public key as the secret",
    ),
    (
        Forgery::PublicKeyText,
        "jwt-public-key-text",
        "the JWT under HS256 with the text of the issuer's public key as the secret",
    ),
    (
        Forgery::PublicKeyPem,
        "jwt-public-key-pem",
        "the JWT under HS256 with the issuer's public key in PEM as the secret",
    ),
    (
        Forgery::PublicKeyJwk,
        "jwt-public-key-jwk",
        "the JWT under HS256 with the issuer's public JWK as the secret",
    ),
];

impl Forgery {
    /// Every forgery.
    pub const ALL: [Forgery; FORGERIES.len()] = {
        let mut all = [Forgery::None; FORGERIES.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = FORGERIES[at].0;
            at += 1;
        }
        all
    };

    fn named(name: &str) -> Option<Forgery> {
        let found = FORGERIES.iter().find(|(_, known, _)| *known == name);
        found.map(|(forgery, ..)| *forgery)
    }

    fn about(self) -> &'static str {
        let found = FORGERIES.iter().find(|(forgery, ..)| *forgery == self);
        found.map_or("a forged JWT", |(_, _, about)| about)
    }
}

const TOKEN_FORMS: [&str; 23] = [
    "none",
    "empty",
    "garbage",
    "truncated",
    "extended",
    "altered",
    "last-altered",
    "prefix",
    "case-swapped",
    "other-server",
    "basic",
    "digest",
    "glued",
    "no-scheme",
    "in-query",
    "in-metadata",
    "garbage-twice",
    "trailed",
    "preceded",
    "member-id",
    "unsigned",
    "earlier",
    "with-a-part",
];

impl FromStr for TokenForm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => TokenForm::None,
            "empty" => TokenForm::Empty,
            "garbage" => TokenForm::Garbage,
            "truncated" => TokenForm::Truncated,
            "extended" => TokenForm::Extended,
            "altered" => TokenForm::Altered,
            "last-altered" => TokenForm::LastAltered,
            "prefix" => TokenForm::Prefix,
            "case-swapped" => TokenForm::CaseSwapped,
            "other-server" => TokenForm::OtherServer,
            "basic" => TokenForm::Basic,
            "digest" => TokenForm::Digest,
            "glued" => TokenForm::Glued,
            "no-scheme" => TokenForm::NoScheme,
            "in-query" => TokenForm::InQuery,
            "in-metadata" => TokenForm::InMetadata,
            "garbage-twice" => TokenForm::GarbageTwice,
            "trailed" => TokenForm::Trailed,
            "preceded" => TokenForm::Preceded,
            "member-id" => TokenForm::MemberId,
            "unsigned" => TokenForm::Unsigned,
            "earlier" => TokenForm::Earlier,
            "with-a-part" => TokenForm::WithAPart,
            _ => match (text.strip_prefix("of "), Forgery::named(text)) {
                (Some(name), _) => TokenForm::Of(name.to_owned()),
                (_, Some(forgery)) => TokenForm::Forged(forgery),
                _ => {
                    let forgeries = FORGERIES.iter().map(|(_, name, _)| *name);
                    let known: Vec<&str> = TOKEN_FORMS.into_iter().chain(forgeries).collect();
                    return Err(unknown("token", text, &known));
                }
            },
        })
    }
}

impl fmt::Display for TokenForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenForm::None => "no token",
            TokenForm::Empty => "an empty token",
            TokenForm::Garbage => "a token nobody issued",
            TokenForm::Truncated => "the token without its last character",
            TokenForm::Extended => "the token with a character more",
            TokenForm::Altered => "the token with one character changed",
            TokenForm::LastAltered => "the token with its last character changed",
            TokenForm::Prefix => "the first half of the token, the rest replaced",
            TokenForm::CaseSwapped => "the token with upper and lower case swapped",
            TokenForm::OtherServer => "a token that another server issued to the same key",
            TokenForm::Basic => "the token under the Basic scheme",
            TokenForm::Digest => "the token under the Digest scheme",
            TokenForm::Glued => "the token with no blank behind Bearer",
            TokenForm::NoScheme => "the token without a scheme",
            TokenForm::InQuery => "the token in the query string",
            TokenForm::InMetadata => "the token in metadata of another name",
            TokenForm::GarbageTwice => "two tokens that nobody issued",
            TokenForm::Trailed => "the token with a word behind it",
            TokenForm::Preceded => "the token with a word before it",
            TokenForm::MemberId => "the member id as a token",
            TokenForm::Unsigned => "a JWT of the algorithm none for the member",
            TokenForm::Earlier => "the token that the member was given before",
            TokenForm::WithAPart => "the token with a dot and a word behind it",
            TokenForm::Forged(forgery) => forgery.about(),
            TokenForm::Of(name) => return write!(f, "the token of {name}"),
        })
    }
}

read_from_text!(
    TokenForm,
    "Token",
    "none, empty, garbage, truncated, altered, other-server, `of NAME`, ..."
);

/// Where the nonce of a redemption comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NonceSource {
    /// Asked for just before, under the presented key.
    Fresh,
    /// The actor's last one, used or not.
    Last,
    /// The one with which the actor logged in last.
    Used,
    /// The same with a line break in its base64 text.
    UsedWrapped,
    /// The same without its padding.
    UsedUnpadded,
    /// The one with which that actor logged in last.
    UsedOf(String),
    /// Never issued.
    Invented,
    /// A fresh one with its first byte changed.
    AlteredHead,
    /// A fresh one with its last byte changed.
    AlteredTail,
    /// A fresh one whose base64 has its capitals small and its small letters capitals: other bytes.
    AlteredCase,
    /// Asked for just before under that actor's key.
    Of(String),
}

const NONCE_SOURCES: [&str; 11] = [
    "fresh",
    "last",
    "used",
    "used-wrapped",
    "used-unpadded",
    "used of NAME",
    "invented",
    "altered-head",
    "altered-tail",
    "altered-case",
    "of NAME",
];

impl FromStr for NonceSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "fresh" => NonceSource::Fresh,
            "last" => NonceSource::Last,
            "used" => NonceSource::Used,
            "used-wrapped" => NonceSource::UsedWrapped,
            "used-unpadded" => NonceSource::UsedUnpadded,
            "invented" => NonceSource::Invented,
            "altered-head" => NonceSource::AlteredHead,
            "altered-tail" => NonceSource::AlteredTail,
            "altered-case" => NonceSource::AlteredCase,
            _ => match (text.strip_prefix("of "), text.strip_prefix("used of ")) {
                (Some(name), _) => NonceSource::Of(name.to_owned()),
                (_, Some(name)) => NonceSource::UsedOf(name.to_owned()),
                _ => return Err(unknown("nonce", text, &NONCE_SOURCES)),
            },
        })
    }
}

read_from_text!(
    NonceSource,
    "Nonce",
    "fresh, last, used, used-wrapped, used-unpadded, invented, altered-head, altered-tail, `of NAME` or `used of NAME`"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_suggested_and_nothing_else() {
        let known = [
            "AVP-6-08",
            "AVP-6-80",
            "push/stale-is-a-conflict",
            "push/applied",
            "pull/changed",
        ];
        let near = |word: &str| nearest(word, known);
        assert_eq!(near("AVP-6-8"), Some("AVP-6-08"));
        assert_eq!(near("avp-6-08"), Some("AVP-6-08"));
        assert_eq!(near("push/stale"), Some("push/stale-is-a-conflict"));
        assert_eq!(near("push/aplied"), Some("push/applied"));
        assert_ne!(near("push/applied"), Some("push/applied"), "never what was typed");
        assert_eq!(near("members/fetched-anew"), None);
    }

    #[derive(Debug, Deserialize)]
    struct Probe {
        answer: OneOrMany<ExpectedAnswer>,
        known: Option<Counter>,
    }

    #[test]
    fn one_word_or_a_list_of_them() {
        let one: Probe = toml::from_str("answer = 403").unwrap();
        assert_eq!(*one.answer, [ExpectedAnswer::Status(403)]);
        let many: Probe = toml::from_str("answer = ['granted', 400]\nknown = 'current-1'").unwrap();
        assert_eq!(
            *many.answer,
            [ExpectedAnswer::Granted, ExpectedAnswer::Status(400)]
        );
        assert_eq!(many.known.map(|count| count.resolve(7)), Some(6));
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_nearest() {
        let error = toml::from_str::<Probe>("answer = 'granteed'")
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean \"granted\"?"), "{error}");
    }

    #[test]
    fn tokens_and_nonces_name_actors() {
        assert_eq!("of bob".parse(), Ok(TokenForm::Of("bob".to_owned())));
        assert_eq!("of bob".parse(), Ok(NonceSource::Of("bob".to_owned())));
        assert_eq!("used of bob".parse(), Ok(NonceSource::UsedOf("bob".to_owned())));
        assert!("of-bob".parse::<NonceSource>().is_err());
    }
}
