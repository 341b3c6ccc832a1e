//! The other transport edge: the gRPC profile, by tonic and generated types. A message becomes the JSON of the HTTP profile here,
//! the same operation answers it by the same rules, and its answer becomes a message again.
//!
//! A body that is no message, and a call without one, are refused by tonic before anybody looks at the token.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request as Call, Response, Status};

use super::answer::{self, Answer};
use super::connection::Site;
use super::faults::across;
use super::faults::grpc as faults;
use super::faults::grpc::Taken;
use super::request::{Body, Request};
use super::state::State;
use super::variations::grpc as freedoms;
use super::{access, core};
use crate::avp::Operation;
use generated::auth_server::{Auth, AuthServer};
use generated::vault_server::{Vault, VaultServer};
use generated::{
    AuthChallenge, AuthToken, ChallengeRequest, CreateRepoRequest, FetchMemberKeyRequest, MemberAddRequest,
    MemberEntry, MemberRemoveRequest, PullRequest, PullResponse, PushRequest, PushResponse, TokenRequest,
    VaultManifest,
};

#[expect(
    unreachable_pub,
    clippy::allow_attributes,
    reason = "generated from schema/avp.proto"
)]
mod generated {
    tonic::include_proto!("avp");
}

/// What a client sends first that speaks HTTP/2 without asking (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What was read of a stream to see which protocol it is, and whether it is HTTP/2.
pub(super) async fn begins_http2<S: AsyncRead + Unpin>(stream: &mut S) -> (Vec<u8>, bool) {
    let mut first = Vec::with_capacity(PREFACE.len());
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        let mut rest = [0; PREFACE.len()];
        let wanted = PREFACE.len() - first.len();
        match stream.read(&mut rest[..wanted]).await {
            Ok(count) if count > 0 => first.extend_from_slice(&rest[..count]),
            _ => break,
        }
    }
    let is_http2 = first == PREFACE;
    (first, is_http2)
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(site: Arc<Site>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new());
    freedoms::configure(&site.state, &mut builder);
    let leaving = Arc::new(Notify::new());
    let leaves = Arc::clone(&leaving);
    let service = service_fn(move |request| respond(Arc::clone(&site), request, Arc::clone(&leaves)));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // A client that breaks off ends its own connection, nothing else.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = leaving.notified() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

type HttpResponse = http::Response<tonic::body::Body>;

async fn respond(
    site: Arc<Site>,
    request: http::Request<Incoming>,
    leaving: Arc<Notify>,
) -> Result<HttpResponse, Infallible> {
    let state = &site.state;
    if faults::reads_bytes(state) {
        return Ok(respond_faultily(&site, request).await);
    }
    if state.is_plain() {
        return dispatch(&site, request.map(tonic::body::Body::new)).await;
    }
    let response = match read(state, request).await {
        Ok(request) => dispatch(&site, request).await?,
        Err(refusal) => refusal.into_http(),
    };
    let response = freedoms::give(state, with_faulty_head(&site, response)).await;
    if freedoms::ends_connection(state) {
        leaving.notify_one();
    }
    Ok(response)
}

/// The call, as a server reads it that uses the freedoms of the profile; or its refusal.
async fn read(
    state: &State,
    request: http::Request<Incoming>,
) -> Result<http::Request<tonic::body::Body>, Status> {
    let needs_token = request.uri().path().starts_with("/avp.Vault/");
    if needs_token && freedoms::looks_at_token_first(state) {
        let head = as_request(request.method().as_str(), request.uri().path(), request.headers());
        if access::caller(state, &head).is_err() {
            freedoms::note_refused_early(state);
            return Err(Status::unauthenticated("a token is needed here"));
        }
    }
    freedoms::read(state, request).await
}

/// A call as a request without a body.
fn as_request(method: &str, path: &str, headers: &HeaderMap) -> Request {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        authorization: authorization.map(str::to_owned),
        content_type: None,
        host: None,
        headers: headers.clone(),
        body: Body::Whole(Vec::new()),
        admitted: false,
        connection: 0,
    }
}

/// Has the service of the path answer.
async fn dispatch(
    site: &Arc<Site>,
    request: http::Request<tonic::body::Body>,
) -> Result<HttpResponse, Infallible> {
    let service = request
        .uri()
        .path()
        .split('/')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let (desk, limit) = (Desk(Arc::clone(site)), site.body_limit);
    let has_auth = !freedoms::has_no_auth(&site.state);
    let mut response = match service.as_str() {
        "avp.Vault" => {
            let mut service = VaultServer::new(desk).max_decoding_message_size(limit);
            if freedoms::takes_gzip(&site.state, request.headers()) {
                service = service.accept_compressed(CompressionEncoding::Gzip);
            }
            service.call(request).await?
        }
        "avp.Auth" if has_auth => {
            let mut service = AuthServer::new(desk).max_decoding_message_size(limit);
            service.call(request).await?
        }
        _ => Status::unimplemented("there is no such service").into_http(),
    };
    // tonic calls a message that is too large out of range; the profile's table has a status for it.
    if refused_with(&response) == Some("11") {
        set_status(&mut response, "8");
    }
    Ok(response)
}

/// The status of a refusal, which stands in the head.
fn refused_with(response: &HttpResponse) -> Option<&str> {
    response.headers().get(Status::GRPC_STATUS)?.to_str().ok()
}

fn set_status(response: &mut HttpResponse, code: &'static str) {
    let code = http::HeaderValue::from_static(code);
    response.headers_mut().insert(Status::GRPC_STATUS, code);
}

/// Reads the bytes of a call in the way of the server's fault, and answers it.
async fn respond_faultily(site: &Arc<Site>, request: http::Request<Incoming>) -> HttpResponse {
    let (mut head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let body = faults::read(&site.state, &mut head.headers, body);
    let ask = async |body: Bytes| {
        let body = tonic::body::Body::new(Full::new(body).map_err(|never| match never {}));
        match dispatch(site, http::Request::from_parts(head.clone(), body)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    let path = head.uri.path();
    let mut response = ask(body.clone()).await;
    if let Some(second) = faults::second(&site.state, &body) {
        response = ask(second).await;
    }
    if refused_with(&response) != Some("13") {
        faults::remember(&site.state, path, &body);
        return response;
    }
    if let Some(last) = faults::last(&site.state, path) {
        return ask(last).await;
    }
    match faults::answers_empty(&site.state, &body) {
        true => empty(),
        false => response,
    }
}

/// OK, with an empty message.
fn empty() -> HttpResponse {
    let trailers = async { Some(Ok(HeaderMap::from_iter([status_field("0")]))) };
    let message = Full::new(Bytes::from_static(&[0; 5])).with_trailers(trailers);
    let mut response = http::Response::new(tonic::body::Body::new(
        message.map_err(|never: Infallible| match never {}),
    ));
    let content_type = http::HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    response
}

fn status_field(code: &'static str) -> (http::HeaderName, http::HeaderValue) {
    (
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static(code),
    )
}

/// The response as a server gives it that is at fault in its heads.
fn with_faulty_head(site: &Site, mut response: HttpResponse) -> HttpResponse {
    let Some(status) = refused_with(&response) else {
        return response;
    };
    match faults::head(&site.state, status) {
        faults::Head::Plain => {}
        faults::Head::Empty => return empty(),
        faults::Head::NotFound => set_status(&mut response, "5"),
        faults::Head::NoStatus => {
            response.headers_mut().remove(Status::GRPC_STATUS);
        }
        faults::Head::OfHttp => {
            *response.status_mut() = http::StatusCode::FORBIDDEN;
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        }
    }
    response
}

/// Takes calls, and hands them to the core.
struct Desk(Arc<Site>);

impl Desk {
    /// Answers a call of an operation on a repository, and a member of it.
    async fn answer<Q: Serialize, A: DeserializeOwned>(
        &self,
        operation: Operation,
        ids: (&str, &str),
        metadata: &MetadataMap,
        message: &Q,
    ) -> Result<Response<A>, Status> {
        let no_json = |_| Status::internal("the message cannot be said in JSON");
        let state = &self.0.state;
        let headers = metadata.clone().into_headers();
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let mut call = Taken {
            operation,
            repo_id: ids.0.to_owned(),
            authorization: authorization.map(str::to_owned),
            stand_in: None,
            body: serde_json::to_value(message).map_err(no_json)?,
        };
        let mut answer = match state.is_plain() {
            true => self.ask(&call, ids.1, &headers),
            false => self.ask_faultily(&mut call, ids.1, headers).await,
        };
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        let path = format!("(gRPC) {operation}");
        self.0.tell("POST", &path, &answer.status);
        if answer.status == 429 {
            freedoms::tell_when(state, &mut answer.headers);
        }
        match faults::status(state, &call, &answer) {
            Some(code) => Err(Status::new(Code::from(code), "refused")),
            None => reply(&answer),
        }
    }

    /// Has the core answer.
    fn ask(&self, call: &Taken, member_id: &str, headers: &HeaderMap) -> Answer {
        let path = format!("/{}", call.operation.name());
        let request = Request {
            authorization: call.authorization.clone(),
            body: Body::Whole(call.body.to_string().into_bytes()),
            ..as_request(call.operation.method(), &path, headers)
        };
        let stand_in = call.stand_in.clone();
        core::call(
            &self.0.state,
            &request,
            call.operation,
            &call.repo_id,
            member_id,
            stand_in,
        )
    }

    /// The same on a server that deviates.
    async fn ask_faultily(&self, call: &mut Taken, member_id: &str, headers: HeaderMap) -> Answer {
        let state = &self.0.state;
        if let Some(answer) = faults::take(state, &headers, call) {
            return answer;
        }
        if let Some(answer) = faults::without_lock(state, call).await {
            return answer;
        }
        if let Some(answer) = across::look_up_nonce(state, call) {
            return answer;
        }
        let _own = across::own_lock(state).await;
        across::overlook(state, call).await;
        let before = faults::roster_before(state, call);
        let mut answer = self.ask(call, member_id, &headers);
        faults::by_half(state, &headers, call, before, &mut answer).await;
        faults::give(state, call, &mut answer);
        across::note_nonce(state, call, &answer);
        answer
    }
}

/// The answer as a message, or as a status by the profile's table.
fn reply<A: DeserializeOwned>(answer: &Answer) -> Result<Response<A>, Status> {
    let read;
    let value = match &answer.body {
        answer::Body::Json(value) => value,
        // Written as JSON already, in a form of the server's own.
        _ => {
            let (_, bytes) = answer.content();
            read = serde_json::from_slice::<serde_json::Value>(&bytes)
                .map_err(|_| Status::internal("the answer is no message"))?;
            &read
        }
    };
    if answer.status < 300 {
        let message = A::deserialize(value).map_err(|_| Status::internal("the answer is no message"))?;
        return Ok(Response::new(message));
    }
    let said = value["error"].as_str().unwrap_or_default();
    let mut status = Status::new(code(answer.status), said);
    for (name, value) in &answer.headers {
        let name = name.to_ascii_lowercase();
        if let (Ok(name), Ok(value)) = (
            tonic::metadata::AsciiMetadataKey::from_bytes(name.as_bytes()),
            value.parse(),
        ) {
            status.metadata_mut().insert(name, value);
        }
    }
    Err(status)
}

/// The table of statuses (AVP 0.4, gRPC profile).
fn code(status: u16) -> Code {
    match status {
        400 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::AlreadyExists,
        413 | 429 => Code::ResourceExhausted,
        500 => Code::Internal,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Unknown,
    }
}

#[tonic::async_trait]
impl Vault for Desk {
    async fn create_repo(&self, call: Call<CreateRepoRequest>) -> Result<Response<VaultManifest>, Status> {
        let message = call.get_ref();
        self.answer(Operation::CreateRepo, ("", ""), call.metadata(), message)
            .await
    }

    async fn pull(&self, call: Call<PullRequest>) -> Result<Response<PullResponse>, Status> {
        let message = call.get_ref();
        self.answer(Operation::Pull, (&message.repo_id, ""), call.metadata(), message)
            .await
    }

    async fn push(&self, call: Call<PushRequest>) -> Result<Response<PushResponse>, Status> {
        let message = call.get_ref();
        self.answer(Operation::Push, (&message.repo_id, ""), call.metadata(), message)
            .await
    }

    async fn add_member(&self, call: Call<MemberAddRequest>) -> Result<Response<VaultManifest>, Status> {
        let message = call.get_ref();
        self.answer(
            Operation::AddMember,
            (&message.repo_id, ""),
            call.metadata(),
            message,
        )
        .await
    }

    async fn remove_member(
        &self,
        call: Call<MemberRemoveRequest>,
    ) -> Result<Response<VaultManifest>, Status> {
        let message = call.get_ref();
        self.answer(
            Operation::RemoveMember,
            (&message.repo_id, ""),
            call.metadata(),
            message,
        )
        .await
    }

    async fn fetch_member_key(
        &self,
        call: Call<FetchMemberKeyRequest>,
    ) -> Result<Response<MemberEntry>, Status> {
        let message = call.get_ref();
        let ids = (message.repo_id.as_str(), message.member_id.as_str());
        self.answer(Operation::FetchMemberKey, ids, call.metadata(), message)
            .await
    }
}

#[tonic::async_trait]
impl Auth for Desk {
    async fn challenge(&self, call: Call<ChallengeRequest>) -> Result<Response<AuthChallenge>, Status> {
        self.answer(Operation::Challenge, ("", ""), call.metadata(), call.get_ref())
            .await
    }

    async fn token(&self, call: Call<TokenRequest>) -> Result<Response<AuthToken>, Status> {
        self.answer(Operation::Token, ("", ""), call.metadata(), call.get_ref())
            .await
    }
}
