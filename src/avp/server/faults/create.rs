//! What createRepo gets wrong.

use serde_json::{Value, json};

use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Decision, Reply, Rule, Stop, grant_if, stop_if};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::vault::{Repo, id_of, list, text};
use crate::avp::{DEFAULT_SCHEME, Operation};

/// So many characters of an id does a short index hold.
const INDEXED_CHARS: usize = 128;

faults! { "create";
    Rule(unique_without_case) "ids-unique-without-case", Must "AVP-6-03",
        "A create is refused as a duplicate where a repository has the id in another case.",
        "Two people whose repositories are called alike cannot both have one.",
        "Give the column of the unique index a binary collation.";
    Rule(unique_trimmed) "ids-unique-when-trimmed", Must "AVP-6-03",
        "A create is refused as a duplicate where a repository has the id without the blanks at its ends.",
        "Two people whose repositories are called alike cannot both have one.",
        "Give the column a type that keeps blanks when it compares.";
    Rule(unique_by_hash) "ids-by-their-hash", Must "AVP-6-03",
        "Repositories are kept by the hash code of their ids, 32 bits long.",
        "Two people whose ids have the same cannot both have a repository.",
        "Keep them by their ids.";
    Rule(unique_when_cut) "ids-unique-by-128-characters", Must "AVP-6-03",
        "A create is refused as a duplicate where a repository has an id with the same first 128 characters.",
        "Whose ids begin alike cannot all have a repository.",
        "Index the whole column, or refuse ids that are longer.";
    Write(entry_epoch_taken) "create-overwrites-the-entrys-epoch", Must "AVP-2-04" and "AVP-6-03",
        "The creator's entry is stored under the epoch of the manifest, whatever its own is.",
        "Clients look for a key of the wrong epoch.",
        "Store the entry as it was sent, or refuse it.";
    Write(entry_scheme_taken) "create-takes-the-entrys-scheme", Must "AVP-4-01",
        "The scheme of a new repository is that of its entry's wrapped key, whatever its manifest says.",
        "Clients wrap keys in a way that nobody chose.",
        "Store the manifest as it was sent, or refuse what does not fit together.";
    Rule(parts_taken) and Write(envelope_epoch_taken) "create-overwrites-the-envelopes-epoch", Must "AVP-6-03",
        "An initial envelope of another epoch than the manifest is taken, and stored under the manifest's.",
        "What is served cannot be decrypted: the epoch is bound into the ciphertext.",
        "Store the envelope as it was sent, or refuse what does not fit together.";
    Named(ANSWERED_ONLY) "create-answered-not-stored", Must "AVP-6-03",
        "createRepo answers the manifest and stores nothing.",
        "A new repository is gone as soon as it is made.",
        "Commit the transaction before you answer.";
    Rule(roster_two) "create-with-two-members", Must "AVP-6-01",
        "A create is granted where the caller is one of several in the roster.",
        "People find themselves in repositories they never joined.",
        "Ask for a roster of exactly one entry, the caller's.";
    Rule(roster_empty) "create-with-no-members", Must "AVP-6-01",
        "A create with an empty roster is granted.",
        "A repository is made that nobody can open.",
        "Ask for a roster of exactly one entry, the caller's.";
    Rule(roster_other) "create-for-somebody-else", Must "AVP-6-01",
        "A create is granted whoever the one member is.",
        "People find repositories that others made in their name.",
        "Compare the entry's key with the token's subject.";
    Rule(create_forbidden) "create-forbidden", Must "AVP-3-09",
        "Every create is refused with 403, whoever asks.",
        "Nobody can begin.",
        "Grant a create whose roster is exactly the caller; look whether the guard of this route sees the token.";
    Rule(roster_alike) "create-for-a-lookalike", Must "AVP-6-01",
        "A create is granted where the one member's key looks like the caller's: the same without case, or in its first 32 characters.",
        "Repositories are made that nobody can open; a collation without case, or a column that is cut, is the usual cause.",
        "Compare whole keys, byte for byte.";
    Rule(duplicate_repeated) "create-repeated-is-granted", Must "AVP-6-02",
        "A create that is sent again byte for byte is answered as if it had just been made.",
        "A client cannot tell that its repository was there already, and what has become of it since.",
        "Answer 409 to every create under an id that is there.";
    Rule(roster_two) and Write(roster_trimmed) "create-trims-the-roster", Must "AVP-6-01",
        "A create with several members is granted, and only the caller is kept.",
        "Creators believe that others have access.",
        "Refuse what you do not store.";
    Rule(duplicate_replaces) "create-replaces", Must "AVP-6-02",
        "A create under an existing id replaces the repository.",
        "Anybody who knows an id wipes what is there; an upsert is the usual cause.",
        "Insert, and let the primary key refuse.";
    Refusal(duplicate_stored) "create-refused-but-replaces", Must "AVP-6-02",
        "A create under an existing id is refused with 409, and replaces the repository all the same.",
        "Anybody who knows an id wipes what is there.",
        "Check before you write, in one transaction.";
    Refusal(duplicate_envelope) "create-refused-but-stores-envelope", Must "AVP-6-02",
        "A create under an existing id is refused with 409, and its envelope is stored.",
        "Members can no longer decrypt their repository.",
        "Write manifest and envelope in one transaction.";
    Refusal(duplicate_joins) "create-refused-but-joins", Must "AVP-6-02",
        "A create under an existing id is refused with 409, and its member is added to the roster.",
        "Anybody who knows an id gets in.",
        "Write manifest and roster in one transaction.";
    Rule(duplicate_granted) "create-duplicate-answers-200", Must "AVP-6-02",
        "A create under an existing id answers the manifest that is there.",
        "Two people believe that the repository is theirs, and the roster shows to a stranger.",
        "Answer 409.";
    Answer(duplicate_400) "create-duplicate-answers-400", Must "AVP-6-02",
        "A create under an existing id is refused with 400.",
        "Clients cannot tell an id that is taken from a mistake of theirs.",
        "Answer 409.";
    Answer(duplicate_500) "create-duplicate-answers-500", Must "AVP-6-02",
        "A create under an existing id ends in a 500.",
        "Clients retry for ever; an uncaught constraint violation is the usual cause.",
        "Catch the violation, and answer 409.";
    Write(envelope_dropped) "create-drops-the-envelope", Must "AVP-6-03" and "AVP-6-06",
        "The initial envelope is not stored.",
        "The first pull has nothing to decrypt.",
        "Store manifest and envelope together.";
    Write(version_zero) "create-starts-at-version-0", Must "AVP-6-03",
        "A new repository is at version 0, whatever its manifest says.",
        "The creator's first push is a conflict.",
        "Take the version from the manifest.";
    Write(epoch_zero) "create-starts-at-epoch-0", Must "AVP-6-03",
        "A new repository is at epoch 0, whatever its manifest says.",
        "Clients look for a key of the wrong epoch.",
        "Take the epoch from the manifest.";
    Write(scheme_default) "create-replaces-the-scheme", Must "AVP-4-01",
        "The name of the wrap scheme is replaced by the default one.",
        "Clients with another scheme can no longer unwrap.",
        "Store the name as it is: it is the clients' business.";
    Write(other_id) "create-chooses-the-id", Must "AVP-6-03",
        "The manifest comes back under an id of the server's own.",
        "Clients cannot find what they created, and cannot decrypt it either.",
        "Keep the client's id.";
    Write(policy_dropped) "create-drops-the-policy", Must "AVP-5.1-01",
        "shareRefreshTokens is not stored.",
        "Members stop sharing refresh tokens that their repository allows.",
        "Add the field to the table; absent and false are different things to store.";
    Write(policy_false) "create-stores-policy-as-false", Must "AVP-5.1-01",
        "shareRefreshTokens is stored as false where it was true.",
        "Members stop sharing refresh tokens that their repository allows.",
        "Read the field; a default in the constructor is the usual cause.";
    Write(policy_true) "create-defaults-the-policy-to-true", Must "AVP-5.1-05",
        "An absent shareRefreshTokens is stored as true.",
        "Refresh tokens are shared against the will of the members.",
        "Store no value that was not sent.";
    Write(policy_always) "create-stores-any-policy-as-true", Must "AVP-5.1-05",
        "shareRefreshTokens is stored as true, also where it was false.",
        "Refresh tokens are shared against the will of the members.",
        "Store the value that was sent.";
    Answer(created_201) "create-answers-201", Must "AVP-6-22",
        "createRepo answers 201.",
        "Clients that ask for 200 report an error and try again, which is then a duplicate.",
        "Answer 200.";
    Answer(echo) "create-answers-the-request", Must "AVP-2-02",
        "createRepo answers the request and not the manifest.",
        "Clients cannot read the answer.",
        "Answer the stored manifest.";
    Rule(epoch_0_missing) "create-refuses-epoch-0", Must "AVP-6-03",
        "A create whose epoch is 0 is refused with 400, as if it had none.",
        "Clients begin at epoch 0, and none of them can make a repository.",
        "Ask whether the field is there, not whether it is more than 0: a validator that takes 0 for a missing value is the usual cause.";
    Named(VISIBLE_LATE) "create-visible-late", Must "AVP-6-03",
        "A new repository is found 60 milliseconds after it was answered.",
        "The first pull after a create says 404; reading from a replica is the usual cause.",
        "Read from where you write.";
}

fn envelope_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    if !creates(place) {
        return false;
    }
    repo.envelope = Value::Null;
    true
}

fn entry_epoch_taken(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    creates(place) && under_epoch(&mut repo.roster, repo.epoch)
}

/// Puts entries under an epoch that is not theirs; true where one was of another.
fn entry_scheme_taken(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let scheme = repo
        .roster
        .first()
        .map(|entry| text(&entry["wrappedDataKey"], "schemeId").to_owned());
    let other = scheme.filter(|scheme| creates(place) && *scheme != repo.scheme);
    other.is_some_and(|other| {
        repo.scheme = other;
        true
    })
}

pub(super) fn under_epoch(roster: &mut [Value], epoch: i64) -> bool {
    let epoch = Value::from(epoch);
    roster.iter_mut().fold(false, |changed, entry| {
        changed | (std::mem::replace(&mut entry["keyEpoch"], epoch.clone()) != epoch)
    })
}

fn epoch_0_missing(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let is_0 = asked.body["manifest"]["keyEpoch"] == 0;
    let refusal = Refusal::bad_request("keyEpoch is required");
    stop_if(decision, is_0 && matches!(rule, Rule::PartsAgree), refusal)
}

fn parts_taken(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::PartsAgree))
}

fn envelope_epoch_taken(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let epoch = Value::from(repo.epoch);
    creates(place) && std::mem::replace(&mut repo.envelope["keyEpoch"], epoch.clone()) != epoch
}

fn version_zero(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    creates(place) && std::mem::take(&mut repo.version) != 0
}

fn epoch_zero(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    creates(place) && std::mem::take(&mut repo.epoch) != 0
}

fn scheme_default(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    creates(place) && std::mem::replace(&mut repo.scheme, DEFAULT_SCHEME.to_owned()) != DEFAULT_SCHEME
}

fn other_id(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    if creates(place) {
        repo.id = format!("repo-{}", repo.id.len());
    }
    creates(place)
}

fn policy_dropped(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    creates(place) && repo.policy.take() == Some(true)
}

fn policy_false(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    creates(place) && repo.policy == Some(true) && repo.policy.replace(false).is_some()
}

fn policy_true(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let here = creates(place) && repo.policy.is_none();
    if here {
        repo.policy = Some(true);
    }
    here
}

fn policy_always(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let here = creates(place) && repo.policy == Some(false);
    if here {
        repo.policy = Some(true);
    }
    here
}

fn creates(place: &Call) -> bool {
    place.operation == Operation::CreateRepo
}

fn duplicate_400(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    restate(
        answer,
        Answer::new(
            400,
            json!({ "error": "invalid repository id", "code": "bad_request" }),
        ),
    )
}

fn duplicate_500(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    restate(
        answer,
        Answer::new(500, json!({ "error": "UNIQUE constraint failed: repos.id" })),
    )
}

fn restate(answer: &mut Answer, instead: Answer) -> bool {
    let here = answer.status == 409;
    if here {
        *answer = instead;
    }
    here
}

fn created_201(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.on(Operation::CreateRepo) && answer.status == 200;
    if here {
        answer.status = 201;
    }
    here
}

fn echo(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.on(Operation::CreateRepo) && answer.status == 200;
    if here {
        *answer = Answer::ok(scene.sent());
    }
    here
}

/// Whether the caller is one of a roster.
fn is_in(roster: &[Value], asked: &Asked<'_>) -> bool {
    roster.iter().any(|entry| id_of(entry) == asked.call.caller)
}

/// Takes a roster that is not exactly the creator, where `is_taken` does.
fn takes_roster(rule: Rule<'_>, decision: &mut Decision, is_taken: impl Fn(&[Value]) -> bool) -> bool {
    match rule {
        Rule::SoleMember(manifest) => grant_if(decision, is_taken(list(manifest, "members"))),
        _ => false,
    }
}

fn roster_two(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_roster(rule, decision, |roster| roster.len() > 1 && is_in(roster, asked))
}

fn roster_trimmed(place: &Call, _: &Repo, repo: &mut Repo) -> bool {
    let count = repo.roster.len();
    if creates(place) {
        repo.roster.retain(|entry| id_of(entry) == place.caller);
    }
    repo.roster.len() < count
}

fn roster_empty(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_roster(rule, decision, <[Value]>::is_empty)
}

fn roster_other(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    takes_roster(rule, decision, |roster| roster.len() == 1)
}

fn duplicate_granted(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let here = matches!(rule, Rule::FreshId(_)) && decision.is_err();
    if here {
        *decision = Err(Stop::Done(Reply::Manifest));
    }
    here
}

fn create_forbidden(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let refusal = Refusal::forbidden("this is not allowed");
    stop_if(decision, matches!(rule, Rule::SoleMember(_)), refusal)
}

fn roster_alike(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let caller = &asked.call.caller;
    takes_roster(rule, decision, |roster| {
        let alike = |id: &str| id.eq_ignore_ascii_case(caller) || id.get(..32) == caller.get(..32);
        matches!(roster, [entry] if alike(id_of(entry)))
    })
}

fn duplicate_repeated(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::FreshId(_) = rule else {
        return false;
    };
    let key = format!("created {}", asked.body);
    let here = asked.state.noted(key, decision.is_ok());
    if here {
        *decision = Err(Stop::Done(Reply::Manifest));
    }
    here
}

fn duplicate_replaces(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    grant_if(decision, matches!(rule, Rule::FreshId(_)))
}

fn duplicate_stored(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    creates(place) && {
        *repo = Repo::new(body);
        true
    }
}

fn duplicate_envelope(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    creates(place) && {
        repo.envelope = body["initialEnvelope"].clone();
        true
    }
}

fn duplicate_joins(place: &Call, body: &Value, repo: &mut Repo) -> bool {
    creates(place) && {
        repo.roster.extend_from_slice(list(&body["manifest"], "members"));
        true
    }
}

fn unique_without_case(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    is_taken(asked, rule, decision, |id| id.to_lowercase())
}

fn unique_trimmed(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    is_taken(asked, rule, decision, |id| id.trim().to_owned())
}

/// The hash code is that of Java's strings.
fn unique_by_hash(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    is_taken(asked, rule, decision, |id| {
        let units = id.encode_utf16().map(u32::from);
        let hash = units.fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit));
        hash.to_string()
    })
}

fn unique_when_cut(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    is_taken(asked, rule, decision, |id| {
        id.chars().take(INDEXED_CHARS).collect()
    })
}

/// Refuses a new repository whose id looks in an index like that of one that is there.
fn is_taken(
    asked: &Asked<'_>,
    rule: Rule<'_>,
    decision: &mut Decision,
    indexed: impl Fn(&str) -> String,
) -> bool {
    let Rule::FreshId(vault) = rule else {
        return false;
    };
    let id = indexed(text(&asked.body["manifest"], "repoId"));
    let taken = vault.repos.keys().any(|known| indexed(known) == id);
    stop_if(decision, taken, Refusal::duplicate())
}
