//! Models, and what must always hold of each.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use soma_crypto::{Key, Options, safetensors};
use soma_model::state::{Round, Terms};
use soma_model::{
    Depth, Gas, Host, ObjectName, Preparation, RevealOf, Scope, Session, Stage, Standing, State,
    StateFile, StateFolder, Till, companion,
};
use soma_proto::ObjectId;
use soma_proto::system_state::ModelStatus;

use crate::owner::{Owner, STAKE};
use crate::step::Step;
use crate::world::World;

/// A model with a folder of its own: weights, embedding, and the state if it is not
/// published.
#[derive(Clone)]
pub(crate) struct Model {
    folder: PathBuf,
    states: StateFolder,
}

impl Model {
    pub(crate) fn new(owner: &Owner, number: usize) -> Self {
        let folder = Self::make_folder(owner, number);
        let states = StateFolder::new(&folder);
        Self { folder, states }
    }

    /// One whose state is among those of the owner's other models, so that each has a
    /// coin of its own for its reveals.
    pub(crate) fn published(owner: &Owner, number: usize) -> Self {
        Self { folder: Self::make_folder(owner, number), states: owner.states() }
    }

    pub(crate) fn is_published(&self) -> bool {
        self.states.path() != self.folder
    }

    fn make_folder(owner: &Owner, number: usize) -> PathBuf {
        let folder = owner.home.join(format!("model-{number}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("embedding"), "0.5\n-0.25\n1\n").unwrap();
        for (name, fill) in [("first", 1), ("second", 2)] {
            let header = br#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(&[fill; 4]);
            fs::write(folder.join(name), bytes).unwrap();
        }
        folder
    }

    /// The command of a step. It is the same one after an interruption.
    pub(crate) fn command(&self, world: &World, owner: &Owner, step: Step) -> Command {
        let mut command = owner.command(world, &self.folder);
        command.args(["model", "--json"]);
        let url = world.weights_url();
        let prepare = ["--weights-url", &url, "--embedding-file", "embedding", "--state", "s.json"];
        let prepared = ["--prepared", "s.json"];
        match step {
            Step::Prepare => command.args(["prepare", "--weights-file", "first"]).args(prepare),
            Step::PrepareUpdate => {
                command.args(["prepare", "--update", "--weights-file", "second"]).args(prepare)
            }
            Step::Commit => command.args(["commit", "--stake-amount", "1"]).args(prepared),
            Step::UpdateCommit => command.arg("update-commit").args(prepared),
            Step::Reveal => command.arg("reveal").args(prepared),
            Step::UpdateReveal => command.arg("update-reveal").args(prepared),
            Step::Publish(store) => {
                command.args(["publish", "first", "--stake-amount", "1"]).args(store.flags(world))
            }
            Step::PublishUpdate(store) => {
                let model = self.state().expect("it is published").model_id.to_string();
                command.args(["publish", "second", "--update", &model]).args(store.flags(world))
            }
        };
        command
    }

    /// Takes a step where nobody interrupts, inside the test as far as that costs less.
    pub(crate) fn take(&self, world: &World, owner: &Owner, step: Step) {
        match step {
            // Who has no new weights has nothing to reveal.
            Step::PublishUpdate(_) => return,
            Step::UpdateReveal if self.is_published() && !self.has_update() => return,
            _ => {}
        }
        if step.publishes() {
            let output = self.command(world, owner, step).output().unwrap();
            assert!(output.status.success(), "{step:?}: {output:?}");
            return;
        }
        let preparation = |weights: &str| Preparation {
            weights_file: self.folder.join(weights),
            sealed_file: None,
            url: world.weights_url().parse().unwrap(),
            embedding: Some(vec![0.5, -0.25, 1.0]),
            wallet: Some(owner.key.clone()),
        };
        let options = Options::new();
        if step == Step::Prepare {
            let path = self.folder.join("s.json");
            preparation("first").run(&self.states, Some(path), &options).unwrap();
            return;
        }
        let (path, _) = self.on_file().expect("it is there");
        let mut file = StateFile::open(&path).unwrap();
        let host = Host { storage: &world.storage, scope: Scope::Local, depth: Depth::Header };
        let (client, key, gas) = (&world.client, &owner.key, Gas::Automatic);
        let till =
            if self.is_published() { Till::of(self.states.clone()) } else { Till::default() };
        let timeout = Duration::from_secs(60);
        let session = Session { client, key, host, gas, till, timeout };
        let terms = Terms { stake_amount: STAKE, commission_rate: 0 };
        let done = world.runtime.block_on(async {
            match step {
                Step::Prepare | Step::PrepareUpdate => {
                    preparation("second").run_update(&mut file, &options).map(|()| None)
                }
                Step::Commit => session.commit(&mut file, terms).await.map(Some),
                Step::UpdateCommit => session.commit_update(&mut file).await.map(Some),
                Step::Reveal => session.reveal(&mut file, RevealOf::Registration).await.map(Some),
                Step::UpdateReveal => session.reveal(&mut file, RevealOf::Update).await.map(Some),
                Step::Publish(_) | Step::PublishUpdate(_) => unreachable!("taken above"),
            }
        });
        done.unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }

    /// Puts what is prepared on the host.
    pub(crate) fn upload(&self, world: &World) {
        let state = self.state().expect("it is prepared");
        let sealed = &state.current().1.sealed_file;
        for path in [sealed.clone(), companion::path(sealed)] {
            fs::copy(&path, world.served.join(path.file_name().unwrap())).unwrap();
        }
    }

    /// The state on file, and which file that is. A file that is there can be read: it
    /// never is half written. Of the owner's other models only that is looked at.
    fn on_file(&self) -> Option<(PathBuf, State)> {
        let folder = self.folder.to_str().unwrap();
        let mut own = Vec::new();
        for entry in fs::read_dir(self.states.path()).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with('.') || !name.ends_with(".json") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.ends_with("\n}\n"), "{name} is not whole");
            if text.contains(&format!("\"{folder}/")) {
                let state = serde_json::from_str(&text);
                own.push((path, state.unwrap_or_else(|error| panic!("{text}: {error}"))));
            }
        }
        assert!(own.len() <= 1, "one model, one state");
        own.pop()
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.on_file().map(|(_, state)| state)
    }

    /// What must hold whenever the process dies: nothing has its final name that is
    /// not whole, and no encrypted file is without its key. Of what is published the
    /// same holds at the store.
    pub(crate) fn check_files(&self, world: &World, owner: &Owner) {
        let state = self.state();
        if self.is_published() {
            for round in state.iter().flat_map(rounds) {
                let [object, beside] = published(world, round);
                if object.exists() {
                    let key = Key::from_bytes(*round.decryption_key.as_bytes());
                    safetensors::inspect_file(&object, Some(&key)).unwrap();
                }
                if let Ok(bytes) = fs::read(&beside) {
                    let name = round.upload.as_ref().expect("it is published").object;
                    assert!(companion::open(&bytes, &name, &owner.key).is_some());
                }
            }
            return;
        }
        let of = |name: &str| {
            let found = state
                .iter()
                .flat_map(rounds)
                .find(|round| round.weights_url.as_str().ends_with(name));
            found.unwrap_or_else(|| panic!("{name} was encrypted and its key is gone"))
        };
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if let Some(object) = name.strip_suffix(".state") {
                let object: ObjectName = object.parse().unwrap();
                let bytes = fs::read(&path).unwrap();
                let kept = companion::open(&bytes, &object, &owner.key);
                assert!(kept.is_some(), "{name} is not whole");
            } else if name.parse::<ObjectName>().is_ok() {
                let key = Key::from_bytes(*of(name).decryption_key.as_bytes());
                safetensors::inspect_file(&path, Some(&key)).unwrap();
            }
        }
    }

    /// Whether the encrypted weights are at the store, while the state file does not
    /// know yet.
    pub(crate) fn has_lost_upload(&self, world: &World) -> bool {
        let Some(state) = self.state().filter(|_| self.is_published()) else { return false };
        let round = state.current().1;
        round.stage() == Stage::Unsealed && published(world, round)[0].exists()
    }

    /// Whether a coin was made for the reveals, while the state file does not know yet.
    pub(crate) fn has_lost_coin(&self, world: &World, owner: &Owner) -> bool {
        self.may_divide() && owner.has_lost_coin(world)
    }

    /// Whether a coin may be on its way to be divided.
    pub(crate) fn may_divide(&self) -> bool {
        self.is_published()
            && self.state().is_some_and(|state| state.terms.is_some() && state.gas_coin.is_none())
    }

    /// Whether what is sent to the store may change something there.
    pub(crate) fn is_uploading(&self, world: &World, step: Step) -> bool {
        let begun = |round: &Round| round.upload.as_ref().is_some_and(|upload| upload.begun);
        self.round_of(step).as_ref().is_some_and(begun) && !self.is_uploaded(world, step)
    }

    /// Whether the encrypted weights of a step are at the store, and the state beside them.
    pub(crate) fn is_uploaded(&self, world: &World, step: Step) -> bool {
        self.round_of(step).is_some_and(|round| {
            round.stage() >= Stage::Prepared && published(world, &round)[1].exists()
        })
    }

    /// What a step publishes, as far as it has come.
    fn round_of(&self, step: Step) -> Option<Round> {
        let state = self.state()?;
        match step {
            Step::Publish(_) => Some(state.registration),
            Step::PublishUpdate(_) => state.update,
            _ => None,
        }
    }

    /// The coin that is set aside for its reveals.
    pub(crate) fn coin(&self) -> ObjectId {
        self.state().and_then(|state| state.gas_coin).expect("there is one")
    }

    fn has_update(&self) -> bool {
        self.state().is_some_and(|state| state.update.is_some())
    }

    /// Whether the chain has executed the transaction that is under way, while the
    /// state file does not know yet: the answer was lost.
    pub(crate) fn has_lost_answer(&self, world: &World) -> bool {
        let Some(state) = self.state() else { return false };
        let round = state.current().1;
        let sent = match round.stage() {
            Stage::CommitSigned => round.commit.as_ref(),
            Stage::RevealSigned => round.reveal.as_ref(),
            _ => return false,
        };
        world.executed(sent).is_some()
    }

    /// Whether a transaction is signed and its outcome is not on file.
    pub(crate) fn is_under_way(&self) -> bool {
        let stage = self.state().map(|state| state.current().1.stage());
        matches!(stage, Some(Stage::CommitSigned | Stage::RevealSigned))
    }

    /// The model is active with its newest weights, and everything that is needed for
    /// that is on file.
    pub(crate) fn check_active(&self, world: &World) {
        let state = self.state().expect("it is there");
        let standing = Standing::ask(&world.client, &state.model_id);
        let standing = world.runtime.block_on(standing).unwrap();
        assert_eq!(standing.status, ModelStatus::Active);
        let weights = standing.model.weights_manifest.expect("an active model has weights");
        let newest = state.current().1;
        assert_eq!(newest.stage(), Stage::Revealed);
        assert_eq!(weights.manifest.url(), &newest.weights_url);
        assert_eq!(weights.decryption_key, newest.decryption_key);
    }

    /// What is published is at the store, whole, with the state beside it; gives how
    /// many objects that are.
    pub(crate) fn check_published(&self, world: &World, owner: &Owner) -> usize {
        let state = self.state().expect("it is there");
        for round in rounds(&state) {
            let [object, beside] = published(world, round);
            let found = soma_crypto::hash(&fs::read(&object).unwrap());
            let sealed = round.sealed.expect("it is sealed");
            assert_eq!(found.as_bytes(), sealed.commitment.as_bytes());
            assert!(beside.exists());
        }
        self.check_files(world, owner);
        rounds(&state).count()
    }
}

/// The registration, and the update if there is one.
pub(crate) fn rounds(state: &State) -> impl Iterator<Item = &Round> {
    [Some(&state.registration), state.update.as_ref()].into_iter().flatten()
}

/// Where the store keeps an object, and the state beside it.
fn published(world: &World, round: &Round) -> [PathBuf; 2] {
    let upload = round.upload.as_ref().expect("it is published");
    let object = world.served.join(upload.object.to_string());
    [object.clone(), companion::path(&object)]
}
