//! A network, an owner with money, and a folder.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use soma_crypto::Options;
use soma_localnet::{LocalNet, LocalNetConfig, account_keys};
use soma_model::state::Terms;
use soma_model::{
    Depth, Error, Gas, Host, Preparation, Report, RevealOf, Scope, Session, Standing, StateFile,
    StateFolder, Till,
};
use soma_proto::KeyPair;
use soma_proto::system_state::ModelStatus;
use soma_rpc::Client;
use soma_storage::{AddressPolicy, RetryPolicy, Storage};

pub(crate) const STAKE: u64 = 1_000_000_000;
pub(crate) const TERMS: Terms = Terms { stake_amount: STAKE, commission_rate: 500 };
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A network, an owner with money, and a folder.
pub(crate) struct World {
    pub(crate) network: LocalNet,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    pub(crate) owner: KeyPair,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalNetConfig::new()
            .with_free_ports()
            .with_epoch_duration_ms(86_400_000)
            .with_embedding_dim(3)
            .with_files_dir(folder.path().join("served"));
        let network = LocalNet::start(config).await.unwrap();
        let client = Client::new(network.rpc_url().unwrap()).unwrap();
        let storage = Storage::new(AddressPolicy::Any).unwrap().with_retry(RetryPolicy::NEVER);
        let [owner, ..] = account_keys();
        Self { network, client, storage, owner, folder }
    }

    pub(crate) fn session(&self) -> Session<'_> {
        Session {
            client: &self.client,
            key: &self.owner,
            host: Host { storage: &self.storage, scope: Scope::Local, depth: Depth::Everything },
            gas: Gas::Automatic,
            till: Till::of(self.states()),
            timeout: TIMEOUT,
        }
    }

    pub(crate) fn states(&self) -> StateFolder {
        StateFolder::new(self.folder.path().join("models"))
    }

    pub(crate) fn preparation(&self, name: &str) -> Preparation {
        let json = br#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
        let mut plain = (json.len() as u64).to_le_bytes().to_vec();
        plain.extend(json);
        plain.extend([1, 2, 3, 4]);
        let weights_file = self.folder.path().join("weights.safetensors");
        fs::write(&weights_file, plain).unwrap();
        Preparation {
            weights_file,
            sealed_file: Some(self.served(name)),
            url: format!("{}/{name}", self.network.files_url().unwrap()).parse().unwrap(),
            embedding: Some(vec![0.5, -0.25, 1.0]),
            wallet: None,
        }
    }

    pub(crate) fn served(&self, name: &str) -> PathBuf {
        self.folder.path().join("served").join(name)
    }

    pub(crate) fn prepared(&self, name: &str) -> StateFile {
        self.preparation(name).run(&self.states(), None, &Options::new()).unwrap()
    }

    pub(crate) async fn balance(&self) -> u64 {
        self.client.balance(&self.owner.address()).await.unwrap()
    }

    pub(crate) async fn status(&self, file: &StateFile) -> ModelStatus {
        Standing::ask(&self.client, &file.state.model_id).await.unwrap().status
    }

    pub(crate) async fn next_epoch(&self) {
        self.network.advance_epoch().await.unwrap();
    }
}

/// The file as it was before the answer to its last transaction came.
pub(crate) fn forget_epoch(file: &mut StateFile, of: RevealOf) {
    file.update(|state| {
        let round = state.round_mut(of).unwrap();
        let last = round.reveal.as_mut().or(round.commit.as_mut());
        last.unwrap().epoch = None;
    })
    .unwrap();
}

pub(crate) fn reopen(file: StateFile) -> StateFile {
    let path = file.path().to_owned();
    drop(file);
    StateFile::open(&path).unwrap()
}

pub(crate) fn refusal(error: Error) -> Report {
    match error {
        Error::Refused(report) => report,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn written(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// What makes a host a bad one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It wants a password.
    Closed,
    /// It answers every request with the whole file.
    NoRanges,
    /// Other bytes come from it now and then: the last one is another.
    LastByte,
    /// A byte more than there should be, and no ranges.
    LongAndNoRanges,
}

/// A host that serves `body` under every path, badly. It ends with the process.
pub(crate) fn bad_host(mut body: Vec<u8>, fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    match fault {
        Fault::LastByte => *body.last_mut().unwrap() ^= 1,
        Fault::LongAndNoRanges => body.push(0),
        _ => {}
    }
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let body = body.clone();
            std::thread::spawn(move || while answer(&stream, &body, fault).is_some() {});
        }
    });
    host
}

fn answer(mut stream: &TcpStream, body: &[u8], fault: Fault) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next()?.ok()?;
    let mut range = None;
    for line in lines {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("range: bytes=") {
            let (first, last) = text.split_once('-')?;
            range = Some(first.parse().ok()?..last.parse::<usize>().ok()? + 1);
        }
    }
    let ranges = matches!(fault, Fault::LastByte);
    let (status, range) = match range.filter(|_| ranges) {
        _ if fault == Fault::Closed => ("403 Forbidden", 0..0),
        Some(range) => ("206 Partial Content", range),
        None => ("200 OK", 0..body.len()),
    };
    let (length, total) = (range.len(), body.len());
    let part = format!("bytes {}-{}/{total}", range.start, range.end.max(1) - 1);
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
    let part = if ranges { format!("Content-Range: {part}\r\n") } else { String::new() };
    write!(stream, "{head}{part}\r\n").ok()?;
    if !request.starts_with("HEAD") {
        stream.write_all(&body[range]).ok()?;
    }
    Some(())
}
