//! Signs requests by the published profile: two headers, and one line that is signed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::case::http_steps::{Signed, Unsigned};
use crate::keys::{NamedKey, Seed, s_plus_l, small_order_keys};
use crate::text::with_in_the_middle;

/// The mode in which a request is signed unless told.
const SIGNED_MODE: &str = "strict";
/// A day and a bit, seconds.
const LONG_S: i64 = 90_000;
/// Somebody else's address.
pub(super) const OTHER_HOST: &str = "other.example";
/// Somebody else's query.
pub(super) const OTHER_QUERY: &str = "limit=1";

/// The id of a key that nobody was told of.
pub(super) const STRANGER: &str = "conform_unknown";
/// The id of a key that is weak, of servers that are told of one.
pub(super) const WEAK: &str = "conform_weak";
/// An id with a dash, a dot and a capital, of servers that are told of it.
pub(super) const DOTTED: &str = "Conform-key.1";
/// A name that every object has in some languages, and that is no key id.
const INHERITED: &str = "constructor";
/// What a signature by RFC 9421 is said to cover.
const COMPONENTS: &str = "\"@method\" \"@target-uri\"";
/// What is signed by labels that do not verify.
pub(super) const ANOTHER_TEXT: &str = "another text";

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Form {
    /// Not at all.
    None,
    /// By the profile.
    Valid,
    /// By the profile, with the second key.
    SecondKey,
    /// Under another label than is usual.
    OtherLabel,
    /// The label that verifies comes first, and those that do not after it.
    BeforeOthers,
    /// The label that verifies comes last.
    AfterOthers,
    /// The same, with the labels in another order in `Signature` than in `Signature-Input`.
    InOtherOrder,
    /// In standard base64, with padding.
    StandardBase64,
    /// With a nonce, the same in the whole case.
    Nonce,
    /// With the same `created` in the whole case, so that the same request has the same signature.
    Repeatable,
    /// `Signature-Input` has a member without a value.
    InputWithoutValue,
    /// `Signature-Input` has a value that is no list.
    InputWithoutList,
    /// The list in `Signature-Input` is not closed.
    InputNotClosed,
    /// `Signature` has a member without a value.
    SignatureWithoutValue,
    /// The value of `Signature` is not enclosed in colons.
    SignatureWithoutColons,
    /// The value of `Signature` has a colon at its beginning alone.
    SignatureNotClosed,
    /// Both headers are no dictionaries at all.
    BothMalformed,
    /// The key id is not known, and the key is not either.
    UnknownKey,
    /// The key id is not known; the key that signed is.
    UnknownId,
    /// The key id is the beginning of one that is known, or that with something behind it; the key that signed is its.
    CutId,
    /// A bit of the signature is flipped.
    Altered,
    /// 64 zeros.
    Zero,
    /// R is the identity element, and S is 0.
    Identity,
    /// R is a point of order 8, and S is 0.
    SmallOrder,
    /// Under the id of a key of small order: R is the identity element, and S is 0, which anybody can write.
    SmallOrderKey,
    /// The same under the id of a key that RFC 8032 calls invalid: the identity element, not reduced.
    UnreducedKey,
    /// Signed by a key that the server does not know, under the id of one that it knows.
    WrongKey,
    /// Signed by the other key that the server knows.
    OtherKnownKey,
    /// Over another text.
    OtherText,
    /// For another method.
    OtherMethod,
    /// For another path.
    OtherPath,
    /// For another host.
    OtherHost,
    /// Over the address without its query.
    WithoutQuery,
    /// For another query.
    OtherQuery,
    /// `Signature-Input` alone.
    OnlyInput,
    /// `Signature` alone.
    OnlySignature,
    /// Another label in each header.
    LabelsCrossed,
    /// No key id.
    WithoutKeyid,
    /// A signature that is no base64.
    NotBase64,
    /// 63 bytes.
    Short,
    /// 65 bytes.
    Long,
    /// `expires` is past.
    Expired,
    /// `created` is more than a day ago.
    Old,
    /// `created` is more than a day ahead.
    Future,
    /// The group order is added to S.
    Malleable,
    /// Another algorithm is named.
    OtherAlg,
    /// For the address at which the request is made, though Host says another.
    ForTheAddress,
    /// With an `expires` that is ahead.
    Unexpired,
    /// With an `alg` that is the right one.
    NamedAlg,
    /// With `keyid` before `created`.
    KeyidFirst,
    /// With a nonce that begins as that of `nonce` does.
    AnotherNonce,
    /// Each header stands in two lines, and the label that verifies in the second.
    InTwoLines,
    /// A character of no alphabet stands within the signature.
    Junk,
    /// The key id is one that is known, with more behind it.
    LongerId,
    /// The key id is a name that every object has in some languages.
    InheritedId,
    /// Under a key id with a dash, a dot and a capital in it.
    DottedId,
    /// `Signature-Input` has a second member that is malformed.
    SecondInputMalformed,
    /// `Signature` has a second member that is malformed.
    SecondSignatureMalformed,
    /// By RFC 9421, with covered components.
    Rfc9421,
    /// Components are named as covered, and the line of the profile is signed.
    ComponentsOverLine,
}

impl Form {
    /// All of them, but for no signature at all.
    pub(super) const ALL: [Form; 59] = [
        Form::Valid,
        Form::SecondKey,
        Form::OtherLabel,
        Form::BeforeOthers,
        Form::AfterOthers,
        Form::InOtherOrder,
        Form::StandardBase64,
        Form::Nonce,
        Form::Repeatable,
        Form::InputWithoutValue,
        Form::InputWithoutList,
        Form::InputNotClosed,
        Form::SignatureWithoutValue,
        Form::SignatureWithoutColons,
        Form::SignatureNotClosed,
        Form::BothMalformed,
        Form::UnknownKey,
        Form::UnknownId,
        Form::CutId,
        Form::Altered,
        Form::Zero,
        Form::Identity,
        Form::SmallOrder,
        Form::SmallOrderKey,
        Form::UnreducedKey,
        Form::WrongKey,
        Form::OtherKnownKey,
        Form::OtherText,
        Form::OtherMethod,
        Form::OtherPath,
        Form::OtherHost,
        Form::WithoutQuery,
        Form::OtherQuery,
        Form::OnlyInput,
        Form::OnlySignature,
        Form::LabelsCrossed,
        Form::WithoutKeyid,
        Form::NotBase64,
        Form::Short,
        Form::Long,
        Form::Expired,
        Form::Old,
        Form::Future,
        Form::Malleable,
        Form::OtherAlg,
        Form::ForTheAddress,
        Form::Unexpired,
        Form::NamedAlg,
        Form::KeyidFirst,
        Form::AnotherNonce,
        Form::InTwoLines,
        Form::Junk,
        Form::LongerId,
        Form::InheritedId,
        Form::DottedId,
        Form::SecondInputMalformed,
        Form::SecondSignatureMalformed,
        Form::Rfc9421,
        Form::ComponentsOverLine,
    ];
}

/// What a label says.
struct Label {
    name: &'static str,
    keyid: Option<String>,
    /// Parameters beside `created` and `keyid`.
    more: String,
    created: i64,
    components: &'static str,
    signature: Vec<u8>,
}

impl Label {
    fn parameters(&self) -> String {
        let keyid = self
            .keyid
            .as_ref()
            .map(|id| format!(";keyid=\"{id}\""))
            .unwrap_or_default();
        format!(
            "({});created={}{keyid}{}",
            self.components, self.created, self.more
        )
    }

    fn input(&self) -> String {
        format!("{}={}", self.name, self.parameters())
    }

    fn signature(&self) -> String {
        format!("{}=:{}:", self.name, URL_SAFE_NO_PAD.encode(&self.signature))
    }
}

/// Signs a request as it is told to; in the mode that wants it, if it is not told.
///
/// # Errors
/// There is no key to sign with.
pub(super) fn sign(unsigned: &Unsigned<'_>, form: Option<&Form>) -> Result<Signed, String> {
    let form = match form {
        Some(form) => *form,
        None if unsigned.service == SIGNED_MODE => Form::Valid,
        None => Form::None,
    };
    let headers = headers(unsigned, form)?;
    Ok(Signed {
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        about: about(form, unsigned.service == SIGNED_MODE).map(str::to_owned),
    })
}

fn headers(unsigned: &Unsigned<'_>, form: Form) -> Result<Vec<(&'static str, String)>, String> {
    if form == Form::None {
        return Ok(Vec::new());
    }
    let no_key = || "no key was named that the server knows (--sign-with ID=HEX)".to_owned();
    let no_second = || "no second key was named that the server knows (--sign-with ID=HEX)".to_owned();
    let key = unsigned.keys.first().ok_or_else(no_key)?;
    let stranger = NamedKey::new(
        STRANGER,
        Seed::from_bytes([0; 32]).derive(&["a key that nobody was told of"]),
    );
    let own = line(unsigned.method, unsigned.url);
    let (address, _) = unsigned.url.split_once('?').unwrap_or((unsigned.url, ""));
    let mut label = Label {
        name: "sig1",
        keyid: Some(key.id.clone()),
        more: String::new(),
        created: unsigned.now,
        components: "",
        signature: key.sign(own.as_bytes()).to_vec(),
    };
    let over = |text: String| key.sign(text.as_bytes()).to_vec();
    match form {
        Form::SecondKey => {
            let second = unsigned.keys.get(1).ok_or_else(no_second)?;
            label.keyid = Some(second.id.clone());
            label.signature = second.sign(own.as_bytes()).to_vec();
        }
        Form::OtherKnownKey => {
            let second = unsigned.keys.get(1).ok_or_else(no_second)?;
            label.signature = second.sign(own.as_bytes()).to_vec();
        }
        Form::OtherLabel => label.name = "zz-conform_2.a",
        Form::Nonce => label.more = format!(";nonce=\"{}\"", unsigned.unique),
        Form::Repeatable => label.created = unsigned.now / 60 * 60,
        Form::UnknownKey => {
            label.keyid = Some(stranger.id.clone());
            label.signature = stranger.sign(own.as_bytes()).to_vec();
        }
        Form::UnknownId => label.keyid = Some(stranger.id.clone()),
        Form::CutId => label.keyid = Some(cut(&key.id)),
        Form::Altered => label.signature[5] ^= 1,
        Form::Zero => label.signature = vec![0; 64],
        Form::Identity | Form::SmallOrder => label.signature = degenerate(form),
        Form::SmallOrderKey | Form::UnreducedKey => {
            label.keyid = Some(WEAK.to_owned());
            label.signature = degenerate(form);
        }
        Form::WrongKey => label.signature = stranger.sign(own.as_bytes()).to_vec(),
        Form::OtherText => label.signature = over(format!("another text for {}", unsigned.unique)),
        Form::OtherMethod => {
            let other = if unsigned.method == "GET" { "POST" } else { "GET" };
            label.signature = over(line(other, unsigned.url));
        }
        Form::OtherPath => label.signature = over(line(unsigned.method, &collection(unsigned.url))),
        Form::OtherHost => label.signature = over(line(unsigned.method, &elsewhere(unsigned.url))),
        Form::WithoutQuery => label.signature = over(line(unsigned.method, address)),
        Form::OtherQuery => {
            label.signature = over(line(unsigned.method, &format!("{address}?{OTHER_QUERY}")))
        }
        Form::WithoutKeyid => label.keyid = None,
        Form::Short => drop(label.signature.pop()),
        Form::Long => label.signature.push(0),
        Form::Expired => label.more = format!(";expires={}", unsigned.now - 60),
        Form::Old => label.created -= LONG_S,
        Form::Future => label.created += LONG_S,
        Form::Malleable => {
            if let Ok(signature) = <[u8; 64]>::try_from(label.signature.as_slice()) {
                label.signature = s_plus_l(signature).to_vec();
            }
        }
        Form::OtherAlg => label.more = ";alg=\"rsa-v1_5-sha256\"".to_owned(),
        Form::ForTheAddress => label.signature = over(line(unsigned.method, unsigned.asked_at)),
        Form::Unexpired => label.more = format!(";expires={}", unsigned.now + 120),
        Form::NamedAlg => label.more = ";alg=\"ed25519\"".to_owned(),
        Form::AnotherNonce => label.more = format!(";nonce=\"{}-2\"", unsigned.unique),
        Form::LongerId => label.keyid = Some(format!("{}#1", key.id)),
        Form::InheritedId => label.keyid = Some(INHERITED.to_owned()),
        Form::DottedId => label.keyid = Some(DOTTED.to_owned()),
        Form::ComponentsOverLine => label.components = COMPONENTS,
        Form::Rfc9421 => {
            label.components = COMPONENTS;
            label.signature = over(rfc9421_components(
                unsigned.method,
                unsigned.url,
                &label.parameters(),
            ));
        }
        _ => {}
    }
    let (input, signature) = (label.input(), label.signature());
    let both = |input: String, signature: String| vec![("signature-input", input), ("signature", signature)];
    Ok(match form {
        Form::OnlyInput => vec![("signature-input", input)],
        Form::OnlySignature => vec![("signature", signature)],
        Form::LabelsCrossed => both(input, signature.replacen("sig1", "sig2", 1)),
        Form::NotBase64 => both(input, "sig1=:%%%no-base64%%%:".to_owned()),
        Form::StandardBase64 => both(input, format!("sig1=:{}:", STANDARD.encode(&label.signature))),
        Form::InputWithoutValue => both("sig1".to_owned(), signature),
        Form::InputWithoutList => both(input.replacen("()", "\"list\"", 1), signature),
        Form::InputNotClosed => both(input.replacen("()", "(", 1), signature),
        Form::SignatureWithoutValue => both(input, "sig1".to_owned()),
        Form::SignatureWithoutColons => both(input, signature.replace(':', "")),
        Form::SignatureNotClosed => both(input, signature.trim_end_matches(':').to_owned()),
        Form::BothMalformed => both("none".to_owned(), "none".to_owned()),
        Form::SecondInputMalformed => both(format!("{input}, sig2"), signature),
        Form::SecondSignatureMalformed => both(input, format!("{signature}, sig2")),
        Form::Junk => both(input, with_in_the_middle(&signature, "!")),
        Form::KeyidFirst => {
            let keyid = label.keyid.unwrap_or_default();
            both(
                format!("sig1=();keyid=\"{keyid}\";created={}", label.created),
                signature,
            )
        }
        Form::InTwoLines => {
            let other = Label {
                name: "bad1",
                keyid: Some(stranger.id.clone()),
                signature: stranger.sign(ANOTHER_TEXT.as_bytes()).to_vec(),
                ..label
            };
            let first = both(other.input(), other.signature());
            [first, both(input, signature)].concat()
        }
        Form::BeforeOthers | Form::AfterOthers | Form::InOtherOrder => {
            let mut labels = vec![label];
            for (name, key) in [("bad1", &stranger), ("bad2", key)] {
                labels.push(Label {
                    name,
                    keyid: Some(key.id.clone()),
                    more: String::new(),
                    created: unsigned.now,
                    components: "",
                    signature: key.sign(ANOTHER_TEXT.as_bytes()).to_vec(),
                });
            }
            if form != Form::BeforeOthers {
                labels.rotate_left(1);
            }
            let inputs: Vec<String> = labels.iter().map(Label::input).collect();
            if form == Form::InOtherOrder {
                // By its place, the signature that verifies belongs to the label of a key that nobody knows.
                labels.rotate_right(1);
            }
            let signatures: Vec<String> = labels.iter().map(Label::signature).collect();
            both(inputs.join(", "), signatures.join(", "))
        }
        _ => both(input, signature),
    })
}

/// A signature that needs no private key: S is 0, and R of small order.
pub(super) fn degenerate(form: Form) -> Vec<u8> {
    let order = if form == Form::SmallOrder {
        "order-8-a"
    } else {
        "identity"
    };
    let point = small_order_keys().iter().find(|key| key.name == order);
    let point = point.and_then(|key| STANDARD.decode(key.public_key).ok());
    [point.unwrap_or_default(), vec![0; 32]].concat()
}

/// Another id than this one: without its last character, or with one more where it has no other.
fn cut(id: &str) -> String {
    match id.char_indices().next_back() {
        Some((at, _)) if at > 0 => id[..at].to_owned(),
        _ => format!("{id}x"),
    }
}

/// The line of the profile that is signed.
fn line(method: &str, url: &str) -> String {
    format!("{method} {url}")
}

/// The signature base of RFC 9421 for method and address.
pub(super) fn rfc9421_components(method: &str, url: &str, parameters: &str) -> String {
    format!("\"@method\": {method}\n\"@target-uri\": {url}\n\"@signature-params\": {parameters}")
}

/// The address with the last part of its path taken away.
fn collection(url: &str) -> String {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    let (before, _) = address.rsplit_once('/').unwrap_or((address, ""));
    format!("{before}{query}")
}

/// The address at another host.
fn elsewhere(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    format!("{scheme}://{OTHER_HOST}{path}")
}

/// How a request that is signed so deviates from one that is signed as the profile says; none where it does not.
pub(super) fn about(form: Form, is_wanted: bool) -> Option<&'static str> {
    Some(match form {
        Form::None if is_wanted => "not signed",
        Form::None | Form::Valid | Form::SecondKey => return None,
        Form::OtherLabel => "signed under another label",
        Form::BeforeOthers => "a label that verifies, and two after it that do not",
        Form::AfterOthers => "a label that verifies after two that do not",
        Form::InOtherOrder => "a label that verifies and two that do not, in another order in each header",
        Form::StandardBase64 => "the signature in standard base64",
        Form::Nonce => "signed with a nonce",
        Form::Repeatable => super::advice::REPEATABLE,
        Form::InputWithoutValue => "Signature-Input without a value",
        Form::InputWithoutList => "Signature-Input without a list",
        Form::InputNotClosed => "a list in Signature-Input that is not closed",
        Form::SignatureWithoutValue => "Signature without a value",
        Form::SignatureWithoutColons => "Signature without colons",
        Form::SignatureNotClosed => "Signature without its second colon",
        Form::BothMalformed => "two headers that are no dictionaries",
        Form::UnknownKey => "the key id is not known",
        Form::UnknownId => "a key id that is not known, signed by a key that is",
        Form::CutId => "the beginning of a known key id, signed by its key",
        Form::Altered => "a bit of the signature is flipped",
        Form::Zero => "the signature is 64 zeros",
        Form::Identity => "R is the identity element, S is 0",
        Form::SmallOrder => "R is of small order, S is 0",
        Form::SmallOrderKey => super::advice::SMALL_ORDER_KEY,
        Form::UnreducedKey => "by a key that is no point by RFC 8032, with R the identity element and S 0",
        Form::WrongKey => "signed by another key",
        Form::OtherKnownKey => "signed by another key that the server knows",
        Form::OtherText => "signed over another text",
        Form::OtherMethod => "signed for another method",
        Form::OtherPath => "signed for another path",
        Form::OtherHost => "signed for another host",
        Form::WithoutQuery => "signed without the query",
        Form::OtherQuery => "signed for another query",
        Form::OnlyInput => "Signature-Input alone",
        Form::OnlySignature => "Signature alone",
        Form::LabelsCrossed => "another label in each header",
        Form::WithoutKeyid => "no keyid",
        Form::NotBase64 => "a signature that is no base64",
        Form::Short => "63 bytes of signature",
        Form::Long => "65 bytes of signature",
        Form::Expired => "expires is past",
        Form::Old => "created more than a day ago",
        Form::Future => "created more than a day ahead",
        Form::Malleable => "the group order is added to S",
        Form::OtherAlg => "another algorithm is named",
        Form::ForTheAddress => "signed for the address that is asked, not for Host",
        Form::Unexpired => "expires is ahead",
        Form::NamedAlg => "the algorithm is named",
        Form::KeyidFirst => "keyid before created",
        Form::AnotherNonce => "signed with another nonce",
        Form::InTwoLines => "each header in two lines, the label that verifies in the second",
        Form::Junk => "a character of no alphabet within the signature",
        Form::LongerId => "a known key id with more behind it, signed by its key",
        Form::InheritedId => "a key id that is a name of every object, signed by a known key",
        Form::DottedId => "the key id has a dash and a dot",
        Form::SecondInputMalformed => "a second member of Signature-Input without a value",
        Form::SecondSignatureMalformed => "a second member of Signature without a value",
        Form::Rfc9421 => "signed by RFC 9421 with covered components",
        Form::ComponentsOverLine => "covered components are named, and the line of the profile is signed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> NamedKey {
        let mut seed = [0; 32];
        for (at, byte) in (0..).zip(seed.iter_mut()) {
            *byte = at;
        }
        NamedKey::new("sig1", seed)
    }

    fn signed(method: &str, url: &str, form: Form) -> Signed {
        let unsigned = Unsigned {
            service: "strict",
            method,
            url,
            asked_at: url,
            body: None,
            keys: &[key()],
            now: 1_700_000_000,
            unique: "u",
        };
        sign(&unsigned, Some(&form)).unwrap()
    }

    #[test]
    fn the_published_vectors_are_made() {
        for (method, url, signature) in [
            (
                "POST",
                "http://127.0.0.1:8000/objects",
                "QNXBUiq__MMMTgP9PmpX385ospFyVAm8o4Wj4ABfG_BlGan_YGxaf9MxVDtdTwtNTouDsXNKoIuP6DCD76tADw",
            ),
            (
                "GET",
                "http://127.0.0.1:8000/objects?limit=10",
                "9_usYuUTIM5yDnzewIrJhD5DLOiFHk3OnE0hBRLDx6OrVigxSsEGad16FZvQHm6Xz0rJkJZtFGxvdQHjhs35DA",
            ),
        ] {
            let made = signed(method, url, Form::Valid);
            let input = r#"sig1=();created=1700000000;keyid="sig1""#;
            assert_eq!(
                made.headers,
                [
                    ("signature-input".to_owned(), input.to_owned()),
                    ("signature".to_owned(), format!("sig1=:{signature}:")),
                ]
            );
            assert_eq!(made.about, None);
        }
    }

    #[test]
    fn signatures_of_small_order_are_64_bytes_and_need_no_key() {
        for form in [
            Form::Identity,
            Form::SmallOrder,
            Form::SmallOrderKey,
            Form::UnreducedKey,
        ] {
            let bytes = degenerate(form);
            assert!(
                bytes.len() == 64 && bytes[32..] == [0; 32] && bytes[..32] != [0; 32],
                "{form:?}"
            );
        }
        let made = signed("GET", "http://h:1/objects", Form::UnreducedKey);
        assert!(made.headers[0].1.ends_with("keyid=\"conform_weak\""));
    }

    #[test]
    fn the_published_vector_of_rfc_9421_is_made() {
        let made = signed("POST", "http://127.0.0.1:8000/objects", Form::Rfc9421);
        let input = r#"sig1=("@method" "@target-uri");created=1700000000;keyid="sig1""#;
        assert_eq!(made.headers[0].1, input);
        let standard =
            "Xfi7t/HBLXUNF9l9fsuyIMX0aBLXgyFFp2NgA3j4G0DIs/C1og0xXYAvUdBF9KSX8n0ZSyE3VZjMTtOaqb8ZBQ==";
        let bytes = STANDARD.decode(standard).unwrap();
        assert_eq!(
            made.headers[1].1,
            format!("sig1=:{}:", URL_SAFE_NO_PAD.encode(bytes))
        );
    }

    #[test]
    fn a_cut_id_is_another() {
        assert_eq!((cut("sig1").as_str(), cut("é").as_str()), ("sig", "éx"));
    }

    #[test]
    fn the_headers_can_have_their_labels_in_another_order() {
        let made = signed("GET", "http://h:1/objects", Form::InOtherOrder);
        let labels = |at: usize| -> Vec<String> {
            let members = made.headers[at].1.split(", ");
            members
                .filter_map(|it| Some(it.split_once('=')?.0.to_owned()))
                .collect()
        };
        assert_eq!(labels(0), ["bad1", "bad2", "sig1"]);
        assert_eq!(labels(1), ["sig1", "bad1", "bad2"]);
    }

    #[test]
    fn addresses_are_changed_where_they_are_to_be() {
        assert_eq!(collection("http://h:1/objects/a?x=1"), "http://h:1/objects?x=1");
        assert_eq!(
            elsewhere("http://h:1/objects?x=1"),
            "http://other.example/objects?x=1"
        );
    }
}
