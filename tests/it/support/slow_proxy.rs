//! Proxies before a server that make it slow, short of breath or forgetful, as deployments are: none of them changes what
//! the server answers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use super::http;

/// Header fields of an answer 429.
const TOO_MANY: &str = "retry-after: 1\r\ncontent-type: application/json\r\n";

/// Header fields of a page.
const HTML: &str = "content-type: text/html\r\n";

/// What a proxy does to those who use it.
#[derive(Clone, Copy)]
pub(crate) enum Conduct {
    /// One worker serves one request after the other, and each takes so long.
    OneWorker(Duration),
    /// After so many requests everybody waits, once, for so long.
    Pause(usize, Duration),
    /// So many connections may wait to be accepted, and each is accepted only after so long.
    ShortQueue(i32, Duration),
    /// So many requests are granted in a second; what is beyond is answered 429.
    Rate(usize),
    /// The first request with this in its path that comes on a used connection is executed, and the connection closed
    /// instead of an answer.
    Forgets(&'static str),
    /// Requests with this in their path are never answered.
    Hangs(&'static str),
    /// Each request takes so long, however many there are.
    Slow(Duration),
    /// One connection is served after the other, each for one request; so many may wait.
    OneByOne(i32),
    /// Of the requests with this in their path one in so many is answered 502, and not passed on.
    Loses(&'static str, usize),
    /// One worker reads one request after the other to its end; nobody else is heard meanwhile.
    ReadsOne,
}

/// A running proxy. It lives as long as the test's process.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
}

struct State {
    conduct: Conduct,
    server: SocketAddr,
    /// Held by the worker's current request, and by all during a pause.
    worker: Mutex<()>,
    requests: AtomicUsize,
    forgot: AtomicUsize,
    /// When the requests of the current second began to be counted, and how many there were.
    second: Mutex<(Instant, usize)>,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr, conduct: Conduct) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        if let Conduct::ShortQueue(backlog, _) | Conduct::OneByOne(backlog) = conduct {
            rustix::net::listen(&listener, backlog).unwrap();
        }
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            conduct,
            server,
            worker: Mutex::default(),
            requests: AtomicUsize::new(0),
            forgot: AtomicUsize::new(0),
            second: Mutex::new((Instant::now(), 0)),
        });
        spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                if let Conduct::ShortQueue(_, takes) = conduct {
                    sleep(takes);
                }
                // Either side may go at any time.
                match conduct {
                    Conduct::OneByOne(_) => _ = state.serve_one(client),
                    _ => _ = spawn(move || state.serve(client).ok()),
                }
            }
        });
        Proxy { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl State {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut server = TcpStream::connect(self.server)?;
        server.set_nodelay(true)?;
        let forget = Arc::new(AtomicBool::new(false));
        let back = (server.try_clone()?, client.try_clone()?, Arc::clone(&forget));
        spawn(move || answer(back));
        let mut pending = Vec::new();
        let mut served = 0;
        while let Some(request) = self.read(&mut client, &mut pending)? {
            if !self.admit(&mut client, &request)? {
                continue;
            }
            served += 1;
            if self.forgets(&request, served) {
                forget.store(true, Ordering::SeqCst);
            }
            server.write_all(&request)?;
        }
        server.shutdown(Shutdown::Write)
    }

    /// One request, and the end of the connection behind its answer.
    fn serve_one(&self, mut client: TcpStream) -> io::Result<()> {
        let mut server = TcpStream::connect(self.server)?;
        let request = self.read(&mut client, &mut Vec::new())?;
        let Some(request) = request.filter(|request| length(request).is_some()) else {
            return Ok(());
        };
        let (line, rest) = request.split_at(
            request
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1),
        );
        server.write_all(&[line, b"connection: close\r\n", rest].concat())?;
        answer((server, client, Arc::default()));
        Ok(())
    }

    fn read(&self, client: &mut TcpStream, pending: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let _reading = match self.conduct {
            Conduct::ReadsOne => {
                client.peek(&mut [0])?;
                Some(lock(&self.worker))
            }
            _ => None,
        };
        read_request(client, pending)
    }

    /// Does to a request what is to be done before it is passed on. Whether it is.
    fn admit(&self, client: &mut TcpStream, request: &[u8]) -> io::Result<bool> {
        match self.conduct {
            Conduct::OneWorker(takes) => {
                let _working = lock(&self.worker);
                sleep(takes);
            }
            Conduct::Pause(after, takes) => {
                let number = self.requests.fetch_add(1, Ordering::SeqCst);
                let _waiting = lock(&self.worker);
                if number == after {
                    sleep(takes);
                }
            }
            Conduct::Rate(most) => {
                let mut second = lock(&self.second);
                if second.0.elapsed() >= Duration::from_secs(1) {
                    *second = (Instant::now(), 0);
                }
                second.1 += 1;
                if second.1 > most {
                    let body = r#"{"error":"too many requests","code":"quota_exceeded"}"#;
                    client.write_all(&http::answer("429 Too Many Requests", TOO_MANY, body))?;
                    return Ok(false);
                }
            }
            Conduct::Loses(path, every) if path_of(request).contains(path) => {
                let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
                if number.is_multiple_of(every) {
                    client.write_all(&http::answer("502 Bad Gateway", HTML, "<h1>Bad gateway</h1>"))?;
                    return Ok(false);
                }
            }
            Conduct::Hangs(path) => return Ok(!path_of(request).contains(path)),
            Conduct::Slow(takes) => sleep(takes),
            Conduct::Loses(..)
            | Conduct::ShortQueue(..)
            | Conduct::OneByOne(_)
            | Conduct::Forgets(_)
            | Conduct::ReadsOne => {}
        }
        Ok(true)
    }

    fn forgets(&self, request: &[u8], served: usize) -> bool {
        let Conduct::Forgets(path) = self.conduct else {
            return false;
        };
        served > 1 && path_of(request).contains(path) && self.forgot.fetch_add(1, Ordering::SeqCst) == 0
    }
}

/// Passes answers on. One that is to be forgotten ends the connection in its place: the server has executed the request.
fn answer((mut server, mut client, forget): (TcpStream, TcpStream, Arc<AtomicBool>)) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        if forget.load(Ordering::SeqCst) || client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path_of(request: &[u8]) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

/// One request with its body, byte for byte: a proxy passes on what is no HTTP too. What is behind it stays in `pending`. None at the end, and what is no request comes as it is.
fn read_request(client: &mut TcpStream, pending: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; 65536];
    loop {
        if let Some(length) = length(pending) {
            let rest = pending.split_off(length);
            return Ok(Some(std::mem::replace(pending, rest)));
        }
        match client.read(&mut buffer)? {
            0 if pending.is_empty() => return Ok(None),
            0 => return Ok(Some(std::mem::take(pending))),
            count => pending.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The length of the first request, where it is whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let find = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let head = find(b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    if text.contains("\r\ntransfer-encoding:") {
        return Some(
            head + bytes[head..]
                .windows(5)
                .position(|window| window == b"0\r\n\r\n")?
                + 5,
        );
    }
    let announced = text.split("\r\ncontent-length:").nth(1);
    let body = announced.and_then(|rest| rest.lines().next()?.trim().parse().ok());
    let whole = head + body.unwrap_or(0);
    (bytes.len() >= whole).then_some(whole)
}
