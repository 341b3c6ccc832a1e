//! The configuration file: what a project would otherwise repeat on every command line.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::case::{Problem, Source, toml_problem};
use crate::cli::RunArgs;
use crate::error::Error;
use crate::plan::Filter;

/// The file that is read where it lies in the working directory.
const DEFAULT: &str = "avp-conform.toml";

/// Options of a run by their names on the command line. Relative paths are taken from the working directory.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    /// `--target`
    target: Option<String>,
    /// `--idp`
    idp: Option<String>,
    /// `--exec`
    exec: Option<String>,
    /// `--ready-timeout`
    ready_timeout: Option<Spanned<f64>>,
    /// `--strict`
    strict: bool,
    /// `--spec`
    spec: Option<Spanned<String>>,
    /// `--jobs`
    jobs: Option<Spanned<u16>>,
    /// `--seed`
    seed: Option<Spanned<String>>,
    /// `--timeout`
    timeout: Option<Spanned<f64>>,
    /// `--case-timeout`
    case_timeout: Option<Spanned<f64>>,
    /// `--budget`
    budget: Option<Spanned<f64>>,
    /// `--rps`
    rps: Option<f64>,
    /// `--filter`
    filter: Vec<Spanned<String>>,
    /// `--report`
    report: Vec<Spanned<String>>,
    /// `--cases`
    cases: Vec<PathBuf>,
    /// `--baseline`
    baseline: Option<PathBuf>,
    /// `--slow`
    slow: bool,
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
}

/// What was typed, and beneath it what the configuration file says.
pub(super) fn complete(args: &RunArgs) -> Result<RunArgs, Error> {
    let Some(source) = source(args.config.as_deref())? else {
        return Ok(args.clone());
    };
    beneath(args.clone(), &Arc::new(source)).map_err(|problem| {
        let shown = super::counted(&[*problem], "the configuration file");
        Error::Cases(shown)
    })
}

fn source(named: Option<&Path>) -> Result<Option<Source>, Error> {
    let path = named.unwrap_or(Path::new(DEFAULT));
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))?;
    let name = path.display().to_string();
    Ok(Some(Source { name, text }))
}

fn beneath(args: RunArgs, source: &Arc<Source>) -> Result<RunArgs, Box<Problem>> {
    let file: File = toml::from_str(&source.text).map_err(|error| Box::new(toml_problem(source, &error)))?;
    let reader = Reader { source };
    // Who names a target means that one, and not the server that the file would start.
    let exec = file.exec.filter(|_| args.target.is_none());
    let filter = match args.filter.is_empty() {
        true => reader.all(file.filter, Filter::parse)?,
        false => args.filter,
    };
    let report = match args.report.is_empty() {
        true => reader.all(file.report, FromStr::from_str)?,
        false => args.report,
    };
    Ok(RunArgs {
        target: args.target.or(file.target),
        idp: args.idp.or(file.idp),
        exec: args.exec.or(exec),
        ready_timeout: args.ready_timeout.or(reader.seconds(file.ready_timeout)?),
        strict: args.strict || file.strict,
        spec: args.spec.or(reader.one(file.spec, |text| text.parse())?),
        jobs: args.jobs.or(reader.jobs(file.jobs)?),
        seed: args.seed.or(reader.one(file.seed, |text| text.parse())?),
        timeout: args.timeout.or(reader.seconds(file.timeout)?),
        case_timeout: args.case_timeout.or(reader.seconds(file.case_timeout)?),
        budget: args.budget.or(reader.seconds(file.budget)?),
        rps: args.rps.or(file.rps),
        filter,
        report,
        cases: if args.cases.is_empty() {
            file.cases
        } else {
            args.cases
        },
        baseline: args.baseline.or(file.baseline),
        slow: args.slow || file.slow,
        header_file: args.header_file.or(file.header_file),
        cacert: args.cacert.or(file.cacert),
        client_cert: args.client_cert.or(file.client_cert),
        client_key: args.client_key.or(file.client_key),
        insecure: args.insecure || file.insecure,
        ..args
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
        let seconds = crate::cli::seconds(&value.get_ref().to_string());
        seconds.map(Some).map_err(|why| self.problem(&value, why))
    }

    fn jobs(&self, value: Option<Spanned<u16>>) -> Result<Option<u16>, Box<Problem>> {
        match value {
            Some(value) if !(1..=1024).contains(value.get_ref()) => {
                Err(self.problem(&value, "jobs are 1 to 1024".to_owned()))
            }
            value => Ok(value.map(Spanned::into_inner)),
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
        beneath(args, &Arc::new(source)).map_err(|problem| crate::case::render(&problem, false))
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
        assert_eq!(beneath(args, &source).unwrap().exec, None);
        assert!(beneath(RunArgs::default(), &source).unwrap().exec.is_some());
    }

    #[test]
    fn what_is_wrong_is_shown_at_its_place() {
        for (text, what) in [
            ("taget = 'x'", "did you mean `target`?"),
            ("timeout = 0", "seconds, above 0"),
            ("spec = '9'", "avp-conform.toml:1:8"),
            ("filter = ['a[']", "avp-conform.toml:1:11"),
            ("report = ['jsn=x']", "did you mean \"json\"?"),
            ("jobs = 0", "1 to 1024"),
        ] {
            let shown = read(text).unwrap_err();
            assert!(
                shown.contains(what) && shown.contains("avp-conform.toml:1:"),
                "{shown}"
            );
        }
    }
}
