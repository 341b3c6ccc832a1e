//! push: a new payload, if nobody was faster.

use crate::avp::server::decision::{Asked, Reply, Rule, Stop};
use crate::avp::server::rules;
use crate::avp::server::vault::{Repo, count, list};

/// Stores an envelope, and a rotated roster with it, if the client knew the current version.
///
/// # Errors
/// The request is refused, or it is in conflict with what is stored.
pub(in crate::avp::server) fn push(asked: &Asked<'_>, repo: &mut Repo) -> Result<Reply, Stop> {
    let (body, envelope) = (asked.body, &asked.body["envelope"]);
    let version = count(envelope, "payloadVersion");
    asked.decide(
        Rule::SameRepo(repo),
        rules::body_names_repo(&asked.call.repo_id, body),
    )?;
    asked.decide(Rule::SameEnvelope, rules::envelope_names_repo(&repo.id, envelope))?;
    asked.decide(
        Rule::CurrentVersion(repo),
        rules::push::expects_current_version(repo, body),
    )?;
    asked.decide(
        Rule::VersionGrows(repo, version),
        rules::version_grows(repo, version),
    )?;
    asked.decide(
        Rule::EpochMovesWithRoster(repo),
        rules::push::epoch_moves_with_roster(repo, body),
    )?;
    if !body["rotatedMembers"].is_null() {
        let roster = list(body, "rotatedMembers");
        asked.decide(Rule::Room(roster.len()), rules::room())?;
        asked.decide(Rule::Roster, rules::roster(roster, &asked.call.caller))?;
        repo.roster = roster.to_vec();
    }
    repo.store(envelope);
    Ok(Reply::Pushed { applied: true })
}
