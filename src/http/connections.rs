//! One actor's connections.

use std::sync::PoisonError;
use std::time::Duration;

use super::attempt::{Attempt, Clock, Sent, Slots};
use super::client::Client;
use super::connection::{Connection, Held, Idle};
use super::grpc::{GrpcSlot, LoadedCall, PrimedCall};
use super::head::Message;
use super::{Failure, FailureKind, Request, Service, Wire};

/// One actor's connections within one case: at most one idle connection per origin, shared with nobody.
pub struct Connections {
    client: Client,
    slots: Slots,
    keep_after_error: bool,
    once: bool,
    /// Over what it speaks.
    wire: Wire,
    /// The idle connection for calls.
    calls: GrpcSlot,
    /// How long it has waited for the rate that the target grants.
    waited: Duration,
}

/// A request with a connection of its own, ready to go: for races.
pub struct Primed(PrimedOver);

enum PrimedOver {
    Http(Box<PrimedMessage>),
    Grpc(Box<PrimedCall>),
}

struct PrimedMessage {
    trip: Attempt,
    message: Message,
    link: Connection,
    reused: bool,
}

impl Connections {
    pub(super) fn new(client: Client) -> Connections {
        Connections {
            client,
            slots: Slots::default(),
            keep_after_error: false,
            once: false,
            wire: Wire::Http,
            calls: GrpcSlot::default(),
            waited: Duration::ZERO,
        }
    }

    /// Speaks over this from now on.
    pub fn over(&mut self, wire: Wire) {
        self.wire = wire;
    }

    /// Sends a request and waits for its answer, no longer than `timeout`.
    pub async fn send(&mut self, request: &Request, timeout: Duration) -> Sent {
        self.waited += self.client.pace().turn().await;
        let clock = Clock::start(timeout);
        if self.wire == Wire::Grpc {
            return self.calls.send(&self.client, request, clock).await;
        }
        let trip = self.trip(&request.service);
        let message = match trip.message(request) {
            Ok(message) => message,
            Err(failure) => return clock.stop(Err(failure), false),
        };
        match trip.idle().await {
            Ok(idle) => trip.send(&message, idle, clock).await,
            Err(failure) => clock.stop(Err(failure), true),
        }
    }

    /// Sends exact bytes on a connection of their own and reads one answer. Configured headers are not added, and the
    /// connection is not used again.
    pub async fn send_raw(&mut self, bytes: &[u8], service: &Service, timeout: Duration) -> Sent {
        self.waited += self.client.pace().turn().await;
        let trip = Attempt {
            slots: Slots::default(),
            ..self.trip(service)
        };
        trip.send_fresh(&Message::raw(bytes), Clock::start(timeout)).await
    }

    /// Makes everything ready for a request, up to its first byte.
    ///
    /// # Errors
    /// No connection can be made.
    pub async fn prime(&mut self, request: &Request) -> Result<Primed, Failure> {
        self.waited += self.client.pace().turn().await;
        if self.wire == Wire::Grpc {
            let primed = self.calls.prime(&self.client, request).await?;
            return Ok(Primed(PrimedOver::Grpc(Box::new(primed))));
        }
        let trip = self.trip(&request.service);
        let message = trip.message(request)?;
        let idle = trip.idle().await?;
        let reused = idle.is_some();
        let link = match idle {
            Some(link) => link,
            None => trip.open(self.client.timeout()).await?,
        };
        Ok(Primed(PrimedOver::Http(Box::new(PrimedMessage {
            trip,
            message,
            link,
            reused,
        }))))
    }

    /// How long it has waited for the rate that the target grants since this was last asked.
    pub fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// Closes the idle connections.
    pub fn forget(&mut self) {
        *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
        self.calls = GrpcSlot::default();
    }

    /// Whether connections are kept even after a refusal of a request that had a body, as a case may want to see what
    /// the server makes of a body that it did not read. What the server then sends unasked is a failure of the next
    /// request; else the next request would quietly go to a fresh connection.
    pub fn keep_after_error(&mut self, keep: bool) {
        self.keep_after_error = keep;
    }

    /// Whether what is sent next must not be sent twice: it then goes to a fresh connection wherever the target is known to
    /// close idle ones. The first to find out is sent again all the same, and says so.
    pub fn send_once(&mut self, once: bool) {
        self.once = once;
    }

    fn trip(&self, service: &Service) -> Attempt {
        let Connections {
            client,
            slots,
            keep_after_error,
            once,
            ..
        } = self;
        Attempt {
            client: client.clone(),
            slots: slots.clone(),
            keep_after_error: *keep_after_error,
            once: *once,
            service: service.clone(),
        }
    }
}

/// A request whose end is held back, and goes out when it is told to.
pub struct Loaded(LoadedOver);

enum LoadedOver {
    Http(Box<LoadedMessage>),
    Grpc(Box<LoadedCall>),
}

struct LoadedMessage {
    trip: Attempt,
    message: Message,
    link: Connection,
    reused: bool,
    held: Held,
    clock: Option<Clock>,
}

/// How long it is waited until all but the end of a request has been taken: a peer that does one thing at a time may take
/// it later.
const LOADING_TIME: Duration = Duration::from_millis(250);

impl Primed {
    /// Sends all but the last byte: then the server has nothing left to do but to read that.
    ///
    /// # Errors
    /// The connection ends, or takes none of it, before all but the last byte is sent.
    pub async fn load(self) -> Result<Loaded, Failure> {
        self.load_up_to(|message| message.bytes.len()).await
    }

    /// Sends the head, and so many bytes of the body.
    ///
    /// # Errors
    /// The connection ends, or takes none of it, before so much is sent.
    pub async fn load_head(self, bytes: usize) -> Result<Loaded, Failure> {
        self.load_up_to(|message| message.head + bytes).await
    }

    /// Sends up to a byte, which is not the last. Of a call goes out all but the last byte in any event.
    async fn load_up_to(self, at: impl FnOnce(&Message) -> usize) -> Result<Loaded, Failure> {
        let PrimedMessage {
            trip,
            message,
            mut link,
            reused,
        } = match self.0 {
            PrimedOver::Grpc(call) => return Ok(Loaded(LoadedOver::Grpc(Box::new(call.load().await?)))),
            PrimedOver::Http(primed) => *primed,
        };
        let at = at(&message).min(message.bytes.len().saturating_sub(1));
        match link.idle().await {
            Idle::Usable => {}
            Idle::Gone => {
                trip.client.note_closed_idle();
                link = trip.open(trip.client.timeout()).await?;
            }
            Idle::Stray(failure) => return Err(failure),
        }
        let held = match link.hold(&message, at, LOADING_TIME).await {
            // Nothing that a server could act on has gone out yet: another connection does as well.
            Err(failure) if failure.kind == FailureKind::Closed => {
                link = trip.open(trip.client.timeout()).await?;
                link.hold(&message, at, LOADING_TIME).await?
            }
            held => held?,
        };
        Ok(Loaded(LoadedOver::Http(Box::new(LoadedMessage {
            trip,
            message,
            link,
            reused,
            held,
            clock: None,
        }))))
    }
}

impl Loaded {
    /// Lets the rest go, at once; from now on the answer may take `limit`.
    pub fn let_go(&mut self, limit: Duration) {
        match &mut self.0 {
            LoadedOver::Http(loaded) => {
                loaded.clock = Some(Clock::start(limit));
                loaded.link.let_go();
            }
            LoadedOver::Grpc(call) => call.let_go(Clock::start(limit)),
        }
    }

    /// Waits for the answer.
    pub async fn answer(self) -> Sent {
        let LoadedMessage {
            trip,
            message,
            link,
            reused,
            held,
            clock,
        } = match self.0 {
            LoadedOver::Http(loaded) => *loaded,
            LoadedOver::Grpc(call) => return call.answer().await,
        };
        let clock = clock.unwrap_or_else(|| Clock::start(trip.client.timeout()));
        trip.complete(link, held, &message, clock, reused).await
    }
}
