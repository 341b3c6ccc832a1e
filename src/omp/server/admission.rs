//! Who is let in: what a mode makes of the two signature headers.

use super::rules::{self, Input};
use super::{Mode, Server, now};
use crate::serve::{Asked, Reply};

/// What came of one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Verifies,
    /// The key id is known, and the signature is none under its key.
    Fails,
    UnknownKey,
}

impl Server {
    /// Lets a request in.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn admit(&self, asked: &Asked) -> Result<(), Reply> {
        match self.settings.mode {
            Mode::Off => self.off(asked),
            Mode::Permissive => self.permissive(asked),
            Mode::Strict => self.strict(asked),
        }
    }

    fn off(&self, asked: &Asked) -> Result<(), Reply> {
        match read(asked) {
            Err(why) if self.bends("off-looks-at-the-syntax") => Err(self.error(400, &why)),
            _ => Ok(()),
        }
    }

    fn permissive(&self, asked: &Asked) -> Result<(), Reply> {
        let headers = (asked.header("signature-input"), asked.header("signature"));
        match headers {
            (None, None) if self.bends("permissive-wants-headers") => {
                return Err(self.error(401, "Missing required signature"));
            }
            (None, None) => return Ok(()),
            (Some(_), None) | (None, Some(_)) if self.bends("one-header-is-malformed") => {
                return Err(self.error(400, "one of the two headers is missing"));
            }
            _ => {}
        }
        let (inputs, signatures) = match read(asked) {
            Ok(read) => read,
            Err(_) if self.bends("permissive-takes-malformed-headers") => return Ok(()),
            Err(why) => return Err(self.error(400, &why)),
        };
        if inputs.iter().any(|input| !input.components.is_empty()) {
            if self.bends("components-are-malformed") {
                return Err(self.error(400, "covered components are not known here"));
            }
            return Ok(());
        }
        let looks = self.looks(asked, &inputs, &signatures);
        if !looks.is_empty() && !looks.contains(&Look::Verifies) && self.bends("permissive-verifies") {
            return Err(self.error(401, "the signature does not verify"));
        }
        Ok(())
    }

    fn strict(&self, asked: &Asked) -> Result<(), Reply> {
        let is_list = asked.path.trim_end_matches('/') == "/objects" && asked.method == "GET";
        let is_search = asked.path == "/objects/search";
        let headers = (asked.header("signature-input"), asked.header("signature"));
        if headers == (None, None) {
            let opens = is_list && self.bends("strict-leaves-the-list-open")
                || is_search && self.bends("strict-leaves-the-search-open")
                || asked.method == "DELETE" && self.bends("strict-leaves-delete-open");
            if opens {
                return Ok(());
            }
            self.body_first(asked)?;
            self.execute_all_the_same(asked);
            return Err(self.error(401, "Missing required signature"));
        }
        if headers.0.is_none() || headers.1.is_none() {
            if self.bends("one-header-suffices") {
                return Ok(());
            }
            let status = if self.bends("one-header-is-malformed") {
                400
            } else {
                401
            };
            return Err(self.error(status, "one of the two headers is missing"));
        }
        let (inputs, signatures) = match read(asked) {
            Ok(read) => read,
            Err(why) => {
                let status = if self.bends("strict-malformed-401") {
                    401
                } else {
                    400
                };
                return Err(self.error(status, &why));
            }
        };
        if !inputs.iter().any(|input| input.label == "sig1") && self.bends("only-the-label-sig1") {
            return Err(self.error(401, "there is no label sig1"));
        }
        if self.usable(&inputs, &signatures).is_empty() {
            return self.unusable(asked, &inputs, &signatures);
        }
        let mut looks = self.looks(asked, &inputs, &signatures);
        if looks.len() > 1 && looks[0] != Look::Verifies && self.bends("only-the-first-label") {
            looks.truncate(1);
        }
        if looks.len() > 1
            && looks.iter().any(|look| *look != Look::Verifies)
            && self.bends("every-label-must-verify")
        {
            looks = vec![Look::Fails];
        }
        if looks.contains(&Look::Verifies) {
            if asked.method == "PUT" && self.bends("strict-never-admits-replace") {
                return Err(self.error(401, "the signature does not verify"));
            }
            return self.digest(asked);
        }
        self.execute_all_the_same(asked);
        if looks.iter().all(|look| *look == Look::UnknownKey) {
            if self.bends("unknown-keys-are-taken") {
                return Ok(());
            }
            let status = if self.bends("unknown-keys-403") { 403 } else { 401 };
            return Err(self.error(status, "the key id is unknown"));
        }
        Err(self.error(401, "the signature does not verify"))
    }

    /// A server that reads a body before it looks at signatures.
    fn body_first(&self, asked: &Asked) -> Result<(), Reply> {
        let body = asked.body.as_deref().unwrap_or_default();
        let is_none = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err();
        match matches!(asked.method.as_str(), "POST" | "PUT")
            && is_none
            && self.bends("body-before-signature")
        {
            true => Err(self.error(400, "the body is not JSON")),
            false => Ok(()),
        }
    }

    /// A server that looks at the signature when the work is done.
    fn execute_all_the_same(&self, asked: &Asked) {
        let id = rules::decoded(asked.path.rsplit('/').next().unwrap_or_default());
        match asked.method.as_str() {
            "DELETE" if self.store().get(&id).is_some() && self.bends("refused-delete-is-executed") => {
                let _ = self.delete(&id);
            }
            "PUT" if self.store().get(&id).is_some() && self.bends("refused-replace-is-executed") => {
                let _ = self.replace(&id, asked);
            }
            _ => {}
        }
    }

    /// No label has both an input that names a key and a signature that is one.
    fn unusable(
        &self,
        asked: &Asked,
        inputs: &[Input],
        signatures: &[(String, String)],
    ) -> Result<(), Reply> {
        let nameless = inputs.iter().any(|input| !input.parameters.contains_key("keyid"));
        let known = |label: &str| signatures.iter().any(|(other, _)| other == label);
        let crossed = !inputs.iter().any(|input| known(&input.label));
        let first = self.settings.keys.iter().next();
        if nameless
            && !crossed
            && let Some((id, _)) = first
        {
            let mut guessed = inputs.to_vec();
            guessed[0].parameters.insert("keyid".to_owned(), id.clone());
            if self.looks(asked, &guessed, signatures).contains(&Look::Verifies)
                && self.bends("a-key-is-guessed")
            {
                return Ok(());
            }
        }
        if crossed && !nameless {
            let mut renamed = signatures.to_vec();
            renamed[0].0.clone_from(&inputs[0].label);
            if self.looks(asked, inputs, &renamed).contains(&Look::Verifies)
                && self.bends("labels-need-not-match")
            {
                return Ok(());
            }
        }
        let is_odd = !nameless && !crossed;
        if is_odd && self.bends("odd-signatures-500") {
            return Err(self.error(500, "cannot decode the signature"));
        }
        let is_lax =
            is_odd || nameless && self.bends("no-keyid-401") || crossed && self.bends("labels-crossed-401");
        Err(self.error(if is_lax { 401 } else { 400 }, "there is no usable signature"))
    }

    /// The labels with a key id, and 64 bytes of signature.
    fn usable<'a>(&self, inputs: &'a [Input], signatures: &[(String, String)]) -> Vec<(&'a Input, [u8; 64])> {
        let bytes = |label: &str| {
            let own = signatures.iter().find(|(other, _)| other == label)?;
            if own.1.contains(['+', '/', '=']) && self.bends("standard-base64-refused") {
                return None;
            }
            if let Some(bytes) = rules::signature_bytes(&own.1) {
                return Some(bytes);
            }
            // Bytes behind the signature.
            let longer = rules::longer_signature(&own.1)?;
            self.bends("signature-tail-ignored").then_some(longer)
        };
        let named = inputs
            .iter()
            .filter(|input| input.parameters.contains_key("keyid"));
        named
            .filter_map(|input| Some((input, bytes(&input.label)?)))
            .collect()
    }

    fn looks(&self, asked: &Asked, inputs: &[Input], signatures: &[(String, String)]) -> Vec<Look> {
        let usable = self.usable(inputs, signatures);
        usable
            .iter()
            .map(|(input, bytes)| self.look(asked, input, bytes))
            .collect()
    }

    fn look(&self, asked: &Asked, input: &Input, signature: &[u8; 64]) -> Look {
        let id = &input.parameters["keyid"];
        let Some(key) = self.settings.keys.get(id) else {
            return Look::UnknownKey;
        };
        if !input.components.is_empty() {
            let verifies =
                || rules::verifies(key, &rules::rfc9421_base(input, &self.parts(asked)), signature);
            return match self.deviations.contains(&"components-verified") && verifies() {
                true if self.bends("components-verified") => Look::Verifies,
                _ => Look::Fails,
            };
        }
        if !self.is_signed(asked, id, key, signature) {
            return Look::Fails;
        }
        let now = now().as_second();
        let is_past = rules::is_out_of_time(input, now);
        let is_far = rules::is_far(input, now);
        if is_past
            && !(is_far && self.bends("old-signatures-taken")
                || !is_far && self.bends("expired-signatures-taken"))
        {
            return Look::Fails;
        }
        if rules::is_other_alg(input) && !self.bends("alg-is-ignored") {
            return Look::Fails;
        }
        if let Some(nonce) = input.parameters.get("nonce") {
            let is_new = self.store().nonces.insert((id.clone(), nonce.clone()));
            if !is_new && !self.bends("nonces-may-come-again") {
                return Look::Fails;
            }
        }
        self.store().verified.insert(id.clone());
        Look::Verifies
    }

    /// Whether the line of a request is signed, or what this server takes for that.
    fn is_signed(&self, asked: &Asked, id: &str, key: &[u8; 32], signature: &[u8; 64]) -> bool {
        let parts = self.parts(asked);
        let line = |method: &str, host: &str, path: &str, query: Option<&str>| {
            rules::signed_line(method, self.scheme, host, path, query)
        };
        let own = line(parts.method, parts.host, parts.path, parts.query);
        if rules::verifies(key, &own, signature) {
            return true;
        }
        let is = |text: &str| rules::verifies(key, text, signature);
        let methods = ["GET", "POST", "PUT", "DELETE"];
        let other_method = || {
            methods
                .iter()
                .any(|method| is(&line(method, parts.host, parts.path, parts.query)))
        };
        let ids: Vec<String> = self
            .store()
            .objects
            .iter()
            .map(|object| object.id.clone())
            .collect();
        let other_path = || {
            let paths = ids.iter().map(|id| format!("/objects/{id}"));
            paths
                .chain(["/objects".to_owned()])
                .any(|path| is(&line(parts.method, parts.host, &path, parts.query)))
        };
        if self.bends_if("signature-unchecked", || true)
            || self.bends_if("zero-signatures-taken", || *signature == [0; 64])
            || self.bends_if("small-order-signatures-taken", || {
                rules::is_degenerate(signature) && *signature != [0; 64]
            })
            || self.bends_if("weak-keys-taken", || rules::verifies_laxly(key, &own, signature))
            || self.bends_if("method-unbound", other_method)
            || self.bends_if("path-unbound", other_path)
            || self.bends_if("host-unbound", || {
                is(&line(parts.method, "other.example", parts.path, parts.query))
            })
            || self.bends_if("query-left-out-taken", || {
                parts.query.is_some() && is(&line(parts.method, parts.host, parts.path, None))
            })
            || self.bends_if("query-unbound", || {
                parts.query.is_some() && is(&line(parts.method, parts.host, parts.path, Some("limit=1")))
            })
            || self.bends_if("s-above-the-order-taken", || {
                rules::reduced(signature).is_some_and(|reduced| rules::verifies(key, &own, &reduced))
            })
            || self.bends_if("any-known-key-will-do", || {
                self.settings
                    .keys
                    .values()
                    .any(|other| rules::verifies(other, &own, signature))
            })
        {
            return true;
        }
        let was_verified = self.store().verified.contains(id);
        self.bends_if("verified-once-is-enough", || was_verified)
    }

    /// Whether this server deviates in that way where a condition holds.
    fn bends_if(&self, name: &'static str, holds: impl Fn() -> bool) -> bool {
        self.deviations.contains(&name) && holds() && self.bends(name)
    }

    fn parts<'a>(&self, asked: &'a Asked) -> rules::Parts<'a> {
        let host = asked.headers.iter().find(|(name, _)| name == "host");
        rules::Parts {
            method: &asked.method,
            scheme: self.scheme,
            host: host.map(|(_, value)| value.as_str()).unwrap_or_default(),
            path: &asked.path,
            query: asked.query.as_deref(),
        }
    }

    fn digest(&self, asked: &Asked) -> Result<(), Reply> {
        let body = asked.body.as_deref().unwrap_or_default();
        let is_other = asked
            .header("content-digest")
            .is_some_and(|header| rules::is_other_digest(&header, body));
        match is_other && !self.bends("digests-are-ignored") {
            true => Err(self.error(400, "the digest is not that of the body")),
            false => Ok(()),
        }
    }
}

type Read = (Vec<Input>, Vec<(String, String)>);

/// Both headers, as far as they are there.
fn read(asked: &Asked) -> Result<Read, String> {
    let inputs = asked.header("signature-input").map(|text| rules::inputs(&text));
    let signatures = asked.header("signature").map(|text| rules::signatures(&text));
    Ok((
        inputs.transpose()?.unwrap_or_default(),
        signatures.transpose()?.unwrap_or_default(),
    ))
}
