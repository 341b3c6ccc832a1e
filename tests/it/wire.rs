//! The client against servers that behave, each in its own way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use avp_conform::avp::{IDP, VAULT};
use avp_conform::http::{
    Client, ClientOptions, Connections, Endpoint, Outcome, Request, Sent, ServiceOptions,
};

use crate::support::http::{Message, answer, listen};

const LIMIT: Duration = Duration::from_secs(5);

/// A server that hands each connection to `serve`, numbered from 0.
fn server(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Endpoint {
    Endpoint::parse(&format!("http://{}/base", listen(serve))).unwrap()
}

/// One request, head and body; none at the end of the stream.
fn receive(stream: &mut TcpStream) -> Option<String> {
    Some(Message::read(stream)?.whole())
}

fn answering(answers: &'static [&'static str]) -> Endpoint {
    server(move |_, mut stream| {
        for answer in answers {
            if receive(&mut stream).is_none() || stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn lane(endpoint: Endpoint) -> Connections {
    Client::new(ClientOptions::new(endpoint)).unwrap().lane()
}

fn request(method: &str, body: Option<&str>) -> Request {
    Request {
        service: VAULT,
        method: method.to_owned(),
        path: "/x".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.map(Into::into),
    }
}

async fn post(lane: &mut Connections) -> Sent {
    lane.send(&request("POST", Some("{}")), LIMIT).await
}

/// Status and body of an answer, or the failure.
fn told(sent: &Sent) -> String {
    match &sent.outcome {
        Outcome::Answer(answer) => format!("{} {}", answer.status, answer.body.as_text().unwrap()),
        Outcome::Failure(failure) => format!("{:?}: {}", failure.kind, failure.message),
    }
}

#[tokio::test]
async fn every_ordinary_framing_is_read() {
    for (wire, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nT: t\r\n\r\n",
            "200 hi",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhi", "200 hi"),
        ("HTTP/1.0 200 OK\r\n\r\nhi", "200 hi"),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            "200 hi",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 "),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "304 "),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 201 X\r\nContent-Length: 0\r\n\r\n",
            "201 ",
        ),
        ("HTTP/1.1 599\r\nContent-Length: 2\r\n\r\nhi", "599 hi"),
    ] {
        let sent = post(&mut lane(answering(vec![wire].leak()))).await;
        assert_eq!(told(&sent), expected, "{wire:?}");
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BAD: &str = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_connection_is_kept_after_success_and_dropped_after_an_error() {
    let mut lane = lane(answering(&[OK, BAD, OK]));
    let mut reused = Vec::new();
    for _ in 0..4 {
        reused.push(post(&mut lane).await.reused);
    }
    assert_eq!(reused, [false, true, false, true]);
}

#[tokio::test]
async fn a_refusal_of_a_request_without_a_body_does_no_harm() {
    let mut lane = lane(answering(&[BAD, BAD]));
    lane.send(&request("GET", None), LIMIT).await;
    assert!(lane.send(&request("GET", None), LIMIT).await.reused);
    lane.forget();
    assert!(!lane.send(&request("GET", None), LIMIT).await.reused);
}

#[tokio::test]
async fn lanes_share_no_connections() {
    let client = Client::new(ClientOptions::new(answering(&[OK, OK]))).unwrap();
    for _ in 0..2 {
        assert!(!post(&mut client.lane()).await.reused);
    }
}

#[tokio::test]
async fn a_body_taken_for_a_request_shows_in_the_next_exchange_where_a_case_wants_that() {
    const CONFUSED: &str = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\nHTTP/1.1 400 What?\r\n\r\n";
    let endpoint = answering(&[CONFUSED, OK]);
    let mut quiet = lane(endpoint.clone());
    let mut strict = lane(endpoint);
    strict.keep_after_error(true);
    for lane in [&mut quiet, &mut strict] {
        assert_eq!(told(&post(lane).await), "400 ");
    }
    assert_eq!(told(&post(&mut quiet).await), "400 ");
    let message = told(&post(&mut strict).await);
    assert!(
        message.starts_with("Malformed: the server sent something that nobody had asked for: \"HTTP"),
        "{message}"
    );
    assert_eq!(told(&post(&mut strict).await), "400 ", "on a fresh connection");
}

#[tokio::test]
async fn only_what_a_closed_idle_connection_swallowed_is_sent_again() {
    // The first connection answers once and hangs up on the second request; later ones say more before they do.
    let endpoint = server(|number, mut stream| {
        let farewell = ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\n\r\nall"][number % 3];
        for answer in [OK, farewell] {
            if number % 3 == 2
                || receive(&mut stream).is_none()
                || stream.write_all(answer.as_bytes()).is_err()
            {
                break;
            }
        }
        if number % 3 == 2 && receive(&mut stream).is_some() {
            let _ = stream.write_all(farewell.as_bytes());
        }
    });
    let mut lane = lane(endpoint);
    assert_eq!(told(&post(&mut lane).await), "200 ");
    let again = post(&mut lane).await;
    assert_eq!(
        (told(&again).as_str(), again.resent, again.reused),
        ("200 ", true, false)
    );
    let cut = post(&mut lane).await;
    assert!(
        told(&cut).starts_with("Closed: the connection was closed after 10 bytes"),
        "{}",
        told(&cut)
    );
    assert_eq!((cut.resent, cut.reused), (false, true));
    assert_eq!(told(&post(&mut lane).await), "200 all");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_whole_is_read() {
    let endpoint = server(|_, mut stream| {
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    });
    let sent = lane(endpoint)
        .send(&request("POST", Some(&"x".repeat(16 << 20))), LIMIT)
        .await;
    assert_eq!(told(&sent), "413 no");
}

#[tokio::test]
async fn a_server_that_does_not_read_is_not_waited_for() {
    let endpoint = server(|_, stream| {
        std::thread::park_timeout(LIMIT);
        drop(stream);
    });
    let limit = Duration::from_millis(100);
    let sent = lane(endpoint)
        .send(&request("POST", Some(&"x".repeat(16 << 20))), limit)
        .await;
    assert_eq!(
        told(&sent),
        "Timeout: the server did not take the whole request within 100 ms"
    );
}

#[tokio::test]
async fn nobody_at_home() {
    let message = told(&post(&mut lane(Endpoint::parse("http://127.0.0.1:1").unwrap())).await);
    assert_eq!(message, "Connect: connection refused at 127.0.0.1:1");
    let message = told(&post(&mut lane(Endpoint::parse("http://nobody.invalid").unwrap())).await);
    assert_eq!(message, "Connect: the name nobody.invalid is not known");
}

/// A server that answers every request with the request itself.
fn echo() -> Endpoint {
    server(|_, mut stream| {
        while let Some(request) = receive(&mut stream) {
            let _ = stream.write_all(&answer("200 OK", "", &request));
        }
    })
}

#[tokio::test]
async fn requests_and_raw_bytes_arrive_as_written() {
    let mut lane = lane(echo());
    let odd = Request {
        path: "/v1/a%2fb+=/../%zz\\ü".to_owned(),
        ..request("M-SEARCH", None)
    };
    let text = told(&lane.send(&odd, LIMIT).await);
    assert!(
        text.starts_with("200 M-SEARCH /base/v1/a%2fb+=/../%zz\\ü HTTP/1.1\r\nhost: 127.0.0.1:"),
        "{text}"
    );
    let raw = "GET  /two HTTP/1.1\r\nhost:x\r\n folded\r\n\r\n";
    let sent = lane.send_raw(raw.as_bytes(), &VAULT, LIMIT).await;
    assert_eq!((told(&sent), sent.reused), (format!("200 {raw}"), false));
    assert!(
        lane.send(&odd, LIMIT).await.reused,
        "the raw bytes had a connection of their own"
    );
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let mut lane = lane(answering(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"]));
    assert_eq!(told(&lane.send(&request("HEAD", None), LIMIT).await), "200 ");
    let raw = b"HEAD / HTTP/1.1\r\n\r\n";
    assert_eq!(told(&lane.send_raw(raw, &VAULT, LIMIT).await), "200 ");
}

#[tokio::test]
async fn configured_headers_reach_their_own_origin_only() {
    let secret = |value: &str| vec![("X-Secret".to_owned(), value.to_owned())];
    let options = ClientOptions {
        services: vec![ServiceOptions {
            headers: secret("idp"),
            ..ServiceOptions::new(IDP, echo())
        }],
        headers: secret("vault"),
        ..ClientOptions::new(echo())
    };
    let mut lane = Client::new(options).unwrap().lane();
    for (service, own, other) in [(VAULT, "vault", "idp"), (IDP, "idp", "vault")] {
        let text = told(
            &lane
                .send(
                    &Request {
                        service,
                        ..request("GET", None)
                    },
                    LIMIT,
                )
                .await,
        );
        assert!(text.contains(&format!("X-Secret: {own}\r\n")), "{text}");
        assert!(!text.contains(&format!("X-Secret: {other}\r\n")), "{text}");
    }
}

#[tokio::test]
async fn a_loaded_request_goes_only_when_its_end_is_let_go() {
    let client = Client::new(ClientOptions::new(echo())).unwrap();
    let mut lanes = [client.lane(), client.lane()];
    let mut loaded = Vec::new();
    for lane in &mut lanes {
        let primed = lane.prime(&request("POST", Some("{}"))).await.unwrap();
        loaded.push(primed.load().await.unwrap());
    }
    for loaded in &mut loaded {
        loaded.let_go(LIMIT);
    }
    for loaded in loaded {
        assert!(told(&loaded.answer().await).starts_with("200 POST /base/x"));
    }
    for lane in &mut lanes {
        assert!(post(lane).await.reused, "the connection goes back to its lane");
    }
    let refused = Client::new(ClientOptions::new(Endpoint::parse("http://127.0.0.1:1").unwrap())).unwrap();
    let failure = refused.lane().prime(&request("GET", None)).await.err().unwrap();
    assert_eq!(failure.message, "connection refused at 127.0.0.1:1");
}

#[tokio::test]
async fn the_pace_is_kept_and_not_counted_as_the_servers_time() {
    let options = ClientOptions {
        rps: Some(20.0),
        ..ClientOptions::new(answering(&[OK; 3]))
    };
    let client = Client::new(options).unwrap();
    let started = std::time::Instant::now();
    let mut lane = client.lane();
    let mut took = Duration::ZERO;
    for _ in 0..3 {
        took += post(&mut lane).await.took;
    }
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert!(client.pace().waited() + took <= started.elapsed());
}

#[tokio::test]
async fn odd_header_values_are_escaped() {
    let endpoint = server(|_, mut stream| {
        receive(&mut stream);
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nX-B: caf\xc3\xa9\r\nContent-Length: 0\r\n\r\n");
    });
    let sent = post(&mut lane(endpoint)).await;
    let answer = sent.outcome.answer().unwrap();
    assert_eq!(
        (answer.header("x-a"), answer.header("x-b")),
        (Some("caf\\xe9"), Some("café"))
    );
}

#[tokio::test]
async fn what_cannot_stand_in_a_header_is_not_sent() {
    let mut bad = request("GET", None);
    bad.headers
        .push(("authorization".to_owned(), "Bearer a\r\nX: y".to_owned()));
    let message = told(&lane(echo()).send(&bad, LIMIT).await);
    assert!(
        message.starts_with("Malformed: the request could not be sent"),
        "{message}"
    );
}

/// Answers in HTTP/1.0, and resets the connection behind what it wrote.
fn resetting(answer: &'static str) -> Endpoint {
    server(move |_, mut stream| {
        receive(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    })
}

#[tokio::test]
async fn an_answer_that_came_whole_before_a_reset_is_taken() {
    let whole = resetting("HTTP/1.0 200 OK\r\n\r\n{\"a\":1}");
    assert_eq!(told(&post(&mut lane(whole)).await), "200 {\"a\":1}");
    let cut = resetting("HTTP/1.0 200 OK\r\n\r\n{\"a\":");
    assert!(told(&post(&mut lane(cut)).await).starts_with("Closed: "));
}
