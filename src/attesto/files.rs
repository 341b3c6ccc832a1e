//! The files of a case, and what can be read in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::keys::encoding::hex;

/// No file is read further.
const LONGEST_FILE_BYTES: usize = 32 << 20;

/// What the files of a folder look like: each with its name, its size, who may read it, and the forms in which the text stands
/// in it.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn look(folder: &Path, spool: &str, text: &str) -> io::Result<Value> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths.into_iter().filter(|path| path.is_file()) {
        // A file that is gone by now cannot give anything away.
        let Ok(mut bytes) = fs::read(&path) else { continue };
        bytes.truncate(LONGEST_FILE_BYTES);
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.push(json!({
            "name": name,
            "spool": name == spool,
            "bytes": bytes.len(),
            "othersMayRead": others_may_read(&path),
            "payloadReadableAs": forms_found(&bytes, text),
        }));
    }
    Ok(json!({ "files": files }))
}

/// Whether anybody but the owner may read a file; null where the system has no such thing.
fn others_may_read(path: &Path) -> Value {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).map_or(Value::Null, |it| (it.permissions().mode() & 0o044 != 0).into())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Value::Null
    }
}

/// The forms in which a text stands in bytes.
fn forms_found(bytes: &[u8], text: &str) -> Vec<&'static str> {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // In the middle of something longer, its base64 depends on where it begins.
    let base64 = (0..3).map(|before| {
        let shifted = [&[0; 3][..before], text.as_bytes()].concat();
        let (first, end) = ((before * 8_usize).div_ceil(6), shifted.len() * 8 / 6);
        STANDARD.encode(&shifted).as_bytes()[first..end].to_vec()
    });
    let hexadecimal = hex(text.as_bytes());
    let mut forms = vec![
        ("text", text.as_bytes().to_vec()),
        ("UTF-16", utf16),
        ("hexadecimal digits", hexadecimal.to_uppercase().into_bytes()),
        ("hexadecimal digits", hexadecimal.into_bytes()),
    ];
    forms.extend(base64.map(|form| ("base64", form)));
    let found = forms.into_iter().filter(|(_, form)| contains(bytes, form));
    let mut found: Vec<&str> = found.map(|(name, _)| name).collect();
    found.dedup();
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_every_form() {
        let text = "geheim-0123456789";
        assert_eq!(forms_found(b"xx geheim-0123456789", text), ["text"]);
        for before in ["", "a", "ab", "abc"] {
            let encoded = STANDARD.encode(format!("{before}{text}zz"));
            assert_eq!(forms_found(encoded.as_bytes(), text), ["base64"]);
        }
        assert_eq!(
            forms_found(hex(text.as_bytes()).as_bytes(), text),
            ["hexadecimal digits"]
        );
        assert!(forms_found(b"nothing of the kind", text).is_empty());
    }
}
