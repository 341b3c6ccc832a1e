//! Records as runs leave them, made in code: a conformant server, and what becomes of the record when it is not.

use std::collections::BTreeMap;

use avp_conform::avp::{IDP, Operation, V0_4, VAULT, catalogue};
use avp_conform::catalogue::{Level, Requirement};
use avp_conform::http::{Answer, Body, Exchange, Failure, FailureKind, Outcome, Request, Role};
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{
    CaseRecord, CheckRecord, FORMAT, Over, Record, RequirementRecord, Stopped, Suite, Summary, Tool,
};

const REPO: &str = "avp%2F5f3a%2Bpush";
const KEY: &str = "Y29uZm9ybWFuY2UgaGFybmVzcyBwdWJsaWMga2V5ISE=";

/// Section, topic and operation of the cases, and how many requirements of the section they are about, from its first on:
/// another one in the catalogue changes nothing here.
const TOPICS: [(&str, &str, Operation, usize); 10] = [
    ("2", "codec", Operation::CreateRepo, 5),
    ("3", "login", Operation::Token, 15),
    ("4", "verbatim", Operation::Pull, 1),
    ("5.1", "policy", Operation::Push, 5),
    ("6", "push", Operation::Push, 22),
    ("7", "limits", Operation::AddMember, 6),
    ("8", "discovery", Operation::Discovery, 1),
    ("9", "binding", Operation::FetchMemberKey, 1),
    ("10", "invariants", Operation::RemoveMember, 5),
    ("12", "transport", Operation::Challenge, 1),
];
const VARIANTS: [&str; 3] = ["by-the-rule", "after-a-rotation", "for-a-second-member"];

/// A server that keeps everything: three cases for each requirement, and no exchange more than needed.
pub(crate) fn conformant() -> Record {
    let cases: Vec<_> = requirements()
        .flat_map(|requirement| VARIANTS.map(|variant| case(requirement, variant)))
        .collect();
    let mut record = Record {
        format: FORMAT,
        tool: Tool {
            name: "avp-conform".into(),
            version: "0.1.0".into(),
        },
        protocol: avp_conform::avp::AVP.info(),
        suite: Suite {
            hash: "c0ffee".repeat(10),
            cases: cases.len(),
            kill_rate: Some(100.0),
        },
        target: "http://localhost:8787".into(),
        idp: None,
        grpc: None,
        services: std::collections::BTreeMap::new(),
        exec: None,
        client: None,
        spec: V0_4,
        seed: "5f3a90c1".into(),
        generation: 0,
        strict: false,
        filters: Vec::new(),
        shard: None,
        missing: Vec::new(),
        notes: Vec::new(),
        verdict: RunVerdict::Conformant,
        summary: Summary::default(),
        baseline: None,
        started: "2025-06-01T12:00:00Z".into(),
        duration_ms: 812,
        throttled_ms: 0,
        latency: Vec::new(),
        diagnosis: None,
        claim: None,
        requests: None,
        requirements: Vec::new(),
        cases,
    };
    tally(&mut record);
    record
}

/// One must is broken in one case, one should in another.
pub(crate) fn one_failure() -> Record {
    let mut record = conformant();
    let stale = find(&mut record, "push/6-08-by-the-rule");
    stale.title = "A push at a stale version answers 200 conflict and writes nothing".into();
    spoil(stale, Verdict::Fail);
    let pull = find(&mut record, "push/6-05-by-the-rule");
    spoil_with(
        pull,
        Verdict::Warn,
        "the envelope is left out of an unchanged pull",
        "envelope is an object",
        "/envelope",
        r#"{"manifest":{"repoId":"avp/5f3a+push","schemeId":"X25519-HKDF-SHA256-AESGCM-v1","keyEpoch":1},"envelope":{"repoId":"avp/5f3a+push","payloadVersion":1},"unchanged":true}"#,
    );
    tally(&mut record);
    record
}

/// A server with one fault that shows in many cases, and another in two.
pub(crate) fn many_grouped() -> Record {
    let mut record = one_failure();
    for case in record
        .cases
        .iter_mut()
        .filter(|case| case.topic == "push")
        .skip(2)
        .step_by(3)
    {
        spoil_with(
            case,
            Verdict::Fail,
            "the answer is a PushResponse",
            "/payloadVersion is the string \"2\", not an integer",
            "/payloadVersion",
            r#"{"accepted":true,"payloadVersion":"2","keyEpoch":1,"conflict":false}"#,
        );
    }
    for case in record
        .cases
        .iter_mut()
        .filter(|case| case.id.starts_with("invariants/10-03"))
    {
        spoil_with(
            case,
            Verdict::Fail,
            "bob is refused with 403",
            "200",
            "",
            r#"{"unchanged":true}"#,
        );
    }
    tally(&mut record);
    record
}

/// A server that lets nobody in: one failure, the rest cannot be seen; and one case the harness could not make.
pub(crate) fn blocked() -> Record {
    let mut record = conformant();
    for case in &mut record.cases {
        if case.topic != "login" && case.topic != "discovery" {
            block(
                case,
                "no token for alice: the token route answered 500",
                Verdict::Blocked,
            );
        }
    }
    let login = find(&mut record, "login/3-09-by-the-rule");
    spoil_with(
        login,
        Verdict::Fail,
        "200 with a token",
        "500",
        "",
        r#"{"error":"internal"}"#,
    );
    let discovery = find(&mut record, "discovery/8-01-by-the-rule");
    block(discovery, "discovery is not offered: 404", Verdict::NotApplicable);
    let hung = find(&mut record, "login/3-13-by-the-rule");
    block(hung, "connection refused by 127.0.0.1:8787", Verdict::Error);
    hung.exchanges[2].outcome = Outcome::Failure(Failure {
        kind: FailureKind::Connect,
        message: "connection refused by 127.0.0.1:8787".into(),
        begun: false,
    });
    record
        .notes
        .push("certificate checks were off (--insecure)".into());
    record.filters = vec!["*".into()];
    tally(&mut record);
    record
}

/// The case of that id.
pub(crate) fn find<'a>(record: &'a mut Record, id: &str) -> &'a mut CaseRecord {
    record.cases.iter_mut().find(|case| case.id == id).unwrap()
}

/// Breaks the second check of a case in the usual way.
pub(crate) fn spoil(case: &mut CaseRecord, verdict: Verdict) {
    spoil_with(
        case,
        verdict,
        "200 with accepted = false, conflict = true and payloadVersion = 2",
        "accepted is true",
        "/accepted",
        r#"{"accepted":true,"payloadVersion":3,"keyEpoch":1,"conflict":false}"#,
    );
}

fn spoil_with(case: &mut CaseRecord, verdict: Verdict, expected: &str, got: &str, pointer: &str, body: &str) {
    if let Outcome::Answer(answer) = &mut case.exchanges[3].outcome {
        answer.body = Body::from(body);
    }
    let check = &mut case.checks[1];
    check.verdict = verdict;
    check.expected = expected.into();
    check.got = got.into();
    check.pointer = Some(pointer.to_owned()).filter(|pointer| !pointer.is_empty());
    check.hint = (verdict == Verdict::Fail).then(|| {
        "compare expectedPayloadVersion with the stored version under the lock that also writes".into()
    });
}

fn block(case: &mut CaseRecord, reason: &str, verdict: Verdict) {
    case.reason = Some(reason.into());
    case.stopped = Some(Stopped {
        step: Some(0),
        reason: reason.into(),
        verdict,
        held_up: false,
    });
    for check in &mut case.checks {
        check.verdict = verdict;
        check.got = reason.into();
    }
}

/// Recomputes what follows from the checks.
pub(crate) fn tally(record: &mut Record) {
    let mut verdicts: BTreeMap<String, (Verdict, Vec<String>)> = BTreeMap::new();
    for case in &mut record.cases {
        case.verdict = case
            .checks
            .iter()
            .map(|check| check.verdict)
            .max()
            .unwrap_or(Verdict::Blocked);
        for check in &case.checks {
            for id in &check.requirements {
                let entry = verdicts
                    .entry(id.clone())
                    .or_insert((Verdict::NotApplicable, Vec::new()));
                entry.0 = entry.0.max(check.verdict);
                if entry.1.last() != Some(&case.id) {
                    entry.1.push(case.id.clone());
                }
            }
        }
    }
    record.requirements = requirements()
        .map(|requirement| recorded(requirement, verdicts.remove(&requirement.id)))
        .collect();
    record.summary = Summary::of(record.cases.iter().map(|case| case.verdict));
    let open = |verdict| matches!(verdict, Verdict::Fail | Verdict::Blocked | Verdict::Error);
    let broken = record
        .requirements
        .iter()
        .any(|found| found.level == Level::Must && open(found.verdict));
    record.verdict = match broken {
        _ if record.summary.error > 0 => RunVerdict::Incomplete,
        true => RunVerdict::Nonconformant,
        false => RunVerdict::Conformant,
    };
}

/// The requirements that the cases are about.
fn requirements() -> impl Iterator<Item = &'static Requirement> {
    TOPICS.into_iter().flat_map(|(section, _, _, count)| {
        let server = catalogue().binding(V0_4);
        server.filter(move |it| it.section() == section).take(count)
    })
}

fn recorded(requirement: &Requirement, found: Option<(Verdict, Vec<String>)>) -> RequirementRecord {
    let (verdict, cases) = found.unwrap_or((Verdict::Blocked, Vec::new()));
    let reason = match verdict {
        Verdict::Blocked => Some("every case that looks at it needs a login, and none succeeded".into()),
        Verdict::NotApplicable => Some("discovery is not offered".into()),
        _ => None,
    };
    RequirementRecord {
        id: requirement.id.clone(),
        level: requirement.level,
        text: requirement.text.clone(),
        verdict,
        reason,
        known: None,
        cases,
    }
}

fn case(requirement: &Requirement, variant: &str) -> CaseRecord {
    let (id, text) = (requirement.id.as_str(), &requirement.text);
    let (section, number) = id["AVP-".len()..].split_once('-').unwrap();
    let (_, topic, operation, _) = TOPICS.into_iter().find(|(known, ..)| *known == section).unwrap();
    let place = VARIANTS.iter().position(|known| *known == variant).unwrap();
    let line = 11 + number.parse::<usize>().unwrap() * 9 + place;
    CaseRecord {
        id: format!("{topic}/{section}-{number}-{variant}"),
        transport: Over::Http,
        title: format!("{} ({})", text.trim_end_matches('.'), variant.replace('-', " ")),
        topic: topic.into(),
        file: format!("cases/{topic}.toml"),
        line,
        generation: None,
        verdict: Verdict::Pass,
        requirements: vec![id.into()],
        reason: None,
        known: None,
        duration_ms: 3.25,
        began_ms: 1_767_225_600_000,
        throttled_ms: 0,
        stopped: None,
        checks: vec![
            check("answer", &[id], Some(0), line + 5, &[2], "the answer is granted"),
            check("answer", &[id], Some(1), line + 8, &[3], "the answer says so"),
            check(
                "stored",
                &[id],
                Some(1),
                line + 8,
                &[4],
                "what is stored is unchanged",
            ),
            check(
                "schema",
                &["AVP-2-02"],
                None,
                line,
                &[0, 1, 2, 3],
                "every body fits its message",
            ),
        ],
        exchanges: exchanges(operation),
    }
}

fn check(
    name: &str,
    requirements: &[&str],
    step: Option<usize>,
    line: usize,
    exchanges: &[usize],
    expected: &str,
) -> CheckRecord {
    CheckRecord {
        name: name.into(),
        requirements: requirements.iter().map(|id| (*id).into()).collect(),
        verdict: Verdict::Pass,
        step,
        line,
        exchanges: exchanges.to_vec(),
        pointer: None,
        expected: expected.into(),
        got: String::new(),
        hint: None,
        known: None,
    }
}

fn exchanges(operation: Operation) -> Vec<Exchange> {
    let nonce = format!(r#"{{"nonce":"{KEY}"}}"#);
    let challenge = format!(r#"{{"ed25519PublicKey":"{KEY}"}}"#);
    let token = format!(r#"{{"ed25519PublicKey":"{KEY}","nonce":"{KEY}","signature":"[signature 1]"}}"#);
    let envelope = format!(
        r#"{{"repoId":"avp/5f3a+push","payloadVersion":2,"keyEpoch":1,"iv":"AAECAwQFBgcICQoL","ciphertext":"{}"}}"#,
        "q83vEjRWeJq83vEjRWeJ".repeat(8)
    );
    let push = format!(r#"{{"repoId":"avp/5f3a+push","envelope":{envelope},"expectedPayloadVersion":1}}"#);
    let pushed = r#"{"accepted":true,"payloadVersion":2,"keyEpoch":1,"conflict":false}"#;
    let pulled = format!(
        r#"{{"manifest":{{"repoId":"avp/5f3a+push","keyEpoch":1}},"envelope":{envelope},"unchanged":false}}"#
    );
    vec![
        exchange(
            None,
            Role::Setup,
            "alice",
            Operation::Challenge,
            &challenge,
            &nonce,
        ),
        exchange(
            None,
            Role::Setup,
            "alice",
            Operation::Token,
            &token,
            r#"{"token":"[token 1]","expiresAt":1790000000000}"#,
        ),
        exchange(Some(0), Role::Step, "alice", operation, &push, pushed),
        exchange(Some(1), Role::Step, "bob", operation, &push, pushed),
        exchange(
            Some(1),
            Role::Audit,
            "alice",
            Operation::Pull,
            r#"{"repoId":"avp/5f3a+push","knownPayloadVersion":0}"#,
            &pulled,
        ),
    ]
}

/// One exchange that was answered 200.
pub(crate) fn exchange(
    step: Option<usize>,
    role: Role,
    actor: &str,
    operation: Operation,
    sent: &str,
    came: &str,
) -> Exchange {
    let path = operation.path("avp/5f3a+push", KEY);
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if operation.needs_token() {
        headers.push(("authorization".into(), "Bearer [token 1]".into()));
    }
    Exchange {
        step,
        role,
        round: 0,
        actor: Some(actor.into()),
        operation: Some(operation.into()),
        repo: operation.needs_token().then(|| REPO.into()),
        spoiled: None,
        request: Request {
            service: if operation.is_auth() { IDP } else { VAULT },
            method: operation.method().into(),
            path,
            headers,
            body: operation.request_message().map(|_| Body::from(sent)),
        },
        outcome: Outcome::Answer(Answer {
            status: 200,
            headers: vec![
                ("content-type".into(), "application/json".into()),
                ("date".into(), "Sun, 01 Jun 2025 12:00:00 GMT".into()),
            ],
            body: Body::from(came),
        }),
        at_us: 120,
        took_us: 410,
        jwt: None,
        resent: false,
        side: avp_conform::record::Side::default(),
        wire: avp_conform::record::Wire::default(),
        omitted: None,
    }
}
