//! The owner: registers models and updates them, in epochs of chance.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use soma_crypto::Options as Crypto;
use soma_localnet::{FileHost, SMALL_EMBEDDING_DIM, Uploads};
use soma_model::state::Terms;
use soma_model::{
    Depth, Gas, Host, Preparation, RevealOf, Scope, Session, Stage, State, StateFile, StateFolder,
    Till,
};
use soma_proto::{KeyPair, ObjectId};
use soma_rpc::Client;
use soma_storage::{AddressPolicy, Storage};

use crate::chance::Chance;
use crate::process::Where;
use crate::{Options, Result};

const TERMS: Terms = Terms { stake_amount: 1_000_000_000, commission_rate: 500 };
/// How long a commit may take; the same one is sent again after it.
const SENDING: Duration = Duration::from_secs(5);
/// Epochs from a reveal to the next commit, at most; and in which the first
/// commits lie, if there are as many.
const PAUSE: u64 = 7;

/// Somebody with many models.
pub(crate) struct Owner {
    client: Client,
    storage: Storage,
    key: KeyPair,
    folder: StateFolder,
    weights: PathBuf,
    host: FileHost,
    models: Vec<Model>,
    last: u64,
    chance: Chance,
}

struct Model {
    path: Option<PathBuf>,
    /// The epoch from which on something new is committed.
    next: u64,
}

/// What the owner did.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) commits: u32,
}

impl Owner {
    /// Somebody who begins nothing in epoch `last` or later. A first commit that fails
    /// has at least one more epoch before that.
    pub(crate) async fn new(place: &Where, options: &Options, last: u64) -> Result<Self> {
        let mut chance = Chance::new(options.seed ^ 0x5eed);
        fs::create_dir_all(&place.weights)?;
        let served = place.weights.join("served");
        let host = FileHost::start(&served, ([127, 0, 0, 1], 0).into(), Uploads::Refused).await?;
        let models = (0..options.models)
            .map(|_| Model { path: None, next: chance.between(0, PAUSE.min(last - 1)) })
            .collect();
        Ok(Self {
            client: Client::new(place.rpc_url())?,
            storage: Storage::new(AddressPolicy::Any)?,
            key: soma_wallet::development::keys().swap_remove(0),
            folder: StateFolder::new(place.config.join("models")),
            weights: place.weights.clone(),
            host,
            models,
            last,
            chance,
        })
    }

    /// Works until it is over.
    pub(crate) async fn work(mut self, over: Arc<AtomicBool>) -> Result<Work> {
        let mut work = Work::default();
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let Ok(epoch) = self.client.epoch().await else { continue };
            for place in 0..self.models.len() {
                if epoch < self.last && self.models[place].next <= epoch {
                    self.go_on(place, epoch, &mut work).await?;
                }
            }
        }
        Ok(work)
    }

    /// Takes the next step of a model that is due. Whatever the network or the
    /// watch stands in the way of is tried again later.
    async fn go_on(&mut self, place: usize, epoch: u64, work: &mut Work) -> Result<()> {
        let mut file = match self.models[place].path.clone() {
            None => {
                let file = self.preparation()?.run(&self.folder, None, &Crypto::new())?;
                self.models[place].path = Some(file.path().to_owned());
                file
            }
            // The watch may hold it at the moment.
            Some(path) => match StateFile::open(&path) {
                Ok(file) => file,
                Err(_) => return Ok(()),
            },
        };
        match stage(&file.state) {
            (_, Stage::Revealed) => self.preparation()?.run_update(&mut file, &Crypto::new())?,
            (_, Stage::Prepared | Stage::CommitSigned) => {}
            // Its reveal is the watch's.
            _ => return Ok(()),
        }
        let session = Session {
            client: &self.client,
            key: &self.key,
            host: Host { storage: &self.storage, scope: Scope::Local, depth: Depth::Header },
            gas: Gas::Automatic,
            till: Till::of(self.folder.clone()),
            timeout: SENDING,
        };
        let committed = match stage(&file.state).0 {
            RevealOf::Registration => session.commit(&mut file, TERMS).await,
            RevealOf::Update => session.commit_update(&mut file).await,
        };
        if committed.is_ok() {
            work.commits += 1;
            self.models[place].next = epoch + 2 + self.chance.between(0, PAUSE);
        }
        Ok(())
    }

    /// New weights under a name that nobody guesses.
    fn preparation(&mut self) -> Result<Preparation> {
        let name = ObjectId::random().to_string().trim_start_matches("0x").to_owned();
        let json = br#"{"w":{"dtype":"U8","shape":[256],"data_offsets":[0,256]}}"#;
        let mut plain = (json.len() as u64).to_le_bytes().to_vec();
        plain.extend(json);
        plain.extend((0..=255_u8).map(|byte| byte ^ name.as_bytes()[0]));
        let weights_file = self.weights.join(format!("{name}.safetensors"));
        fs::write(&weights_file, plain)?;
        Ok(Preparation {
            weights_file,
            sealed_file: Some(self.host.directory().join(&name)),
            url: format!("{}/{name}", self.host.url()).parse()?,
            embedding: Some(vec![0.5; usize::try_from(SMALL_EMBEDDING_DIM)?]),
            wallet: None,
        })
    }
}

fn stage(state: &State) -> (RevealOf, Stage) {
    let (of, round) = state.current();
    (of, round.stage())
}
