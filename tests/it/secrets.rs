//! Nothing that somebody could use gets into a report: a server that tells all it knows is run against, and every format
//! is searched for it in every form.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use avp_conform::avp::actors::{identity, scope};
use avp_conform::avp::repro::script;
use avp_conform::keys::Seed;
use avp_conform::protocol::Reach;
use avp_conform::record::Record;
use avp_conform::report::{Format, Verbosity, View, render};
use avp_conform::run::rejudge::rejudge;
use avp_conform::serve::Behaviour;
use avp_conform::session::RunContext;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};

use crate::support::http::{Message, listen};
use crate::support::run;
use crate::support::servers::plain;
use crate::support::suite::{SUITE, context};

const CASES: [&str; 3] = [
    "push/applied",
    "authorization/push-without-token",
    "malformed/push-not-the-message",
];

/// What the chatterbox saw: tokens, signatures, and private keys, which it has from this test.
#[derive(Default)]
struct Seen {
    secrets: BTreeSet<Vec<u8>>,
    /// Values of the token route, which need no reading of their own.
    texts: BTreeSet<String>,
}

/// A server that is right in what it does and tells everything it ever saw, to anybody, in every refusal.
fn chatterbox(server: SocketAddr, seen: Arc<Mutex<Seen>>) -> String {
    let address = listen(move |_, stream| tell(stream, server, &seen));
    format!("http://{address}")
}

fn tell(mut stream: TcpStream, server: SocketAddr, seen: &Mutex<Seen>) {
    let Some(Message { head, body }) = Message::read(&mut stream) else {
        return;
    };
    let mut behind = TcpStream::connect(server).unwrap();
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    behind.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let Some(Message {
        head,
        body: mut answer,
    }) = Message::read(&mut behind)
    else {
        return;
    };
    let text = |body: &[u8], name: &str| {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        body.get(name)?.as_str().map(str::to_owned)
    };
    let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut seen = seen.lock().unwrap();
    let sent = text(&body, "signature");
    for value in sent.into_iter().chain(text(&answer, "token")) {
        seen.secrets.insert(value.clone().into_bytes());
        if let Ok(bytes) = BASE64_STANDARD.decode(&value) {
            seen.secrets.insert(bytes);
        }
        seen.texts.insert(value);
    }
    let mut extra = String::new();
    if status >= 400 {
        let told: Vec<String> = seen.secrets.iter().flat_map(|secret| forms(secret)).collect();
        let escaped = seen
            .texts
            .iter()
            .map(|text| text.replace('/', "\\/").replace('+', "\\u002b"));
        let escaped: Vec<String> = escaped.collect();
        let code = text(&answer, "error").unwrap_or_default();
        answer = format!(
            r#"{{"error":"{code}","detail":"{}","more":["{}"]}}"#,
            told.join(" "),
            escaped.join("\",\"")
        )
        .into_bytes();
        if let Some(last) = seen.texts.last() {
            extra = format!("x-debug: {last}\r\n");
        }
    }
    let kept = |line: &&str| !line.is_empty() && !line.to_ascii_lowercase().starts_with("content-length");
    let kept: String = head
        .lines()
        .filter(kept)
        .map(|line| format!("{line}\r\n"))
        .collect();
    let head = format!(
        "{kept}{extra}content-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), &answer].concat());
}

/// A secret in every form in which it might be found.
fn forms(secret: &[u8]) -> Vec<String> {
    let base64 = BASE64_STANDARD.encode(secret);
    let percent = |text: &str| text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        base64.clone(),
        BASE64_URL_SAFE_NO_PAD.encode(secret),
        percent(&base64),
        hex.to_uppercase(),
        hex,
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.extend([text.to_owned(), percent(text)]);
    }
    forms
}

fn told(show_secrets: bool) -> (Record, Seen) {
    let server = plain();
    let seen = Arc::new(Mutex::new(Seen::default()));
    for case in CASES {
        let alice = identity(&Seed::from_bytes([7; 32]), &scope(0, case), "alice");
        let keys = alice.secrets().map(|key| key.to_vec());
        seen.lock().unwrap().secrets.extend(keys);
    }
    let url = chatterbox(server.address(), Arc::clone(&seen));
    let context = RunContext {
        show_secrets,
        ..context(&url, &plain())
    };
    let record = run::record(context, &CASES);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (record, seen)
}

/// Every format, and the terminal's longest.
fn reports(record: &Record) -> Vec<(String, String)> {
    let view = View {
        verbosity: Verbosity::Verbose,
        ..View::default()
    };
    let shown = |format: Format| {
        let bytes = render(format, record, &view);
        (format.to_string(), String::from_utf8(bytes).unwrap())
    };
    let mut reports: Vec<_> = Format::ALL.map(shown).into();
    for case in &record.cases {
        if let Ok(script) = script(record, case, None, &Reach::default()) {
            reports.push((format!("repro of {}", case.id), script));
        }
    }
    reports
}

#[test]
fn no_report_holds_a_secret() {
    let (record, seen) = told(false);
    assert!(seen.texts.len() >= 10 && record.cases.len() == 3);
    for (format, text) in reports(&record) {
        for secret in &seen.secrets {
            for form in forms(secret) {
                let found = text.find(form.trim_end_matches('='));
                let around = found.map(|at| &text[at.saturating_sub(60)..(at + 20).min(text.len())]);
                assert!(found.is_none(), "{form} in {format}: ...{around:?}");
            }
        }
    }
    let json = String::from_utf8(render(Format::Json, &record, &View::default())).unwrap();
    assert!(
        json.contains("[push/applied: token:alice:1]"),
        "what one case was given came back in another"
    );
    let again = rejudge(&record, &SUITE).unwrap();
    assert!(again.is_the_same(), "{:?}", again.diff);
    for (old, new) in record.cases.iter().zip(&again.record.cases) {
        assert_eq!(old.checks, new.checks);
    }
}

#[test]
fn a_server_that_keeps_to_itself_is_not_accused() {
    let record = run::against(Behaviour::Plain, &CASES);
    let json = String::from_utf8(render(Format::Json, &record, &View::default())).unwrap();
    assert!(!json.contains("[push/"), "nothing of one case is in another");
}

#[test]
fn who_asks_for_secrets_sees_them_and_the_same_verdicts() {
    let (shown, seen) = told(true);
    let json = String::from_utf8(render(Format::Json, &shown, &View::default())).unwrap();
    assert!(seen.texts.iter().any(|text| json.contains(text)));
    let (hidden, _) = told(false);
    let verdicts = |record: &Record| record.cases.iter().map(|case| case.verdict).collect::<Vec<_>>();
    assert_eq!(verdicts(&shown), verdicts(&hidden));
}
