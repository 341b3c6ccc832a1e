//! What the runs came to, as plain data: the kill matrix.
//!
//! A must fault is killed when a check of a must fails under it, a should fault when a check warns or fails. A run that
//! is merely not conformant, because something was blocked, has noticed the fault and cannot say what is broken: that is no
//! kill.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::precision::Precision;
use super::runner::{CheckId, Observation, Sight};
use crate::catalogue::Level;
use crate::protocol::Suite;
use crate::record::verdict::{RunVerdict, Verdict};
use crate::serve::{Behaviour, CANARY, Fault, Variation};

/// The version of the format.
const FORMAT: u32 = 2;

/// The result of a self-test. Nothing in it depends on when or how fast it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The version of this format: 2.
    pub format: u32,
    /// What the self-test came to.
    pub standing: SelftestOutcome,
    /// SHA-256 over all case files and the catalogue, as every report of a run names it.
    pub suite: String,
    /// How many cases ran against each server.
    pub cases: usize,
    /// How many must faults there are and how many were killed.
    pub must: Rate,
    /// The same of should faults.
    pub should: Rate,
    /// The share of must faults that were killed, percent.
    pub kill_rate: f64,
    /// The plain server.
    pub plain: Plain,
    /// Whether the canary was killed.
    pub canary: bool,
    /// The faults, area by area.
    pub faults: Vec<FaultRow>,
    /// How rightly the whole suite blames; none where it did not run against every fault that is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// The variations.
    pub variations: Vec<VariationRow>,
    /// Cases that declare a fault under which they do not break.
    pub stale: Vec<Stale>,
    /// What no fault ever made break.
    pub unproven: Unproven,
}

/// What a self-test came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelftestOutcome {
    /// Everything is as it should be.
    Sound,
    /// Something survived, is dead, stale, or a false alarm.
    Lacking,
    /// The plain server is not green or the canary is alive: nothing else counts.
    Void,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many were killed.
    pub killed: usize,
    /// Of how many.
    pub of: usize,
}

/// The plain server's run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// Whether it is conformant without a warning.
    pub green: bool,
    /// The cases in which something broke or could not be judged.
    pub cases: Vec<String>,
}

/// A fault and who caught it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRow {
    /// Its name.
    pub name: String,
    /// The part of the server it lives in.
    pub area: String,
    /// The requirements it breaks: one, or the few that what it does contradicts alike.
    pub breaks: Vec<String>,
    /// How binding that is.
    pub level: Level,
    /// What became of it.
    pub fate: MutantStatus,
    /// How it was caught, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caught: Option<Caught>,
    /// Whether the report blames a requirement that the fault breaks.
    pub blamed: bool,
    /// What a report of the whole suite blames; only where the whole suite ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// The cases that declare it under `kills` and broke.
    pub declared: Vec<String>,
    /// The other cases that broke.
    pub others: Vec<String>,
}

/// What a report of the whole suite says of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The requirements that it calls broken.
    pub broken: Vec<String>,
    /// The requirement of its first finding, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MutantStatus {
    /// A check of its level broke.
    Killed,
    /// The run was not conformant, but no check of its level broke.
    Noticed,
    /// Nothing happened, though it took effect.
    Survived,
    /// It never took effect.
    Dead,
}

impl MutantStatus {
    /// The fate as reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            MutantStatus::Killed => "killed",
            MutantStatus::Noticed => "noticed",
            MutantStatus::Survived => "survived",
            MutantStatus::Dead => "dead",
        }
    }
}

/// How a fault was caught, the best way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caught {
    /// By a case that declares it.
    Declared,
    /// By a check of the requirement it breaks, in a case that does not declare it.
    Requirement,
    /// By checks of other requirements alone.
    Otherwise,
}

/// A variation and what was wrongly held against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariationRow {
    /// Its name.
    pub name: String,
    /// Whether it came out conformant.
    pub conformant: bool,
    /// Whether it ever took effect.
    pub fired: bool,
    /// The should requirements that it was warned of.
    pub warned: Vec<String>,
    /// The cases in which a must broke or could not be judged: false alarms.
    pub alarms: Vec<String>,
}

/// A case that declares a fault under which it does not break.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stale {
    /// The case.
    pub case: String,
    /// The fault.
    pub fault: String,
}

/// What no fault ever made break, and of which nothing therefore shows that it can.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unproven {
    /// Requirements of any level but may, of those that checks of the cases that ran verify.
    pub requirements: Vec<String>,
    /// Cases.
    pub cases: Vec<String>,
    /// Musts: each in the cases that are about it, and each somewhere. Several checks of one in a case are one: what is to be
    /// shown is that the case can see it break.
    pub checks: Vec<String>,
}

impl Matrix {
    /// Adds up observations. The plain server's and the canary's must be among them; `whole` says that all faults are, so
    /// that what none of them breaks is unproven.
    pub fn of(suite: &Suite, selected: &[usize], observations: &[Observation], whole: bool) -> Matrix {
        let declares = Declares::of(suite, selected);
        let mut matrix = Matrix {
            format: FORMAT,
            standing: SelftestOutcome::Void,
            suite: suite.hash.clone(),
            cases: selected.len(),
            must: Rate::default(),
            should: Rate::default(),
            kill_rate: 0.0,
            plain: Plain {
                green: false,
                cases: Vec::new(),
            },
            canary: false,
            faults: Vec::new(),
            precision: None,
            variations: Vec::new(),
            stale: Vec::new(),
            unproven: Unproven::default(),
        };
        for observation in observations {
            match observation.behaviour {
                Behaviour::Plain => matrix.plain = plain(observation),
                Behaviour::Varied(variation) => matrix.variations.push(varied(variation, observation)),
                Behaviour::Faulty(fault) => {
                    let row = faulty(fault, observation, &declares);
                    matrix.stale.extend(declares.stale(&row));
                    matrix.faults.push(row);
                }
            }
        }
        matrix.must = matrix.rate(Level::Must);
        matrix.should = matrix.rate(Level::Should);
        matrix.kill_rate = percent(matrix.must.killed, matrix.must.of);
        matrix.canary = matrix
            .faults
            .iter()
            .any(|row| row.name == CANARY && row.fate == MutantStatus::Killed);
        matrix.precision = Precision::of(&matrix.faults);
        if whole {
            matrix.unproven = unproven(suite, selected, observations);
        }
        matrix.standing = matrix.stand();
        matrix
    }

    /// Faults that were not killed, dead ones included.
    pub fn survivors(&self) -> impl Iterator<Item = &FaultRow> {
        self.faults.iter().filter(|row| row.fate != MutantStatus::Killed)
    }

    /// Variations that were not found conformant.
    pub fn false_alarms(&self) -> impl Iterator<Item = &VariationRow> {
        self.variations.iter().filter(|row| !row.conformant)
    }

    /// Variations that never took effect.
    pub fn idle(&self) -> impl Iterator<Item = &VariationRow> {
        self.variations.iter().filter(|row| !row.fired)
    }

    fn rate(&self, level: Level) -> Rate {
        let rows = self.faults.iter().filter(|row| row.level == level);
        Rate {
            killed: rows
                .clone()
                .filter(|row| row.fate == MutantStatus::Killed)
                .count(),
            of: rows.count(),
        }
    }

    fn stand(&self) -> SelftestOutcome {
        if !self.plain.green || !self.canary {
            return SelftestOutcome::Void;
        }
        let lacking = self.survivors().next().is_some()
            || self.false_alarms().next().is_some()
            || self.idle().next().is_some()
            || !self.stale.is_empty()
            || !self.unproven.requirements.is_empty()
            || !self.unproven.cases.is_empty()
            || !self.unproven.checks.is_empty();
        match lacking {
            true => SelftestOutcome::Lacking,
            false => SelftestOutcome::Sound,
        }
    }
}

/// Percent, cut to one decimal place, never up. All of none is nothing.
pub(super) fn percent(some: usize, of: usize) -> f64 {
    match of {
        0 => 0.0,
        of => (some as f64 * 1000.0 / of as f64).floor() / 10.0,
    }
}

fn plain(observation: &Observation) -> Plain {
    let mut cases: Vec<String> = observation.broken.iter().map(|(case, _)| case.clone()).collect();
    cases.extend(observation.hindered.iter().cloned());
    cases.dedup();
    Plain {
        green: observation.verdict == RunVerdict::Conformant && cases.is_empty(),
        cases,
    }
}

fn varied(variation: &Variation, observation: &Observation) -> VariationRow {
    let failed = observation
        .broken
        .iter()
        .filter(|(_, verdict)| *verdict == Verdict::Fail)
        .map(|(case, _)| case);
    let alarms: BTreeSet<&String> = failed.chain(&observation.hindered).collect();
    let warned = observation
        .requirements
        .iter()
        .filter(|(_, verdict)| *verdict == Verdict::Warn);
    VariationRow {
        name: variation.name.to_owned(),
        conformant: observation.verdict == RunVerdict::Conformant && alarms.is_empty(),
        fired: observation.fired > 0,
        warned: warned.map(|(id, _)| id.clone()).collect(),
        alarms: alarms.into_iter().cloned().collect(),
    }
}

fn faulty(fault: &Fault, observation: &Observation, declares: &Declares<'_>) -> FaultRow {
    let worst = Verdict::of_broken(fault.level);
    let broke = observation
        .broken
        .iter()
        .filter(|(_, verdict)| *verdict >= worst)
        .map(|(case, _)| case.clone());
    let (declared, others): (Vec<String>, Vec<String>) =
        broke.partition(|case| declares.has(fault.name, case));
    let blamed = observation.requirements.iter().any(|(id, verdict)| {
        fault.breaks.contains(&id.as_str()) && matches!(verdict, Verdict::Fail | Verdict::Warn)
    });
    let fate = match (
        observation.fired,
        declared.is_empty() && others.is_empty(),
        observation.verdict,
    ) {
        (0, _, _) => MutantStatus::Dead,
        (_, false, _) => MutantStatus::Killed,
        (_, true, RunVerdict::Conformant) => MutantStatus::Survived,
        (_, true, _) => MutantStatus::Noticed,
    };
    let caught = match (declared.is_empty(), blamed) {
        (false, _) => Caught::Declared,
        (true, true) => Caught::Requirement,
        (true, false) => Caught::Otherwise,
    };
    FaultRow {
        name: fault.name.to_owned(),
        area: fault.area.to_owned(),
        breaks: fault.breaks.iter().map(|id| (*id).to_owned()).collect(),
        level: fault.level,
        fate,
        caught: (fate == MutantStatus::Killed).then_some(caught),
        blamed,
        report: observation.whole.then(|| report(observation)),
        declared,
        others,
    }
}

fn report(observation: &Observation) -> Report {
    let broken = observation
        .requirements
        .iter()
        .filter(|(_, verdict)| matches!(verdict, Verdict::Fail | Verdict::Warn));
    Report {
        broken: broken.map(|(id, _)| id.clone()).collect(),
        first: observation.first.clone(),
    }
}

/// Which cases declare which fault.
struct Declares<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Declares<'a> {
    fn of(suite: &'a Suite, selected: &[usize]) -> Declares<'a> {
        let mut declares: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in selected.iter().map(|index| &suite.cases[*index]) {
            for fault in &case.kills {
                declares.entry(fault).or_default().push(&case.id);
            }
        }
        Declares(declares)
    }

    fn cases(&self, fault: &str) -> &[&'a str] {
        self.0.get(fault).map(Vec::as_slice).unwrap_or_default()
    }

    fn has(&self, fault: &str, case: &str) -> bool {
        self.cases(fault).contains(&case)
    }

    /// The cases that declare a fault in vain.
    fn stale(&self, row: &FaultRow) -> Vec<Stale> {
        let silent = self
            .cases(&row.name)
            .iter()
            .filter(|case| !row.declared.iter().any(|broke| broke == **case));
        silent
            .map(|case| Stale {
                case: (*case).to_owned(),
                fault: row.name.clone(),
            })
            .collect()
    }
}

fn unproven(suite: &Suite, selected: &[usize], observations: &[Observation]) -> Unproven {
    let faulty = || {
        observations
            .iter()
            .filter(|observation| matches!(observation.behaviour, Behaviour::Faulty(_)))
    };
    let held: BTreeSet<&CheckId> = observations
        .iter()
        .filter(|observation| matches!(observation.behaviour, Behaviour::Plain))
        .flat_map(|observation| &observation.held)
        .collect();
    let broke: BTreeSet<Sight> = faulty()
        .flat_map(|observation| &observation.broke)
        .flat_map(CheckId::breaches)
        .collect();
    let broken: BTreeSet<&str> = faulty()
        .flat_map(|observation| &observation.requirements)
        .filter(|(_, verdict)| matches!(verdict, Verdict::Fail | Verdict::Warn))
        .map(|(id, _)| id.as_str())
        .collect();
    let ruined: BTreeSet<&str> = faulty()
        .flat_map(|observation| &observation.broken)
        .map(|(case, _)| case.as_str())
        .collect();
    let verified: BTreeSet<&str> = held
        .iter()
        .flat_map(|look| &look.requirements)
        .map(String::as_str)
        .collect();
    let requirements = suite
        .rules
        .catalogue
        .binding(suite.rules.catalogue.newest())
        .filter(|it| it.level > Level::May && verified.contains(it.id.as_str()))
        .filter(|it| !broken.contains(it.id.as_str()));
    let cases = selected.iter().map(|index| suite.cases[*index].id.as_str());
    let checks: BTreeSet<Sight> = held
        .iter()
        .flat_map(|look| look.sights(suite))
        .filter(|sight| sight.is_must(suite.rules.catalogue) && !broke.contains(sight))
        .collect();
    Unproven {
        requirements: requirements.map(|it| it.id.clone()).collect(),
        cases: cases
            .filter(|case| !ruined.contains(case))
            .map(str::to_owned)
            .collect(),
        checks: checks.iter().map(Sight::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avp::server::{find_fault, variations};
    use crate::case::Source;

    const CASES: &str = "about = 'x'\n[[case]]\nid = 'demo/one'\ntitle = 'x'\nchecks = ['AVP-6-09']\n\
                         kills = ['canary']\nrepo = {}\n[[case.step]]\npush = {}\nanswer = 'granted'\n";

    fn suite() -> Suite {
        let source = Source {
            name: "demo.toml".to_owned(),
            text: CASES.to_owned(),
        };
        (crate::avp::AVP.load)(vec![source]).unwrap()
    }

    fn saw(behaviour: Behaviour, fired: u64, broken: &[(&str, &str, Verdict)]) -> Observation {
        let own = |(case, _, verdict): &(&str, &str, Verdict)| ((*case).to_owned(), *verdict);
        let named = |(_, requirement, verdict): &(&str, &str, Verdict)| ((*requirement).to_owned(), *verdict);
        let verdict = match broken.iter().any(|(_, _, verdict)| *verdict == Verdict::Fail) {
            true => RunVerdict::Nonconformant,
            false => RunVerdict::Conformant,
        };
        Observation {
            behaviour,
            fired,
            verdict,
            requirements: broken.iter().map(named).collect(),
            broken: broken.iter().map(own).collect(),
            hindered: Vec::new(),
            broke: BTreeSet::new(),
            held: BTreeSet::new(),
            details: Vec::new(),
            broken_cases: None,
            whole: false,
            first: None,
        }
    }

    fn plain() -> Observation {
        saw(Behaviour::Plain, 0, &[])
    }

    fn fault(name: &str, fired: u64, broken: &[(&str, &str, Verdict)]) -> Observation {
        saw(Behaviour::Faulty(find_fault(name).unwrap()), fired, broken)
    }

    fn canary() -> Observation {
        fault(CANARY, 1, &[("demo/one", "AVP-6-09", Verdict::Fail)])
    }

    fn matrix(observations: &[Observation]) -> Matrix {
        Matrix::of(&suite(), &[0], observations, false)
    }

    #[test]
    fn a_dead_canary_and_a_green_server_are_the_ground_of_everything() {
        let sound = matrix(&[plain(), canary()]);
        assert_eq!(
            (sound.standing, sound.kill_rate, sound.faults[0].caught),
            (SelftestOutcome::Sound, 100.0, Some(Caught::Declared))
        );
        let alive = matrix(&[plain(), fault(CANARY, 1, &[])]);
        assert_eq!(alive.standing, SelftestOutcome::Void);
        let red = saw(Behaviour::Plain, 0, &[("demo/one", "AVP-2-05", Verdict::Warn)]);
        assert_eq!(matrix(&[red, canary()]).standing, SelftestOutcome::Void);
    }

    #[test]
    fn a_case_that_does_not_break_under_what_it_declares_is_stale() {
        let elsewhere = fault(CANARY, 1, &[("demo/two", "AVP-6-09", Verdict::Fail)]);
        let matrix = matrix(&[plain(), elsewhere]);
        assert_eq!(matrix.faults[0].caught, Some(Caught::Requirement));
        assert_eq!(
            (matrix.stale.len(), matrix.standing),
            (1, SelftestOutcome::Lacking)
        );
    }

    #[test]
    fn what_became_of_a_fault() {
        let fate = |observation: Observation| {
            let matrix = matrix(&[plain(), canary(), observation]);
            (matrix.faults[1].fate, matrix.standing)
        };
        let must = "push-ignores-expected";
        assert_eq!(
            fate(fault(must, 0, &[])),
            (MutantStatus::Dead, SelftestOutcome::Lacking)
        );
        assert_eq!(
            fate(fault(must, 1, &[])),
            (MutantStatus::Survived, SelftestOutcome::Lacking)
        );
        let warned = [("demo/one", "AVP-2-05", Verdict::Warn)];
        assert_eq!(
            fate(fault(must, 1, &warned)),
            (MutantStatus::Survived, SelftestOutcome::Lacking)
        );
        let should = "pull-unchanged-with-envelope";
        assert_eq!(
            fate(fault(should, 1, &warned)),
            (MutantStatus::Killed, SelftestOutcome::Sound)
        );
        let mut blocked = fault(must, 1, &[]);
        blocked.verdict = RunVerdict::Nonconformant;
        assert_eq!(fate(blocked), (MutantStatus::Noticed, SelftestOutcome::Lacking));
    }

    #[test]
    fn a_variation_that_fails_is_a_false_alarm_and_one_that_is_warned_is_not() {
        let varied = |fired, broken: &[(&str, &str, Verdict)]| {
            let variation = saw(Behaviour::Varied(&variations()[0]), fired, broken);
            matrix(&[plain(), canary(), variation]).standing
        };
        assert_eq!(
            varied(1, &[("demo/one", "AVP-2-05", Verdict::Warn)]),
            SelftestOutcome::Sound
        );
        assert_eq!(
            varied(1, &[("demo/one", "AVP-6-09", Verdict::Fail)]),
            SelftestOutcome::Lacking
        );
        assert_eq!(varied(0, &[]), SelftestOutcome::Lacking);
    }
}
