//! Independent witnesses: servers of the gRPC profile that share nothing with this program. One is written in Python, with grpcio,
//! one in JavaScript, with grpc-js. What they need is fetched by the test where the index of packages can be reached.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use avp_conform::record::verdict::Verdict;

use crate::support::program::{Done, reported};

/// What the server in Python needs, as it was tried.
const PYTHON_PACKAGES: [&str; 3] = ["grpcio==1.85.3", "grpcio-tools==1.85.1", "cryptography==50.0.2"];

/// What the server in JavaScript needs, as it was tried.
const NODE_PACKAGES: [&str; 2] = ["@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.1"];

/// A server that is not ours, and what runs it.
struct Witness {
    /// The program that runs its text.
    program: PathBuf,
    /// Its text, by its name among the examples.
    example: &'static str,
    /// Where its packages are found from.
    home: PathBuf,
}

/// The server in Python; none where its packages are not to be had, which is said.
static GRPCIO: LazyLock<Option<Witness>> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grpcio");
    let python = home.join("bin/python3");
    let has_all = || runs(&python, &["-c", "import grpc, grpc_tools, cryptography"], None);
    let install = || {
        let pip = ["-m", "pip", "install", "--retries", "1", "--timeout", "10"];
        runs(
            Path::new("python3"),
            &["-m", "venv", &home.to_string_lossy()],
            None,
        ) && runs(&python, &[&pip[..], &PYTHON_PACKAGES].concat(), None)
    };
    if has_all() || install() && has_all() {
        let example = "avp_grpc_server.py";
        return Some(Witness {
            program: python.clone(),
            example,
            home: home.clone(),
        });
    }
    eprintln!(
        "skipped: Python with {} cannot be had",
        PYTHON_PACKAGES.join(", ")
    );
    None
});

/// The server in JavaScript; none where its packages are not to be had, which is said.
static GRPC_JS: LazyLock<Option<Witness>> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grpc-js");
    std::fs::create_dir_all(&home).unwrap();
    let required = "require('@grpc/grpc-js'); require('@grpc/proto-loader')";
    let has_all = || runs(Path::new("node"), &["-e", required], Some(&home));
    let install = || {
        let npm = [
            "install",
            "--prefix",
            ".",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ];
        let waits = ["--fetch-retries=1", "--fetch-timeout=10000"];
        runs(
            Path::new("npm"),
            &[&npm[..], &waits, &NODE_PACKAGES].concat(),
            Some(&home),
        )
    };
    if has_all() || install() && has_all() {
        let (program, example) = (PathBuf::from("node"), "avp_grpc_server.js");
        return Some(Witness {
            program,
            example,
            home: home.clone(),
        });
    }
    eprintln!("skipped: Node with {} cannot be had", NODE_PACKAGES.join(", "));
    None
});

/// Whether a program is there and ends well.
fn runs(program: &Path, arguments: &[&str], home: Option<&Path>) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(home) = home {
        command.current_dir(home);
    }
    command.status().is_ok_and(|status| status.success())
}

impl Witness {
    /// The text of the server.
    fn text(&self) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(root.join("docs/examples").join(self.example)).unwrap()
    }

    /// A run against the server whose text this is.
    fn judged(&self, text: &str, filters: &[&str]) -> Done {
        let place = tempfile::tempdir_in(&self.home).unwrap();
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/avp.proto");
        std::fs::copy(schema, place.path().join("avp.proto")).unwrap();
        let server = place.path().join(self.example);
        std::fs::write(&server, text).unwrap();
        let exec = format!("{} {}", self.program.display(), server.display());
        let mut arguments = vec!["--exec", &exec, "--grpc", "grpc://127.0.0.1:{port}"];
        for filter in filters {
            arguments.extend(["--filter", filter]);
        }
        reported(&arguments)
    }

    /// The server is conformant, and there is nothing that it could not be asked.
    fn is_conformant(&self) {
        let done = self.judged(&self.text(), &[]);
        done.conforms();
        let is_open = |verdict| matches!(verdict, Verdict::Blocked | Verdict::Error);
        let open = done.record.cases.iter().filter(|case| is_open(case.verdict));
        assert_eq!(
            open.map(|case| case.id.as_str()).collect::<Vec<_>>(),
            Vec::<&str>::new()
        );
    }

    /// Each mistake is found where it is planted, and it alone.
    fn shows(&self, planted: &[Planted]) {
        let text = self.text();
        for (was, is, filter, id) in planted {
            assert!(text.contains(was), "{was}");
            let done = self.judged(&text.replacen(was, is, 1), &[filter]);
            assert_eq!(done.broken(), [*id], "{is}: {}", done.out);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_server_of_grpcio_is_conformant() {
    if let Some(witness) = GRPCIO.as_ref() {
        witness.is_conformant();
    }
}

#[cfg(unix)]
#[test]
fn a_server_of_grpc_js_is_conformant() {
    if let Some(witness) = GRPC_JS.as_ref() {
        witness.is_conformant();
    }
}

/// A line of the server, what stands in its place, the case that shows it, and the rule that is broken then.
type Planted = (&'static str, &'static str, &'static str, &'static str);

const PLANTED_IN_PYTHON: [Planted; 10] = [
    (
        "applies = request.expected_payload_version == manifest.payload_version",
        "applies = True",
        "push/minus-one-is-stale",
        "AVP-6-07",
    ),
    (
        "return messages.PushResponse(\n",
        "refuse_if(not applies, StatusCode.ABORTED, 'stale')\n        return messages.PushResponse(\n",
        "status/stale-push-is-ok",
        "AVP-11-04",
    ),
    (
        "refuse_if(repository is None, StatusCode.NOT_FOUND,",
        "refuse_if(repository is None, StatusCode.UNKNOWN,",
        "status/of-the-table",
        "AVP-11-03",
    ),
    (
        "scheme.lower() == \"bearer\" and ",
        "",
        "metadata/token-on-every-method",
        "AVP-11-02",
    ),
    (
        "new.payload_version, new.key_epoch = envelope.payload_version, epoch",
        "new.payload_version, new.key_epoch = int(float(envelope.payload_version)) % (1 << 63), epoch",
        "messages/int64-counters",
        "AVP-11-05",
    ),
    (
        "repository, member = self.repository(request, caller), request.member\n",
        "repository, member = self.repository(request, caller), request.member\n        member.ClearField('key_binding_sig')\n",
        "messages/binding-presence",
        "AVP-11-06",
    ),
    (
        "bad_if(not message.HasField(field.name), f\"{field.name} is missing\")",
        "if not message.HasField(field.name): raise ValueError(field.name)",
        "messages/missing-message",
        "AVP-11-07",
    ),
    (
        "refuse_if(entry_of(repository, caller) is None, StatusCode.PERMISSION_DENIED, \"no member\")",
        "pass",
        "authorization/pull-by-a-stranger",
        "AVP-6-15",
    ),
    (
        "self.nonces.pop(request.nonce, (None, 0))",
        "self.nonces.get(request.nonce, (None, 0))",
        "token/nonce-again",
        "AVP-3-03",
    ),
    (
        "unchanged = request.known_payload_version == manifest.payload_version",
        "unchanged = request.known_payload_version >= manifest.payload_version",
        "pull/ahead",
        "AVP-6-06",
    ),
];

const PLANTED_IN_JAVASCRIPT: [Planted; 9] = [
    (
        "const applies = request.expected_payload_version === manifest.payload_version",
        "const applies = Number(request.expected_payload_version) <= Number(manifest.payload_version)",
        "push/minus-one-is-stale",
        "AVP-6-07",
    ),
    (
        "return { accepted: applies,",
        "refuseIf(!applies, grpc.status.ABORTED, 'stale');\n  return { accepted: applies,",
        "status/stale-push-is-ok",
        "AVP-11-04",
    ),
    (
        "refuseIf(!repository, NOT_FOUND, 'no such repository')",
        "if (!repository) throw new Error('no such repository')",
        "status/of-the-table",
        "AVP-11-03",
    ),
    (
        "authorization.slice('Bearer '.length)",
        "authorization.slice('Bearer '.length).split(' ')[0]",
        "token/forged",
        "AVP-3-11",
    ),
    (
        "longs: String,",
        "longs: Number,",
        "messages/int64-counters",
        "AVP-11-05",
    ),
    (
        "members: [...manifest.members, member] }",
        "members: [...manifest.members, { ...member, key_binding_sig: undefined }] }",
        "messages/binding-presence",
        "AVP-11-06",
    ),
    (
        "refuseIf(!entryOf(repository, caller), PERMISSION_DENIED, 'no member');",
        "",
        "authorization/pull-by-a-stranger",
        "AVP-6-15",
    ),
    ("nonces.delete(nonce);", "", "token/nonce-again", "AVP-3-03"),
    (
        "const unchanged = request.known_payload_version === manifest.payload_version",
        "const unchanged = BigInt(request.known_payload_version) >= BigInt(manifest.payload_version)",
        "pull/ahead",
        "AVP-6-06",
    ),
];

#[cfg(unix)]
#[test]
fn what_is_planted_in_a_server_of_grpcio_is_found() {
    if let Some(witness) = GRPCIO.as_ref() {
        witness.shows(&PLANTED_IN_PYTHON);
    }
}

#[cfg(unix)]
#[test]
fn what_is_planted_in_a_server_of_grpc_js_is_found() {
    if let Some(witness) = GRPC_JS.as_ref() {
        witness.shows(&PLANTED_IN_JAVASCRIPT);
    }
}
