//! The requirements of the page: a tile each by section, and all of them in words.

use maud::{Markup, html};

use super::{label, sign};
use crate::record::sentences::{sentence, split_id};
use crate::record::verdict::Verdict;
use crate::record::{Record, RequirementRecord};
use crate::report::facts::sections;
use crate::report::ids;
use crate::text::{count, visible};

/// The requirements.
pub(super) fn write(record: &Record) -> Markup {
    let sections = sections(record);
    html! {
        section #requirements {
            h2 { "Requirements" }
            div.sections {
                @for section in &sections {
                    div.section {
                        h3 { span.number { (visible(&section.number)) } " " (section.title) }
                        div.tiles { @for found in &section.requirements { (tile(found)) } }
                    }
                }
            }
            details.words {
                summary { "All requirements in words" }
                @for section in &sections {
                    h3 { (visible(&section.name())) }
                    ul.rules { @for found in &section.requirements { (rule(found)) } }
                }
            }
        }
    }
}

fn tile(found: &RequirementRecord) -> Markup {
    let id = visible(&found.id);
    let title = format!(
        "{id} ({}) {}: {}",
        found.level,
        found.verdict,
        sentence(&found.text)
    );
    html! {
        a.tile.(found.verdict.as_str()) href=(link(&id)) title=(title) {
            span.sign aria-hidden="true" { (sign(found.verdict)) } (visible(split_id(&found.id).1))
        }
    }
}

/// A link that shows the cases of a requirement.
fn link(id: &str) -> String {
    format!("#q={}", crate::text::encode_segment(id))
}

fn rule(found: &RequirementRecord) -> Markup {
    let id = visible(&found.id);
    html! {
        li {
            (label(found.verdict))
            div {
                a.id href=(link(&id)) { (id) }
                " " span.level { (found.level) } " " (sentence(&found.text))
                @if !matches!(found.verdict, Verdict::Pass | Verdict::Warn | Verdict::Fail) {
                    " " em { (ids::reason(found)) "." }
                }
                " " span.quiet { (count(found.cases.len(), "case")) }
            }
        }
    }
}
