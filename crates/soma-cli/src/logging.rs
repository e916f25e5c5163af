//! Logs, on standard error.

use tracing_subscriber::EnvFilter;

/// Starts logging: what `RUST_LOG` asks for, else the level given, else nothing.
pub(crate) fn start(level: Option<&str>) {
    let filter = match (std::env::var("RUST_LOG"), level) {
        (Ok(filter), _) if !filter.is_empty() => filter,
        (_, Some(level)) => format!("warn,soma={level},soma_localnet={level},soma_rpc={level}"),
        _ => return,
    };
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    // Fails only if logging was started before.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
