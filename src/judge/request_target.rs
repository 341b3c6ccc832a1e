//! Request targets that no server is asked for.

/// Whether every percent sign of the path begins an escape, as in every URI (RFC 3986, 2.1), and of no NUL: a request for anything
/// else goes no farther than the library or the proxy that reads HTTP, which answers in words of its own.
pub fn reaches_the_server(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    path.split('%').skip(1).all(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).take(2);
        digits.count() == 2 && !rest.starts_with("00")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_escape_or_a_nul_goes_no_farther() {
        for (path, is) in [
            ("/v1/repos/%2fa/pull", true),
            ("/v1/repos/%ff%fE/pull", true),
            ("/v1/repos/%zz/pull", false),
            ("/v1/repos/a%/push", false),
            ("/v1/repos/a%4", false),
            ("/v1/repos/a%00b/pull", false),
            ("/objects?cursor=%zz", true),
        ] {
            assert_eq!(reaches_the_server(path), is, "{path}");
        }
    }
}
