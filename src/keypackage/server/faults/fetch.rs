//! What a registry makes of a fetch that gets a rule wrong, or that has a rule more.

use serde_json::json;

use super::publish::has_upper_case;
use crate::keypackage::server::answer::Answer;
use crate::keypackage::server::store::{Bundle, Store, Which};
use crate::keypackage::server::{Registry, lock};

/// How long a server with a cache believes it, milliseconds.
const CACHED_MS: i64 = 2000;

/// The faults of servers that do not compare ids whole.
const LOOKED_UP_OTHERWISE: [&str; 3] = [
    "fetch-by-beginnings",
    "fetch-without-the-last-digit",
    "fetch-with-wildcards",
];

impl Registry {
    /// The name of the device that is looked up, given the one that the id stands for.
    pub(in crate::keypackage::server) fn device(
        &self,
        id: &str,
        named: Result<String, Answer>,
    ) -> Result<String, Answer> {
        if let Some(other) = self.looked_up_otherwise(id)? {
            return Ok(other);
        }
        let is_odd = !id.is_ascii() || id.contains('%');
        if is_odd && self.bends("odd-device-500") {
            return Err(Answer::refused(500, "the device id is not ASCII"));
        }
        if named.is_err() && self.bends("odd-ids-are-malformed") {
            return Err(Answer::refused(400, "this is no device id"));
        }
        let name = named?;
        if has_upper_case(id) && self.bends("upper-case-refused") {
            return Err(Answer::refused(400, "device ids are in lower case"));
        }
        match has_upper_case(id) && self.bends("case-makes-two") {
            true => Ok(id.to_owned()),
            false => Ok(name),
        }
    }

    /// The device that a server finds which does not compare ids whole.
    fn looked_up_otherwise(&self, id: &str) -> Result<Option<String>, Answer> {
        if !LOOKED_UP_OTHERWISE.into_iter().any(|name| self.has(name)) {
            return Ok(None);
        }
        let devices = self.stored(Store::devices)?;
        if devices.iter().any(|known| known.eq_ignore_ascii_case(id)) {
            return Ok(None);
        }
        let is_any = !id.is_empty()
            && id
                .replace("%25", "%")
                .replace("%5F", "_")
                .chars()
                .all(|c| c == '%' || c == '_');
        let found = devices.into_iter().find(|known| {
            !id.is_empty() && known.starts_with(id) && self.bends("fetch-by-beginnings")
                || id.len() == known.len()
                    && id.get(..63) == known.get(..63)
                    && self.bends("fetch-without-the-last-digit")
                || is_any && self.bends("fetch-with-wildcards")
        });
        Ok(found)
    }

    /// The bundle that is served for a device, given its newest.
    pub(in crate::keypackage::server) fn found(
        &self,
        device: &str,
        newest: Option<Bundle>,
    ) -> Result<Option<Bundle>, Answer> {
        let Some(bundle) = newest else {
            if self.has("absence-is-cached") {
                let until = (self.clock)() + CACHED_MS;
                lock(&self.absent).insert(device.to_owned(), until);
            }
            return self.found_nothing();
        };
        let is_absent = lock(&self.absent)
            .get(device)
            .is_some_and(|until| *until > (self.clock)());
        if is_absent && self.bends("absence-is-cached") {
            return Ok(None);
        }
        let other =
            |name: &'static str, device: Option<&str>, which: Which| -> Result<Option<Bundle>, Answer> {
                if !self.has(name) {
                    return Ok(None);
                }
                let found = self.stored(|store| store.get(device, which))?;
                let found = found.filter(|found| *found != bundle);
                Ok(found.inspect(|_| self.fire(name)))
            };
        if let Some(found) = other("one-for-all", None, Which::Newest)? {
            return Ok(Some(found));
        }
        if let Some(found) = other("latest-by-its-time", Some(device), Which::LatestTime)? {
            return Ok(Some(found));
        }
        if let Some(found) = other("first-bundle-served", Some(device), Which::Oldest)? {
            return Ok(Some(found));
        }
        if let Some(found) = other("signature-of-the-one-before", Some(device), Which::Previous)? {
            return Ok(Some(Bundle {
                signature: found.signature,
                ..bundle
            }));
        }
        Ok(Some(self.cached(device, bundle)))
    }

    /// What is served for a device that has published nothing.
    fn found_nothing(&self) -> Result<Option<Bundle>, Answer> {
        if self.has("one-for-all")
            && let Some(found) = self.stored(|store| store.get(None, Which::Newest))?
        {
            self.fire("one-for-all");
            return Ok(Some(found));
        }
        match () {
            () if self.bends("fetch-200-for-nobody") => Err(Answer::Object(json!({}))),
            () if self.bends("fetch-serves-nobodys-500") => Err(Answer::refused(500, "no such row")),
            () => Ok(None),
        }
    }

    fn cached(&self, device: &str, bundle: Bundle) -> Bundle {
        if !self.has("fetch-cached") {
            return bundle;
        }
        let mut cache = lock(&self.cache);
        match cache.get(device) {
            Some((until, known)) if *until > (self.clock)() => {
                if *known != bundle {
                    self.fire("fetch-cached");
                }
                known.clone()
            }
            _ => {
                cache.insert(device.to_owned(), ((self.clock)() + CACHED_MS, bundle.clone()));
                bundle
            }
        }
    }
}
