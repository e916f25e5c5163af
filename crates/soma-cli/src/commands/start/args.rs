//! Arguments of `soma start`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `soma start`.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(subcommand)]
    pub(super) command: StartCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum StartCommand {
    Localnet(LocalnetArgs),
    Faucet(FaucetArgs),
}

/// Start a network on this machine. It runs until Ctrl-C.
///
/// The node listens on port 9000, the faucet on 9123, the scoring stub on 9124 and
/// the admin service on 9125.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  soma start localnet
  soma start localnet --force-regenesis --epoch-duration-ms 60000
  soma start localnet --force-regenesis --files-dir served --json")]
pub(super) struct LocalnetArgs {
    /// Start a fresh chain in a temporary directory that is gone at exit.
    #[arg(long, conflicts_with = "network_config")]
    pub(super) force_regenesis: bool,
    /// Where a network that is kept lives; the config directory if left out.
    #[arg(long = "network.config", value_name = "DIR|FILE.yaml")]
    pub(super) network_config: Option<PathBuf>,
    /// Port of the node; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9000)]
    pub(super) fullnode_rpc_port: u16,
    /// Length of an epoch of a fresh chain, in milliseconds [default: 60000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) epoch_duration_ms: Option<u64>,
    /// Number of validators of a fresh chain [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) committee_size: Option<u16>,
    /// Where the faucet listens: HOST:PORT, or a port on the host of the node
    /// [default: 127.0.0.1:9123].
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, require_equals = true,
          default_missing_value = "9123", conflicts_with = "no_faucet",
          value_parser = listen_on)]
    pub(super) with_faucet: Option<ListenOn>,
    /// Start no faucet.
    #[arg(long)]
    pub(super) no_faucet: bool,
    /// Keep the scoring port closed.
    #[arg(long)]
    pub(super) no_scoring: bool,
    /// Embeddings of 16 numbers on a fresh chain.
    #[arg(long, conflicts_with = "embedding_dim")]
    pub(super) small_model: bool,
    /// Length of the embeddings of a fresh chain [default: 2048].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) embedding_dim: Option<u32>,
    /// Start the validators only: no node, no faucet.
    #[arg(long)]
    pub(super) no_full_node: bool,
    /// Write every checkpoint into this directory.
    #[arg(long, value_name = "DIR")]
    pub(super) data_ingestion_dir: Option<PathBuf>,
    /// Serve the files of this directory, with ranges and uploads.
    #[arg(long, value_name = "DIR")]
    pub(super) files_dir: Option<PathBuf>,
    /// Port of the file host; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9200, requires = "files_dir")]
    pub(super) files_port: u16,
    /// Port of the admin service, always on the loopback address; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9125)]
    pub(super) admin_port: u16,
    /// Port of the scoring stub; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9124)]
    pub(super) scoring_port: u16,
    /// Address that the node, the faucet and the file host listen on.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(super) host: IpAddr,
    /// How much is logged to standard error.
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    pub(super) log_level: LogLevel,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// The name, as a log filter has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Start a faucet for a running network.
///
/// It gives coins out of the active account of the wallet to whoever asks.
#[derive(Debug, Args)]
pub(super) struct FaucetArgs {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 9123)]
    pub(super) port: u16,
    /// Address to listen on.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(super) host: IpAddr,
    /// Shannons in each coin.
    #[arg(long, value_name = "SHANNONS", default_value_t = 2_000_000_000)]
    pub(super) amount: u64,
    /// Coins for each request.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) num_coins: u16,
    /// Config directory with the wallet that pays.
    #[arg(long, value_name = "DIR")]
    pub(super) config_dir: Option<PathBuf>,
}

/// A port, and a host if it is not the default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListenOn {
    pub(super) host: Option<IpAddr>,
    pub(super) port: u16,
}

fn listen_on(text: &str) -> Result<ListenOn, String> {
    if let Ok(port) = text.parse() {
        return Ok(ListenOn { host: None, port });
    }
    let address: SocketAddr = text
        .replace("localhost:", "127.0.0.1:")
        .parse()
        .map_err(|_| "expected HOST:PORT with a numeric host, or a port".to_owned())?;
    Ok(ListenOn { host: Some(address.ip()), port: address.port() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_will_do() {
        assert_eq!(listen_on("9000"), Ok(ListenOn { host: None, port: 9000 }));
        let host = Some("0.0.0.0".parse().unwrap());
        assert_eq!(listen_on("0.0.0.0:1"), Ok(ListenOn { host, port: 1 }));
        let host = Some("127.0.0.1".parse().unwrap());
        assert_eq!(listen_on("localhost:1"), Ok(ListenOn { host, port: 1 }));
        assert!(listen_on("here").is_err() && listen_on("70000").is_err());
    }
}
