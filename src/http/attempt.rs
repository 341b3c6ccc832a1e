//! A request on its way: on which connection, how often, and what becomes of the connection afterwards.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::connect::{Site, connect};
use super::connection::{Connection, Held, Idle};
use super::head::Message;
use super::{Answer, Failure, FailureKind, Outcome, Request, Service};

/// What came of sending a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The answer, or why there is none.
    pub outcome: Outcome,
    /// From the first step towards the server to the last byte of the answer; waiting for the pace is not in it.
    pub took: Duration,
    /// Whether it travelled on a connection that had served another request.
    pub reused: bool,
    /// Whether it was sent a second time, because the peer had closed the idle connection that it first went to.
    pub resent: bool,
}

/// The idle connections of a lane, by origin.
pub(super) type Slots = Arc<Mutex<Vec<Option<Connection>>>>;

/// The way to one service.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) client: Client,
    pub(super) slots: Slots,
    pub(super) keep_after_error: bool,
    pub(super) once: bool,
    pub(super) service: Service,
}

/// When an exchange began and how long it may take.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    started: Instant,
    limit: Duration,
}

impl Clock {
    pub(super) fn start(limit: Duration) -> Clock {
        Clock {
            started: Instant::now(),
            limit,
        }
    }

    /// How long the exchange may take.
    pub(super) fn limit(self) -> Duration {
        self.limit
    }

    /// When its time is up.
    pub(super) fn deadline(self) -> Instant {
        self.started + self.limit
    }

    /// What is left of its time.
    pub(super) fn left(self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// The end of an exchange that took one attempt.
    pub(super) fn stop(self, result: Result<Answer, Failure>, reused: bool) -> Sent {
        let outcome = match result {
            Ok(answer) => Outcome::Answer(answer),
            Err(failure) => Outcome::Failure(failure),
        };
        Sent {
            outcome,
            took: self.started.elapsed(),
            reused,
            resent: false,
        }
    }
}

impl Attempt {
    /// The request's bytes for this service.
    pub(super) fn message(&self, request: &Request) -> Result<Message, Failure> {
        let site = self.site();
        Message::new(request, &site.endpoint, &site.extra)
    }

    /// Sends on `idle`, where there is one, else on a fresh connection. A connection that had served another request
    /// may turn out to be closed: then, and never otherwise, the message is sent again, on a fresh one.
    pub(super) async fn send(&self, message: &Message, idle: Option<Connection>, clock: Clock) -> Sent {
        let resent = match idle {
            None => false,
            Some(mut link) => match self.attempt(&mut link, message, clock).await {
                Err(failure) if failure.kind == FailureKind::Closed && !link.heard() => {
                    self.client.note_closed_idle();
                    true
                }
                result => return self.keep(link, message, clock.stop(result, true)),
            },
        };
        Sent {
            resent,
            ..self.send_fresh(message, clock).await
        }
    }

    /// Sends on a fresh connection.
    pub(super) async fn send_fresh(&self, message: &Message, clock: Clock) -> Sent {
        match self.open(clock.left()).await {
            Ok(link) => self.send_on(link, message, clock).await,
            Err(failure) => clock.stop(Err(failure), false),
        }
    }

    /// Sends on a connection that was opened for this message.
    pub(super) async fn send_on(&self, mut link: Connection, message: &Message, clock: Clock) -> Sent {
        if let Some(failure) = link.early() {
            return clock.stop(Err(failure), false);
        }
        let result = self.attempt(&mut link, message, clock).await;
        self.keep(link, message, clock.stop(result, false))
    }

    /// Reads the answer to a message that was let go.
    pub(super) async fn complete(
        &self,
        mut link: Connection,
        held: Held,
        message: &Message,
        clock: Clock,
        reused: bool,
    ) -> Sent {
        let completing = link.complete(held, self.client.caps());
        let result = match timeout_at(clock.deadline(), completing).await {
            Ok(result) => result,
            Err(_) => Err(link.out_of_time(clock.limit)),
        };
        self.keep(link, message, clock.stop(result, reused))
    }

    /// Opens a connection, within `limit` and the client's own limit.
    pub(super) async fn open(&self, limit: Duration) -> Result<Connection, Failure> {
        connect(self.site(), limit.min(self.client.connect_timeout())).await
    }

    /// The idle connection to the service, if it is still fit and may be used.
    pub(super) async fn idle(&self) -> Result<Option<Connection>, Failure> {
        let Some(mut link) = self.slot(Option::take) else {
            return Ok(None);
        };
        if self.once && self.client.closes_idle() && !self.keep_after_error {
            return Ok(None);
        }
        match link.idle().await {
            Idle::Usable => Ok(Some(link)),
            Idle::Stray(failure) if self.keep_after_error => Err(failure),
            Idle::Stray(_) => Ok(None),
            Idle::Gone => {
                self.client.note_closed_idle();
                Ok(None)
            }
        }
    }

    async fn attempt(
        &self,
        link: &mut Connection,
        message: &Message,
        clock: Clock,
    ) -> Result<Answer, Failure> {
        let exchange = link.exchange(message, self.client.caps());
        match timeout_at(clock.deadline(), exchange).await {
            Ok(result) => result,
            Err(_) => Err(link.out_of_time(clock.limit)),
        }
    }

    /// Keeps the connection for the next request, if nothing speaks against it.
    fn keep(&self, link: Connection, message: &Message, sent: Sent) -> Sent {
        if let Some(answer) = sent.outcome.answer() {
            let harmless = matches!(answer.status, 200..=299) || !message.has_body;
            let fit = link.is_clean() && harmless;
            let wanted = self.keep_after_error && (link.is_clean() || link.has_stray());
            if fit || wanted {
                self.slot(|slot| *slot = Some(link));
            }
        }
        sent
    }

    fn site(&self) -> &Site {
        self.client.site(&self.service).0
    }

    fn slot<T>(&self, with: impl FnOnce(&mut Option<Connection>) -> T) -> T {
        let (_, index) = self.client.site(&self.service);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.is_empty() {
            slots.resize_with(self.client.origins(), || None);
        }
        with(&mut slots[index])
    }
}
