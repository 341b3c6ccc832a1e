//! The keys and ids of a case, by the names that it has for them: driver, judge and scripts derive the same.

use crate::keys::{Identity, Seed};

/// The part of the derivation that is this case in this run. Two generations of one seed share nothing.
pub fn scope(generation: u32, case: &str) -> String {
    format!("{generation}/{case}")
}

/// The part of all repository ids of a case that no other case and no other run has.
pub fn unique(seed: &Seed, scope: &str) -> String {
    let unique = seed.derive(&["repo", scope]);
    unique[..10].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The identity of an actor of a case.
///
/// That of a name that ends in `+/` has both characters in its member id, where every id has a `=`: all that must be escaped.
pub fn identity(seed: &Seed, scope: &str, actor: &str) -> Identity {
    let plain = Identity::derive(seed, &["actor", scope, actor]);
    if !actor.ends_with("+/") {
        return plain;
    }
    let odd = |identity: &Identity| identity.member_id().contains('+') && identity.member_id().contains('/');
    let more = (0..200).map(|at: u32| Identity::derive(seed, &["actor", scope, actor, &at.to_string()]));
    more.into_iter().find(odd).unwrap_or(plain)
}
