//! How a server behaves: plainly, with one fault, or with one of the freedoms the protocol leaves.
//!
//! Both kinds of deviation are named and declared once, in a table, with the places where they take hold.

use std::sync::LazyLock;

use super::deviation::Hook;
use super::{faults as fault_tables, variations as variation_tables};
use crate::serve::{Fault, Variation};

/// Deviations with the places where each takes hold.
type Table<T> = Vec<(T, &'static [Hook])>;

static FAULT_TABLE: LazyLock<Table<Fault>> = LazyLock::new(fault_tables::all);
static VARIATION_TABLE: LazyLock<Table<Variation>> = LazyLock::new(variation_tables::all);
static FAULTS: LazyLock<Vec<Fault>> = LazyLock::new(|| FAULT_TABLE.iter().map(|(fault, _)| *fault).collect());
static VARIATIONS: LazyLock<Vec<Variation>> =
    LazyLock::new(|| VARIATION_TABLE.iter().map(|(variation, _)| *variation).collect());

/// Where the deviation of a name takes hold; none where there is no such deviation.
pub(super) fn hooks(name: &str) -> Option<&'static [Hook]> {
    let faults = FAULT_TABLE.iter().map(|(fault, hooks)| (fault.name, *hooks));
    let variations = VARIATION_TABLE
        .iter()
        .map(|(variation, hooks)| (variation.name, *hooks));
    faults
        .chain(variations)
        .find(|(known, _)| *known == name)
        .map(|(_, hooks)| hooks)
}

/// Every fault, area by area.
pub fn faults() -> &'static [Fault] {
    &FAULTS
}

/// Every variation.
pub fn variations() -> &'static [Variation] {
    &VARIATIONS
}

/// The fault of this name.
pub fn find_fault(name: &str) -> Option<&'static Fault> {
    faults().iter().find(|fault| fault.name == name)
}

/// The variation of this name.
pub fn find_variation(name: &str) -> Option<&'static Variation> {
    variations().iter().find(|variation| variation.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn is_kebab(name: &str) -> bool {
        let parts = || name.split('-');
        parts().all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
    }

    fn is_sentence(text: &str) -> bool {
        text.ends_with('.') && !text.starts_with(char::is_whitespace) && !text.contains("  ")
    }

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let names = || {
            faults()
                .iter()
                .map(|fault| fault.name)
                .chain(variations().iter().map(|one| one.name))
        };
        assert_eq!(names().collect::<BTreeSet<_>>().len(), names().count());
        for name in names() {
            assert!(is_kebab(name), "{name}");
        }
    }

    #[test]
    fn every_text_is_a_sentence() {
        for fault in faults() {
            for text in [fault.about, fault.notice, fault.fix] {
                assert!(is_sentence(text), "{}: {text:?}", fault.name);
            }
        }
        for variation in variations() {
            assert!(is_sentence(variation.about), "{}", variation.name);
        }
    }

    #[test]
    fn there_are_faults_of_every_kind_and_a_canary() {
        assert!(faults().len() >= 120, "{}", faults().len());
        assert!(find_fault("canary").is_some());
        assert!(find_variation("null-envelope").is_some());
        assert!(
            faults()
                .iter()
                .any(|fault| fault.level == crate::catalogue::Level::Should)
        );
    }

    fn broken() -> impl Iterator<Item = (&'static Fault, &'static str)> {
        faults()
            .iter()
            .flat_map(|fault| fault.breaks.iter().map(move |id| (fault, *id)))
    }

    #[test]
    fn faults_break_requirements_by_their_ids() {
        for (fault, id) in broken() {
            let number = id.strip_prefix("AVP-").and_then(|rest| rest.split_once('-'));
            let (section, number) = number.expect(fault.name);
            assert!(
                section.split('.').all(|part| part.parse::<u8>().is_ok()),
                "{}",
                fault.name
            );
            assert!(
                number.len() == 2 && number.parse::<u8>().is_ok(),
                "{}",
                fault.name
            );
        }
    }

    #[test]
    fn faults_break_requirements_of_the_catalogue_at_their_level() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/avp.requirements.toml");
        let Ok(catalogue) = std::fs::read_to_string(path) else {
            return;
        };
        for (fault, broken) in broken() {
            let id = format!("id = \"{broken}\"");
            let line = catalogue
                .lines()
                .find(|line| line.contains(&id))
                .expect(fault.name);
            let level = format!("level = \"{}\"", fault.level);
            assert!(
                line.contains(&level) || broken != fault.breaks[0],
                "{}",
                fault.name
            );
            assert!(line.contains("subject = \"server\""), "{}", fault.name);
        }
    }
}
