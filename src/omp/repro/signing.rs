//! How a request is signed again, as shell: the line anew, the same key, and the same deviation.

use std::fmt::Write as _;

use crate::http::Exchange;
use crate::omp::KEY_IDS;
use crate::omp::sign::{
    ANOTHER_TEXT, Form, OTHER_HOST, OTHER_QUERY, STRANGER, WEAK, about, degenerate, rfc9421_components,
};
use crate::repro::{Plan, Words};

/// How a script signs a request.
pub(super) struct Signed {
    /// Commands before the request.
    pub(super) commands: String,
    /// The value of the field `Signature`, in double quotes.
    pub(super) signature: String,
}

/// How a request was signed, by what was written down; none where it was not.
fn form(exchange: &Exchange) -> Option<Form> {
    let is_signed = exchange
        .request
        .headers
        .iter()
        .any(|(name, _)| name.starts_with("signature"));
    let how = exchange.spoiled.as_deref().unwrap_or_default();
    let named = |form: &Form| {
        about(*form, true).is_some_and(|about| how == about || how.ends_with(&format!("; {about}")))
    };
    let form = Form::ALL.into_iter().find(named).unwrap_or(Form::Valid);
    is_signed.then_some(form)
}

/// The id of the key that a request names: the first that somebody knows, where there are several labels.
fn key_id(exchange: &Exchange) -> Option<String> {
    let (_, input) = exchange
        .request
        .headers
        .iter()
        .find(|(name, _)| name == "signature-input")?;
    let named = input.split("keyid=\"").skip(1);
    let ids: Vec<&str> = named.filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    let known = ids.iter().find(|id| ![STRANGER, WEAK].contains(*id));
    known.or(ids.first()).map(|id| (*id).to_owned())
}

/// The id of the key that signs a request.
fn signer(plan: &Plan<'_>, exchange: &Exchange, form: Form) -> String {
    let named = match form {
        // What is named is none that anybody has.
        Form::UnknownId
        | Form::CutId
        | Form::LongerId
        | Form::InheritedId
        | Form::DottedId
        | Form::InTwoLines => None,
        _ => key_id(exchange),
    };
    named.unwrap_or_else(|| first_id(plan))
}

/// The ids of the keys that requests are signed with.
pub(super) fn key_ids(plan: &Plan<'_>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for (_, exchange) in plan.exchanges() {
        let Some(form) = form(exchange) else { continue };
        let other = (form == Form::OtherKnownKey)
            .then(|| other_id(plan, exchange))
            .flatten();
        let own = signer(plan, exchange, form);
        for id in [own].into_iter().chain(other) {
            if !ids.contains(&id) && ![STRANGER, WEAK].contains(&id.as_str()) && is_name(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

/// Whether an id may be the name of a file.
fn is_name(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.';
    !id.is_empty() && !id.starts_with('.') && id.bytes().all(is_plain)
}

/// The id of the first key: the one that a valid request of the report names.
fn first_id(plan: &Plan<'_>) -> String {
    all_ids(plan).next().unwrap_or_else(|| KEY_IDS[0].to_owned())
}

/// The id of the key that a request is signed with that names another.
fn other_id(plan: &Plan<'_>, exchange: &Exchange) -> Option<String> {
    let own = key_id(exchange);
    let standard = KEY_IDS.iter().any(|id| own.as_deref() == Some(id));
    let standard = KEY_IDS.iter().filter(|_| standard).map(|id| (*id).to_owned());
    standard.chain(all_ids(plan)).find(|id| Some(id) != own.as_ref())
}

/// All ids that valid requests of the report name, in order.
fn all_ids<'a>(plan: &Plan<'a>) -> impl Iterator<Item = String> + use<'a> {
    let exchanges = plan.record.cases.iter().flat_map(|case| &case.exchanges);
    let valid = exchanges.filter(|exchange| exchange.spoiled.is_none());
    valid.filter_map(key_id)
}

/// Whether a key is needed that the target does not know.
pub(super) fn wants_stranger(plan: &Plan<'_>) -> bool {
    let forms = [
        Form::UnknownKey,
        Form::WrongKey,
        Form::BeforeOthers,
        Form::AfterOthers,
        Form::InOtherOrder,
        Form::InTwoLines,
    ];
    let mut all = plan
        .exchanges()
        .into_iter()
        .filter_map(|(_, exchange)| form(exchange));
    all.any(|form| forms.contains(&form))
}

/// Signs a request to `path` (a word of the shell) at the address in the variable `base`; adds to the words what stands in
/// `Signature-Input` for times. None where a script cannot.
pub(super) fn signed(
    plan: &Plan<'_>,
    exchange: &Exchange,
    base: &str,
    path: &str,
    words: &mut Words,
) -> Option<Signed> {
    let Some(form) = form(exchange) else {
        return Some(Signed {
            commands: String::new(),
            signature: String::new(),
        });
    };
    let mut commands = String::new();
    times(plan, exchange, words, &mut commands);
    let method = words.quoted(&exchange.request.method);
    let method = method.trim_matches('"');
    let path = path.trim_matches('"');
    let own = Some(signer(plan, exchange, form))
        .filter(|id| is_name(id))
        .unwrap_or_else(|| first_id(plan));
    let host = exchange.request.headers.iter().find(|(name, _)| name == "host");
    let origin = match host {
        Some((_, host)) if form != Form::ForTheAddress => format!("{}://{host}", scheme_of(base)),
        _ => format!("$(origin \"${base}\")"),
    };
    let line = |method: &str, origin: &str, path: &str| format!("\"{method} {origin}{path}\"");
    let (address, query) = exchange
        .request
        .path
        .split_once('?')
        .unwrap_or((&exchange.request.path, ""));
    let shown = |path: &str| words.quoted(path).trim_matches('"').to_owned();
    // The path of the request stands in the word; what is cut off of it stands in the recorded one as well.
    let without_query = match path.split_once('?') {
        Some((address, _)) => address.to_owned(),
        None => path.to_owned(),
    };
    let signs = match form {
        Form::Identity | Form::SmallOrder | Form::SmallOrderKey | Form::UnreducedKey => {
            let bytes = Words::default().printed(&degenerate(form));
            format!("{bytes} >\"$work/signature\"")
        }
        Form::OtherText => format!("sign {own} \"another text for $unique\""),
        Form::OtherMethod => {
            let other = if exchange.request.method == "GET" {
                "POST"
            } else {
                "GET"
            };
            format!("sign {own} {}", line(other, &origin, path))
        }
        Form::OtherPath => {
            let above = address.rsplit_once('/').map_or(address, |(above, _)| above);
            let query = if query.is_empty() {
                String::new()
            } else {
                format!("?{query}")
            };
            format!(
                "sign {own} {}",
                line(method, &origin, &shown(&format!("{above}{query}")))
            )
        }
        Form::OtherHost => {
            let other = format!("{}://{OTHER_HOST}", scheme_of(base));
            format!("sign {own} {}", line(method, &other, path))
        }
        Form::WithoutQuery => format!("sign {own} {}", line(method, &origin, &without_query)),
        Form::OtherQuery => format!(
            "sign {own} {}",
            line(method, &origin, &format!("{without_query}?{OTHER_QUERY}"))
        ),
        Form::UnknownKey | Form::WrongKey => format!("sign stranger {}", line(method, &origin, path)),
        Form::OtherKnownKey => format!(
            "sign {} {}",
            other_id(plan, exchange)?,
            line(method, &origin, path)
        ),
        Form::Rfc9421 => {
            let (_, input) = exchange
                .request
                .headers
                .iter()
                .find(|(name, _)| name == "signature-input")?;
            let (_, parameters) = input.split_once('=')?;
            let base = rfc9421_components("@METHOD@", "@URL@", parameters);
            let base = words
                .quoted(&base)
                .replace("@METHOD@", method)
                .replace("@URL@", &format!("{origin}{path}"));
            format!("sign {own} {base}")
        }
        _ => format!("sign {own} {}", line(method, &origin, path)),
    };
    _ = writeln!(commands, "{signs}");
    let file = "<\"$work/signature\"";
    let made = match form {
        Form::Altered => "flipped | url".to_owned(),
        Form::Malleable => "malleable | url".to_owned(),
        Form::Zero => "head -c 64 /dev/zero | url".to_owned(),
        Form::Short => format!("head -c 63 {file} | url"),
        Form::Long => format!("{{ cat {file}; printf '\\000'; }} | url"),
        Form::StandardBase64 => format!("openssl base64 -A {file}"),
        Form::Junk => format!("url {file} | sed 's|^.\\{{40\\}}|&!|'"),
        _ => format!("url {file}"),
    };
    _ = writeln!(commands, "signature=$({made})");
    let label = label(exchange);
    let value = match form {
        Form::NotBase64 => words.quoted("sig1=:%%%no-base64%%%:"),
        Form::LabelsCrossed => "\"sig2=:$signature:\"".to_owned(),
        Form::SignatureWithoutValue => "\"sig1\"".to_owned(),
        Form::SignatureWithoutColons => "\"sig1=$signature\"".to_owned(),
        Form::SignatureNotClosed => "\"sig1=:$signature\"".to_owned(),
        Form::BothMalformed => "\"none\"".to_owned(),
        Form::SecondSignatureMalformed => "\"sig1=:$signature:, sig2\"".to_owned(),
        Form::InTwoLines => {
            _ = writeln!(commands, "sign stranger '{ANOTHER_TEXT}'\nbad1=$(url {file})");
            "\"bad1=:$bad1:, sig1=:$signature:\"".to_owned()
        }
        Form::BeforeOthers | Form::AfterOthers | Form::InOtherOrder => {
            _ = writeln!(
                commands,
                "sign stranger '{ANOTHER_TEXT}'\nbad1=$(url {file})\nsign {own} '{ANOTHER_TEXT}'\nbad2=$(url {file})"
            );
            match form {
                Form::BeforeOthers | Form::InOtherOrder => {
                    "\"sig1=:$signature:, bad1=:$bad1:, bad2=:$bad2:\"".to_owned()
                }
                _ => "\"bad1=:$bad1:, bad2=:$bad2:, sig1=:$signature:\"".to_owned(),
            }
        }
        _ => format!("\"{label}=:$signature:\""),
    };
    Some(Signed {
        commands,
        signature: value,
    })
}

/// The scheme of the address in a variable.
fn scheme_of(base: &str) -> String {
    format!("$(printf '%s' \"${base}\" | sed 's#://.*##')")
}

/// The label of a request.
fn label(exchange: &Exchange) -> &str {
    let input = exchange
        .request
        .headers
        .iter()
        .find(|(name, _)| name == "signature-input");
    input
        .and_then(|(_, input)| input.split_once('='))
        .map_or("sig1", |(label, _)| label)
}

/// The times in `Signature-Input` as so many seconds from now.
fn times(plan: &Plan<'_>, exchange: &Exchange, words: &mut Words, commands: &mut String) {
    let then = plan.case.began_ms / 1000 + i64::try_from(exchange.at_us / 1_000_000).unwrap_or_default();
    let Some((_, input)) = exchange
        .request
        .headers
        .iter()
        .find(|(name, _)| name == "signature-input")
    else {
        return;
    };
    for name in ["created", "expires"] {
        let Some((_, rest)) = input.split_once(&format!("{name}=")) else {
            continue;
        };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let Ok(time) = digits.parse::<i64>() else { continue };
        // What is a few moments off is now: nothing else may differ between two requests that were signed alike.
        let ahead = if (time - then).abs() < 300 && name == "created" {
            0
        } else {
            time - then
        };
        _ = writeln!(commands, "{name}=$((now + {ahead}))");
        words.add(digits, name);
    }
}
