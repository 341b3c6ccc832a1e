//! A badge: as the JSON that shields.io asks an endpoint for, and as a picture of our own.

use maud::{PreEscaped, html};
use serde_json::json;

use super::facts::Totals;
use crate::record::Record;
use crate::record::sentences::protocol;
use crate::record::verdict::RunVerdict;

/// What a badge says.
struct Badge {
    label: String,
    message: String,
    /// A name that shields.io knows.
    color: &'static str,
    /// The same as a colour of the picture.
    fill: &'static str,
}

impl Badge {
    fn of(record: &Record) -> Badge {
        let totals = Totals::of(record);
        let share = format!("{}/{}", totals.verified, totals.applicable);
        let (message, color, fill) = match record.verdict {
            // A part of the suite shows nothing about the whole.
            _ if !record.filters.is_empty() => (format!("{share} of a part"), "lightgrey", "#6b7280"),
            RunVerdict::Conformant => (format!("conformant {share}"), "brightgreen", "#2f7d4f"),
            RunVerdict::Nonconformant => (format!("not conformant {share}"), "red", "#b3382c"),
            RunVerdict::Incomplete => ("no verdict".to_owned(), "lightgrey", "#6b7280"),
        };
        Badge {
            label: protocol(record),
            message,
            color,
            fill,
        }
    }
}

/// The badge for shields.io.
pub(super) fn render(record: &Record) -> Vec<u8> {
    let Badge {
        label,
        message,
        color,
        ..
    } = Badge::of(record);
    let is_error = record.verdict == RunVerdict::Incomplete;
    let badge = json!({
        "schemaVersion": 1, "label": label, "message": message, "color": color, "isError": is_error,
    });
    format!("{badge}\n").into_bytes()
}

/// The badge as a picture.
pub(super) fn svg(record: &Record) -> String {
    let badge = Badge::of(record);
    let (left, right) = (width(&badge.label) + 14, width(&badge.message) + 14);
    let all = left + right;
    let title = format!("{}: {}", badge.label, badge.message);
    let text = |content: &str, middle: usize, length: usize| {
        html! { text x=(middle) y="14" textLength=(length) { (content) } }
    };
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(all) height="20" viewBox=(format!("0 0 {all} 20"))
            role="img" aria-label=(title) {
            title { (title) }
            clipPath id="round" { rect width=(all) height="20" rx="4" {} }
            g clip-path="url(#round)" {
                rect width=(left) height="20" fill="#3b4252" {}
                rect x=(left) width=(right) height="20" fill=(badge.fill) {}
            }
            g fill="#fff" text-anchor="middle" font-size="11"
                font-family="Verdana, 'DejaVu Sans', Geneva, sans-serif" {
                (text(&badge.label, left / 2, left - 14))
                (text(&badge.message, left + right / 2, right - 14))
            }
        }
    };
    let PreEscaped(picture) = picture;
    format!("{picture}\n")
}

/// How wide a text is at 11 pixels in the fonts that badges use, about.
fn width(text: &str) -> usize {
    let tenths = |character| match character {
        'i' | 'l' | '.' | ' ' | '/' | 't' | 'f' | 'r' | 'j' => 42,
        'm' | 'w' | 'M' | 'W' => 100,
        'A'..='Z' => 76,
        _ => 69,
    };
    text.chars().map(tenths).sum::<usize>().div_ceil(10)
}
