//! The walls of the house: which room of the source may know which.
//!
//! The engine knows no protocol; what judges knows neither the session nor a client; reports know records alone; a reference
//! server knows nothing of its judge. Tests inside of modules may use what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The rooms of protocols; all others are the engine's.
const PROTOCOLS: [&str; 4] = ["attesto", "avp", "keypackage", "omp"];
/// The list of protocols, which names them all.
const LIST: &str = "protocols";
/// What belongs to no room.
const ROOTS: [&str; 2] = ["lib.rs", "main.rs"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file by its path below `src/`, without what is compiled for tests alone.
fn files() -> BTreeMap<String, String> {
    fn collect(folder: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
                let name = path.strip_prefix(source()).unwrap().display().to_string();
                files.insert(name.replace('\\', "/"), code.to_owned());
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(&source(), &mut files);
    assert!(files.len() > 100, "{}", files.len());
    files
}

/// The modules of the crate that a file names, as paths from the root of the crate: `avp::server`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let groups = Regex::new(r"crate::\{([^;]*)\};").unwrap();
    let names = Regex::new(r"(?:^|,)\s*(\w+)").unwrap();
    for group in groups.captures_iter(code) {
        let mut depth = 0_i32;
        let mut top = String::new();
        for character in group[1].chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                other if depth == 0 => top.push(other),
                _ => {}
            }
        }
        found.extend(names.captures_iter(&top).map(|name| name[1].to_owned()));
    }
    let paths = Regex::new(r"crate::((?:\w+::)*\w+)").unwrap();
    found.extend(paths.captures_iter(code).map(|path| path[1].to_owned()));
    found
}

fn room(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Each file below `from` that names a module below one of `what`.
fn breaches(from: impl Fn(&str) -> bool, what: &[&str]) -> Vec<String> {
    let is_below = |name: &str, module: &str| {
        name == module
            || name
                .strip_prefix(module)
                .is_some_and(|rest| rest.starts_with("::"))
    };
    let files = files();
    let concerned = files.iter().filter(|(file, _)| from(file));
    concerned
        .flat_map(|(file, code)| {
            let names = named(code).into_iter();
            let bad = names.filter(|name| what.iter().any(|module| is_below(name, module)));
            bad.map(move |name| format!("{file}: {name}"))
        })
        .collect()
}

fn is_engine(file: &str) -> bool {
    !PROTOCOLS.contains(&room(file)) && room(file) != LIST && !ROOTS.contains(&file)
}

#[test]
fn the_engine_knows_no_protocol() {
    assert_eq!(breaches(is_engine, &PROTOCOLS), Vec::<String>::new());
}

#[test]
fn who_judges_knows_neither_the_session_nor_a_client() {
    let judges = |file: &str| room(file) == "judge" || file.contains("/judge/");
    // How a target is reached is told by its address.
    let but_addresses = breaches(judges, &["session", "http", "run", "avp::driver", "avp::server"]);
    let others: Vec<&String> = but_addresses
        .iter()
        .filter(|it| !it.ends_with("http::Endpoint"))
        .collect();
    assert_eq!(others, Vec::<&String>::new());
}

#[test]
fn reports_know_records_alone() {
    let allowed = ["record", "report", "text", "catalogue"];
    let files = files();
    let reports = files.iter().filter(|(file, _)| room(file) == "report");
    let others: Vec<String> = reports
        .flat_map(|(file, code)| named(code).into_iter().map(move |name| format!("{file}: {name}")))
        .filter(|it| {
            let module = it.split(": ").nth(1).unwrap_or_default();
            !allowed.contains(&module.split("::").next().unwrap_or_default())
        })
        .collect();
    assert_eq!(others, Vec::<String>::new());
}

#[test]
fn what_a_reference_server_does_is_said_without_its_faults() {
    let rooms = ["operations", "rules", "admission", "answer", "settings", "store"];
    let is_plain = |file: &str| {
        let room = file.split("/server/").nth(1);
        room.is_some_and(|room| rooms.contains(&room.split(['/', '.']).next().unwrap_or_default()))
    };
    let files = files();
    let plain: Vec<_> = files.iter().filter(|(file, _)| is_plain(file)).collect();
    for protocol in ["avp", "keypackage", "omp"] {
        let server = format!("{protocol}/server/");
        assert!(
            plain.iter().any(|(file, _)| file.starts_with(&server)),
            "{protocol}"
        );
    }
    let of_faults = Regex::new(r"\b(faults|variations|deviation|Hook|deviates|bends|fire)\b").unwrap();
    let lines = plain
        .iter()
        .flat_map(|(file, code)| code.lines().map(move |line| (file, line)));
    let named: Vec<String> = lines
        .filter(|(_, line)| !line.trim_start().starts_with("//") && of_faults.is_match(line))
        .map(|(file, line)| format!("{file}: {}", line.trim()))
        .collect();
    assert_eq!(named, Vec::<String>::new());
}

#[test]
fn a_reference_server_knows_nothing_of_its_judge() {
    for protocol in PROTOCOLS {
        let server = format!("{protocol}/server/");
        let others = ["judge", "driver", "cases", "consequences"].map(|room| format!("{protocol}::{room}"));
        let mut others: Vec<&str> = others.iter().map(String::as_str).collect();
        others.extend(["judge", "session", "run", "record"]);
        assert_eq!(
            breaches(|file| file.starts_with(&server), &others),
            Vec::<String>::new()
        );
    }
}

#[test]
fn the_reference_client_knows_nothing_of_its_judge_nor_of_who_drives_servers() {
    let others = [
        "judge",
        "driver",
        "cases",
        "server",
        "crypto",
        "client_suite",
        "messages",
    ];
    let mut others: Vec<String> = others.iter().map(|room| format!("avp::{room}")).collect();
    others.extend(["judge", "session", "run", "record", "http"].map(str::to_owned));
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    assert_eq!(
        breaches(|file| file.starts_with("avp/client/"), &others),
        Vec::<String>::new()
    );
}

#[test]
fn the_reference_relay_knows_nothing_of_its_judge() {
    let others = [
        "judge",
        "driver",
        "cases",
        "canonical",
        "receiver",
        "receipts",
        "names",
        "files",
    ];
    let others = others.map(|room| format!("attesto::{room}"));
    let mut others: Vec<&str> = others.iter().map(String::as_str).collect();
    others.extend(["judge", "session", "run", "record", "http"]);
    assert_eq!(
        breaches(|file| file.starts_with("attesto/relay/"), &others),
        Vec::<String>::new()
    );
}

#[test]
fn no_two_rooms_know_each_other() {
    let mut knows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let files = files();
    for (file, code) in files.iter().filter(|(file, _)| !ROOTS.contains(&file.as_str())) {
        let others = named(code)
            .into_iter()
            .map(|name| room(&name.replace("::", "/")).to_owned());
        let own = room(file).to_owned();
        knows
            .entry(own.clone())
            .or_default()
            .extend(others.filter(|other| *other != own));
    }
    let mut circles = Vec::new();
    for start in knows.keys() {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<&String> = knows[start].iter().collect();
        while let Some(next) = waiting.pop() {
            if next == start {
                circles.push(start.clone());
                break;
            }
            if seen.insert(next) {
                waiting.extend(knows.get(next).into_iter().flatten());
            }
        }
    }
    assert_eq!(
        circles,
        Vec::<String>::new(),
        "rooms that reach themselves: {knows:#?}"
    );
}
