//! The requirement catalogue: what the protocol demands, under stable ids.
//!
//! The catalogue is `schema/requirements.toml`, embedded in the binary. Checks name its ids, and the level that decides
//! a verdict comes from here alone. Parsing is pure and strict: unknown fields and values, malformed and repeated ids
//! are errors that name their line.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Level, SpecVersion};

/// Who has to keep a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The vault server or the identity provider.
    Server,
    /// A client.
    Client,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Subject::Server => "server",
            Subject::Client => "client",
        })
    }
}

/// One normative requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// `AVP-<section>-<number>`, such as `AVP-6-07` or `AVP-5.1-01`.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// Who has to keep it.
    pub subject: Subject,
    /// The protocol version that brought it.
    pub since: SpecVersion,
    /// What conforms, one sentence.
    pub text: String,
    /// Why a black-box run cannot observe it, where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unobservable: Option<String>,
}

impl Requirement {
    /// The section of the specification it belongs to: `6` of `AVP-6-07`, `5.1` of `AVP-5.1-01`.
    pub fn section(&self) -> &str {
        split_id(&self.id).map_or("", |(section, _)| section)
    }

    /// Whether it binds a party that claims `spec`.
    pub fn in_force(&self, spec: SpecVersion) -> bool {
        self.since <= spec
    }
}

/// All requirements, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    requirements: Vec<Requirement>,
    index: HashMap<String, usize>,
}

/// Why a catalogue was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct CatalogueError {
    /// The line at fault, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// The catalogue of the protocol.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> =
        LazyLock::new(|| Catalogue::parse(source()).expect("a test parses the embedded catalogue"));
    &CATALOGUE
}

/// The text of the embedded catalogue, for hashing.
pub fn source() -> &'static str {
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/requirements.toml"))
}

/// The title of a section of the specification; `None` for one that holds no requirements.
pub fn section_title(section: &str) -> Option<&'static str> {
    SECTIONS
        .iter()
        .find(|(name, _)| *name == section)
        .map(|(_, title)| *title)
}

/// The sections that hold requirements, with their titles, in order.
pub const SECTIONS: [(&str, &str); 11] = [
    ("2", "conventions"),
    ("3", "identity and authentication"),
    ("4", "envelope"),
    ("5", "payload"),
    ("5.1", "refresh-token policy"),
    ("6", "operations"),
    ("7", "limits and retries"),
    ("8", "federation and discovery"),
    ("9", "key binding"),
    ("10", "invariants"),
    ("12", "transport"),
];

impl Catalogue {
    /// Reads a catalogue.
    ///
    /// # Errors
    ///
    /// Text that is not TOML, an unknown or missing field, an unknown level, subject or version, a malformed or
    /// repeated id, an empty text.
    pub fn parse(text: &str) -> Result<Catalogue, CatalogueError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            error_at(text, at, error.message())
        })?;
        let mut catalogue = Catalogue {
            requirements: Vec::with_capacity(file.requirement.len()),
            index: HashMap::new(),
        };
        for entry in file.requirement {
            let start = entry.span().start;
            catalogue
                .add(entry.into_inner())
                .map_err(|message| error_at(text, start, &message))?;
        }
        Ok(catalogue)
    }

    /// The requirement of an id.
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.index.get(id).map(|&at| &self.requirements[at])
    }

    /// All requirements, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Requirement> {
        self.requirements.iter()
    }

    /// The requirements that bind a server which claims `spec`.
    pub fn server(&self, spec: SpecVersion) -> impl Iterator<Item = &Requirement> {
        self.iter()
            .filter(move |requirement| requirement.subject == Subject::Server && requirement.in_force(spec))
    }

    fn add(&mut self, requirement: Requirement) -> Result<(), String> {
        check(&requirement)?;
        let at = self.requirements.len();
        if self.index.insert(requirement.id.clone(), at).is_some() {
            return Err(format!("{} is given twice", requirement.id));
        }
        self.requirements.push(requirement);
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Catalogue {
    type Item = &'a Requirement;
    type IntoIter = std::slice::Iter<'a, Requirement>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Spanned<Requirement>>,
}

fn check(requirement: &Requirement) -> Result<(), String> {
    let id = &requirement.id;
    let (section, _) =
        split_id(id).ok_or_else(|| format!("{id:?} is no id: AVP-<section>-<two digits> is wanted"))?;
    if section_title(section).is_none() {
        return Err(format!("{id:?} names a section that holds no requirements"));
    }
    if requirement.text.trim().is_empty() {
        return Err(format!("{id} has no text"));
    }
    if requirement
        .unobservable
        .as_deref()
        .is_some_and(|why| why.trim().is_empty())
    {
        return Err(format!("{id} does not say why it is unobservable"));
    }
    Ok(())
}

/// Section and number of an id; `None` where it has another form.
fn split_id(id: &str) -> Option<(&str, &str)> {
    let (section, number) = id.strip_prefix("AVP-")?.split_once('-')?;
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = section.split('.').all(numeric) && number.len() == 2 && numeric(number);
    well_formed.then_some((section, number))
}

fn error_at(text: &str, offset: usize, message: &str) -> CatalogueError {
    let before = text.as_bytes().iter().take(offset);
    CatalogueError {
        line: 1 + before.filter(|&&byte| byte == b'\n').count(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{ id = "AVP-6-07", level = "must", subject = "server", since = "0.2", text = "It holds." }"#;

    /// Parses a catalogue whose second line is good and whose third is `GOOD` with `from` replaced by `to`.
    fn parse_with(from: &str, to: &str) -> Result<Catalogue, CatalogueError> {
        let first = GOOD.replace("6-07", "6-01");
        let second = GOOD.replace(from, to);
        Catalogue::parse(&format!("requirement = [\n  {first},\n  {second},\n]\n"))
    }

    #[test]
    fn the_embedded_catalogue_is_well_formed() {
        let catalogue = Catalogue::parse(source()).unwrap();
        assert_eq!(catalogue.iter().count(), source().matches("{ id = ").count());
        let push = catalogue.get("AVP-6-07").unwrap();
        assert_eq!(
            (push.level, push.subject, push.section()),
            (Level::Must, Subject::Server, "6")
        );
        assert!(catalogue.get("AVP-6-99").is_none());
    }

    #[test]
    fn every_section_with_a_title_holds_requirements() {
        for (section, title) in SECTIONS {
            assert!(
                catalogue()
                    .iter()
                    .any(|requirement| requirement.section() == section)
            );
            assert_eq!(section_title(section), Some(title));
        }
        assert_eq!(section_title("11"), None);
    }

    #[test]
    fn a_server_is_held_to_what_its_version_knows() {
        let in_force = |spec| catalogue().server(spec).collect::<Vec<_>>();
        assert!(
            in_force(SpecVersion::V0_2)
                .iter()
                .all(|r| r.since == SpecVersion::V0_2)
        );
        assert!(!in_force(SpecVersion::V0_3).iter().any(|r| r.section() == "5.1"));
        assert!(in_force(SpecVersion::V0_4).iter().any(|r| r.id == "AVP-5.1-01"));
        assert!(
            in_force(SpecVersion::V0_4)
                .iter()
                .all(|r| r.subject == Subject::Server)
        );
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        let wrong = [
            ("6-07", "6-01", "given twice"),
            ("AVP-6-07", "AVP-6-7", "is no id"),
            ("AVP-6-07", "avp-6-07", "is no id"),
            ("AVP-6-07", "AVP-6.-07", "is no id"),
            ("AVP-6-07", "AVP-6", "is no id"),
            ("AVP-6-07", "AVP-11-07", "no requirements"),
            ("must", "shall", "unknown variant `shall`"),
            ("server", "proxy", "unknown variant `proxy`"),
            ("0.2", "0.5", "unknown variant `0.5`"),
            ("text", "texts", "unknown field `texts`"),
            (r#", text = "It holds.""#, "", "missing field `text`"),
            ("It holds.", " ", "has no text"),
            ("}", r#", unobservable = "" }"#, "why it is unobservable"),
        ];
        for (from, to, message) in wrong {
            let error = parse_with(from, to).unwrap_err();
            assert_eq!(error.line, 3, "{error}");
            assert!(error.message.contains(message), "{error}");
        }
        assert!(parse_with("", "").is_ok());
    }

    #[test]
    fn text_that_is_not_toml_is_refused_with_its_line() {
        assert_eq!(Catalogue::parse("\n\nrequirement = [").unwrap_err().line, 3);
        assert_eq!(Catalogue::parse("other = 1").unwrap_err().line, 1);
    }
}
