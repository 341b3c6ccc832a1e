//! What the driver knows while it drives one case: actors with their keys and tokens, repositories and what they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::lifetime::Lifetime;
use crate::avp::actors::{identity, unique};
use crate::avp::cases::model::{Case, Create};
use crate::avp::cases::{Action, TokenForm};
use crate::avp::crypto;
use crate::avp::crypto::{DataKey, PlantedAccounts};
use crate::avp::repo_state::RepoState;
use crate::catalogue::Version;
use crate::keys::{Identity, Seed};

/// Everything of one case that is derived from the seed or was handed out by the target.
pub(super) struct World<'a> {
    seed: &'a Seed,
    scope: String,
    /// Nothing newer is put into requests.
    pub(super) spec: Version,
    draws: u64,
    /// What the payloads of a repository hold, by its name and whether it shares refresh tokens.
    accounts: BTreeMap<(String, bool), PlantedAccounts>,
    actors: BTreeMap<String, Actor>,
    repos: BTreeMap<String, Repo>,
    /// How often the repository of a name was replaced by a fresh one.
    replaced: BTreeMap<String, u32>,
}

/// Stands between the name of a repository and the number of the one that took its place: `repo.2`.
const STAND_IN: char = '.';

/// One member, stranger or member to be.
pub(super) struct Actor {
    pub(super) identity: Identity,
    pub(super) token: Option<Token>,
    /// The one before it.
    pub(super) earlier: Option<Token>,
    /// The last nonce that the target issued to this actor.
    pub(super) nonce: Option<String>,
    /// The nonce with which it logged in last.
    pub(super) used: Option<Redeemed>,
}

/// A nonce that was redeemed.
#[derive(Clone)]
pub(super) struct Redeemed {
    pub(super) nonce: String,
    /// As it was sent.
    pub(super) signature: String,
}

/// A bearer token as it was handed out.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: String,
    /// Epoch milliseconds, by the harness's clock.
    pub(super) issued_at: i64,
    /// How long it lives.
    pub(super) lifetime: Lifetime,
}

/// A repository of the case.
pub(super) struct Repo {
    pub(super) id: String,
    /// Who created it.
    pub(super) creator: Option<String>,
    /// How it is made: scheme, bindings and the like go on to later requests.
    pub(super) style: Create,
    /// What it holds; none until it was created.
    pub(super) stored: Option<RepoState>,
    /// The body of the last removeMember, for sending it again.
    pub(super) last_removal: Option<Arc<Value>>,
    /// The body of the last addMember, for sending it again.
    pub(super) last_addition: Option<Arc<Value>>,
    /// The body of each actor's last push, for sending it again.
    pub(super) last_pushes: BTreeMap<String, Arc<Value>>,
    /// The body with which it was created, for sending it again.
    pub(super) creation: Option<Arc<Value>>,
}

/// Twenty decimal digits made of a text's bytes; the first is not 0.
fn digits(text: &str) -> String {
    let bytes = text.bytes().take(19);
    let tail: String = bytes.map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("7{tail}")
}

/// The request that creates the marker of a use of a seed: a repository of its own, by an actor of its own.
pub fn marker(seed: &Seed, generation: u32, identity: &Identity) -> Arc<Value> {
    // A marker is of the first version, which every target speaks.
    let mut world = World::new(seed, format!("generation/{generation}"), crate::avp::V0_2);
    let name = "marker";
    let actor = Actor {
        identity: identity.clone(),
        token: None,
        earlier: None,
        nonce: None,
        used: None,
    };
    world.actors.insert(name.to_owned(), actor);
    super::requests::body(
        &mut world,
        name,
        name,
        crate::avp::cases::Action::Create(&Create::default()),
    )
    .unwrap_or_default()
}

impl<'a> World<'a> {
    pub(super) fn new(seed: &'a Seed, scope: String, spec: Version) -> World<'a> {
        World {
            seed,
            scope,
            spec,
            draws: 0,
            accounts: BTreeMap::new(),
            actors: BTreeMap::new(),
            repos: BTreeMap::new(),
            replaced: BTreeMap::new(),
        }
    }

    /// The actor of a name, made at first use.
    pub(super) fn actor(&mut self, name: &str) -> &mut Actor {
        let World {
            seed, scope, actors, ..
        } = self;
        actors.entry(name.to_owned()).or_insert_with(|| Actor {
            identity: identity(seed, scope, name),
            token: None,
            earlier: None,
            nonce: None,
            used: None,
        })
    }

    pub(super) fn member_id(&mut self, name: &str) -> String {
        self.actor(name).identity.member_id().to_owned()
    }

    pub(super) fn actors(&self) -> impl Iterator<Item = (&String, &Actor)> {
        self.actors.iter()
    }

    /// The X25519 key of the actor with a member id, base64.
    pub(super) fn x25519_public_key_of(&self, id: &str) -> Option<&str> {
        let actor = self.actors.get(self.name_of(id)?)?;
        Some(actor.identity.x25519_public_key())
    }

    /// The name of the actor of a member id.
    pub(super) fn name_of(&self, member_id: &str) -> Option<&str> {
        let found = self
            .actors
            .iter()
            .find(|(_, actor)| actor.identity.member_id() == member_id);
        found.map(|(name, _)| name.as_str())
    }

    /// The repository of a name, made up at first use; its id is derived from the seed.
    pub(super) fn repo(&mut self, name: &str, style: &Create) -> &mut Repo {
        if !self.repos.contains_key(name) {
            let repo = Repo {
                id: self.repo_id(name, style),
                creator: None,
                style: style.clone(),
                stored: None,
                last_removal: None,
                last_addition: None,
                last_pushes: BTreeMap::new(),
                creation: None,
            };
            self.repos.insert(name.to_owned(), repo);
        }
        self.known_repo(name)
    }

    /// The repository of a name.
    ///
    /// # Panics
    /// Where the case names a repository that it never made, which the lint refuses.
    pub(super) fn known_repo(&mut self, name: &str) -> &mut Repo {
        self.repos
            .get_mut(name)
            .unwrap_or_else(|| unreachable!("the lint refuses a case with no repository {name:?}"))
    }

    /// The name of the repository that a case means by a name: its own, or that of the last one that took its place.
    pub(super) fn current(&self, name: &str) -> String {
        match self.replaced.get(name) {
            Some(times) => format!("{name}{STAND_IN}{}", times + 1),
            None => name.to_owned(),
        }
    }

    /// Has a fresh repository take the place of the one of a name, and says what it is called. It is not created by that.
    pub(super) fn replace(&mut self, name: &str) -> String {
        *self.replaced.entry(name.to_owned()).or_default() += 1;
        self.current(name)
    }

    /// Gives a name to a repository that is never created: an id nobody knows.
    pub(super) fn ensure_repo(&mut self, name: &str) -> &mut Repo {
        self.repo(name, &Create::default())
    }

    pub(super) fn stored(&self, repo: &str) -> Option<&RepoState> {
        self.repos.get(repo)?.stored.as_ref()
    }

    /// How many repositories of the case an actor has created.
    pub(super) fn created_by(&self, name: &str) -> usize {
        let creators = self.repos.values().filter_map(|repo| repo.creator.as_deref());
        creators.filter(|creator| *creator == name).count()
    }

    pub(super) fn data_key(&self, repo: &str, epoch: i64) -> DataKey {
        DataKey::derive(self.seed, &["data-key", &self.scope, repo, &epoch.to_string()])
    }

    /// 32 bytes that nothing else in the run has: ivs, ephemeral keys and filler come from here.
    pub(super) fn draw(&mut self, what: &str) -> [u8; 32] {
        self.draws += 1;
        self.seed
            .derive(&["draw", &self.scope, what, &self.draws.to_string()])
    }

    /// The plaintext of a payload. What is planted in it is remembered.
    pub(super) fn plaintext(&mut self, repo: &str, version: i64) -> Vec<u8> {
        let shares = self
            .repos
            .get(repo)
            .and_then(|repo| repo.style.share_refresh_tokens)
            == Some(true);
        let accounts = self
            .accounts
            .entry((repo.to_owned(), shares))
            .or_insert_with(|| crypto::plant_accounts(self.seed, &["payload", &self.scope, repo], shares));
        accounts.payload(version)
    }

    /// What stands in the plaintext payloads of the case and nowhere else, one text for each repository.
    pub(super) fn planted(&self) -> impl Iterator<Item = &str> {
        self.accounts.values().map(|accounts| accounts.mark.as_str())
    }

    pub(super) fn seed(&self) -> &'a Seed {
        self.seed
    }

    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    fn repo_id(&self, name: &str, style: &Create) -> String {
        let unique = unique(self.seed, &self.scope);
        let template = style.id.clone().unwrap_or_else(|| format!("{{id}}-{name}"));
        let mut id = template
            .replace("{id}", &unique)
            .replace("{digits}", &digits(&unique));
        // The default has the name in it; any other is told apart like the name is.
        if let (Some((_, turn)), Some(_)) = (name.rsplit_once(STAND_IN), &style.id) {
            id = format!("{id}{STAND_IN}{turn}");
        }
        if let Some(length) = style.id_length {
            let missing = length.saturating_sub(id.chars().count());
            id.push_str(&"x".repeat(missing));
        }
        id
    }
}

/// Everybody whom the case has act on vault routes or be a member, in order of appearance: they are logged in first, but for
/// those whom a step of the case logs in before they do anything else.
pub(super) fn cast(case: &Case) -> Vec<String> {
    let mut cast = Cast::default();
    for repo in [&case.repo, &case.other].into_iter().flatten() {
        cast.add(&repo.by);
        repo.members.iter().for_each(|name| cast.add(name));
    }
    for step in case.steps.iter().map(|step| step.get_ref()) {
        if matches!(step.action(), Action::Redeem(_)) && !step.is_race() {
            let names = step.actor_names().into_iter().map(str::to_owned);
            cast.logged_in_by_a_step.extend(names);
        }
        let on_vault = step
            .action()
            .operation()
            .is_none_or(|operation| operation.needs_token());
        if on_vault && !matches!(step.action(), Action::Wait(_) | Action::Transport(_)) {
            step.actor_names().into_iter().for_each(|name| cast.add(name));
        }
        let others = step.against.iter().chain(&step.meanwhile);
        let rivals = others.flat_map(|rival| rival.actors.iter());
        rivals.for_each(|name| cast.add(name));
        for token in step.with.iter().flat_map(|with| with.token.iter()) {
            if let TokenForm::Of(name) = token {
                cast.add(name);
            }
        }
    }
    cast.names
}

#[derive(Default)]
struct Cast {
    names: Vec<String>,
    logged_in_by_a_step: Vec<String>,
}

impl Cast {
    fn add(&mut self, name: &str) {
        let mut known = self.names.iter().chain(&self.logged_in_by_a_step);
        if !known.any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}
