//! The server requirements of AVP 0.4, as a run records them.

use avp_conform::catalogue::Level;
use avp_conform::catalogue::Level::{May, Must, Should};

/// Id, level and text.
pub(crate) const REQUIREMENTS: [(&str, Level, &str); 62] = [
    (
        "AVP-2-01",
        Must,
        "Binary values it produces are standard base64 with padding.",
    ),
    (
        "AVP-2-02",
        Must,
        "Bodies use exactly the field names and types of the message schema, and nothing more where the message is closed.",
    ),
    ("AVP-2-03", Must, "Times are epoch milliseconds."),
    (
        "AVP-2-04",
        Must,
        "int64 counters come back exactly as sent over the whole range the JSON number syntax of the peer can carry (2^53-1 always; beyond it the profile says int64, so a rounded value is a defect).",
    ),
    ("AVP-2-05", Should, "JSON bodies are served as application/json."),
    ("AVP-3-01", Must, "A challenge nonce carries at least 32 bytes."),
    (
        "AVP-3-02",
        Must,
        "Nonces are random: no two challenges share one.",
    ),
    (
        "AVP-3-03",
        Must,
        "A nonce is redeemed at most once, also under concurrent redemption.",
    ),
    ("AVP-3-04", Must, "An expired nonce is refused."),
    ("AVP-3-05", Should, "A nonce lives two minutes or less."),
    ("AVP-3-06", Must, "A nonce the server never issued is refused."),
    (
        "AVP-3-07",
        Must,
        "The signature is verified over the raw, base64-decoded nonce bytes; one over the base64 text is refused.",
    ),
    (
        "AVP-3-08",
        Must,
        "The signature is verified against the presented ed25519PublicKey; nobody obtains a token for another member's key.",
    ),
    (
        "AVP-3-09",
        Must,
        "A well-signed nonce yields a token that opens the vault routes as that member, with no account lookup.",
    ),
    (
        "AVP-3-10",
        Must,
        "Every vault route without a valid bearer token answers 401.",
    ),
    (
        "AVP-3-11",
        Must,
        "A token is valid only at the server that issued it: unknown, altered or foreign tokens answer 401.",
    ),
    (
        "AVP-3-12",
        Must,
        "expiresAt lies in the future when the token is issued.",
    ),
    ("AVP-3-13", Must, "An expired token is refused."),
    (
        "AVP-3-14",
        Should,
        "A signature that RFC 8032 calls invalid (S not below the group order) is refused.",
    ),
    (
        "AVP-3-15",
        May,
        "A JWT token carries sub = key:<member id>, kind = keypair, and no account, e-mail or role claim.",
    ),
    (
        "AVP-4-01",
        Must,
        "Envelope, wrapped keys, public keys, scheme names and signatures are stored and served verbatim.",
    ),
    (
        "AVP-5.1-01",
        Must,
        "Stores shareRefreshTokens as sent on createRepo and serves it in every manifest.",
    ),
    ("AVP-5.1-02", Must, "Preserves shareRefreshTokens across push."),
    (
        "AVP-5.1-03",
        Must,
        "Preserves shareRefreshTokens across addMember.",
    ),
    (
        "AVP-5.1-04",
        Must,
        "Preserves shareRefreshTokens across removeMember.",
    ),
    (
        "AVP-5.1-05",
        Must,
        "Never substitutes a default for a value it was given.",
    ),
    (
        "AVP-6-01",
        Must,
        "createRepo is refused unless the roster holds exactly one member, the caller.",
    ),
    (
        "AVP-6-02",
        Must,
        "createRepo with an existing repoId is refused with 409 and changes nothing, also under concurrent creation.",
    ),
    (
        "AVP-6-03",
        Must,
        "createRepo stores the client's manifest and envelope and answers the stored manifest.",
    ),
    (
        "AVP-6-04",
        Must,
        "pull at the current version answers the manifest with unchanged = true.",
    ),
    (
        "AVP-6-05",
        Should,
        "pull at the current version leaves the envelope out.",
    ),
    (
        "AVP-6-06",
        Must,
        "pull at any other version answers the manifest, the current envelope and unchanged = false.",
    ),
    (
        "AVP-6-07",
        Must,
        "push applies only if expectedPayloadVersion equals the current version.",
    ),
    (
        "AVP-6-08",
        Must,
        "A push at any other version answers 200 with accepted = false, conflict = true and the current version, and writes nothing.",
    ),
    (
        "AVP-6-09",
        Must,
        "An applied push answers accepted = true, conflict = false and the new version; the next pull serves its envelope.",
    ),
    (
        "AVP-6-10",
        Must,
        "rotatedMembers replaces the roster in the same step as an applied push, and not otherwise.",
    ),
    (
        "AVP-6-11",
        Must,
        "addMember records the entry as sent; the member has access from then on.",
    ),
    (
        "AVP-6-12",
        Must,
        "Any member may do any operation; there is no owner.",
    ),
    (
        "AVP-6-13",
        Must,
        "removeMember drops the member, replaces the roster, stores the rotated envelope and sets epoch and version, in one step.",
    ),
    (
        "AVP-6-14",
        Must,
        "fetchMemberKey answers the member's entry, keyBindingSig included.",
    ),
    (
        "AVP-6-15",
        Must,
        "A caller who is no member is refused with 403 on every repository operation, whichever repository the body names.",
    ),
    (
        "AVP-6-16",
        Must,
        "An unknown repository answers 404; so does an unknown member on fetchMemberKey.",
    ),
    ("AVP-6-17", Must, "addMember moves neither version nor epoch."),
    (
        "AVP-6-18",
        Must,
        "Every non-2xx body is an error object with a string error.",
    ),
    (
        "AVP-6-19",
        Must,
        "A code, where present, is one the table gives for that status.",
    ),
    (
        "AVP-6-20",
        Must,
        "A malformed body is refused with 400 bad_request, and nothing is written.",
    ),
    (
        "AVP-6-21",
        Should,
        "A well-formed body that misses fields, has wrong types or bad keys is refused with 4xx, never stored, never a 5xx.",
    ),
    (
        "AVP-6-22",
        Must,
        "Success statuses are those of the route table (200).",
    ),
    (
        "AVP-7-01",
        Must,
        "A limit is refused as 413, 429 or 403 with its code, never as a conflict.",
    ),
    ("AVP-7-02", Should, "429 carries Retry-After."),
    ("AVP-7-03", Must, "A push sent twice applies once."),
    (
        "AVP-7-04",
        Should,
        "Re-adding a member with the same keys is a no-op answering the current manifest.",
    ),
    (
        "AVP-7-05",
        Should,
        "The identical removeMember sent again before any other write leaves the same state.",
    ),
    (
        "AVP-7-06",
        Must,
        "Routes on the escaped path: ids with reserved characters, percent-encoded, are found.",
    ),
    (
        "AVP-8-01",
        Must,
        "Discovery, if offered, answers without a token and lists the profiles spoken.",
    ),
    ("AVP-9-01", Must, "keyBindingSig is stored and served untouched."),
    (
        "AVP-10-01",
        Must,
        "No stored or served value decodes to a plaintext alt field.",
    ),
    (
        "AVP-10-02",
        Must,
        "payloadVersion of a repository strictly grows with every applied write; of concurrent pushes at one version exactly one applies.",
    ),
    (
        "AVP-10-03",
        Must,
        "A removed member has no access of any kind after removal, at every route, with tokens issued before it.",
    ),
    (
        "AVP-10-04",
        Should,
        "removeMember with an epoch that does not grow is refused: removal increments keyEpoch.",
    ),
    (
        "AVP-10-05",
        Must,
        "After removal the old wrapped key opens nothing the server serves; the remaining members' new ones do.",
    ),
    (
        "AVP-12-01",
        Must,
        "Transport is TLS (a loopback target is exempt in a test).",
    ),
];
