//! Embeds the case files: for each protocol, a folder of `cases/`, a table of names and texts; those for clients are in a folder
//! below that of their protocol. And compiles the service of `schema/avp.proto`, without `protoc`: to descriptors, by which the
//! harness reads and writes messages, and to types, which the reference server alone uses.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=cases");
    println!("cargo::rerun-if-changed=schema/avp.proto");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory");
    let out = env::var("OUT_DIR").expect("cargo sets the output directory");
    let mut folders = names(&Path::new(&root).join("cases"), "");
    folders.extend(["avp/client".to_owned(), "avp/grpc".to_owned()]);
    for protocol in folders {
        let mut table = String::from(
            "/// Name and text of every case file.\npub(super) static EMBEDDED_CASES: &[(&str, &str)] = &[\n",
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
    compile_service(Path::new(&root), Path::new(&out));
}

/// Fields that JSON leaves out where the message does not have them.
const OPTIONAL: [&str; 9] = [
    "MemberEntry.wrapped_data_key",
    "MemberEntry.key_binding_sig",
    "CreateRepoRequest.manifest",
    "CreateRepoRequest.initial_envelope",
    "PullResponse.manifest",
    "PullResponse.envelope",
    "PushRequest.envelope",
    "MemberAddRequest.member",
    "MemberRemoveRequest.rotated_envelope",
];

fn compile_service(root: &Path, out: &Path) {
    let schema = root.join("schema");
    let descriptors = protox::compile(["avp.proto"], [schema]).expect("schema/avp.proto is valid");
    fs::write(
        out.join("avp.descriptors"),
        prost::Message::encode_to_vec(&descriptors),
    )
    .expect("the output directory is writable");
    let mut types = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .type_attribute(
            ".avp",
            "#[derive(serde::Serialize, serde::Deserialize)] #[serde(rename_all = \"camelCase\", default)]",
        );
    for field in OPTIONAL {
        let absent = "#[serde(skip_serializing_if = \"Option::is_none\")]";
        types = types.field_attribute(format!(".avp.{field}"), absent);
    }
    for (field, absent) in [
        ("PushRequest.rotated_members", "Vec::is_empty"),
        ("VaultManifest.share_refresh_tokens", "std::ops::Not::not"),
    ] {
        let attribute = format!("#[serde(skip_serializing_if = \"{absent}\")]");
        types = types.field_attribute(format!(".avp.{field}"), attribute);
    }
    types
        .compile_fds(descriptors)
        .expect("the output directory is writable");
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
