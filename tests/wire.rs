//! The client against servers that behave, each in its own way.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use avp_conform::wire::{Client, ClientOptions, Endpoint, Lane, Outcome, Request, Sent, Service};

const LIMIT: Duration = Duration::from_secs(5);

/// A server that hands each connection to `serve`, numbered from 0.
fn server(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}/base", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        let serve = std::sync::Arc::new(serve);
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(number, stream));
        }
    });
    endpoint
}

/// One request, head and body; none at the end of the stream.
fn receive(stream: &mut TcpStream) -> Option<String> {
    let (mut got, mut byte) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut byte).ok()?;
        got.push(byte[0]);
        let text = String::from_utf8_lossy(&got);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(text.into_owned());
        }
    }
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

fn lane(endpoint: Endpoint) -> Lane {
    Client::new(ClientOptions::new(endpoint)).unwrap().lane()
}

fn request(method: &str, body: Option<&str>) -> Request {
    Request {
        service: Service::Vault,
        method: method.to_owned(),
        path: "/x".to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.map(Into::into),
    }
}

async fn post(lane: &mut Lane) -> Sent {
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

#[tokio::test]
async fn a_connection_is_kept_after_success_and_dropped_after_an_error() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const BAD: &str = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
    let mut lane = lane(answering(&[OK, BAD, OK]));
    let mut reused = Vec::new();
    for _ in 0..4 {
        reused.push(post(&mut lane).await.reused);
    }
    assert_eq!(reused, [false, true, false, true]);
}
