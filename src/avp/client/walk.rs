//! One lifecycle against a server, a line a step: what somebody who builds a server wants to see happen.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Habits;
use super::adapter::{invite, locator};
use super::address::{Address, Invite, Locator, read_token, write_token};
use super::error::ClientError;
use super::http::{Seen, Server, Watch};
use super::payload::Alt;
use super::vault::{Log, Member, Pulled, Read};
use crate::keys::Identity;

/// The names of the members, in the order in which they are made.
const NAMES: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
/// Fewer cannot show what a vault is for, and more show nothing new.
pub const MEMBERS: std::ops::RangeInclusive<usize> = 2..=NAMES.len();

/// How the client walks.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address of the server.
    pub server: String,
    /// A file with the certificates of authorities that are trusted besides the system's.
    pub authority: Option<PathBuf>,
    /// How many members there are; see [`MEMBERS`].
    pub members: usize,
    /// Whether each line is a JSON object.
    pub json: bool,
    /// Whether each request is told.
    pub verbose: bool,
    /// What it does otherwise.
    pub habits: Habits,
}

/// How a walk came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All steps went as the protocol says.
    Well,
    /// One did not.
    Badly,
    /// Nobody answered.
    Unanswered,
    /// It makes no sense: the address is none.
    Unusable,
}

/// Walks. Lines go to `out`.
pub async fn walk(options: &Options, out: Log) -> Ended {
    let lines = Lines {
        json: options.json,
        out: Arc::clone(&out),
    };
    let watch: Watch = match options.verbose {
        true => Arc::new(move |seen| lines.request(seen)),
        false => Arc::new(|_| {}),
    };
    let lines = Lines {
        json: options.json,
        out: Arc::clone(&out),
    };
    let mut walk = Walk {
        lines,
        steps: 0,
        repo_id: format!("walk-{:016x}", rand::random::<u64>()),
        members: Vec::new(),
    };
    let done = walk.all(options, &watch, &out).await;
    walk.lines.end(walk.steps, &done)
}

struct Walk {
    lines: Lines,
    steps: usize,
    repo_id: String,
    members: Vec<Member>,
}

/// What a step expected, and what came.
struct Surprise {
    step: String,
    expected: String,
    got: Box<ClientError>,
}

/// Ends the walk where a step did not go as it should.
fn step<T>(who: usize, what: &str, expected: &str, done: Result<T, ClientError>) -> Result<T, Surprise> {
    done.map_err(|got| Surprise {
        step: format!("{}, {what}", NAMES[who]),
        expected: expected.to_owned(),
        got: Box::new(got),
    })
}

/// Something that came and was not expected.
fn other(got: impl Into<String>) -> ClientError {
    ClientError::Untrusted(got.into())
}

impl Walk {
    async fn all(&mut self, options: &Options, watch: &Watch, log: &Log) -> Result<(), Surprise> {
        let server = step(
            0,
            "start",
            "an address of a server",
            Server::parse(&options.server),
        )?;
        for who in 0..options.members.clamp(*MEMBERS.start(), *MEMBERS.end()) {
            let keys = Identity::from_secrets(rand::random(), rand::random());
            let made = Member::new(
                keys,
                server.clone(),
                options.habits.clone(),
                options.authority.as_deref(),
                Arc::clone(watch),
                Arc::clone(log),
            );
            self.members.push(step(who, "start", "a client", made)?);
            self.tell(who, "made", format!("member id {}", self.members[who].id()));
        }
        self.alone().await?;
        self.conflict().await?;
        let guests: Vec<usize> = (1..self.members.len()).collect();
        for guest in guests {
            self.join(guest, &options.habits).await?;
        }
        self.removal().await
    }

    fn tell(&mut self, who: usize, what: &str, came: String) {
        self.steps += 1;
        self.lines.step(self.steps, NAMES[who], what, &came);
    }

    async fn login(&mut self, who: usize) -> Result<(), Surprise> {
        let until = self.members[who].login().await;
        let until = step(who, "login", "a challenge, and a token for its signature", until)?;
        self.tell(who, "login", format!("a token until {}", date(until)));
        Ok(())
    }

    async fn read(&mut self, who: usize, what: &str) -> Result<Read, Surprise> {
        let read = self.members[who].read(&self.repo_id).await;
        step(who, what, "manifest and envelope, which decrypts", read)
    }

    /// One member and their repository.
    async fn alone(&mut self) -> Result<(), Surprise> {
        self.login(0).await?;
        let repo_id = self.repo_id.clone();
        let alts = [alt(1, "first")];
        let manifest = self.members[0].create(&repo_id, &alts, None).await;
        let manifest = step(0, "create", "the stored manifest", manifest)?;
        let version = manifest.payload_version;
        let came = format!(
            "repository {repo_id}, version {version}, epoch {}",
            manifest.key_epoch
        );
        self.tell(0, "create", came);

        let expected = format!("unchanged, at version {version}");
        let pulled = self.members[0].pull(&repo_id, version).await;
        let pulled = pulled.and_then(|pulled| match pulled {
            Pulled::Unchanged(manifest) => Ok(manifest),
            Pulled::Changed(_) => Err(other("the envelope, and unchanged: false")),
        });
        let manifest = step(0, "pull at the known version", &expected, pulled)?;
        let came = format!("unchanged, version {}", manifest.payload_version);
        self.tell(0, "pull at the known version", came);

        let read = self.read(0, "pull from 0").await?;
        let same = match read.alts == alts {
            true => Ok(()),
            false => Err(other(format!("other alts: {}", names(&read.alts)))),
        };
        step(0, "pull from 0", "the alts that were written", same)?;
        self.tell(0, "pull from 0", format!("decrypted {}", names(&read.alts)));

        let saved = self.members[0].save(&repo_id, &[alt(2, "second")]).await;
        let saved = step(0, "push", "applied", saved)?;
        self.tell(0, "push", format!("applied, version {}", saved.payload_version));
        Ok(())
    }

    /// A push at a version that is over, and how its alts are saved all the same.
    async fn conflict(&mut self) -> Result<(), Surprise> {
        let repo_id = self.repo_id.clone();
        let read = self.read(0, "pull").await?;
        let current = read.manifest.payload_version;
        let expected = format!("a conflict that names version {current}, and nothing written");
        let ours = alt(3, "third");
        let stale = self.members[0]
            .push(&repo_id, &read, current - 1, vec![ours.clone()])
            .await;
        let stale = stale.and_then(|answer| {
            match !answer.accepted && answer.conflict && answer.payload_version == current {
                true => Ok(answer),
                false => Err(other(format!("{answer:?}"))),
            }
        });
        let stale = step(0, "push at a stale version", &expected, stale)?;
        let came = format!("conflict, the current version is {}", stale.payload_version);
        self.tell(0, "push at a stale version", came);

        let saved = self.members[0].save(&repo_id, &[ours]).await;
        let saved = step(0, "pull, merge, push again", "applied", saved)?;
        let came = format!("applied, version {}", saved.payload_version);
        self.tell(0, "pull, merge, push again", came);
        let read = self.read(0, "pull").await?;
        let all = match read.alts.len() {
            3 => Ok(()),
            _ => Err(other(names(&read.alts))),
        };
        step(0, "pull", "all three alts", all)
    }

    /// Somebody joins: they give their keys, are added, are told where the repository is, and read it.
    async fn join(&mut self, guest: usize, habits: &Habits) -> Result<(), Surprise> {
        let repo_id = self.repo_id.clone();
        let token = write_token(&invite(&self.members[guest]), habits);
        self.tell(guest, "ask to join", format!("join token {token}"));
        let asked: Invite = step(
            0,
            "read the join token",
            "both public keys",
            read_token(&token, habits).map_err(other),
        )?;
        let id = asked.ed25519_public_key;
        let added = self.members[0]
            .add(&repo_id, &id, &asked.x25519_public_key, None)
            .await;
        let added = step(0, "add", "a roster with the new member", added)?;
        let came = format!(
            "{}, the {} of the roster",
            NAMES[guest],
            ordinal(added.members.len())
        );
        self.tell(0, "add", came);

        let entry = self.members[0].fetch(&repo_id, &id).await.and_then(|entry| {
            match entry.x25519_public_key == asked.x25519_public_key {
                true => Ok(entry),
                false => Err(other("another X25519 key")),
            }
        });
        step(0, "look up by the escaped id", "the entry as it was sent", entry)?;
        let came = format!("the entry of {}", NAMES[guest]);
        self.tell(0, "look up by the escaped id", came);

        let token = write_token(
            &locator(self.members[0].server.authority().to_owned(), repo_id.clone()),
            habits,
        );
        let told: Locator = step(
            guest,
            "read the locator",
            "where the repository is",
            read_token(&token, habits).map_err(other),
        )?;
        let address = Address {
            host: told.host,
            repo_id: told.repo_id,
        };
        let written = address.write(habits);
        let is_same = Address::parse(&written, habits).is_ok_and(|read| read == address);
        let same = match is_same && address.repo_id == repo_id {
            true => Ok(()),
            false => Err(other(written.clone())),
        };
        step(guest, "read the locator", "the address that was written", same)?;
        self.tell(guest, "read the locator", written);

        self.login(guest).await?;
        let wanted = self.read(0, "pull").await?.alts;
        let read = self.read(guest, "pull and decrypt").await?;
        let same = match read.alts == wanted {
            true => Ok(()),
            false => Err(other(names(&read.alts))),
        };
        let expected = format!("what {} wrote", NAMES[0]);
        step(guest, "pull and decrypt", &expected, same)?;
        self.tell(
            guest,
            "pull and decrypt",
            format!("decrypted {}", names(&read.alts)),
        );
        Ok(())
    }

    /// The last who joined is removed; they read no more, and all others do.
    async fn removal(&mut self) -> Result<(), Surprise> {
        let repo_id = self.repo_id.clone();
        let removed = 1;
        let id = self.members[removed].id().to_owned();
        let before = self.read(0, "pull").await?.manifest.key_epoch;
        let manifest = self.members[0].remove(&repo_id, &id).await;
        let manifest = step(
            0,
            "remove, with a new data key",
            "a roster without them",
            manifest,
        )?;
        let (epoch, version) = (manifest.key_epoch, manifest.payload_version);
        let came = format!(
            "{} is out: epoch {before} → {epoch}, version {version}",
            NAMES[removed]
        );
        self.tell(0, "remove, with a new data key", came);

        let refused = match self.members[removed].read(&repo_id).await {
            Err(error) if error.status() == Some(403) => Ok(()),
            Err(error) => Err(error),
            Ok(read) => Err(other(format!("they still read {}", names(&read.alts)))),
        };
        step(removed, "pull after the removal", "403", refused)?;
        self.tell(removed, "pull after the removal", "refused, 403".to_owned());

        let staying: Vec<usize> = (0..self.members.len()).filter(|who| *who != removed).collect();
        for who in staying {
            let read = self.read(who, "read on").await?;
            let all = match read.alts.len() {
                3 => Ok(()),
                _ => Err(other(names(&read.alts))),
            };
            step(who, "read on", "all three alts, under the new key", all)?;
            self.tell(
                who,
                "read on",
                format!("decrypted {} under the new key", names(&read.alts)),
            );
        }
        Ok(())
    }
}

/// An alt, made up.
fn alt(number: u8, name: &str) -> Alt {
    let secret = |what: &str| Value::from(format!("{what}-{:016x}", rand::random::<u64>()));
    let mut alt = Map::new();
    let uuid = format!(
        "{:08x}-0000-4000-8000-0000000000{number:02x}",
        rand::random::<u32>()
    );
    alt.insert("uuid".to_owned(), uuid.into());
    alt.insert("username".to_owned(), format!("alt-{name}").into());
    alt.insert("accessToken".to_owned(), secret("access"));
    alt.insert("type".to_owned(), "MICROSOFT".into());
    alt.insert(
        "lastUsed".to_owned(),
        jiff::Timestamp::now().as_millisecond().into(),
    );
    alt
}

fn names(alts: &[Alt]) -> String {
    let name = |alt: &Alt| alt.get("username")?.as_str().map(str::to_owned);
    let names: Vec<String> = alts.iter().filter_map(name).collect();
    match names.is_empty() {
        true => "no alts".to_owned(),
        false => names.join(", "),
    }
}

fn ordinal(number: usize) -> String {
    let ending = match number {
        1 => "st",
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// A time as text; the number itself where it is no time.
fn date(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or(millis.to_string(), |time| time.to_string())
}

/// Where lines go, and in which form.
struct Lines {
    json: bool,
    out: Log,
}

impl Lines {
    fn line(&self, value: Value, text: String) {
        match self.json {
            true => (self.out)(&value.to_string()),
            false => (self.out)(&text),
        }
    }

    fn step(&self, number: usize, who: &str, what: &str, came: &str) {
        self.line(
            json!({ "step": number, "member": who, "does": what, "came": came }),
            format!("{number:3}  {who:6} {what:28} {came}"),
        );
    }

    fn request(&self, seen: &Seen) {
        let micros = u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX);
        let status = seen
            .status
            .map_or("no answer".to_owned(), |status| status.to_string());
        self.line(
            json!({ "request": seen.request, "status": seen.status, "took_us": micros }),
            format!(
                "            {} → {status} in {:.1} ms",
                seen.request,
                seen.took.as_secs_f64() * 1000.0
            ),
        );
    }

    fn end(&self, steps: usize, done: &Result<(), Surprise>) -> Ended {
        match done {
            Ok(()) => {
                let text = format!("the walk came through: {steps} steps, all as the protocol says");
                self.line(json!({ "ended": "well", "steps": steps }), text);
                Ended::Well
            }
            Err(surprise) => {
                let (name, ended) = match &*surprise.got {
                    ClientError::Unreachable { .. } => ("unanswered", Ended::Unanswered),
                    ClientError::Usage(_) => ("unusable", Ended::Unusable),
                    _ => ("badly", Ended::Badly),
                };
                let Surprise { step, expected, got } = surprise;
                let got = got.to_string();
                self.line(
                    json!({ "ended": name, "at": step, "expected": expected, "got": got }),
                    format!("the walk ended at: {step}\n  expected: {expected}\n       got: {got}"),
                );
                ended
            }
        }
    }
}
