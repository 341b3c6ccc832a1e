//! Changes a valid request in the ways that a step names; a change that names several forms makes several requests.

use std::sync::Arc;

use serde_json::{Value, json};

use super::draft::{Content, Draft, json_type};
use super::world::World;
use crate::avp::cases::model::{BodyForm, Changes, FieldMutation, MemberForm};
use crate::avp::cases::{TokenForm, to_json};
use crate::avp::schema::{Field, FieldKind};
use crate::avp::{Operation, schema};
use crate::json;
use crate::keys;
use crate::text::{encode_segment, swap_case, with_small_escapes};

/// The requests that a step makes: the valid one, changed; one for each form that the step lists, and where it lists forms
/// of more than one kind, one for each combination.
pub(super) fn variants(
    world: &mut World<'_>,
    changes: Option<&Changes>,
    repo: &str,
    valid: Draft,
) -> Vec<Draft> {
    let Some(changes) = changes else {
        return vec![valid];
    };
    let mut drafts = vec![change(world, changes, repo, valid)];
    if !changes.each_field.is_empty() {
        drafts = each(&drafts, &changes.each_field, |draft, spoil| {
            each_field(draft, changes, *spoil)
        });
    }
    if !changes.form.is_empty() {
        drafts = each(&drafts, &changes.form, |draft, form| {
            vec![with_form(draft.clone(), *form)]
        });
    }
    if let Some(rpc) = &changes.rpc {
        let other = |draft| super::calls::of_method(draft, rpc);
        drafts = drafts.into_iter().map(other).collect();
    }
    if !changes.call.is_empty() {
        drafts = each(&drafts, &changes.call, |draft, form| {
            vec![super::calls::with_form(draft.clone(), *form)]
        });
    }
    if !changes.member.is_empty() {
        let world = &*world;
        drafts = each(&drafts, &changes.member, |draft, form| {
            vec![with_member(world, draft.clone(), *form)]
        });
    }
    if !changes.token.is_empty() {
        drafts = each(&drafts, &changes.token, |draft, form| {
            vec![with_token(draft.clone(), form)]
        });
    }
    drafts
}

/// Every request in every form.
fn each<T>(drafts: &[Draft], forms: &[T], change: impl Fn(&Draft, &T) -> Vec<Draft>) -> Vec<Draft> {
    let all = |draft| {
        forms
            .iter()
            .flat_map(|form| change(draft, form))
            .collect::<Vec<_>>()
    };
    drafts.iter().flat_map(all).collect()
}

/// The changes that make one request of one.
fn change(world: &mut World<'_>, changes: &Changes, repo: &str, mut draft: Draft) -> Draft {
    if let Some(Content::Json(body)) = &mut draft.content {
        let body = Arc::make_mut(body);
        let mut done = Vec::new();
        for (pointer, value) in &changes.set {
            json::set(body, pointer, fill(world, to_json(value)));
            done.push(format!("`{pointer}` set to {}", cut(&value.to_string())));
        }
        for pointer in &changes.null {
            json::set(body, pointer, Value::Null);
            done.push(format!("`{pointer}` is null"));
        }
        for pointer in &changes.remove {
            json::remove(body, pointer);
            done.push(format!("`{pointer}` left out"));
        }
        done.into_iter().for_each(|how| draft.spoil(how));
    }
    if let Some(raw) = &changes.raw {
        draft.content = Some(Content::Bytes(fill_text(world, raw).into_bytes()));
        draft.spoil(format!("the body is {}", cut(&format!("{raw:?}"))));
    }
    if let Some(method) = &changes.method {
        draft.spoil(format!("method {method}"));
        draft.method.clone_from(method);
    }
    for (name, value) in &changes.headers {
        draft
            .headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        draft.headers.push((name.clone(), fill_text(world, value)));
        draft.spoil(format!("header {name}: {value}"));
    }
    if changes.capital_headers {
        draft.has_capital_headers = true;
        draft.spoil("the names of the header fields have capitals (legal)");
    }
    change_path(world, changes, repo, &mut draft);
    draft
}

fn change_path(world: &mut World<'_>, changes: &Changes, repo: &str, draft: &mut Draft) {
    let id = world.ensure_repo(repo).id.clone();
    if let Some(other) = &changes.path_repo {
        let current = world.current(other);
        let other_id = world.ensure_repo(&current).id.clone();
        draft.path = draft
            .path
            .replacen(&encode_segment(&id), &encode_segment(&other_id), 1);
        draft.spoil(format!(
            "the path names the repository {other:?}, the body {repo:?}"
        ));
    }
    if let Some(path) = &changes.path {
        draft.path = path.replace("{repo}", &encode_segment(&id));
        draft.spoil(format!("path {path}"));
    }
    if changes.raw_segments {
        draft.path = draft.path.replace("%2B", "+").replace("%3D", "=");
        draft.spoil("`+` and `=` stand raw in the path");
    }
    if changes.small_escapes {
        draft.path = with_small_escapes(&draft.path);
        draft.spoil("the escapes of the path have small digits (legal)");
    }
}

fn with_member(world: &World<'_>, mut draft: Draft, form: MemberForm) -> Draft {
    let (before, segment) = draft.path.rsplit_once('/').unwrap_or_default();
    let id = segment
        .replace("%2B", "+")
        .replace("%2F", "/")
        .replace("%3D", "=");
    let (id, about): (String, _) = match form {
        MemberForm::CaseSwapped => (
            id.chars().map(swap_case).collect(),
            "the member id has its capitals small and its small letters capitals",
        ),
        MemberForm::Cut => (
            id.chars().take(20).collect(),
            "the member id is cut after twenty characters",
        ),
        MemberForm::OtherKey => (
            world.x25519_public_key_of(&id).unwrap_or_default().to_owned(),
            "the member's X25519 key stands for its id",
        ),
    };
    draft.path = format!("{before}/{}", encode_segment(&id));
    draft.spoil(about);
    draft
}

fn with_token(mut draft: Draft, form: &TokenForm) -> Draft {
    draft.spoil(form.to_string());
    draft.token = match form {
        TokenForm::None => None,
        other => Some(Some(other.clone())),
    };
    draft
}

fn with_form(mut draft: Draft, form: BodyForm) -> Draft {
    let valid = draft.content.as_ref().map(Content::bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&valid).into_owned();
    let bytes = |bytes: Vec<u8>| Some(Content::Bytes(bytes));
    match form {
        BodyForm::Empty => draft.content = bytes(Vec::new()),
        BodyForm::NotJson => draft.content = bytes(b"alts, please".to_vec()),
        BodyForm::Truncated => draft.content = bytes(valid[..valid.len() / 2].to_vec()),
        BodyForm::Array => draft.content = bytes(format!("[{text}]").into_bytes()),
        BodyForm::NullLiteral => draft.content = bytes(b"null".to_vec()),
        BodyForm::Quoted => draft.content = bytes(json!(text).to_string().into_bytes()),
        BodyForm::DeepOpen => draft.content = bytes(vec![b'['; 100_000]),
        BodyForm::DeepClosed => draft.content = bytes([[b'['; 1000], [b']'; 1000]].concat()),
        BodyForm::TrailingBytes => draft.content = bytes(format!("{text} trailing").into_bytes()),
        BodyForm::DuplicateKeys => draft.content = bytes(duplicate_first_key(&text).into_bytes()),
        BodyForm::InvalidUtf8 => draft.content = bytes(invalid_utf8(&valid)),
        BodyForm::LoneSurrogate => draft.content = bytes(text.replacen(":\"", ":\"\\ud800", 1).into_bytes()),
        BodyForm::NotANumber => draft.content = bytes(with_number(&text, "NaN").into_bytes()),
        BodyForm::Infinity => draft.content = bytes(with_number(&text, "Infinity").into_bytes()),
        BodyForm::HugeExponent => draft.content = bytes(with_number(&text, "1e400").into_bytes()),
        BodyForm::Utf16 => draft.content = bytes(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        BodyForm::Reformatted => draft.content = bytes(reformat(&text).into_bytes()),
        BodyForm::WrongContentType => {
            draft.headers = vec![("content-type".to_owned(), "text/html".to_owned())]
        }
        BodyForm::NoContentType => draft.headers.retain(|header| *header != json_type()),
        BodyForm::Chunked => draft
            .headers
            .push(("transfer-encoding".to_owned(), "chunked".to_owned())),
    }
    draft.spoil(about_form(form));
    draft
}

fn about_form(form: BodyForm) -> &'static str {
    match form {
        BodyForm::Empty => "the body is empty",
        BodyForm::NotJson => "the body is text, not JSON",
        BodyForm::Truncated => "the body is cut in the middle",
        BodyForm::Array => "the body stands in an array",
        BodyForm::NullLiteral => "the body is null",
        BodyForm::Quoted => "the body is a JSON string",
        BodyForm::DeepOpen => "the body is 100,000 opening brackets",
        BodyForm::DeepClosed => "the body is 1,000 nested arrays",
        BodyForm::TrailingBytes => "text stands behind the body",
        BodyForm::DuplicateKeys => "a key stands twice in the body",
        BodyForm::InvalidUtf8 => "the body is not UTF-8",
        BodyForm::LoneSurrogate => "half of a surrogate pair stands in a text",
        BodyForm::NotANumber => "a number is NaN",
        BodyForm::Infinity => "a number is Infinity",
        BodyForm::HugeExponent => "a number is 1e400",
        BodyForm::Utf16 => "the body is UTF-16",
        BodyForm::Reformatted => "white space, key order and escapes of the body differ (legal)",
        BodyForm::WrongContentType => "the body is called text/html",
        BodyForm::NoContentType => "no content type",
        BodyForm::Chunked => "the body is chunked (legal)",
    }
}

fn duplicate_first_key(text: &str) -> String {
    let first = text.find(',').unwrap_or(text.len().saturating_sub(1));
    let field = text.get(1..first).unwrap_or_default();
    format!("{{{field},{}", text.get(1..).unwrap_or_default())
}

/// The text with another number in place of the first one that is a field's.
fn with_number(text: &str, number: &str) -> String {
    let begins =
        |(at, _): &(usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let Some((colon, _)) = text.match_indices(':').find(begins) else {
        return text.to_owned();
    };
    let (before, after) = text.split_at(colon + 1);
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
    format!("{before}{number}{rest}")
}

/// The first character of the first string value becomes a byte that UTF-8 does not have.
fn invalid_utf8(valid: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    if let Some(at) = valid.windows(2).position(|pair| pair == b":\"").map(|at| at + 2) {
        bytes[at] = 0xFF;
    }
    bytes
}

fn reformat(text: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return text.to_owned();
    };
    let turned: serde_json::Map<String, Value> = fields.into_iter().rev().collect();
    let pretty = serde_json::to_string_pretty(&Value::Object(turned)).unwrap_or_else(|_| text.to_owned());
    // Every key in camel case has an `o`, an `e` or an `a`; one escape is enough to see whether escapes are read.
    format!(
        "\r\n\t{} \n",
        pretty.replacen("\"repoId\"", "\"r\\u0065poId\"", 1)
    )
}

/// One request for every field of the operation's schema that the valid body has and the spoiling concerns.
fn each_field(base: &Draft, changes: &Changes, spoil: FieldMutation) -> Vec<Draft> {
    let (Some(body), Some(message)) = (base.json(), base.operation.and_then(Operation::request_message))
    else {
        return Vec::new();
    };
    let mut drafts = Vec::new();
    for field in schema::fields(message) {
        if !changes.concerns(&field.pointer) || body.pointer(&field.pointer).is_none_or(Value::is_null) {
            continue;
        }
        for (how, spoiled) in spoil_field(body, &field, spoil) {
            let mut draft = base.clone();
            draft.content = Some(Content::Json(spoiled.into()));
            draft.spoil(how);
            drafts.push(draft);
        }
    }
    drafts
}

fn spoil_field(body: &Value, field: &Field, spoil: FieldMutation) -> Vec<(String, Value)> {
    let pointer = &field.pointer;
    let put = |value: Value| {
        let mut body = body.clone();
        json::set(&mut body, pointer, value);
        body
    };
    let as_value = |value: Value| (format!("`{pointer}` is {}", cut(&value.to_string())), put(value));
    match spoil {
        FieldMutation::Dropped if field.required => {
            let mut body = body.clone();
            json::remove(&mut body, pointer);
            vec![(format!("`{pointer}` left out"), body)]
        }
        FieldMutation::Capitalised if field.required => {
            let mut body = body.clone();
            let value = body.pointer(pointer).cloned().unwrap_or_default();
            json::remove(&mut body, pointer);
            let (object, name) = pointer.rsplit_once('/').unwrap_or_default();
            let (first, rest) = name.split_at(name.len().min(1));
            let name = format!("{}{rest}", first.to_ascii_uppercase());
            json::set(&mut body, &format!("{object}/{name}"), value);
            vec![(format!("`{pointer}` is called {name}"), body)]
        }
        FieldMutation::Null if !field.nullable => vec![as_value(Value::Null)],
        FieldMutation::Mistyped => other_types(&field.kind).into_iter().map(as_value).collect(),
        FieldMutation::BrokenBase64 => match &field.kind {
            FieldKind::Base64 { len } => {
                let known = body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let broken = broken_base64(*len).into_iter().chain(respelt_base64(known));
                broken.map(as_value).collect()
            }
            _ => Vec::new(),
        },
        FieldMutation::Fractional if matches!(field.kind, FieldKind::Int64) => vec![as_value(json!(1.5))],
        FieldMutation::Huge if matches!(field.kind, FieldKind::Int64) => {
            vec![
                as_value(json!(9_223_372_036_854_775_808_u64)),
                as_value(json!(1e300)),
            ]
        }
        FieldMutation::Unknown if matches!(field.kind, FieldKind::Object) => {
            let mut body = body.clone();
            json::set(&mut body, &format!("{pointer}/unheardOf"), json!("x"));
            vec![(format!("`{pointer}` has a field nobody knows"), body)]
        }
        _ => Vec::new(),
    }
}

/// One value of each JSON type that the field does not have.
fn other_types(kind: &FieldKind) -> Vec<Value> {
    let own = match kind {
        FieldKind::String | FieldKind::Base64 { .. } => 0,
        FieldKind::Int64 => 1,
        FieldKind::Bool => 2,
        FieldKind::Object => 3,
        FieldKind::Array => 4,
    };
    let all = [
        json!("text"),
        json!(7),
        json!(true),
        json!({ "key": "value" }),
        json!(["item"]),
    ];
    all.into_iter()
        .enumerate()
        .filter(|(index, _)| *index != own)
        .map(|(_, value)| value)
        .collect()
}

/// Text that is no base64, and, where the length is fixed, base64 of one byte less and one more.
fn broken_base64(len: Option<usize>) -> Vec<Value> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let mut broken = vec![json!("not base64!"), json!("*")];
    if let Some(len) = len {
        broken.push(json!(BASE64_STANDARD.encode(vec![7; len - 1])));
        broken.push(json!(BASE64_STANDARD.encode(vec![7; len + 1])));
    }
    broken
}

/// The same base64 in spellings that a strict decoder refuses and a lenient one reads: with a character of no alphabet or a line break
/// inside, in the URL-safe alphabet, without padding where it has some.
fn respelt_base64(known: &str) -> Vec<Value> {
    let half = known.len() / 2;
    let (Some(head), Some(tail)) = (known.get(..half), known.get(half..)) else {
        return Vec::new();
    };
    let url_safe = match known.contains(['+', '/']) {
        true => known.replace('+', "-").replace('/', "_"),
        // It would be spelt alike in both.
        false => format!("-{}", known.get(1..).unwrap_or_default()),
    };
    let bare = known.trim_end_matches('=');
    let mut spellings = vec![format!("{head}!{tail}"), format!("{head}\r\n{tail}"), url_safe];
    spellings.extend((bare != known).then(|| bare.to_owned()));
    spellings.into_iter().map(Value::from).collect()
}

/// Fills in the names of repositories and members wherever text stands.
fn fill(world: &mut World<'_>, value: Value) -> Value {
    match value {
        Value::String(text) => fill_text(world, &text).into(),
        Value::Array(items) => items.into_iter().map(|item| fill(world, item)).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, item)| (key, fill(world, item)))
                .collect(),
        ),
        other => other,
    }
}

pub(super) fn fill_text(world: &mut World<'_>, text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["repo", "other"] {
        let mark = format!("{{{name}}}");
        if text.contains(&mark) {
            let current = world.current(name);
            text = text.replace(&mark, &world.ensure_repo(&current).id);
        }
    }
    text = fill_names(world, text, "{id:", |world, name| world.member_id(name));
    text = fill_names(world, text, "{x25519:", |world, name| {
        world.actor(name).identity.x25519_public_key().to_owned()
    });
    for (mark, lookalike) in LOOKALIKES {
        text = fill_names(world, text, mark, |world, name| lookalike(&world.member_id(name)));
    }
    if let Some((before, rest)) = text.split_once("{long:")
        && let Some((length, after)) = rest.split_once('}')
        && let Ok(length) = length.parse::<usize>()
    {
        let filler: String = "AVP+/".chars().cycle().take(length).collect();
        text = format!("{before}{filler}{after}");
    }
    text
}

/// Makes an id of another one that it looks like.
type Lookalike = fn(&str) -> String;

/// What stands for ids that look like a member's, and how they are made: no script can, since its members have other keys.
pub(in crate::avp) const LOOKALIKES: [(&str, Lookalike); 2] =
    [("{like:", keys::in_other_case), ("{head:", keys::with_head_of)];

/// What stands for each `{mark:NAME}` in a text.
fn fill_names(
    world: &mut World<'_>,
    mut text: String,
    mark: &str,
    of: impl Fn(&mut World<'_>, &str) -> String,
) -> String {
    while let Some((before, rest)) = text.split_once(mark) {
        let Some((name, after)) = rest.split_once('}') else {
            break;
        };
        text = format!("{before}{}{after}", of(world, name));
    }
    text
}

/// At most 60 characters, for people.
fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
