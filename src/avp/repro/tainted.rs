//! Tokens and signatures that are wrong on purpose, as shell.

use crate::avp::cases::{Forgery, TokenForm};
use crate::keys::SignatureForm;

/// The value of an `Authorization` field, in double quotes, for a spoiled token; the variable holds the good one. `None`
/// where a script cannot make it.
pub(super) fn authorization(form: &TokenForm, token: &str) -> Option<String> {
    let piped = |command: &str| format!("\"Bearer $(printf '%s' \"${{{token}}}\" | {command})\"");
    Some(match form {
        TokenForm::Empty => "\"Bearer \"".to_owned(),
        TokenForm::Garbage => "\"Bearer Z2FyYmFnZS1nYXJiYWdlLWdhcmJhZ2UtZ2FyYmFnZQ\"".to_owned(),
        TokenForm::Truncated => format!("\"Bearer ${{{token}%?}}\""),
        TokenForm::Extended => format!("\"Bearer ${{{token}}}x\""),
        TokenForm::Altered => piped(
            "awk '{ h = int(length($0) / 2) + 1; c = tolower(substr($0, h, 1)) == \"x\" ? \"y\" : \"x\"; \
             printf \"%s%s%s\", substr($0, 1, h - 1), c, substr($0, h + 1) }'",
        ),
        TokenForm::LastAltered => format!(
            "\"Bearer ${{{token}%?}}$(printf '%s' \"${{{token}#\"${{{token}%?}}\"}}\" | tr -- '-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdfghijklmnopqrstuvwxyz0123456789_e' \
             'eghijklmnopqrstuvwxyz0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdf-')\""
        ),
        TokenForm::Prefix => piped(
            "awk '{ h = int(length($0) / 2); r = substr($0, h + 1); gsub(/[^xX]/, \"Q\", r); gsub(/[xX]/, \"y\", r); \
             gsub(/Q/, \"x\", r); printf \"%s%s\", substr($0, 1, h), r }'",
        ),
        TokenForm::CaseSwapped => piped("tr 'A-Za-z' 'a-zA-Z'"),
        TokenForm::Basic => format!("\"Basic ${{{token}}}\""),
        TokenForm::Digest => format!("\"Digest ${{{token}}}\""),
        TokenForm::Glued => format!("\"Bearer${{{token}}}\""),
        TokenForm::NoScheme => format!("\"${{{token}}}\""),
        TokenForm::Of(_) | TokenForm::Earlier => format!("\"Bearer ${{{token}}}\""),
        TokenForm::Trailed => format!("\"Bearer ${{{token}}} and-more\""),
        TokenForm::Preceded => format!("\"Bearer at-first ${{{token}}}\""),
        TokenForm::WithAPart => format!("\"Bearer ${{{token}}}.x\""),
        TokenForm::None
        | TokenForm::InQuery
        | TokenForm::InMetadata
        | TokenForm::GarbageTwice
        | TokenForm::OtherServer
        | TokenForm::MemberId
        | TokenForm::Forged(_)
        | TokenForm::Unsigned => return None,
    })
}

/// The forms of tokens that are no forgeries, and name nobody else.
const FIXED: [TokenForm; 18] = [
    TokenForm::Empty,
    TokenForm::Garbage,
    TokenForm::Truncated,
    TokenForm::Extended,
    TokenForm::Altered,
    TokenForm::LastAltered,
    TokenForm::Prefix,
    TokenForm::CaseSwapped,
    TokenForm::OtherServer,
    TokenForm::Basic,
    TokenForm::Digest,
    TokenForm::Glued,
    TokenForm::NoScheme,
    TokenForm::Trailed,
    TokenForm::Preceded,
    TokenForm::WithAPart,
    TokenForm::MemberId,
    TokenForm::Unsigned,
];

/// All forms that a request can be written down with, by what is written down.
pub(super) fn token_form(shown: &str) -> Option<TokenForm> {
    let forged = Forgery::ALL.map(TokenForm::Forged);
    let mut known = FIXED.into_iter().chain(forged);
    known.find(|form| form.to_string() == shown)
}

/// Commands that put the signature of `signer` over the nonce in `$nonce` into `$signature`. `None` where a script cannot
/// make it.
pub(super) fn signature(form: SignatureForm, signer: &str) -> Option<String> {
    let valid = format!("sign {signer} \"$nonce\"");
    let recoded = |command: &str| {
        format!("{valid}\nsignature=$(printf '%s' \"$signature\" | openssl base64 -d -A | {command})")
    };
    let text = |command: &str| format!("{valid}\nsignature=$(printf '%s' \"$signature\" | {command})");
    Some(match form {
        SignatureForm::Valid => valid,
        SignatureForm::OverBase64Text => {
            format!("printf '%s' \"$nonce\" >\"$work/nonce\"\nsign_file {signer}")
        }
        SignatureForm::OverDigest => format!(
            "printf '%s' \"$nonce\" | openssl base64 -d -A | openssl dgst -sha256 -binary >\"$work/nonce\"\n\
             sign_file {signer}"
        ),
        SignatureForm::Zeros => "signature=$(head -c 64 /dev/zero | openssl base64 -A)".to_owned(),
        SignatureForm::Truncated => recoded("head -c 63 | openssl base64 -A"),
        SignatureForm::Extended => recoded("{ cat; printf '\\000'; } | openssl base64 -A"),
        SignatureForm::Hex => recoded("od -An -v -tx1 | tr -d ' \\n'"),
        SignatureForm::NotBase64 => text("tr 'A-Za-z=' 'a-zA-Z!'"),
        SignatureForm::UrlSafeBase64 => text("tr '+/' '-_'"),
        SignatureForm::Unpadded => text("tr -d '='"),
        SignatureForm::OverHexText
        | SignatureForm::OverUnpaddedText
        | SignatureForm::OverUrlSafeText
        | SignatureForm::OverKeyAndNonce
        | SignatureForm::OverOtherBytes
        | SignatureForm::OverNothing
        | SignatureForm::OverHead
        | SignatureForm::BitFlipped
        | SignatureForm::BitFlippedInS
        | SignatureForm::SPlusL
        | SignatureForm::Empty
        | SignatureForm::TrailingBits
        | SignatureForm::LineWrapped => return None,
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a shell makes of a script's word, where the variable `token` holds `own`.
    fn written(word: &str, own: &str) -> String {
        let command = format!("token={own}; printf '%s' {word}");
        let output = Command::new("sh")
            .args(["-c", &command])
            .output()
            .expect("sh runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{command}: {said}");
        String::from_utf8(output.stdout).expect("tokens are text")
    }

    #[test]
    fn a_script_spoils_tokens_as_the_driver_does() {
        // Those need somebody else, or a key: a script leaves them out.
        let left_out = [TokenForm::OtherServer, TokenForm::MemberId, TokenForm::Unsigned];
        let forms = FIXED.into_iter().filter(|form| !left_out.contains(form));
        let forms: Vec<TokenForm> = forms.collect();
        for own in ["bXeAqXxXe", "0aAzZ9_-f", "xyXYx-_x-", "h6Kq2WmGT"] {
            for form in &forms {
                let word = authorization(form, "token").unwrap();
                let driven = crate::avp::driver::authorization(form, own, "").unwrap();
                assert_eq!(written(&word, own), driven, "{form} of {own}");
            }
        }
    }
}
