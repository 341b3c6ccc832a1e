//! The case file format. These types *are* its manual: every field has a sentence, unknown fields are refused,
//! and `schema/case.schema.json` is generated from them.
//!
//! A case file is TOML with one `about` and any number of `[[case]]` tables, each with `[[case.step]]` tables. A step is
//! one operation by one actor. The request is valid unless the step changes it; what must hold of the answer stands under
//! `answer`; what is stored afterwards is audited as every member sees it after each write, without being asked.
//!
//! Not every step shows what its case is about: most prepare, or show that the same request is granted where it is rightly
//! made. The requirements under a case's `checks` belong to the steps that *decide*:
//!
//! 1. those that say `decides = true`, where one does;
//! 2. else those that are to be refused or to conflict, races, and looks at the transport, where there are any;
//! 3. else all.
//!
//! A step with `checks` of its own has these alone. Every other step has the one rule that its expected answer is a matter
//! of: a push that is to be granted AVP-6-09, a pull that is to answer 403 AVP-6-15, and so on. What is stored wrongly is
//! held against the rule of what wrote it, and against the step's own where that speaks of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::words::{Counter, ExpectedAnswer, NonceSource, OneOrMany, TokenForm};
use crate::catalogue::Version;
use crate::http::{Over, Wire};
use crate::keys::SignatureForm;

/// A case file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// What the cases of this file are about, for people.
    pub about: String,
    /// The cases, in the order in which they are listed.
    #[serde(rename = "case", default)]
    #[schemars(with = "Vec<Case>")]
    pub cases: Vec<Spanned<Case>>,
}

/// One case: what is set up, what is done, and what a conformant server does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// `topic/what-it-shows`: lower case, digits and hyphens. The topic is the name of the file.
    #[schemars(with = "String")]
    pub id: Spanned<String>,
    /// What a conformant server does, in one sentence.
    pub title: String,
    /// Why it matters and how to mend it, for the author of a server that fails.
    pub why: Option<String>,
    /// The requirements that the deciding steps verify: those that say `decides = true`, or else those that are to be refused
    /// or to conflict and races, or else all. Any other step has the rule of its own operation.
    #[schemars(with = "Vec<String>")]
    pub checks: Vec<Spanned<String>>,
    /// The protocol version that brought what the case looks at.
    #[serde(default = "first_version")]
    pub since: Version,
    /// Over what the case is run: `grpc`, or `both`, where its steps say over which of the two each goes. Other cases are run over
    /// HTTP, and over gRPC as well where that is spoken.
    pub over: Option<Over>,
    /// Whether the case takes minutes and runs only under `--slow`.
    #[serde(default)]
    pub slow: bool,
    /// Whether nothing may run beside the case: what it looks for would be lost among the requests of others. Races and bodies that
    /// are held back run so anyway.
    #[serde(default)]
    pub alone: bool,
    /// The faults of the reference server that the case is there to catch.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub kills: Vec<Spanned<String>>,
    /// How surely a race finds what it looks for, by measurement: a race is won by chance.
    pub power: Option<String>,
    /// The repository called `repo`, made before the first step.
    pub repo: Option<Repo>,
    /// A second repository called `other`, made before the first step.
    pub other: Option<Repo>,
    /// The id of `nowhere`, a repository that nobody creates: for ids that are nearly another's. Made up unless told.
    pub nowhere: Option<String>,
    /// What is done.
    #[serde(rename = "step")]
    #[schemars(with = "Vec<Step>")]
    pub steps: Vec<Spanned<Step>>,
}

fn first_version() -> Version {
    crate::avp::V0_2
}

/// A repository that exists before the first step: created by one actor, who then adds the other members.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repo {
    /// The actor who creates it.
    #[serde(default = "alice")]
    pub by: String,
    /// Its members; the creator is always one of them.
    #[serde(default)]
    pub members: Vec<String>,
    /// How it is created.
    #[serde(default)]
    pub with: Create,
}

fn alice() -> String {
    "alice".to_owned()
}

/// One step: exactly one operation, by one actor (or, in a race, by several at once).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// Who does it: any name; `alice` unless told. Several names make it a race: all do it at the same moment. The member
    /// id of a name that ends in `+/` has a plus sign and a slash in it.
    #[serde(rename = "as", default)]
    pub actors: OneOrMany<String>,
    /// The repository it is done to: `repo` unless told. A `create` step may name a new one.
    #[serde(rename = "in", default = "default_repo")]
    pub repo: String,

    /// Ask for a nonce.
    pub challenge: Option<Challenge>,
    /// Redeem a nonce for a token.
    pub redeem: Option<Redeem>,
    /// Create a repository.
    pub create: Option<Create>,
    /// Pull.
    pub pull: Option<Pull>,
    /// Push.
    pub push: Option<Push>,
    /// Add a member.
    pub add_member: Option<AddMember>,
    /// Remove a member.
    pub remove_member: Option<RemoveMember>,
    /// Fetch a member's entry.
    pub fetch_member: Option<FetchMember>,
    /// Ask for the discovery document.
    pub discover: Option<Discover>,
    /// A request outside the route table.
    pub request: Option<RawRequest>,
    /// Wait for something of the server's to expire.
    pub wait: Option<Wait>,
    /// Look at how the target is reached; sends nothing.
    pub transport: Option<Transport>,

    /// Over which transport it goes, in a case that goes over both: `http` unless told. What is stored is then looked at over both,
    /// and in a race the actors come over either in turn.
    pub over: Option<Wire>,

    /// What is changed against the valid request.
    pub with: Option<Changes>,
    /// How many rounds a heat of the race has; needs several names under `as`, or `against`. The time for races is shared
    /// out by rounds and requests; a fast target sees many heats, a slow one fewer rounds, but three at least.
    pub rounds: Option<usize>,
    /// Another operation that runs against this one at the same moment, in every round. Where it reads, it goes first, and
    /// keeps the target busy when the writes come.
    pub against: Option<Rival>,
    /// What somebody else does while the request is under way: its head and half of its body are sent before, the rest after
    /// that was granted. The answer is judged by what is stored then.
    pub meanwhile: Option<Rival>,
    /// Use one connection for this step and the next, even if the answer is an error.
    #[serde(default)]
    pub keep_connection: bool,

    /// What a conformant server answers, the preferred answer first: `granted`, `conflict`, `unchanged`, `changed`,
    /// `refused` (any 4xx), or a status. Not given for a race, where some order of the operations must explain the answers.
    #[serde(default)]
    #[schemars(with = "OneOrMany<ExpectedAnswer>")]
    pub answer: Option<Spanned<OneOrMany<ExpectedAnswer>>>,
    /// Answers that say that the target does not offer what the step asks for: the case is then not applicable.
    #[serde(default)]
    pub not_offered: OneOrMany<ExpectedAnswer>,
    /// What must stand at a JSON pointer of the answer's body.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub body: BTreeMap<String, toml::Value>,
    /// What is stored after a granted write; `applied` unless told. After a refusal it is always what was there before.
    #[serde(default)]
    pub stored: OneOrMany<Stored>,
    /// Whether the step decides what the case is about: it has the case's `checks` then, and steps that do not say so have not.
    #[serde(default)]
    pub decides: bool,
    /// The requirements that this step verifies, instead of the case's or the rule of its operation.
    #[schemars(with = "Option<Vec<String>>")]
    pub checks: Option<Vec<Spanned<String>>>,
    /// Requirements that the answer verifies where it is as expected, and says nothing about where it is not: those under
    /// `checks` are then what is broken.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub shows: Vec<Spanned<String>>,
    /// Makes the step a piece of advice, and says what a server gives away that answers otherwise. Advice fails nobody.
    pub advice: Option<String>,
}

fn default_repo() -> String {
    "repo".to_owned()
}

/// The operation that runs against a step, or while its request waits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rival {
    /// Who does it; several names, several requests.
    #[serde(rename = "as")]
    #[schemars(with = "OneOrMany<String>")]
    pub actors: OneOrMany<String>,
    /// Create a repository.
    pub create: Option<Create>,
    /// Pull.
    pub pull: Option<Pull>,
    /// Push.
    pub push: Option<Push>,
    /// Add a member.
    pub add_member: Option<AddMember>,
    /// Remove a member.
    pub remove_member: Option<RemoveMember>,
    /// Wait, `meanwhile` alone.
    pub wait: Option<Wait>,
}

/// What may be stored after a granted write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stored {
    /// Exactly what the request asked for.
    Applied,
    /// Exactly what was there before.
    Unchanged,
    /// A higher version than before; the rest is the server's choice.
    Grown,
    /// Anything that every member sees alike.
    Any,
}

/// Ask for a nonce.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Challenge {
    /// How often; the nonces must all differ.
    pub times: Option<usize>,
    /// A key that is not the actor's: `small-order`, `not-on-curve`, `short`, `long`, `empty`, `not-base64`.
    #[serde(default)]
    pub key: OneOrMany<KeyForm>,
}

/// Public keys that nobody should be given a token for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// A point of small order: anybody can forge signatures under it.
    SmallOrder,
    /// 32 bytes that are no point of the curve.
    NotOnCurve,
    /// 31 bytes.
    Short,
    /// 33 bytes.
    Long,
    /// No bytes.
    Empty,
    /// Not base64.
    NotBase64,
}

/// Redeem a nonce for a token.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Redeem {
    /// Which nonce: `fresh` (the default: asked for just before), `last` (the actor's last one once more), `used` (the one
    /// with which the actor logged in last; `used-wrapped` and `used-unpadded` spell its base64 otherwise), `invented`,
    /// `altered-head` or `altered-tail` (a fresh one with its first or last byte changed), `of NAME` (a fresh one issued
    /// to NAME), or `used of NAME`.
    pub nonce: Option<NonceSource>,
    /// How it is signed; several forms are tried one after the other, each on a fresh nonce.
    #[serde(default)]
    #[schemars(with = "OneOrMany<String>")]
    pub sign: OneOrMany<SignatureForm>,
    /// Whose key signs; the actor's unless told.
    pub signer: Option<String>,
    /// Whose public key is presented; the actor's unless told.
    pub key: Option<String>,
    /// The signature is the one with which the actor logged in last, over another nonce.
    #[serde(default)]
    pub earlier_signature: bool,
    /// Presents a key of small order with a signature forged under it, instead of the actor's.
    #[serde(default)]
    pub forged_small_order: bool,
}

/// Create a repository.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Create {
    /// The repository id; `{id}` stands for something unique to this case and run, and `{digits}` for the same in decimal digits,
    /// of which the first is not 0. An existing repository keeps its id.
    pub id: Option<String>,
    /// The id is filled up with `x` to so many characters.
    pub id_length: Option<usize>,
    /// The roster; the actor alone unless told.
    pub members: Option<Vec<String>>,
    /// The payload version; 1 unless told.
    pub version: Option<i64>,
    /// The key epoch; 1 unless told.
    pub epoch: Option<i64>,
    /// `shareRefreshTokens`; absent unless told.
    pub share_refresh_tokens: Option<bool>,
    /// The wrap scheme named in manifest and wrapped keys; the protocol's default unless told.
    pub scheme: Option<String>,
    /// Whether roster entries carry a `keyBindingSig`.
    #[serde(default)]
    pub bound: bool,
    /// The size of the ciphertext in bytes, tag included; that of a small real payload unless told.
    pub ciphertext: Option<usize>,
    /// The request with which the repository was created again, byte for byte.
    #[serde(default)]
    pub again: bool,
}

/// Pull.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pull {
    /// `knownPayloadVersion`: a number, or `current`, `current+1`, `current-1`; the current version unless told.
    pub known: Option<Counter>,
}

/// Push.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Push {
    /// `expectedPayloadVersion`; the current version unless told.
    pub expected: Option<Counter>,
    /// The envelope's version; one more than `expected` unless told, which is what a client writes.
    pub version: Option<Counter>,
    /// The envelope's epoch; the current one unless told.
    pub epoch: Option<Counter>,
    /// `rotatedMembers`: the roster that replaces the current one, freshly wrapped.
    pub rotate: Option<Vec<String>>,
    /// `rotatedMembers` is filled up to so many with members made up for it.
    pub crowd: Option<usize>,
    /// The size of the ciphertext in bytes, tag included; that of a small real payload unless told.
    pub ciphertext: Option<usize>,
    /// The actor's last push of this repository again, byte for byte.
    #[serde(default)]
    pub again: bool,
}

/// Add a member.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AddMember {
    /// Who is added; in a race `{new}` makes up a new member for every request, and `{one}` one for every round.
    pub member: String,
    /// With another X25519 key and a key wrapped for that.
    #[serde(default)]
    pub other_keys: bool,
    /// Exactly the entry that is stored already, where the member is one.
    #[serde(default)]
    pub same_entry: bool,
    /// Whether the entry carries a `keyBindingSig`.
    #[serde(default)]
    pub bound: bool,
    /// The request of the last `add-member` step again, byte for byte.
    #[serde(default)]
    pub again: bool,
}

/// Remove a member.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RemoveMember {
    /// Who goes.
    pub member: String,
    /// `newKeyEpoch`; one more than the current one unless told.
    pub epoch: Option<Counter>,
    /// The rotated envelope's version; one more than the current one unless told.
    pub version: Option<Counter>,
    /// Who is rewrapped; those who stay unless told.
    pub rewrap: Option<Vec<String>>,
    /// The request of the last `remove-member` step again, byte for byte.
    #[serde(default)]
    pub again: bool,
}

/// Fetch a member's entry.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FetchMember {
    /// Whose.
    pub member: String,
}

/// Ask for the discovery document.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Discover {}

/// Look at how the target is reached.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Transport {}

/// A request outside the route table. Sent with the actor's token unless `with.token` says otherwise.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRequest {
    /// The method.
    pub method: String,
    /// The escaped path, exactly as it goes out; `{repo}` stands for the escaped repository id, `{id:NAME}` for a member's.
    pub path: String,
    /// The body.
    pub body: Option<String>,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// A little over two minutes, after which a recommended nonce is gone.
    NonceExpiry,
    /// Until half of the time is over that the actor's token has left; not applicable where it lives for too long to be waited
    /// for.
    TokenHalfLife,
    /// Until the actor's token has expired by its own `expiresAt`; not applicable where that is too far away.
    TokenExpiry,
}

/// What is changed against the valid request. Pointers are JSON pointers into the body.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Changes {
    /// Values put at pointers. In text, `{repo}` and `{other}` stand for repository ids, `{id:NAME}` for a member's id,
    /// `{x25519:NAME}` for the other public key of a member, `{like:NAME}` for the id of nobody that is like a member's but for
    /// the case of a letter, `{head:NAME}` for one that has its first 32 characters, `{long:N}` for N characters of base64.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
    /// Pointers to which null is put.
    #[serde(default)]
    pub null: Vec<String>,
    /// Pointers whose fields are left out.
    #[serde(default)]
    pub remove: Vec<String>,
    /// One request for every field of the operation's schema, spoiled in this way.
    #[serde(default)]
    pub each_field: OneOrMany<FieldMutation>,
    /// Of `each-field`, only the fields of these objects, by pointers: `""` is the body itself. All fields unless told.
    #[serde(default)]
    pub objects: Vec<String>,
    /// The whole body in one of these forms; several are tried one after the other.
    #[serde(default)]
    pub form: OneOrMany<BodyForm>,
    /// The body is exactly this text.
    pub raw: Option<String>,
    /// Another method.
    pub method: Option<String>,
    /// The id in the path is that of this repository, while the body stays as it is.
    pub path_repo: Option<String>,
    /// The path is exactly this; `{repo}` stands for the escaped id.
    pub path: Option<String>,
    /// The member id at the end of the path in one of these forms; several are tried one after the other. For `fetch-member`
    /// alone.
    #[serde(default)]
    pub member: OneOrMany<MemberForm>,
    /// The path's segments leave `+`, `=` and the like as they are, as some clients do.
    #[serde(default)]
    pub raw_segments: bool,
    /// The escapes of the path have small hexadecimal digits (`%2f`), as some clients write them.
    #[serde(default)]
    pub small_escapes: bool,
    /// The names of the usual header fields are written with capitals, as many clients write them.
    #[serde(default)]
    pub capital_headers: bool,
    /// Header fields set besides the usual ones; names of repositories and members are filled in as in `set`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Another token, or none; several are tried one after the other.
    #[serde(default)]
    pub token: OneOrMany<TokenForm>,
    /// The call itself in one of these forms, over gRPC; several are tried one after the other.
    #[serde(default)]
    pub call: OneOrMany<CallForm>,
    /// The path of another method, over gRPC.
    pub rpc: Option<String>,
}

/// Forms of a call over gRPC that no client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallForm {
    /// No message at all.
    NoMessage,
    /// The message twice, each in a frame of its own.
    TwoMessages,
    /// Bytes that are no protobuf.
    Garbage,
    /// Half of the message, in a frame of its own length.
    HalfAMessage,
    /// The stream ends in the middle of the message.
    Truncated,
    /// Three of the five bytes of the frame.
    HalfAFrame,
    /// The frame says that the message is one byte shorter than it is.
    TooShort,
    /// The frame says that the message is four gigabytes long.
    HugeLength,
    /// The first field is a number where the message has text.
    WrongWireType,
    /// The first text is not UTF-8.
    InvalidUtf8,
    /// A field that nobody knows stands behind the message (legal).
    UnknownField,
    /// Compressed with gzip (legal; a server may not speak it).
    Gzip,
    /// Said to be compressed in a way that nobody knows.
    UnknownCompression,
    /// Marked as compressed, without a word on how, and not compressed (a server may read it as it is).
    Marked,
    /// Whole, and cancelled while the server may be at it: after half of the time that its operation took before, then a quarter,
    /// then three quarters, where it is named several times.
    Cancelled,
    /// Whole, with a deadline that is over at once.
    NoTime,
}

impl CallForm {
    /// All of them.
    pub const ALL: [CallForm; 16] = [
        CallForm::NoMessage,
        CallForm::TwoMessages,
        CallForm::Garbage,
        CallForm::HalfAMessage,
        CallForm::Truncated,
        CallForm::HalfAFrame,
        CallForm::TooShort,
        CallForm::HugeLength,
        CallForm::WrongWireType,
        CallForm::InvalidUtf8,
        CallForm::UnknownField,
        CallForm::Gzip,
        CallForm::UnknownCompression,
        CallForm::Marked,
        CallForm::Cancelled,
        CallForm::NoTime,
    ];

    /// What it does, in a few words for people.
    pub fn about(self) -> &'static str {
        match self {
            CallForm::NoMessage => "the call has no message",
            CallForm::TwoMessages => "the call has its message twice",
            CallForm::Garbage => "the message is no protobuf",
            CallForm::HalfAMessage => "the message is cut in the middle, in a frame of its own length",
            CallForm::Truncated => "the stream ends in the middle of the message",
            CallForm::HalfAFrame => "the stream ends after three of the five bytes of the frame",
            CallForm::TooShort => "the frame says that the message is a byte shorter than it is",
            CallForm::HugeLength => "the frame says that the message is four gigabytes",
            CallForm::WrongWireType => "the first field is a number, where it is text or a message",
            CallForm::InvalidUtf8 => "the first field stands once more, as a byte that is not UTF-8",
            CallForm::UnknownField => "a field nobody knows stands behind the message (legal)",
            CallForm::Gzip => "the message is compressed with gzip",
            CallForm::UnknownCompression => "the message is said to be compressed in a way nobody knows",
            CallForm::Marked => "the message is marked as compressed, without a word on how",
            CallForm::Cancelled => "the call is cancelled when it has gone out",
            CallForm::NoTime => "the call has a deadline of a nanosecond",
        }
    }
}

impl Changes {
    /// Whether `each-field` is about the field at a pointer.
    pub fn concerns(&self, pointer: &str) -> bool {
        let object = pointer.rsplit_once('/').map_or("", |(object, _)| object);
        self.objects.is_empty() || self.objects.iter().any(|wanted| wanted == object)
    }
}

/// A way to spoil one field; the fields come from the schema of the operation's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FieldMutation {
    /// A required field is left out.
    Dropped,
    /// A required field whose name begins with a capital.
    Capitalised,
    /// A field that may not be null is null.
    Null,
    /// A value of another JSON type, one request for each other type.
    Mistyped,
    /// A binary field is text that is no base64, base64 of another length, or its own base64 with a character of no alphabet or a
    /// line break inside, in the URL-safe alphabet, or without its padding.
    BrokenBase64,
    /// A counter with a fraction.
    Fractional,
    /// A counter beyond int64.
    Huge,
    /// A field nobody knows is added to an object.
    Unknown,
}

/// The id of nobody, made of a member's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemberForm {
    /// Its capitals are small and its small letters capitals.
    CaseSwapped,
    /// Its first twenty characters.
    Cut,
    /// The member's X25519 key.
    OtherKey,
}

/// A form of a whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BodyForm {
    /// No bytes at all.
    Empty,
    /// Text that is no JSON.
    NotJson,
    /// The valid body cut in the middle.
    Truncated,
    /// `[]` around the valid body.
    Array,
    /// The JSON literal null.
    NullLiteral,
    /// A JSON string that holds the valid body.
    Quoted,
    /// 100,000 opening brackets.
    DeepOpen,
    /// 1,000 arrays within each other, closed.
    DeepClosed,
    /// The valid body and more bytes behind it.
    TrailingBytes,
    /// The first field twice.
    DuplicateKeys,
    /// A byte that is no UTF-8 within a string.
    InvalidUtf8,
    /// The escape of half a surrogate pair at the beginning of the first text.
    LoneSurrogate,
    /// `NaN` in place of the first number.
    NotANumber,
    /// `Infinity` in place of the first number.
    Infinity,
    /// `1e400` in place of the first number: legal JSON, and more than any counter holds.
    HugeExponent,
    /// UTF-16.
    Utf16,
    /// The valid body with white space, in another key order, with escapes: legal JSON.
    Reformatted,
    /// The valid body as another content type.
    WrongContentType,
    /// The valid body with no content type.
    NoContentType,
    /// The valid body in chunked transfer coding: legal HTTP.
    Chunked,
}
