//! A request before it has a token: what goes out, and how it deviates from the valid one.

use serde_json::Value;

use super::world::World;
use crate::case::TokenForm;
use crate::protocol::Operation;
use crate::wire::{Body, Headers, Request, Service};

/// A request in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) operation: Option<Operation>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Headers,
    pub(super) content: Option<Content>,
    /// `None`: no token at all. `Some(None)`: the actor's own.
    pub(super) token: Option<Option<TokenForm>>,
    /// How it deviates on purpose; none where it is valid.
    pub(super) spoiled: Option<String>,
}

/// What the body is made of.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Json(Value),
    Bytes(Vec<u8>),
}

impl Content {
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Content::Json(value) => value.to_string().into_bytes(),
            Content::Bytes(bytes) => bytes.clone(),
        }
    }

    /// About how many bytes that is.
    pub(super) fn size(&self) -> usize {
        match self {
            Content::Json(value) => size(value),
            Content::Bytes(bytes) => bytes.len(),
        }
    }
}

impl Draft {
    /// The valid request of an operation, with the actor's own token where the route wants one.
    pub(super) fn new(operation: Operation, path: String, body: Option<Value>) -> Draft {
        Draft {
            operation: Some(operation),
            method: operation.method().to_owned(),
            path,
            headers: body.iter().map(|_| json_type()).collect(),
            content: body.map(Content::Json),
            token: operation.needs_token().then_some(None),
            spoiled: None,
        }
    }

    /// Notes one more way in which the request deviates.
    pub(super) fn spoil(&mut self, how: impl Into<String>) {
        let how = how.into();
        self.spoiled = Some(match self.spoiled.take() {
            Some(before) => format!("{before}; {how}"),
            None => how,
        });
    }

    /// The request as it goes out. `authorization` is the whole header value, if one is sent.
    pub(super) fn request(&self, authorization: Option<String>) -> Request {
        let body = self.content.as_ref().map(|content| Body::from(content.bytes()));
        self.request_with(body, authorization)
    }

    /// The request as it goes out and as it may be shown, each with its own `authorization`.
    pub(super) fn requests(&self, sent: Option<String>, shown: Option<String>) -> (Request, Request) {
        let sent = self.request(sent);
        let shown = self.request_with(sent.body.clone(), shown);
        (sent, shown)
    }

    fn request_with(&self, body: Option<Body>, authorization: Option<String>) -> Request {
        let mut headers = self.headers.clone();
        if let Some(value) = authorization {
            headers.push(("authorization".to_owned(), value));
        }
        let auth = self.operation.is_some_and(Operation::is_auth);
        Request {
            service: if auth { Service::Idp } else { Service::Vault },
            method: self.method.clone(),
            path: self.path.clone(),
            headers,
            body,
        }
    }

    pub(super) fn json(&self) -> Option<&Value> {
        match &self.content {
            Some(Content::Json(value)) => Some(value),
            _ => None,
        }
    }
}

/// About how many bytes a value takes as JSON.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 2,
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| name.len() + 3 + size(value));
            fields.sum::<usize>() + 2
        }
        _ => 4,
    }
}

/// The header field of a JSON body.
pub(super) fn json_type() -> (String, String) {
    ("content-type".to_owned(), "application/json".to_owned())
}

/// The escaped path of an operation on the case's repository.
pub(super) fn path(world: &mut World<'_>, operation: Operation, repo: &str, member: Option<&str>) -> String {
    let member_id = member.map(|name| world.member_id(name)).unwrap_or_default();
    operation.path(&world.ensure_repo(repo).id, &member_id)
}
