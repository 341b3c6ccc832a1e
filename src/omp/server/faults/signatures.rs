//! What a server takes for a signature that is none.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

use crate::catalogue::Level::{Must, Should};
use crate::omp::server::Server;
use crate::omp::server::admission::Look;
use crate::omp::server::rules::addresses::decoded;
use crate::omp::server::rules::signatures::{self as rules, Input, Parts};
use crate::serve::{Asked, Fault, fault};

/// How long an address stands where all requests have theirs.
const BETWEEN: Duration = Duration::from_millis(3);

/// The order of the group, little endian (RFC 8032, 5.1).
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// What is taken for a signature.
pub(super) const UNVERIFIED: &[Fault] = &[
    fault(
        "signature-unchecked",
        "signatures",
        &[
            "OMP-SIG-08",
            "OMP-SIG-11",
            "OMP-SIG-12",
            "OMP-SIG-13",
            "OMP-SIG-20",
        ],
        Must,
        "No signature is verified.",
        "Anybody who knows a key id is let in.",
        "Verify every signature.",
    ),
    fault(
        "small-order-signatures-taken",
        "signatures",
        &["OMP-SIG-08", "OMP-SIG-20"],
        Must,
        "A signature with S = 0 and R of small order is taken under every key.",
        "Whoever likes signs for everybody.",
        "Compute the whole equation (RFC 8032, 5.1.7); a library does.",
    ),
    fault(
        "zero-signatures-taken",
        "signatures",
        &["OMP-SIG-08"],
        Must,
        "A signature of zeros is taken.",
        "Anybody who knows a key id is let in.",
        "Let nothing stand for a signature but a signature.",
    ),
    fault(
        "components-are-not-looked-at",
        "signatures",
        &["OMP-SIG-08"],
        Must,
        "Components that are named as covered are not looked at: the line of the profile is verified all the same.",
        "A signature is taken for one over something else.",
        "Verify by RFC 9421 where components are named, or refuse them.",
    ),
];

/// What a signature covers.
pub(super) const UNBOUND: &[Fault] = &[
    fault(
        "method-unbound",
        "signatures",
        &["OMP-SIG-11"],
        Must,
        "A signature for another method is taken.",
        "Who may read may delete.",
        "Verify over the method of the request.",
    ),
    fault(
        "path-unbound",
        "signatures",
        &["OMP-SIG-11"],
        Must,
        "A signature for another path is taken.",
        "Who may read one object may read all.",
        "Verify over the whole path.",
    ),
    fault(
        "host-unbound",
        "signatures",
        &["OMP-SIG-11"],
        Must,
        "A signature for another host is taken.",
        "What was signed for one server opens another.",
        "Verify over the Host of the request.",
    ),
    fault(
        "methods-are-overridden",
        "signatures",
        &["OMP-SIG-11"],
        Must,
        "A header names another method than the signed one, and that is executed.",
        "Who may read may delete.",
        "Verify over the method that is executed, or drop such headers.",
    ),
    fault(
        "query-left-out-taken",
        "signatures",
        &["OMP-SIG-12"],
        Should,
        "A signature over the address without its query is taken.",
        "Parameters can be changed.",
        "Verify over the query as well.",
    ),
    fault(
        "query-unbound",
        "signatures",
        &["OMP-SIG-12"],
        Should,
        "A signature for another query is taken.",
        "Parameters can be changed.",
        "Verify over the query as well.",
    ),
    fault(
        "any-known-key-will-do",
        "signatures",
        &["OMP-SIG-13"],
        Must,
        "A signature by any known key is taken.",
        "One client acts in the name of another.",
        "Verify with the key that keyid names.",
    ),
    fault(
        "verified-once-is-enough",
        "signatures",
        &[
            "OMP-SIG-13",
            "OMP-SIG-08",
            "OMP-SIG-11",
            "OMP-SIG-12",
            "OMP-SIG-20",
        ],
        Must,
        "Once a signature of a key has verified, no other is looked at.",
        "Anybody who knows the key id is let in then.",
        "Verify every request.",
    ),
    fault(
        "queries-are-sorted-before-verifying",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "The signature is verified over the query with its parameters in order.",
        "Clients that write them in another order are locked out.",
        "Verify over the query as it was sent.",
    ),
    fault(
        "authority-is-the-first-host",
        "signatures",
        &["OMP-SIG-09", "OMP-SIG-11"],
        Must,
        "The address is verified with the Host of the first request, whatever a request says itself.",
        "Behind a proxy everybody is locked out, and a signature for another server is taken.",
        "Verify over the Host of the request.",
    ),
    fault(
        "forwarded-host-goes-first",
        "signatures",
        &["OMP-SIG-11", "OMP-SIG-09"],
        Must,
        "X-Forwarded-Host is verified in place of Host, whoever sends it.",
        "What was signed for one server opens another.",
        "Verify over the Host of the request.",
    ),
    fault(
        "paths-are-decoded-before-verifying",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "The signature is verified over the path with its escapes read.",
        "Clients that escape a character are locked out.",
        "Verify over the path as it was sent.",
    ),
    fault(
        "queries-end-at-a-question-mark",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "The signature is verified over the query up to a second question mark.",
        "Clients that search for one are locked out.",
        "Cut the address at its first question mark alone.",
    ),
    fault(
        "addresses-are-normalised",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "The signature is verified over the address as a library writes it, with quotes escaped.",
        "Clients that leave a quote as it is are locked out.",
        "Verify over the address as it was sent.",
    ),
    fault(
        "requests-share-their-address",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "The address that is verified stands in a variable that requests at the same moment share.",
        "Under load clients are locked out now and then.",
        "Keep what belongs to a request with the request.",
    ),
];

/// What becomes of the parameters of a signature, and of odd ones.
pub(super) const PARAMETERS: &[Fault] = &[
    fault(
        "expired-signatures-taken",
        "signatures",
        &["OMP-SIG-17"],
        Should,
        "expires is not looked at.",
        "Old signatures open the server for ever.",
        "Refuse signatures that have run out.",
    ),
    fault(
        "old-signatures-taken",
        "signatures",
        &["OMP-SIG-17"],
        Should,
        "created is not looked at.",
        "Old signatures open the server for ever.",
        "Refuse signatures that were made long ago.",
    ),
    fault(
        "nonces-may-come-again",
        "signatures",
        &["OMP-SIG-18"],
        Should,
        "A nonce may be used again.",
        "A request can be replayed.",
        "Remember nonces.",
    ),
    fault(
        "digests-are-ignored",
        "signatures",
        &["OMP-SIG-19"],
        Should,
        "Content-Digest is not compared with the body.",
        "A body can be changed on its way.",
        "Compare it where it is sent.",
    ),
    fault(
        "s-above-the-order-taken",
        "signatures",
        &["OMP-SIG-20"],
        Should,
        "A signature whose S is not below the group order is taken.",
        "Signatures can be varied.",
        "Verify strictly (RFC 8032, 5.1.7).",
    ),
    fault(
        "weak-keys-taken",
        "signatures",
        &["OMP-SIG-20"],
        Should,
        "Public keys that are no points by RFC 8032 are taken, and what verifies laxly under them.",
        "A slip in the configuration opens the routes to everybody.",
        "Refuse keys that RFC 8032 calls invalid, and verify strictly.",
    ),
    fault(
        "alg-is-ignored",
        "signatures",
        &["OMP-SIG-20"],
        Should,
        "Another algorithm than ed25519 is ignored.",
        "Clients believe they use another one.",
        "Refuse what is not ed25519.",
    ),
    fault(
        "standard-base64-refused",
        "signatures",
        &["OMP-SIG-21"],
        Should,
        "Standard base64 is not read in Signature.",
        "Clients that sign by RFC 9421 are locked out.",
        "Read both alphabets.",
    ),
    fault(
        "expires-in-milliseconds",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "expires is compared with the time in milliseconds.",
        "Clients that say how long a signature holds are locked out.",
        "Read created and expires as seconds.",
    ),
    fault(
        "an-alg-is-refused",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "A signature that names its algorithm is refused, the right one too.",
        "Clients that name it are locked out.",
        "Take ed25519.",
    ),
    fault(
        "parameters-by-their-places",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "Parameters are looked for in one order: created, then keyid.",
        "Clients that write them in another order are locked out.",
        "Look up each parameter by its name.",
    ),
    fault(
        "nonces-are-cut",
        "signatures",
        &["OMP-SIG-09"],
        Must,
        "Nonces are remembered by their first eight characters.",
        "A new nonce is taken for an old one.",
        "Compare nonces whole.",
    ),
];

impl Server {
    /// The authority that is verified, given the Host of a request.
    pub(in crate::omp::server) fn host(&self, asked: &Asked, host: &str) -> String {
        if let Some(other) = asked.header("x-forwarded-host")
            && self.bends("forwarded-host-goes-first")
        {
            return other;
        }
        if !self.has("authority-is-the-first-host") {
            return host.to_owned();
        }
        let first = self.memory().host.get_or_insert_with(|| host.to_owned()).clone();
        match first != host && self.bends("authority-is-the-first-host") {
            true => first,
            false => host.to_owned(),
        }
    }

    /// The bytes that the text of a signature is taken for, given those that it stands for.
    pub(in crate::omp::server) fn signature(&self, text: &str, bytes: Option<[u8; 64]>) -> Option<[u8; 64]> {
        let is_odd = |c: char| !c.is_ascii_alphanumeric() && !['+', '/', '-', '_', '='].contains(&c);
        if let Some(bytes) = rules::signature_bytes(&text.replace(is_odd, ""))
            && text.contains(is_odd)
            && self.bends("junk-in-base64-is-skipped")
        {
            return Some(bytes);
        }
        if text.contains(['+', '/', '=']) && self.bends("standard-base64-refused") {
            return None;
        }
        bytes.or_else(|| {
            let first = first_bytes(text)?;
            self.bends("signature-tail-ignored").then_some(first)
        })
    }

    /// Whether a request is taken for signed by a key, given whether it is.
    pub(in crate::omp::server) fn is_signed(
        &self,
        id: &str,
        key: &[u8; 32],
        parts: &Parts<'_>,
        signature: &[u8; 64],
        verifies: bool,
    ) -> bool {
        let is_sorted = parts.query.is_none_or(|query| query.split('&').is_sorted());
        if verifies && !is_sorted && self.bends("queries-are-sorted-before-verifying") {
            return false;
        }
        if verifies && self.reads_another_address(parts) {
            return false;
        }
        let is_signed = verifies
            || self.takes_anything(key, parts, signature)
            || self.takes_other_line(key, parts, signature)
            || self.takes_other_key(parts, signature)
            || self.bends_if("verified-once-is-enough", || self.memory().verified.contains(id));
        if is_signed && self.has("verified-once-is-enough") {
            self.memory().verified.insert(id.to_owned());
        }
        is_signed
    }

    /// Whether the address that is verified is another than the one that was sent.
    fn reads_another_address(&self, parts: &Parts<'_>) -> bool {
        let query = parts.query.unwrap_or_default();
        decoded(parts.path) != parts.path && self.bends("paths-are-decoded-before-verifying")
            || query.contains('?') && self.bends("queries-end-at-a-question-mark")
            || query.contains('\'') && self.bends("addresses-are-normalised")
            || self.is_overtaken(parts)
    }

    /// Whether another request came while the address of this one stood where all requests have theirs.
    fn is_overtaken(&self, parts: &Parts<'_>) -> bool {
        if !self.has("requests-share-their-address") {
            return false;
        }
        let own = rules::signed_line(parts);
        self.memory().address.clone_from(&own);
        std::thread::sleep(BETWEEN);
        let is_other = self.memory().address != own;
        is_other && self.bends("requests-share-their-address")
    }

    /// What comes of a label that names components, where they are not looked at.
    pub(in crate::omp::server) fn uncovered(
        &self,
        parts: &Parts<'_>,
        key: &[u8; 32],
        signature: &[u8; 64],
        look: Look,
    ) -> Look {
        let verifies = || rules::verifies(key, &rules::signed_line(parts), signature);
        match self.bends_if("components-are-not-looked-at", verifies) {
            true => Look::Verifies,
            false => look,
        }
    }

    /// What is taken for a signature though it is none, or none that is verified strictly.
    fn takes_anything(&self, key: &[u8; 32], parts: &Parts<'_>, signature: &[u8; 64]) -> bool {
        let line = rules::signed_line(parts);
        let is_zero = *signature == [0; 64];
        self.bends("signature-unchecked")
            || is_zero && self.bends("zero-signatures-taken")
            || self.bends_if("small-order-signatures-taken", || {
                !is_zero && is_degenerate(signature)
            })
            || self.bends_if("weak-keys-taken", || verifies_laxly(key, &line, signature))
            || self.bends_if("s-above-the-order-taken", || {
                reduced(signature).is_some_and(|reduced| rules::verifies(key, &line, &reduced))
            })
    }

    /// A signature for another request that is taken for one for this.
    fn takes_other_line(&self, key: &[u8; 32], parts: &Parts<'_>, signature: &[u8; 64]) -> bool {
        let is_for = |parts: &Parts<'_>| rules::verifies(key, &rules::signed_line(parts), signature);
        let has_query = parts.query.is_some();
        self.bends_if("method-unbound", || {
            let methods = ["GET", "POST", "PUT", "DELETE"];
            methods.iter().any(|method| is_for(&Parts { method, ..*parts }))
        }) || self.bends_if("path-unbound", || {
            let store = self.store();
            let paths = store
                .objects
                .iter()
                .map(|object| format!("/objects/{}", object.id));
            paths.chain(["/objects".to_owned()]).any(|path| {
                is_for(&Parts {
                    path: &path,
                    ..*parts
                })
            })
        }) || self.bends_if("host-unbound", || {
            let host = "other.example";
            is_for(&Parts { host, ..*parts })
        }) || self.bends_if("query-left-out-taken", || {
            has_query
                && is_for(&Parts {
                    query: None,
                    ..*parts
                })
        }) || self.bends_if("query-unbound", || {
            let query = Some("limit=1");
            has_query && is_for(&Parts { query, ..*parts })
        })
    }

    /// A signature by another key that is taken for one by this.
    fn takes_other_key(&self, parts: &Parts<'_>, signature: &[u8; 64]) -> bool {
        let line = rules::signed_line(parts);
        self.bends_if("any-known-key-will-do", || {
            let mut others = self.settings.keys.values();
            others.any(|other| rules::verifies(other, &line, signature))
        })
    }

    /// Whether a signature is taken for one of now, given whether it is.
    pub(in crate::omp::server) fn is_in_time(&self, input: &Input, now_s: i64, is_in_time: bool) -> bool {
        let has_expires = input.parameters.contains_key("expires");
        let is_in_other_order = input.written.find(";keyid") < input.written.find(";created");
        if is_in_time
            && (has_expires && self.bends("expires-in-milliseconds")
                || is_in_other_order && self.bends("parameters-by-their-places"))
        {
            return false;
        }
        is_in_time
            || match rules::is_far(input, now_s) {
                true => self.bends("old-signatures-taken"),
                false => self.bends("expired-signatures-taken"),
            }
    }

    /// Whether an algorithm is taken for Ed25519, given whether it is.
    pub(in crate::omp::server) fn is_ed25519(&self, input: &Input, is_ed25519: bool) -> bool {
        if is_ed25519 && input.parameters.contains_key("alg") && self.bends("an-alg-is-refused") {
            return false;
        }
        is_ed25519 || self.bends("alg-is-ignored")
    }

    /// What is remembered of a nonce.
    pub(in crate::omp::server) fn nonce<'a>(&self, nonce: &'a str) -> &'a str {
        match nonce.get(..8) {
            Some(first) if first != nonce && self.bends("nonces-are-cut") => first,
            _ => nonce,
        }
    }

    /// Whether a nonce is taken for a new one, given whether it is.
    pub(in crate::omp::server) fn is_new(&self, is_new: bool) -> bool {
        is_new || self.bends("nonces-may-come-again")
    }

    /// Whether this server deviates in that way where a condition holds, which costs too much to ask of every server.
    fn bends_if(&self, name: &'static str, holds: impl Fn() -> bool) -> bool {
        self.has(name) && holds() && self.bends(name)
    }
}

/// The first 64 bytes of a signature that may have more.
fn first_bytes(text: &str) -> Option<[u8; 64]> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD.decode(text))
        .ok()?;
    bytes.first_chunk().copied()
}

/// The group order added to the S of a signature is taken away again; none where S was below it.
fn reduced(signature: &[u8; 64]) -> Option<[u8; 64]> {
    let mut reduced = *signature;
    let mut borrow = 0_i16;
    for (byte, order) in reduced[32..].iter_mut().zip(GROUP_ORDER) {
        let left = i16::from(*byte) - i16::from(order) - borrow;
        *byte = u8::try_from(left & 0xff).ok()?;
        borrow = i16::from(left < 0);
    }
    (borrow == 0).then_some(reduced)
}

/// Whether it is one by whatever a lax verification takes: keys that are no points, and points of small order.
fn verifies_laxly(key: &[u8; 32], text: &str, signature: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| {
        key.verify(text.as_bytes(), &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// Whether S is 0 and R is a point of small order.
fn is_degenerate(signature: &[u8; 64]) -> bool {
    let (r, s) = signature.split_at(32);
    let point = <[u8; 32]>::try_from(r)
        .ok()
        .and_then(|r| VerifyingKey::from_bytes(&r).ok());
    s == [0; 32] && point.is_some_and(|point| point.is_weak())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_taken_off_an_s_that_is_not_below_it() {
        let mut signature = [0; 64];
        assert_eq!(reduced(&signature), None);
        signature[32..].copy_from_slice(&GROUP_ORDER);
        signature[32] += 1;
        let mut one = [0; 64];
        one[32] = 1;
        assert_eq!(reduced(&signature), Some(one));
    }
}
