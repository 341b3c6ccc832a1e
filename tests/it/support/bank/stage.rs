//! What hostile servers stand on: a listener, a thread for each connection, and a book of trespasses.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::http::{Message, read_head};

/// A hostile server at work.
pub(crate) struct Running {
    scheme: &'static str,
    stage: Arc<Stage>,
}

impl Running {
    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.stage.address)
    }

    /// What arrived that must not have.
    pub(crate) fn trespasses(&self) -> Vec<String> {
        self.stage.trespasses.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stage.stopping.store(true, Ordering::SeqCst);
        for address in [self.stage.address, self.stage.elsewhere] {
            // Wakes the listener. It may have gone already.
            let _ = TcpStream::connect(address);
        }
        for stream in self.stage.streams.lock().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

struct Stage {
    address: SocketAddr,
    /// Another host, where nobody has any business.
    elsewhere: SocketAddr,
    trespasses: Mutex<Vec<String>>,
    streams: Mutex<HashMap<usize, TcpStream>>,
    stopping: AtomicBool,
}

/// One connection to a hostile server.
pub(crate) struct Visit {
    /// Which connection it is, from 0.
    pub(crate) number: usize,
    pub(crate) stream: TcpStream,
    stage: Arc<Stage>,
}

pub(crate) fn start(scheme: &'static str, accepts: usize, serve: fn(&mut Visit)) -> Running {
    let [listener, elsewhere] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let stage = Arc::new(Stage {
        address: listener.local_addr().unwrap(),
        elsewhere: elsewhere.local_addr().unwrap(),
        trespasses: Mutex::default(),
        streams: Mutex::default(),
        stopping: AtomicBool::new(false),
    });
    let (here, there) = (stage.clone(), stage.clone());
    std::thread::spawn(move || here.listen(listener, accepts, serve));
    std::thread::spawn(move || there.listen(elsewhere, usize::MAX, report_stranger));
    Running { scheme, stage }
}

impl Stage {
    fn listen(self: Arc<Self>, listener: TcpListener, accepts: usize, serve: fn(&mut Visit)) {
        for (number, stream) in listener.incoming().flatten().enumerate().take(accepts) {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            self.streams
                .lock()
                .unwrap()
                .insert(number, stream.try_clone().unwrap());
            let mut visit = Visit {
                number,
                stream,
                stage: self.clone(),
            };
            std::thread::spawn(move || serve(&mut visit));
        }
    }
}

fn report_stranger(visit: &mut Visit) {
    let request = visit.request().unwrap_or_default();
    visit.trespass(format!("another host was contacted: {request:?}"));
    if request.to_lowercase().contains("authorization:") {
        visit.trespass("a token was carried to another host".to_owned());
    }
}

impl Visit {
    /// Reads a request with its body. None once the client has gone.
    pub(crate) fn request(&mut self) -> Option<String> {
        let request = Message::read(&mut self.stream)?;
        self.look(&request.head);
        Some(request.whole())
    }

    /// Reads a request up to its body.
    pub(crate) fn request_head(&mut self) -> Option<String> {
        let head = read_head(&mut self.stream)?;
        self.look(&head);
        Some(head)
    }

    /// Notes what no request to this server may hold.
    fn look(&self, head: &str) {
        if head.to_lowercase().contains("\r\ncookie:") {
            self.trespass("a cookie came back".to_owned());
        }
        if head.contains("/redirected") {
            self.trespass("a redirect was followed".to_owned());
        }
    }

    /// Sends bytes; whether the client took them.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the same bytes until the client has had enough.
    pub(crate) fn say_for_ever(&mut self, bytes: &[u8]) {
        while self.say(bytes) {}
    }

    /// Answers every request of this connection with the same bytes.
    pub(crate) fn always(&mut self, answer: impl AsRef<[u8]>) {
        while self.request().is_some() && self.say(answer.as_ref()) {}
    }

    /// Answers one request with these bytes and closes.
    pub(crate) fn once(&mut self, answer: impl AsRef<[u8]>) {
        if self.request().is_some() {
            self.say(answer);
        }
    }

    /// Answers one request with these bytes, and then neither speaks nor closes.
    pub(crate) fn once_and_hold(&mut self, answer: impl AsRef<[u8]>) {
        self.once(answer);
        self.hold();
    }

    /// Does nothing until the client goes.
    pub(crate) fn hold(&mut self) {
        while matches!(self.stream.read(&mut [0; 4096]), Ok(1..)) {}
    }

    /// Does not even read until the client goes, or for a minute.
    pub(crate) fn ignore(&mut self) {
        for _ in 0..6000 {
            std::thread::sleep(Duration::from_millis(10));
            if self.stage.stopping.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Makes the end of this connection a reset.
    pub(crate) fn reset(&mut self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// Ends our half of the connection.
    pub(crate) fn close_half(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The address of the other host.
    pub(crate) fn elsewhere(&self) -> SocketAddr {
        self.stage.elsewhere
    }

    fn trespass(&self, what: String) {
        if !self.stage.stopping.load(Ordering::SeqCst) {
            self.stage.trespasses.lock().unwrap().push(what);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // The other handle goes first: only the last one closes the connection.
        self.stage.streams.lock().unwrap().remove(&self.number);
    }
}
