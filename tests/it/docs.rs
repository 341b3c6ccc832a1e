//! The manuals of the case format and of the configuration file are made of the types, below what people wrote:
//! `UPDATE=1 cargo test --test it docs` writes them and the schema of the configuration, and a run without it holds them against
//! the types.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

/// Where the part begins that is made.
const MADE: &str = "<!-- Made of the types by `UPDATE=1 cargo test --test it docs`. -->\n";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Holds a file against what it is to be, or writes it.
fn hold(name: &str, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), wanted).unwrap();
    }
    assert!(
        read(name) == wanted,
        "{name} is out of step: UPDATE=1 cargo test --test it docs"
    );
}

/// A page with the part that is made anew.
fn hold_page(name: &str, made: &str) {
    let page = read(name);
    let (written, _) = page.split_once(MADE).unwrap();
    hold(name, &format!("{written}{MADE}{made}"));
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_type() {
    hold(
        "schema/config.schema.json",
        &format!("{:#}\n", avp_conform::cli::config::schema()),
    );
}

#[test]
fn the_manual_of_the_configuration_tells_every_key() {
    let schema = avp_conform::cli::config::schema();
    let properties = schema["properties"].as_object().unwrap();
    assert!(properties.len() > 25);
    for (key, property) in properties {
        let about = property["description"].as_str().unwrap();
        assert!(about.len() >= 8 && !about.starts_with('`'), "{key}: {about}");
    }
    hold_page("docs/configuration.md", &format!("\n{}", table(properties, &[])));
}

#[test]
fn the_manual_of_cases_tells_every_type() {
    let schema: Value = serde_json::from_str(&read("schema/case.schema.json")).unwrap();
    let mut made = String::new();
    section(&mut made, "Case file", &schema);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        section(&mut made, name, definition);
    }
    for part in ["## Step\n", "| `answer` ", "| `small-order` |"] {
        assert!(made.contains(part), "{part}");
    }
    hold_page("docs/cases.md", &made);
}

/// What a type is, and what stands in it.
fn section(out: &mut String, name: &str, definition: &Value) {
    let about = definition["description"].as_str().unwrap_or_default();
    _ = writeln!(out, "\n## {name}\n\n{}\n", flowing(about));
    if let Some(properties) = definition["properties"].as_object() {
        out.push_str(&table(properties, &strings(&definition["required"])));
    } else if let Some(words) = definition["oneOf"].as_array() {
        out.push_str("| word | meaning |\n|---|---|\n");
        for word in words {
            row_of_words(out, word);
        }
    } else {
        _ = writeln!(out, "Written as {}.", kind(definition));
    }
}

fn row_of_words(out: &mut String, word: &Value) {
    let about = flowing(word["description"].as_str().unwrap_or_default());
    let names = match word["const"].as_str() {
        Some(name) => vec![name.to_owned()],
        None => strings(&word["enum"]),
    };
    let shown = match names.is_empty() {
        true => kind(word),
        false => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    _ = writeln!(out, "| {shown} | {about} |");
}

fn table(properties: &Map<String, Value>, required: &[String]) -> String {
    let mut out = String::from("| key | value | meaning |\n|---|---|---|\n");
    for (key, property) in properties {
        let about = flowing(property["description"].as_str().unwrap_or_default());
        let must = if required.contains(key) {
            "**Needed.** "
        } else {
            ""
        };
        _ = writeln!(out, "| `{key}` | {} | {must}{about} |", kind(property));
    }
    out
}

/// What may stand for a schema, in words.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(options) = schema[key].as_array() {
            let mut kinds: Vec<String> = options.iter().map(kind).filter(|kind| !kind.is_empty()).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
    }
    let names = strings(&schema["enum"]);
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        return names.join(", ");
    }
    if let Some(name) = schema["const"].as_str() {
        return format!("`{name}`");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => vec!["anything"],
    };
    let types = types.into_iter().filter(|name| *name != "null");
    let words: Vec<String> = types
        .map(|name| match name {
            "array" => format!("list of {}", kind(&schema["items"])),
            "object" => match &schema["additionalProperties"] {
                Value::Object(_) => format!("table of {}", kind(&schema["additionalProperties"])),
                _ => "table".to_owned(),
            },
            "string" => "text".to_owned(),
            "boolean" => "true or false".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    words.join(" or ")
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A description in one line that a table takes.
fn flowing(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
