//! What the registry does: it publishes and it fetches. Each asks the plain functions of `rules`, and stores or looks up:
//! nothing here knows of faults. A method of the registry that takes what was decided gives it back, unless this server
//! gets that wrong.

use super::Registry;
use super::answer::Answer;
use super::rules;
use super::store::{Bundle, Which};
use crate::serve::Asked;

/// What a request is answered.
pub(super) fn answer(registry: &Registry, asked: &Asked) -> Answer {
    let answered = match (asked.method.as_str(), asked.path.strip_prefix("/v0/keypackage")) {
        ("POST", Some("")) => publish(registry, asked),
        (_, Some("")) => Err(Answer::not_allowed("POST")),
        ("GET" | "HEAD", Some(rest)) if rest.starts_with('/') => fetch(registry, &rest[1..]),
        (_, Some(rest)) if rest.starts_with('/') => Err(Answer::not_allowed("GET, HEAD")),
        _ => Err(Answer::refused(404, "there is no such route")),
    };
    answered.unwrap_or_else(|refused| refused)
}

/// Stores a bundle that its device has signed.
fn publish(registry: &Registry, asked: &Asked) -> Result<Answer, Answer> {
    let body = registry.body(asked, rules::body(asked))?;
    let publication = registry.publication(body, rules::read(body))?;
    registry.signature(&publication, rules::is_signed(&publication))?;
    let device = registry.stored_name(&publication, rules::name(&publication.device));
    store(registry, &device, &publication.bundle())?;
    Ok(Answer::Published)
}

/// Stores a bundle, and drops what is too much of its device.
pub(super) fn store(registry: &Registry, device: &str, bundle: &Bundle) -> Result<(), Answer> {
    let now_ms = (registry.clock)();
    registry.adds(device, bundle, |store| store.add(device, bundle, now_ms))?;
    registry.drops(device, |store| {
        store.keep_newest(device, registry.flags.max_per_identity)
    })
}

/// Serves the bundle that a device published last.
fn fetch(registry: &Registry, id: &str) -> Result<Answer, Answer> {
    let device = registry.device(id, rules::named_device(id))?;
    let newest = registry.stored(|store| store.get(Some(&device), Which::Newest))?;
    match registry.found(&device, newest)? {
        Some(bundle) => Ok(Answer::Bundle { device, bundle }),
        None => Err(Answer::refused(404, "this device has published nothing")),
    }
}
