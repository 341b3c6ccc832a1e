//! Embeds the case files: for each protocol, a folder of `cases/`, a table of names and texts; those for clients are in a folder
//! below that of their protocol.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=cases");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory");
    let out = env::var("OUT_DIR").expect("cargo sets the output directory");
    let mut folders = names(&Path::new(&root).join("cases"), "");
    folders.push("avp/client".to_owned());
    for protocol in folders {
        let mut table = String::from(
            "/// Name and text of every case file.\nstatic EMBEDDED_CASES: &[(&str, &str)] = &[\n",
        );
        for name in names(&Path::new(&root).join("cases").join(&protocol), ".toml") {
            let path = format!("/cases/{protocol}/{name}");
            table.push_str(&format!(
                "    ({:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),\n",
                &path[1..]
            ));
        }
        table.push_str("];\n");
        let file = Path::new(&out).join(format!("embedded_{}_cases.rs", protocol.replace('/', "_")));
        fs::write(file, table).expect("the output directory is writable");
    }
}

/// The names in a folder that end so, sorted.
fn names(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the crate has a directory cases/ with one for each protocol");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with(ending) && !name.starts_with('.'))
        .collect();
    names.sort();
    names
}
