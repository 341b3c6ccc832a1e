//! A conformance test harness for servers of the Alt Vault Protocol (AVP).
//!
//! Data flows one way:
//!
//! ```text
//! case files ─ load ─▶ cases ─ plan ─▶ plan ─ drive ─▶ transcript ─ judge ─▶ record ─ report ─▶ outputs
//!                                          │                  ▲
//!                                target or embedded server ───┘
//! ```

pub mod attesto;
pub mod avp;
pub mod case;
pub mod catalogue;
pub mod cli;
pub mod http;
pub mod json;
pub mod judge;
pub mod keypackage;
pub mod keys;
pub mod omp;
pub mod protocol;
pub mod protocols;
pub mod record;
pub mod report;
mod repro;
pub mod run;
pub mod selftest;
pub mod serve;
pub mod session;
pub mod subject;
pub mod text;
