//! What a step of a case says: which sub-command is run, how the receiver answers meanwhile, and what a conformant program does.

use serde::Deserialize;

use super::names::Kind;
use super::receipts::Reply;
use crate::case::file::{Case, StepFacts};

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// What is done.
    #[serde(rename = "do")]
    pub act: Act,
    /// How the receiver answers in this step, delivery by delivery; the last one from then on. A full acknowledgement unless told.
    #[serde(default)]
    pub receiver: Vec<Reply>,
    /// What a conformant program may answer; that it takes the item, or accepts the checkpoint, unless told.
    #[serde(default)]
    pub answer: Vec<Expected>,
    /// The event id is that of the item when it was first enqueued.
    #[serde(default)]
    pub same_event: bool,
    /// The event id is another than that of this item.
    pub unlike: Option<String>,
    /// The items that arrive at the receiver in this step, in any order.
    pub delivers: Option<Vec<String>>,
    /// No item arrives twice in this step.
    #[serde(default)]
    pub once: bool,
    /// The receiver answers so for this item alone, and acknowledges all others.
    pub only: Option<String>,
    /// What the payload of the last delivery in this step is.
    pub payload: Option<Kind>,
    /// Whether the drain says that it sent something.
    pub sent: Option<bool>,
    /// All commands of the step, which run at the same moment, can read the database before any can write to it.
    #[serde(default)]
    pub all_read_first: bool,
    /// What the step verifies, instead of what the case does. Nothing, where the list is empty.
    pub checks: Option<Vec<String>>,
}

/// How a command may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// The item is in the spool, in whichever state.
    Taken,
    /// The item is in the spool, and not delivered.
    NotDelivered,
    /// The item waits: it is queued or in flight.
    Waiting,
    /// The item is delivered.
    Delivered,
    /// The item is dead.
    Dead,
    /// The command is refused, or the checkpoint is, and nothing is signed.
    Refused,
    /// The checkpoint is accepted, with a receipt.
    Accepted,
    /// The checkpoint is accepted as a replay, with the receipt that was given before.
    Replayed,
    /// The checkpoint is answered with evidence of a fork, and without a receipt.
    Fork,
    /// It is evidence of a fork that names the hash which was witnessed at the submitted number.
    ForkNamingTheKnown,
}

/// What is done in a step.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// `enqueue-json`.
    Enqueue(Enqueue),
    /// `drain-once`.
    Drain(Drain),
    /// `drain-once`, again and again until something arrives at the receiver.
    Retry(Retry),
    /// `drain-loop` until so much has arrived; it is then asked to end.
    Loop(Loop),
    /// `drain-loop`, asked to end (SIGTERM) when its delivery has arrived and is not answered yet; then it is answered.
    Terminate {},
    /// `drain-once`, killed when its delivery has arrived and is not answered yet.
    Kill {},
    /// `drain-once`, and another while the delivery of the first is not answered yet.
    Overlap {
        /// What is enqueued between the two.
        again: Option<Enqueue>,
    },
    /// For each of these answers: a fresh spool, an item, a drain that is answered so, and a look at the item's state.
    Reject(Vec<Reply>),
    /// The same, with the endpoint over https.
    RejectOverHttps(Vec<Reply>),
    /// For each of these endpoints: a fresh spool, an item, a drain that is to send it there, and a look at the item's state.
    Endpoints(Vec<Place>),
    /// A look at the files of the spool.
    Look {},
    /// `witness-checkpoint`.
    Witness(Checkpoint),
    /// `witness-checkpoint`, for several checkpoints of one number at the same moment.
    WitnessRace(WitnessRace),
}

/// An item that is enqueued.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Enqueue {
    /// The item: its reference is made of it.
    pub item: String,
    /// The stream; one and the same unless told.
    #[serde(default = "main")]
    pub stream: String,
    /// What its payload is.
    #[serde(default)]
    pub payload: Kind,
    /// The spool's key is another in this command: nobody can decrypt the item afterwards.
    #[serde(default)]
    pub under_another_key: bool,
    /// It is enqueued so many times at the same moment.
    #[serde(default = "one")]
    pub at_once: usize,
}

fn main() -> String {
    "main".to_owned()
}

fn one() -> usize {
    1
}

/// A drain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Drain {
    /// So many drains at the same moment; one unless told.
    pub at_once: Option<usize>,
    /// Where it is to send; the receiver unless told.
    pub endpoint: Option<Place>,
    /// Its values are given as options and not as variables.
    #[serde(default)]
    pub by_options: bool,
    /// It is waited for up to a minute, and has to end by itself.
    #[serde(default)]
    pub ends: bool,
}

/// Drains until something arrives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Retry {
    /// The relay may be slower than an ordinary run waits: that counts for nothing then.
    #[serde(default)]
    pub may_be_late: bool,
    /// It goes on until this item arrives, which is due: nothing but another item may keep it from that.
    pub until: Option<String>,
    /// It goes on until the item is dead: for many minutes.
    #[serde(default)]
    pub until_dead: bool,
    /// What is looked at is how long the item rested: not at all, or for less than before.
    #[serde(default)]
    pub rests: bool,
}

/// A loop that drains.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Loop {
    /// The items that are enqueued while it runs, once all that was there has arrived.
    #[serde(default)]
    pub meanwhile: Vec<Enqueue>,
    /// So much arrives before that.
    pub deliveries: usize,
    /// It has to end by itself when it is asked to.
    #[serde(default)]
    pub ends: bool,
    /// What is looked at is whether an item whose attempt failed rests in it.
    #[serde(default)]
    pub rests: bool,
}

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The receiver over http, on loopback.
    Http,
    /// The receiver over https.
    Https,
    /// A receiver whose certificate is by an authority that nobody knows.
    Untrusted,
    /// A receiver whose certificate has expired.
    Expired,
    /// A receiver whose certificate is for another host.
    WrongHost,
    /// A port at which nobody listens.
    Nobody,
    /// Plain http to 127.0.0.2, which is another host.
    OtherLoopback,
    /// Plain http to 0.0.0.0.
    AnyAddress,
    /// Plain http to 127.0.0.1 as an address of IPv6.
    MappedAddress,
    /// Plain http to 127.0.0.2, with 127.0.0.1 as the name of a user.
    UserThatLooksLikeAHost,
    /// Plain http to a host of the network, which a proxy would reach.
    PlainHost,
    /// Plain http to a host whose name begins with `localhost`.
    LocalhostAsPrefix,
    /// Plain http to a host whose name begins with `127.0.0.1`.
    AddressAsPrefix,
    /// The receiver, with a name and a password in the URL.
    Credentials,
    /// The receiver, with a query.
    Query,
    /// The receiver, with a fragment.
    Fragment,
}

impl Place {
    /// What it is, for people.
    pub fn about(self) -> &'static str {
        match self {
            Place::Http => "the receiver over http on loopback",
            Place::Https => "the receiver over https",
            Place::Untrusted => "a receiver whose certificate is by an unknown authority",
            Place::Expired => "a receiver whose certificate has expired",
            Place::WrongHost => "a receiver whose certificate is for another host",
            Place::Nobody => "a port at which nobody listens",
            Place::OtherLoopback => "http://127.0.0.2",
            Place::AnyAddress => "http://0.0.0.0",
            Place::MappedAddress => "http://[::ffff:127.0.0.1]",
            Place::UserThatLooksLikeAHost => "http://127.0.0.1@127.0.0.2",
            Place::PlainHost => "http://vault.example",
            Place::LocalhostAsPrefix => "http://localhost.vault.example",
            Place::AddressAsPrefix => "http://127.0.0.1.vault.example",
            Place::Credentials => "an endpoint with a name and a password",
            Place::Query => "an endpoint with a query",
            Place::Fragment => "an endpoint with a fragment",
        }
    }

    /// Whether the program may speak to it.
    pub fn is_registered(self) -> bool {
        matches!(self, Place::Http | Place::Https)
    }
}

/// A checkpoint that is submitted.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Checkpoint {
    /// The witness; the installation unless told.
    #[serde(default = "own")]
    pub witness: String,
    /// The tenant; one and the same unless told.
    #[serde(default = "main")]
    pub tenant: String,
    /// The stream; one and the same unless told.
    #[serde(default = "main")]
    pub stream: String,
    /// Its id; made of number and hash unless told.
    pub id: Option<String>,
    /// Its number.
    pub number: i64,
    /// Its hash, by a name.
    pub hash: String,
    /// The hash of the checkpoint before it, by its name; `winner` is the one that won the race before.
    pub previous: Option<String>,
    /// How its hash is written.
    #[serde(default)]
    pub form: HashForm,
    /// How the hash of the checkpoint before it is written.
    #[serde(default)]
    pub previous_form: HashForm,
}

fn own() -> String {
    "own".to_owned()
}

/// How a hash is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashForm {
    /// 64 lower-case hexadecimal digits.
    #[default]
    Right,
    /// In upper case.
    UpperCase,
    /// 62 digits.
    Short,
    /// A digit that is none.
    NoDigit,
    /// Two digits more.
    Long,
    /// With the end of a line behind it.
    Newline,
}

/// Checkpoints of one number.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WitnessRace {
    /// Their number.
    pub number: i64,
    /// Their hashes, by names.
    pub hashes: Vec<String>,
    /// The hash of the checkpoint before them, by its name.
    pub previous: Option<String>,
}

/// What `previous` names where it is the hash that won a race.
pub(super) const WINNER: &str = "winner";

impl Step {
    /// What its command may answer.
    pub(super) fn expected(&self) -> Vec<Expected> {
        match (&self.act, self.answer.is_empty()) {
            (Act::Enqueue(_), true) => vec![Expected::Taken],
            (Act::Witness(_), true) => vec![Expected::Accepted],
            _ => self.answer.clone(),
        }
    }

    /// How many runs it is about.
    fn length(&self) -> usize {
        match &self.act {
            Act::Reject(replies) | Act::RejectOverHttps(replies) => 3 * replies.len(),
            Act::Endpoints(places) => 3 * places.len(),
            Act::Retry(_) | Act::Loop(_) | Act::Terminate {} => 10,
            _ => 1,
        }
    }
}

/// What the engine is told of a step.
pub fn facts(case: &Case<Step>, step: &Step) -> StepFacts {
    let steps = case.steps.iter().map(|it| it.get_ref());
    let last = steps.rev().find(|other| other.checks.is_none());
    StepFacts {
        is_race: false,
        decides: last.is_some_and(|last| std::ptr::eq(last, step)),
        requirements: step.checks.clone().unwrap_or_default(),
        length: step.length(),
    }
}
