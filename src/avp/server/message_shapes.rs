//! The shapes of request messages: which fields each has, and what they hold.

use crate::avp::Operation;

/// A message: its name and its fields.
pub(super) struct Shape {
    /// The protocol's name of the message.
    pub(super) name: &'static str,
    /// Its fields.
    pub(super) fields: &'static [Field],
}

/// A field.
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether it may be left out.
    pub(super) need: Need,
}

/// What a field holds.
pub(super) enum Kind {
    /// Any string.
    Text,
    /// A string that is not empty.
    Id,
    /// Standard base64 with padding, of this many bytes or of any number.
    Base64(Option<usize>),
    /// An int64.
    Integer,
    /// An int64 that is not negative: what versions and epochs are once they are stored.
    Counter,
    /// A boolean.
    Flag,
    /// A message.
    Object(&'static Shape),
    /// Any number of one message.
    List(&'static Shape),
}

/// Whether a field may be left out.
#[derive(PartialEq)]
pub(super) enum Need {
    /// It must be there.
    Required,
    /// It may be left out.
    Optional,
    /// Optional, and null stands for absent.
    Nullable,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        need: Need::Required,
    }
}

static WRAPPED_KEY: Shape = Shape {
    name: "WrappedKey",
    fields: &[
        field("schemeId", Kind::Text),
        field("ephemeralPublicKey", Kind::Base64(Some(32))),
        field("iv", Kind::Base64(Some(12))),
        field("ciphertext", Kind::Base64(Some(48))),
    ],
};

static MEMBER_ENTRY: Shape = Shape {
    name: "MemberEntry",
    fields: &[
        field("ed25519PublicKey", Kind::Base64(Some(32))),
        field("x25519PublicKey", Kind::Base64(Some(32))),
        field("wrappedDataKey", Kind::Object(&WRAPPED_KEY)),
        field("keyEpoch", Kind::Counter),
        Field {
            name: "keyBindingSig",
            kind: Kind::Text,
            need: Need::Nullable,
        },
    ],
};

static ENVELOPE: Shape = Shape {
    name: "EncryptedEnvelope",
    fields: &[
        field("repoId", Kind::Text),
        field("payloadVersion", Kind::Counter),
        field("keyEpoch", Kind::Counter),
        field("iv", Kind::Base64(Some(12))),
        field("ciphertext", Kind::Base64(None)),
    ],
};

static MANIFEST: Shape = Shape {
    name: "VaultManifest",
    fields: &[
        field("repoId", Kind::Id),
        field("schemeId", Kind::Text),
        field("keyEpoch", Kind::Counter),
        field("payloadVersion", Kind::Counter),
        field("members", Kind::List(&MEMBER_ENTRY)),
        Field {
            name: "shareRefreshTokens",
            kind: Kind::Flag,
            need: Need::Optional,
        },
    ],
};

static CHALLENGE: Shape = Shape {
    name: "ChallengeRequest",
    fields: &[field("ed25519PublicKey", Kind::Base64(Some(32)))],
};

static TOKEN: Shape = Shape {
    name: "TokenRequest",
    fields: &[
        field("ed25519PublicKey", Kind::Base64(Some(32))),
        field("nonce", Kind::Base64(None)),
        field("signature", Kind::Base64(Some(64))),
    ],
};

static CREATE: Shape = Shape {
    name: "CreateRepoRequest",
    fields: &[
        field("manifest", Kind::Object(&MANIFEST)),
        field("initialEnvelope", Kind::Object(&ENVELOPE)),
    ],
};

static PULL: Shape = Shape {
    name: "PullRequest",
    fields: &[
        field("repoId", Kind::Text),
        field("knownPayloadVersion", Kind::Integer),
    ],
};

static PUSH: Shape = Shape {
    name: "PushRequest",
    fields: &[
        field("repoId", Kind::Text),
        field("envelope", Kind::Object(&ENVELOPE)),
        field("expectedPayloadVersion", Kind::Integer),
        Field {
            name: "rotatedMembers",
            kind: Kind::List(&MEMBER_ENTRY),
            need: Need::Nullable,
        },
    ],
};

static ADD: Shape = Shape {
    name: "MemberAddRequest",
    fields: &[
        field("repoId", Kind::Text),
        field("member", Kind::Object(&MEMBER_ENTRY)),
    ],
};

static REMOVE: Shape = Shape {
    name: "MemberRemoveRequest",
    fields: &[
        field("repoId", Kind::Text),
        field("removedMemberId", Kind::Text),
        field("rotatedEnvelope", Kind::Object(&ENVELOPE)),
        field("rewrappedMembers", Kind::List(&MEMBER_ENTRY)),
        field("newKeyEpoch", Kind::Counter),
    ],
};

/// The shape of an operation's request body; `None` where it has none.
pub(super) fn of(operation: Operation) -> Option<&'static Shape> {
    match operation {
        Operation::Challenge => Some(&CHALLENGE),
        Operation::Token => Some(&TOKEN),
        Operation::CreateRepo => Some(&CREATE),
        Operation::Pull => Some(&PULL),
        Operation::Push => Some(&PUSH),
        Operation::AddMember => Some(&ADD),
        Operation::RemoveMember => Some(&REMOVE),
        Operation::FetchMemberKey | Operation::Discovery => None,
    }
}
