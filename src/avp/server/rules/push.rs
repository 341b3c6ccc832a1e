//! The rules of push alone.

use serde_json::Value;

use crate::avp::server::answer::Refusal;
use crate::avp::server::decision::{Decision, Reply, Stop, refuse_unless};
use crate::avp::server::vault::{Repo, count};

/// The client knew the current version, neither an older nor a later one; else the push is in conflict.
pub(in crate::avp::server) fn expects_current_version(repo: &Repo, body: &Value) -> Decision {
    match count(body, "expectedPayloadVersion") == repo.version {
        true => Ok(()),
        false => Err(conflict()),
    }
}

/// The end of a push that is in conflict with what is stored.
pub(in crate::avp::server) fn conflict() -> Stop {
    Stop::Done(Reply::Pushed { applied: false })
}

/// The epoch of the data key never goes back, and moves with a rotated roster only.
pub(in crate::avp::server) fn epoch_moves_with_roster(repo: &Repo, body: &Value) -> Decision {
    let epoch = count(&body["envelope"], "keyEpoch");
    let rotates = !body["rotatedMembers"].is_null();
    // Manifest and envelope are of one epoch, unless parts that disagree were let in.
    let known = repo.epoch.max(count(&repo.envelope, "keyEpoch"));
    refuse_unless(epoch >= repo.epoch && (epoch <= known || rotates), || {
        Refusal::bad_request("the key epoch grows, and with a rotated roster only")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn repo() -> Repo {
        Repo::new(&json!({
            "manifest": { "payloadVersion": 4, "keyEpoch": 2 },
            "initialEnvelope": { "payloadVersion": 4, "keyEpoch": 2 },
        }))
    }

    #[test]
    fn a_client_that_knew_another_version_is_in_conflict() {
        let expecting = |version: i64| json!({ "expectedPayloadVersion": version });
        assert_eq!(expects_current_version(&repo(), &expecting(4)), Ok(()));
        for stale in [3, 5, -1, 4 + (1 << 32)] {
            assert_eq!(
                expects_current_version(&repo(), &expecting(stale)),
                Err(conflict()),
                "{stale}"
            );
        }
    }

    #[test]
    fn the_epoch_moves_with_a_roster_and_never_back() {
        let with = |epoch: i64, roster: Value| {
            epoch_moves_with_roster(
                &repo(),
                &json!({ "envelope": { "keyEpoch": epoch }, "rotatedMembers": roster }),
            )
        };
        assert!(with(2, Value::Null).is_ok() && with(2, json!([])).is_ok() && with(5, json!([])).is_ok());
        assert!(
            with(3, Value::Null).is_err() && with(1, Value::Null).is_err() && with(1, json!([])).is_err()
        );
    }
}
