//! Which requests of a case go over gRPC, how they look there, and what of them it has no words for.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use super::draft::{Content, Draft, json_type};
use super::{CaseResult, Driver};
use crate::avp::cases::{Action, LoadedCase, TokenForm, http_alone};
use crate::avp::{IDP, Operation, VAULT, grpc};
use crate::http::{Body, CANCEL, GRPC_CONTENT_TYPE, Over, Request, Wire};
use crate::text::decode_segment;

/// After which parts of the time that an operation took before a call of it is cancelled, in turn: whoever writes in two
/// steps is met between them.
const CANCELLED_AFTER: [f64; 3] = [0.5, 0.25, 0.75];
/// After so long, where nobody knows how long the operation takes.
const CANCELLED_AFTER_UNKNOWN: Duration = Duration::from_millis(8);

/// Why nobody gets a token.
const NO_LOGINS: &str = "the target does not offer avp.Auth, so nobody gets a token over gRPC: name the identity provider with --idp, or the target's HTTP address with --target";

impl Driver<'_> {
    /// Ends a case that has nothing to do over gRPC.
    pub(super) fn check_sayable_case(&self) -> CaseResult<()> {
        let client = &self.target.client;
        if self.over == Over::Both && self.is_about_login && client.endpoint(&IDP) != client.endpoint(&VAULT)
        {
            return Err(self.talk.not_applicable(
                "the identity provider is a service of its own, with nonces of its own: \
                 nothing asks it to agree with avp.Auth",
            ));
        }
        if self.over != Over::Grpc || self.case.case.over.is_some() {
            return Ok(());
        }
        match http_alone(self.case) {
            Some(what) => Err(self.talk.not_applicable(format!(
                "it is about {what}, which HTTP alone has: over gRPC there is nothing to ask"
            ))),
            None => Ok(()),
        }
    }

    /// Over what a request goes. Logins go over HTTP where that is spoken, but for those that a case is about.
    pub(super) fn wire(&self, draft: &Draft) -> Wire {
        let own = match self.over {
            Over::Http => return Wire::Http,
            Over::Grpc => Wire::Grpc,
            Over::Both => self.step_wire,
        };
        if let Some(wire) = draft.wire {
            return wire;
        }
        match draft.operation {
            None | Some(Operation::Discovery) => Wire::Http,
            Some(operation) if operation.is_auth() => {
                match self.is_about_login || !self.target.client.speaks_http(&IDP) {
                    true => own,
                    false => Wire::Http,
                }
            }
            Some(_) => own,
        }
    }

    /// The request as it goes out. `authorization` is the whole value, if one is sent.
    pub(super) fn finished(&self, draft: &Draft, authorization: Option<String>) -> Request {
        let request = draft.request(authorization);
        match (self.wire(draft), draft.operation) {
            (Wire::Grpc, Some(operation)) => over_grpc(draft, operation, request),
            _ => request,
        }
    }

    /// The request as it goes on the wire, where that is not what is written down of it.
    pub(super) fn on_wire<'a>(&self, draft: &Draft, request: &'a Request, round: usize) -> Cow<'a, Request> {
        if draft.headers.iter().any(|(name, _)| name == CANCEL) {
            let mut request = request.clone();
            let time = self.time_before_cancelling(draft, round).as_micros().to_string();
            request.headers.retain(|(name, _)| name != CANCEL);
            request.headers.push((CANCEL.to_owned(), time));
            return Cow::Owned(request);
        }
        let Some(frames) = draft.frames.as_ref().filter(|_| self.wire(draft) == Wire::Grpc) else {
            return Cow::Borrowed(request);
        };
        let mut request = request.clone();
        request.body = Some(Body::from(frames.clone()));
        if !is_framed(draft) {
            request
                .headers
                .push(("content-type".to_owned(), GRPC_CONTENT_TYPE.to_owned()));
        }
        Cow::Owned(request)
    }

    /// How long a server has for a call before it is cancelled.
    fn time_before_cancelling(&self, draft: &Draft, round: usize) -> Duration {
        let took = draft.operation.and_then(|operation| self.took.get(&operation));
        let part = CANCELLED_AFTER[round % CANCELLED_AFTER.len()];
        took.map_or(CANCELLED_AFTER_UNKNOWN, |took| took.mul_f64(part))
    }

    /// Those of a step's requests that can be said over what they go; the case ends where that is none of them.
    pub(super) fn sayable(&self, drafts: Vec<Draft>) -> CaseResult<Vec<Draft>> {
        let mut why = None;
        let (any, mut kept) = (!drafts.is_empty(), drafts);
        kept.retain(|draft| match self.wire(draft) {
            Wire::Grpc => can_say(draft)
                .map_err(|reason| why.get_or_insert(reason).clone())
                .is_ok(),
            _ => true,
        });
        match why {
            Some(why) if any && kept.is_empty() => Err(self.talk.not_applicable(why)),
            _ => Ok(kept),
        }
    }

    /// Ends a case whose call of the service `Auth` was answered that there is none.
    pub(super) fn heed_no_auth_service(&self, draft: &Draft, status: Option<u16>) -> CaseResult<()> {
        let is_auth = draft.operation.is_some_and(Operation::is_auth) && self.wire(draft) == Wire::Grpc;
        if !is_auth || status != Some(grpc::NOT_OFFERED) {
            return Ok(());
        }
        Err(match self.is_about_login {
            true => self
                .talk
                .not_applicable("the target does not offer the service avp.Auth over gRPC"),
            false => self.talk.error(NO_LOGINS),
        })
    }
}

/// Whether the case is about logging in, so that its logins go over what it is run over.
pub(super) fn is_about_login(case: &LoadedCase) -> bool {
    (0..case.case.steps.len()).any(|index| {
        matches!(
            case.step(index).action(),
            Action::Challenge(_) | Action::Redeem(_)
        )
    })
}

fn over_grpc(draft: &Draft, operation: Operation, request: Request) -> Request {
    let message = || message(draft, operation).map(|message| Body::from(message.to_string()));
    let headers = request
        .headers
        .into_iter()
        .filter(|header| *header != json_type());
    Request {
        method: "POST".to_owned(),
        path: draft
            .rpc
            .clone()
            .or(operation.rpc().map(str::to_owned))
            .unwrap_or(request.path),
        headers: headers.collect(),
        body: match is_framed(draft) {
            true => request.body,
            false => message(),
        },
        ..request
    }
}

fn is_framed(draft: &Draft) -> bool {
    let framed =
        |(name, value): &(String, String)| name == "content-type" && value.starts_with(GRPC_CONTENT_TYPE);
    draft.headers.iter().any(framed)
}

/// The message of a request. That of fetchMemberKey, which has no body over HTTP, holds the ids of the path.
pub(super) fn message(draft: &Draft, operation: Operation) -> Option<Value> {
    if operation != Operation::FetchMemberKey {
        return draft.json().cloned();
    }
    let mut segments = draft.path.split('/').skip(3);
    let (repo, member) = (segments.next()?, segments.nth(1)?);
    Some(json!({ "repoId": decode_segment(repo)?, "memberId": decode_segment(member)? }))
}

/// Whether a request can be said over gRPC. The error says what of it cannot.
fn can_say(draft: &Draft) -> Result<(), String> {
    let Some(operation) = draft.operation else {
        return Err("gRPC has no requests outside its methods".to_owned());
    };
    if is_framed(draft) {
        return Ok(());
    }
    if draft.token == Some(Some(TokenForm::InQuery)) {
        return Err("gRPC has no query that could carry a token".to_owned());
    }
    if let Some(Content::Bytes(_)) = &draft.content {
        return Err("protobuf has no such form of a body".to_owned());
    }
    let Some(message) = message(draft, operation) else {
        return Err("the ids of its path cannot be read".to_owned());
    };
    let in_path = draft.path.split('/').nth(3).and_then(decode_segment);
    let in_message = message.get("repoId").and_then(Value::as_str);
    if operation.needs_token() && operation != Operation::CreateRepo && in_path.as_deref() != in_message {
        return Err("gRPC has no path that could name another repository than the message".to_owned());
    }
    grpc::can_say(operation, &message)
}
