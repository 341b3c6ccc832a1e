//! Servers for single cases: by the command of `--exec`, or of the reference server's kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::http::{Client, ClientError, ClientOptions, Endpoint, Service};
use crate::run::process::{DIR, FLAGS, Process, ProcessError, Start, free_port};
use crate::serve::{Reference, ServeOptions, StartError};
use crate::session::{LACKS_SERVER, NoServer, OwnServer, OwnServers, Wish};
use crate::subject::Task;

/// How long a second of a reference server lasts that belongs to one case.
const QUICK_SECOND: Duration = Duration::from_millis(50);

/// Makes the client of a server.
pub type ClientOf = Arc<dyn Fn(Endpoint) -> Result<Client, ClientError> + Send + Sync>;

/// Starts the command of `--exec` once more for each case that wants it.
pub struct Commands {
    /// The command, with its placeholders.
    pub command: String,
    /// Where it runs; none for the working directory.
    pub directory: Option<PathBuf>,
    /// The service that it is.
    pub service: Service,
    /// How long it may take until it answers.
    pub ready: Duration,
    /// Makes its client.
    pub client_of: ClientOf,
}

impl OwnServers for Commands {
    fn start(&self, wish: Wish) -> Task<'_, Result<Box<dyn OwnServer>, NoServer>> {
        Box::pin(async move { Ok(Box::new(self.started(wish).await?) as Box<dyn OwnServer>) })
    }
}

impl Commands {
    async fn started(&self, wish: Wish) -> Result<Command, NoServer> {
        let place = match self.command.contains(DIR) {
            true => Vec::new(),
            false => wish.place,
        };
        let flags = [place.clone(), wish.flags].concat();
        if !flags.is_empty() && !self.command.contains(FLAGS) {
            return Err(NoServer::Impossible(format!(
                "{LACKS_SERVER}: write {FLAGS} in the command of --exec where its flags belong"
            )));
        }
        let failed = |why: String| NoServer::Failed(why);
        let data =
            tempfile::tempdir().map_err(|error| failed(format!("cannot make a directory: {error}")))?;
        let port = free_port().map_err(|error| failed(format!("there is no free port: {error}")))?;
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}"))
            .map_err(|error| failed(error.to_string()))?;
        let client = (self.client_of)(endpoint).map_err(|error| failed(error.to_string()))?;
        let start = Start {
            service: self.service.clone(),
            port,
            environment: wish.environment,
            flags,
            data: Some(data.path().to_owned()),
        };
        let process = Process::start(&self.command, self.directory.as_deref(), start)
            .map_err(|error| failed(error.to_string()))?;
        let command = Command {
            process,
            client,
            ready: self.ready,
            place,
            _data: data,
        };
        command.answers().await?;
        Ok(command)
    }
}

/// A process that belongs to one case.
struct Command {
    process: Process,
    client: Client,
    ready: Duration,
    /// The flags that say where it keeps its data, if any do.
    place: Vec<String>,
    /// Removed when the server has ended.
    _data: TempDir,
}

impl Command {
    async fn answers(&self) -> Result<(), NoServer> {
        let ready = self.process.wait_ready(&self.client, self.ready).await;
        ready.map_err(|error| match error {
            ProcessError::Died { .. } | ProcessError::NotReady { .. } => NoServer::Refused(error.to_string()),
            ProcessError::Start { .. } | ProcessError::Taken { .. } => NoServer::Failed(error.to_string()),
        })
    }
}

impl OwnServer for Command {
    fn client(&self) -> &Client {
        &self.client
    }

    fn restart(&mut self, flags: Vec<String>) -> Task<'_, Result<(), NoServer>> {
        Box::pin(async move {
            // At once, as a crash would: it is not asked to end.
            self.process.ender().end();
            let failed = |error: ProcessError| NoServer::Failed(error.to_string());
            self.process.leave_nobody(&self.client).await.map_err(failed)?;
            self.process.set_flags([&self.place[..], &flags].concat());
            self.process.restart().map_err(failed)?;
            self.answers().await
        })
    }

    fn second(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn died(&self) -> Option<String> {
        self.process.died()
    }
}

/// Starts a protocol's reference server once more for each case that wants it.
pub struct References {
    /// What all of them are started with.
    options: ServeOptions,
    maker: Arc<Maker>,
}

/// What makes reference servers and their clients, and counts what became of them.
struct Maker {
    start: fn(ServeOptions) -> Result<Box<dyn Reference>, StartError>,
    client_of: ClientOf,
    /// How often the deviations of those that have ended took effect.
    fired: Mutex<BTreeMap<&'static str, u64>>,
}

impl References {
    /// Those of a protocol, started with these options and what the case wants.
    pub fn new(
        start: fn(ServeOptions) -> Result<Box<dyn Reference>, StartError>,
        options: ServeOptions,
        client_of: ClientOf,
    ) -> References {
        let maker = Maker {
            start,
            client_of,
            fired: Mutex::default(),
        };
        References {
            options,
            maker: Arc::new(maker),
        }
    }

    /// How often a deviation took effect in those that have ended.
    pub fn fired(&self, name: &str) -> u64 {
        let fired = self.maker.fired.lock().unwrap_or_else(PoisonError::into_inner);
        fired.get(name).copied().unwrap_or_default()
    }

    fn started(&self, wish: Wish) -> Result<Own, NoServer> {
        let data = tempfile::tempdir()
            .map_err(|error| NoServer::Failed(format!("cannot make a directory: {error}")))?;
        let set = wish.environment.into_iter();
        let options = ServeOptions {
            flags: in_place(&[&wish.place[..], &wish.flags].concat(), data.path()),
            environment: set.filter_map(|(name, value)| Some((name, value?))).collect(),
            second: QUICK_SECOND,
            single: true,
            ..self.options.clone()
        };
        let (server, client) = self.maker.make(&options)?;
        Ok(Own {
            maker: Arc::clone(&self.maker),
            server: Some(server),
            client,
            options,
            place: wish.place,
            data,
        })
    }
}

impl Maker {
    /// Starts a server, and makes its client.
    fn make(&self, options: &ServeOptions) -> Result<(Box<dyn Reference>, Client), NoServer> {
        let failed = |error: &dyn std::error::Error| NoServer::Failed(error.to_string());
        let server = (self.start)(options.clone()).map_err(|error| {
            // One that does not start has no count to be asked for.
            self.count(options, |_| 1);
            NoServer::Refused(error.to_string())
        })?;
        let endpoint = Endpoint::parse(&server.url()).map_err(|error| failed(&error))?;
        let client = (self.client_of)(endpoint).map_err(|error| failed(&error))?;
        Ok((server, client))
    }

    /// Counts so many effects of each deviation more.
    fn count(&self, options: &ServeOptions, effects: impl Fn(&str) -> u64) {
        let mut fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        for name in options.deviations() {
            *fired.entry(name).or_default() += effects(name);
        }
    }
}

/// Words with the directory in them.
fn in_place(words: &[String], data: &Path) -> Vec<String> {
    let data = data.display().to_string();
    words.iter().map(|word| word.replace(DIR, &data)).collect()
}

impl OwnServers for References {
    fn start(&self, wish: Wish) -> Task<'_, Result<Box<dyn OwnServer>, NoServer>> {
        Box::pin(async move { Ok(Box::new(self.started(wish)?) as Box<dyn OwnServer>) })
    }
}

/// A reference server that belongs to one case.
struct Own {
    maker: Arc<Maker>,
    server: Option<Box<dyn Reference>>,
    client: Client,
    options: ServeOptions,
    /// The flags that say where it keeps its data.
    place: Vec<String>,
    /// Removed when the server has ended.
    data: TempDir,
}

impl Own {
    /// Ends the server, and keeps what it has counted.
    fn end(&mut self) {
        if let Some(server) = self.server.take() {
            self.maker.count(&self.options, |name| server.fired(name));
        }
    }
}

impl OwnServer for Own {
    fn client(&self) -> &Client {
        &self.client
    }

    fn restart(&mut self, flags: Vec<String>) -> Task<'_, Result<(), NoServer>> {
        Box::pin(async move {
            self.end();
            self.options.flags = in_place(&[&self.place[..], &flags].concat(), self.data.path());
            let (server, client) = self.maker.make(&self.options)?;
            (self.server, self.client) = (Some(server), client);
            Ok(())
        })
    }

    fn second(&self) -> Duration {
        self.options.second
    }

    fn died(&self) -> Option<String> {
        None
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.end();
    }
}

/// A client with the options of another, but for where the target is.
pub fn client_like(options: ClientOptions) -> ClientOf {
    Arc::new(move |target| {
        Client::new(ClientOptions {
            target,
            services: Vec::new(),
            ..options.clone()
        })
    })
}
