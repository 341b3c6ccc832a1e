//! Headers that a deployment wants besides the protocol's own. They may be secrets: no value is ever printed.

use std::path::Path;

use crate::cli::arguments::{RunArgs, Secret};
use crate::cli::error::Error;
use crate::http::Headers;

/// The line of a header file below which headers are for the identity provider.
const IDP: &str = "[idp]";

/// For the vault, and for the identity provider. What was typed comes first, and the first to name a header decides.
///
/// # Errors
/// A header or a line of the header file is not written as `NAME: VALUE`, or that file cannot be read.
pub fn headers(args: &RunArgs) -> Result<(Headers, Headers), Error> {
    let mut vault = typed("--header", &args.header)?;
    let mut idp = typed("--idp-header", &args.idp_header)?;
    if let Some(path) = &args.header_file {
        let (more, more_idp) = file(path)?;
        vault.extend(more);
        idp.extend(more_idp);
    }
    Ok((vault, idp))
}

fn typed(option: &str, values: &[Secret]) -> Result<Headers, Error> {
    // The environment holds several of them in lines.
    let lines = values.iter().flat_map(|value| value.reveal().lines());
    let wrong = || {
        Error::Usage(format!(
            "{option} is written as 'NAME: VALUE' (the value is not shown here)"
        ))
    };
    lines.map(|line| pair(line).ok_or_else(wrong)).collect()
}

fn file(path: &Path) -> Result<(Headers, Headers), Error> {
    let text = crate::text::read_file(path)
        .map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))?;
    parse(&text).map_err(|line| {
        let path = path.display();
        Error::Usage(format!(
            "{path}:{line}: a header is written as NAME: VALUE (the line is not shown here)"
        ))
    })
}

/// The headers of a file: a line each, `#` before remarks. The error is the number of the line that is wrong.
fn parse(text: &str) -> Result<(Headers, Headers), usize> {
    let (mut vault, mut idp) = (Headers::new(), None);
    for (number, line) in text.lines().map(str::trim).enumerate() {
        match line {
            "" => {}
            IDP => idp = Some(Headers::new()),
            _ if line.starts_with('#') => {}
            _ => idp
                .as_mut()
                .unwrap_or(&mut vault)
                .push(pair(line).ok_or(number + 1)?),
        }
    }
    Ok((vault, idp.unwrap_or_default()))
}

fn pair(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim();
    (!name.is_empty()).then(|| (name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_headers_for_both() {
        let (vault, idp) = parse("# ours\nX-Key: a:b\n\n[idp]\nX-Other: c\n").unwrap();
        assert_eq!(vault, [("X-Key".to_owned(), "a:b".to_owned())]);
        assert_eq!(idp, [("X-Other".to_owned(), "c".to_owned())]);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_alone() {
        assert_eq!(parse("a: b\nsecret\n"), Err(2));
        assert_eq!(parse(": b"), Err(1));
        let error = typed("--header", &[Secret::from("hunter2".to_owned())]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
