//! Freedoms of HTTP: framing, connections, headers, time.

use std::time::Duration;

use serde_json::json;

use crate::avp::server::answer::{Answer, Body, Manner, Script, Step, Then};
use crate::avp::server::deviation::{AnswerContext, variations};
use crate::avp::server::response;

variations! { "transport";
    Answer(chunked) "chunked", "Answers are chunked, in pieces of 100 bytes.";
    Answer(close) "close", "The connection is closed after every answer.";
    Answer(http10) "http10", "Answers are HTTP/1.0, and the connection is closed after each.";
    Answer(split) "split-answers", "Head and body of an answer come in segments of their own.";
    Answer(latency) "latency-60ms", "Every answer takes 60 milliseconds.";
    Answer(extra_headers) "extra-headers", "Answers carry cookies, rate limits and other headers.";
    Named(TITLE_CASE) "title-case-headers", "Header names are written in title case.";
    Named(IDLE_CLOSE) "idle-close", "A connection is closed when it was idle for half a second.";
    Named(H2C_SPOKEN) "h2c-spoken", "An upgrade to HTTP/2 in the clear is taken.";
    Named(LENGTH_REQUIRED) "length-required", "A chunked body is refused with 411.";
    Answer(unknown_routes_401) "unknown-routes-401", "Unknown routes ask for a token: 401.";
    Answer(unknown_routes_400) "unknown-routes-400", "Unknown routes and wrong methods are bad requests: 400.";
}

fn chunked(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.manner = Manner::Chunked;
    true
}

fn close(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.headers.push(("Connection".to_owned(), "close".to_owned()));
    true
}

fn http10(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.manner = Manner::Http10;
    true
}

fn split(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    // An answer to HEAD has no body that could come by itself.
    if scene.request.method == "HEAD" {
        return false;
    }
    answer.manner = Manner::ByHand(Script {
        steps: vec![
            Step::Write(response::head(answer)),
            Step::Wait(Duration::from_millis(2)),
            Step::Write(answer.content().1),
        ],
        then: Then::KeepAlive,
    });
    true
}

fn latency(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.delay = Duration::from_millis(60);
    true
}

fn extra_headers(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    for (name, value) in [
        ("Set-Cookie", "session=abc; HttpOnly; Path=/"),
        ("Set-Cookie", "route=2"),
        ("RateLimit-Limit", "1000"),
        ("RateLimit-Remaining", "999"),
        ("RateLimit-Reset", "60"),
        ("Cache-Control", "no-store"),
        ("Strict-Transport-Security", "max-age=63072000"),
        ("Vary", "Origin, Accept-Encoding"),
        ("Server", "reference"),
        ("X-Empty", ""),
    ] {
        answer.headers.push((name.to_owned(), value.to_owned()));
    }
    if answer.status == 401 {
        answer
            .headers
            .push(("WWW-Authenticate".to_owned(), "Bearer realm=\"avp\"".to_owned()));
    }
    true
}

fn unknown_routes_401(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.place.is_none() && answer.status == 404;
    if here {
        answer.status = 401;
        answer.body = Body::Json(json!({ "error": "a token is needed here", "code": "unauthorized" }));
    }
    here
}

fn unknown_routes_400(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.place.is_none() && matches!(answer.status, 404 | 405);
    if here {
        answer.status = 400;
        answer.body = Body::Json(json!({ "error": "what is this?", "code": "bad_request" }));
    }
    here
}
