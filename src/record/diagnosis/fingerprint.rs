//! What a fault of a reference server looks like to the suite: the checks that break under it, case by case.
//!
//! Fingerprints are learned by the self-test, which runs every case against the reference server with one fault at a time, and
//! are published in `reports/`. They hold no sentences: what was expected and what came is kept as a hash of its outline.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::record::outline::outline;
use crate::record::{CaseRecord, CheckRecord, Side, Wire};

/// The version of the file format.
const FORMAT: u32 = 1;

/// One broken check, as far as it is alike from run to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symptom {
    /// The case.
    pub case: String,
    /// What broke, wherever it did.
    pub sign: Sign,
}

/// What broke, without the case: several cases that show the same sign show one thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sign {
    /// The check's name: `answer`, `stored`.
    pub check: String,
    /// The first four bytes of the SHA-256 of operation, deviation from a valid request, expectation and observation, without ids
    /// and numbers.
    pub evidence: u32,
}

impl Symptom {
    /// The symptom that a broken check is, where actors have these names.
    pub fn of(case: &CaseRecord, check: &CheckRecord, actors: &BTreeSet<&str>) -> Symptom {
        let decisive = check.exchanges.first();
        let exchange = decisive.and_then(|index| case.exchanges.get(*index));
        let operation = exchange.and_then(|exchange| exchange.operation.as_ref());
        let mut parts = vec![
            operation.map_or("", |operation| operation.as_str()).to_owned(),
            outline(&check.expected, actors),
            outline(&check.got, actors),
        ];
        // How a request of ours deviates. What a program is told or answered stands in what was expected.
        let asked = exchange.filter(|it| it.side == Side::Asked && it.wire != Wire::Command);
        let spoiled = asked.and_then(|exchange| exchange.spoiled.as_deref());
        parts.extend(spoiled.map(|how| outline(how, actors)));
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let hash = hash.finalize();
        Symptom {
            case: case.id.clone(),
            sign: Sign {
                check: check.name.clone(),
                evidence: u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]),
            },
        }
    }
}

/// What breaks under one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The name of the fault.
    pub fault: String,
    /// What the server does, one sentence.
    pub about: String,
    /// How the author of a server mends it.
    pub mend: String,
    /// The requirements that it breaks.
    pub breaks: Vec<String>,
    /// The checks that break.
    pub symptoms: BTreeSet<Symptom>,
}

/// Fingerprints as they are published: the cases once, and for each fault its signs with the places of their cases in that list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// The version of this format: 1.
    format: u32,
    /// SHA-256 over all case files and the catalogue of the suite that they were learned with.
    pub suite: String,
    /// The ids of all cases in which something broke, sorted.
    cases: Vec<String>,
    /// For each fault: check, evidence (8 hexadecimal digits) and cases (`0-3,7`) of each sign.
    faults: BTreeMap<String, Vec<(String, String, String)>>,
}

impl Fingerprints {
    /// Packs what broke under each fault.
    pub fn pack(suite: &str, learned: &BTreeMap<&str, BTreeSet<Symptom>>) -> Fingerprints {
        let symptoms = learned.values().flatten();
        let cases: BTreeSet<&str> = symptoms.map(|symptom| symptom.case.as_str()).collect();
        let places: BTreeMap<&str, usize> = cases.iter().copied().zip(0..).collect();
        let faults = learned.iter().map(|(fault, symptoms)| {
            let mut signs: BTreeMap<&Sign, Vec<usize>> = BTreeMap::new();
            for symptom in symptoms {
                let place = places.get(symptom.case.as_str());
                signs.entry(&symptom.sign).or_default().extend(place);
            }
            let signs = signs.into_iter().map(|(sign, places)| {
                let evidence = format!("{:08x}", sign.evidence);
                (sign.check.clone(), evidence, ranges(&places))
            });
            ((*fault).to_owned(), signs.collect())
        });
        Fingerprints {
            format: FORMAT,
            suite: suite.to_owned(),
            faults: faults.collect(),
            cases: cases.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The symptoms of one fault; none where the file does not know it.
    pub fn symptoms(&self, fault: &str) -> BTreeSet<Symptom> {
        let signs = self.faults.get(fault).into_iter().flatten();
        let symptoms = signs.flat_map(|(check, evidence, places)| {
            let sign = Sign {
                check: check.clone(),
                evidence: u32::from_str_radix(evidence, 16).unwrap_or_default(),
            };
            let cases = from_ranges(places).filter_map(|place| self.cases.get(place));
            cases.map(move |case| Symptom {
                case: case.clone(),
                sign: sign.clone(),
            })
        });
        symptoms.collect()
    }

    /// The faults that it knows, by name.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.keys().map(String::as_str)
    }

    /// The ids of all cases in which something broke under some fault.
    pub fn cases(&self) -> &[String] {
        &self.cases
    }

    /// As JSON, a fault a line, so that changes are seen.
    pub fn json(&self) -> String {
        let faults = self.faults.iter();
        let lines = faults.map(|(fault, signs)| format!("    {}: {}", text(fault), text(signs)));
        format!(
            "{{\n  \"format\": {},\n  \"suite\": {},\n  \"cases\": {},\n  \"faults\": {{\n{}\n  }}\n}}\n",
            self.format,
            text(&self.suite),
            text(&self.cases),
            lines.collect::<Vec<_>>().join(",\n")
        )
    }
}

fn text(value: &impl Serialize) -> String {
    // Plain data in memory has no way to fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// Growing numbers as ranges: `0-3,7`.
fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let texts = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(",")
}

/// The numbers of ranges; what is no number is none.
fn from_ranges(text: &str) -> impl Iterator<Item = usize> {
    text.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => first..last.saturating_add(1),
            _ => 0..0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symptom(case: &str, evidence: u32) -> Symptom {
        Symptom {
            case: case.to_owned(),
            sign: Sign {
                check: "answer".to_owned(),
                evidence,
            },
        }
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let learned: BTreeMap<&str, BTreeSet<Symptom>> = BTreeMap::from([
            (
                "deaf",
                BTreeSet::from(["a", "b", "c", "e"].map(|case| symptom(case, 7))),
            ),
            (
                "mute",
                BTreeSet::from([symptom("d", 7), symptom("d", 0xdead_beef)]),
            ),
            ("sound", BTreeSet::new()),
        ]);
        let packed = Fingerprints::pack("5017e", &learned);
        let text = packed.json();
        assert!(text.contains(r#"["answer","00000007","0-2,4"]"#), "{text}");
        let read: Fingerprints = serde_json::from_str(&text).unwrap();
        assert_eq!(read, packed);
        for (fault, symptoms) in &learned {
            assert_eq!(&read.symptoms(fault), symptoms, "{fault}");
        }
        assert_eq!(read.symptoms("unheard-of"), BTreeSet::new());
    }

    #[test]
    fn ranges_are_read_and_written() {
        for (numbers, text) in [
            (vec![], ""),
            (vec![3], "3"),
            (vec![0, 1, 2, 7, 9, 10], "0-2,7,9-10"),
        ] {
            assert_eq!(ranges(&numbers), text);
            assert_eq!(from_ranges(text).collect::<Vec<_>>(), numbers);
        }
        assert_eq!(from_ranges("x,4,5-y").collect::<Vec<_>>(), [4]);
    }
}
