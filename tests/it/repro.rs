//! The scripts that `repro` prints do what they say, by curl and openssl.

use std::collections::HashSet;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use avp_conform::avp::repro::script;
use avp_conform::avp::server::Server;
use avp_conform::protocol::Reach;
use avp_conform::record::{Over, Record};
use avp_conform::serve::Behaviour;

use crate::support::program::ran;
use crate::support::servers::{self, fault, plain, start};
use crate::support::suite::SUITE;
use crate::support::{run, suite};

/// Whether the script can be run here at all; says so where not.
pub(crate) fn has_tools() -> bool {
    let works = |name: &str, argument: &str| {
        let output = Command::new(name).arg(argument).output();
        output.is_ok_and(|output| output.status.success())
    };
    let old = || {
        let output = Command::new("openssl").arg("version").output().unwrap();
        !String::from_utf8_lossy(&output.stdout).starts_with("OpenSSL 3")
    };
    if !works("curl", "--version") || !works("openssl", "version") || old() {
        eprintln!("skipped: curl and OpenSSL 3 are needed to run scripts");
        return false;
    }
    true
}

/// Runs a script where curl is told, by its own file and by the environment, to go by a proxy that is not there.
fn execute(script: &str, server: &Server) -> Output {
    static OTHER: LazyLock<Server> = LazyLock::new(plain);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("script.sh");
    std::fs::write(&path, script).unwrap();
    std::fs::write(home.path().join(".curlrc"), "proxy = http://127.0.0.1:1\n").unwrap();
    let mut command = Command::new("sh");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:1");
    }
    command
        .arg(path)
        .env("HOME", home.path())
        .env("TARGET", server.url())
        .env("GRPC", server.grpc().unwrap())
        .env("OTHER", OTHER.url())
        .env("MAX_TIME", "10")
        .env_remove("IDP");
    command.output().unwrap()
}

fn scripts(record: &Record) -> Vec<(&str, String)> {
    let script = |case| script(record, case, None, &Reach::default()).unwrap();
    record
        .cases
        .iter()
        .map(|case| (case.id.as_str(), script(case)))
        .collect()
}

#[test]
fn a_failure_is_shown_again_and_is_gone_where_it_is_mended() {
    if !has_tools() {
        return;
    }
    let fault = fault("push-without-token");
    let record = run::against(fault, &["authorization/push-without-token"]);
    let script = script(&record, &record.cases[0], None, &Reach::default()).unwrap();
    let output = execute(&script, &start(fault));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}\n{script}");
    assert!(said.contains("expected: push by alice is 401"), "{said}");
    let output = execute(&script, &plain());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the finding is not seen again: 401"), "{said}");
}

#[test]
fn tokens_that_are_spoiled_are_spoiled_again() {
    if !has_tools() {
        return;
    }
    for name in ["token-compared-without-case", "token-compared-by-prefix"] {
        let fault = fault(name);
        let record = run::against(fault, &["authorization/push-without-token"]);
        assert!(
            avp_conform::record::findings::is_broken_case(&record.cases[0]),
            "{name}"
        );
        let script = script(&record, &record.cases[0], None, &Reach::default()).unwrap();
        let output = execute(&script, &start(fault));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{name}: {said}\n{script}");
        assert_eq!(execute(&script, &plain()).status.code(), Some(1), "{name}");
    }
}

#[test]
fn a_step_can_be_named() {
    let record = run::against(Behaviour::Plain, &["push/stale-is-a-conflict"]);
    let case = &record.cases[0];
    let first = script(&record, case, Some(0), &Reach::default()).unwrap();
    assert!(first.contains("say \"step 1: ") && !first.contains("say \"step 2: "));
    let error = script(&record, case, Some(7), &Reach::default()).unwrap_err();
    assert_eq!(error, "push/stale-is-a-conflict made no request in step 8");
    for text in [&first, &script(&record, case, None, &Reach::default()).unwrap()] {
        assert!(!text.contains("[token:"), "{text}");
        for member in ["alice", "bob"] {
            let own = avp_conform::avp::actors::identity(
                &record.seed.parse().unwrap(),
                &avp_conform::avp::actors::scope(0, &case.id),
                member,
            );
            assert!(
                !text.contains(own.member_id()),
                "{member}'s recorded id stands in it"
            );
        }
    }
}

/// How a script ends.
pub(crate) const SEEN: Option<i32> = Some(0);
pub(crate) const NOT_SEEN: Option<i32> = Some(1);
pub(crate) const CANNOT_TELL: Option<i32> = Some(2);

/// A fault that shows only while others call at the same time, which a case alone does not make happen.
const CALLERS_MIXED_UP: &str = "caller-in-a-global";

/// Does something for all of them, a few at a time; what comes of it is in their order.
pub(crate) fn at_once<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let index = all.iter().position(|it| std::ptr::eq(it, one)).unwrap();
                    let result = work(one);
                    done.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Puts what a script said where somebody can read it who looks for the reason of a failure.
pub(crate) fn dump(name: &str, parts: &[&str]) {
    if let Some(home) = std::env::var_os("REPRO_DUMP") {
        std::fs::create_dir_all(&home).unwrap();
        let path = std::path::Path::new(&home).join(name.replace(['/', ' '], "--"));
        std::fs::write(path, parts.join("\n=====\n")).unwrap();
    }
}

#[test]
fn every_script_does_what_the_run_did() {
    if !has_tools() {
        return;
    }
    let record = run::against(Behaviour::Plain, &[]);
    let server = plain();
    let scripts = scripts(&record);
    assert!(scripts.len() > 300, "{}", scripts.len());
    let wrong = at_once(&scripts, |(id, script)| {
        let output = execute(script, &server);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.stdout.is_empty(), "{id}");
        let ends = match () {
            // Who comes first is chance; what the server did before may be another thing then.
            () if script.contains("requests at once") => [SEEN, NOT_SEEN].contains(&output.status.code()),
            // What is left out is told, and the rest goes on as it can.
            () if script.contains("(not made again") => [SEEN, CANNOT_TELL].contains(&output.status.code()),
            () => {
                output.status.code() == SEEN
                    && said.contains("the same status as recorded")
                    && !said.contains("(in the run: ")
            }
        };
        if ends {
            return None;
        }
        dump(id, &[&said, script]);
        Some(format!("{id}: {:?}", output.status.code()))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_a_fault_did_is_seen_again_and_not_where_it_is_mended() {
    let mut pairs = cases_and_faults();
    let mut faults = HashSet::new();
    pairs.retain(|(_, fault)| faults.insert(*fault));
    assert!(pairs.len() > 100, "{}", pairs.len());
    // Every second fault keeps the gate short; the test below takes all.
    let pairs: Vec<_> = pairs.into_iter().step_by(2).collect();
    are_seen_again_until_mended(&pairs);
}

#[test]
#[ignore = "takes minutes: the scripts of all cases, and not of one for each fault"]
fn what_a_fault_did_is_seen_again_by_every_script() {
    are_seen_again_until_mended(&cases_and_faults());
}

/// Cases that run beside others, each with the first fault that it alone finds.
fn cases_and_faults() -> Vec<(&'static str, &'static str)> {
    SUITE
        .cases
        .iter()
        .filter(|case| !case.demands.alone && !case.slow)
        .filter_map(|case| {
            let mut kills = case.kills.iter().map(String::as_str);
            Some((case.id.as_str(), kills.find(|fault| *fault != CALLERS_MIXED_UP)?))
        })
        .collect()
}

fn are_seen_again_until_mended(pairs: &[(&str, &str)]) {
    if !has_tools() {
        return;
    }
    let mended = plain();
    let wrong = at_once(pairs, |(id, fault)| {
        let behaviour = servers::fault(fault);
        let record = run::against(behaviour, &[id]);
        let case = &record.cases[0];
        if !avp_conform::record::findings::is_broken_case(case) {
            return Some(format!("{id} {fault}: not broken"));
        }
        let script = script(&record, case, None, &Reach::default()).unwrap();
        let seen = execute(&script, &start(behaviour));
        let gone = execute(&script, &mended);
        let ends = (seen.status.code(), gone.status.code());
        let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        // What is left out, or what no two answers share, is said, and is no verdict.
        let is_open = script.contains("(not made again") || script.contains("compare for yourself");
        let is_told = |code| code == CANNOT_TELL && is_open;
        if (ends.0 == SEEN || is_told(ends.0)) && (ends.1 == NOT_SEEN || is_told(ends.1)) {
            return None;
        }
        dump(&format!("{id} {fault}"), &[&text(&seen), &text(&gone), &script]);
        Some(format!("{id} {fault}: {ends:?}"))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// The cases whose scripts make calls, each with what a server has that fails it, where there is such a one.
const OF_CALLS: [(&str, Option<&str>); 8] = [
    ("status/stale-push-is-ok", Some("grpc-stale-push-aborted")),
    ("status/of-the-table", Some("grpc-forbidden-as-unauthenticated")),
    ("metadata/token-on-every-method", Some("grpc-pull-without-token")),
    ("messages/binding-presence", Some("grpc-binding-lost")),
    ("agreement/refused-alike", Some("grpc-removed-member-reads")),
    ("push/stale-is-a-conflict", None),
    ("token/signature-over-the-text", None),
    ("framing/odd-but-whole", None),
];

/// Whether scripts can make calls here; says so where not.
fn has_grpcurl() -> bool {
    let version = Command::new("grpcurl").arg("-version").output();
    let works = version.is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: grpcurl is needed to run scripts that make calls");
    }
    works
}

/// The case as it runs over gRPC, or over both transports, against a server.
fn over_grpc(server: &Server, id: &str) -> Record {
    let mut record = run::record_of(&suite::BOTH, suite::context_of_both(server, &plain()), &[id]);
    record.cases.retain(|case| case.transport != Over::Http);
    record
}

#[test]
fn scripts_of_calls_do_what_the_run_did() {
    if !has_tools() {
        return;
    }
    let mended = plain();
    let can_call = has_grpcurl();
    for (id, name) in OF_CALLS {
        let behaviour = name.map_or(Behaviour::Plain, fault);
        let server = start(behaviour);
        let record = over_grpc(&server, id);
        let [case] = record.cases.as_slice() else {
            panic!("{id}")
        };
        let script = script(&record, case, None, &Reach::default()).unwrap();
        assert!(
            script.contains("\nservice Vault {") && script.contains("\ncall /avp."),
            "{script}"
        );
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("script.sh");
        std::fs::write(&path, &script).unwrap();
        let read = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        if !can_call {
            continue;
        }
        let code = |server: &Server| {
            let output = execute(&script, server);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.code(), said)
        };
        let is_open = script.contains("(not made again");
        let (seen, said) = code(&server);
        assert!(
            seen == SEEN || is_open && seen == CANNOT_TELL,
            "{id}: {seen:?} {said}\n{script}"
        );
        if name.is_some() {
            let (gone, said) = code(&mended);
            assert_eq!(gone, NOT_SEEN, "{id}: {said}\n{script}");
        }
    }
}

#[test]
fn a_case_is_repeated_over_the_transport_that_is_named() {
    let (code, out, err) = ran(&["repro", "push/applied", "--transport", "grpc"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("\ncall /avp.Vault/Push"), "{out}");
    let (code, out, _) = ran(&["repro", "push/applied"]);
    assert!(code == 0 && !out.contains("grpcurl"), "{out}");
    let (code, _, err) = ran(&["repro", "status/stale-push-is-ok", "--transport", "http"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("was not run over HTTP"), "{err}");
}

/// A curl that writes down what it is called with, and is answered 401.
const CURL: &str = "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$HOME/called\"\nprintf 401\n";

#[cfg(unix)]
#[test]
fn a_script_says_how_the_target_is_reached() {
    use std::os::unix::fs::PermissionsExt as _;

    if !has_tools() {
        return;
    }
    let reach = Reach {
        cacert: Some("our ca.pem".into()),
        client_cert: Some("client.pem".into()),
        client_key: Some("client.key".into()),
        insecure: true,
        has_headers: true,
        has_idp_headers: true,
        has_proxy: true,
    };
    let record = run::against(Behaviour::Plain, &["push/applied"]);
    let script = script(&record, &record.cases[0], None, &reach).unwrap();
    let home = tempfile::tempdir().unwrap();
    let curl = home.path().join("curl");
    std::fs::write(&curl, CURL).unwrap();
    std::fs::set_permissions(&curl, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let given = [
        ("HEADERS", "headers"),
        ("IDP_HEADERS", "idp-headers"),
        ("PROXY", "http://proxy:1"),
    ];
    let run_with = |given: &[(&str, &str)]| {
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .env("HOME", home.path())
            .env("PATH", &path);
        for name in ["TARGET", "IDP", "HEADERS", "IDP_HEADERS", "PROXY"] {
            command.env_remove(name);
        }
        let output = command.envs(given.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    for (missing, (name, _)) in given.iter().enumerate() {
        let mut rest = given.to_vec();
        rest.remove(missing);
        let (code, said) = run_with(&rest);
        assert_eq!(code, CANNOT_TELL, "{said}");
        assert!(said.starts_with(&format!("set {name} to ")), "{said}");
    }
    assert!(!home.path().join("called").exists());
    // The login is refused: there is nothing to tell.
    let (code, said) = run_with(&given);
    assert_eq!(code, CANNOT_TELL, "{said}");
    let called = std::fs::read_to_string(home.path().join("called")).unwrap();
    assert!(called.starts_with("-q\n"), "{called}");
    for option in [
        "--cacert\nour ca.pem",
        "--cert\nclient.pem",
        "--key\nclient.key",
        "--insecure",
        "--proxytunnel\n--proxy\nhttp://proxy:1",
        "-H\n@headers",
        "-H\n@idp-headers",
    ] {
        assert!(called.contains(&format!("\n{option}\n")), "{option}: {called}");
    }
}

#[test]
fn a_script_that_cannot_ask_tells_nothing() {
    if !has_tools() {
        return;
    }
    let record = run::against(Behaviour::Plain, &["challenge/*"]);
    for (id, script) in scripts(&record) {
        // Nothing listens at port 1.
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("TARGET", "http://127.0.0.1:1")
            .env_remove("IDP")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), CANNOT_TELL, "{id}: {said}");
        assert!(
            said.contains("curl cannot ask http://127.0.0.1:1/"),
            "{id}: {said}"
        );
    }
}
