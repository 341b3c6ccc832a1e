//! The tests that see the program, its library and its reference server from outside: one program, so that all is linked once.
//!
//! Beside it stand those that need a process of their own: `cases` and `variations`, which make a test of each case and of each
//! variation, and `hostile_memory`, which measures the memory of its process. What is here runs side by side in one process, so
//! no test changes what belongs to the process: its environment, its working directory, its limits.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot be set up fails, and one that is skipped says so"
)]

mod attesto;
mod baseline;
mod claim;
mod cli;
mod client;
mod crypto_vectors;
mod delivery;
mod docs;
mod grpc;
mod hostile;
mod hostile_client;
mod html;
mod keypackage;
mod load;
mod null_servers;
mod omp;
mod published;
mod rejudge;
mod reports;
mod repro;
mod repro_http;
mod rerun;
mod secrets;
mod selftest;
mod server;
mod support;
mod target;
mod tls;
mod walk;
mod walls;
mod wire;
