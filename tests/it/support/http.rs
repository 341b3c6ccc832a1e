//! HTTP/1.1 by hand, for servers and clients that are to do what no library would: listening, reading and writing messages.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A message: its head with the empty line at its end, and its body as it came, chunks and all.
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The next message of a stream. None at the end of the stream, also where that comes in the middle of the message.
    pub(crate) fn read(stream: &mut impl Read) -> Option<Message> {
        let head = read_head(stream)?;
        let body = match head.to_ascii_lowercase().contains("\r\ntransfer-encoding:") {
            true => read_chunks(stream)?,
            false => {
                let mut body = vec![0; field(&head, "content-length").map_or(Some(0), |it| it.parse().ok())?];
                stream.read_exact(&mut body).ok()?;
                body
            }
        };
        Some(Message { head, body })
    }

    /// The second word of its first line: the path of a request, the status of an answer.
    pub(crate) fn second_word(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The body.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Head and body.
    pub(crate) fn whole(&self) -> String {
        self.head.clone() + &self.text()
    }
}

/// Reads up to the empty line behind a head, and nothing of what follows.
pub(crate) fn read_head(stream: &mut impl Read) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Reads up to the last chunk, which has no trailers.
fn read_chunks(stream: &mut impl Read) -> Option<Vec<u8>> {
    let (mut body, mut byte) = (Vec::new(), [0]);
    while body != b"0\r\n\r\n" && !body.ends_with(b"\r\n0\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        body.push(byte[0]);
    }
    Some(body)
}

/// The value of a header field.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// An answer of known length. `fields` are whole lines.
pub(crate) fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Serves each connection in a thread of its own, numbered from 0, as long as the process lives. Where it listens.
pub(crate) fn listen(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || accept(&listener, serve));
    address
}

/// Serves each connection to a listener in a thread of its own, numbered from 0.
pub(crate) fn accept(listener: &TcpListener, serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) {
    let serve = Arc::new(serve);
    for (number, stream) in listener.incoming().flatten().enumerate() {
        let serve = Arc::clone(&serve);
        std::thread::spawn(move || serve(number, stream));
    }
}

/// Passes on what comes until one side has gone.
pub(crate) fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may have gone already.
    let _ = to.shutdown(Shutdown::Write);
}

/// A status and a body for a request.
pub(crate) type Answer = fn(&Message) -> (u16, &'static str);

/// A server that answers each request with what `answer` makes of it, as JSON. Its address.
pub(crate) fn constant(answer: Answer) -> String {
    let serve = move |_: usize, mut stream: TcpStream| {
        while let Some(asked) = Message::read(&mut stream) {
            let (status, body) = answer(&asked);
            let answer = self::answer(
                &format!("{status} So"),
                "content-type: application/json\r\n",
                body,
            );
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    };
    format!("http://{}", listen(serve))
}
