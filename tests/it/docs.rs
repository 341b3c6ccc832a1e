//! The schemas of the configuration, of case files and of reports, and the manuals of the first two below what people wrote, are
//! made of the types: `UPDATE=1 cargo test --test it docs` writes them, and a run without it holds them against the types.

use std::fmt::Write as _;

use avp_conform::avp::AVP;
use avp_conform::avp::cases::embedded_sources;
use avp_conform::avp::cases::model::CaseFile;
use avp_conform::case::Source;
use avp_conform::record::Record;
use avp_conform::record::verdict::Verdict;
use serde_json::{Map, Value};

use crate::support::files::{hold, text};
use crate::support::program::reported;

/// Where the part begins that is made.
const MADE: &str = "<!-- Made of the types by `UPDATE=1 cargo test --test it docs`. -->\n";

/// A page with the part that is made anew.
fn hold_page(name: &str, made: &str) {
    let page = text(name);
    let (written, _) = page.split_once(MADE).unwrap();
    hold(name, &format!("{written}{MADE}{made}"), "docs");
}

fn hold_schema(name: &str, schema: &schemars::Schema) {
    // Its own form has the keywords in a fixed order.
    let made = serde_json::to_string_pretty(schema).unwrap();
    hold(name, &format!("{made}\n"), "docs");
}

#[test]
fn the_schema_of_the_configuration_is_that_of_the_type() {
    let schema = avp_conform::cli::config::schema();
    hold("schema/config.schema.json", &format!("{schema:#}\n"), "docs");
}

#[test]
fn the_schema_of_the_report_is_that_of_the_record() {
    hold_schema("schema/report.schema.json", &schemars::schema_for!(Record));
}

#[test]
fn the_schema_of_the_adapter_is_that_of_its_lines() {
    use avp_conform::avp::adapter_contract::{Command, Reply};
    let mut generator = schemars::SchemaGenerator::default();
    let (command, reply) = (
        generator.subschema_for::<Command>(),
        generator.subschema_for::<Reply>(),
    );
    let made = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lines between the harness and an adapter",
        "description": "A line of an adapter's standard input is a Command, one of its standard output a Reply.",
        "anyOf": [command, reply],
        "$defs": generator.definitions(),
    });
    hold("schema/avp.adapter.schema.json", &format!("{made:#}\n"), "docs");
}

#[test]
fn the_schema_of_case_files_is_that_of_the_type_and_every_case_file_fits_it() {
    let schema = schemars::schema_for!(CaseFile);
    hold_schema("schema/case.schema.json", &schema);
    let schema = schema.to_value();
    for source in embedded_sources() {
        let file: toml::Value = toml::from_str(&source.text).unwrap();
        let file = serde_json::to_value(file).unwrap();
        let wrong = jsonschema::validate(&schema, &file).map_err(|error| error.to_string());
        assert_eq!(wrong, Ok(()), "{}", source.name);
    }
}

/// The format of cases for clients.
type ClientCaseFile = avp_conform::case::file::CaseFile<avp_conform::avp::client_suite::cases::Step>;

#[test]
fn the_schema_of_cases_for_clients_is_that_of_the_type_and_every_such_file_fits_it() {
    let schema = schemars::schema_for!(ClientCaseFile);
    hold_schema("schema/client-case.schema.json", &schema);
    let schema = schema.to_value();
    let sources = (avp_conform::avp::client_suite::AVP_CLIENT.sources)();
    assert!(sources.len() > 5);
    for source in sources {
        let file: toml::Value = toml::from_str(&source.text).unwrap();
        let file = serde_json::to_value(file).unwrap();
        let wrong = jsonschema::validate(&schema, &file).map_err(|error| error.to_string());
        assert_eq!(wrong, Ok(()), "{}", source.name);
    }
}

#[test]
fn the_manual_of_cases_for_clients_tells_every_type() {
    let schema = schemars::schema_for!(ClientCaseFile).to_value();
    let mut made = String::new();
    section(&mut made, "Case file", &schema);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        section(&mut made, name, definition);
    }
    for part in [
        "## Step\n",
        "| `do` ",
        "| `save` = ",
        "| `redirect` = integer |",
        "| `wrapped-tag` |",
    ] {
        assert!(made.contains(part), "{part}: {made}");
    }
    hold_page("docs/client-cases.md", &made);
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
    let schema = schemars::schema_for!(CaseFile).to_value();
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
    let keys = word["properties"].as_object().into_iter().flatten();
    let keys: Vec<String> = keys
        .map(|(key, value)| format!("`{key}` = {}", kind(value)))
        .collect();
    let shown = match names.is_empty() {
        true if !keys.is_empty() => keys.join(", "),
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

#[test]
fn the_case_that_the_readme_prints_loads() {
    let readme = text("README.md");
    let (_, rest) = readme
        .split_once("This is `two-phones.toml`, whole:\n\n```toml\n")
        .unwrap();
    let (case, _) = rest.split_once("```").unwrap();
    let mut sources = embedded_sources();
    sources.push(Source {
        name: "two-phones.toml".to_owned(),
        text: case.to_owned(),
    });
    let suite = (AVP.load)(sources).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(suite.get("two-phones/second-push-conflicts").is_some());
}

#[test]
fn the_case_that_the_manual_of_cases_for_clients_prints_holds_for_the_reference_client() {
    let manual = text("docs/client-cases.md");
    let (_, rest) = manual.split_once("```toml\n").unwrap();
    let (case, _) = rest.split_once("```").unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ahead.toml");
    std::fs::write(&file, case).unwrap();
    let file = file.to_str().unwrap();
    let done = reported(&["client", "--cases", file, "--filter", "ahead/*"]);
    assert_eq!(done.code, 0, "{}", done.out);
    assert_eq!(done.case("ahead/merged").verdict, Verdict::Pass, "{}", done.out);
}
