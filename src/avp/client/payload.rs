//! The plaintext of a repository: alts, and what of them is not shared.

use serde_json::{Map, Value, json};

/// An alt account. It is kept as the object that it is, so that what another client wrote comes through unharmed.
pub(super) type Alt = Map<String, Value>;

/// What only repositories hold whose members share refresh tokens.
const UNSHARED: [&str; 2] = ["refreshToken", "expiresAt"];

/// The alts of a payload. The error says what is wrong with it.
///
/// An alt needs its uuid; everything else may be absent.
pub(super) fn read(plaintext: &[u8]) -> Result<Vec<Alt>, String> {
    let value: Value = serde_json::from_slice(plaintext).map_err(|error| error.to_string())?;
    let alts = value["alts"].as_array().ok_or("it has no list of alts")?;
    let alt = |alt: &Value| match alt {
        Value::Object(alt) if alt.get("uuid").is_some_and(Value::is_string) => Ok(alt.clone()),
        _ => Err("an alt of it has no uuid".to_owned()),
    };
    alts.iter().map(alt).collect()
}

/// The plaintext of alts at a version.
pub(super) fn write(alts: &[Alt], payload_version: i64) -> Vec<u8> {
    json!({ "alts": alts, "payloadVersion": payload_version })
        .to_string()
        .into_bytes()
}

/// Leaves out what is not shared. It is done to what is written and to what is read: what another client has let slip goes no
/// further.
pub(super) fn strip(alts: &mut [Alt]) {
    for alt in alts {
        for name in UNSHARED {
            alt.shift_remove(name);
        }
    }
}

/// Ours laid over theirs: an alt of the same uuid is replaced, others stay, new ones come behind.
pub(super) fn merge(theirs: Vec<Alt>, ours: &[Alt]) -> Vec<Alt> {
    let is_ours = |alt: &Alt| ours.iter().any(|our| our.get("uuid") == alt.get("uuid"));
    let mut merged: Vec<Alt> = theirs.into_iter().filter(|alt| !is_ours(alt)).collect();
    merged.extend_from_slice(ours);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alts(text: &str) -> Vec<Alt> {
        read(format!(r#"{{"alts":{text}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn what_may_be_absent_may_be_absent_and_what_is_unknown_comes_through() {
        let read_back = alts(r#"[{"uuid":"a"},{"uuid":"b","later":{"x":1},"bans":null}]"#);
        let written = write(&read_back, 7);
        assert_eq!(read(&written).unwrap(), read_back);
        for broken in ["", "[]", r#"{"alts":{}}"#, r#"{"alts":[{}]}"#, r#"{"alts":[1]}"#] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn ours_replace_theirs_of_the_same_uuid() {
        let theirs = alts(r#"[{"uuid":"a","username":"old"},{"uuid":"b"}]"#);
        let ours = alts(r#"[{"uuid":"a","username":"new"},{"uuid":"c"}]"#);
        let merged = alts(r#"[{"uuid":"b"},{"uuid":"a","username":"new"},{"uuid":"c"}]"#);
        assert_eq!(merge(theirs, &ours), merged);
    }

    #[test]
    fn tokens_that_are_not_shared_are_left_out() {
        let mut found = alts(r#"[{"uuid":"a","refreshToken":"x","expiresAt":1,"accessToken":"y"}]"#);
        strip(&mut found);
        assert_eq!(found, alts(r#"[{"uuid":"a","accessToken":"y"}]"#));
    }
}
