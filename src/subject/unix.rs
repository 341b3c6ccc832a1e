//! A process group of its own, which signals reach as a whole.
//!
//! By hand, where Windows has `process-wrap`: here that waits for whatever the shell left behind, which is to be ended instead.

use std::io;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// Whether a program can be asked to end.
pub(super) const CAN_BE_ASKED: bool = true;

/// A shell that runs a line.
pub(super) fn shell(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    shell
}

/// A shell that runs a line with further arguments, which it does not look into.
pub(super) fn shell_with(line: &str, arguments: &[String]) -> Command {
    let mut shell = shell(&format!("{line} \"$@\""));
    // The first argument after the line is the name of the script.
    shell.arg("sh").args(arguments);
    shell
}

/// A process with everything that it started. Dropping it ends them all.
pub(super) struct Group {
    shell: Child,
    /// The number of the group, as long as it is surely this one's.
    id: Option<Pid>,
}

impl Group {
    /// Starts it.
    ///
    /// # Errors
    /// There is no shell, or no such directory.
    pub(super) fn spawn(mut shell: Command) -> io::Result<Group> {
        let shell = shell.process_group(0).kill_on_drop(true).spawn()?;
        let id = shell.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw);
        Ok(Group { shell, id })
    }

    /// Where it reads; none the second time, as with the next two.
    pub(super) fn input(&mut self) -> Option<ChildStdin> {
        self.shell.stdin.take()
    }

    /// What it writes.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.shell.stdout.take()
    }

    /// What it complains of.
    pub(super) fn errors(&mut self) -> Option<ChildStderr> {
        self.shell.stderr.take()
    }

    /// Waits for the shell, not for what it started.
    ///
    /// # Errors
    /// It is not our child any more.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.shell.wait().await
    }

    /// Ends all of them.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
        // Another group may have the number by and by.
        self.id = None;
        // Fails only where it has ended.
        let _gone = self.shell.start_kill();
    }

    /// Asks all of them to end.
    pub(super) fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.id {
            // Fails only where nobody is left in the group.
            let _gone = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
