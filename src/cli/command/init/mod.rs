//! Writes what a project begins with: a configuration, a first case of its own, and a file for CI.

use std::fs;

use crate::cli::arguments::{Ci, InitArgs};
use crate::cli::error::Error;
use crate::cli::{console, exit};
use crate::report::write_whole;

const CONFIG: &str = include_str!("config.toml");
const CASE: &str = include_str!("case.toml");
const GITHUB: &str = include_str!("github.yml");
const GITLAB: &str = include_str!("gitlab.yml");
const CASE_SCHEMA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/case.schema.json"));
const CONFIG_SCHEMA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/config.schema.json"));

/// The address of a server that nobody has named.
const SOME_TARGET: &str = "http://localhost:8080";

pub(super) fn init(args: &InitArgs) -> Result<u8, Error> {
    let files = files(args);
    let place = |path: &str| args.directory.join(path);
    let there: Vec<String> = files
        .iter()
        .map(|(path, _)| place(path))
        .filter(|path| fs::symlink_metadata(path).is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if !there.is_empty() {
        return Err(Error::Usage(format!(
            "{} is there already; nothing was written",
            there.join(", ")
        )));
    }
    for (path, text) in &files {
        write_whole(&place(path), text.as_bytes())?;
        console::out(&format!("wrote {}\n", place(path).display()))?;
    }
    console::out(&next(args))?;
    Ok(exit::OK)
}

/// Path and text of every file.
fn files(args: &InitArgs) -> Vec<(&'static str, String)> {
    let mut files = vec![
        ("avp-conform.toml", CONFIG.replace("{target}", &target(args))),
        ("conformance/first.toml", CASE.to_owned()),
        ("conformance/case.schema.json", CASE_SCHEMA.to_owned()),
        ("conformance/config.schema.json", CONFIG_SCHEMA.to_owned()),
    ];
    let versioned = |text: &str| text.replace("{version}", env!("CARGO_PKG_VERSION"));
    match args.ci {
        Ci::Github => files.push((".github/workflows/avp-conform.yml", versioned(GITHUB))),
        Ci::Gitlab => files.push((".gitlab/avp-conform.yml", versioned(GITLAB))),
        Ci::None => {}
    }
    files
}

/// The line that names the server under test.
fn target(args: &InitArgs) -> String {
    let (key, value) = match (&args.exec, &args.target) {
        (Some(command), _) => ("exec", command.as_str()),
        (None, target) => ("target", target.as_deref().unwrap_or(SOME_TARGET)),
    };
    format!("{key} = {}", toml::Value::from(value))
}

fn next(args: &InitArgs) -> String {
    let mut text = String::new();
    if args.exec.is_none() && args.target.is_none() {
        text.push_str(&format!(
            "\nSay in avp-conform.toml which server is judged: {SOME_TARGET} is a guess.\n"
        ));
    }
    if args.ci != Ci::None {
        text.push_str("\nIn the file for CI, replace OWNER by whose repository avp-conform is in.\n");
    }
    text + "\nThen: avp-conform\n"
}
