//! The requirement catalogue: what the protocol demands, under stable ids.
//!
//! Each protocol has a catalogue in `schema/`, embedded in the binary. Checks name its ids, and the level that decides
//! a verdict comes from here alone. Parsing is pure and strict: unknown fields and values, malformed and repeated ids
//! are errors that name their line.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Level, Version};

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

/// What it does to users where a requirement is not kept; the worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Harm {
    /// What was written is lost, altered, or mixed up with what others wrote.
    Loss,
    /// Somebody reads or does what only others may.
    Access,
}

/// One normative requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// `<prefix>-<section>-<number>`, such as `AVP-6-07` or `AVP-5.1-01`.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// Who has to keep it.
    pub subject: Subject,
    /// The protocol version that brought it.
    pub since: Version,
    /// What conforms, one sentence.
    pub text: String,
    /// What it does to users where it is not kept, if more than that clients and servers do not understand each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<Harm>,
    /// Why a black-box run cannot observe it, where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unobservable: Option<String>,
    /// Whether it is checked on every exchange of every case: no case need name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everywhere: bool,
    /// Whether it speaks of what HTTP alone has, so that no other transport can keep or break it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http_only: bool,
    /// What did not happen where nothing showed it: it is not applicable then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applies_only_if: Option<String>,
}

impl Requirement {
    /// The section of the specification it belongs to: `6` of `AVP-6-07`, `5.1` of `AVP-5.1-01`.
    pub fn section(&self) -> &str {
        split_id(&self.id).map_or("", |(section, _)| section)
    }

    /// Whether it binds a party that claims `spec`.
    pub fn in_force(&self, spec: Version) -> bool {
        self.since <= spec
    }
}

/// All requirements of a protocol, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// What the protocol is called: `Alt Vault Protocol`.
    pub title: String,
    /// What all ids begin with: `AVP`.
    pub prefix: String,
    /// The published versions, oldest first.
    pub versions: Vec<Version>,
    /// The sections that hold requirements, in order.
    pub sections: Vec<Section>,
    /// Whose requirements are judged: those of the others bind nobody here.
    pub subject: Subject,
    /// The text of the file, for hashing.
    pub source: String,
    requirements: Vec<Requirement>,
    index: HashMap<String, usize>,
}

/// A section of the specification that holds requirements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The part of an id between its prefix and its number: `6` of `AVP-6-07`.
    pub name: String,
    /// What it is about.
    pub title: String,
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
            title: file.title,
            prefix: file.prefix,
            versions: file.versions,
            sections: file.sections,
            subject: Subject::Server,
            source: text.to_owned(),
            requirements: Vec::with_capacity(file.requirement.len()),
            index: HashMap::new(),
        };
        if !catalogue.versions.is_sorted() || catalogue.versions.is_empty() {
            return Err(error_at(
                text,
                0,
                "`versions` has one version at least, the oldest first",
            ));
        }
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

    /// The newest published version: what a target is judged by unless told.
    pub fn newest(&self) -> Version {
        self.versions[self.versions.len() - 1]
    }

    /// The title of a section; `None` for one that holds no requirements.
    pub fn section_title(&self, name: &str) -> Option<&str> {
        let section = self.sections.iter().find(|section| section.name == name);
        section.map(|section| section.title.as_str())
    }

    /// The strongest level among requirements; may where there are none.
    pub fn strongest(&self, ids: &[&str]) -> Level {
        let levels = ids
            .iter()
            .filter_map(|id| self.get(id))
            .map(|requirement| requirement.level);
        levels.max().unwrap_or(Level::May)
    }

    /// Whether a requirement binds a server that claims `spec`.
    pub fn is_in_force(&self, id: &str, spec: Version) -> bool {
        self.get(id).is_some_and(|requirement| requirement.in_force(spec))
    }

    /// The same catalogue, of which the requirements of clients are judged.
    #[must_use]
    pub fn of_clients(self) -> Catalogue {
        Catalogue {
            subject: Subject::Client,
            ..self
        }
    }

    /// The requirements that bind whoever is judged and claims `spec`.
    pub fn binding(&self, spec: Version) -> impl Iterator<Item = &Requirement> {
        self.iter()
            .filter(move |requirement| requirement.subject == self.subject && requirement.in_force(spec))
    }

    fn add(&mut self, requirement: Requirement) -> Result<(), String> {
        self.check(&requirement)?;
        let at = self.requirements.len();
        if self.index.insert(requirement.id.clone(), at).is_some() {
            return Err(format!("{} is given twice", requirement.id));
        }
        self.requirements.push(requirement);
        Ok(())
    }
}

impl Catalogue {
    fn check(&self, requirement: &Requirement) -> Result<(), String> {
        let id = &requirement.id;
        let (section, _) = split_id(id)
            .filter(|_| id.split('-').next() == Some(&self.prefix))
            .ok_or_else(|| {
                format!(
                    "{id:?} is no id: {}-<section>-<two digits> is wanted",
                    self.prefix
                )
            })?;
        if self.section_title(section).is_none() {
            return Err(format!("{id:?} names a section that holds no requirements"));
        }
        if !self.versions.contains(&requirement.since) {
            return Err(format!(
                "{id} came with version {}, which is none of `versions`",
                requirement.since
            ));
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
    title: String,
    prefix: String,
    versions: Vec<Version>,
    sections: Vec<Section>,
    requirement: Vec<Spanned<Requirement>>,
}

/// Section and number of an id; `None` where it has another form.
pub fn split_id(id: &str) -> Option<(&str, &str)> {
    let (_, rest) = id.split_once('-')?;
    let (section, number) = rest.rsplit_once('-')?;
    let is_section = section.split('.').all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    });
    let is_number = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_section && is_number).then_some((section, number))
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

    const HEAD: &str = r#"title = "x"
prefix = "AVP"
versions = ["0.2", "0.3"]
sections = [{ name = "6", title = "operations" }, { name = "5.1", title = "policy" }]"#;
    const GOOD: &str =
        r#"{ id = "AVP-6-07", level = "must", subject = "server", since = "0.2", text = "It holds." }"#;

    fn parse(requirements: &str) -> Result<Catalogue, CatalogueError> {
        Catalogue::parse(&format!("{HEAD}\nrequirement = [\n{requirements}]\n"))
    }

    /// Parses a catalogue whose second requirement is `GOOD` with `from` replaced by `to`.
    fn parse_with(from: &str, to: &str) -> Result<Catalogue, CatalogueError> {
        parse(&format!(
            "  {},\n  {},\n",
            GOOD.replace("6-07", "6-01"),
            GOOD.replace(from, to)
        ))
    }

    #[test]
    fn a_requirement_is_found_by_its_id_and_binds_by_its_version() {
        let later = GOOD.replace("AVP-6-07", "AVP-5.1-01").replace("0.2", "0.3");
        let catalogue = parse(&format!("{GOOD}, {later}")).unwrap();
        let push = catalogue.get("AVP-6-07").unwrap();
        assert_eq!(
            (push.level, push.subject, push.section()),
            (Level::Must, Subject::Server, "6")
        );
        assert!(catalogue.get("AVP-6-99").is_none());
        assert_eq!(catalogue.section_title("5.1"), Some("policy"));
        assert_eq!(catalogue.section_title("11"), None);
        let in_force = |spec| catalogue.binding(spec).count();
        assert_eq!(
            (in_force(Version::of(&[0, 2])), in_force(catalogue.newest())),
            (1, 2)
        );
        assert!(!catalogue.is_in_force("AVP-5.1-01", Version::of(&[0, 2])));
        assert_eq!(
            catalogue.clone().of_clients().binding(catalogue.newest()).count(),
            0
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
            ("\"0.2\"", "\"0.5\"", "none of `versions`"),
            ("0.2", "0.x", "is no version"),
            ("text", "texts", "unknown field `texts`"),
            (r#", text = "It holds.""#, "", "missing field `text`"),
            ("It holds.", " ", "has no text"),
            ("}", r#", unobservable = "" }"#, "why it is unobservable"),
        ];
        for (from, to, message) in wrong {
            let error = parse_with(from, to).unwrap_err();
            assert_eq!(error.line, 7, "{error}");
            assert!(error.message.contains(message), "{error}");
        }
        assert!(parse_with("", "").is_ok());
    }

    #[test]
    fn text_that_is_not_toml_is_refused_with_its_line() {
        assert_eq!(parse("= ").unwrap_err().line, 6);
        let backwards = HEAD.replace(r#""0.2", "0.3""#, r#""0.3", "0.2""#);
        let error = Catalogue::parse(&format!("{backwards}\nrequirement = []")).unwrap_err();
        assert!(error.message.contains("oldest first"), "{error}");
        assert_eq!(Catalogue::parse("other = 1").unwrap_err().line, 1);
    }
}
