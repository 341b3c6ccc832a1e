//! What a conformant server, or a proxy before it, may do to connections: nobody is blamed for it.

use std::net::SocketAddr;

use avp_conform::record::verdict::{RunVerdict, Verdict};

use crate::support::frame_proxy::{Conduct, Proxy};
use crate::support::program::reported;
use crate::support::servers::plain;

/// A run over gRPC through a proxy finds nothing, and is left nothing to find.
fn is_blameless(conduct: Conduct, filters: &[&str]) {
    let server = plain();
    let address: SocketAddr = server.url().trim_start_matches("http://").parse().unwrap();
    let proxy = Proxy::start(address, conduct);
    let url = proxy.url();
    let mut arguments = vec!["--grpc", &url];
    for filter in filters {
        arguments.extend(["--filter", filter]);
    }
    let done = reported(&arguments);
    let is_open = |verdict| matches!(verdict, Verdict::Blocked | Verdict::Error);
    let open = done.record.cases.iter().filter(|case| is_open(case.verdict));
    let open: Vec<_> = open.map(|case| (&case.id, &case.stopped)).collect();
    assert!(open.is_empty(), "{open:?}: {}", done.out);
    assert_eq!(done.broken(), Vec::<&str>::new(), "{}", done.out);
    if filters.is_empty() {
        assert_eq!(
            (done.code, done.record.verdict),
            (0, RunVerdict::Conformant),
            "{}",
            done.out
        );
    }
    assert!(proxy.acted() > 0);
}

#[test]
fn connections_may_end_behind_an_answer() {
    is_blameless(Conduct::EndsBehind(2), &[]);
}

#[test]
fn connections_may_end_while_a_call_is_under_way() {
    is_blameless(Conduct::EndsDuring(2), &[]);
}

#[test]
fn calls_may_be_left_out_by_a_connection_that_ends() {
    is_blameless(Conduct::LeavesOut(3), &[]);
}

#[test]
fn answers_may_come_byte_by_byte() {
    is_blameless(Conduct::SmallData, &["pull/*", "messages/*"]);
}
