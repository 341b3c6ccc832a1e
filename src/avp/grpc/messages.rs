//! Messages of the service, from JSON and to JSON, by its descriptors.

use std::sync::LazyLock;

use prost_reflect::prost::Message as _;
use prost_reflect::prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor,
    SerializeOptions,
};
use serde_json::Value;

use crate::avp::Operation;

/// The descriptors of `schema/avp.proto`.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let descriptors: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/avp.descriptors"));
    DescriptorPool::decode(descriptors).unwrap_or_default()
});

/// A message with more fields than this is not read: each takes many times its size, and no message of the protocol comes near.
const MOST_FIELDS: usize = 1 << 16;

/// The method of a path: `/avp.Vault/Push`.
fn method(path: &str) -> Option<MethodDescriptor> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let service = POOL.get_service_by_name(service)?;
    service.methods().find(|known| known.name() == method)
}

/// The message of a call from JSON.
pub(super) fn encode(path: &str, json: &[u8]) -> Result<Vec<u8>, String> {
    let method = method(path).ok_or_else(|| format!("the service has no method {path}"))?;
    Ok(message(method.input(), json)?.encode_to_vec())
}

/// The message of an answer as JSON: numbers of 64 bits as numbers, and every field that has no presence of its own.
pub(super) fn decode(path: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let method = method(path).ok_or_else(|| format!("the service has no method {path}"))?;
    if fields(&method.output(), bytes) > MOST_FIELDS {
        return Err(format!("it has more than {MOST_FIELDS} fields"));
    }
    let message = DynamicMessage::decode(method.output(), bytes).map_err(|error| error.to_string())?;
    to_json(&message)
}

/// How many fields a message has, those of the messages in it as well; of what is no message, as far as it can be read.
fn fields(descriptor: &MessageDescriptor, mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Ok((number, wire)) = decode_key(&mut bytes) {
        let kind = descriptor.get_field(number).map(|field| field.kind());
        let nested = match (wire, kind.as_ref().and_then(Kind::as_message)) {
            (WireType::LengthDelimited, Some(inner)) => inner,
            _ => {
                if skip_field(wire, number, &mut bytes, DecodeContext::default()).is_err() {
                    return count;
                }
                count += 1;
                continue;
            }
        };
        let length = decode_varint(&mut bytes)
            .ok()
            .and_then(|length| usize::try_from(length).ok());
        let Some(message) = length.and_then(|length| bytes.split_off(..length)) else {
            return count;
        };
        count += 1 + fields(nested, message);
    }
    count
}

fn message(descriptor: MessageDescriptor, json: &[u8]) -> Result<DynamicMessage, String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(descriptor, &mut reader, &options)
        .map_err(|error| error.to_string())
}

fn to_json(message: &DynamicMessage) -> Result<Vec<u8>, String> {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .skip_default_fields(false);
    let mut json = Vec::new();
    let mut writer = serde_json::Serializer::new(&mut json);
    message
        .serialize_with_options(&mut writer, &options)
        .map_err(|error| error.to_string())?;
    Ok(json)
}

/// Whether an operation's message can be said in protobuf as it stands in JSON. The error says what cannot.
///
/// # Errors
/// It comes back as another one.
pub fn can_say(operation: Operation, json: &Value) -> Result<(), String> {
    let path = operation
        .rpc()
        .ok_or_else(|| format!("gRPC has no {operation}"))?;
    let method = method(path).ok_or_else(|| format!("the service has no method {path}"))?;
    let said = message(method.input(), json.to_string().as_bytes())
        .map_err(|why| format!("protobuf cannot say this message: {why}"))?;
    let back = serde_json::from_slice(&to_json(&said)?).map_err(|error| error.to_string())?;
    match difference(json, &back) {
        None => Ok(()),
        Some(pointer) => Err(format!("protobuf cannot say what stands at `{pointer}` in JSON")),
    }
}

/// Fields that may be null in JSON, which says the same as leaving them out.
const NULLABLE: [&str; 2] = ["keyBindingSig", "rotatedMembers"];

/// Where a message comes back as another one: a JSON pointer. Absent and null are one where null is allowed; so are absent and
/// empty where a field has no presence and the protocol has it optional. A list that JSON must have is sent as an empty one
/// where it is left out, and that is another request: a server may take it as it is.
fn difference(json: &Value, back: &Value) -> Option<String> {
    match (json, back) {
        (Value::Object(sent), Value::Object(got)) => {
            let names = sent
                .keys()
                .chain(got.keys().filter(|name| !sent.contains_key(*name)));
            names
                .filter_map(|name| Some((name, field(name, sent.get(name), got.get(name))?)))
                .map(|(name, rest)| format!("/{name}{rest}"))
                .next()
        }
        (Value::Array(sent), Value::Array(got)) if sent.len() == got.len() => sent
            .iter()
            .zip(got)
            .enumerate()
            .find_map(|(index, (sent, got))| Some(format!("/{index}{}", difference(sent, got)?))),
        (sent, got) => (sent != got).then(String::new),
    }
}

fn field(name: &str, sent: Option<&Value>, got: Option<&Value>) -> Option<String> {
    let is_absent = |value: &&Value| value.is_null() && NULLABLE.contains(&name);
    match (sent.filter(|value| !is_absent(value)), got) {
        (Some(sent), Some(got)) => difference(sent, got),
        (Some(_), None) => Some(String::new()),
        (None, None | Some(Value::Bool(false))) => None,
        (None, Some(Value::Array(items))) if items.is_empty() && NULLABLE.contains(&name) => None,
        (None, Some(_)) => Some(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> Value {
        json!({
            "ed25519PublicKey": "a", "x25519PublicKey": "b", "keyEpoch": 1,
            "wrappedDataKey": { "schemeId": "s", "ephemeralPublicKey": "e", "iv": "i", "ciphertext": "c" },
        })
    }

    fn add(member: Value) -> Value {
        json!({ "repoId": "r", "member": member })
    }

    #[test]
    fn every_operation_but_discovery_has_a_method() {
        for operation in Operation::ALL {
            let found = operation.rpc().and_then(method);
            assert_eq!(found.is_some(), operation != Operation::Discovery, "{operation}");
        }
    }

    #[test]
    fn what_comes_back_as_another_message_cannot_be_said() {
        let says = |json: &Value| can_say(Operation::AddMember, json);
        assert_eq!(says(&add(entry())), Ok(()));
        let with = |name: &str, value: Value| {
            let mut entry = entry();
            entry[name] = value;
            add(entry)
        };
        assert_eq!(says(&with("keyBindingSig", Value::Null)), Ok(()));
        assert_eq!(says(&with("keyBindingSig", json!(""))), Ok(()));
        assert_eq!(says(&with("keyEpoch", json!(i64::MIN))), Ok(()));
        for (name, value) in [
            ("keyEpoch", json!("1")),
            ("keyEpoch", json!(1.5)),
            ("keyEpoch", json!(u64::MAX)),
            ("keyEpoch", Value::Null),
            ("wrappedDataKey", Value::Null),
            ("ed25519PublicKey", json!(7)),
            ("unheardOf", json!("x")),
        ] {
            assert!(says(&with(name, value.clone())).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_list_that_may_be_absent_is_left_out_and_no_other() {
        let push = json!({ "repoId": "r", "expectedPayloadVersion": 1 });
        assert_eq!(can_say(Operation::Push, &push), Ok(()));
        let mut removal = json!({ "repoId": "r", "removedMemberId": "m", "newKeyEpoch": 2 });
        assert!(can_say(Operation::RemoveMember, &removal).is_err());
        removal["rewrappedMembers"] = json!([]);
        assert_eq!(can_say(Operation::RemoveMember, &removal), Ok(()));
    }

    #[test]
    fn a_message_of_too_many_fields_is_not_read() {
        let path = "/avp.Vault/Pull";
        // A manifest of empty members, two bytes each.
        let with_members = |count: usize| {
            let members = [0x2a, 0].repeat(count);
            let mut bytes = vec![0x0a];
            prost_reflect::prost::encoding::encode_varint(members.len() as u64, &mut bytes);
            [bytes, members].concat()
        };
        assert!(decode(path, &with_members(100)).is_ok());
        for many in [with_members(MOST_FIELDS), [0xc0, 0x3e, 1].repeat(MOST_FIELDS + 1)] {
            let error = decode(path, &many).unwrap_err();
            assert!(error.contains("more than 65536 fields"), "{error}");
        }
        // A length that leads beyond the end is left to the decoder.
        assert!(decode(path, &[0x0a, 0x7f, 1]).is_err());
    }

    #[test]
    fn counters_are_exact_and_presence_is_kept() {
        let path = "/avp.Vault/FetchMemberKey";
        let of = |value: &Value| {
            let descriptor = method(path).unwrap().output();
            message(descriptor, value.to_string().as_bytes()).unwrap()
        };
        let mut sent = entry();
        sent["keyEpoch"] = json!(i64::MAX);
        let read = |value: &Value| -> Value {
            serde_json::from_slice(&decode(path, &of(value).encode_to_vec()).unwrap()).unwrap()
        };
        assert_eq!(read(&sent), sent);
        sent["keyBindingSig"] = json!("");
        assert_eq!(read(&sent), sent);
        assert_eq!(read(&json!({}))["keyEpoch"], 0);
        assert!(read(&json!({})).get("wrappedDataKey").is_none());
        assert!(decode(path, b"\xff\xff").is_err());
    }
}
