//! The Static Analysis Results Interchange Format, version 2.1.0 (OASIS): one result for each cause, one rule for each requirement.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::facts::{again, verdict_line};
use super::json as layout;
use crate::catalogue::Level;
use crate::record::diagnosis::{Cause, causes};
use crate::record::sentences::{got, sentence, target};
use crate::record::verdict::RunVerdict;
use crate::record::{Record, RequirementRecord};
use crate::report::text::cause_shown_by;
use crate::text::{encode_segment, visible};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The record as SARIF.
pub(super) fn render(record: &Record) -> Vec<u8> {
    let all = causes(record);
    let broken: BTreeSet<&str> = all.iter().map(|cause| cause.requirement.as_str()).collect();
    let rules: Vec<&RequirementRecord> = record
        .requirements
        .iter()
        .filter(|it| broken.contains(it.id.as_str()))
        .collect();
    let results: Vec<Value> = all.iter().map(|cause| result(record, cause, &rules)).collect();
    layout::write(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": record.tool.name,
                "semanticVersion": record.tool.version,
                "rules": rules.iter().map(|it| rule(it)).collect::<Vec<_>>(),
            } },
            // A run that could not finish its work has not seen all that is wrong.
            "invocations": [{
                "executionSuccessful": record.verdict != RunVerdict::Incomplete,
                "toolExecutionNotifications": [{
                    "level": "note",
                    "message": { "text": verdict_line(record) },
                }],
            }],
            "results": results,
            "properties": { "target": target(record), "verdict": record.verdict, "seed": record.seed },
        }],
    }))
}

fn rule(requirement: &RequirementRecord) -> Value {
    json!({
        "id": requirement.id,
        "shortDescription": { "text": sentence(&requirement.text) },
        "defaultConfiguration": { "level": level(requirement.level) },
    })
}

/// How bad it is to break a requirement of a level, in SARIF's words.
fn level(level: Level) -> &'static str {
    match level {
        Level::Must => "error",
        Level::Should => "warning",
        Level::May => "note",
    }
}

fn result(record: &Record, cause: &Cause, rules: &[&RequirementRecord]) -> Value {
    let shown = cause_shown_by(record, cause);
    let seen = shown.map_or_else(String::new, |(_, check)| {
        format!("\n\nExpected: {}\nGot: {}", sentence(&check.expected), got(check))
    });
    let mut result = json!({
        "ruleId": visible(&cause.requirement),
        "level": level(cause.level),
        "message": { "text": format!(
            "{}{seen}\n\nHow to mend it: {}\n\nAgain: {}",
            sentence(&cause.cause),
            sentence(&cause.mend),
            again(record, &cause.shown_by),
        ) },
        "locations": [location(record, cause)],
        "partialFingerprints": { "cause/v1": fingerprint(cause) },
        "properties": { "also": cause.also, "cases": cause.cases, "like": cause.like, "fits": cause.fits },
    });
    if let Some(place) = rules.iter().position(|rule| rule.id == cause.requirement) {
        result["ruleIndex"] = place.into();
    }
    if cause.known {
        result["suppressions"] =
            json!([{ "kind": "external", "justification": "a known failure of the baseline" }]);
    }
    result
}

/// The case that shows a cause: consumers show no result without a file and a line.
fn location(record: &Record, cause: &Cause) -> Value {
    let shown = cause_shown_by(record, cause);
    let (file, line) = shown.map_or(("cases", 1), |(case, check)| {
        (case.file.as_str(), check.line.max(1))
    });
    let uri = file.split('/').map(encode_segment).collect::<Vec<_>>().join("/");
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri },
            "region": { "startLine": line },
        },
        "logicalLocations": [{ "fullyQualifiedName": visible(&cause.shown_by), "kind": "module" }],
    })
}

/// What stays the same when the run is made again: neither seed nor numbers are in it.
fn fingerprint(cause: &Cause) -> String {
    let like = cause.like.as_deref().unwrap_or_default();
    let hash = Sha256::digest(format!("{}\n{like}\n{}", cause.requirement, cause.shown_by));
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
