//! What the commands do: enqueue, drain, witness. Each asks the plain functions of `rules`; what this relay gets wrong, if
//! anything, is slipped in by the functions of `faults` that are named after what was decided.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Habits;
use super::arguments::{Act, Checkpoint as CheckpointArgs, Enqueue, Loop, RelayCommand, Target};
use super::delivery::{self, Posted};
use super::envelope::{FORK_TAG, RELAY_TAG, Signed, WITNESS_TAG, canonical, preimage, sha256, sign, time};
use super::faults::{acknowledgement, delivery as transport, queue, request, secrets, witness};
use super::register::{Accepted, Register, Scope};
use super::rules::{self, Answered, Arrival, Attempt, Checkpoint, Objection, Submission, Unfit};
use super::sealed;
use super::settings::{Environment, Timing};
use super::spool::{Item, Owner, Spool, Writing};
use super::{Lines, Stream};
use crate::keys::encoding::hex;

/// Asks a command to end after the attempt in hand.
#[derive(Debug, Clone)]
pub struct Finish(Arc<watch::Sender<bool>>);

impl Default for Finish {
    fn default() -> Self {
        Finish(Arc::new(watch::Sender::new(false)))
    }
}

impl Finish {
    /// Asks.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked.
    async fn asked(&self) {
        let mut asked = self.0.subscribe();
        // The sender lives as long as this.
        let _asked = asked.wait_for(|asked| *asked).await;
    }
}

/// A command that runs.
struct Relay<'a> {
    command: &'a RelayCommand,
    environment: &'a Environment,
    timing: Timing,
    habits: &'a Habits,
    finish: &'a Finish,
    lines: &'a Lines,
}

/// Runs a command.
///
/// # Errors
/// It refuses: one sentence.
pub(super) async fn run(
    command: &RelayCommand,
    environment: &Environment,
    timing: Timing,
    habits: &Habits,
    finish: &Finish,
    lines: &Lines,
) -> Result<(), String> {
    let relay = Relay {
        command,
        environment,
        timing,
        habits,
        finish,
        lines,
    };
    match &command.act {
        Act::EnqueueJson(enqueue) => relay.enqueue(enqueue).await,
        Act::DrainOnce(target) => {
            let drained = relay.drain_once(target).await?;
            queue::exit(habits, drained == Iteration::Failed)
        }
        Act::DrainLoop(drain) => relay.drain_loop(drain).await,
        Act::WitnessCheckpoint(checkpoint) => relay.witness(checkpoint).await,
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// What a drain needs to know.
struct Setting {
    endpoint: Url,
    installation: String,
    signing_key: [u8; 32],
    encryption_key: [u8; 32],
    spool: PathBuf,
}

/// What an iteration came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Iteration {
    /// An item was delivered.
    Sent,
    /// An attempt failed.
    Failed,
    /// Nothing was due.
    Idle,
}

/// How an iteration ended.
struct Drained {
    sent: bool,
    event: Option<String>,
    status: Option<u16>,
    error: Option<String>,
}

impl Relay<'_> {
    fn say(&self, line: &Value) {
        (self.lines)(Stream::Output, &line.to_string());
    }

    fn spool(&self) -> Result<PathBuf, String> {
        self.environment.file(self.command.spool_db.as_ref(), "SPOOL_DB")
    }

    fn open(&self, path: &Path) -> Result<Spool, String> {
        Spool::open(path, secrets::is_private(self.habits))
    }

    async fn enqueue(&self, enqueue: &Enqueue) -> Result<(), String> {
        let path = self.spool()?;
        let key = self.environment.encryption_key()?;
        let text = std::fs::read(&enqueue.payload_file)
            .map_err(|error| format!("{}: {error}", enqueue.payload_file.display()))?;
        let payload: Value =
            serde_json::from_slice(&text).map_err(|error| format!("the payload is no JSON: {error}"))?;
        if !payload.is_object() {
            return Err("the payload is no JSON object".to_owned());
        }
        let canon = request::canonical_payload(self.habits, canonical(&payload));
        let event = request::event_id(self.habits, format!("lv_{}", hex(&rand::random::<[u8; 16]>())));
        let item = Item {
            payload_sha256: queue::digest(self.habits, sha256(&canon), &text),
            payload_size: request::size(self.habits, &canon),
            sealed: secrets::kept(self.habits, &canon, || sealed::seal(&key, &event, &canon)),
            event,
            stream: enqueue.stream_id.clone(),
            source: enqueue.source_ref.clone(),
            created_ms: now_ms(),
            state: "queued".to_owned(),
            attempts: 0,
            hashes: Vec::new(),
        };
        secrets::note(self.habits, &path, &text);
        let find = |spool: &Writing<'_>| spool.find(queue::place(self.habits, &item.stream), &item.source);
        let mut beforehand = None;
        if queue::looks_beforehand(self.habits) {
            beforehand = Some(self.open(&path)?.look(find)?);
            queue::dawdles().await;
        }
        let kept = self.open(&path)?.at_once(|spool| {
            let there = match beforehand {
                Some(there) => there,
                None => find(spool)?,
            };
            let arrival = rules::arrival(
                there.as_ref().map(|it| it.payload_sha256.as_str()),
                &item.payload_sha256,
            );
            let first = || {
                let there = there.as_ref()?;
                secrets::opened(self.habits, &there.sealed, |kept| {
                    sealed::open(&key, &there.event, kept)
                })
            };
            let arrival = queue::arrival(self.habits, arrival, there.as_ref(), &payload, first);
            match (arrival, there) {
                (queue::Kept::Plain(Arrival::New) | queue::Kept::Again, _) | (_, None) => {
                    spool.add(&item)?;
                    Ok(item.clone())
                }
                (queue::Kept::Plain(Arrival::Same), Some(there)) => Ok(there),
                (queue::Kept::Plain(Arrival::Drift), Some(_)) => {
                    secrets::refused(self.habits, &path, &text);
                    Err("another payload was enqueued under this stream and reference".to_owned())
                }
                (queue::Kept::Replaced, Some(there)) => {
                    let sealed =
                        secrets::kept(self.habits, &canon, || sealed::seal(&key, &there.event, &canon));
                    let anew = Item {
                        event: there.event,
                        sealed,
                        ..item.clone()
                    };
                    spool.replace(&anew)?;
                    Ok(anew)
                }
                (queue::Kept::Revived, Some(there)) => {
                    let anew = Item {
                        state: "queued".to_owned(),
                        ..there
                    };
                    spool.replace(&anew)?;
                    Ok(anew)
                }
            }
        })?;
        self.say(&json!({ "eventId": kept.event, "status": kept.state }));
        Ok(())
    }

    /// What a drain is configured with. Nothing is opened before the endpoint was looked at.
    fn setting(&self, target: &Target) -> Result<Setting, String> {
        let target = &queue::options(self.habits, target);
        let environment = self.environment;
        let endpoint = environment.value(target.endpoint_url.as_ref(), "RELAY_URL")?;
        let endpoint: Url = endpoint
            .parse()
            .map_err(|_| "the endpoint is no URL".to_owned())?;
        let unfit = transport::unfit(self.habits, &endpoint, rules::unfit(&endpoint));
        match unfit.first() {
            None => {}
            Some(Unfit::Scheme) => return Err("the endpoint is not https".to_owned()),
            Some(Unfit::Extras) => {
                return Err("the endpoint has credentials, a query or a fragment".to_owned());
            }
        }
        environment.value(target.key_id.as_ref(), "KEY_ID")?;
        Ok(Setting {
            endpoint,
            installation: environment.value(target.installation_id.as_ref(), "INSTALLATION_ID")?,
            signing_key: environment.signing_key()?,
            encryption_key: environment.encryption_key()?,
            spool: self.spool()?,
        })
    }

    async fn drain_once(&self, target: &Target) -> Result<Iteration, String> {
        let setting = self.setting(target)?;
        secrets::tell(
            self.habits,
            self.lines,
            &setting.signing_key,
            &setting.encryption_key,
        );
        let drained = self.attempt(&setting).await?;
        self.say(&json!({
            "sent": drained.sent,
            "eventId": drained.event,
            "statusCode": drained.status,
            "error": drained.error,
        }));
        Ok(match (drained.sent, drained.event) {
            (true, _) => Iteration::Sent,
            (false, Some(_)) => Iteration::Failed,
            (false, None) => Iteration::Idle,
        })
    }

    async fn drain_loop(&self, drain: &Loop) -> Result<(), String> {
        queue::loop_target(self.habits, &drain.target)?;
        let idle =
            Duration::try_from_secs_f64(drain.idle_sleep_seconds).map_err(|error| error.to_string())?;
        let mut iterations = 0;
        while !self.is_over() && drain.max_iterations.is_none_or(|most| iterations < most) {
            let iteration = tokio::select! {
                biased;
                iteration = self.drain_once(&drain.target) => iteration?,
                () = self.finish.asked(), if queue::breaks_off(self.habits) => {
                    queue::broken_off(self.habits);
                    break;
                }
            };
            iterations += 1;
            if drain.stop_on_error && iteration == Iteration::Failed {
                return Err("an attempt failed".to_owned());
            }
            let was_due = iteration != Iteration::Idle;
            if was_due && !queue::rests_after_each(self.habits) {
                continue;
            }
            if !was_due && queue::ends_when_idle(self.habits) {
                break;
            }
            tokio::select! {
                () = self.finish.asked(), if !self.finish.is_asked() => {}
                () = tokio::time::sleep(idle) => {}
            }
        }
        Ok(())
    }

    /// Whether the loop was asked to end, and heeds it.
    fn is_over(&self) -> bool {
        self.finish.is_asked() && !queue::goes_on(self.habits)
    }

    /// Makes an attempt, if an item is due.
    async fn attempt(&self, setting: &Setting) -> Result<Drained, String> {
        let mut spool = self.open(&setting.spool)?;
        let owner = Owner::new(&setting.spool)?;
        let recovered = spool.recover(queue::crash_counts(self.habits))?;
        queue::taken_back(self.habits, recovered);
        let due_by = now_ms();
        let order = queue::order(self.habits, &spool, due_by)?;
        let claimed = spool.claim(&owner.name, due_by, &order)?;
        let Some(item) = claimed else {
            return Ok(Drained {
                sent: false,
                event: None,
                status: None,
                error: None,
            });
        };
        queue::claimed(self.habits, &spool, &item)?;
        let opened = secrets::opened(self.habits, &item.sealed, |kept| {
            sealed::open(&setting.encryption_key, &item.event, kept)
        });
        let Some(payload) = opened else {
            queue::undecryptable(self.habits, &spool, &item)?;
            self.failed(&spool, &item, None)?;
            return Ok(Drained {
                sent: false,
                event: Some(item.event),
                status: None,
                error: Some("undecryptable".to_owned()),
            });
        };
        let (posted, attempt) = self.request(setting, &item, &payload);
        spool.sends(&item.event, &attempt.hash)?;
        let answer = delivery::send(posted, self.environment, self.timing, self.habits).await;
        let (status, error) = match answer {
            Err(word) => {
                secrets::unsent(self.habits, &setting.spool, &payload);
                (None, transport::broken(self.habits, word))
            }
            Ok(answered) => (Some(answered.status), self.refusal(&answered, &attempt)),
        };
        match error {
            None => spool.settle(&item.event, queue::delivered(self.habits), now_ms())?,
            Some(_) => self.failed(&spool, &item, status)?,
        }
        let said = queue::said(self.habits, error);
        Ok(Drained {
            sent: said.is_none(),
            event: Some(item.event),
            status,
            error: said,
        })
    }

    /// The word of what keeps an answer from acknowledging an attempt.
    fn refusal(&self, answered: &Answered, attempt: &Attempt) -> Option<String> {
        let objections = rules::objections(answered, attempt);
        let heeded = acknowledgement::heeded(self.habits, answered, attempt, objections);
        heeded.first().map(|objection| match objection {
            Objection::Status => format!("http-{}", answered.status),
            other => format!("ack-{}", other.word()),
        })
    }

    /// The item rests, or is dead.
    fn failed(&self, spool: &Spool, item: &Item, status: Option<u16>) -> Result<(), String> {
        let delay = rules::delay(item.attempts, self.timing.first_delay);
        match queue::rest(self.habits, item.attempts, status, delay) {
            queue::Rest::For(delay) => {
                let due = now_ms().saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
                spool.settle(&item.event, "queued", due)
            }
            queue::Rest::Dead => spool.settle(&item.event, "dead", i64::MAX),
            queue::Rest::Forgotten => spool.forget(&item.event),
        }
    }

    /// The request of an attempt, and what its acknowledgement has to fit.
    fn request(&self, setting: &Setting, item: &Item, payload: &Value) -> (Posted, Attempt) {
        let envelope = json!({
            "protocol": "ATTESTO-LOCAL-VAULT-001",
            "protocol_version": "0.1",
            "installation_id": setting.installation,
            "event_id": item.event,
            "stream_id": item.stream,
            "source_ref": item.source,
            "payload_sha256": item.payload_sha256,
            "payload_size": item.payload_size,
            "attempt": item.attempts,
            "created_at": time(item.created_ms),
            "signed_at": time(now_ms()),
        });
        let envelope = request::envelope(self.habits, envelope, item);
        let signed = self.sign(setting, &envelope);
        let body = json!({ "envelope": envelope, "payload": payload });
        let posted = Posted {
            method: Method::POST,
            endpoint: setting.endpoint.clone(),
            headers: [
                ("Content-Type", "application/json"),
                ("X-Attesto-Local-Vault-Envelope-Hash", &signed.hash),
                ("X-Attesto-Local-Vault-Signature", &signed.signature),
                ("X-Attesto-Local-Vault-Public-Key", &signed.public_key),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: request::body(self.habits, &body),
        };
        let posted = request::posted(self.habits, posted, &setting.signing_key);
        let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
        let attempt = Attempt {
            installation: setting.installation.clone(),
            event: text("event_id"),
            stream: item.stream.clone(),
            source: item.source.clone(),
            hash: signed.hash,
            earlier: item.hashes.clone(),
        };
        (posted, attempt)
    }

    fn sign(&self, setting: &Setting, envelope: &Value) -> Signed {
        let plain = preimage(RELAY_TAG, &canonical(envelope));
        let (hashed, signs) = request::signs(self.habits, envelope, plain);
        let signed = sign(
            &request::signing_key(self.habits, setting.signing_key),
            &hashed,
            &signs,
        );
        request::signed(self.habits, signed)
    }

    async fn witness(&self, args: &CheckpointArgs) -> Result<(), String> {
        let path = self
            .environment
            .file(self.command.witness_db.as_ref(), "WITNESS_DB")?;
        let scope = Scope {
            witness: self.environment.value(args.witness_id.as_ref(), "WITNESS_ID")?,
            tenant: args.tenant_id.clone(),
            stream: args.stream_id.clone(),
        };
        let signer = Signer {
            seed: self.environment.signing_key()?,
            key_id: witness::key_id(
                self.habits,
                self.environment.value(args.key_id.as_ref(), "KEY_ID")?,
            ),
            habits: self.habits,
        };
        let submitted = Checkpoint {
            id: args.checkpoint_id.clone(),
            seq_no: args.checkpoint_seq_no,
            hash: args.checkpoint_hash.clone(),
            previous: args.previous_checkpoint_hash.clone(),
        };
        let is_submission = rules::is_submission(&submitted);
        if let Err(why) = witness::is_submission(self.habits, &submitted, is_submission) {
            return self.refuse_submission(why);
        }
        let place = witness::place(self.habits, &scope);
        let mut register = Register::open(&path)?;
        let is_first = || Ok(register.find(&place, None)?.is_none());
        if witness::is_alone(self.habits, is_first)? {
            register.begin()?;
        }
        let last = register.find(&place, None)?;
        let known = register.find(&place, Some(submitted.seq_no))?;
        if witness::is_no_fork(self.habits, &submitted, last.as_ref()) {
            return Err("this is no checkpoint".to_owned());
        }
        witness::dawdles(self.habits, last.is_none()).await;
        let plain = rules::submission(last.as_ref().map(|it| &it.checkpoint), &submitted);
        let submission = witness::submission(self.habits, plain, last.as_ref(), known.as_ref(), &submitted);
        let mut given = witness::old_again(self.habits, last.as_ref(), known.as_ref(), &submitted).cloned();
        if given.is_some() && witness::goes_back(self.habits) {
            given.iter().try_for_each(|old| register.accept(&place, old))?;
        }
        if last.is_none() && witness::looks_everywhere(self.habits) {
            given = register.find_anywhere(&submitted)?;
            given.iter().for_each(|_| witness::found_elsewhere(self.habits));
        }
        let answer = match (submission, &last) {
            _ if given.is_some() => {
                let receipt = given.as_ref().map_or("", |given| &given.receipt);
                let receipt: Value = serde_json::from_str(receipt).unwrap_or_default();
                json!({ "accepted": true, "replayed": true, "receipt": receipt, "forkEvidence": null })
            }
            (Submission::Replay, Some(last)) if !witness::signs_again(self.habits) => {
                let receipt: Value = serde_json::from_str(&last.receipt).unwrap_or_default();
                json!({ "accepted": true, "replayed": true, "receipt": receipt, "forkEvidence": null })
            }
            (Submission::Progress | Submission::Replay, _) => {
                let receipt = signer.receipt(&scope, &submitted);
                let accepted = Accepted {
                    checkpoint: submitted.clone(),
                    receipt: receipt.to_string(),
                };
                register.accept(&place, &accepted)?;
                if witness::forgets_others(self.habits) {
                    register.forget_others(&place)?;
                }
                let replayed = submission == Submission::Replay;
                json!({ "accepted": true, "replayed": replayed, "receipt": receipt, "forkEvidence": null })
            }
            (Submission::Fork, _) => {
                let evidence = signer.evidence(&scope, &submitted, last.as_ref(), known.as_ref());
                if witness::moves_on_a_fork(self.habits) {
                    let receipt = signer.receipt(&scope, &submitted).to_string();
                    register.accept(
                        &place,
                        &Accepted {
                            checkpoint: submitted.clone(),
                            receipt,
                        },
                    )?;
                }
                json!({ "accepted": false, "replayed": false, "receipt": null, "forkEvidence": evidence })
            }
        };
        register.end()?;
        let answer = witness::answer(self.habits, answer, || signer.receipt(&scope, &submitted));
        secrets::tell_of_witness(self.habits, self.lines, &signer.seed);
        self.say(&answer);
        queue::exit(self.habits, submission == Submission::Fork && given.is_none())
    }

    /// Refuses what is no checkpoint.
    fn refuse_submission(&self, why: String) -> Result<(), String> {
        if !witness::refuses_with_exit_0(self.habits) {
            return Err(why);
        }
        self.say(&json!({
            "accepted": false, "replayed": false, "receipt": null, "forkEvidence": null, "error": why,
        }));
        Ok(())
    }
}

/// What signs receipts and evidence.
struct Signer<'a> {
    seed: [u8; 32],
    key_id: String,
    habits: &'a Habits,
}

impl Signer<'_> {
    fn sign(&self, tag: &str, value: &Value) -> (Signed, Vec<u8>) {
        let canon = canonical(value);
        let canon = witness::canonical_statement(self.habits, tag, canon);
        let plain = preimage(tag, &canon);
        let signs = preimage(witness::tag(self.habits, tag), &canon);
        (
            witness::signed(self.habits, tag, sign(&self.seed, &plain, &signs)),
            canon,
        )
    }

    fn key(&self, name: &str, value: &str) -> Value {
        json!({ "alg": "ed25519", "kid": self.key_id, "key_epoch": self.key_id, name: value })
    }

    fn receipt(&self, scope: &Scope, submitted: &Checkpoint) -> Value {
        let statement = json!({
            "protocol": "ATTESTO-PROOFSTREAM-001",
            "protocol_version": "0.1-alpha",
            "witness_id": scope.witness,
            "tenant_id": scope.tenant,
            "stream_id": scope.stream,
            "checkpoint_id": submitted.id,
            "checkpoint_seq_no": submitted.seq_no,
            "checkpoint_hash": submitted.hash,
            "previous_checkpoint_hash": submitted.previous,
            "key_epoch": self.key_id,
            "accepted_at": time(now_ms()),
        });
        let statement = witness::statement(self.habits, statement);
        let (signed, canon) = self.sign(WITNESS_TAG, &statement);
        json!({
            "witness_receipt_id": format!("lwr_{}", hex(&rand::random::<[u8; 16]>())),
            "witness_id": scope.witness,
            "tenant_id": scope.tenant,
            "stream_id": scope.stream,
            "checkpoint_id": submitted.id,
            "checkpoint_seq_no": submitted.seq_no,
            "checkpoint_hash": submitted.hash,
            "previous_checkpoint_hash": submitted.previous,
            "statement": statement,
            "statement_hash": signed.hash,
            "canonical_json_hex": hex(&witness::canonical_form(self.habits, &statement, canon)),
            "signature": self.key("signature_hex", &signed.signature),
            "public_key": self.key("public_key_hex", &signed.public_key),
        })
    }

    fn evidence(
        &self,
        scope: &Scope,
        submitted: &Checkpoint,
        last: Option<&Accepted>,
        known: Option<&Accepted>,
    ) -> Value {
        let last = last.map(|accepted| &accepted.checkpoint);
        let mut evidence = json!({
            "protocol": "ATTESTO-PROOFSTREAM-001",
            "protocol_version": "0.1-alpha",
            "witness_id": scope.witness,
            "tenant_id": scope.tenant,
            "stream_id": scope.stream,
            "reason": "conflicting-checkpoint",
            "last_checkpoint_id": last.map(|it| &it.id),
            "last_checkpoint_seq_no": last.map_or(0, |it| it.seq_no),
            "last_checkpoint_hash": last.map(|it| &it.hash),
            "submitted_checkpoint_id": submitted.id,
            "submitted_checkpoint_seq_no": submitted.seq_no,
            "submitted_checkpoint_hash": submitted.hash,
            "submitted_previous_checkpoint_hash": submitted.previous,
            "created_at": time(now_ms()),
        });
        if let Some(known) = witness::names_what_is_known(self.habits, known, last) {
            evidence["known_checkpoint_hash"] = known.checkpoint.hash.as_str().into();
        }
        let evidence = witness::evidence(self.habits, evidence);
        let (signed, _) = self.sign(FORK_TAG, &evidence);
        json!({
            "fork_evidence_id": format!("lwf_{}", hex(&rand::random::<[u8; 16]>())),
            "evidence_hash": signed.hash,
            "evidence": evidence,
            "signature": self.key("signature_hex", &signed.signature),
            "public_key": self.key("public_key_hex", &signed.public_key),
        })
    }
}
