//! An independent witness: a server of the gRPC profile that shares nothing with this program. It is written in Python, with grpcio,
//! which is fetched by the test where the index of packages can be reached.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use avp_conform::record::verdict::{RunVerdict, Verdict};

use crate::support::program::{Done, reported};

/// What the server needs, as it was tried.
const PACKAGES: [&str; 3] = ["grpcio==1.85.3", "grpcio-tools==1.85.1", "cryptography==50.0.2"];

/// A Python that has them; none where there is none to be had, which is said.
static PYTHON: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grpcio");
    let python = home.join("bin/python3");
    let runs = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        let quiet = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    let has_all = || runs(&python, &["-c", "import grpc, grpc_tools, cryptography"]);
    let install = || {
        let pip = ["-m", "pip", "install", "--retries", "1", "--timeout", "10"];
        runs(Path::new("python3"), &["-m", "venv", &home.to_string_lossy()])
            && runs(&python, &[&pip[..], &PACKAGES].concat())
    };
    if has_all() || install() && has_all() {
        return Some(python);
    }
    eprintln!("skipped: Python with {} cannot be had", PACKAGES.join(", "));
    None
});

fn example() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join("docs/examples/avp_grpc_server.py")).unwrap()
}

/// A run against the server whose text this is.
fn judged(python: &Path, text: &str, filters: &[&str]) -> Done {
    let home = tempfile::tempdir().unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/avp.proto");
    std::fs::copy(schema, home.path().join("avp.proto")).unwrap();
    let server = home.path().join("server.py");
    std::fs::write(&server, text).unwrap();
    let exec = format!("{} {}", python.display(), server.display());
    let mut arguments = vec!["--exec", &exec, "--grpc", "grpc://127.0.0.1:{port}"];
    for filter in filters {
        arguments.extend(["--filter", filter]);
    }
    reported(&arguments)
}

#[cfg(unix)]
#[test]
fn a_server_of_grpcio_is_conformant() {
    let Some(python) = PYTHON.as_deref() else { return };
    let done = judged(python, &example(), &[]);
    assert_eq!(
        (done.code, done.record.verdict),
        (0, RunVerdict::Conformant),
        "{}",
        done.out
    );
    assert_eq!(done.broken(), Vec::<&str>::new(), "{}", done.out);
    let is_open = |verdict| matches!(verdict, Verdict::Blocked | Verdict::Error);
    let open = done.record.cases.iter().filter(|case| is_open(case.verdict));
    assert_eq!(
        open.map(|case| case.id.as_str()).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
}

/// A line of the server, what stands in its place, the case that shows it, and the rule that is broken then.
type Planted = (&'static str, &'static str, &'static str, &'static str);

const PLANTED: [Planted; 10] = [
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

#[cfg(unix)]
#[test]
fn what_is_planted_in_a_server_of_grpcio_is_found() {
    let Some(python) = PYTHON.as_deref() else { return };
    let text = example();
    for (was, is, filter, id) in PLANTED {
        assert!(text.contains(was), "{was}");
        let done = judged(python, &text.replacen(was, is, 1), &[filter]);
        assert_eq!(done.broken(), [id], "{is}: {}", done.out);
    }
}
