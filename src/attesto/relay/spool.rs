//! The spool: items in SQLite, each in one state, in flight for one process at most.
//!
//! A process that drains holds a lock on a file of its own. An item that is in flight for a process whose file is not locked any
//! more was left behind by a crash, and is queued again.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use crate::keys::encoding::hex;

/// How long a command waits for another that writes.
const BUSY_TIME: Duration = Duration::from_secs(10);

/// Where an item of a reference is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// In a stream.
    Stream(&'a str),
    /// In every stream.
    Anywhere,
    /// By the stream and the reference put together, with a mark between them.
    PutTogether(&'a str, &'a str),
}

/// An item of the spool.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) event: String,
    pub(super) stream: String,
    pub(super) source: String,
    pub(super) payload_sha256: String,
    pub(super) payload_size: i64,
    /// The encrypted payload.
    pub(super) sealed: Vec<u8>,
    pub(super) created_ms: i64,
    /// `queued`, `inflight`, `delivered` or `dead`.
    pub(super) state: String,
    /// How many attempts were begun.
    pub(super) attempts: u32,
    /// The hashes of the envelopes that were sent.
    pub(super) hashes: Vec<String>,
}

/// The open spool.
pub(super) struct Spool {
    connection: Connection,
    path: PathBuf,
}

const COLUMNS: &str = "event_id, stream_id, source_ref, payload_sha256, payload_size, sealed, created_ms, state, attempts, hashes";

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let hashes: String = row.get(9)?;
    Ok(Item {
        event: row.get(0)?,
        stream: row.get(1)?,
        source: row.get(2)?,
        payload_sha256: row.get(3)?,
        payload_size: row.get(4)?,
        sealed: row.get(5)?,
        created_ms: row.get(6)?,
        state: row.get(7)?,
        attempts: row.get(8)?,
        hashes: hashes.split_whitespace().map(str::to_owned).collect(),
    })
}

impl Spool {
    /// Opens the file, which its owner alone may read, or makes it.
    ///
    /// # Errors
    /// It cannot be opened, or is no spool.
    pub(super) fn open(path: &Path, is_private: bool) -> Result<Spool, String> {
        make(path, is_private).map_err(|error| format!("{}: {error}", path.display()))?;
        let opened = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(BUSY_TIME)?;
            connection.execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = NORMAL;
                 CREATE TABLE IF NOT EXISTS item (
                     number INTEGER PRIMARY KEY AUTOINCREMENT,
                     event_id TEXT NOT NULL UNIQUE,
                     stream_id TEXT NOT NULL,
                     source_ref TEXT NOT NULL,
                     payload_sha256 TEXT NOT NULL,
                     payload_size INTEGER NOT NULL,
                     sealed BLOB NOT NULL,
                     created_ms INTEGER NOT NULL,
                     state TEXT NOT NULL,
                     attempts INTEGER NOT NULL DEFAULT 0,
                     hashes TEXT NOT NULL DEFAULT '',
                     due_ms INTEGER NOT NULL,
                     owner TEXT);
                 CREATE INDEX IF NOT EXISTS item_place ON item (stream_id, source_ref);
                 CREATE INDEX IF NOT EXISTS item_due ON item (state, due_ms);",
            )?;
            Ok(connection)
        };
        let connection = opened().map_err(|error: rusqlite::Error| format!("{}: {error}", path.display()))?;
        Ok(Spool {
            connection,
            path: path.to_owned(),
        })
    }

    /// Looks at what is there and writes, with nobody in between.
    ///
    /// # Errors
    /// What `work` says, or that the database refuses.
    pub(super) fn at_once<T>(
        &mut self,
        work: impl FnOnce(&Writing<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let began = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        let writing = Writing(began.map_err(said)?);
        let done = work(&writing)?;
        writing.0.commit().map_err(said)?;
        Ok(done)
    }

    /// Looks at what is there; others may write before anything is made of it.
    ///
    /// # Errors
    /// What `work` says, or that the database refuses.
    pub(super) fn look<T>(
        &mut self,
        work: impl FnOnce(&Writing<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        work(&Writing(self.connection.transaction().map_err(said)?))
    }

    /// The number of the item that would be taken first, of those that an SQL condition allows at the time `?1`.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn first(&self, now_ms: i64, order: &str) -> Result<Option<i64>, String> {
        let sql = format!("SELECT number FROM item WHERE {order} ORDER BY number LIMIT 1");
        let first = self.connection.query_row(&sql, params![now_ms], |row| row.get(0));
        first.optional().map_err(said)
    }

    /// Takes an item for a process, of those that an SQL condition allows at the time `?1`: it is in flight then.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn claim(&mut self, owner: &str, now_ms: i64, order: &str) -> Result<Option<Item>, String> {
        let sql = format!(
            "UPDATE item SET state = 'inflight', owner = ?2, attempts = attempts + 1 WHERE number = (
                 SELECT number FROM item WHERE {order} ORDER BY number LIMIT 1)
             RETURNING {COLUMNS}"
        );
        let claimed = self.connection.query_row(&sql, params![now_ms, owner], item);
        claimed.optional().map_err(said)
    }

    /// Queues again what is in flight for processes that are no more: how many items there were. Their attempts count, or not.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn recover(&mut self, counts: bool) -> Result<usize, String> {
        let owners = || {
            let mut query = self
                .connection
                .prepare("SELECT DISTINCT owner FROM item WHERE state = 'inflight'")?;
            let owners = query.query_map([], |row| row.get::<_, Option<String>>(0))?;
            owners.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut recovered = 0;
        for owner in owners().map_err(said)? {
            let file = owner.as_ref().map(|owner| owner_file(&self.path, owner));
            if file.as_ref().is_some_and(|file| is_held(file)) {
                continue;
            }
            let sql = "UPDATE item SET state = 'queued', owner = NULL, attempts = attempts - ?2
                       WHERE state = 'inflight' AND owner IS ?1";
            let done = self.connection.execute(sql, params![owner, i64::from(!counts)]);
            recovered += done.map_err(said)?;
            // It is gone already where its process ended by itself.
            let _gone = file.map(fs::remove_file);
        }
        Ok(recovered)
    }

    /// Notes the envelope that is about to be sent.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn sends(&self, event: &str, hash: &str) -> Result<(), String> {
        let sql = "UPDATE item SET hashes = hashes || ' ' || ?2 WHERE event_id = ?1";
        let noted = self.connection.execute(sql, params![event, hash]);
        noted.map(drop).map_err(said)
    }

    /// Notes how an attempt ended: the state of the item from now on, and when it is due again.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn settle(&self, event: &str, state: &str, due_ms: i64) -> Result<(), String> {
        let sql = "UPDATE item SET state = ?2, due_ms = ?3, owner = NULL WHERE event_id = ?1";
        let settled = self.connection.execute(sql, params![event, state, due_ms]);
        settled.map(drop).map_err(said)
    }

    /// Forgets an item.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn forget(&self, event: &str) -> Result<(), String> {
        let forgotten = self
            .connection
            .execute("DELETE FROM item WHERE event_id = ?1", params![event]);
        forgotten.map(drop).map_err(said)
    }
}

/// What writes with nobody in between.
pub(super) struct Writing<'a>(Transaction<'a>);

impl Writing<'_> {
    /// The item of a reference; in whichever stream, where none is named.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn find(&self, place: Place<'_>, source: &str) -> Result<Option<Item>, String> {
        let (is, stream, mark) = match place {
            Place::Stream(stream) => ("stream_id = ?1 AND source_ref = ?2 AND ?3 = ''", stream, ""),
            Place::Anywhere => ("?1 = '' AND source_ref = ?2 AND ?3 = ''", "", ""),
            Place::PutTogether(stream, mark) => {
                ("stream_id || ?3 || source_ref = ?1 || ?3 || ?2", stream, mark)
            }
        };
        let sql = format!("SELECT {COLUMNS} FROM item WHERE {is} ORDER BY number LIMIT 1");
        self.0
            .query_row(&sql, params![stream, source, mark], item)
            .optional()
            .map_err(said)
    }

    /// Adds an item that is due at once.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn add(&self, item: &Item) -> Result<(), String> {
        let added = self.0.execute(
            "INSERT INTO item (event_id, stream_id, source_ref, payload_sha256, payload_size, sealed, created_ms, state, due_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7)",
            params![
                item.event,
                item.stream,
                item.source,
                item.payload_sha256,
                item.payload_size,
                item.sealed,
                item.created_ms,
                item.state
            ],
        );
        added.map(drop).map_err(said)
    }

    /// Puts another payload in the place of an item's, or its state.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn replace(&self, item: &Item) -> Result<(), String> {
        let replaced = self.0.execute(
            "UPDATE item SET payload_sha256 = ?2, payload_size = ?3, sealed = ?4, state = ?5 WHERE event_id = ?1",
            params![item.event, item.payload_sha256, item.payload_size, item.sealed, item.state],
        );
        replaced.map(drop).map_err(said)
    }
}

/// The process that drains, as long as it lives.
pub(super) struct Owner {
    pub(super) name: String,
    path: PathBuf,
    _lock: File,
}

impl Owner {
    /// Makes a file of its own beside the spool, and locks it.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn new(spool: &Path) -> Result<Owner, String> {
        let name = hex(&rand::random::<[u8; 8]>());
        let path = owner_file(spool, &name);
        let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
        let file = locked.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Owner {
            name,
            path,
            _lock: file,
        })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
    }
}

fn owner_file(spool: &Path, owner: &str) -> PathBuf {
    let mut name = spool.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{owner}"));
    spool.with_file_name(name)
}

/// Whether somebody holds the lock of a file.
fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn make(path: &Path, is_private: bool) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_private { 0o600 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = is_private;
    options.open(path).map(drop)
}

fn said(error: rusqlite::Error) -> String {
    format!("the spool refuses: {error}")
}
