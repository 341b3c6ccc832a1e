//! A request before it has a token: what goes out, and how it deviates from the valid one.

use std::sync::Arc;

use serde_json::Value;

use super::world::World;
use crate::avp::cases::TokenForm;
use crate::avp::{IDP, Operation, VAULT};
use crate::http::{Body, Headers, Request, Wire};

/// A request in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) operation: Option<Operation>,
    pub(super) method: String,
    pub(super) path: String,
    /// The path of its call over gRPC, where it is another than that of the operation.
    pub(super) rpc: Option<String>,
    /// What goes out over gRPC in place of the message in its frame.
    pub(super) frames: Option<Vec<u8>>,
    /// Over what it goes, where that is not for its case and step to say.
    pub(super) wire: Option<Wire>,
    pub(super) headers: Headers,
    pub(super) content: Option<Content>,
    /// `None`: no token at all. `Some(None)`: the actor's own.
    pub(super) token: Option<Option<TokenForm>>,
    /// Whether the names of its header fields are written with capitals.
    pub(super) has_capital_headers: bool,
    /// How it deviates on purpose; none where it is valid.
    pub(super) spoiled: Option<String>,
}

/// What the body is made of.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Json(Arc<Value>),
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

/// What is written down of a request in place of the token that goes out in it.
#[derive(Debug, Clone)]
pub(super) enum Mask {
    /// Nothing: it carries no token, or its token may be seen.
    Nothing,
    /// The value of its last header.
    Authorization(String),
    /// A token, wherever it stands in its headers.
    Everywhere {
        /// The token.
        token: String,
        /// What is shown of it.
        shown: String,
    },
    /// Its path.
    Path(String),
}

impl Mask {
    /// The request as it may be shown.
    pub(super) fn over(self, mut request: Request) -> Request {
        match self {
            Mask::Nothing => {}
            Mask::Authorization(shown) => {
                if let Some((_, value)) = request.headers.last_mut() {
                    *value = shown;
                }
            }
            Mask::Everywhere { token, shown } => {
                for (_, value) in &mut request.headers {
                    *value = value.replace(&token, &shown);
                }
            }
            Mask::Path(shown) => request.path = shown,
        }
        request
    }
}

impl Draft {
    /// The valid request of an operation, with the actor's own token where the route wants one.
    pub(super) fn new(operation: Operation, path: String, body: Option<Arc<Value>>) -> Draft {
        Draft {
            operation: Some(operation),
            method: operation.method().to_owned(),
            path,
            rpc: None,
            frames: None,
            wire: None,
            headers: body.iter().map(|_| json_type()).collect(),
            content: body.map(Content::Json),
            token: operation.needs_token().then_some(None),
            has_capital_headers: false,
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

    /// Whether the request may be sent again where a gateway answered: the target does nothing at it, or is to do nothing since it
    /// deviates from what is valid.
    pub(super) fn says_the_same_twice(&self) -> bool {
        let spends = |operation: Operation| self.spoiled.is_none() && operation.is_spent_by_use();
        self.operation.is_some_and(|operation| !spends(operation))
    }

    /// The request as it goes out. `authorization` is the whole header value, if one is sent.
    pub(super) fn request(&self, authorization: Option<String>) -> Request {
        let mut headers = self.headers.clone();
        if let Some(value) = authorization {
            headers.push(("authorization".to_owned(), value));
        }
        if self.has_capital_headers {
            for (name, _) in &mut headers {
                *name = with_capitals(name);
            }
        }
        let auth = self.operation.is_some_and(Operation::is_auth);
        Request {
            service: if auth { IDP } else { VAULT },
            method: self.method.clone(),
            path: self.path.clone(),
            headers,
            body: self.content.as_ref().map(|content| Body::from(content.bytes())),
        }
    }

    pub(super) fn json(&self) -> Option<&Value> {
        match &self.content {
            Some(Content::Json(value)) => Some(value),
            _ => None,
        }
    }
}

/// The name of a header field with a capital at the beginning of each word.
fn with_capitals(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
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
