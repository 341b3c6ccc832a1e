//! Joins the records of several shards of one run into the record of the whole.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::sentences::split_id;
use crate::case::selection::Shard;
use crate::record::{OutOfDate, Record, RequirementRecord, Summary};
use crate::text::visible;

/// The record of a run that was made in parts. `tally` computes the verdicts of the requirements and of the run anew from
/// the cases.
///
/// # Errors
/// There is none, they are not of one run, or a case is in two of them: one sentence.
pub fn merge(records: Vec<Record>, tally: impl FnOnce(&mut Record)) -> Result<Record, String> {
    let mut records = records.into_iter();
    let Some(mut whole) = records.next() else {
        return Err("there are no reports to merge".to_owned());
    };
    let mut known: HashSet<String> = whole.cases.iter().map(|case| case.name().into_owned()).collect();
    for (index, part) in records.enumerate() {
        agree(&whole, &part, index + 2)?;
        if let Some(twice) = part
            .cases
            .iter()
            .find(|case| !known.insert(case.name().into_owned()))
        {
            return Err(format!("case {} is in more than one report", visible(&twice.id)));
        }
        join(&mut whole, part);
    }
    arrange(&mut whole);
    whole.missing = missing(whole.shard.as_deref().unwrap_or_default())?;
    whole.shard = whole.shard.filter(|_| !whole.missing.is_empty());
    tally(&mut whole);
    crate::record::baseline::compare(&mut whole);
    Ok(whole)
}

/// What the parts of one run have in common.
fn agree(whole: &Record, part: &Record, number: usize) -> Result<(), String> {
    let idp = |record: &Record| record.idp.clone().unwrap_or_else(|| record.target.clone());
    let services = |record: &Record| {
        let each = record.services.iter().map(|(name, url)| format!("{name} {url}"));
        each.collect::<Vec<_>>().join(", ")
    };
    let command = |record: &Record| record.exec.clone().unwrap_or_default();
    for (what, one, other) in [
        ("suite", &whole.suite.hash, &part.suite.hash),
        ("target", &whole.target, &part.target),
        ("identity provider", &idp(whole), &idp(part)),
        ("address of a service", &services(whole), &services(part)),
        ("command", &command(whole), &command(part)),
        ("seed", &whole.seed, &part.seed),
        (
            "protocol version",
            &whole.spec.to_string(),
            &part.spec.to_string(),
        ),
        ("selection", &selection(whole, part), &part.filters.join(" ")),
        ("strictness", &whole.strict.to_string(), &part.strict.to_string()),
        ("program version", &whole.tool.version, &part.tool.version),
    ] {
        if one != other {
            let (one, other) = (visible(one), visible(other));
            return Err(format!(
                "report {number} has another {what} than the first: {other}, not {one}"
            ));
        }
    }
    Ok(())
}

/// The filters that the parts of one selection have in common; reports that are no shards may be of several selections.
fn selection(whole: &Record, part: &Record) -> String {
    match whole.shard.is_some() && part.shard.is_some() {
        true => whole.filters.join(" "),
        false => part.filters.join(" "),
    }
}

fn join(whole: &mut Record, mut part: Record) {
    time(whole, &part);
    whole.throttled_ms += part.throttled_ms;
    if part.generation != whole.generation {
        let own = part.generation;
        let cases = part.cases.iter_mut();
        cases.for_each(|case| case.generation = case.generation.or(Some(own)));
    }
    whole.shard = match (whole.shard.take(), part.shard) {
        (Some(one), Some(other)) => Some(format!("{one}, {other}")),
        (one, other) => one.or(other),
    };
    add_new(&mut whole.filters, part.filters);
    add_new(&mut whole.notes, part.notes);
    whole.cases.extend(part.cases);
    match (&mut whole.baseline, part.baseline) {
        (Some(whole), Some(part)) => {
            let new = |it: &OutOfDate| !whole.out_of_date.contains(it);
            let more: Vec<OutOfDate> = part.out_of_date.into_iter().filter(new).collect();
            whole.out_of_date.extend(more);
        }
        (whole, part) => *whole = whole.take().or(part),
    }
    for found in part.requirements {
        match whole.requirements.iter_mut().find(|known| known.id == found.id) {
            Some(known) => join_requirement(known, found),
            None => whole.requirements.push(found),
        }
    }
}

fn join_requirement(known: &mut RequirementRecord, found: RequirementRecord) {
    if found.verdict > known.verdict {
        known.reason = found.reason;
        known.verdict = found.verdict;
    }
    add_new(&mut known.cases, found.cases);
}

fn add_new(list: &mut Vec<String>, more: Vec<String>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// From the first beginning to the last end, where both can be read; else the longer of the two.
fn time(whole: &mut Record, part: &Record) {
    let span = |record: &Record| {
        let start: Timestamp = record.started.parse().ok()?;
        let length = i64::try_from(record.duration_ms).ok()?;
        Some((
            start,
            start.checked_add(SignedDuration::from_millis(length)).ok()?,
        ))
    };
    if let Some(((one, one_end), (other, other_end))) = span(whole).zip(span(part)) {
        let (start, end) = (one.min(other), one_end.max(other_end));
        whole.duration_ms = u64::try_from(end.duration_since(start).as_millis()).unwrap_or_default();
        whole.started = start.to_string();
    } else {
        whole.duration_ms = whole.duration_ms.max(part.duration_ms);
    }
}

/// Cases as they stand in the files, requirements as they stand in the catalogue, and the counts.
fn arrange(whole: &mut Record) {
    whole.cases.sort_by(|one, other| {
        (one.transport, &one.file, one.line).cmp(&(other.transport, &other.file, other.line))
    });
    whole.requirements.sort_by_key(|found| place(&found.id));
    whole.summary = Summary::of(whole.cases.iter().map(|case| case.verdict));
    if whole.cases.len() == whole.suite.cases {
        whole.filters.clear();
        whole.shard = None;
    }
}

/// The shards that shards such as `2/3, 1/3` leave out. The error is a sentence: they are not of one division.
fn missing(shards: &str) -> Result<Vec<String>, String> {
    let shards = shards.split(", ").filter(|shard| !shard.is_empty());
    let shards: Vec<Shard> = shards.map(str::parse).collect::<Result<_, String>>()?;
    let Some(first) = shards.first() else {
        return Ok(Vec::new());
    };
    match shards.iter().find(|shard| shard.parts() != first.parts()) {
        Some(other) => Err(format!("shards {first} and {other} are not of one division")),
        None => Ok(first
            .siblings()
            .filter(|shard| !shards.contains(shard))
            .map(|shard| shard.to_string())
            .collect()),
    }
}

/// Section and number as numbers: 5.1 stands between 5 and 6, 10 after 9.
fn place(id: &str) -> (Vec<u32>, u32, String) {
    let number = |text: &str| text.parse().unwrap_or(u32::MAX);
    let (section, rest) = split_id(id);
    (
        section.split('.').map(number).collect(),
        number(rest),
        id.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_that_are_missing_are_named() {
        let missing = |shards: &str| missing(shards).map(|shards| shards.join(" "));
        for (shards, left_out) in [
            ("", ""),
            ("2/3, 1/3, 3/3", ""),
            ("3/3, 1/3", "2/3"),
            ("1/3", "2/3 3/3"),
            ("1/2, 1/2", "2/2"),
        ] {
            assert_eq!(missing(shards).unwrap(), left_out, "{shards}");
        }
        assert!(
            missing("1/2, 2/3, 3/3")
                .unwrap_err()
                .contains("not of one division")
        );
        assert!(missing("one").is_err());
    }

    #[test]
    fn requirements_stand_as_in_the_catalogue() {
        let mut ids = [
            "AVP-10-01",
            "AVP-5.1-01",
            "AVP-6-01",
            "AVP-5-20",
            "AVP-5.1-10",
            "AVP-5.1-02",
        ];
        ids.sort_by_key(|id| place(id));
        assert_eq!(
            ids,
            [
                "AVP-5-20",
                "AVP-5.1-01",
                "AVP-5.1-02",
                "AVP-5.1-10",
                "AVP-6-01",
                "AVP-10-01"
            ]
        );
    }
}
