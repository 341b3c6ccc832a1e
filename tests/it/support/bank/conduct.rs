//! Servers whose timing and handling of connections is hostile.

use std::time::Duration;

use super::{Hostile, Visit, http};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

pub(crate) fn targets() -> Vec<Hostile> {
    let mut targets = Vec::from(waits());
    targets.extend(closes());
    targets.extend(speaks_out_of_turn());
    targets.extend(lies_about_the_connection());
    targets
}

fn waits() -> [Hostile; 5] {
    [
        http("silent", "accepts, reads, and never answers", Visit::hold),
        http("deaf", "accepts and does not even read", Visit::ignore),
        http("trickle", "answers a byte a second", |visit| {
            visit.once("");
            trickle(visit, OK.as_bytes());
        }),
        http(
            "trickled-body",
            "answers at once, but for a body of a byte a second",
            |visit| {
                visit.once("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
                trickle(visit, &[b' '; 60]);
            },
        ),
        http(
            "stops-after-the-head",
            "announces a body that never comes",
            |visit| {
                visit.once_and_hold("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
            },
        ),
    ]
}

fn trickle(visit: &mut Visit, bytes: &[u8]) {
    for byte in bytes {
        if !visit.say([*byte]) {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn closes() -> [Hostile; 9] {
    [
        http("closes-at-once", "closes whatever it accepts", |_| {}),
        http(
            "closes-after-the-request",
            "reads the request and closes",
            |visit| visit.once(""),
        ),
        http(
            "half-closes",
            "ends its half of the connection instead of answering",
            |visit| {
                visit.once("");
                visit.close_half();
                visit.hold();
            },
        ),
        http(
            "half-closes-after-the-answer",
            "answers, ends its half and keeps the other open",
            |visit| {
                visit.once(OK);
                visit.close_half();
                visit.hold();
            },
        ),
        http("resets-on-accept", "resets whatever it accepts", Visit::reset),
        http(
            "resets-after-the-request",
            "reads the request and resets",
            |visit| {
                visit.once("");
                visit.reset();
            },
        ),
        http(
            "resets-after-the-status-line",
            "resets after its status line",
            |visit| {
                visit.once("HTTP/1.1 200 OK\r\n");
                reset_once_read(visit);
            },
        ),
        http(
            "resets-in-the-body",
            "resets after 12 of 40 body bytes",
            |visit| {
                visit.once("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"token\":\"ab");
                reset_once_read(visit);
            },
        ),
        Hostile {
            accepts: 2,
            ..http(
                "refuses-after-two",
                "accepts two connections, closes each after an answer, and is gone",
                |visit| {
                    visit.once(OK);
                },
            )
        },
    ]
}

/// A reset overtakes what was said before it, unless the client has had time to read.
fn reset_once_read(visit: &mut Visit) {
    std::thread::sleep(Duration::from_millis(50));
    visit.reset();
}

fn speaks_out_of_turn() -> [Hostile; 4] {
    [
        http("answers-first", "answers before it is asked", |visit| {
            visit.say(OK);
            visit.always(OK);
        }),
        http(
            "answers-twice",
            "glues an answer that nobody asked for to each answer",
            |visit| {
                visit.always(format!("{OK}{}", numbered(99)));
            },
        ),
        http(
            "answers-again-later",
            "sends an answer that nobody asked for soon after each answer",
            |visit| {
                while visit.request().is_some() && visit.say(OK) {
                    std::thread::sleep(Duration::from_millis(20));
                    visit.say(numbered(99));
                }
            },
        ),
        http(
            "refuses-unread",
            "answers 413 without reading the body, and resets",
            |visit| {
                visit.request_head();
                visit.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}");
                reset_once_read(visit);
            },
        ),
    ]
}

fn lies_about_the_connection() -> [Hostile; 3] {
    [
        http(
            "keep-alive-lie",
            "promises to keep the connection, and closes it",
            |visit| {
                visit.once("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\nContent-Length: 2\r\n\r\n{}");
            },
        ),
        http(
            "close-lie",
            "promises to close the connection, and goes on",
            |visit| {
                visit.always("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
            },
        ),
        http(
            "serves-one-in-two",
            "never answers the second request of a connection",
            |visit| {
                visit.once_and_hold(OK);
            },
        ),
    ]
}

/// An answer that shows which one it is.
fn numbered(number: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{number:02}")
}
