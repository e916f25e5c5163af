//! Processes of `soma`: networks that run, and commands that end.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_soma");

/// Flags that let every service of a network take a free port.
const FREE_PORTS: [&str; 5] = [
    "--fullnode-rpc-port=0",
    "--with-faucet=0",
    "--scoring-port=0",
    "--admin-port=0",
    "--files-port=0",
];

/// An epoch that no test outlasts, in milliseconds.
pub(crate) const A_DAY: &str = "86400000";

/// A network in a process of its own; it is killed when dropped.
pub(crate) struct Network {
    child: Child,
    /// What it printed when it was ready.
    pub(crate) ready: Value,
    /// How long that took from the start of the process.
    pub(crate) ready_after: Duration,
    log: Option<JoinHandle<String>>,
}

impl Network {
    /// Starts a network that is gone at the end, with epochs of a day. Files are
    /// served from `files`.
    pub(crate) fn temporary(files: &Path) -> Self {
        let files = files.to_str().unwrap();
        Self::start(&["--force-regenesis", "--epoch-duration-ms", A_DAY, "--files-dir", files])
    }

    /// Starts a network on free ports and waits until it is ready.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// The same, with these environment variables.
    pub(crate) fn start_with(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let since = Instant::now();
        let mut flags = flags.to_vec();
        flags.extend(FREE_PORTS);
        if !flags.contains(&"--files-dir") {
            flags.retain(|flag| *flag != "--files-port=0");
        }
        let mut child = Command::new(BINARY)
            .args(["start", "localnet", "--json", "--log-level", "warn"])
            .args(flags)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready_after = since.elapsed();
        match serde_json::from_str(&line) {
            Ok(ready) => Self { child, ready, ready_after, log: Some(log) },
            Err(_) => panic!("the network did not start: {}", log.join().unwrap()),
        }
    }

    /// A URL or a path from the line that it printed.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.ready))
    }

    /// Kills it, as `kill -9` does; what it was doing is cut off.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it, as Ctrl-C does; gives its exit code and what it had to say.
    pub(crate) fn stop(&mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        (status.code(), self.log.take().unwrap().join().unwrap())
    }

    /// Puts a file on its host; gives the URL.
    pub(crate) fn upload(&self, name: &str, bytes: &[u8]) -> String {
        let host = self.text("files_url").strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let length = bytes.len();
        write!(
            stream,
            "PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        format!("http://{host}/{name}")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody with a wallet and a shell.
pub(crate) struct User {
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl User {
    /// Somebody without any file, and without a network.
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// Somebody whose environment names the services of a network.
    pub(crate) fn of(network: &Network) -> Self {
        let url = |key| network.text(key).to_owned();
        let variables = vec![
            ("SOMA_RPC_URL", url("rpc_url")),
            ("SOMA_FAUCET_URL", url("faucet_url")),
            ("SOMA_ADMIN_URL", url("admin_url")),
        ];
        Self { variables, ..Self::new() }
    }

    /// With another value of a variable.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    /// A path in the directory where his commands run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A command that is not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SOMA_CONFIG_DIR", self.path("config"))
            .envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null());
        command
    }

    /// As [`User::command`], with hang-ups not ignored, whoever runs the tests: what is
    /// ignored is inherited.
    #[cfg(target_os = "linux")]
    pub(crate) fn command_hearing_hang_ups(&self, arguments: &[&str]) -> Command {
        let bare = self.command(arguments);
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(bare.get_program()).args(bare.get_args());
        command.current_dir(self.home.path()).env_clear().stdin(Stdio::null());
        command.envs(bare.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::new(arguments, self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed, and reads its JSON document.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.document()
    }

    /// Runs a command that must fail with this exit code and kind of error; gives the
    /// error's message and hint.
    pub(crate) fn refused(&self, arguments: &[&str], code: i32, kind: &str) -> String {
        let ended = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, code, "{ended:?}");
        let error = ended.error();
        assert_eq!(error["kind"], kind, "{ended:?}");
        format!("{}\n{}", error["message"], error["hint"])
    }

    /// What his account has, in shannons.
    pub(crate) fn balance(&self) -> u64 {
        self.json(&["balance"])["total_balance"].as_u64().unwrap()
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    #[expect(dead_code, reason = "shown when an assertion fails")]
    command: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(arguments: &[&str], output: Output) -> Self {
        // An embedding would fill the screen.
        let shown = arguments.iter().map(|word| word.get(..80).unwrap_or(word));
        Self {
            command: shown.collect::<Vec<_>>().join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one document on standard output.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// The one document on standard error, after the notes before it.
    pub(crate) fn error(&self) -> Value {
        let start = self.stderr.find("{\n").unwrap_or_else(|| panic!("no document in {self:?}"));
        let document: Value = serde_json::from_str(&self.stderr[start..])
            .unwrap_or_else(|e| panic!("{e} in {self:?}"));
        document["error"].clone()
    }
}

/// The bytes of a small safetensors file; `fill` tells two of them apart.
pub(crate) fn safetensors(fill: u8) -> Vec<u8> {
    let header = br#"{"weight":{"dtype":"F32","shape":[64,64],"data_offsets":[0,16384]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.resize(bytes.len() + 16384, fill);
    bytes
}

/// Reads a file that must be there.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
