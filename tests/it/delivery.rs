//! How people get the program: release archives, what installs them, and what runs the suite in CI jobs.

#![cfg(unix)]
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::files::{root, text};
use crate::support::servers::faulty;

/// A script of `packaging/`, in an environment that has nothing of this one but the path.
fn script(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(root().join("packaging").join(name));
    command
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory);
    command
}

fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What was written to standard output; the script must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What stands between two texts, for every line that has both.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let part = |line: &'a str| Some(line.split_once(before)?.1.split_once(after)?.0);
    text.lines().filter_map(part).collect()
}

/// A release of a program that says its version and nothing else: the directory of releases, and the archive.
fn release(home: &TempDir, version: &str, target: &str) -> (String, PathBuf) {
    let binary = home.path().join("built/avp-conform");
    executable(&binary, &format!("#!/bin/sh\necho avp-conform {version}\n"));
    let directory = home.path().join(format!("releases/v{version}"));
    let arguments = [target, binary.to_str().unwrap(), directory.to_str().unwrap()];
    let packed = output(script("pack.sh", root()).args(arguments));
    let releases = format!("file://{}", home.path().join("releases").display());
    (releases, PathBuf::from(packed.trim_end()))
}

/// The name by which `install.sh` looks for a release on this system.
fn own_target() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "x86_64-unknown-linux-musl",
        ("linux", "aarch64") => "aarch64-unknown-linux-musl",
        ("macos", "x86_64") => "x86_64-apple-darwin",
        ("macos", "aarch64") => "aarch64-apple-darwin",
        other => panic!("there is no release for {other:?}"),
    }
}

#[test]
fn a_release_that_is_packed_can_be_installed_and_an_altered_one_cannot() {
    let home = tempfile::tempdir().unwrap();
    let (releases, archive) = release(&home, "7.8.9", own_target());
    let install = |version: &str, into: &str| {
        let mut command = script("install.sh", home.path());
        command
            .env("RELEASES", &releases)
            .env("VERSION", version)
            .arg(into);
        command.output().unwrap()
    };
    for version in ["7.8.9", "v7.8.9"] {
        let done = install(version, "bin");
        assert_eq!(
            String::from_utf8_lossy(&done.stdout),
            "avp-conform 7.8.9\n",
            "{done:?}"
        );
        assert_eq!(fs::read_dir(home.path().join("bin")).unwrap().count(), 1);
    }
    let refused = |done: Output, part: &str| {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{said}");
        assert!(!home.path().join("other/avp-conform").exists());
    };
    refused(install("7.8.8", "other"), "cannot fetch file://");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    refused(install("7.8.9", "other"), "is not what its checksum says");
    let mut nowhere = script("install.sh", home.path());
    refused(nowhere.arg("other").output().unwrap(), "METHOD=build");
}

#[test]
fn archives_have_the_names_that_are_looked_for() {
    let workflow = text(".github/workflows/release.yml");
    let built = between(&workflow, "{ target: ", ",");
    assert_eq!(built.len(), 7, "{built:?}");
    let installer = text("packaging/install.sh");
    let wanted = between(&installer, ") echo ", " ;;");
    assert_eq!(wanted.len(), 5, "{wanted:?}");
    for target in wanted {
        assert!(built.contains(&target), "no release is built for {target}");
    }
    let manifest = text("Cargo.toml");
    let version = env!("CARGO_PKG_VERSION");
    let filled = |key: &str, target: &str| {
        let template = between(&manifest, &format!("{key} = \""), "\"")[0];
        let name = template.replace("{ name }", "avp-conform");
        let name = name.replace("{ version }", version).replace("{ target }", target);
        name.replace("{ bin }{ binary-ext }", "avp-conform")
    };
    for target in built {
        let home = tempfile::tempdir().unwrap();
        let (_, archive) = release(&home, version, target);
        let url = filled("pkg-url", target);
        let name = archive.file_name().unwrap().to_str().unwrap();
        assert_eq!(url, format!("{{ repo }}/releases/download/v{version}/{name}"));
        let inside = output(Command::new("tar").arg("-tzf").arg(&archive));
        let path = filled("bin-dir", target);
        assert!(inside.lines().any(|line| line == path), "{path}: {inside}");
    }
}

/// `run.sh` with `program` as avp-conform.
fn ci_job(home: &Path, program: &str) -> Command {
    executable(&home.join("bin/avp-conform"), program);
    let path = format!("{}/bin:{}", home.display(), std::env::var("PATH").unwrap());
    let mut command = script("run.sh", home);
    command.env("PATH", path);
    command
}

#[test]
fn a_ci_job_gives_every_input_as_one_argument_and_runs_none_of_them() {
    let home = tempfile::tempdir().unwrap();
    let mut job = ci_job(
        home.path(),
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >arguments\nexit 4\n",
    );
    let hostile = "a b'\"; $(touch run) `touch run` * \\ --strict";
    job.env("CONFORM_EXEC", hostile)
        .env("CONFORM_TARGET", "-n")
        .env("CONFORM_FILTER", "push/*\n\n!AVP-6-07")
        .env("CONFORM_ARGUMENTS", "--slow\n--header\nx: $(touch run)")
        .env("CONFORM_STRICT", "true")
        .env("CONFORM_REPORTS", "some where");
    assert_eq!(job.output().unwrap().status.code(), Some(4));
    assert!(!home.path().join("run").exists());
    let given = fs::read_to_string(home.path().join("arguments")).unwrap();
    let exec = format!("--exec={hostile}");
    let wanted = [
        "run",
        "--target=-n",
        exec.as_str(),
        "--filter=push/*",
        "--filter=!AVP-6-07",
        "--strict",
        "--slow",
        "--header",
        "x: $(touch run)",
        "--report",
        "json=some where/report.json",
        "--report",
        "junit=some where/junit.xml",
        "--report",
        "html=some where/report.html",
        "--report",
        "text=some where/report.txt",
    ];
    assert_eq!(given.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_ci_job_reports_and_fails_where_the_target_does() {
    let home = tempfile::tempdir().unwrap();
    let server = faulty("push-without-token");
    let program = format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_avp-conform"));
    let mut job = ci_job(home.path(), &program);
    job.env("CONFORM_TARGET", server.url())
        .env("CONFORM_FILTER", "authorization/push-without-token")
        .env("GITHUB_STEP_SUMMARY", home.path().join("summary"))
        .env("GITHUB_OUTPUT", home.path().join("outputs"));
    let done = job.output().unwrap();
    let said = String::from_utf8(done.stdout.clone()).unwrap();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(
        said.contains("::error ") && said.contains("nonconformant: "),
        "{said}"
    );
    for name in ["report.json", "junit.xml", "report.html", "report.txt"] {
        let path = home.path().join("avp-conform-report").join(name);
        assert!(fs::metadata(path).unwrap().len() > 0, "{name}");
    }
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    assert!(read("summary").contains("authorization/push-without-token"));
    assert_eq!(
        read("outputs"),
        "exit-code=1\nreport=avp-conform-report/report.json\n"
    );
}

#[test]
fn action_and_component_give_what_the_script_takes() {
    let script = text("packaging/run.sh");
    let mut taken: Vec<&str> = script
        .split("${")
        .filter_map(|part| part.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("CONFORM_"))
        .collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 10, "{taken:?}");
    let (action, component) = (text("action.yml"), text("templates/conform.yml"));
    for name in taken {
        let input = name.trim_start_matches("CONFORM_").to_lowercase();
        let line = format!("{name}: ${{{{ inputs.{input} }}}}");
        assert!(action.contains(&line), "action.yml: {line}");
        if name != "CONFORM_REPORTS" {
            let line = format!("{name}: {{ value: \"$[[ inputs.{input} ]]\", expand: false }}");
            assert!(component.contains(&line), "templates/conform.yml: {line}");
        }
    }
}
