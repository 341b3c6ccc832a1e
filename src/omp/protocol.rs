//! The objects API as the engine knows it.

use std::sync::LazyLock;

use super::sign::{Form, sign};
use super::{advice, consequences, environment, judge, keys, repro, server};
use crate::case::http_steps::{HttpProtocol, Paging, facts, mistakes};
use crate::case::{Problem, Rules, Source, embedded};
use crate::catalogue::{Catalogue, OperationInfo, Subject};
use crate::http::{Answer, Client, Outcome, Request, Service};
use crate::json;
use crate::judge::http_steps as judging;
use crate::keys::NamedKey;
use crate::protocol::{Apart, Meaning, Protocol, ServiceInfo, Suite};
use crate::record::transcript::Transcript;
use crate::session::http_steps as driving;

include!(concat!(env!("OUT_DIR"), "/embedded_omp_cases.rs"));

/// The objects API of the Open Memory Protocol.
pub static OMP: Protocol = Protocol {
    name: "omp",
    services: &[
        ServiceInfo {
            name: "strict",
            about: "a server that wants signatures",
        },
        ServiceInfo {
            name: "permissive",
            about: "a server that looks at the syntax of signatures",
        },
        ServiceInfo {
            name: "off",
            about: "a server that does not look at signatures",
        },
    ],
    apart: Some(Apart {
        which: |client, keys, given| Box::pin(which(client, keys, given)),
        environment,
        keys,
    }),
    rules,
    sources,
    load,
    fingerprints: include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/reports/omp.fingerprints.json"
    )),
    faults: server::faults,
    variations: server::variations,
    start: server::start,
    grpc: None,
    probe: "/objects",
    // Namespaces are made from the seed and the generation.
    generation: None,
    stranger: None,
    notes: advice::notes,
    afterwards: None,
    repro: Some(repro::script),
};

const fn operation(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    is_spent_by_use: bool,
) -> OperationInfo {
    OperationInfo {
        name,
        method,
        path,
        is_spent_by_use,
    }
}

/// The operations of the route table.
const OPERATIONS: [OperationInfo; 7] = [
    operation("create", "POST", "/objects", true),
    operation("read", "GET", "/objects/{id}", false),
    operation("replace", "PUT", "/objects/{id}", true),
    operation("delete", "DELETE", "/objects/{id}", true),
    operation("list", "GET", "/objects", false),
    operation("search", "GET", "/objects/search", false),
    operation("capabilities", "GET", "/.well-known/omp-configuration", false),
];

/// What its steps are made with.
static HTTP: HttpProtocol<Form> = HttpProtocol {
    operations: &OPERATIONS,
    // What has nothing to do with signatures goes where nobody looks at them.
    services: &["off", "permissive", "strict"],
    sign,
    next_page,
    prepares: judge::prepares,
    blame: judge::blame,
    is_message: judge::is_message,
    is_asked_for: judge::is_asked_for,
    paging: Paging {
        rule: "OMP-LST-03",
        limit: "limit",
    },
};

/// The requirements.
fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/schema/omp.requirements.toml"
        ));
        Catalogue::parse(text).expect("a test parses the embedded catalogue")
    });
    &CATALOGUE
}

fn rules() -> Rules {
    Rules {
        catalogue: catalogue(),
        operations: &OPERATIONS,
        answer_word: |_| None,
    }
}

fn sources() -> Vec<Source> {
    embedded(EMBEDDED_CASES)
}

fn load(sources: Vec<Source>) -> Result<Suite, Vec<Problem>> {
    let meaning = Meaning {
        facts,
        mistakes: |cases| {
            mistakes(cases, &HTTP, |id| {
                let requirement = catalogue().get(id);
                requirement.is_some_and(|requirement| requirement.subject == Subject::Server)
            })
        },
        drive: |case, context| {
            Box::pin(async {
                let (mut transcript, secrets) =
                    driving::drive(&case.head.id, &case.steps, &HTTP, context).await;
                if !context.show_secrets {
                    hide_signatures(&mut transcript);
                }
                (transcript, secrets)
            })
        },
        judge: |case, transcript, context| {
            judging::judge(case, transcript, context, catalogue(), &HTTP, judge::every)
        },
        take_back_what_follows: Some(consequences::take_back_what_follows),
    };
    Suite::read(&OMP, sources, meaning)
}

/// Takes signatures out that were taken: whoever has one may use it again.
fn hide_signatures(transcript: &mut Transcript) {
    for exchange in &mut transcript.exchanges {
        let status = exchange.outcome.answer().map(|answer| answer.status);
        if exchange.request.service.as_str() != "strict" || !matches!(status, Some(200..300)) {
            continue;
        }
        let own = exchange
            .request
            .headers
            .iter_mut()
            .filter(|(name, _)| name == "signature");
        own.for_each(|(_, value)| *value = "[signature]".to_owned());
    }
}

/// The name of the page that follows: a member of the body, or of the address that a header `Link` gives.
pub(super) fn next_page(answer: &Answer) -> Option<String> {
    let body = json::first(answer.body.as_bytes())?;
    let member = ["next_cursor", "nextCursor", "cursor", "next"]
        .into_iter()
        .find_map(|name| {
            body.get(name)?
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        });
    member.or_else(|| {
        let linked = answer
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("link"));
        linked
            .flat_map(|(_, value)| value.split(','))
            .find_map(linked_cursor)
    })
}

/// The cursor of `</objects?cursor=x>; rel="next"`.
fn linked_cursor(link: &str) -> Option<String> {
    let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters
        .split(';')
        .any(|it| matches!(it.trim().replace('"', "").as_str(), "rel=next"));
    let (_, query) = address.split_once('?').filter(|_| is_next)?;
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor="))?;
    Some(unescaped(cursor))
}

pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Which mode a server is in: one that refuses a request without a signature is strict, and one that refuses a malformed
/// header is permissive.
///
/// # Errors
/// It is strict, and does not know a key of ours; or it says neither yes nor no.
async fn which(client: &Client, keys: &[NamedKey], is_given: bool) -> Result<Service, String> {
    let malformed = [("signature-input", "none"), ("signature", "none")];
    let target = client.target();
    match ask(client, &[]).await {
        None => Err(format!(
            "{target} did not answer when it was asked for its objects"
        )),
        Some(401) => {
            let address = format!("{target}/objects?limit=1");
            let unsigned = crate::case::http_steps::Unsigned {
                service: "strict",
                method: "GET",
                url: &address,
                asked_at: &address,
                body: None,
                keys,
                now: jiff::Timestamp::now().as_second(),
                unique: "",
            };
            let signed = sign(&unsigned, Some(&Form::Valid))?;
            let headers: Vec<(&str, &str)> = signed
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            match ask(client, &headers).await {
                Some(401 | 403) if !is_given => Err(untold(client, keys)),
                _ => Ok(Service::new("strict")),
            }
        }
        Some(200..300) => match ask(client, &malformed).await {
            Some(400) => Ok(Service::new("permissive")),
            _ => Ok(Service::new("off")),
        },
        Some(status) => Err(format!(
            "this is no server of the {}: GET {target}/objects is answered {status}\nIs the path of --target right? Nothing \
             else was asked.",
            catalogue().title
        )),
    }
}

fn untold(client: &Client, keys: &[NamedKey]) -> String {
    let told: Vec<String> = environment("strict", keys)
        .into_iter()
        .map(|(name, value)| format!("  {name}={value}\n"))
        .collect();
    format!(
        "{} wants signatures, and does not take ours: start it with\n{}or name a key that it knows with --sign-with ID=HEX. If it \
         does know the key, its check of signatures refuses what is valid.",
        client.target(),
        told.concat()
    )
}

/// The status that a list is answered with.
async fn ask(client: &Client, headers: &[(&str, &str)]) -> Option<u16> {
    let request = Request {
        service: Service::new("target"),
        method: "GET".to_owned(),
        path: "/objects?limit=1".to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: None,
    };
    match client.lane().send(&request, client.timeout()).await.outcome {
        Outcome::Answer(answer) => Some(answer.status),
        Outcome::Failure(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_and_cases_are_well_formed() {
        assert_eq!(
            catalogue().iter().count(),
            catalogue().source.matches("{ id = ").count()
        );
        let suite = load(sources()).unwrap_or_else(|problems| {
            panic!(
                "{:#?}",
                problems
                    .iter()
                    .map(|it| (&it.source.name, &it.message))
                    .collect::<Vec<_>>()
            )
        });
        assert!(suite.cases.len() > 50);
    }

    #[test]
    fn faults_break_requirements_of_servers_at_their_level() {
        for fault in server::faults() {
            for id in fault.breaks {
                let requirement = catalogue().get(id).expect(fault.name);
                assert!(
                    requirement.level == fault.level || *id != fault.breaks[0],
                    "{}",
                    fault.name
                );
            }
        }
    }

    #[test]
    fn the_next_page_is_found_where_it_stands() {
        let answer = |body: &str, link: Option<&str>| Answer {
            status: 200,
            headers: link
                .map(|link| ("link".to_owned(), link.to_owned()))
                .into_iter()
                .collect(),
            body: body.into(),
        };
        for name in ["next_cursor", "nextCursor", "cursor", "next"] {
            let body = format!(r#"{{"items": [], "{name}": "c"}}"#);
            assert_eq!(next_page(&answer(&body, None)).as_deref(), Some("c"));
        }
        for body in [r#"{"next_cursor": null}"#, r#"{"next": ""}"#, "{}"] {
            assert_eq!(next_page(&answer(body, None)), None);
        }
        let link = r#"</objects?cursor=a%2Fb&limit=2>; rel="next""#;
        assert_eq!(next_page(&answer("{}", Some(link))).as_deref(), Some("a/b"));
        assert_eq!(
            next_page(&answer("{}", Some("</x?cursor=a>; rel=\"prev\""))),
            None
        );
    }
}
