//! What is stored, in SQLite: in memory, or in a file that survives a restart.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

/// A stored bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bundle {
    /// The payload as it was published.
    pub(super) payload: Vec<u8>,
    /// The signature as it was published.
    pub(super) signature: Vec<u8>,
}

/// The bundles of all devices.
pub(super) struct Store(Connection);

/// Which bundle of a device is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that was submitted last.
    Newest,
    /// The one that was submitted before that.
    Previous,
    /// The one that was submitted first.
    Oldest,
    /// The one whose payload begins with the latest time.
    LatestTime,
}

impl Store {
    /// Opens the file, or memory.
    ///
    /// # Errors
    /// The file cannot be opened, or is no database.
    pub(super) fn open(path: Option<&Path>) -> rusqlite::Result<Store> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS bundle (
                 number INTEGER PRIMARY KEY AUTOINCREMENT,
                 device TEXT NOT NULL,
                 payload BLOB NOT NULL,
                 signature BLOB NOT NULL,
                 time BLOB NOT NULL,
                 stored_ms INTEGER NOT NULL);
             CREATE INDEX IF NOT EXISTS bundle_device ON bundle (device, number);",
        )?;
        Ok(Store(connection))
    }

    /// Stores a bundle under a device; `now_ms` is the time, epoch milliseconds.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn add(&self, device: &str, bundle: &Bundle, now_ms: i64) -> rusqlite::Result<()> {
        self.0.execute(
            "INSERT INTO bundle (device, payload, signature, time, stored_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                device,
                bundle.payload,
                bundle.signature,
                time(&bundle.payload),
                now_ms
            ],
        )?;
        Ok(())
    }

    /// A bundle of a device; of any device where none is named.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn get(&self, device: Option<&str>, which: Which) -> rusqlite::Result<Option<Bundle>> {
        let order = match which {
            Which::Newest => "number DESC LIMIT 1",
            Which::Previous => "number DESC LIMIT 1 OFFSET 1",
            Which::Oldest => "number LIMIT 1",
            Which::LatestTime => "time DESC, number DESC LIMIT 1",
        };
        let query =
            format!("SELECT payload, signature FROM bundle WHERE ?1 IS NULL OR device = ?1 ORDER BY {order}");
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Bundle {
                payload: row.get(0)?,
                signature: row.get(1)?,
            })
        };
        self.0.query_row(&query, params![device], read).optional()
    }

    /// Whether a device has published this bundle before.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn has(&self, device: &str, bundle: &Bundle) -> rusqlite::Result<bool> {
        self.0.query_row(
            "SELECT EXISTS (SELECT 1 FROM bundle WHERE device = ?1 AND payload = ?2 AND signature = ?3)",
            params![device, bundle.payload, bundle.signature],
            |row| row.get(0),
        )
    }

    /// Every device that has published.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn devices(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self
            .0
            .prepare("SELECT DISTINCT device FROM bundle ORDER BY device")?;
        let devices = statement.query_map([], |row| row.get(0))?;
        devices.collect()
    }

    /// Drops all bundles of a device.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn remove(&self, device: &str) -> rusqlite::Result<usize> {
        self.0
            .execute("DELETE FROM bundle WHERE device = ?1", params![device])
    }

    /// Drops all but the `most` oldest bundles of a device, and says how many it dropped.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn keep_oldest(&self, device: &str, most: usize) -> rusqlite::Result<usize> {
        self.0.execute(
            "DELETE FROM bundle WHERE device = ?1 AND number NOT IN (
                 SELECT number FROM bundle WHERE device = ?1 ORDER BY number LIMIT ?2)",
            params![device, i64::try_from(most).unwrap_or(i64::MAX)],
        )
    }

    /// Drops all but the `most` newest bundles, whosever they are, and says how many it dropped.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn cap(&self, most: usize) -> rusqlite::Result<usize> {
        self.0.execute(
            "DELETE FROM bundle WHERE number NOT IN (SELECT number FROM bundle ORDER BY number DESC LIMIT ?1)",
            params![i64::try_from(most).unwrap_or(i64::MAX)],
        )
    }

    /// Drops all but the `most` newest bundles of a device, and says how many it dropped.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn keep_newest(&self, device: &str, most: usize) -> rusqlite::Result<usize> {
        self.0.execute(
            "DELETE FROM bundle WHERE device = ?1 AND number NOT IN (
                 SELECT number FROM bundle WHERE device = ?1 ORDER BY number DESC LIMIT ?2)",
            params![device, i64::try_from(most).unwrap_or(i64::MAX)],
        )
    }

    /// Drops what was stored at `until_ms` or before, epoch milliseconds, and says how many bundles that were.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn drop_until(&self, until_ms: i64) -> rusqlite::Result<usize> {
        self.0
            .execute("DELETE FROM bundle WHERE stored_ms <= ?1", params![until_ms])
    }

    /// Whether a bundle was stored at `until_ms` or before, epoch milliseconds.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn has_until(&self, until_ms: i64) -> rusqlite::Result<bool> {
        self.0.query_row(
            "SELECT EXISTS (SELECT 1 FROM bundle WHERE stored_ms <= ?1)",
            params![until_ms],
            |row| row.get(0),
        )
    }

    /// Drops bundles whose payload is so long, bytes.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn drop_of_length(&self, least: usize, most: usize) -> rusqlite::Result<usize> {
        let number = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        self.0.execute(
            "DELETE FROM bundle WHERE length(payload) BETWEEN ?1 AND ?2",
            params![number(least), number(most)],
        )
    }

    /// Makes all bundles as old as time.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn forget_times(&self) -> rusqlite::Result<usize> {
        self.0.execute("UPDATE bundle SET stored_ms = 0", [])
    }

    /// Drops the bundles of all but the `most` devices that published last, and says how many it dropped.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn keep_devices(&self, most: usize) -> rusqlite::Result<usize> {
        self.0.execute(
            "DELETE FROM bundle WHERE device NOT IN (
                 SELECT device FROM bundle GROUP BY device ORDER BY max(number) DESC LIMIT ?1)",
            params![i64::try_from(most).unwrap_or(i64::MAX)],
        )
    }

    /// Drops the bundle of each device that was stored last.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn drop_newest(&self) -> rusqlite::Result<usize> {
        self.0.execute(
            "DELETE FROM bundle WHERE number IN (SELECT max(number) FROM bundle GROUP BY device)",
            [],
        )
    }
}

/// The time that a payload says, in an order that bytes have: eight bytes, little endian, turned round.
fn time(payload: &[u8]) -> Vec<u8> {
    let mut time: Vec<u8> = payload.iter().take(8).copied().collect();
    time.resize(8, 0);
    time.reverse();
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(text: &str) -> Bundle {
        Bundle {
            payload: text.as_bytes().to_vec(),
            signature: vec![7; 64],
        }
    }

    fn newest(store: &Store, device: &str) -> Option<Bundle> {
        store.get(Some(device), Which::Newest).unwrap()
    }

    #[test]
    fn the_newest_is_served_and_devices_are_apart() {
        let store = Store::open(None).unwrap();
        store.add("a", &bundle("one"), 1).unwrap();
        store.add("a", &bundle("two"), 2).unwrap();
        store.add("b", &bundle("three"), 3).unwrap();
        assert_eq!(newest(&store, "a"), Some(bundle("two")));
        assert_eq!(store.get(Some("a"), Which::Oldest).unwrap(), Some(bundle("one")));
        assert_eq!(newest(&store, "c"), None);
        assert!(store.has("a", &bundle("one")).unwrap() && !store.has("b", &bundle("one")).unwrap());
    }

    #[test]
    fn bundles_are_dropped_by_age_and_by_number_of_each_device() {
        let store = Store::open(None).unwrap();
        for (number, text) in ["one", "two", "three"].into_iter().enumerate() {
            store
                .add("a", &bundle(text), i64::try_from(number).unwrap())
                .unwrap();
        }
        store.add("b", &bundle("other"), 0).unwrap();
        assert_eq!(store.keep_newest("a", 1).unwrap(), 2);
        assert_eq!(newest(&store, "a"), Some(bundle("three")));
        assert_eq!(store.get(Some("a"), Which::Previous).unwrap(), None);
        assert_eq!(newest(&store, "b"), Some(bundle("other")));
        assert_eq!(store.drop_until(1).unwrap(), 1);
        assert_eq!(
            (newest(&store, "a"), newest(&store, "b")),
            (Some(bundle("three")), None)
        );
        store.drop_until(2).unwrap();
        assert_eq!(store.devices().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_file_is_found_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("registry.db");
        Store::open(Some(&path))
            .unwrap()
            .add("a", &bundle("kept"), 1)
            .unwrap();
        assert_eq!(
            newest(&Store::open(Some(&path)).unwrap(), "a"),
            Some(bundle("kept"))
        );
    }
}
