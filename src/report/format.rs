//! The table of report formats.

use std::fmt;
use std::str::FromStr;

/// A form in which a record can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// What the terminal shows.
    Text,
    /// The complete record.
    Json,
    /// JUnit XML.
    Junit,
    /// The Common Test Report Format.
    Ctrf,
    /// The Test Anything Protocol, version 14.
    Tap,
    /// A job summary.
    Markdown,
    /// Annotations as GitHub's workflow commands.
    Github,
    /// A badge as shields.io's endpoint JSON.
    Badge,
    /// A badge as a picture.
    Svg,
    /// A page that stands by itself.
    Html,
    /// The Static Analysis Results Interchange Format, version 2.1.0.
    Sarif,
    /// The exchanges as an HTTP archive, version 1.2.
    Har,
}

impl Format {
    /// Every format, in the order in which help names them.
    pub const ALL: [Format; 12] = [
        Format::Text,
        Format::Json,
        Format::Junit,
        Format::Ctrf,
        Format::Tap,
        Format::Markdown,
        Format::Github,
        Format::Badge,
        Format::Svg,
        Format::Html,
        Format::Sarif,
        Format::Har,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Junit => "junit",
            Format::Ctrf => "ctrf",
            Format::Tap => "tap",
            Format::Markdown => "markdown",
            Format::Github => "github",
            Format::Badge => "badge",
            Format::Svg => "svg",
            Format::Html => "html",
            Format::Sarif => "sarif",
            Format::Har => "har",
        }
    }

    /// What it is good for, one line.
    pub fn about(self) -> &'static str {
        match self {
            Format::Text => "what the terminal shows, without colours",
            Format::Json => "the complete record, for show, diff, merge and rejudge",
            Format::Junit => "JUnit XML, for GitLab, Jenkins and most other CI systems",
            Format::Ctrf => "Common Test Report Format, JSON",
            Format::Tap => "Test Anything Protocol 14",
            Format::Markdown => "a summary for a job page or a pull request",
            Format::Github => "GitHub workflow commands: an annotation for each cause",
            Format::Badge => "shields.io endpoint JSON",
            Format::Svg => "a badge as a picture",
            Format::Html => "one self-contained page to browse every case and exchange",
            Format::Sarif => "SARIF 2.1.0, for code scanning: a result for each cause",
            Format::Har => "HTTP archive 1.2: every exchange, for browsers' tools and proxies",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Format::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| unknown(text))
    }
}

fn unknown(text: &str) -> String {
    let shown = crate::text::visible_cut(text, 40);
    match nearest(&text.to_lowercase()) {
        Some(format) => format!("no report format is called \"{shown}\"; did you mean \"{format}\"?"),
        None => {
            let names = Format::ALL.map(Format::name).join(", ");
            format!("no report format is called \"{shown}\"; there are {names}")
        }
    }
}

fn nearest(text: &str) -> Option<Format> {
    let other = [
        ("md", Format::Markdown),
        ("xml", Format::Junit),
        ("txt", Format::Text),
        ("shields", Format::Badge),
    ];
    let named = Format::ALL.map(|format| (format.name(), format));
    named
        .into_iter()
        .chain(other)
        .map(|(name, format)| (strsim::damerau_levenshtein(name, text), format))
        .filter(|(distance, _)| *distance <= 2 && distance * 2 <= text.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, format)| format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
    }

    #[test]
    fn a_near_name_is_suggested() {
        for (typed, meant) in [
            ("jsno", "json"),
            ("JUnit", "junit"),
            ("md", "markdown"),
            ("gihtub", "github"),
        ] {
            let error = typed.parse::<Format>().unwrap_err();
            assert!(error.ends_with(&format!("did you mean \"{meant}\"?")), "{error}");
        }
        assert!(
            "pdf"
                .parse::<Format>()
                .unwrap_err()
                .contains("there are text, json")
        );
    }
}
