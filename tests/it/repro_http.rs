//! The scripts that `repro` prints for the objects API and for the key-package registry do what they say, by curl and openssl.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use avp_conform::http::{Client, ClientOptions, Endpoint, ServiceOptions, Timeouts};
use avp_conform::keypackage::KEYPACKAGE;
use avp_conform::keys::Seed;
use avp_conform::omp::OMP;
use avp_conform::protocol::{Protocol, Reach, Suite};
use avp_conform::record::{Record, Wire, findings};
use avp_conform::serve::{Behaviour, Reference, ServeOptions};
use avp_conform::session::RunContext;

use crate::repro::{CANNOT_TELL, NOT_SEEN, SEEN, at_once, dump, has_tools};
use crate::support::program::ran;
use crate::support::run;

static OMP_SUITE: LazyLock<Arc<Suite>> = LazyLock::new(|| loaded(&OMP));
static KEYPACKAGE_SUITE: LazyLock<Arc<Suite>> = LazyLock::new(|| loaded(&KEYPACKAGE));

/// Faults that the self-test has for itself, or that show only while others call at the same time.
const NOT_REPEATED: [&str; 1] = ["canary"];

fn loaded(protocol: &'static Protocol) -> Arc<Suite> {
    let suite = (protocol.load)((protocol.sources)());
    Arc::new(suite.unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn start(protocol: &Protocol, behaviour: Behaviour) -> Box<dyn Reference> {
    let options = ServeOptions {
        behaviour,
        ..ServeOptions::default()
    };
    (protocol.start)(options).unwrap_or_else(|error| panic!("{error}"))
}

fn fault(protocol: &Protocol, name: &str) -> Behaviour {
    Behaviour::Faulty(protocol.find_fault(name).unwrap_or_else(|| panic!("{name}")))
}

/// A run against a server.
fn record(suite: &Arc<Suite>, server: &dyn Reference, filters: &[&str]) -> Record {
    let place = |url: &str| Endpoint::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let services = server.services().into_iter();
    let services = services.map(|(name, url)| ServiceOptions::new(name, place(&url)));
    let options = ClientOptions {
        services: services.collect(),
        ..ClientOptions::new(place(&server.url()))
    };
    let context = RunContext {
        client: Client::new(options).unwrap_or_else(|error| panic!("{error}")),
        foreign: None,
        patience: Timeouts::new(Duration::from_secs(5)),
        seed: Seed::from_bytes([7; 32]),
        keys: suite.protocol.known_keys(),
        generation: 0,
        spec: suite.protocol.catalogue().newest(),
        slow: false,
        show_secrets: false,
        subject: None,
        own_servers: None,
    };
    run::record_of(suite, context, filters)
}

/// Runs a script against a server, and says how it ended and what it said.
fn execute(script: &str, server: &dyn Reference) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("script.sh");
    std::fs::write(&path, script).unwrap();
    let mut command = Command::new("sh");
    command
        .arg(path)
        .env("TARGET", server.url())
        .env("MAX_TIME", "10")
        .env_remove("SIGN_WITH");
    for (service, url) in server.services() {
        command.env(service.as_str().to_uppercase(), url);
    }
    ended(&command.output().unwrap())
}

fn ended(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// The scripts of a plain run that made requests, and started no server of their own.
fn scripts(record: &Record) -> Vec<(&str, String)> {
    let repro = avp_conform::protocols::find(&record.protocol.name).and_then(|it| it.repro);
    let is_asked = |case: &&avp_conform::record::CaseRecord| {
        !case.exchanges.is_empty() && case.exchanges.iter().all(|it| it.wire == Wire::Http)
    };
    let asked = record.cases.iter().filter(is_asked);
    asked
        .map(|case| {
            let script = repro.unwrap()(record, case, None, &Reach::default());
            (case.id.as_str(), script.unwrap())
        })
        .collect()
}

fn do_what_the_run_did(suite: &Arc<Suite>, at_least: usize) {
    if !has_tools() {
        return;
    }
    let record = record(suite, &*start(suite.protocol, Behaviour::Plain), &[]);
    let server = start(suite.protocol, Behaviour::Plain);
    let scripts = scripts(&record);
    assert!(scripts.len() >= at_least, "{}", scripts.len());
    let wrong = at_once(&scripts, |(id, script)| {
        let (code, said) = execute(script, &*server);
        let is_race = script.contains("requests at once");
        let is_open = script.contains("(not made again") && [SEEN, CANNOT_TELL].contains(&code);
        if code == SEEN && (is_race || !said.contains("(in the run: ")) || is_open {
            return None;
        }
        dump(id, &[&said, script]);
        Some(format!("{id}: {code:?}"))
    });
    assert_eq!(
        wrong.into_iter().flatten().collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

/// Cases, each with a fault that it finds. One for each fault, or all.
fn pairs(suite: &'static Suite, is_whole: bool) -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for case in suite.cases.iter().filter(|case| !case.slow) {
        for fault in case.kills.iter().map(String::as_str) {
            let is_new = is_whole || !found.iter().any(|(id, known)| *known == fault || *id == case.id);
            if is_new && !NOT_REPEATED.contains(&fault) {
                found.push((&case.id, fault));
            }
        }
    }
    found
}

/// Scripts see what a fault did where it is there, and not where it is mended. A race may come out in another way.
fn are_seen_again_until_mended(suite: &Arc<Suite>, pairs: &[(&str, &str)]) {
    if !has_tools() {
        return;
    }
    let protocol = suite.protocol;
    let repro = protocol.repro.unwrap();
    let mended = start(protocol, Behaviour::Plain);
    let repeated = AtomicUsize::new(0);
    let wrong = at_once(pairs, |(id, name)| {
        let behaviour = fault(protocol, name);
        let record = record(suite, &*start(protocol, behaviour), &[id]);
        let case = &record.cases[0];
        // Some faults show only beside what other cases store, and some cases start servers of their own.
        let is_own = case.exchanges.iter().any(|it| it.wire == Wire::Command);
        if is_own || case.exchanges.is_empty() || !findings::is_broken_case(case) {
            return None;
        }
        repeated.fetch_add(1, Ordering::SeqCst);
        let script = repro(&record, case, None, &Reach::default()).unwrap();
        let (seen, said) = execute(&script, &*start(protocol, behaviour));
        let (gone, then) = execute(&script, &*mended);
        let is_race = script.contains("requests at once");
        // What is left out, or what no two answers share, is said, and is no verdict.
        let is_open = script.contains("(not made again") || script.contains("compare for yourself");
        let is_told = |code| is_open && code == CANNOT_TELL;
        let is_seen = seen == SEEN || is_race && seen == NOT_SEEN || is_told(seen);
        if is_seen && (gone == NOT_SEEN || is_told(gone)) {
            return None;
        }
        dump(&format!("{id} {name}"), &[&said, &then, &script]);
        Some(format!("{id} {name}: {seen:?} {gone:?}"))
    });
    assert_eq!(
        wrong.into_iter().flatten().collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    let repeated = repeated.into_inner();
    assert!(repeated > pairs.len() / 2, "{repeated} of {}", pairs.len());
}

#[test]
fn every_script_of_objects_does_what_the_run_did() {
    do_what_the_run_did(&OMP_SUITE, 60);
}

#[test]
fn every_script_of_key_packages_does_what_the_run_did() {
    do_what_the_run_did(&KEYPACKAGE_SUITE, 25);
}

#[test]
fn what_a_fault_does_to_objects_is_seen_again_and_not_where_it_is_mended() {
    let some: Vec<_> = pairs(&OMP_SUITE, false).into_iter().step_by(2).collect();
    are_seen_again_until_mended(&OMP_SUITE, &some);
}

#[test]
fn what_a_fault_does_to_key_packages_is_seen_again_and_not_where_it_is_mended() {
    are_seen_again_until_mended(&KEYPACKAGE_SUITE, &pairs(&KEYPACKAGE_SUITE, false));
}

#[test]
#[ignore = "takes minutes: the scripts of every case and each fault that it finds"]
fn what_a_fault_does_is_seen_again_by_every_script() {
    are_seen_again_until_mended(&KEYPACKAGE_SUITE, &pairs(&KEYPACKAGE_SUITE, true));
    are_seen_again_until_mended(&OMP_SUITE, &pairs(&OMP_SUITE, true));
}

#[test]
fn a_server_that_the_case_started_is_started_by_whoever_runs_the_script() {
    if !has_tools() {
        return;
    }
    let (code, script, err) = ran(&["repro", "configuration/key-in-hex", "--protocol", "omp"]);
    assert_eq!(code, 0, "{err}");
    let run = |server: Option<&dyn Reference>| {
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .env_remove("SIGN_WITH")
            .env_remove("STARTED");
        if let Some(server) = server {
            command.env("STARTED", server.url());
        }
        ended(&command.output().unwrap())
    };
    let (code, said) = run(None);
    assert_eq!(code, CANNOT_TELL, "{said}");
    assert!(
        said.contains("set STARTED to its address: OMP_SIG_MODE=strict OMP_SIG_PUB_HEX_conform_a="),
        "{said}"
    );
    let variables: Vec<(String, String)> = said
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let options = ServeOptions {
        environment: variables,
        ..ServeOptions::default()
    };
    let server = (OMP.start)(options).unwrap_or_else(|error| panic!("{error}"));
    let (code, said) = run(Some(&*server));
    assert_eq!(code, SEEN, "{said}");
}

#[test]
fn a_key_that_is_named_is_asked_for_and_never_printed() {
    if !has_tools() {
        return;
    }
    let secret = "11".repeat(32);
    let sign_with = format!("ours={secret}");
    let key: avp_conform::keys::NamedKey = sign_with.parse().unwrap();
    let hex: String = key.public().iter().map(|byte| format!("{byte:02x}")).collect();
    let options = ServeOptions {
        mode: Some("strict".to_owned()),
        keys: vec![("ours".to_owned(), hex)],
        ..ServeOptions::default()
    };
    let server = (OMP.start)(options).unwrap_or_else(|error| panic!("{error}"));
    let url = server.url();
    let command = [
        "repro",
        "signatures/verifies",
        "--protocol",
        "omp",
        "--target",
        &url,
    ];
    let (code, script, err) = ran(&[&command[..], &["--sign-with", &sign_with]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(!script.contains(&secret));
    let run = |keys: Option<&str>| {
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env_remove("SIGN_WITH");
        command.envs(keys.map(|keys| ("SIGN_WITH", keys)));
        ended(&command.output().unwrap())
    };
    let (code, said) = run(None);
    assert_eq!(code, CANNOT_TELL, "{said}");
    assert!(
        said.starts_with("set SIGN_WITH to the private keys of ours"),
        "{said}"
    );
    let (code, said) = run(Some(&sign_with));
    assert_eq!(code, SEEN, "{said}");
    assert!(!said.contains("(in the run: "), "{said}");
}

#[test]
fn a_registry_of_its_own_is_not_repeated_and_said_so() {
    let (code, _, err) = ran(&["repro", "retention/young-enough", "--protocol", "keypackage"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--filter retention/young-enough"), "{err}");
}
