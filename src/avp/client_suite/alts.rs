//! The alts of a case, made of the seed: driver and judge make the same.

use serde_json::{Map, Value, json};

use crate::keys::Seed;
use crate::keys::encoding::hex;

/// Any time will do: 2025-01-01T00:00:00Z, epoch milliseconds.
const SOME_TIME: i64 = 1_735_689_600_000;
/// So many bytes make a payload of more than a megabyte.
const LONG_BYTES: usize = 1 << 20;

/// Twelve hexadecimal digits that every secret of the case's alts has in it, and nothing else in the case.
pub(super) fn mark(seed: &Seed, scope: &str) -> String {
    let mut mark = hex(&seed.derive(&[scope, "client-alts"]));
    mark.truncate(12);
    mark
}

/// The alt of a name. Behind a colon stands its form: `bare` has the required fields alone, `nulls` null or 0 in all others, `long` a
/// megabyte of text, `offline` another type; `new` is the same alt with another name and token, and used later.
pub(super) fn alt(mark: &str, name: &str) -> Map<String, Value> {
    let (name, form) = name.split_once(':').unwrap_or((name, ""));
    let number: u32 = name
        .bytes()
        .fold(7, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut alt = json!({
        "uuid": format!("{number:08x}-0000-4000-8000-{mark}"),
        "username": format!("{name}-{mark}"),
        "accessToken": format!("access-{mark}-{name}"),
        "type": "MICROSOFT",
        "lastUsed": SOME_TIME,
    });
    match form {
        "new" => {
            alt["username"] = format!("{name}-renamed-{mark}").into();
            alt["accessToken"] = format!("access-{mark}-{name}-renewed").into();
            alt["lastUsed"] = (SOME_TIME + 1).into();
        }
        "offline" => alt["type"] = "OFFLINE".into(),
        _ => {}
    }
    if form == "nulls" {
        for name in ["refreshToken", "lastUsedBy", "bans", "sourceClient", "sourceUser"] {
            alt[name] = Value::Null;
        }
        alt["expiresAt"] = 0.into();
    } else if form != "bare" {
        alt["refreshToken"] = format!("refresh-{mark}-{name}").into();
        alt["expiresAt"] = (SOME_TIME + 86_400_000).into();
        alt["lastUsedBy"] = Value::Null;
        alt["bans"] = json!({ "mc.example.test": {
            "banned": true, "observedAt": SOME_TIME, "source": "disconnect", "detail": "banned", "observedBy": null,
        } });
        alt["sourceClient"] = "avp-conform".into();
    }
    if form == "long" {
        alt["sourceUser"] = "x".repeat(LONG_BYTES).into();
    }
    alt.as_object().cloned().unwrap_or_default()
}

/// The alts of several names.
pub(super) fn alts(mark: &str, names: &[String]) -> Vec<Map<String, Value>> {
    names.iter().map(|name| alt(mark, name)).collect()
}

/// Whether a list holds these alts and no others, as far as who they are and what opens them.
pub(super) fn are_same(found: &[Value], wanted: &[Map<String, Value>]) -> bool {
    let is_there = |alt: &Map<String, Value>| {
        let same = |other: &&Value| {
            ["uuid", "username", "accessToken"]
                .iter()
                .all(|name| other.get(*name) == alt.get(*name))
        };
        found.iter().filter(same).count() == 1
    };
    found.len() == wanted.len() && wanted.iter().all(is_there)
}

/// The names of alts of which a list does not hold the bans that they were written with.
pub(super) fn without_bans<'a>(found: &[Value], mark: &str, names: &'a [String]) -> Vec<&'a str> {
    let has_its_bans = |name: &&String| {
        let wanted = alt(mark, name);
        let written = found.iter().find(|alt| alt.get("uuid") == wanted.get("uuid"));
        let bans = |server: &str, field: &str| {
            let pointer = format!("/bans/{server}/{field}");
            written.and_then(|alt| alt.pointer(&pointer)).cloned()
        };
        wanted["bans"].as_object().is_none_or(|wanted| {
            wanted.iter().all(|(server, ban)| {
                BAN.iter()
                    .all(|field| bans(server, field).as_ref() == ban.get(*field))
            })
        })
    };
    let lost = names.iter().filter(|name| !has_its_bans(name));
    lost.map(String::as_str).collect()
}

/// The fields of a ban that every client writes.
const BAN: [&str; 4] = ["banned", "observedAt", "source", "detail"];

/// What of an alt is there that only repositories hold which share refresh tokens: null and 0 say that it is not there.
pub(super) fn unshared(alt: &Value) -> Option<&'static str> {
    let token = &alt["refreshToken"];
    if !token.is_null() {
        return Some("refreshToken");
    }
    let expiry = &alt["expiresAt"];
    (!expiry.is_null() && expiry.as_f64() != Some(0.0)).then_some("expiresAt")
}

/// The names of alts in a list, for people.
pub(super) fn names(found: &[Value], mark: &str) -> String {
    let name = |alt: &Value| {
        let name = alt["username"].as_str().unwrap_or("?");
        name.strip_suffix(&format!("-{mark}")).unwrap_or(name).to_owned()
    };
    match found.is_empty() {
        true => "no alts".to_owned(),
        false => found.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}
