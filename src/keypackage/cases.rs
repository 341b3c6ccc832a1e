//! What a step of a case says: one operation by one device, or by several at once.

use serde::Deserialize;

use crate::case::file::{Case, StepFacts};

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// The devices that do it; several do it at the same moment. `alice` unless told. `{round}` in a name makes a device for each round.
    #[serde(rename = "as", default = "alice")]
    pub devices: Vec<String>,
    /// Publish a bundle.
    pub publish: Option<Publish>,
    /// Fetch a device's bundle.
    pub fetch: Option<Fetch>,
    /// A request outside the route table.
    pub request: Option<RawRequest>,
    /// Start a registry for this case alone, with these flags. It is asked from then on.
    pub start: Option<Vec<String>>,
    /// Kill the registry of this case, and start it again with the same database and these flags.
    pub restart: Option<Vec<String>>,
    /// Wait so many seconds: for a background task, which nobody can see run.
    pub pause: Option<u32>,
    /// The statuses that a conformant registry may answer with.
    #[serde(default)]
    pub answer: Vec<u16>,
    /// Ask again until it is answered so, for so many seconds at most; the last answer counts.
    pub within: Option<u32>,
    /// What the step verifies by its answer, instead of what the case does.
    pub checks: Option<Vec<String>>,
    /// How often it is done: rounds of a race, or publications one after the other.
    #[serde(default = "once")]
    pub rounds: usize,
}

fn alice() -> Vec<String> {
    vec!["alice".to_owned()]
}

fn once() -> usize {
    1
}

/// A publication. The payload is made up, and another each time, unless told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publish {
    /// So many bytes of payload, of any kind.
    pub bytes: Option<usize>,
    /// The payload ends in white space and zero bytes.
    #[serde(default)]
    pub blank: bool,
    /// The time that the payload begins with, milliseconds from now: in the past below 0. Now, where no length is named.
    pub time: Option<i64>,
    /// The time that the payload begins with, epoch milliseconds.
    pub at: Option<i64>,
    /// Sends the bundle once more that was published so many publications ago, as it was: 1 is the last.
    pub again: Option<usize>,
    /// Each way to spoil it makes a request of its own.
    #[serde(default)]
    pub with: Vec<Form>,
}

/// A way in which a publication is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The device id in upper case: the same key.
    UpperCase,
    /// The device id with every other letter in upper case: the same key.
    MixedCase,
    /// Slashes in the JSON are escaped.
    EscapedSlashes,
    /// Letters in the JSON are escaped.
    EscapedLetters,
    /// The members stand in another order.
    MembersTurnedRound,
    /// The content type names a charset.
    TypeWithCharset,
    /// The content type is in capitals.
    TypeInCapitals,
    /// The body is in the chunked transfer coding.
    Chunked,
    /// The device id with colons between its bytes.
    DeviceIdWithColons,
    /// The base64 of the payload before a line end.
    PayloadWithLineEnd,
    /// The base64 of the payload with white space within.
    PayloadWithSpaces,
    /// The base64 of the payload with a character of no alphabet within.
    PayloadWithJunk,
    /// The base64 of the signature with a character of no alphabet within.
    SignatureWithJunk,
    /// A signature with a bit of its second half flipped.
    SignatureAlteredAtItsEnd,
    /// The signature of the last publication before, with another payload.
    SignatureOfTheLast,
    /// The payload and signature of the last publication before, under the id of another device.
    BundleOfAnother,
    /// A payload that is a number, and the signature over what its digits stand for.
    NumberForPayload,
    /// A payload that is true, and the signature over what the word stands for.
    TrueForPayload,
    /// A payload that is a list of its bytes.
    BytesForPayload,
    /// Each value in a list of its own.
    ListsOfOne,
    /// The payload is missing, and the signature is over no bytes.
    WithoutAnEmptyPayload,
    /// A member that is not known, beside the three.
    UnknownMember,
    /// Another content type than JSON.
    TypeOfText,
    /// The device id without its last two digits.
    ShortDeviceId,
    /// Two digits more.
    LongDeviceId,
    /// A digit that is none.
    OddDeviceId,
    /// No device id.
    EmptyDeviceId,
    /// The device id behind `0x`.
    #[serde(rename = "device-id-with-0x")]
    DeviceIdWith0x,
    /// The device id between spaces.
    DeviceIdWithSpaces,
    /// The device id before a line end.
    DeviceIdWithLineEnd,
    /// The key of the device in base64.
    DeviceIdInBase64,
    /// A key of small order, with a signature that a lax verification takes.
    SmallOrderKey,
    /// The same key, not reduced: a second spelling of it.
    UnreducedKey,
    /// Bytes that are no point of the curve.
    NoPoint,
    /// A payload that is not base64.
    PayloadNoBase64,
    /// A payload without the padding of its base64.
    PayloadUnpadded,
    /// A payload in the URL-safe alphabet.
    PayloadUrlSafe,
    /// A signature that is not base64.
    SignatureNoBase64,
    /// 63 bytes of signature.
    SignatureShort,
    /// A byte behind the 64 of the signature.
    SignatureLong,
    /// 64 zeros for a signature.
    SignatureZero,
    /// A signature with a bit flipped.
    SignatureAltered,
    /// A signature by another device.
    SignedByAnother,
    /// A signature over the base64 text of the payload.
    SignedText,
    /// A signature over another payload.
    SignedOtherPayload,
    /// A signature over the SHA-256 of the payload.
    SignedDigest,
    /// A signature over the key of the device, and the payload behind it.
    SignedIdAndPayload,
    /// A signature with the group order added to its S.
    SignatureMalleable,
    /// No body at all.
    NoBody,
    /// A body that is no JSON.
    NotJson,
    /// Ten thousand lists one within the other.
    DeepJson,
    /// Bytes behind the JSON.
    TrailingBytes,
    /// The three values in an array.
    Array,
    /// A member is missing.
    WithoutDeviceId,
    /// A member is missing.
    WithoutPayload,
    /// A member is missing.
    WithoutSignature,
    /// A member is null.
    NullPayload,
    /// The payload is null, and the signature is over no bytes.
    NullForAnEmptyPayload,
    /// A member is null.
    NullSignature,
    /// A member is a number.
    NumberForDeviceId,
    /// A member is an array.
    ArrayForPayload,
}

impl Form {
    /// Whether it is a publication all the same, which a registry may grant.
    pub fn is_odd_alone(self) -> bool {
        matches!(
            self,
            Form::UpperCase
                | Form::UnknownMember
                | Form::TypeOfText
                | Form::MixedCase
                | Form::EscapedSlashes
                | Form::EscapedLetters
                | Form::MembersTurnedRound
                | Form::TypeWithCharset
                | Form::TypeInCapitals
                | Form::Chunked
        )
    }

    /// What it is, for people.
    pub fn about(self) -> &'static str {
        match self {
            Form::UpperCase => "the device id is in upper case",
            Form::MixedCase => "the device id is in mixed case",
            Form::EscapedSlashes => "slashes in the JSON are escaped",
            Form::EscapedLetters => "letters in the JSON are escaped",
            Form::MembersTurnedRound => "the members stand in another order",
            Form::TypeWithCharset => "the content type names a charset",
            Form::TypeInCapitals => "the content type is in capitals",
            Form::Chunked => "the body is chunked",
            Form::DeviceIdWithColons => "colons stand in the device id",
            Form::PayloadWithLineEnd => "a line end follows the base64 of the payload",
            Form::PayloadWithSpaces => "white space stands within the base64 of the payload",
            Form::PayloadWithJunk => "a character of no alphabet stands within the base64 of the payload",
            Form::SignatureWithJunk => "a character of no alphabet stands within the base64 of the signature",
            Form::SignatureAlteredAtItsEnd => "a bit of the signature's second half is flipped",
            Form::SignatureOfTheLast => "the signature is that of the publication before",
            Form::BundleOfAnother => "payload and signature are those of another device",
            Form::NumberForPayload => {
                "payload is a number, and the signature is over what its digits stand for"
            }
            Form::TrueForPayload => "payload is true, and the signature is over what the word stands for",
            Form::BytesForPayload => "payload is a list of its bytes",
            Form::ListsOfOne => "each value stands in a list of its own",
            Form::WithoutAnEmptyPayload => "payload is missing, and the signature is over no bytes",
            Form::UnknownMember => "there is a member that is not known",
            Form::TypeOfText => "the content type is text/plain",
            Form::ShortDeviceId => "the device id lacks two digits",
            Form::LongDeviceId => "the device id has two digits more",
            Form::OddDeviceId => "the device id has a digit that is none",
            Form::EmptyDeviceId => "the device id is empty",
            Form::DeviceIdWith0x => "the device id stands behind 0x",
            Form::DeviceIdWithSpaces => "the device id stands between spaces",
            Form::DeviceIdWithLineEnd => "a line end follows the device id",
            Form::DeviceIdInBase64 => "the device id is base64",
            Form::SmallOrderKey => "the device id is a key of small order",
            Form::UnreducedKey => "the device id is a key of small order that is not reduced",
            Form::NoPoint => "the device id is no point of the curve",
            Form::PayloadNoBase64 => "the payload is not base64",
            Form::PayloadUnpadded => "the base64 of the payload lacks its padding",
            Form::PayloadUrlSafe => "the payload is in the URL-safe alphabet",
            Form::SignatureNoBase64 => "the signature is not base64",
            Form::SignatureShort => "the signature has 63 bytes",
            Form::SignatureLong => "the signature has 65 bytes",
            Form::SignatureZero => "the signature is 64 zeros",
            Form::SignatureAltered => "a bit of the signature is flipped",
            Form::SignedByAnother => "the signature is by another device",
            Form::SignedText => "the signature is over the base64 text",
            Form::SignedOtherPayload => "the signature is over another payload",
            Form::SignedDigest => "the signature is over the SHA-256 of the payload",
            Form::SignedIdAndPayload => "the signature is over device id and payload",
            Form::SignatureMalleable => "the group order is added to the signature's S",
            Form::NoBody => "the body is empty",
            Form::NotJson => "the body is not JSON",
            Form::DeepJson => "the body is ten thousand lists one within the other",
            Form::TrailingBytes => "bytes follow the JSON",
            Form::Array => "the body is an array of the three values",
            Form::WithoutDeviceId => "device_id is missing",
            Form::WithoutPayload => "payload is missing",
            Form::WithoutSignature => "signature is missing",
            Form::NullPayload => "payload is null",
            Form::NullForAnEmptyPayload => "payload is null, and the signature is over no bytes",
            Form::NullSignature => "signature is null",
            Form::NumberForDeviceId => "device_id is a number",
            Form::ArrayForPayload => "payload is an array",
        }
    }
}

/// A fetch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fetch {
    /// Whose bundle; the device's own unless told.
    pub of: Option<String>,
    /// Asks under the device id in upper case.
    #[serde(default)]
    pub upper_case: bool,
    /// Asks under the device id in mixed case.
    #[serde(default)]
    pub mixed_case: bool,
    /// Asks under an id that is none, as it stands in the path; `{cut}` stands for the device's own without its last two digits, and
    /// `{other}` for it with another last digit.
    pub id: Option<String>,
}

/// A request outside the route table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRequest {
    /// The method.
    pub method: String,
    /// The path; `{device}` stands for the device's id.
    pub path: String,
    /// Whether the answer must say which methods are allowed.
    #[serde(default)]
    pub allow: bool,
}

impl Step {
    /// How many requests it is, in each round.
    pub fn requests(&self) -> usize {
        let forms = self
            .publish
            .as_ref()
            .map_or(1, |publish| publish.with.len().max(1));
        self.devices.len() * forms
    }

    /// Whether it is about the process of a registry, and no request.
    pub fn is_command(&self) -> bool {
        self.start.is_some() || self.restart.is_some() || self.pause.is_some()
    }

    /// Whether several devices do it at the same moment.
    pub fn is_race(&self) -> bool {
        self.devices.len() > 1
    }
}

/// What the engine is told of a step.
pub fn facts(case: &Case<Step>, step: &Step) -> StepFacts {
    StepFacts {
        is_race: step.is_race(),
        decides: decides(
            &case.steps.iter().map(|it| it.get_ref()).collect::<Vec<_>>(),
            step,
        ),
        requirements: step.checks.clone().unwrap_or_default(),
        length: step.requests() * step.rounds,
    }
}

/// Whether the requirements of a case are decided by a step: by the last that names none of its own.
fn decides(steps: &[&Step], step: &Step) -> bool {
    let last = steps.iter().rev().find(|other| other.checks.is_none());
    last.is_some_and(|last| std::ptr::eq(*last, step))
}
