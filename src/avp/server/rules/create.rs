//! The rules of createRepo.

use serde_json::Value;

use crate::avp::server::answer::Refusal;
use crate::avp::server::decision::{Decision, refuse_unless};
use crate::avp::server::vault::{Vault, count, id_of, list};

/// The roster of a new repository is exactly its creator.
pub(in crate::avp::server) fn has_sole_member(manifest: &Value, caller: &str) -> Decision {
    let sole = match list(manifest, "members") {
        [entry] => id_of(entry) == caller,
        _ => false,
    };
    refuse_unless(sole, || {
        Refusal::forbidden("the roster of a new repository is exactly its creator")
    })
}

/// Manifest and envelope speak of the same version and epoch.
pub(in crate::avp::server) fn parts_agree(manifest: &Value, envelope: &Value) -> Decision {
    let mut counters = ["payloadVersion", "keyEpoch"].into_iter();
    match counters.find(|counter| count(manifest, counter) != count(envelope, counter)) {
        Some(counter) => {
            let refusal = Refusal::bad_request("manifest and envelope disagree");
            Err(refusal.with_detail(format!("on {counter}")).into())
        }
        None => Ok(()),
    }
}

/// No repository has this id yet; one that has it stays as it is.
pub(in crate::avp::server) fn is_fresh(vault: &Vault, id: &str) -> Decision {
    refuse_unless(!vault.repos.contains_key(id), Refusal::duplicate)
}
