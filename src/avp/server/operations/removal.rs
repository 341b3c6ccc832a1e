//! removeMember: the member, the key, the payload and the counters, in one step.

use crate::avp::server::decision::{Asked, Reply, Rule, Stop};
use crate::avp::server::rules::{self, removal};
use crate::avp::server::vault::{Repo, count, list};

/// Removes a member and puts the rotated envelope and roster in place.
///
/// # Errors
/// The request is refused, or it is the last one again, and done already.
pub(in crate::avp::server) fn remove(asked: &Asked<'_>, repo: &mut Repo) -> Result<Reply, Stop> {
    let (body, envelope) = (asked.body, &asked.body["rotatedEnvelope"]);
    let (roster, version) = (list(body, "rewrappedMembers"), count(envelope, "payloadVersion"));
    asked.decide(
        Rule::SameRepo(repo),
        rules::body_names_repo(&asked.call.repo_id, body),
    )?;
    asked.decide(Rule::SameEnvelope, rules::envelope_names_repo(&repo.id, envelope))?;
    asked.decide(Rule::NotDoneYet(repo), removal::is_not_done_yet(repo, body))?;
    asked.decide(Rule::RemovesMember, removal::removes_member(repo, body))?;
    asked.decide(Rule::LeavesRoster(repo), removal::leaves_roster(body))?;
    asked.decide(Rule::Room(roster.len()), rules::room())?;
    asked.decide(Rule::Roster, removal::roster(body, &asked.call.caller))?;
    asked.decide(Rule::EpochGrows(repo), removal::epoch_grows(repo, body))?;
    asked.decide(Rule::EnvelopeOfEpoch, removal::envelope_is_of_epoch(body))?;
    asked.decide(
        Rule::VersionGrows(repo, version),
        rules::version_grows(repo, version),
    )?;
    repo.store(envelope);
    repo.epoch = count(body, "newKeyEpoch");
    repo.roster = roster.to_vec();
    repo.last_removal = Some(body.clone());
    Ok(Reply::Manifest)
}
