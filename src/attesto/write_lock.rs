//! Holds a database of the program under test against writing, so that commands which run at the same moment all read it before
//! any of them writes. Who decides on what it read then is seen to, however narrow the time between its reading and its writing.
//!
//! SQLite gives the right to write to one connection at a time; who asks for it meanwhile waits, and who reads does not.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a command that writes just now is waited for.
const BUSY_TIME: Duration = Duration::from_millis(500);

/// Nobody else writes to the database until the task that is returned ends, after `time`. Without a file, or with one that is no
/// SQLite database, nobody is held up: a program may keep what it keeps in another way.
pub(super) async fn hold(path: PathBuf, time: Duration) -> JoinHandle<()> {
    let (tell, told) = oneshot::channel();
    // A thread of its own: commands of the built-in program that wait for the database may keep all others busy.
    let holding = tokio::task::spawn_blocking(move || {
        let locked = lock(&path);
        // Nobody listens where the run was broken off.
        _ = tell.send(());
        if locked.is_ok() {
            std::thread::sleep(time);
        }
        // Closing it rolls back: nothing was written.
        drop(locked);
    });
    // It fails where the thread did, which its handle tells.
    _ = told.await;
    holding
}

fn lock(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIME)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn others_read_and_do_not_write_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let other = Connection::open(&path).unwrap();
        other.busy_timeout(Duration::ZERO).unwrap();
        other.execute_batch("CREATE TABLE kept (it TEXT)").unwrap();
        let write = || other.execute("INSERT INTO kept VALUES ('it')", []);
        let rows = || other.query_row("SELECT count(*) FROM kept", [], |row| row.get(0));
        let held = hold(path, Duration::from_millis(20)).await;
        assert!(write().is_err());
        assert_eq!(rows(), Ok(0));
        held.await.unwrap();
        assert_eq!((write(), rows()), (Ok(1), Ok(1)));
    }

    #[tokio::test]
    async fn what_is_no_database_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        hold(path.clone(), Duration::ZERO).await.await.unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "no database").unwrap();
        hold(path.clone(), Duration::ZERO).await.await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"no database");
    }
}
