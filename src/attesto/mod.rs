//! The Attesto Local Vault (ALV): a relay that delivers attestations to one receiver, and a witness that signs checkpoints.
//!
//! The program under test is a client with a command line. The harness runs its sub-commands, each case with keys and files of
//! its own, and is the receiver that the relay delivers to: it writes every delivery down, and answers as the case says.

mod canonical;
pub mod cases;
mod driver;
mod files;
mod judge;
mod names;
mod protocol;
mod receipts;
mod receiver;
pub mod relay;
mod write_lock;

pub use protocol::ATTESTO;
