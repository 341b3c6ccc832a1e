//! Runs again and again: when somebody presses Enter, and when what was rebuilt has changed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::signals;
use crate::cli::console;
use crate::cli::error::Error;

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(200);
/// How long something must not have changed any more: a build writes more than once.
const QUIET: Duration = Duration::from_millis(400);

/// Runs, waits for a reason to run again, and so on, until the standard input ends (where no path is watched) or somebody ends the
/// program. The exit code is that of the last run.
///
/// # Errors
/// A run came to nothing in a way that running again does not change: something is wrong with what was typed.
pub(super) fn watch(path: &Path, run: impl Fn() -> Result<u8, Error>) -> Result<u8, Error> {
    let path = Some(path).filter(|path| !path.as_os_str().is_empty());
    let broken = |error: std::io::Error| Error::Unreachable(format!("cannot wait for changes: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(broken)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let last = loop {
        let before = path.and_then(newest);
        let code = match run() {
            Ok(code) => code,
            Err(error @ Error::Unreachable(_)) => {
                console::err(&error.shown());
                error.exit_code()
            }
            Err(error) => return Err(error),
        };
        let what = path.map_or_else(String::new, |path| format!(" or change {}", path.display()));
        console::err(&format!("press Enter{what} to run again, Ctrl-C to end\n"));
        let again = runtime.block_on(async {
            let mut open = true;
            loop {
                tokio::select! {
                    line = lines.next_line(), if open => match line {
                        Ok(Some(_)) => return true,
                        _ if path.is_some() => open = false,
                        _ => return false,
                    },
                    () = changed(path, before), if path.is_some() => return true,
                    () = signals::wanted() => return false,
                }
            }
        });
        if !again {
            break code;
        }
    };
    // A thread may still wait for a line of the standard input.
    runtime.shutdown_background();
    Ok(last)
}

/// Waits until something below the path is newer than it was, and has come to rest.
async fn changed(path: Option<&Path>, before: Option<SystemTime>) {
    let mut seen = before;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = path.and_then(newest);
        if now != before && now == seen {
            let is_quiet = now
                .and_then(|time| time.elapsed().ok())
                .is_some_and(|since| since >= QUIET);
            if is_quiet {
                return;
            }
        }
        seen = now;
    }
}

/// When the newest file at or below a path was changed; none where there is nothing, as while something is being built.
fn newest(path: &Path) -> Option<SystemTime> {
    let about = std::fs::metadata(path).ok()?;
    let own = about.modified().ok();
    if !about.is_dir() {
        return own;
    }
    let entries = std::fs::read_dir(path).ok()?.flatten();
    let below = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    below.filter_map(|entry| newest(&entry.path())).chain(own).max()
}
