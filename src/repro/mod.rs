//! Turns a stored case into a shell script that makes its requests again with curl and openssl: what is the same for every
//! protocol. The engine knows how requests are sent, what is told, and how a script ends; a protocol makes its keys and says
//! what of an answer shows a finding.

mod text;
mod words;

use std::fmt::Write as _;

pub(crate) use text::{LARGEST_BODY, Text, kind, send, status};
pub(crate) use words::{Words, name};

use crate::http::{Exchange, Role};
use crate::keys::Seed;
use crate::protocol::Reach;
use crate::record::{CaseRecord, CheckRecord, Record};
use crate::text::{visible, visible_cut};

/// What every script begins with, behind its head.
pub(crate) const PRELUDE: &str = include_str!("prelude.sh");

/// What those begin with beside that spoil signatures.
pub(crate) const ED25519: &str = include_str!("ed25519.sh");
/// What those begin with beside that read JSON.
pub(crate) const JSON: &str = include_str!("json.sh");

/// What a script is made of.
pub(crate) struct Plan<'a> {
    pub(crate) record: &'a Record,
    pub(crate) reach: &'a Reach,
    pub(crate) case: &'a CaseRecord,
    pub(crate) seed: Seed,
    /// The exchange that shows it.
    pub(crate) decisive: usize,
    /// What was found there, if anything.
    pub(crate) check: Option<&'a CheckRecord>,
}

impl<'a> Plan<'a> {
    /// The plan for a case of a record: up to the step with that index, else to the first that is broken, else to the last.
    ///
    /// # Errors
    /// The case has no exchange to repeat, or the step does not exist: one sentence.
    pub(crate) fn of(
        record: &'a Record,
        case: &'a CaseRecord,
        step: Option<usize>,
        reach: &'a Reach,
    ) -> Result<Plan<'a>, String> {
        let seed = record
            .seed
            .parse()
            .map_err(|error| format!("the seed of the report cannot be read: {error}"))?;
        let (decisive, check) = decisive(case, step)?;
        Ok(Plan {
            record,
            reach,
            case,
            seed,
            decisive,
            check,
        })
    }

    /// Which use of the seed the case was.
    pub(crate) fn generation(&self) -> u32 {
        self.case.generation.unwrap_or(self.record.generation)
    }

    /// The exchange that shows it.
    pub(crate) fn end(&self) -> &'a Exchange {
        &self.case.exchanges[self.decisive]
    }

    /// Everybody who makes a request, in order.
    pub(crate) fn actors(&self) -> Vec<&'a str> {
        let mut actors: Vec<&str> = Vec::new();
        for actor in self.case.exchanges.iter().filter_map(|it| it.actor.as_deref()) {
            if !actors.contains(&actor) {
                actors.push(actor);
            }
        }
        actors
    }

    /// The exchanges that lead to the decisive one: of its own step those of its round, and those that changed something.
    pub(crate) fn exchanges(&self) -> Vec<(usize, &'a Exchange)> {
        let end = self.end();
        let leads = |(_, exchange): &(usize, &Exchange)| {
            let granted = exchange
                .outcome
                .answer()
                .is_some_and(|answer| answer.status < 300);
            let same = (exchange.step, exchange.round) == (end.step, end.round);
            let earlier = exchange.step != end.step || (granted && exchange.role != Role::Audit);
            !matches!(exchange.role, Role::Throttled | Role::Abandoned)
                && (same || earlier || exchange.role == Role::Setup)
        };
        let all = self.case.exchanges.iter().enumerate();
        all.take(self.last_of_race() + 1).filter(leads).collect()
    }

    /// The end of the race that the decisive exchange is part of.
    fn last_of_race(&self) -> usize {
        let end = self.end();
        let same = |it: &&Exchange| (it.step, it.round, it.role) == (end.step, end.round, end.role);
        let more = self.case.exchanges[self.decisive + 1..].iter().take_while(same);
        match end.role == Role::Step && self.is_race(end) {
            true => self.decisive + more.count(),
            false => self.decisive,
        }
    }

    /// Whether a request went out together with others: they were noted with one beginning.
    pub(crate) fn is_race(&self, exchange: &Exchange) -> bool {
        let together = |it: &&Exchange| {
            it.role == Role::Step
                && (it.step, it.round, it.at_us) == (exchange.step, exchange.round, exchange.at_us)
        };
        exchange.role == Role::Step && self.case.exchanges.iter().filter(together).count() > 1
    }

    /// How many of these went out together with the first of them.
    pub(crate) fn length_of_race(&self, exchanges: &[(usize, &Exchange)]) -> usize {
        let Some((_, first)) = exchanges.first().filter(|(_, first)| self.is_race(first)) else {
            return 0;
        };
        let same = |(_, it): &&(usize, &Exchange)| it.at_us == first.at_us && it.role == Role::Step;
        exchanges.iter().take_while(same).count()
    }
}

/// The exchange to come to, and what was wrong with it.
fn decisive(case: &CaseRecord, step: Option<usize>) -> Result<(usize, Option<&CheckRecord>), String> {
    let of_step = |check: &&CheckRecord| match step {
        None => true,
        Some(step) => last(check)
            .and_then(|index| case.exchanges.get(index))
            .is_some_and(|exchange| exchange.step == Some(step)),
    };
    let broken = case
        .checks
        .iter()
        .filter(|check| check.is_broken())
        .filter(of_step);
    if let Some(check) = broken.max_by_key(|check| (check.verdict, std::cmp::Reverse(last(check))))
        && let Some(index) = last(check).filter(|index| *index < case.exchanges.len())
    {
        return Ok((index, Some(check)));
    }
    let wanted = |exchange: &Exchange| {
        exchange.role == Role::Step && step.is_none_or(|step| exchange.step == Some(step))
    };
    match (case.exchanges.iter().rposition(wanted), step) {
        (Some(index), _) => Ok((index, None)),
        (None, Some(step)) => Err(format!("{} made no request in step {}", case.id, step + 1)),
        (None, None) => Err(format!("{} made no request", case.id)),
    }
}

/// The last exchange that a check names and that is there.
fn last(check: &CheckRecord) -> Option<usize> {
    check.exchanges.iter().max().copied()
}

/// The first lines of a script: what it is about, how it is used and what it does not do, and the requests that are left out.
pub(crate) fn head(plan: &Plan<'_>, usage: &[String], not_the_same: &[&str], left_out: &[String]) -> String {
    let case = plan.case;
    let mut out = String::from("#!/bin/sh\n");
    let mut line = |text: &str| _ = writeln!(out, "# {text}");
    line(&format!("{}: {}", visible(&case.id), visible(&case.title)));
    if let Some(check) = plan.check {
        line(&format!(
            "Requirement: {}",
            visible(&check.requirements.join(" "))
        ));
        line(&format!("Expected: {}", visible_cut(&check.expected, 300)));
        line(&format!("Got: {}", visible_cut(&check.got, 300)));
    }
    line("");
    usage.iter().for_each(|text| line(text));
    line(
        "Needs curl and openssl 3. Ends with 0 where the finding (or, without one, the recorded answer) is seen",
    );
    line("again, with 1 where it is not, and with 2 where that cannot be told.");
    line("");
    not_the_same.iter().for_each(|text| line(text));
    for text in left_out {
        line(&format!("Not made again: {text}"));
    }
    out.push('\n');
    out
}

/// A variable that holds the address of a service, unless whoever runs the script sets it. `embedded` is where the reference server
/// is expected, and `or` what else is tried first.
pub(crate) fn address(out: &mut String, plan: &Plan<'_>, name: &str, url: &str, embedded: &str, or: &str) {
    match url {
        "embedded" => _ = writeln!(out, "{name}=${{{name}:-{or}'{embedded}'{}}}", closing(or)),
        url if url.contains("{port}") => {
            let command = visible(plan.record.exec.as_deref().unwrap_or_default());
            if !or.is_empty() {
                _ = writeln!(out, "{name}=${{{name}:-{or}{}}}", closing(or));
            }
            needed(
                out,
                name,
                &format!("start the server ({command}) and set {name} to its address"),
            );
        }
        url => {
            let url = visible(url).replace('\'', "");
            _ = writeln!(out, "{name}=${{{name}:-{or}'{url}'{}}}", closing(or));
        }
    }
}

/// What closes an expansion within an expansion.
fn closing(or: &str) -> &'static str {
    if or.is_empty() { "" } else { "}" }
}

/// A variable without which a script says what it is for, and that nothing can be told.
pub(crate) fn needed(out: &mut String, name: &str, what: &str) {
    let what = Words::default().quoted(what);
    _ = writeln!(
        out,
        "[ -n \"${{{name}:-}}\" ] || {{ printf '%s\\n' {what} >&2; exit 2; }}"
    );
}

/// How the target was reached; what is secret must be given to the script by whoever runs it.
pub(crate) fn reach(out: &mut String, reach: &Reach) {
    for (name, path) in [
        ("CACERT", &reach.cacert),
        ("CLIENT_CERT", &reach.client_cert),
        ("CLIENT_KEY", &reach.client_key),
    ] {
        if let Some(path) = path {
            let path = Words::default().quoted(&path.display().to_string());
            _ = writeln!(out, "[ -n \"${{{name}:-}}\" ] || {name}={path}");
        }
    }
    if reach.insecure {
        out.push_str("INSECURE=${INSECURE:-1}\n");
    }
    for (name, what, is_needed) in [
        ("HEADERS", "the headers for the target", reach.has_headers),
        (
            "IDP_HEADERS",
            "the headers for the identity provider",
            reach.has_idp_headers,
        ),
        ("PROXY", "the address of the proxy", reach.has_proxy),
    ] {
        if is_needed {
            let file = if name == "PROXY" { "" } else { "a file of " };
            needed(out, name, &format!("set {name} to {file}{what}"));
        }
    }
}
