//! Servers whose answers are not HTTP, contradict themselves, or have no end.

use super::{Hostile, Visit, http};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(crate) fn targets() -> Vec<Hostile> {
    let mut targets = endless();
    targets.extend(wrong_lengths());
    targets.extend(wrong_chunks());
    targets.extend(not_http());
    targets.extend(odd_statuses());
    targets
}

/// Answers once with `head`, then goes on with `more` for ever.
fn endlessly(visit: &mut Visit, head: &str, more: &[u8]) {
    visit.once(head);
    visit.say_for_ever(more);
}

fn endless() -> Vec<Hostile> {
    vec![
        http("endless-status-line", "a status line without end", |visit| {
            endlessly(visit, "HTTP/1.1 200 ", &[b'x'; 4096]);
        }),
        http("endless-headers", "headers without end", |visit| {
            endlessly(visit, "HTTP/1.1 200 OK\r\n", &b"X-Filler: filler\r\n".repeat(100));
        }),
        http("endless-header", "one header without end", |visit| {
            endlessly(visit, "HTTP/1.1 200 OK\r\nX-Filler: ", &[b'x'; 4096]);
        }),
        http("many-headers", "201 headers", |visit| {
            visit.always(format!(
                "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
                "X: y\r\n".repeat(200)
            ));
        }),
        http("endless-body", "a body without length or end", |visit| {
            endlessly(visit, "HTTP/1.1 200 OK\r\n\r\n", &[b' '; 1 << 16]);
        }),
        http("endless-chunks", "chunks without end", |visit| {
            let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
            endlessly(visit, CHUNKED, &chunk);
        }),
        http("tiny-chunks", "chunks of a byte without end", |visit| {
            endlessly(visit, CHUNKED, &b"1\r\nx\r\n".repeat(1000));
        }),
        http("endless-trailers", "trailers without end", |visit| {
            endlessly(
                visit,
                &format!("{CHUNKED}0\r\n"),
                &b"X-Filler: filler\r\n".repeat(100),
            );
        }),
        http(
            "endless-chunk-extension",
            "a chunk extension without end",
            |visit| {
                endlessly(visit, &format!("{CHUNKED}2;"), &[b'x'; 4096]);
            },
        ),
        http("flood-of-1xx", "100 Continue without end", |visit| {
            endlessly(visit, "", &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100));
        }),
        http("gigabyte", "a body of 1 GiB, announced and sent", |visit| {
            endlessly(
                visit,
                "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
                &[b' '; 1 << 16],
            );
        }),
    ]
}

fn wrong_lengths() -> [Hostile; 9] {
    [
        http(
            "length-too-long",
            "announces 40 bytes, sends 12 and closes",
            |visit| {
                visit.once("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"token\":\"ab");
            },
        ),
        http("length-too-short", "announces 2 bytes and sends 12", |visit| {
            visit.always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{\"more\":1}");
        }),
        http(
            "length-astronomic",
            "announces more bytes than a number holds",
            |visit| {
                visit.always("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}");
            },
        ),
        http("length-exabytes", "announces 16 EiB", |visit| {
            visit.once_and_hold("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551610\r\n\r\n{}");
        }),
        http("length-negative", "announces -1 bytes", |visit| {
            visit.always("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}");
        }),
        http("length-in-words", "announces two bytes, in words", |visit| {
            visit.always("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}");
        }),
        http("two-lengths", "announces 2 bytes and 4 bytes", |visit| {
            visit.always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}{}");
        }),
        http(
            "length-and-chunks",
            "announces 4 bytes and sends chunks",
            |visit| {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
                visit.always(format!("{head}2\r\n{{}}\r\n0\r\n\r\n"));
            },
        ),
        http(
            "unknown-coding",
            "announces a transfer coding that is none",
            |visit| {
                visit.once("HTTP/1.1 200 OK\r\nTransfer-Encoding: gift-wrapped\r\n\r\n{}");
            },
        ),
    ]
}

fn wrong_chunks() -> [Hostile; 5] {
    [
        http("chunks-cut", "closes before the last chunk", |visit| {
            visit.once(format!("{CHUNKED}2\r\n{{}}\r\n"))
        }),
        http("chunk-cut", "closes in a chunk", |visit| {
            visit.once(format!("{CHUNKED}40\r\n{{}}"))
        }),
        http("chunk-size-garbage", "a chunk size that is no number", |visit| {
            visit.once_and_hold(format!("{CHUNKED}zz\r\n{{}}\r\n0\r\n\r\n"));
        }),
        http(
            "chunk-size-overflow",
            "a chunk size that no number holds",
            |visit| {
                visit.once_and_hold(format!("{CHUNKED}fffffffffffffffff\r\n{{}}\r\n0\r\n\r\n"));
            },
        ),
        http(
            "chunk-without-end",
            "a chunk that is longer than its size",
            |visit| {
                visit.once_and_hold(format!("{CHUNKED}2\r\n{{}}{{}}\r\n0\r\n\r\n"));
            },
        ),
    ]
}

fn not_http() -> [Hostile; 8] {
    [
        http("binary-noise", "bytes without meaning", |visit| {
            visit.once_and_hold([0x00, 0xff, 0x80, 0x1b, 0x5b].repeat(50))
        }),
        http("http-0.9", "a body without a head", |visit| {
            visit.once("<html>It works!</html>")
        }),
        http("http-2", "HTTP/2 frames", |visit| {
            visit.once_and_hold([0, 0, 0, 4, 0, 0, 0, 0, 0])
        }),
        http("ssh", "another protocol's greeting", |visit| {
            visit.once_and_hold("SSH-2.0-OpenSSH_9.9\r\n")
        }),
        http("status-in-words", "a status that is no number", |visit| {
            visit.once_and_hold("HTTP/1.1 OK 200\r\n\r\n")
        }),
        http("status-too-long", "a status of five digits", |visit| {
            visit.once_and_hold("HTTP/1.1 20000 OK\r\n\r\n")
        }),
        http("header-without-colon", "a header without a colon", |visit| {
            visit.once_and_hold("HTTP/1.1 200 OK\r\nthis is no header\r\nContent-Length: 2\r\n\r\n{}");
        }),
        http("header-with-nul", "a NUL in a header", |visit| {
            visit.once_and_hold(b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\n{}");
        }),
    ]
}

fn odd_statuses() -> [Hostile; 6] {
    [
        http("status-000", "the status 000", |visit| {
            visit.always("HTTP/1.1 000 Zero\r\nContent-Length: 2\r\n\r\n{}")
        }),
        http("status-999", "the status 999", |visit| {
            visit.always("HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}")
        }),
        http("switches-protocols", "101 without being asked", |visit| {
            visit.once("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x01\x02");
            visit.hold();
        }),
        http("204-with-body", "204 with a body", |visit| {
            visit.always("HTTP/1.1 204 No Content\r\nContent-Length: 12\r\n\r\n{\"more\":\"ab\"}");
        }),
        http("304-with-body", "304 with a body", |visit| {
            visit.always("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n{}");
        }),
        http(
            "bare-line-feeds",
            "line feeds without carriage returns",
            |visit| {
                visit.always("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}");
            },
        ),
    ]
}
