//! Signed claims: what is signed verifies, and what was changed afterwards, or does not bear what it says, does not.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::program::ran;

/// The first key pair of RFC 8032, section 7.1, and the public key of the second.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const OTHER: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

/// A report of a run of a few cases.
fn report() -> Value {
    static REPORT: OnceLock<Value> = OnceLock::new();
    let run = || {
        let (code, out, err) = ran(&["--filter", "push/*", "--report", "json=-"]);
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    REPORT.get_or_init(run).clone()
}

/// The exit code and the words of `verify`, for a report that was signed after this was done to it.
fn verified(change: impl FnOnce(&mut Value)) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let mut changed = report();
    change(&mut changed);
    fs::write(path("r.json"), changed.to_string()).unwrap();
    fs::write(path("key.pem"), PRIVATE).unwrap();
    let (code, _, err) = ran(&["sign", &path("r.json"), "--key", &path("key.pem")]);
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = ran(&["verify", &path("r.json"), "--signed-by", PUBLIC]);
    (code, out + &err)
}

#[test]
fn what_is_signed_verifies() {
    let (code, said) = verified(|_| ());
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with(&format!("signed by  {PUBLIC}\n")), "{said}");
    assert!(said.contains("verdict    conformant, and so find"), "{said}");
    assert!(
        said.contains("a part of the suite (push/*), judged again\nverified\n"),
        "{said}"
    );
}

#[test]
fn what_its_own_exchanges_do_not_bear_does_not_verify() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 6] = [
        (
            |report| report["verdict"] = json!("nonconformant"),
            "it says nonconformant, and its exchanges show conformant",
        ),
        (
            |report| {
                report["cases"].as_array_mut().unwrap().remove(3);
            },
            "1 case is missing: push/",
        ),
        (
            |report| report["cases"][0]["id"] = json!("push/of-another-suite"),
            "1 case is not in this suite: push/of-another-suite",
        ),
        (
            |report| report["suite"]["hash"] = json!("00"),
            "it was made with another suite than this program's",
        ),
        (
            |report| report["requirements"][0]["verdict"] = json!("fail"),
            "is otherwise than its exchanges show",
        ),
        // A run that failed, told as one that passed.
        (
            |report| {
                let cases = report["cases"].as_array_mut().unwrap();
                let applied = cases
                    .iter_mut()
                    .find(|case| case["id"] == "push/applied")
                    .unwrap();
                let exchanges = applied["exchanges"].as_array_mut().unwrap();
                let push = exchanges.iter_mut().find(|it| it["operation"] == "push").unwrap();
                push["outcome"]["answer"]["status"] = json!(500);
            },
            "it says conformant, and its exchanges show nonconformant",
        ),
    ];
    for (change, expected) in changes {
        let (code, said) = verified(change);
        assert_eq!(code, 1, "{expected}: {said}");
        assert!(said.contains(" is not verified: "), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn what_was_changed_after_the_signature_or_is_of_another_signer_does_not_verify() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let signed = path("signed.json.gz");
    fs::write(path("r.json"), report().to_string()).unwrap();
    fs::write(path("key.pem"), PRIVATE).unwrap();
    let said = |arguments: &[&str]| {
        let (code, out, err) = ran(arguments);
        (code, out + &err)
    };
    let (code, told) = said(&["verify", &path("r.json")]);
    assert_eq!(code, 1);
    assert!(told.contains("nobody signed it"), "{told}");
    let (code, told) = said(&[
        "sign",
        &path("r.json"),
        "--key",
        &path("key.pem"),
        "--output",
        &signed,
    ]);
    assert_eq!(code, 0, "{told}");
    // It is packed, as its name says, and the report that was signed is as it was.
    assert!(fs::read(&signed).unwrap().starts_with(&[0x1f, 0x8b]));
    assert_eq!(fs::read_to_string(path("r.json")).unwrap(), report().to_string());
    let (code, told) = said(&["verify", &signed]);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("--signed-by KEY says whose signature is wanted"),
        "{told}"
    );
    let (code, told) = said(&["verify", &signed, "--signed-by", OTHER]);
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains(&format!("another key signed it: {PUBLIC}")),
        "{told}"
    );
    // Badges and matrices can ask for it.
    assert_eq!(said(&["show", "-q", &signed, "--signed-by", PUBLIC]).0, 0);
    assert_eq!(
        said(&["matrix", &signed, "--signed-by", OTHER, "--signed-by", PUBLIC]).0,
        0
    );
    assert_eq!(said(&["matrix", &signed, "--signed-by", OTHER]).0, 1);
    assert_eq!(said(&["show", "-q", &path("r.json"), "--signed-by", PUBLIC]).0, 1);
    // What is written of it anew is another text, and has no claim.
    let shown = path("shown.json");
    assert_eq!(
        said(&["show", "-q", &signed, "--report", &format!("json={shown}")]).0,
        0
    );
    assert_eq!(said(&["verify", &shown]).0, 1);
    // Changed by a character.
    let text = String::from_utf8(unpacked(Path::new(&signed))).unwrap();
    fs::write(
        path("changed.json"),
        text.replacen("\"started\":\"2", "\"started\":\"3", 1),
    )
    .unwrap();
    let (code, told) = said(&["verify", &path("changed.json")]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("its signature is wrong"), "{told}");
}

#[test]
fn what_is_no_key_is_told() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    fs::write(path("r.json"), report().to_string()).unwrap();
    fs::write(path("key.pem"), "no key").unwrap();
    let (code, _, err) = ran(&["sign", &path("r.json"), "--key", &path("key.pem")]);
    assert_eq!(code, 2);
    assert!(err.contains("key.pem: no Ed25519 private key in PEM"), "{err}");
    let (code, _, err) = ran(&[
        "sign",
        &path("r.json"),
        "--key",
        &path("key.pem"),
        "--output",
        &path("key.pem"),
    ]);
    assert_eq!(code, 2);
    assert!(err.contains("the key"), "{err}");
    let (code, _, err) = ran(&["verify", &path("r.json"), "--signed-by", "AAAA"]);
    assert_eq!(code, 2);
    assert!(err.contains("--signed-by AAAA: no Ed25519 public key"), "{err}");
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut bytes).unwrap();
    bytes
}
