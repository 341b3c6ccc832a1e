//! The configuration file: what a project would otherwise repeat on every command line.

use std::env;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::ValueEnum as _;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::case::selection::Filter;
use crate::case::{Problem, Source, toml_problem};
use crate::cli::arguments::{ProtocolArg, RunArgs, Secret, TransportArg};
use crate::cli::error::Error;
use crate::report::Destination;

/// The file that is looked for: in the working directory, then in the directories above it.
const DEFAULT: &str = "avp-conform.toml";

/// What was typed, completed by a configuration file.
#[derive(Debug, Clone, Default)]
pub struct Completed {
    /// All options; `config` is the file that was read, if any was.
    pub args: RunArgs,
    /// Where the server or the program is started, if the file names it: in the file's directory.
    pub command_directory: Option<PathBuf>,
}

/// Options of a run by their names on the command line. Relative paths are taken from the file's own directory, and the
/// server of `exec` and the program of `program` are started there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    /// `--protocol`
    #[schemars(with = "Option<String>")]
    protocol: Option<Spanned<String>>,
    /// `--target`
    target: Option<String>,
    /// `--idp`
    idp: Option<String>,
    /// `--grpc`
    grpc: Option<String>,
    /// `--transport`
    #[schemars(with = "Option<String>")]
    transport: Option<Spanned<String>>,
    /// `--service`
    #[schemars(with = "Vec<String>")]
    service: Vec<Spanned<String>>,
    /// `--sign-with`
    sign_with: Vec<String>,
    /// `--program`
    program: Option<String>,
    /// `--exec`
    exec: Option<String>,
    /// `--ready-timeout`
    #[schemars(with = "Option<f64>")]
    ready_timeout: Option<Spanned<f64>>,
    /// `--strict`
    strict: bool,
    /// `--spec`
    #[schemars(with = "Option<String>")]
    spec: Option<Spanned<String>>,
    /// `--jobs`
    #[schemars(with = "Option<u16>")]
    jobs: Option<Spanned<u16>>,
    /// `--seed`
    #[schemars(with = "Option<String>")]
    seed: Option<Spanned<String>>,
    /// `--timeout`
    #[schemars(with = "Option<f64>")]
    timeout: Option<Spanned<f64>>,
    /// `--case-timeout`
    #[schemars(with = "Option<f64>")]
    case_timeout: Option<Spanned<f64>>,
    /// `--races`
    #[schemars(with = "Option<f64>")]
    races: Option<Spanned<f64>>,
    /// `--budget`
    #[schemars(with = "Option<f64>")]
    budget: Option<Spanned<f64>>,
    /// `--rps`
    rps: Option<f64>,
    /// `--shard`
    #[schemars(with = "Option<String>")]
    shard: Option<Spanned<String>>,
    /// `--repeat`
    #[schemars(with = "Option<u16>")]
    repeat: Option<Spanned<u16>>,
    /// `--filter`
    #[schemars(with = "Vec<String>")]
    filter: Vec<Spanned<String>>,
    /// `--report`
    #[schemars(with = "Vec<String>")]
    report: Vec<Spanned<String>>,
    /// `--cases`
    cases: Vec<PathBuf>,
    /// `--baseline`
    baseline: Option<PathBuf>,
    /// `--slow`
    slow: bool,
    /// `--show-secrets`
    show_secrets: bool,
    /// `--verbose`
    #[schemars(with = "Option<bool>")]
    verbose: Option<Spanned<bool>>,
    /// `--quiet`
    quiet: bool,
    /// `--header`
    header: Vec<String>,
    /// `--idp-header`
    idp_header: Vec<String>,
    /// `--header-file`
    header_file: Option<PathBuf>,
    /// `--cacert`
    cacert: Option<PathBuf>,
    /// `--client-cert`
    client_cert: Option<PathBuf>,
    /// `--client-key`
    client_key: Option<PathBuf>,
    /// `--insecure`
    insecure: bool,
    /// `--proxy`
    proxy: Option<String>,
}

/// The JSON Schema of the file. What a key means is what the help says of the option.
pub fn schema() -> Value {
    use clap::Args as _;
    let mut schema = schemars::schema_for!(File).to_value();
    schema["title"] = "avp-conform.toml".into();
    let command = RunArgs::augment_args(clap::Command::new("run"));
    for option in command.get_arguments() {
        let (Some(name), Some(help)) = (option.get_long(), option.get_help()) else {
            continue;
        };
        if let Some(property) = schema["properties"].get_mut(name) {
            property["description"] = help.to_string().into();
        }
    }
    schema
}

/// What was typed, and beneath it what the configuration file says.
///
/// # Errors
/// The file cannot be read, or something in it is wrong.
pub fn complete(args: &RunArgs) -> Result<Completed, Error> {
    let Some(path) = (match &args.config {
        Some(path) => Some(path.clone()),
        None => find()?,
    }) else {
        return Ok(Completed {
            args: args.clone(),
            command_directory: None,
        });
    };
    let text = crate::text::read_file(&path)
        .map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))?;
    let name = path.display().to_string();
    let source = Arc::new(Source { name, text });
    let mut completed = beneath(args.clone(), &source).map_err(|problem| {
        let shown = super::counted(&[*problem], "the configuration file");
        Error::Cases(shown)
    })?;
    completed.args.config = Some(path);
    Ok(completed)
}

/// The nearest file, from the working directory upwards.
fn find() -> Result<Option<PathBuf>, Error> {
    // Without a working directory there is nothing to look through; whatever needs one says so.
    let Ok(directory) = env::current_dir() else {
        return Ok(None);
    };
    let mut above = PathBuf::new();
    for _ in directory.ancestors() {
        let path = above.join(DEFAULT);
        if path.is_file() {
            trust(&path, &directory)?;
            return Ok(Some(path));
        }
        above.push("..");
    }
    Ok(None)
}

/// A file above the working directory may start programs: it must not be one that somebody else put there.
#[cfg(unix)]
fn trust(path: &Path, directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = |path: &Path| std::fs::metadata(path).map(|file| file.uid()).ok();
    let ours = [
        Some(0),
        Some(rustix::process::geteuid().as_raw()),
        owner(directory),
    ];
    match ours.contains(&owner(path)) {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{} belongs to another user, and is read only if --config names it",
            path.display()
        ))),
    }
}

#[cfg(not(unix))]
fn trust(_: &Path, _: &Path) -> Result<(), Error> {
    Ok(())
}

fn beneath(args: RunArgs, source: &Arc<Source>) -> Result<Completed, Box<Problem>> {
    let file: File = toml::from_str(&source.text).map_err(|error| Box::new(toml_problem(source, &error)))?;
    let reader = Reader { source };
    let directory = Path::new(&source.name)
        .parent()
        .unwrap_or(Path::new(""))
        .to_owned();
    let beside = |path: PathBuf| directory.join(path);
    // Who names a target means that one, and not the server that the file would start.
    let names_none =
        args.target.is_none() && args.service.is_empty() && args.exec.is_none() && args.program.is_none();
    let (exec, program) = match names_none {
        true => (file.exec, file.program),
        false => (None, None),
    };
    let filter = match args.filter.is_empty() {
        true => reader.all(file.filter, Filter::parse)?,
        false => args.filter,
    };
    let report = match args.report.is_empty() {
        true => {
            let written: Vec<Destination> = reader.all(file.report, FromStr::from_str)?;
            let beside = |it: Destination| Destination {
                path: it.path.map(beside),
                ..it
            };
            written.into_iter().map(beside).collect()
        }
        false => args.report,
    };
    let secrets = |typed: Vec<Secret>, written: Vec<String>| match typed.is_empty() {
        true => written.into_iter().map(Secret::from).collect(),
        false => typed,
    };
    let service = match args.service.is_empty() {
        true => reader.all(file.service, FromStr::from_str)?,
        false => args.service,
    };
    let verbose = reader.verbose(file.verbose, file.quiet)?;
    let (verbose, quiet) = match args.verbose || args.quiet {
        true => (args.verbose, args.quiet),
        false => (verbose, file.quiet),
    };
    let command_directory = (exec.is_some() || program.is_some())
        .then(|| directory.clone())
        .filter(|directory| directory != Path::new(""));
    let args = RunArgs {
        target: args.target.or(file.target),
        idp: args.idp.or(file.idp),
        grpc: args.grpc.or(file.grpc),
        transport: args
            .transport
            .or(reader.one(file.transport, |text| TransportArg::from_str(text, false))?),
        service,
        sign_with: secrets(args.sign_with, file.sign_with),
        program: args.program.or(program),
        exec: args.exec.or(exec),
        ready_timeout: args.ready_timeout.or(reader.seconds(file.ready_timeout)?),
        header: secrets(args.header, file.header),
        idp_header: secrets(args.idp_header, file.idp_header),
        header_file: args.header_file.or(file.header_file.map(beside)),
        cacert: args.cacert.or(file.cacert.map(beside)),
        client_cert: args.client_cert.or(file.client_cert.map(beside)),
        client_key: args.client_key.or(file.client_key.map(beside)),
        insecure: args.insecure || file.insecure,
        proxy: args.proxy.or(file.proxy),
        strict: args.strict || file.strict,
        timeout: args.timeout.or(reader.seconds(file.timeout)?),
        case_timeout: args.case_timeout.or(reader.seconds(file.case_timeout)?),
        races: args.races.or(reader.seconds(file.races)?),
        budget: args.budget.or(reader.seconds(file.budget)?),
        rps: args.rps.or(file.rps),
        jobs: args.jobs.or(reader.number(file.jobs, 1024, "jobs")?),
        seed: args.seed.or(reader.one(file.seed, |text| text.parse())?),
        filter,
        protocol: ProtocolArg {
            protocol: args
                .protocol
                .protocol
                .or(reader.one(file.protocol, |text| text.parse())?),
        },
        spec: args.spec.or(reader.one(file.spec, |text| text.parse())?),
        report,
        shard: args.shard.or(reader.one(file.shard, |text| text.parse())?),
        repeat: args.repeat.or(reader.number(file.repeat, 1000, "repeats")?),
        failed: args.failed,
        fail_fast: args.fail_fast,
        watch: args.watch,
        config: args.config,
        cases: match args.cases.is_empty() {
            true => file.cases.into_iter().map(beside).collect(),
            false => args.cases,
        },
        baseline: args.baseline.or(file.baseline.map(beside)),
        slow: args.slow || file.slow,
        show_secrets: args.show_secrets || file.show_secrets,
        verbose,
        quiet,
    };
    Ok(Completed {
        args,
        command_directory,
    })
}

/// Reads values, and points at those that are wrong.
struct Reader<'a> {
    source: &'a Arc<Source>,
}

impl Reader<'_> {
    fn one<T, E: ToString>(
        &self,
        value: Option<Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Box<Problem>> {
        let read = |value: Spanned<String>| {
            let parsed = parse(value.get_ref());
            parsed.map_err(|error| self.problem(&value, error.to_string()))
        };
        value.map(read).transpose()
    }

    fn all<T, E: ToString>(
        &self,
        values: Vec<Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, E> + Copy,
    ) -> Result<Vec<T>, Box<Problem>> {
        let read = values.into_iter().map(|value| self.one(Some(value), parse));
        Ok(read
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    fn seconds(&self, value: Option<Spanned<f64>>) -> Result<Option<f64>, Box<Problem>> {
        let Some(value) = value else { return Ok(None) };
        let seconds = crate::cli::arguments::seconds(&value.get_ref().to_string());
        seconds.map(Some).map_err(|why| self.problem(&value, why))
    }

    fn number(
        &self,
        value: Option<Spanned<u16>>,
        most: u16,
        what: &str,
    ) -> Result<Option<u16>, Box<Problem>> {
        match value {
            Some(value) if !(1..=most).contains(value.get_ref()) => {
                Err(self.problem(&value, format!("{what} are 1 to {most}")))
            }
            value => Ok(value.map(Spanned::into_inner)),
        }
    }

    fn verbose(&self, verbose: Option<Spanned<bool>>, quiet: bool) -> Result<bool, Box<Problem>> {
        match verbose {
            Some(value) if *value.get_ref() && quiet => {
                Err(self.problem(&value, "either `verbose` or `quiet`".to_owned()))
            }
            value => Ok(value.is_some_and(Spanned::into_inner)),
        }
    }

    fn problem<T>(&self, value: &Spanned<T>, message: String) -> Box<Problem> {
        Box::new(Problem {
            source: self.source.clone(),
            span: value.span(),
            message,
            help: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RunArgs, String> {
        let source = Source {
            name: "avp-conform.toml".to_owned(),
            text: text.to_owned(),
        };
        let args = RunArgs {
            jobs: Some(3),
            ..RunArgs::default()
        };
        let completed = beneath(args, &Arc::new(source));
        completed
            .map(|it| it.args)
            .map_err(|problem| crate::case::render(&problem, false))
    }

    #[test]
    fn options_override_the_file() {
        let args = read("target = 'http://a'\njobs = 7\nfilter = ['push/*']\nstrict = true\n").unwrap();
        assert_eq!(args.target.as_deref(), Some("http://a"));
        assert_eq!((args.jobs, args.strict, args.filter.len()), (Some(3), true, 1));
    }

    #[test]
    fn a_target_that_is_typed_takes_the_place_of_a_command() {
        let source = Arc::new(Source {
            name: "f".to_owned(),
            text: "exec = 'server'".to_owned(),
        });
        let args = RunArgs {
            target: Some("http://a".to_owned()),
            ..RunArgs::default()
        };
        assert_eq!(beneath(args, &source).unwrap().args.exec, None);
        assert!(beneath(RunArgs::default(), &source).unwrap().args.exec.is_some());
    }

    #[test]
    fn every_option_of_a_run_can_be_written() {
        use clap::Args as _;
        let command = RunArgs::augment_args(clap::Command::new("run"));
        let options: Vec<&str> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            // What one call is about is no habit of a project.
            .filter(|name| !["config", "failed", "fail-fast", "watch"].contains(name))
            .collect();
        assert!(options.len() > 25, "{options:?}");
        for option in options {
            let shown = read(&format!("{option} = {{ x = 1 }}")).unwrap_err();
            assert!(!shown.contains("unknown field"), "{option}: {shown}");
        }
    }

    #[test]
    fn paths_are_taken_from_where_the_file_is() {
        let source = Arc::new(Source {
            name: "../avp-conform.toml".to_owned(),
            text: "exec = './server'\nbaseline = 'known.toml'\nreport = ['json=a.json', 'text=-']\n\
                   header = ['a: b']\nrepeat = 2\nquiet = true"
                .to_owned(),
        });
        let completed = beneath(RunArgs::default(), &source).unwrap();
        assert_eq!(completed.command_directory, Some(PathBuf::from("..")));
        let args = completed.args;
        assert_eq!(args.baseline, Some(PathBuf::from("../known.toml")));
        assert_eq!(args.report[0].path, Some(PathBuf::from("../a.json")));
        assert_eq!(args.report[1].path, None);
        assert_eq!((args.header.len(), args.repeat, args.quiet), (1, Some(2), true));
    }

    #[test]
    fn what_is_wrong_is_shown_at_its_place() {
        for (text, what) in [
            ("taget = 'x'", "did you mean `target`?"),
            ("timeout = 0", "seconds, above 0"),
            ("spec = 'nine'", "avp-conform.toml:1:8"),
            ("filter = ['a[']", "avp-conform.toml:1:11"),
            ("report = ['jsn=x']", "did you mean \"json\"?"),
            ("jobs = 0", "1 to 1024"),
            ("repeat = 0", "1 to 1000"),
            ("verbose = true\nquiet = true", "either `verbose` or `quiet`"),
        ] {
            let shown = read(text).unwrap_err();
            assert!(
                shown.contains(what) && shown.contains("avp-conform.toml:1:"),
                "{shown}"
            );
        }
    }
}
