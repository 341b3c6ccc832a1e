//! Servers at a port for gRPC that get HTTP/2 or the answers over it wrong. Frames are written byte by byte.

use std::io::Read;
use std::sync::LazyLock;
use std::time::Duration;

use super::{Hostile, Visit, bombs, http};

/// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 0xee;

/// Flags of frames.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Error codes.
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What a client says first.
const PREFACE_BYTES: usize = 24;
/// How far the harness opens the window of a stream at first.
const WINDOW_BYTES: usize = 1 << 20;
/// The setting of how large the windows of streams are.
const INITIAL_WINDOW_SIZE: u16 = 4;

pub(crate) fn targets() -> Vec<Hostile> {
    let mut targets = Vec::from(speaks_no_http2());
    targets.extend(ends_early());
    targets.extend(floods());
    targets.extend(never_ends());
    targets.extend(breaks_the_rules());
    targets.extend(answers_wrongly());
    targets.extend(lies_about_messages());
    targets
}

fn calls(name: &'static str, about: &'static str, serve: fn(&mut Visit)) -> Hostile {
    Hostile {
        scheme: "grpc",
        ..http(name, about, serve)
    }
}

fn speaks_no_http2() -> [Hostile; 5] {
    [
        calls("calls-silent", "reads, and never says a word", Visit::hold),
        calls("calls-closes-at-once", "closes whatever it accepts", |_| {}),
        calls("calls-http1", "speaks HTTP/1.1", |visit| {
            visit.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            visit.hold();
        }),
        calls("calls-garbage", "says bytes that are no frames", |visit| {
            visit.say([0xa5; 64]);
            visit.hold();
        }),
        calls("calls-trickle", "says its settings at a byte a second", |visit| {
            for byte in frame(SETTINGS, 0, 0, &[]) {
                if !visit.say([byte]) {
                    return;
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        }),
    ]
}

fn ends_early() -> [Hostile; 7] {
    [
        calls(
            "calls-unanswered",
            "says its settings, and answers nothing",
            |visit| {
                greet(visit);
                visit.hold();
            },
        ),
        calls(
            "calls-goaway-at-once",
            "ends each connection in an orderly way before any call",
            |visit| {
                greet(visit);
                visit.say(goaway(0, NO_ERROR));
                visit.hold();
            },
        ),
        calls(
            "calls-goaway-in-the-middle",
            "ends the connection in the middle of an answer",
            |visit| {
                answer(visit, |stream| {
                    [
                        head(stream, &OK, 0),
                        data(stream, &[0, 0, 0], 0),
                        goaway(stream, ENHANCE_YOUR_CALM),
                    ]
                    .concat()
                });
            },
        ),
        calls(
            "calls-closes-in-the-middle",
            "closes the connection in the middle of an answer",
            |visit| {
                if let Some(stream) = call(visit) {
                    visit.say([head(stream, &OK, 0), data(stream, &[0, 0, 0], 0)].concat());
                }
            },
        ),
        calls(
            "calls-refused-streams",
            "says of each call that it did not look at it",
            |visit| {
                answer(visit, |stream| reset(stream, REFUSED_STREAM));
            },
        ),
        calls(
            "calls-reset-in-the-middle",
            "resets the stream in the middle of an answer",
            |visit| {
                answer(visit, |stream| {
                    [
                        head(stream, &OK, 0),
                        data(stream, &[0, 0, 0], 0),
                        reset(stream, INTERNAL_ERROR),
                    ]
                    .concat()
                });
            },
        ),
        calls(
            "calls-half-an-answer",
            "stops in the middle of an answer",
            |visit| {
                answer(visit, |stream| {
                    [head(stream, &OK, 0), data(stream, &[0, 0, 0], 0)].concat()
                });
            },
        ),
    ]
}

fn floods() -> [Hostile; 7] {
    [
        calls("calls-settings-flood", "says new settings without end", |visit| {
            flood(visit, |_| frame(SETTINGS, 0, 0, &[]));
        }),
        calls(
            "calls-ping-flood",
            "asks without end whether the client lives",
            |visit| {
                flood(visit, |_| frame(PING, 0, 0, &[7; 8]));
            },
        ),
        calls(
            "calls-unknown-flood",
            "sends frames of an unknown type without end",
            |visit| {
                flood(visit, |_| frame(UNKNOWN, 0, 0, &[7; 64]));
            },
        ),
        calls(
            "calls-window-flood",
            "opens the window a byte at a time, without end",
            |visit| {
                flood(visit, |_| frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
            },
        ),
        calls(
            "calls-empty-data-flood",
            "sends empty frames of an answer without end",
            |visit| {
                flood(visit, |stream| data(stream, &[], 0));
            },
        ),
        calls(
            "calls-informational-flood",
            "sends interim answers without end",
            |visit| {
                flood(visit, |stream| {
                    frame(HEADERS, END_HEADERS, stream, &field(":status", "103"))
                });
            },
        ),
        calls(
            "calls-reset-flood",
            "resets the stream of the call without end",
            |visit| {
                flood(visit, |stream| reset(stream, REFUSED_STREAM));
            },
        ),
    ]
}

fn never_ends() -> [Hostile; 5] {
    [
        calls("calls-endless-headers", "sends headers without end", |visit| {
            if let Some(stream) = call(visit) {
                visit.say(frame(HEADERS, 0, stream, &field(":status", "200")));
                let more = field("x-more", &"m".repeat(100));
                visit.say_for_ever(&frame(CONTINUATION, 0, stream, &more.repeat(100)));
            }
        }),
        calls(
            "calls-endless-continuation",
            "continues headers with nothing, without end",
            |visit| {
                if let Some(stream) = call(visit) {
                    visit.say(frame(HEADERS, 0, stream, &field(":status", "200")));
                    visit.say_for_ever(&frame(CONTINUATION, 0, stream, &[]));
                }
            },
        ),
        calls(
            "calls-closed-window",
            "never lets a byte of a message through",
            |visit| {
                let none = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
                visit.say(frame(SETTINGS, 0, 0, &none));
                visit.hold();
            },
        ),
        calls(
            "calls-gigabyte",
            "sends an answer of a gigabyte, without regard to the window",
            |visit| {
                if let Some(stream) = call(visit) {
                    visit.say(head(stream, &OK, 0));
                    let much = data(stream, &[0; 16 << 10], 0);
                    for _ in 0..(1 << 30) / (16 << 10) {
                        if !visit.say(&much) {
                            return;
                        }
                    }
                    visit.hold();
                }
            },
        ),
        calls(
            "calls-endless-body",
            "sends an answer without end, as the window allows",
            |visit| {
                if let Some(stream) = call(visit) {
                    visit.say(head(stream, &OK, 0));
                    let (much, mut room) = (data(stream, &[0; 1 << 10], 0), WINDOW_BYTES);
                    while opened(visit, &mut room, 1 << 10) && visit.say(&much) {}
                }
            },
        ),
    ]
}

fn breaks_the_rules() -> [Hostile; 7] {
    [
        calls(
            "calls-window-overflow",
            "opens the window beyond what there is",
            |visit| {
                greet(visit);
                let widest = frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes());
                visit.say([widest.clone(), widest].concat());
                visit.hold();
            },
        ),
        calls("calls-huge-frame", "announces a frame of 16 megabytes", |visit| {
            answer(visit, |stream| {
                let mut bytes = data(stream, &[], 0);
                bytes[..3].copy_from_slice(&[0xff; 3]);
                bytes
            });
        }),
        calls("calls-push-promise", "pushes what nobody asked for", |visit| {
            answer(visit, |stream| {
                let promised = [&2_u32.to_be_bytes()[..], &field(":status", "200")].concat();
                frame(PUSH_PROMISE, END_HEADERS, stream, &promised)
            });
        }),
        calls(
            "calls-bad-headers",
            "sends headers that cannot be decoded",
            |visit| {
                answer(visit, |stream| frame(HEADERS, END_HEADERS, stream, &[0xff; 40]));
            },
        ),
        calls("calls-data-first", "sends a message without a head", |visit| {
            answer(visit, |stream| data(stream, &[0; 5], END_STREAM));
        }),
        calls("calls-idle-stream", "answers a call that nobody made", |visit| {
            answer(visit, |stream| head(stream + 100, &OK, END_STREAM));
        }),
        calls(
            "calls-answers-twice",
            "answers each call once more on its closed stream",
            |visit| {
                answer(visit, |stream| {
                    [refusal(stream, &["16"]), refusal(stream, &["0"])].concat()
                });
            },
        ),
    ]
}

fn answers_wrongly() -> [Hostile; 7] {
    [
        calls("calls-no-status", "ends its answers without a status", |visit| {
            answer(visit, |stream| {
                [
                    head(stream, &OK, 0),
                    data(stream, &[0; 5], 0),
                    head(stream, &[("x-cost", "1")], END_STREAM),
                ]
                .concat()
            });
        }),
        calls(
            "calls-no-trailers",
            "ends its answers without trailers",
            |visit| {
                answer(visit, |stream| {
                    [head(stream, &OK, 0), data(stream, &[0; 5], END_STREAM)].concat()
                });
            },
        ),
        calls(
            "calls-status-no-number",
            "has a status that is no number",
            |visit| {
                answer(visit, |stream| refusal(stream, &["fine"]));
            },
        ),
        calls("calls-status-huge", "has a status beyond 32 bits", |visit| {
            answer(visit, |stream| refusal(stream, &["4294967296"]));
        }),
        calls(
            "calls-two-statuses",
            "says both OK and UNAUTHENTICATED",
            |visit| {
                answer(visit, |stream| refusal(stream, &["0", "16"]));
            },
        ),
        calls("calls-html", "answers with a page", |visit| {
            answer(visit, |stream| {
                let fields = [(":status", "200"), ("content-type", "text/html")];
                [
                    head(stream, &fields, 0),
                    data(stream, b"<h1>Welcome</h1>", END_STREAM),
                ]
                .concat()
            });
        }),
        calls(
            "calls-proxy-error",
            "answers as a proxy does whose server is gone",
            |visit| {
                answer(visit, |stream| {
                    let fields = [(":status", "502"), ("content-type", "text/html")];
                    [
                        head(stream, &fields, 0),
                        data(stream, b"<h1>Bad Gateway</h1>", END_STREAM),
                    ]
                    .concat()
                });
            },
        ),
    ]
}

fn lies_about_messages() -> [Hostile; 8] {
    [
        calls(
            "calls-message-short",
            "has messages shorter than their frames say",
            |visit| {
                answer(visit, |stream| granted(stream, &[0, 0, 0, 0, 100, 1, 2, 3]));
            },
        ),
        calls(
            "calls-message-long",
            "has messages longer than their frames say",
            |visit| {
                answer(visit, |stream| granted(stream, &[0, 0, 0, 0, 1, 1, 2, 3]));
            },
        ),
        calls(
            "calls-message-huge",
            "has messages of four gigabytes, by their frames",
            |visit| {
                answer(visit, |stream| {
                    granted(stream, &[0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3])
                });
            },
        ),
        calls(
            "calls-no-message",
            "is fine with everything, and says nothing",
            |visit| {
                answer(visit, |stream| granted(stream, &[]));
            },
        ),
        calls(
            "calls-no-protobuf",
            "has messages that are no protobuf",
            |visit| {
                answer(visit, |stream| {
                    granted(stream, &[0, 0, 0, 0, 3, 0xff, 0xff, 0xff])
                });
            },
        ),
        calls("calls-deep-groups", "has fields nested 8,000 deep", |visit| {
            answer(visit, |stream| {
                granted(stream, &message(&[0xc3, 0x3e].repeat(8000)))
            });
        }),
        calls(
            "calls-many-fields",
            "has a million fields that nobody knows",
            |visit| {
                static FIELDS: LazyLock<Vec<u8>> =
                    LazyLock::new(|| message(&[0xc0, 0x3e, 1].repeat(1 << 20)));
                large(visit, &OK, &FIELDS);
            },
        ),
        calls(
            "calls-gzip-bomb",
            "has messages of 64 megabytes, compressed with gzip",
            |visit| {
                static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
                    let mut bomb = message(&bombs::gzip(&vec![0; 64 << 20]));
                    bomb[0] = 1;
                    bomb
                });
                let fields = [OK[0], OK[1], ("grpc-encoding", "gzip")];
                large(visit, &fields, &BOMB);
            },
        ),
    ]
}

/// The head of an ordinary answer.
const OK: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

fn greet(visit: &mut Visit) {
    visit.say(frame(SETTINGS, 0, 0, &[]));
}

/// Answers every call of the connection.
fn answer(visit: &mut Visit, with: fn(u32) -> Vec<u8>) {
    greet(visit);
    if !read_preface(visit) {
        return;
    }
    while let Some(stream) = next_call(visit) {
        if !visit.say(with(stream)) {
            return;
        }
    }
}

/// Sends the same bytes without end, once the first call has come; the stream is that of the call.
fn flood(visit: &mut Visit, with: fn(u32) -> Vec<u8>) {
    if let Some(stream) = call(visit) {
        visit.say_for_ever(&with(stream).repeat(64));
    }
}

/// Answers the first call with a large message, as the window allows.
fn large(visit: &mut Visit, fields: &[(&str, &str)], message: &[u8]) {
    let Some(stream) = call(visit) else { return };
    visit.say(head(stream, fields, 0));
    let mut room = WINDOW_BYTES;
    for piece in message.chunks(16 << 10) {
        if !opened(visit, &mut room, piece.len()) || !visit.say(data(stream, piece, 0)) {
            return;
        }
    }
    visit.say(head(stream, &[("grpc-status", "0")], END_STREAM));
    visit.hold();
}

/// The stream of the first call of a connection, once all of it has come.
fn call(visit: &mut Visit) -> Option<u32> {
    greet(visit);
    read_preface(visit).then(|| next_call(visit)).flatten()
}

fn read_preface(visit: &mut Visit) -> bool {
    visit.stream.read_exact(&mut [0; PREFACE_BYTES]).is_ok()
}

/// The stream of the next call, once all of it has come. Settings and questions are answered on the way.
fn next_call(visit: &mut Visit) -> Option<u32> {
    loop {
        let (kind, flags, stream, payload) = next_frame(visit)?;
        match kind {
            SETTINGS if flags & ACK == 0 => _ = visit.say(frame(SETTINGS, ACK, 0, &[])),
            PING if flags & ACK == 0 => _ = visit.say(frame(PING, ACK, 0, &payload)),
            DATA | HEADERS if flags & END_STREAM != 0 => return Some(stream),
            _ => {}
        }
    }
}

fn next_frame(visit: &mut Visit) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    visit.stream.read_exact(&mut head).ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    visit.stream.read_exact(&mut payload).ok()?;
    Some((kind, flags, u32::from_be_bytes(stream), payload))
}

/// Waits until the client has opened the window of a stream far enough. What it says meanwhile is read.
fn opened(visit: &mut Visit, room: &mut usize, bytes: usize) -> bool {
    while *room < bytes {
        let Some((kind, _, stream, payload)) = next_frame(visit) else {
            return false;
        };
        if kind == WINDOW_UPDATE && stream > 0 {
            *room += u32::from_be_bytes(payload[..4].try_into().unwrap()) as usize;
        }
    }
    *room -= bytes;
    true
}

/// A frame (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn data(stream: u32, bytes: &[u8], flags: u8) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

fn head(stream: u32, fields: &[(&str, &str)], flags: u8) -> Vec<u8> {
    let block: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect();
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// A field that is not indexed, with its name written out (RFC 7541, 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [
        &[0, length(name)],
        name.as_bytes(),
        &[length(value)],
        value.as_bytes(),
    ]
    .concat()
}

fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// An answer of trailers alone.
fn refusal(stream: u32, statuses: &[&str]) -> Vec<u8> {
    let statuses = statuses.iter().map(|status| ("grpc-status", *status));
    let fields: Vec<_> = OK.into_iter().chain(statuses).collect();
    head(stream, &fields, END_STREAM)
}

/// An answer that is OK, of these bytes.
fn granted(stream: u32, bytes: &[u8]) -> Vec<u8> {
    let trailers = head(stream, &[("grpc-status", "0")], END_STREAM);
    [head(stream, &OK, 0), data(stream, bytes, 0), trailers].concat()
}

/// A message in its frame.
fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], &length[..], bytes].concat()
}
