//! createRepo: stores the manifest and envelope that the client built.

use crate::avp::server::decision::{Asked, Rule, Stop};
use crate::avp::server::rules;
use crate::avp::server::vault::{Repo, Vault, text};

/// Builds a repository whose only member is the caller.
///
/// # Errors
/// The request is refused.
pub(in crate::avp::server) fn create(asked: &Asked<'_>, vault: &Vault) -> Result<Repo, Stop> {
    let (manifest, envelope) = (&asked.body["manifest"], &asked.body["initialEnvelope"]);
    let id = text(manifest, "repoId");
    asked.decide(
        Rule::SoleMember(manifest),
        rules::create::has_sole_member(manifest, &asked.call.caller),
    )?;
    asked.decide(Rule::SameEnvelope, rules::envelope_names_repo(id, envelope))?;
    asked.decide(Rule::PartsAgree, rules::create::parts_agree(manifest, envelope))?;
    asked.decide(Rule::FreshId(vault), rules::create::is_fresh(vault, id))?;
    asked.decide(Rule::AnotherRepo(vault), rules::room())?;
    Ok(Repo::new(asked.body))
}
