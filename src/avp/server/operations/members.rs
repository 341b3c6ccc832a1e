//! addMember and fetchMemberKey: the roster, one entry at a time.

use crate::avp::server::answer::Refusal;
use crate::avp::server::decision::{Asked, Reply, Rule, Stop};
use crate::avp::server::rules;
use crate::avp::server::vault::{Repo, id_of};

/// Records an entry as it was sent. Its epoch and its binding are the clients' business.
///
/// A member who is in the roster already stays as recorded: with the same X25519 key that is the no-op the protocol
/// asks for, with another it is refused, since to swap somebody's key is to lock them out.
///
/// # Errors
/// The request is refused.
pub(in crate::avp::server) fn add(asked: &Asked<'_>, repo: &mut Repo) -> Result<Reply, Stop> {
    let member = &asked.body["member"];
    asked.decide(
        Rule::SameRepo(repo),
        rules::body_names_repo(&asked.call.repo_id, asked.body),
    )?;
    match repo.entry(id_of(member)) {
        Some(known) => asked.decide(Rule::SameKeys, rules::has_same_key(known, member))?,
        None => {
            asked.decide(Rule::Room(repo.roster.len() + 1), rules::room())?;
            repo.roster.push(member.clone());
            repo.last_removal = None;
        }
    }
    Ok(Reply::Manifest)
}

/// Answers one entry of the roster.
///
/// # Errors
/// There is no such member.
pub(in crate::avp::server) fn fetch(asked: &Asked<'_>, repo: &mut Repo) -> Result<Reply, Stop> {
    match repo.entry(&asked.call.member_id) {
        Some(entry) => Ok(Reply::Value(entry.clone())),
        None => Err(Refusal::not_found("there is no such member in this repository").into()),
    }
}
