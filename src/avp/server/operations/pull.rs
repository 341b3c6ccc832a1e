//! pull: the manifest, and the envelope unless the client has it.

use crate::avp::server::decision::{Asked, Reply, Rule, Stop};
use crate::avp::server::rules;
use crate::avp::server::vault::{Repo, count};

/// Answers what a member needs to be up to date.
///
/// # Errors
/// The request is refused.
pub(in crate::avp::server) fn pull(asked: &Asked<'_>, repo: &mut Repo) -> Result<Reply, Stop> {
    asked.decide(
        Rule::SameRepo(repo),
        rules::body_names_repo(&asked.call.repo_id, asked.body),
    )?;
    let unchanged = count(asked.body, "knownPayloadVersion") == repo.version;
    let envelope = (!unchanged).then(|| repo.envelope.clone());
    Ok(Reply::Pulled { unchanged, envelope })
}
