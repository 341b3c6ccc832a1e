//! The published sub-commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A command of the relay or of the witness.
#[derive(Debug, Clone, Args)]
pub struct RelayCommand {
    /// The SQLite file of the spool; else `ATTESTO_LOCAL_VAULT_SPOOL_DB`.
    #[arg(long, value_name = "PATH")]
    pub spool_db: Option<PathBuf>,
    /// The SQLite file of the witness; else `ATTESTO_LOCAL_VAULT_WITNESS_DB`.
    #[arg(long, value_name = "PATH")]
    pub witness_db: Option<PathBuf>,
    /// What is done.
    #[command(subcommand)]
    pub act: Act,
}

/// What is done.
#[derive(Debug, Clone, Subcommand)]
pub enum Act {
    /// Put an attestation into the spool.
    EnqueueJson(Enqueue),
    /// Make one attempt at most.
    DrainOnce(Target),
    /// Make attempts until told to end.
    DrainLoop(Loop),
    /// Sign the progress of checkpoints, or evidence of a fork.
    WitnessCheckpoint(Checkpoint),
}

/// Options of `enqueue-json`.
#[derive(Debug, Clone, Args)]
pub struct Enqueue {
    /// The stream.
    #[arg(long)]
    pub stream_id: String,
    /// The reference of the source, which is used once in a stream.
    #[arg(long)]
    pub source_ref: String,
    /// The file of the payload, a JSON object.
    #[arg(long)]
    pub payload_file: PathBuf,
}

/// Where envelopes go, and in whose name.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The endpoint; else `ATTESTO_LOCAL_VAULT_RELAY_URL`.
    #[arg(long)]
    pub endpoint_url: Option<String>,
    /// The installation; else `ATTESTO_LOCAL_VAULT_INSTALLATION_ID`.
    #[arg(long)]
    pub installation_id: Option<String>,
    /// The name of the signing key; else `ATTESTO_LOCAL_VAULT_KEY_ID`.
    #[arg(long)]
    pub key_id: Option<String>,
}

/// Options of `drain-loop`.
#[derive(Debug, Clone, Args)]
pub struct Loop {
    /// Where envelopes go.
    #[command(flatten)]
    pub target: Target,
    /// How long to sleep when nothing is due.
    #[arg(long, default_value_t = 5.0)]
    pub idle_sleep_seconds: f64,
    /// The end, after so many iterations.
    #[arg(long)]
    pub max_iterations: Option<u64>,
    /// The end, after an attempt that failed.
    #[arg(long)]
    pub stop_on_error: bool,
}

/// Options of `witness-checkpoint`.
#[derive(Debug, Clone, Args)]
pub struct Checkpoint {
    /// The tenant.
    #[arg(long)]
    pub tenant_id: String,
    /// The stream.
    #[arg(long)]
    pub stream_id: String,
    /// The checkpoint.
    #[arg(long)]
    pub checkpoint_id: String,
    /// Its number, from 1.
    #[arg(long, allow_negative_numbers = true)]
    pub checkpoint_seq_no: i64,
    /// Its hash, 64 hexadecimal digits.
    #[arg(long)]
    pub checkpoint_hash: String,
    /// The hash of the checkpoint before it.
    #[arg(long)]
    pub previous_checkpoint_hash: Option<String>,
    /// The witness; else `ATTESTO_LOCAL_VAULT_WITNESS_ID`.
    #[arg(long)]
    pub witness_id: Option<String>,
    /// The name of the signing key; else `ATTESTO_LOCAL_VAULT_KEY_ID`.
    #[arg(long)]
    pub key_id: Option<String>,
}

#[derive(Parser)]
#[command(name = "relay", disable_help_subcommand = true)]
struct Whole {
    #[command(flatten)]
    command: RelayCommand,
}

/// Reads a command line without the name of the program.
///
/// # Errors
/// It is none: what to write to standard error.
pub(super) fn parse(arguments: &[String]) -> Result<RelayCommand, String> {
    let named = std::iter::once("relay").chain(arguments.iter().map(String::as_str));
    Whole::try_parse_from(named)
        .map(|whole| whole.command)
        .map_err(|usage| usage.to_string())
}
