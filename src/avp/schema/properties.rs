//! The schema document as data: the properties of a message, read from its definition.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

/// One property of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) nullable: bool,
    pub(super) shape: Shape,
}

/// What a property holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    String,
    Int64,
    Bool,
    /// Another message.
    Message(&'static str),
    /// An array, of messages where one is named.
    List(Option<&'static str>),
    /// An object with keys of the sender's choice.
    Map,
}

/// The properties of a message in the order of the schema; none for an unknown message.
pub(super) fn properties(message: &str) -> &'static [Property] {
    static PROPERTIES: LazyLock<HashMap<&str, Vec<Property>>> = LazyLock::new(|| {
        let read = |(name, definition)| (name, read(definition));
        super::definitions().map(read).collect()
    });
    PROPERTIES.get(message).map_or(&[], Vec::as_slice)
}

fn read(definition: &'static Value) -> Vec<Property> {
    let required = definition.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|list| list.iter().any(|one| one == name));
    let properties = definition.get("properties").and_then(Value::as_object);
    let property = |(name, schema)| {
        let name: &'static String = name;
        Property {
            name,
            required: is_required(name),
            nullable: is_nullable(schema),
            shape: shape(schema),
        }
    };
    properties.into_iter().flatten().map(property).collect()
}

fn shape(schema: &'static Value) -> Shape {
    if let Some(message) = referenced(schema) {
        return Shape::Message(message);
    }
    match types(schema).next() {
        Some("integer") => Shape::Int64,
        Some("boolean") => Shape::Bool,
        Some("array") => Shape::List(schema.get("items").and_then(referenced)),
        Some("object") => Shape::Map,
        _ => Shape::String,
    }
}

fn is_nullable(schema: &'static Value) -> bool {
    let branches = schema
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    types(schema)
        .chain(branches.flat_map(types))
        .any(|name| name == "null")
}

/// The message that a property refers to, itself or in its `anyOf` with null.
fn referenced(schema: &'static Value) -> Option<&'static str> {
    let branches = schema
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut schemas = std::iter::once(schema).chain(branches);
    let reference = schemas.find_map(|one| one.get("$ref"))?.as_str()?;
    reference.strip_prefix("#/$defs/")
}

/// The names of `type`, whether it is one or a list.
fn types(schema: &'static Value) -> impl Iterator<Item = &'static str> {
    let names = schema.get("type");
    let list = names.and_then(Value::as_array).into_iter().flatten();
    names.into_iter().chain(list).filter_map(Value::as_str)
}
