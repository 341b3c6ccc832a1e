//! A conformance test harness for servers of the Alt Vault Protocol (AVP).
//!
//! Data flows one way:
//!
//! ```text
//! case files ─ load ─▶ cases ─ plan ─▶ plan ─ drive ─▶ transcript ─ judge ─▶ record ─ report ─▶ outputs
//!                                          │                  ▲
//!                                target or embedded server ───┘
//! ```

pub mod advice;
pub mod case;
pub mod cli;
pub mod command;
pub mod config;
pub mod console;
pub mod crypto;
pub mod drive;
pub mod error;
pub mod exit;
pub mod input;
pub mod json;
pub mod judge;
pub mod ledger;
pub mod plan;
pub mod process;
pub mod protocol;
pub mod reading;
pub mod record;
pub mod rejudge;
pub mod report;
pub mod repro;
pub mod run;
pub mod selftest;
pub mod server;
pub mod style;
pub mod wire;
