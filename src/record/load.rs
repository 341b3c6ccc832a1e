//! Reads a stored JSON report back into the record it was.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::record::{FORMAT, Record};
use crate::text::visible_cut;

/// What programs of Windows begin a text with; it is none of it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a stored report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is not JSON at all.
    #[error("{path} is not JSON: {reason}")]
    NotJson {
        /// The file.
        path: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// It is JSON of another kind.
    #[error("{path} is no report of avp-conform; `--report json=PATH` writes one")]
    NotReport {
        /// The file.
        path: String,
    },
    /// It was written by a newer program.
    #[error(
        "{path} is a report of format {found}, and this program reads up to {FORMAT}; use a newer avp-conform"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
    },
    /// It is a report, but not a whole one.
    #[error("{path} is a damaged report: {reason}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong, and where.
        reason: String,
    },
}

/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How much of a gzip file is unpacked, in bytes.
const MOST_BYTES: u64 = 2 << 30;

/// The part that every version of the format has.
#[derive(Deserialize)]
struct Head {
    format: u64,
    tool: HeadTool,
}

#[derive(Deserialize)]
struct HeadTool {
    name: String,
}

/// The record that was stored at a path; `-` is standard input.
///
/// # Errors
/// It cannot be read, is no report of this program, is damaged, or was written by a newer one.
pub fn load(path: &Path) -> Result<Record, LoadError> {
    Stored::read(path)?.record()
}

/// The text of a stored report.
#[derive(Debug)]
pub struct Stored {
    /// What it is called in messages.
    name: String,
    bytes: Vec<u8>,
}

impl Stored {
    /// Reads a report, unpacked where it is packed; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Stored, LoadError> {
        let name = if path == Path::new("-") {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let bytes = read(path).and_then(unpacked).map_err(|source| LoadError::Read {
            path: name.clone(),
            source,
        })?;
        Ok(Stored { name, bytes })
    }

    /// The record that it is.
    ///
    /// # Errors
    /// It is no report of this program, is damaged, or was written by a newer one.
    pub fn record(&self) -> Result<Record, LoadError> {
        parse(self.text(), self.name.clone())
    }

    /// The JSON that it is.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<serde_json::Value, LoadError> {
        serde_json::from_slice(self.text()).map_err(|error| LoadError::NotJson {
            path: self.name.clone(),
            reason: reason(&error),
        })
    }

    fn text(&self) -> &[u8] {
        self.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.bytes)
    }
}

/// What is in a gzip file (RFC 1952), up to [`MOST_BYTES`]; other bytes as they are.
fn unpacked(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes.as_slice()).take(MOST_BYTES + 1);
    reader.read_to_end(&mut out)?;
    match out.len() as u64 > MOST_BYTES {
        true => Err(io::Error::other("unpacked it has more than 2 GiB")),
        false => Ok(out),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8], path: String) -> Result<Record, LoadError> {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        return Err(LoadError::NotJson {
            path,
            reason: reason(&error),
        });
    }
    match serde_json::from_slice::<Head>(bytes) {
        Ok(head) if head.tool.name != "avp-conform" => Err(LoadError::NotReport { path }),
        Ok(head) if head.format > u64::from(FORMAT) => Err(LoadError::Newer {
            path,
            found: head.format,
        }),
        Ok(_) => serde_json::from_slice(bytes).map_err(|error| LoadError::Damaged {
            path,
            reason: reason(&error),
        }),
        Err(_) => Err(LoadError::NotReport { path }),
    }
}

/// The message of the parser; it may quote the file, so it is made visible.
fn reason(error: &serde_json::Error) -> String {
    visible_cut(&error.to_string(), 400)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_gzip_file_is_unpacked_and_a_damaged_one_refused() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(b"{}").unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(unpacked(packed.clone()).unwrap(), b"{}");
        assert_eq!(unpacked(b"{}".to_vec()).unwrap(), b"{}");
        assert!(unpacked(packed[..12].to_vec()).is_err());
    }

    fn said(text: &str) -> String {
        parse(text.as_bytes(), "r.json".into()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(
            said(""),
            "r.json is not JSON: EOF while parsing a value at line 1 column 0"
        );
        assert!(said("<html>").starts_with("r.json is not JSON: expected value at line 1"));
        for other in [
            "{}",
            "[]",
            "1",
            r#"{"format":1}"#,
            r#"{"format":1,"tool":{"name":"other"}}"#,
        ] {
            assert!(
                said(other).starts_with("r.json is no report of avp-conform"),
                "{other}"
            );
        }
        assert!(
            said(r#"{"format":2,"tool":{"name":"avp-conform"}}"#)
                .contains("format 2, and this program reads up to 1")
        );
        assert!(
            said(r#"{"format":1,"tool":{"name":"avp-conform"}}"#)
                .starts_with("r.json is a damaged report: missing field")
        );
        let hostile =
            said("{\"format\":1,\"tool\":{\"name\":\"avp-conform\",\"version\":\"1\",\"\\u001b[1m\":1}}");
        assert!(hostile.contains("\\u{1b}[1m"), "{hostile}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("no/such/report.json")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read no/such/report.json: "), "{error}");
    }
}
