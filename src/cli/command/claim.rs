//! Signed claims: signs a stored report, and holds a signed one against its signature and its own exchanges.

use std::path::{Path, PathBuf};

use std::sync::Arc;

use crate::cli::arguments::{SignArgs, VerifyArgs};
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::record::claim::{self, Signer};
use crate::record::sentences::target;
use crate::record::{Record, Stored};
use crate::report::{Destination, Format, Input};
use crate::run::verify::objections;
use crate::text::{thousands, visible};

pub(super) fn sign(args: &SignArgs) -> Result<u8, Error> {
    let output = args.output.as_ref().unwrap_or(&args.record);
    let destination = Destination {
        format: Format::Json,
        path: (output != Path::new("-")).then(|| output.clone()),
    };
    let output = &Destination::open_all(&[destination], &[Input::new("the key", &args.key)])?[0];
    let stored = Stored::read(&args.record)?;
    // That it is a whole report of ours, before anybody stands for it.
    let record = stored.record()?;
    let mut report = stored.json()?;
    let key = std::fs::read_to_string(&args.key)
        .map_err(|error| Error::Usage(format!("cannot read {}: {error}", args.key.display())))?;
    let signer = claim::sign(&mut report, &key)
        .map_err(|error| Error::Usage(format!("{}: {error}", args.key.display())))?;
    let text = serde_json::to_vec(&report)
        .map_err(|error| Error::Usage(format!("{}: {error}", args.record.display())))?;
    output
        .write(&text)
        .map_err(|error| Error::Unwritten(vec![error.to_string()]))?;
    console::err(&format!(
        "signed by {}: {} is {}\n",
        signer.base64(),
        visible(&target(&record)),
        record.verdict
    ));
    Ok(exit::OK)
}

pub(super) fn verify(args: &VerifyArgs) -> Result<u8, Error> {
    let wanted = keys(&args.signed_by)?;
    let verified = verified(&args.record, &wanted, &args.cases)?;
    let record = &verified.record;
    let key = verified.signer.base64();
    let signer = match wanted.is_empty() {
        true => format!("{key}; --signed-by KEY says whose signature is wanted"),
        false => key,
    };
    let exchanges = record.cases.iter().map(|case| case.exchanges.len()).sum();
    let part = match record.filters.as_slice() {
        [] => String::new(),
        filters => format!(", a part of the suite ({})", visible(&filters.join(", "))),
    };
    console::out(&format!(
        "signed by  {signer}\ntarget     {}, {} {}, {}\nverdict    {}, and so find {} exchanges in {} cases{part}, judged again\nverified\n",
        visible(&target(record)),
        record.protocol.prefix,
        record.spec,
        visible(&record.started),
        record.verdict,
        thousands(exchanges),
        thousands(record.cases.len()),
    ))?;
    Ok(exit::OK)
}

/// The record of a stored report; where keys are given, only one that bears what it says and that one of them signed.
///
/// # Errors
/// It cannot be read, a key cannot, or something speaks against it.
pub(super) fn load(path: &Path, signed_by: &[String], cases: &[PathBuf]) -> Result<Record, Error> {
    match keys(signed_by)? {
        none if none.is_empty() => config::load_record(path),
        wanted => Ok(verified(path, &wanted, cases)?.record),
    }
}

/// A report against which nothing speaks, and who signed it.
struct Verified {
    record: Record,
    signer: Signer,
}

fn verified(path: &Path, wanted: &[Signer], cases: &[PathBuf]) -> Result<Verified, Error> {
    let not_verified = |why: &str| Error::Unverified(format!("{} is not verified: {why}", path.display()));
    let stored = Stored::read(path)?;
    let record = stored.record()?;
    let signer = claim::signer(&stored.json()?).map_err(|error| not_verified(&error.to_string()))?;
    if !wanted.is_empty() && !wanted.contains(&signer) {
        let key = signer.base64();
        return Err(not_verified(&format!("another key signed it: {key}")));
    }
    let suite = config::load_suite(config::protocol_of(&record)?, cases)?;
    let found = objections(&record, &Arc::new(suite)).map_err(|why| not_verified(&why))?;
    match found.is_empty() {
        true => Ok(Verified { record, signer }),
        false => Err(not_verified(&found.join("; "))),
    }
}

fn keys(texts: &[String]) -> Result<Vec<Signer>, Error> {
    let key = |text: &String| {
        let read = match Path::new(text).is_file() {
            true => crate::text::read_file(Path::new(text))
                .map_err(|error| Error::Usage(format!("cannot read {text}: {error}")))?,
            false => text.clone(),
        };
        Signer::parse(&read).map_err(|error| Error::Usage(format!("--signed-by {}: {error}", visible(text))))
    };
    texts.iter().map(key).collect()
}
