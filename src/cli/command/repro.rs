//! Prints a script that makes the requests of a case again, with curl and openssl.

use std::env;

use super::run;
use crate::case::nearest;
use crate::case::selection::Filter;
use crate::cli::arguments::{ReproArgs, RunArgs, TransportArg};
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::protocol::Reach;
use crate::record::findings;
use crate::record::{CaseRecord, Over, Record};

pub(super) fn repro(args: &ReproArgs) -> Result<u8, Error> {
    let record = match &args.from {
        Some(path) => config::load_record(path)?,
        None => driven(args)?,
    };
    let case = find(&record, args.case.as_deref(), args.transport)?;
    let step = args.step.map(|step| step.get() - 1);
    let protocol = config::protocol_of(&record)?;
    let script = protocol.repro.ok_or_else(|| {
        Error::Usage(format!(
            "there are no scripts for the protocol {} yet",
            protocol.name
        ))
    })?;
    let script = script(&record, case, step, &reach(args)?).map_err(Error::Usage)?;
    console::out(&script)?;
    Ok(exit::OK)
}

/// What a script can be told of how the target is reached: nothing that is secret.
fn reach(args: &ReproArgs) -> Result<Reach, Error> {
    let (headers, idp_headers) = config::headers(&reached(args))?;
    let reach = &args.reach;
    Ok(Reach {
        cacert: reach.cacert.clone(),
        client_cert: reach.client_cert.clone(),
        client_key: reach.client_key.clone(),
        insecure: reach.insecure,
        has_headers: !headers.is_empty(),
        has_idp_headers: !idp_headers.is_empty(),
        has_proxy: reach.proxy.is_some(),
    })
}

/// The options of a run that say how the target is reached.
fn reached(args: &ReproArgs) -> RunArgs {
    let reach = args.reach.clone();
    RunArgs {
        header: reach.header,
        idp_header: reach.idp_header,
        header_file: reach.header_file,
        cacert: reach.cacert,
        client_cert: reach.client_cert,
        client_key: reach.client_key,
        insecure: reach.insecure,
        proxy: reach.proxy,
        ..RunArgs::default()
    }
}

/// The record of running that case alone.
fn driven(args: &ReproArgs) -> Result<Record, Error> {
    let suite = config::load_suite(args.protocol.get(), &args.cases)?;
    let id = args.case.as_deref().unwrap_or_default();
    if suite.get(id).is_none() {
        let near = nearest(id, suite.ids());
        return Err(Error::Usage(no_case(id, near)));
    }
    let args = RunArgs {
        target: args.target.clone().or_else(|| env::var("AVP_TARGET").ok()),
        idp: args.idp.clone().or_else(|| env::var("AVP_IDP").ok()),
        grpc: args.grpc.clone().or_else(|| env::var("AVP_GRPC").ok()),
        service: args.service.clone(),
        sign_with: args.sign_with.clone(),
        seed: args.seed,
        cases: args.cases.clone(),
        protocol: args.protocol,
        filter: vec![Filter::parse(id).map_err(Error::Usage)?],
        slow: true,
        quiet: true,
        ..reached(args)
    };
    run::record(&args)
}

/// The case of that id, over that transport if one is named; where no id is, the first that is broken.
fn find<'a>(
    record: &'a Record,
    id: Option<&str>,
    transport: Option<TransportArg>,
) -> Result<&'a CaseRecord, Error> {
    let over = transport.map(|transport| match transport {
        TransportArg::Http => Over::Http,
        TransportArg::Grpc => Over::Grpc,
        TransportArg::Both => Over::Both,
    });
    let is_wanted = |case: &&CaseRecord| over.is_none_or(|over| over == case.transport);
    let mut cases = record.cases.iter().filter(is_wanted);
    let Some(id) = id else {
        let broken = |case: &&CaseRecord| findings::is_broken_case(case);
        let none = || Error::Usage("no case of the report is broken; name one".to_owned());
        return cases.find(broken).ok_or_else(none);
    };
    let ids = || record.cases.iter().map(|case| case.id.as_str());
    let none = || match (ids().any(|known| known == id), transport) {
        (true, Some(transport)) => Error::Usage(format!("{id} was not run over {}", named(transport))),
        _ => Error::Usage(no_case(id, nearest(id, ids()))),
    };
    cases.find(|case| case.id == id).ok_or_else(none)
}

fn named(transport: TransportArg) -> &'static str {
    match transport {
        TransportArg::Http => "HTTP",
        TransportArg::Grpc => "gRPC",
        TransportArg::Both => "both transports",
    }
}

fn no_case(id: &str, near: Option<&str>) -> String {
    let near = near
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default();
    format!("there is no case {id:?}{near}")
}
