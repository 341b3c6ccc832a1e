//! A proxy of HTTP/2 before a server, as load balancers are: it ends connections in an orderly way whenever it likes, and sends
//! answers on in pieces of its own size. None of that changes what the server answers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;

use super::bank::http2::frame;

/// Types of frames (RFC 9113, section 6), and the flag of a stream's last.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;

/// What a client says first.
const PREFACE_BYTES: usize = 24;
/// The last stream of a GOAWAY that announces another.
const ANY_STREAM: u32 = 0x7fff_ffff;

/// What a proxy does to connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Behind the answer to the call of this number, a connection ends.
    EndsBehind(usize),
    /// As soon as the call of this number has begun, the connection is said to end; the call is answered all the same.
    EndsDuring(usize),
    /// As soon as the call of this number has begun, the connection ends without it.
    LeavesOut(usize),
    /// Messages of answers come a byte at a time.
    SmallData,
}

/// A running proxy. It lives as long as the test's process.
pub(crate) struct Proxy {
    address: SocketAddr,
    acted: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr, conduct: Conduct) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let acted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&acted);
        spawn(move || {
            for client in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                // Either side may go at any time.
                spawn(move || pass(server, conduct, client, &count).ok());
            }
        });
        Proxy { address, acted }
    }

    pub(crate) fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// How many connections were ended, or frames made small.
    pub(crate) fn acted(&self) -> usize {
        self.acted.load(Ordering::SeqCst)
    }
}

/// One connection of a client's.
struct Link {
    conduct: Conduct,
    client: Mutex<TcpStream>,
    /// The last stream that is passed on.
    last: AtomicU32,
    /// The stream behind which the connection ends.
    ends_behind: AtomicU32,
    acted: Arc<AtomicUsize>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    bytes: Vec<u8>,
}

const FRAME_HEAD_BYTES: usize = 9;

fn pass(server: SocketAddr, conduct: Conduct, client: TcpStream, acted: &Arc<AtomicUsize>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = TcpStream::connect(server)?;
    server.set_nodelay(true)?;
    let link = Arc::new(Link {
        conduct,
        client: Mutex::new(client.try_clone()?),
        last: AtomicU32::new(ANY_STREAM),
        ends_behind: AtomicU32::new(0),
        acted: Arc::clone(acted),
    });
    let back = (server.try_clone()?, client.try_clone()?, Arc::clone(&link));
    spawn(move || {
        let (server, client, link) = back;
        // What ends one side ends the other.
        link.answers(&server).ok();
        client.shutdown(Shutdown::Both).ok();
        server.shutdown(Shutdown::Both).ok();
    });
    link.calls(client, &server).ok();
    server.shutdown(Shutdown::Write)
}

impl Link {
    /// Passes on what the client says, as long as it concerns streams that are to be.
    fn calls(&self, mut client: TcpStream, mut server: &TcpStream) -> io::Result<()> {
        let mut preface = [0; PREFACE_BYTES];
        client.read_exact(&mut preface)?;
        server.write_all(&preface)?;
        let (mut calls, mut newest) = (0, 0);
        loop {
            let frame = read_frame(&mut client)?;
            if frame.kind == HEADERS && frame.stream > newest {
                calls += 1;
                self.begun(calls, newest, frame.stream)?;
                newest = frame.stream;
            }
            if frame.stream <= self.last.load(Ordering::SeqCst) {
                server.write_all(&frame.bytes)?;
            }
        }
    }

    /// A call has begun: its number on the connection, the stream of the one before, and its own.
    fn begun(&self, number: usize, before: u32, stream: u32) -> io::Result<()> {
        match self.conduct {
            Conduct::EndsBehind(at) if at == number => {
                self.last.store(stream, Ordering::SeqCst);
                self.ends_behind.store(stream, Ordering::SeqCst);
            }
            Conduct::EndsDuring(at) if at == number => {
                self.ends_behind.store(stream, Ordering::SeqCst);
                self.goaway(ANY_STREAM)?;
                self.goaway(stream)?;
            }
            Conduct::LeavesOut(at) if at == number => {
                self.goaway(before)?;
                self.lock().shutdown(Shutdown::Write)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn answers(&self, mut server: &TcpStream) -> io::Result<()> {
        loop {
            let frame = read_frame(&mut server)?;
            let is_last = frame.kind == RST_STREAM
                || matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            let bytes = match (self.conduct, frame.kind) {
                (Conduct::SmallData, DATA) => self.small(&frame),
                _ => frame.bytes,
            };
            self.lock().write_all(&bytes)?;
            if is_last && frame.stream == self.ends_behind.load(Ordering::SeqCst) {
                if let Conduct::EndsBehind(_) = self.conduct {
                    self.goaway(frame.stream)?;
                }
                return Ok(());
            }
        }
    }

    /// The same data, a byte in each frame.
    fn small(&self, data: &Frame) -> Vec<u8> {
        let payload = &data.bytes[FRAME_HEAD_BYTES..];
        if payload.is_empty() {
            return data.bytes.clone();
        }
        self.acted.fetch_add(1, Ordering::SeqCst);
        let end = payload.len() - 1;
        let one = |(at, byte): (usize, &u8)| {
            let flags = if at == end { data.flags } else { 0 };
            frame(DATA, flags, data.stream, &[*byte])
        };
        payload.iter().enumerate().flat_map(one).collect()
    }

    /// Says that no stream above the last will be looked at.
    fn goaway(&self, last: u32) -> io::Result<()> {
        self.last.store(last, Ordering::SeqCst);
        if last != ANY_STREAM {
            self.acted.fetch_add(1, Ordering::SeqCst);
        }
        let no_error = 0_u32.to_be_bytes();
        let payload = [last.to_be_bytes(), no_error].concat();
        self.lock().write_all(&frame(GOAWAY, 0, 0, &payload))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, TcpStream> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_frame(stream: &mut impl Read) -> io::Result<Frame> {
    let mut head = [0; FRAME_HEAD_BYTES];
    stream.read_exact(&mut head)?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut bytes = head.to_vec();
    bytes.resize(FRAME_HEAD_BYTES + u32::from_be_bytes([0, a, b, c]) as usize, 0);
    stream.read_exact(&mut bytes[FRAME_HEAD_BYTES..])?;
    Ok(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes(id),
        bytes,
    })
}
