//! Calls of one actor: on its idle connection where there is one, else on a fresh one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout_at;

use super::Call;
use super::connection::{GrpcConnection, HeldCall};
use crate::http::attempt::{Clock, Sent};
use crate::http::client::Client;
use crate::http::phrases::failure;
use crate::http::{Answer, Failure, FailureKind, Request};

/// The idle connection of a lane, if it has one.
#[derive(Clone, Default)]
pub(crate) struct GrpcSlot(Arc<Mutex<Option<GrpcConnection>>>);

/// A call with a connection of its own, ready to go: for races.
pub(crate) struct PrimedCall {
    slot: GrpcSlot,
    client: Client,
    call: Call,
    connection: GrpcConnection,
}

/// A call whose last byte is held back.
pub(crate) struct LoadedCall {
    primed: PrimedCall,
    held: HeldCall,
    clock: Clock,
}

impl GrpcSlot {
    /// Makes a call. One that a server has said not to have looked at is made again, once, on a fresh connection.
    pub(crate) async fn send(&self, client: &Client, request: &Request, clock: Clock) -> Sent {
        let call = match call(client, request) {
            Ok(call) => call,
            Err(failure) => return clock.stop(Err(failure), false),
        };
        let mut resent = false;
        if let Some(connection) = self.take() {
            match self.attempt(client, connection, &call, clock).await {
                Ended::Done(result) => return clock.stop(result, true),
                Ended::Untouched(_) => {}
                Ended::Unheard(_) => resent = true,
            }
        }
        Sent {
            resent,
            ..self.send_fresh(client, &call, clock).await
        }
    }

    /// Makes a call on a fresh connection, and once more on another where the server has not looked at it.
    async fn send_fresh(&self, client: &Client, call: &Call, clock: Clock) -> Sent {
        for is_last in [false, true] {
            let connection = match open(client, clock.left()).await {
                Ok(connection) => connection,
                Err(failure) => return clock.stop(Err(failure), false),
            };
            let result = match self.attempt(client, connection, call, clock).await {
                Ended::Untouched(_) if !is_last => continue,
                Ended::Done(result) => result,
                Ended::Untouched(failure) | Ended::Unheard(failure) => Err(failure),
            };
            return clock.stop(result, false);
        }
        clock.stop(
            Err(failure(FailureKind::Closed, "no connection took the call")),
            false,
        )
    }

    /// Makes everything ready for a call, up to its first byte.
    ///
    /// # Errors
    /// No connection can be made, or the call cannot be said.
    pub(crate) async fn prime(&self, client: &Client, request: &Request) -> Result<PrimedCall, Failure> {
        let call = call(client, request)?;
        let connection = match self.take() {
            Some(connection) => connection,
            None => open(client, client.timeout()).await?,
        };
        Ok(PrimedCall {
            slot: self.clone(),
            client: client.clone(),
            call,
            connection,
        })
    }

    async fn attempt(
        &self,
        client: &Client,
        mut connection: GrpcConnection,
        call: &Call,
        clock: Clock,
    ) -> Ended {
        let exchange = connection.exchange(call, client.caps());
        match timeout_at(clock.deadline(), exchange).await {
            Ok(Ok(answer)) => {
                self.keep(connection);
                Ended::Done(Ok(answer))
            }
            Ok(Err(refused)) if refused.is_untouched => Ended::Untouched(refused.failure),
            Ok(Err(refused)) if refused.failure.kind == FailureKind::Closed && !connection.heard() => {
                Ended::Unheard(refused.failure)
            }
            Ok(Err(refused)) => Ended::Done(Err(refused.failure)),
            Err(_) => Ended::Done(Err(connection.out_of_time(clock.limit()))),
        }
    }

    fn take(&self) -> Option<GrpcConnection> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        idle.filter(GrpcConnection::is_usable)
    }

    fn keep(&self, connection: GrpcConnection) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

/// How an attempt ended.
enum Ended {
    /// With an answer, or for good without one.
    Done(Result<Answer, Failure>),
    /// The server has said that it did not look at the call.
    Untouched(Failure),
    /// The connection was closed before anything came.
    Unheard(Failure),
}

impl PrimedCall {
    /// Sends all but the last byte.
    ///
    /// # Errors
    /// The connection ends before that.
    pub(crate) async fn load(mut self) -> Result<LoadedCall, Failure> {
        if !self.connection.is_usable() {
            self.connection = open(&self.client, self.client.timeout()).await?;
        }
        let held = match self.connection.hold(&self.call).await {
            // A server may end a connection between two calls at any time.
            Err(refused) if refused.is_untouched => {
                self.connection = open(&self.client, self.client.timeout()).await?;
                self.connection.hold(&self.call).await
            }
            held => held,
        };
        let held = held.map_err(|refused| refused.failure)?;
        Ok(LoadedCall {
            clock: Clock::start(self.client.timeout()),
            primed: self,
            held,
        })
    }
}

impl LoadedCall {
    /// Lets the last byte go.
    pub(crate) fn let_go(&mut self, clock: Clock) {
        self.clock = clock;
        self.held.let_go();
    }

    /// Waits for the answer. A call that the server has said not to have looked at is made again, on a fresh connection.
    pub(crate) async fn answer(self) -> Sent {
        let LoadedCall { primed, held, clock } = self;
        let PrimedCall {
            slot,
            client,
            call,
            mut connection,
        } = primed;
        let completing = connection.complete(held, &call, client.caps());
        match timeout_at(clock.deadline(), completing).await {
            Ok(Ok(answer)) => {
                slot.keep(connection);
                clock.stop(Ok(answer), true)
            }
            // It comes late to its race then, and is a part of it all the same.
            Ok(Err(refused)) if refused.is_untouched => slot.send_fresh(&client, &call, clock).await,
            Ok(Err(refused)) => clock.stop(Err(refused.failure), true),
            Err(_) => clock.stop(Err(connection.out_of_time(clock.limit())), true),
        }
    }
}

/// The call that a request stands for.
fn call(client: &Client, request: &Request) -> Result<Call, Failure> {
    let Some((site, codec)) = client.grpc_site() else {
        return Err(nowhere());
    };
    Call::new(request, site, codec)
}

async fn open(client: &Client, limit: Duration) -> Result<GrpcConnection, Failure> {
    let Some((site, _)) = client.grpc_site() else {
        return Err(nowhere());
    };
    GrpcConnection::open(site, limit.min(client.connect_timeout())).await
}

fn nowhere() -> Failure {
    failure(FailureKind::Connect, "the run was told of no address for gRPC")
}
