//! Environment variables that look as if they were meant for this program, and are not read.

use clap::CommandFactory as _;

use crate::cli::arguments::Cli;
use crate::cli::error::Error;

/// What all variables of this program begin with.
const PREFIX: &str = "AVP_";
/// The variable that names the target. Whoever sets one that begins like it does not want another server to be judged.
const TARGET: &str = "AVP_TARGET";

/// Warnings about variables that are not read.
///
/// # Errors
/// One of them is so much like one that is read that it is a typing error.
pub fn unread(names: impl Iterator<Item = String>) -> Result<Vec<String>, Error> {
    let known = known();
    let mut warnings = Vec::new();
    let is_ours = |name: &String| name.to_ascii_uppercase().starts_with(PREFIX);
    let mut unread: Vec<String> = names
        .filter(|name| is_ours(name) && !known.contains(name))
        .collect();
    unread.sort();
    for name in unread {
        if let Some(near) = near(&name, &known) {
            return Err(Error::Usage(format!(
                "the environment variable {name} is not read; did you mean {near}?"
            )));
        }
        warnings.push(format!(
            "the environment variable {name} is not read by avp-conform, which reads {}",
            known.join(", ")
        ));
    }
    Ok(warnings)
}

/// The variables that options of a run are read from.
fn known() -> Vec<String> {
    let command = Cli::command();
    let names = command.get_arguments().filter_map(clap::Arg::get_env);
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn near<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let upper = name.to_ascii_uppercase();
    let distance = |other: &&String| strsim::damerau_levenshtein(&upper, other);
    let nearest = known.iter().min_by_key(distance)?;
    match upper.starts_with(TARGET) {
        true => Some(TARGET),
        false => (distance(&nearest) <= 2).then_some(nearest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str) -> Result<Vec<String>, String> {
        unread(std::iter::once(name.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn typing_errors_are_refused() {
        for (typed, meant) in [
            ("AVP_TARGETS", "AVP_TARGET"),
            ("AVP_TARGET_URL", "AVP_TARGET"),
            ("AVP_TRAGET", "AVP_TARGET"),
            ("avp_target", "AVP_TARGET"),
            ("AVP_ID", "AVP_IDP"),
            ("AVP_HEADERFILE", "AVP_HEADER_FILE"),
        ] {
            let error = said(typed).unwrap_err();
            assert!(error.ends_with(&format!("did you mean {meant}?")), "{error}");
        }
    }

    #[test]
    fn what_may_be_the_servers_own_is_told() {
        assert!(said("AVP_DATABASE_URL").unwrap()[0].contains("AVP_DATABASE_URL is not read"));
        for fine in ["AVP_TARGET", "AVP_HEADER_FILE", "PATH", "AVPX"] {
            assert_eq!(said(fine), Ok(vec![]), "{fine}");
        }
    }
}
