//! What a step of a case for clients says: what the client is to do, and what the server does meanwhile.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::avp::Operation;
use crate::case::file::{Case, StepFacts};

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// The member who acts; `alice` unless told.
    #[serde(rename = "as", default = "alice")]
    pub member: String,
    /// What is done.
    #[serde(rename = "do")]
    pub act: Act,
    /// What the server does otherwise during this step. The first rule that fits a request decides.
    #[serde(default)]
    pub server: Vec<Rule>,
    /// Freedoms that the server uses from here on, by the names of the reference server's variations. It is a fresh server.
    #[serde(default)]
    pub vary: Vec<String>,
    /// What a conformant client may answer; `done` unless told.
    #[serde(default = "done")]
    pub answer: Vec<Expected>,
    /// The alts that a pull shows.
    pub alts: Option<Vec<String>>,
    /// The alts that the last write of the step holds, once decrypted.
    pub stored: Option<Vec<String>>,
    /// Those of the stored alts that somebody else wrote, and whose bans have to be there still.
    pub bans: Option<Vec<String>>,
    /// How often the client may push in this step.
    pub pushes: Option<usize>,
    /// What the step verifies, instead of what the case does. Nothing, where the list is empty.
    pub checks: Option<Vec<String>>,
}

fn alice() -> String {
    "alice".to_owned()
}

fn done() -> Vec<Expected> {
    vec![Expected::Done]
}

/// How a command may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// It was carried out.
    Done,
    /// It was not, whatever the reason.
    Failed,
    /// The client says that the server refused, and names the status.
    Refused,
}

/// What is done in a step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// The client walks: its program runs by itself.
    Walk {},
    /// Logs in.
    Login {},
    /// Creates the repository of the case.
    Create(Create),
    /// Pulls it.
    Pull(Pull),
    /// Saves these alts.
    Save(Vec<String>),
    /// Adds a member.
    Add(Add),
    /// Removes the member of this name.
    Remove(String),
    /// Looks up the entry of the member of this name.
    Fetch(String),
    /// Writes an invite request, which must be one.
    WriteInvite {},
    /// Reads an invite request that the harness writes in this form.
    ReadInvite(Spelling),
    /// Writes a locator of a repository.
    WriteLocator(Place),
    /// Reads a locator that the harness writes in this form.
    ReadLocator(Spelling),
    /// Writes the address of a repository.
    WriteAddress(Place),
    /// Reads the address of a repository.
    ReadAddress(Place),
    /// The member goes to another server from here on.
    Elsewhere {},
    /// The harness writes these alts, as the member, and the client has no part in it.
    Plant(Vec<String>),
    /// The harness writes what is there once more, as the member, at this version.
    Leap(i64),
    /// The adapter is ended and started anew: it is told again who its members are.
    Restart {},
}

/// How the repository is created.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Create {
    /// Its alts.
    #[serde(default)]
    pub alts: Vec<String>,
    /// Whether refresh tokens are shared; nothing is said of it unless told.
    pub share: Option<bool>,
    /// Its id has characters that a path cannot hold as they are.
    #[serde(default)]
    pub odd_id: bool,
}

/// How it is pulled.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pull {
    /// The version that the client is told it knows.
    pub known: Option<i64>,
}

/// Who is added.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Add {
    /// The member of this name.
    pub member: String,
    /// Whether the issuer has bound their keys to each other.
    #[serde(default)]
    pub bound: bool,
    /// Their X25519 key is this one of small order.
    pub weak: Option<WeakKey>,
}

/// An X25519 key of small order: the shared secret is zero, whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeakKey {
    /// u = 0.
    Zero,
    /// u = 1.
    One,
    /// u = -1.
    MinusOne,
    /// A point of order 8.
    OrderEight,
    /// u = 2^255 - 19: zero, not reduced.
    NotReduced,
}

/// A host and a repository.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Place {
    /// `localhost:8787`
    pub host: String,
    /// The id.
    pub repo: String,
}

/// How a join token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spelling {
    /// Minified, in the order of the protocol.
    Plain,
    /// The fields in another order.
    OtherOrder,
    /// White space between the fields.
    Spaced,
    /// Without what may be absent.
    Least,
    /// With null for what may be absent.
    Nulls,
    /// With letters beyond ASCII in the id, and an escape.
    Letters,
}

/// What the server does otherwise with some requests.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// The operation.
    pub on: Operation,
    /// So many requests are let through first.
    #[serde(default)]
    pub skip: usize,
    /// So many are taken then; one unless told.
    #[serde(default = "one")]
    pub times: usize,
    /// What is done with them.
    #[serde(rename = "do")]
    pub deed: Deed,
}

fn one() -> usize {
    1
}

/// What is done with a request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    /// It is not executed, and answered so.
    Answer(Canned),
    /// It is not executed, and sent to another host with this status.
    Redirect(u16),
    /// Before it is executed, this member writes these alts: the harness does it for them.
    OtherWrites(OtherWrites),
    /// It is executed, and the answer altered.
    Alter(Alteration),
}

/// Who writes what.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OtherWrites {
    /// The member.
    #[serde(rename = "as")]
    pub member: String,
    /// The alts that the repository holds from then on.
    pub alts: Vec<String>,
}

/// A made-up answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Canned {
    /// The status.
    pub status: u16,
    /// The code of the error object; none unless told.
    pub code: Option<String>,
    /// `Retry-After`: seconds, or `date` for a time between one and two seconds from now.
    pub retry_after: Option<String>,
    /// Whether the error object has further members.
    #[serde(default)]
    pub more: bool,
    /// Another body than an error object.
    pub body: Option<String>,
}

/// How an answer is altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alteration {
    /// A bit of the ciphertext is flipped.
    Ciphertext,
    /// A bit of the ciphertext's tag is flipped.
    Tag,
    /// A bit of the iv is flipped.
    Iv,
    /// The version is another, in manifest and envelope.
    Version,
    /// The epoch is another, in manifest and envelope.
    Epoch,
    /// The ciphertext was made for another repository.
    Repository,
    /// The envelope is another repository's, and says so.
    OtherEnvelope,
    /// Manifest and envelope are another repository's, and say so.
    OtherRepository,
    /// The ciphertext was made for an older version.
    OlderVersion,
    /// The ciphertext was made without additional data.
    Unbound,
    /// A bit of the member's wrapped key is flipped.
    WrappedKey,
    /// A bit of its tag is flipped.
    WrappedTag,
    /// A bit of the ephemeral key is flipped.
    EphemeralKey,
    /// The wrapped key is another member's.
    OtherWrappedKey,
    /// `envelope` is null.
    EnvelopeNull,
    /// `envelope` is absent.
    EnvelopeAbsent,
    /// `shareRefreshTokens` is absent.
    PolicyAbsent,
    /// `shareRefreshTokens` is false.
    PolicyFalse,
    /// `shareRefreshTokens` is null.
    PolicyNull,
    /// `shareRefreshTokens` is the text `"true"`.
    PolicyText,
    /// The X25519 key of another member is somebody else's, the binding stays.
    KeySwapped,
    /// The X25519 key of another member is somebody else's, without a binding.
    KeySwappedUnbound,
    /// The X25519 key of the first member is somebody else's.
    OwnKeySwapped,
    /// The X25519 key of another member is of small order.
    KeyWeak,
    /// The token has a form of its own: a JWT with claims that nobody knows.
    JwtToken,
}

impl Alteration {
    /// What it is, for people.
    pub fn about(self) -> &'static str {
        match self {
            Alteration::Ciphertext => "a bit of the ciphertext is flipped",
            Alteration::Tag => "a bit of the ciphertext's tag is flipped",
            Alteration::Iv => "a bit of the iv is flipped",
            Alteration::Version => "the version is another in manifest and envelope",
            Alteration::Epoch => "the epoch is another in manifest and envelope",
            Alteration::Repository => "the ciphertext was made for another repository",
            Alteration::OlderVersion => "the ciphertext was made for an older version",
            Alteration::Unbound => "the ciphertext was made without additional data",
            Alteration::WrappedKey => "a bit of the wrapped key is flipped",
            Alteration::WrappedTag => "a bit of the wrapped key's tag is flipped",
            Alteration::EphemeralKey => "a bit of the ephemeral key is flipped",
            Alteration::OtherWrappedKey => "the wrapped key is another member's",
            Alteration::EnvelopeNull => "envelope is null",
            Alteration::EnvelopeAbsent => "envelope is absent",
            Alteration::PolicyAbsent => "shareRefreshTokens is absent",
            Alteration::PolicyFalse => "shareRefreshTokens is false",
            Alteration::OtherEnvelope => "the envelope is another repository's",
            Alteration::OtherRepository => "manifest and envelope are another repository's",
            Alteration::PolicyNull => "shareRefreshTokens is null",
            Alteration::PolicyText => "shareRefreshTokens is the text \"true\"",
            Alteration::OwnKeySwapped => "the X25519 key of the first member is somebody else's",
            Alteration::KeySwapped => "the X25519 key of another member is somebody else's",
            Alteration::KeySwappedUnbound => {
                "the X25519 key of another member is somebody else's, and there is no binding"
            }
            Alteration::KeyWeak => "the X25519 key of another member is of small order",
            Alteration::JwtToken => "the token is a JWT with claims that nobody knows",
        }
    }
}

impl Step {
    /// Whether the client walks in it.
    pub fn is_walk(&self) -> bool {
        matches!(self.act, Act::Walk {})
    }
}

/// What the engine is told of a step.
pub fn facts(case: &Case<Step>, step: &Step) -> StepFacts {
    let deciding = case.steps.iter().map(|it| it.get_ref());
    let last = deciding.rev().find(|other| other.checks.is_none());
    StepFacts {
        is_race: false,
        decides: last.is_some_and(|last| std::ptr::eq(last, step)),
        requirements: step.checks.clone().unwrap_or_default(),
        length: if step.is_walk() { 20 } else { 4 },
    }
}
