//! A conformance test harness for servers of the Alt Vault Protocol (AVP).
//!
//! Data flows one way:
//!
//! ```text
//! case files ─ load ─▶ cases ─ plan ─▶ plan ─ drive ─▶ transcript ─ judge ─▶ record ─ report ─▶ outputs
//!                                          │                  ▲
//!                                target or embedded server ───┘
//! ```

pub mod protocol;
pub mod record;
pub mod server;
pub mod verdict;
pub mod wire;
