//! The processes: a network that is kept, and the watch.

use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use soma_wallet::{ConfigDir, NewKey, Wallet};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::Result;
use crate::chance::now_ms;

/// How long a network may take until it is ready.
const START: Duration = Duration::from_secs(60);
/// How long a process may take to end when it is told to.
const END: Duration = Duration::from_secs(60);

/// How long a node takes to be ready here and now, in milliseconds: the longest
/// of three starts.
pub(crate) async fn start_ms(soma: &str) -> Result<u64> {
    let home = tempfile::tempdir()?;
    let place = Where::new(soma, home.path(), 60_000)?;
    let mut node = Node::start(&place).await?;
    let mut longest = 0;
    for _ in 0..3 {
        node.kill().await?;
        let begin = now_ms();
        node.start_again().await?;
        longest = longest.max(node.since_ms.saturating_sub(begin));
    }
    node.kill().await?;
    Ok(longest)
}

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Where {
    soma: String,
    pub(crate) config: PathBuf,
    pub(crate) weights: PathBuf,
    pub(crate) checkpoints: PathBuf,
    network: PathBuf,
    pub(crate) rpc_port: u16,
    epoch_ms: u64,
}

impl Where {
    /// Makes a wallet whose one key has money on every local network.
    pub(crate) fn new(soma: &str, home: &Path, epoch_ms: u64) -> Result<Self> {
        let config = home.join("config");
        let dir = ConfigDir::at(&config);
        let (mut wallet, made) = Wallet::create(&dir.client_yaml(), NewKey::default())?;
        let rich = &soma_wallet::development::keys()[0];
        wallet.import(&rich.to_bech32(), &Default::default(), None)?;
        wallet.switch(&soma_wallet::Identity::Address(rich.address()))?;
        wallet.remove(&soma_wallet::Identity::Address(made.address))?;
        // A port that stays the same when the network is started again.
        let rpc_port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        Ok(Self {
            soma: soma.to_owned(),
            config,
            weights: home.join("weights"),
            checkpoints: home.join("checkpoints"),
            network: home.join("network"),
            rpc_port,
            epoch_ms,
        })
    }

    pub(crate) fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.rpc_port)
    }
}

/// The network.
pub(crate) struct Node {
    place: Where,
    child: Child,
    /// Since when it is there, milliseconds since 1970.
    pub(crate) since_ms: u64,
}

impl Node {
    pub(crate) async fn start(place: &Where) -> Result<Self> {
        let epoch = place.epoch_ms.to_string();
        let child = launch(place, &["--epoch-duration-ms", &epoch, "--small-model"]).await?;
        Ok(Self { place: place.clone(), child, since_ms: now_ms() })
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    pub(crate) async fn start_again(&mut self) -> Result<()> {
        self.child = launch(&self.place, &[]).await?;
        self.since_ms = now_ms();
        Ok(())
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        terminate(&mut self.child).await.map(drop)
    }
}

async fn launch(place: &Where, flags: &[&str]) -> Result<Child> {
    let mut child = Command::new(&place.soma)
        .args(["start", "localnet", "--json", "--log-level", "error", "--no-faucet"])
        .args(["--no-scoring", "--admin-port", "0"])
        .arg("--fullnode-rpc-port")
        .arg(place.rpc_port.to_string())
        .arg("--network.config")
        .arg(&place.network)
        .arg("--data-ingestion-dir")
        .arg(&place.checkpoints)
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
    tokio::time::timeout(START, stdout.read_line(&mut line)).await??;
    if line.is_empty() {
        return Err("the network did not start".into());
    }
    Ok(child)
}

/// The watch, and what it printed.
pub(crate) struct Watch {
    place: Where,
    urls: Vec<String>,
    running: Running,
    /// Lines of those that were killed.
    printed_before: Vec<String>,
}

/// One process, and what it has printed so far.
struct Running {
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
    readers: JoinSet<()>,
}

impl Running {
    fn has_printed(&self) -> bool {
        !self.printed.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// All lines of a process that has ended.
    async fn lines(self) -> Vec<String> {
        self.readers.join_all().await;
        std::mem::take(&mut self.printed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watch {
    pub(crate) fn start(place: &Where, urls: &[&String]) -> Result<Self> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).clone()).collect();
        let running = watch(place, &urls)?;
        Ok(Self { place: place.clone(), urls, running, printed_before: Vec::new() })
    }

    /// Kills it, and starts another one.
    pub(crate) async fn kill_and_start(&mut self) -> Result<()> {
        self.running.child.kill().await?;
        let killed = std::mem::replace(&mut self.running, watch(&self.place, &self.urls)?);
        self.printed_before.extend(killed.lines().await);
        Ok(())
    }

    /// Stops it as systemd would.
    pub(crate) async fn stop(mut self) -> Result<Ended> {
        if let Some(status) = self.running.child.try_wait()? {
            return Err(format!("the watch ended by itself: {status}").into());
        }
        // One that has just been started has to listen first.
        let deadline = tokio::time::Instant::now() + START;
        while !self.running.has_printed() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let code = terminate(&mut self.running.child).await?;
        let mut lines = self.printed_before;
        lines.extend(self.running.lines().await);
        Ok(Ended { code, lines })
    }
}

fn watch(place: &Where, urls: &[String]) -> Result<Running> {
    let mut command = Command::new(&place.soma);
    command.args(["model", "watch", "--json"]).env("SOMA_CONFIG_DIR", &place.config);
    for url in urls {
        command.args(["--rpc", url]);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let mut stderr = child.stderr.take().ok_or("no standard error")?;
    let (printed, mut readers) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
    let lines = Arc::clone(&printed);
    readers.spawn(async move {
        let mut stdout = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = stdout.next_line().await {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    let lines = Arc::clone(&printed);
    readers.spawn(async move {
        let mut text = String::new();
        if stderr.read_to_string(&mut text).await.is_ok() && !text.is_empty() {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(format!("stderr: {text}"));
        }
    });
    Ok(Running { child, printed, readers })
}

/// How the watch ended, and what it had told.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    lines: Vec<String>,
}

impl Ended {
    /// Writes all events to a file, to find out what went wrong.
    pub(crate) fn save(&self) -> Result<PathBuf> {
        let path = std::env::temp_dir().join(format!("soma-watch-{}.jsonl", std::process::id()));
        std::fs::write(&path, self.lines.join("\n"))?;
        Ok(path)
    }

    fn count(&self, event: &str) -> usize {
        let field = format!("\"event\":\"{event}\"");
        self.lines.iter().filter(|line| line.contains(&field)).count()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = ["revealed", "ready", "set_aside", "retrying", "late", "lost", "unsound"];
        let counts: Vec<String> =
            events.iter().map(|event| format!("{} {event}", self.count(event))).collect();
        write!(f, "events of the watch: {}; exit code {:?}", counts.join(", "), self.code)
    }
}

/// Ends a process as systemd would; gives its exit code.
async fn terminate(child: &mut Child) -> Result<Option<i32>> {
    let pid = child.id().ok_or("it has ended by itself")?.to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().await?;
    if !told.success() {
        return Err(format!("kill: {told}").into());
    }
    Ok(tokio::time::timeout(END, child.wait()).await??.code())
}
