//! A registry of two hundred models, twenty of them spoiled in ten ways.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use soma_crypto::{Cipher, Key};
use soma_localnet::{LocalNet, LocalNetConfig, account_keys};
use soma_model::audit::{Audit, AuditOptions, Audited, audit, registry};
use soma_model::{CommitPlan, Depth, Gas, Host, Measured, RevealPlan, Scope, TypedUrl, UpdatePlan};
use soma_proto::{Commitment, DecryptionKey, KeyPair, ObjectId};
use soma_rpc::Client;
use soma_storage::{AddressPolicy, RetryPolicy, Storage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const MODELS: usize = 200;
const STAKE: u64 = 1_000_000_000;
const TIMEOUT: Duration = Duration::from_secs(60);
const EMBEDDING: [f32; 3] = [0.5, -0.25, 1.0];

/// What is wrong with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoil {
    Nothing,
    Missing,
    CutShort,
    Flipped,
    WrongKey,
    NoSafetensors,
    Copied,
    KeyAgain,
    NobodyThere,
    NoRanges,
    Redirect,
}

const WAYS: [Spoil; 10] = [
    Spoil::Missing,
    Spoil::CutShort,
    Spoil::Flipped,
    Spoil::WrongKey,
    Spoil::NoSafetensors,
    Spoil::Copied,
    Spoil::KeyAgain,
    Spoil::NobodyThere,
    Spoil::NoRanges,
    Spoil::Redirect,
];

/// A model on its way into the registry.
struct Entry {
    spoil: Spoil,
    id: ObjectId,
    url: TypedUrl,
    sealed: Vec<u8>,
    key: [u8; 32],
}

struct World {
    network: LocalNet,
    client: Client,
    storage: Storage,
    folder: tempfile::TempDir,
    odd_host: String,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalNetConfig::new()
            .with_free_ports()
            .with_epoch_duration_ms(86_400_000)
            .with_embedding_dim(3)
            .with_files_dir(folder.path().to_owned());
        let network = LocalNet::start(config).await.unwrap();
        let client = Client::new(network.rpc_url().unwrap()).unwrap();
        let storage = Storage::new(AddressPolicy::Any).unwrap().with_retry(RetryPolicy::NEVER);
        let odd_host = odd_host(folder.path().to_owned()).await;
        Self { network, client, storage, folder, odd_host }
    }

    fn entry(&self, number: usize, spoil: Spoil) -> Entry {
        let name = format!("{number}.enc");
        let mut sealed = plain(number, spoil);
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        Cipher::new(&Key::from_bytes(key)).apply(0, &mut sealed).unwrap();
        fs::write(self.folder.path().join(&name), &sealed).unwrap();
        let host = match spoil {
            Spoil::NobodyThere => "http://127.0.0.1:1".to_owned(),
            Spoil::NoRanges => format!("{}/whole", self.odd_host),
            Spoil::Redirect => format!("{}/elsewhere", self.odd_host),
            _ => self.network.files_url().unwrap().to_owned(),
        };
        let url = format!("{host}/{name}").parse().unwrap();
        let id = ObjectId::random();
        let key = if spoil == Spoil::WrongKey { [77; 32] } else { key };
        Entry { spoil, id, url, sealed, key }
    }

    /// A later model with the commitments, or the key, of an earlier one.
    fn copy(&self, number: usize, spoil: Spoil, original: &Entry) -> Entry {
        if spoil == Spoil::Copied {
            let (url, sealed) = (original.url.clone(), original.sealed.clone());
            return Entry { spoil, id: ObjectId::random(), url, sealed, key: original.key };
        }
        let mut entry = self.entry(number, spoil);
        entry.sealed = plain(number, spoil);
        entry.key = original.key;
        Cipher::new(&Key::from_bytes(entry.key)).apply(0, &mut entry.sealed).unwrap();
        fs::write(self.folder.path().join(format!("{number}.enc")), &entry.sealed).unwrap();
        entry
    }

    /// Commits to all of them in this epoch, reveals them in the next.
    async fn register(&self, entries: &[Entry]) {
        let owners = account_keys();
        // Side by side, but each owner's one after the other: they share coins.
        let each = |step: bool| {
            let owners = owners.iter().enumerate();
            let count = account_keys().len();
            let work = owners.map(move |(place, owner)| async move {
                for entry in entries.iter().skip(place).step_by(count) {
                    match step {
                        false => self.commit(entry, owner).await,
                        true => self.reveal(entry, owner).await,
                    }
                }
            });
            futures::future::join_all(work)
        };
        each(false).await;
        self.network.advance_epoch().await.unwrap();
        each(true).await;
    }

    async fn commit(&self, entry: &Entry, owner: &KeyPair) {
        let plan =
            CommitPlan::new(entry.url.normal().commitment(), entry.weights().commitment, STAKE)
                .with_model_id(entry.id);
        let prepared = plan.prepare(&self.client, owner.address(), &Gas::Automatic).await.unwrap();
        prepared.send(&self.client, owner, TIMEOUT).await.unwrap();
    }

    async fn reveal(&self, entry: &Entry, owner: &KeyPair) {
        let (url, key) = (entry.url.clone(), DecryptionKey::new(entry.key));
        let plan = RevealPlan::new(entry.id, url, entry.weights(), key, EMBEDDING.to_vec());
        // An owner of this kind does not look at the host either.
        let host = Host { storage: &self.storage, scope: Scope::Local, depth: Depth::Nothing };
        let prepared =
            plan.prepare(&self.client, &host, owner.address(), &Gas::Automatic).await.unwrap();
        prepared.send(&self.client, owner, TIMEOUT).await.unwrap();
    }

    fn spoil(&self, number: usize, spoil: Spoil) {
        let path = self.folder.path().join(format!("{number}.enc"));
        match spoil {
            Spoil::Missing => fs::remove_file(path).unwrap(),
            Spoil::CutShort => {
                fs::File::options().write(true).open(path).unwrap().set_len(100).unwrap();
            }
            Spoil::Flipped => {
                let mut bytes = fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(path, bytes).unwrap();
            }
            _ => {}
        }
    }

    async fn audit(&self, scope: Scope, storage: &Storage) -> Audit {
        let models = registry(&self.client, None).await.unwrap();
        let options = AuditOptions {
            depth: Depth::Everything,
            largest: AuditOptions::LARGEST,
            at_once: 8,
            scope,
            embedding_dim: 3,
            grace: AuditOptions::GRACE,
            least_rate: AuditOptions::LEAST_RATE,
        };
        let mut told = Vec::new();
        let found = audit(storage, models, &options, |done| told.push(done)).await;
        assert_eq!(told, (1..=found.total).collect::<Vec<_>>());
        found
    }
}

impl Entry {
    fn weights(&self) -> Measured {
        Measured { commitment: Commitment::of(&self.sealed), size: self.sealed.len() as u64 }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_finds_exactly_the_spoiled_models() {
    let world = World::new().await;
    // Two of each way, spread over the registry; copies come an epoch later.
    let way = |number: usize| match number % 10 {
        7 => WAYS[number / 20],
        _ => Spoil::Nothing,
    };
    let is_copy = |number: &usize| matches!(way(*number), Spoil::Copied | Spoil::KeyAgain);
    let first: Vec<_> = (0..MODELS)
        .filter(|number| !is_copy(number))
        .map(|number| world.entry(number, way(number)))
        .collect();
    let later: Vec<_> = (0..MODELS)
        .filter(is_copy)
        .map(|number| world.copy(number, way(number), &first[number % 3]))
        .collect();
    world.register(&first).await;
    world.register(&later).await;
    // From then on the registry at the start of the epoch before tells who was first.
    world.network.advance_epoch().await.unwrap();
    for number in 0..MODELS {
        world.spoil(number, way(number));
    }

    let all = || first.iter().chain(&later);
    let spoiled = |spoil: Spoil| all().filter(move |entry| entry.spoil == spoil).count();
    assert_eq!(WAYS.map(spoiled), [2; 10]);
    let wanted: BTreeSet<_> =
        all().filter(|entry| entry.spoil != Spoil::Nothing).map(|entry| entry.id).collect();
    let found = world.audit(Scope::Local, &world.storage).await;
    let wrong: BTreeSet<_> =
        found.models.iter().filter(|model| !model.ok).map(|model| model.model_id).collect();
    assert_eq!((found.total, found.faulty), (MODELS, 20));
    assert_eq!(wrong, wanted);

    // Each for its own reason.
    for (spoil, part) in [
        (Spoil::Missing, "404"),
        (Spoil::CutShort, "holds 100 bytes"),
        (Spoil::Flipped, "hashes to"),
        (Spoil::WrongKey, "does not open"),
        (Spoil::NoSafetensors, "does not open"),
        (Spoil::Copied, "commitment to the weights is that of"),
        (Spoil::KeyAgain, "decryption key is that of"),
        (Spoil::NobodyThere, "cannot connect"),
        (Spoil::NoRanges, "byte ranges"),
        (Spoil::Redirect, "redirect"),
    ] {
        for entry in all().filter(|entry| entry.spoil == spoil) {
            let audited = found.models.iter().find(|model| model.model_id == entry.id).unwrap();
            let errors: Vec<_> = audited.findings.errors().map(|f| f.message.as_str()).collect();
            assert!(errors.iter().any(|text| text.contains(part)), "{spoil:?}: {errors:?}");
        }
    }
    let page = found.to_markdown();
    assert!(page.contains("200 models, 20 with something wrong"));
    assert!(wanted.iter().all(|id| page.contains(&format!("## `{id}`"))));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["models"].as_array().unwrap().len(), MODELS);

    // On a public network none of these URLs is so much as asked.
    let strict = Storage::new(AddressPolicy::PublicHttps).unwrap();
    let found = world.audit(Scope::Public, &strict).await;
    assert_eq!(found.faulty, MODELS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_by_an_update_is_told_from_its_victim() {
    let world = World::new().await;
    let [copier, victim, ..] = account_keys();
    // The copier's model is the older one, with weights of its own.
    let old = world.entry(0, Spoil::Nothing);
    world.commit(&old, &copier).await;
    world.network.advance_epoch().await.unwrap();
    world.reveal(&old, &copier).await;
    world.network.advance_epoch().await.unwrap();
    let new = world.entry(1, Spoil::Nothing);
    world.commit(&new, &victim).await;
    world.network.advance_epoch().await.unwrap();
    world.reveal(&new, &victim).await;
    world.network.advance_epoch().await.unwrap();

    let plan = UpdatePlan {
        model_id: old.id,
        weights_url_commitment: new.url.normal().commitment(),
        weights_commitment: new.weights().commitment,
    };
    let (address, gas) = (copier.address(), Gas::Automatic);
    let prepared = plan.prepare(&world.client, address, &gas).await.unwrap();
    prepared.send(&world.client, &copier, TIMEOUT).await.unwrap();
    let errors = async || -> Vec<(ObjectId, Vec<String>)> {
        let found = world.audit(Scope::Local, &world.storage).await;
        let faulty = found.models.into_iter().filter(|model| !model.ok);
        let texts = |model: Audited| model.findings.errors().map(|it| it.message.clone()).collect();
        faulty.map(|model| (model.model_id, texts(model))).collect()
    };
    let of_victim = |what: &str| format!("the {what} is that of {}, which is older", new.id);
    let copied = ["commitment to the weights", "commitment to the URL"].map(of_victim).to_vec();
    assert_eq!(errors().await, [(old.id, copied.clone())], "while the update is under way");

    world.network.advance_epoch().await.unwrap();
    let key = DecryptionKey::new(new.key);
    let plan = RevealPlan::new(old.id, new.url.clone(), new.weights(), key, EMBEDDING.to_vec());
    let host = Host { storage: &world.storage, scope: Scope::Local, depth: Depth::Nothing };
    let plan = plan.of_update();
    let prepared = plan.prepare(&world.client, &host, address, &gas).await.unwrap();
    prepared.send(&world.client, &copier, TIMEOUT).await.unwrap();
    let copied = [copied, vec![of_victim("decryption key")]].concat();
    assert_eq!(errors().await, [(old.id, copied)], "and once it is revealed");
}

/// Small weights; each file is another one.
fn plain(number: usize, spoil: Spoil) -> Vec<u8> {
    let header = br#"{"w":{"dtype":"U8","shape":[4096],"data_offsets":[0,4096]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend((0..4096).map(|place| ((place * 7 + number) % 251) as u8));
    if spoil == Spoil::NoSafetensors {
        bytes[9] ^= 0x55;
    }
    bytes
}

/// A host that ignores ranges under `/whole/`, and sends everybody away from
/// `/elsewhere/`.
async fn odd_host(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let folder = folder.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap();
                let answer = match path.strip_prefix("/whole/") {
                    Some(name) => {
                        let body = fs::read(folder.join(name)).unwrap();
                        let length = body.len();
                        let start = format!(
                            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                        );
                        let body = if head.starts_with("HEAD") { &[][..] } else { &body };
                        [start.as_bytes(), body].concat()
                    }
                    None => b"HTTP/1.1 302 Found\r\nlocation: /whole/x\r\nconnection: close\r\n\
                              content-length: 0\r\n\r\n"
                        .to_vec(),
                };
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    url
}
