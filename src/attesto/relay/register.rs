//! What the witness has accepted: every checkpoint of every scope, with its receipt, in SQLite.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::rules::Checkpoint;

/// How long a command waits for another that writes.
const BUSY_TIME: Duration = Duration::from_secs(10);

/// Who is witnessed by whom.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) witness: String,
    pub(super) tenant: String,
    pub(super) stream: String,
}

/// A checkpoint that was accepted, and the receipt that was given.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    pub(super) checkpoint: Checkpoint,
    pub(super) receipt: String,
}

/// The open register.
pub(super) struct Register(Connection);

impl Register {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened, or is no register.
    pub(super) fn open(path: &Path) -> Result<Register, String> {
        let opened = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(BUSY_TIME)?;
            connection.execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE IF NOT EXISTS accepted (
                     witness_id TEXT NOT NULL,
                     tenant_id TEXT NOT NULL,
                     stream_id TEXT NOT NULL,
                     checkpoint_id TEXT NOT NULL,
                     seq_no INTEGER NOT NULL,
                     hash TEXT NOT NULL,
                     previous TEXT,
                     receipt TEXT NOT NULL);
                 CREATE INDEX IF NOT EXISTS accepted_scope ON accepted (witness_id, tenant_id, stream_id);",
            )?;
            Ok(connection)
        };
        let connection = opened().map_err(|error: rusqlite::Error| format!("{}: {error}", path.display()));
        connection.map(Register)
    }

    /// Keeps others from looking until [`Register::end`] is called, or the register is dropped.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        // The transaction is ended by hand: what is decided in between is not this file's concern.
        let began = self.0.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut began = began.map_err(said)?;
        began.set_drop_behavior(rusqlite::DropBehavior::Ignore);
        Ok(())
    }

    /// Lets others look again.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn end(&self) -> Result<(), String> {
        match self.0.is_autocommit() {
            true => Ok(()),
            false => self.0.execute_batch("COMMIT").map_err(said),
        }
    }

    /// The checkpoint of a scope that was accepted last, or the one of a number.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn find(&self, scope: &Scope, seq_no: Option<i64>) -> Result<Option<Accepted>, String> {
        let found = self.0.query_row(
            "SELECT checkpoint_id, seq_no, hash, previous, receipt FROM accepted
             WHERE witness_id = ?1 AND tenant_id = ?2 AND stream_id = ?3 AND (?4 IS NULL OR seq_no = ?4)
             ORDER BY rowid DESC LIMIT 1",
            params![scope.witness, scope.tenant, scope.stream, seq_no],
            accepted,
        );
        found.optional().map_err(said)
    }

    /// The same number and hash in whichever scope.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn find_anywhere(&self, submitted: &Checkpoint) -> Result<Option<Accepted>, String> {
        let found = self.0.query_row(
            "SELECT checkpoint_id, seq_no, hash, previous, receipt FROM accepted WHERE seq_no = ?1 AND hash = ?2 LIMIT 1",
            params![submitted.seq_no, submitted.hash],
            accepted,
        );
        found.optional().map_err(said)
    }

    /// Forgets what was accepted in all other scopes.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn forget_others(&self, scope: &Scope) -> Result<(), String> {
        let done = self.0.execute(
            "DELETE FROM accepted WHERE NOT (witness_id = ?1 AND tenant_id = ?2 AND stream_id = ?3)",
            params![scope.witness, scope.tenant, scope.stream],
        );
        done.map(drop).map_err(said)
    }

    /// Notes that a checkpoint is the last one of its scope.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn accept(&self, scope: &Scope, accepted: &Accepted) -> Result<(), String> {
        let checkpoint = &accepted.checkpoint;
        let done = self.0.execute(
            "INSERT INTO accepted VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                scope.witness,
                scope.tenant,
                scope.stream,
                checkpoint.id,
                checkpoint.seq_no,
                checkpoint.hash,
                checkpoint.previous,
                accepted.receipt
            ],
        );
        done.map(drop).map_err(said)
    }
}

fn accepted(row: &rusqlite::Row<'_>) -> rusqlite::Result<Accepted> {
    Ok(Accepted {
        checkpoint: Checkpoint {
            id: row.get(0)?,
            seq_no: row.get(1)?,
            hash: row.get(2)?,
            previous: row.get(3)?,
        },
        receipt: row.get(4)?,
    })
}

fn said(error: rusqlite::Error) -> String {
    format!("the register refuses: {error}")
}
