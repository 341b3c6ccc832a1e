//! A process group of its own, which signals reach as a whole, and a guard that ends the group where this program is killed.
//!
//! By hand, where Windows has `process-wrap`: that reaps a shell as soon as it is asked how it ended, and then the number of
//! the group may be somebody else's before the group is killed.

use std::io::{self, PipeWriter, Write as _};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid};

/// Waits for a line on its standard input. If there is none to come any more, the program that held the other end was
/// killed: then the group named by the argument is asked to end, and killed a second later.
const GUARD: &str = r#"read -r _ || { kill -TERM "-$1"; sleep 1; kill -KILL "-$1"; }"#;

/// A shell, and everything that it started.
#[derive(Debug)]
pub(super) struct Group {
    shell: Child,
    killer: Killer,
    guard: Child,
}

/// The number of the group, which is the shell's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Killer(Option<Pid>);

impl Group {
    /// Runs `command` by `sh`, with these variables set or taken away; standard output and error go to `output`.
    pub(super) fn start(
        command: &str,
        directory: Option<&Path>,
        environment: &[(&str, Option<&str>)],
        output: PipeWriter,
    ) -> io::Result<Group> {
        let mut shell = Command::new("sh");
        if let Some(directory) = directory {
            shell.current_dir(directory);
        }
        for (name, value) in environment {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let mut shell = shell
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        let killer = Killer(i32::try_from(shell.id()).ok().and_then(Pid::from_raw));
        match guard(&shell) {
            Ok(guard) => Ok(Group { shell, killer, guard }),
            Err(error) => {
                end(&mut shell, killer);
                Err(error)
            }
        }
    }

    /// How the shell ended: "exited with status 1". It stays unreaped, so that its number keeps naming this group and no
    /// other.
    pub(super) fn exit(&self) -> Option<String> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.killer.0?), options).ok().flatten();
        status.as_ref().map(describe)
    }

    /// Asks all of them to end. False where that cannot be done.
    pub(super) fn ask(&self) -> bool {
        self.killer.signal(Signal::TERM);
        true
    }

    /// Ends all of them, and lets go of the number.
    pub(super) fn end(&mut self) {
        // First the guard: the number may soon be somebody else's. It fails only where the guard has ended.
        if let Some(mut line) = self.guard.stdin.take() {
            let _ = line.write_all(b"over\n");
        }
        let _ = self.guard.wait();
        end(&mut self.shell, self.killer);
    }

    pub(super) fn killer(&self) -> Killer {
        self.killer
    }
}

/// Starts the guard of a shell's group. It is in a group of its own, so that Ctrl-C does not reach it.
fn guard(shell: &Child) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", GUARD, "guard", &shell.id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn end(shell: &mut Child, killer: Killer) {
    killer.kill();
    // Fails only where the shell is not our child any more.
    let _ = shell.wait();
}

impl Killer {
    /// Ends all of them.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(self, signal: Signal) {
        if let Some(group) = self.0 {
            // Fails only where nobody is left in the group.
            let _ = kill_process_group(group, signal);
        }
    }
}

fn describe(status: &WaitIdStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
