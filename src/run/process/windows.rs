//! A job object, which takes in every process that one of its own starts.

use std::io::{self, PipeWriter};
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use process_wrap::std::{ChildWrapper, CommandWrap, CreationFlags, JobObject};
use windows::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

/// A shell, and everything that it started.
#[derive(Debug)]
pub(super) struct Group(Killer);

/// The job.
#[derive(Debug, Clone)]
pub(super) struct Killer(Arc<Mutex<Box<dyn ChildWrapper>>>);

impl Group {
    /// Runs `command` by `cmd`, with these variables set or taken away; standard output and error go to `output`. Ctrl-C at the console does not
    /// reach it: this program ends it.
    pub(super) fn start(
        command: &str,
        directory: Option<&Path>,
        environment: &[(&str, Option<&str>)],
        output: PipeWriter,
    ) -> io::Result<Group> {
        let mut shell = Command::new("cmd");
        // As it stands: `cmd` has its own way with quotes.
        shell
            .raw_arg("/D /S /C")
            .raw_arg(format!("\"{command}\""))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        for (name, value) in environment {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(directory) = directory {
            shell.current_dir(directory);
        }
        let job = CommandWrap::from(shell)
            .wrap(CreationFlags(CREATE_NEW_PROCESS_GROUP))
            .wrap(JobObject)
            .spawn()?;
        Ok(Group(Killer(Arc::new(Mutex::new(job)))))
    }

    /// How the shell ended: "exited with status 1". Asked of the shell itself: the job ends with its last process only.
    pub(super) fn exit(&self) -> Option<String> {
        let status = self.0.held().inner_mut().try_wait().ok().flatten()?;
        match status.code() {
            Some(code) => Some(format!("exited with status {code}")),
            None => Some("ended".to_owned()),
        }
    }

    /// Asks all of them to end. False where that cannot be done, as here.
    pub(super) fn ask(&self) -> bool {
        false
    }

    /// Ends all of them.
    pub(super) fn end(&mut self) {
        self.0.kill();
        // Fails only where the shell is not our child any more.
        let _ = self.0.held().inner_mut().wait();
    }

    pub(super) fn killer(&self) -> Killer {
        self.0.clone()
    }
}

impl Killer {
    /// Ends all of them.
    pub(super) fn kill(&self) {
        // Fails only where nobody is left in the job.
        let _ = self.held().start_kill();
    }

    fn held(&self) -> MutexGuard<'_, Box<dyn ChildWrapper>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
