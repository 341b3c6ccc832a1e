//! A conformance test harness for servers of the Alt Vault Protocol (AVP).
//!
//! Data flows one way:
//!
//! ```text
//! case files ─ load ─▶ cases ─ plan ─▶ plan ─ drive ─▶ transcript ─ judge ─▶ record ─ report ─▶ outputs
//!                                          │                  ▲
//!                                target or embedded server ───┘
//! ```

pub mod case;
pub mod cli;
pub mod crypto;
pub mod drive;
pub mod http;
pub mod json;
pub mod judge;
pub mod outcome;
pub mod protocol;
pub mod record;
pub mod repo_state;
pub mod report;
pub mod repro;
pub mod run;
pub mod selftest;
pub mod server;
pub mod text;
