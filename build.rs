//! Embeds the case files: writes a table of names and texts that `case::load` includes.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=cases");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory");
    let out = env::var("OUT_DIR").expect("cargo sets the output directory");
    let mut names: Vec<String> = fs::read_dir(Path::new(&root).join("cases"))
        .expect("the crate has a directory cases/")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    let mut table =
        String::from("/// Name and text of every case file.\nstatic EMBEDDED_CASES: &[(&str, &str)] = &[\n");
    for name in names {
        let path = format!("/cases/{name}");
        table.push_str(&format!(
            "    ({:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),\n",
            &path[1..]
        ));
    }
    table.push_str("];\n");
    fs::write(Path::new(&out).join("embedded_cases.rs"), table).expect("the output directory is writable");
}
