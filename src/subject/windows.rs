//! A job object, which takes in every process that one of its own starts.

use std::io;
use std::process::ExitStatus;

use process_wrap::tokio::{ChildWrapper, CommandWrap, CreationFlags, JobObject};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use windows::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

/// Whether a program can be asked to end.
pub(super) const CAN_BE_ASKED: bool = false;

/// A shell that runs a line.
pub(super) fn shell(line: &str) -> Command {
    let mut shell = Command::new("cmd");
    // As it stands: `cmd` has its own way with quotes.
    shell.raw_arg("/D /S /C").raw_arg(format!("\"{line}\""));
    shell
}

/// A shell that runs a line with further arguments, each of them in quotes.
pub(super) fn shell_with(line: &str, arguments: &[String]) -> Command {
    let quoted = |argument: &String| format!(" \"{}\"", argument.replace('"', "\\\""));
    let arguments: String = arguments.iter().map(quoted).collect();
    shell(&format!("{line}{arguments}"))
}

/// A process with everything that it started. Dropping it ends them all.
pub(super) struct Group(Box<dyn ChildWrapper>);

impl Group {
    /// Starts it.
    ///
    /// # Errors
    /// There is no shell, or no such directory; or there can be no job.
    pub(super) fn spawn(shell: Command) -> io::Result<Group> {
        CommandWrap::from(shell)
            .wrap(CreationFlags(CREATE_NEW_PROCESS_GROUP))
            .wrap(JobObject)
            .spawn()
            .map(Group)
    }

    /// Where it reads; none the second time, as with the next two.
    pub(super) fn input(&mut self) -> Option<ChildStdin> {
        self.0.stdin().take()
    }

    /// What it writes.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.0.stdout().take()
    }

    /// What it complains of.
    pub(super) fn errors(&mut self) -> Option<ChildStderr> {
        self.0.stderr().take()
    }

    /// Waits for the shell, not for what it started: the job ends with its last process only.
    ///
    /// # Errors
    /// It is not our child any more.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.inner_mut().wait().await
    }

    /// Ends all of them.
    pub(super) fn kill(&mut self) {
        // Fails only where nobody is left in the job.
        let _gone = self.0.start_kill();
    }

    /// Ends all of them: none can be asked.
    pub(super) fn terminate(&mut self) {
        self.kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
