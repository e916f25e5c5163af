//! State files: what is written, what is refused, what survives.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use soma_crypto::{Input, Key, Options, commitment, safetensors};
use soma_model::state::{Sent, Terms};
use soma_model::{
    Begun, Error, Preparation, Publication, RevealOf, Scope, Stage, StateFile, StateFolder,
};
use soma_proto::{CheckpointDigest, KeyPair, ObjectId, TransactionData, TransactionKind};
use soma_storage::{
    AddressPolicy, Destination, Storage, Store, StoreOptions, UploadOptions, Variables,
};

/// A folder with a small safetensors file, and the way to prepare it.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let json = br#"{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
        let mut file = (json.len() as u64).to_le_bytes().to_vec();
        file.extend(json);
        file.extend([1, 2, 3, 4]);
        fs::write(folder.path().join("weights.safetensors"), file).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn states(&self) -> StateFolder {
        StateFolder::new(self.path("models"))
    }

    fn preparation(&self, sealed: &str) -> Preparation {
        Preparation {
            weights_file: self.path("weights.safetensors"),
            sealed_file: Some(self.path(sealed)),
            url: "HTTP://127.0.0.1:9200/weights.enc".parse().unwrap(),
            embedding: Some(vec![0.1, -0.0, f32::MIN_POSITIVE / 2.0]),
            wallet: None,
        }
    }

    fn publication(&self) -> Publication {
        let destination = Destination::folder(&format!("file://{}", self.path("store").display()));
        let destination = destination.unwrap();
        let public = StoreOptions {
            public_url: Some("https://weights.example.org/".parse().unwrap()),
            ..StoreOptions::default()
        };
        let storage = Storage::new(AddressPolicy::Any).unwrap();
        let store = Store::open(&destination, &public, &Variables::default(), &storage).unwrap();
        let wallet = KeyPair::from_bytes([1; 32]);
        Publication {
            weights_file: self.path("weights.safetensors"),
            destination,
            store,
            embedding: None,
            options: UploadOptions::default(),
            scope: Scope::Public,
            owner: wallet.address(),
            wallet: Some(wallet),
            chain_id: CheckpointDigest::new([2; 32]),
        }
    }

    fn prepared(&self) -> StateFile {
        self.preparation("weights.enc").run(&self.states(), None, &Options::new()).unwrap()
    }
}

fn key_hex(file: &StateFile) -> String {
    let key = &file.state.registration.decryption_key;
    Key::from_bytes(*key.as_bytes()).to_hex().to_string()
}

fn only_file(folder: &StateFolder) -> PathBuf {
    let states = folder.read().unwrap();
    assert_eq!(states.len(), 1);
    states[0].0.clone()
}

#[test]
fn preparing_encrypts_under_a_key_that_is_on_file() {
    let desk = Desk::new();
    let file = desk.prepared();
    let state = &file.state;
    assert_eq!(file.path(), desk.states().path_of(&state.model_id));
    assert_eq!(state.registration.stage(), Stage::Prepared);
    assert_eq!(state.registration.weights_url.as_str(), "http://127.0.0.1:9200/weights.enc");
    let sealed = state.registration.sealed.unwrap();
    let measured = commitment(Input::file(desk.path("weights.enc")), &Options::new()).unwrap();
    assert_eq!(sealed.commitment.as_bytes(), measured.digest.as_bytes());
    assert_eq!(sealed.size, measured.size);
    let key = Key::from_hex(&key_hex(&file)).unwrap();
    let header = safetensors::inspect_file(desk.path("weights.enc"), Some(&key)).unwrap();
    assert_eq!(header.parameters, 4);

    let written = fs::read_to_string(file.path()).unwrap();
    assert!(written.starts_with("{\n  \"format\": \"soma-model-state/1\",\n"), "{written}");
    assert!(written.contains(&key_hex(&file)));
    assert!(!format!("{file:?}").contains(&key_hex(&file)));
}

#[test]
fn a_coin_that_is_freed_is_that_of_one_model() {
    let desk = Desk::new();
    let coin = |byte| ObjectId::new([byte; 32]);
    let ids = [0, 1].map(|byte| {
        let preparation = desk.preparation(&format!("{byte}.enc"));
        let mut file = preparation.run(&desk.states(), None, &Options::new()).unwrap();
        file.update(|state| state.gas_coin = Some(coin(byte))).unwrap();
        file.state.model_id
    });
    desk.states().free_coin(&ids[0]).unwrap();
    assert_eq!(desk.states().set_aside().unwrap(), [(coin(1), ids[1])]);
    for id in [ids[0], coin(9)] {
        desk.states().free_coin(&id).unwrap();
    }
    assert_eq!(desk.states().set_aside().unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let desk = Desk::new();
    let mut file = desk.prepared();
    assert_eq!(mode(desk.states().path()), 0o700);
    assert_eq!(mode(file.path()), 0o600);
    file.update(|state| state.terms = None).unwrap();
    assert_eq!(mode(file.path()), 0o600);
    let path = file.path().to_owned();
    drop(file);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    StateFile::open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn what_is_saved_comes_back_bit_for_bit() {
    let desk = Desk::new();
    let mut file = desk.prepared();
    let owner = KeyPair::from_bytes([1; 32]);
    let kind = TransactionKind::DeactivateModel { model_id: file.state.model_id };
    let signed = TransactionData::new(kind, owner.address(), Vec::new()).sign(&owner);
    file.update(|state| {
        state.owner = Some(owner.address());
        state.terms = Some(Terms { stake_amount: u64::MAX, commission_rate: 10_000 });
        state.registration.commit = Some(Sent::unsent(&signed));
        state.spent.push(state.registration.spent());
    })
    .unwrap();
    let (path, state) = (file.path().to_owned(), file.state.clone());
    drop(file);
    let again = StateFile::open(&path).unwrap();
    assert_eq!(again.state, state);
    let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
    assert_eq!(
        bits(again.state.registration.embedding.as_ref().unwrap()),
        bits(&[0.1, -0.0, f32::MIN_POSITIVE / 2.0])
    );
    assert_eq!(again.state.registration.stage(), Stage::CommitSigned);
}

#[test]
fn one_process_at_a_time() {
    let desk = Desk::new();
    let file = desk.prepared();
    let path = file.path().to_owned();
    assert!(matches!(StateFile::open(&path), Err(Error::File(_))));
    assert_eq!(only_file(&desk.states()), path, "reading needs no hold");
    drop(file);
    StateFile::open(&path).unwrap();
}

/// Whoever comes second finds what the first one began, or that it is held.
fn one_model_of_many(desk: &Desk, begin: impl Fn() -> Result<StateFile, Error> + Sync) {
    const AT_ONCE: usize = 8;
    let start = std::sync::Barrier::new(AT_ONCE);
    let begun: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            start.wait();
            match begin() {
                Ok(file) => Some(file.state.model_id),
                Err(Error::File(soma_wallet::Error::Locked { .. })) => None,
                Err(other) => panic!("{other:?}"),
            }
        };
        let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one)).collect();
        all.into_iter().filter_map(|one| one.join().unwrap()).collect()
    });
    assert!(!begun.is_empty() && begun.iter().all(|model| *model == begun[0]), "{begun:?}");
    assert_eq!(desk.states().read().unwrap().len(), 1);
}

#[test]
fn preparing_twice_at_the_same_time_makes_one_model() {
    for round in 0..5 {
        let desk = Desk::new();
        let in_a_folder = Preparation {
            sealed_file: None,
            url: "http://127.0.0.1:9200/".parse().unwrap(),
            wallet: Some(KeyPair::from_bytes([round; 32])),
            ..desk.preparation("weights.enc")
        };
        one_model_of_many(&desk, || in_a_folder.clone().run(&desk.states(), None, &Options::new()));
    }
}

#[test]
fn publishing_twice_at_the_same_time_begins_one_model() {
    for _ in 0..5 {
        let desk = Desk::new();
        let publication = desk.publication();
        one_model_of_many(&desk, || publication.open(&desk.states(), Begun::Continue));
    }
}

#[test]
fn a_state_file_is_never_overwritten_by_another_model() {
    let desk = Desk::new();
    let path = desk.path("state.json");
    let run = |sealed: &str| {
        let preparation = desk.preparation(sealed);
        preparation.run(&desk.states(), Some(path.clone()), &Options::new())
    };
    let first = run("a").unwrap().state;
    assert!(matches!(run("b"), Err(Error::Stage { stage: Stage::Prepared, .. })));
    assert_eq!(StateFile::open(&path).unwrap().state, first);
    assert!(!desk.path("b").exists());
}

#[test]
fn a_preparation_that_fails_leaves_nothing() {
    let desk = Desk::new();
    fs::write(desk.path("taken"), "x").unwrap();
    let run = |sealed: &str| {
        desk.preparation(sealed).run(&desk.states(), None, &Options::new()).map(|_| ())
    };
    assert!(matches!(run("taken"), Err(Error::Weights(_))));
    assert_eq!(fs::read(desk.path("taken")).unwrap(), b"x");
    assert!(desk.states().read().unwrap().is_empty());
    assert!(matches!(desk.states().newest(), Err(Error::NothingPrepared { .. })));

    fs::write(desk.path("weights.safetensors"), "not safetensors").unwrap();
    assert!(matches!(run("weights.enc"), Err(Error::NotSafetensors { .. })));
    assert!(!desk.path("weights.enc").exists());
}

#[test]
#[cfg(unix)]
fn paths_that_no_state_file_can_hold_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;

    let desk = Desk::new();
    let odd = desk.folder.path().join(std::ffi::OsString::from_vec(b"odd-\xff".to_vec()));
    let refused = |found: Result<StateFile, Error>| match found {
        Err(Error::PathNotUtf8 { path }) => assert_eq!(path, odd),
        other => panic!("{other:?}"),
    };
    let run = |preparation: Preparation| preparation.run(&desk.states(), None, &Options::new());
    let mut sealed_there = desk.preparation("weights.enc");
    sealed_there.sealed_file = Some(odd.clone());
    refused(run(sealed_there));
    fs::copy(desk.path("weights.safetensors"), &odd).unwrap();
    let mut weights_there = desk.preparation("weights.enc");
    weights_there.weights_file.clone_from(&odd);
    refused(run(weights_there));
    assert!(!desk.path("models").exists() && !desk.path("weights.enc").exists());

    // What is on file stays as it was.
    let mut file = desk.prepared();
    let before = fs::read(file.path()).unwrap();
    let refusal = file.update(|state| state.registration.sealed_file.clone_from(&odd));
    assert!(matches!(refusal, Err(Error::PathNotUtf8 { .. })));
    assert_eq!(fs::read(file.path()).unwrap(), before);
}

#[test]
fn weights_that_are_missing_are_no_bad_safetensors() {
    let desk = Desk::new();
    fs::remove_file(desk.path("weights.safetensors")).unwrap();
    let found = desk.preparation("weights.enc").run(&desk.states(), None, &Options::new());
    assert!(matches!(found, Err(Error::Weights(soma_crypto::Error::Open { .. }))));
}

#[test]
fn an_interrupted_preparation_is_taken_up() {
    let desk = Desk::new();
    let mut file = desk.prepared();
    let (path, key) = (file.path().to_owned(), key_hex(&file));
    let (id, sealed) = (file.state.model_id, file.state.registration.sealed);
    file.update(|state| state.registration.sealed = None).unwrap();
    drop(file);
    let again = |sealed: &str| {
        let preparation = desk.preparation(sealed);
        preparation.run(&desk.states(), Some(path.clone()), &Options::new()).unwrap()
    };

    // The encrypted file was complete: its key stays.
    let mut file = again("weights.enc");
    assert_eq!((key_hex(&file), file.state.registration.sealed), (key.clone(), sealed));

    // It is not there, or it is another one: the key is not used twice.
    fs::remove_file(desk.path("weights.enc")).unwrap();
    file.update(|state| state.registration.sealed = None).unwrap();
    drop(file);
    let file = again("weights.enc");
    assert_ne!(key_hex(&file), key);
    assert_eq!(file.state.model_id, id);
    assert_eq!(file.state.registration.stage(), Stage::Prepared);
}

#[test]
fn every_preparation_has_its_own_key_and_ids() {
    let desk = Desk::new();
    let one = desk.prepared();
    let two = desk.preparation("two.enc").run(&desk.states(), None, &Options::new()).unwrap();
    assert_ne!(key_hex(&one), key_hex(&two));
    assert_ne!(one.state.model_id, two.state.model_id);
    assert_ne!(
        fs::read(desk.path("weights.enc")).unwrap(),
        fs::read(desk.path("two.enc")).unwrap()
    );
    assert_eq!(desk.states().newest().unwrap(), two.path());
}

#[test]
fn an_update_waits_for_the_weights_before_it() {
    let desk = Desk::new();
    let mut file = desk.prepared();
    let refused = desk.preparation("new.enc").run_update(&mut file, &Options::new());
    assert!(matches!(refused, Err(Error::Stage { stage: Stage::Prepared, .. })));
    file.update(|state| {
        state.registration.commit = Some(Sent::found(3));
        state.registration.reveal = Some(Sent::found(4));
    })
    .unwrap();
    desk.preparation("new.enc").run_update(&mut file, &Options::new()).unwrap();
    let (of, update) = file.state.current();
    assert_eq!((of, update.stage()), (RevealOf::Update, Stage::Prepared));
    assert_ne!(update.decryption_key, file.state.registration.decryption_key);
    assert_eq!(file.state.spent, [file.state.registration.spent()]);
    let signer = KeyPair::from_bytes([1; 32]);
    let kind = TransactionKind::DeactivateModel { model_id: file.state.model_id };
    let signed = TransactionData::new(kind, signer.address(), Vec::new()).sign(&signer);
    // Neither one whose commit may still arrive makes room, nor one that waits
    // for its reveal: its key is nowhere else.
    for (commit, stage) in
        [(Sent::unsent(&signed), Stage::CommitSigned), (Sent::found(5), Stage::Committed)]
    {
        file.update(|state| state.update.as_mut().unwrap().commit = Some(commit)).unwrap();
        let before = fs::read(file.path()).unwrap();
        let refused = desk.preparation("third.enc").run_update(&mut file, &Options::new());
        assert!(matches!(refused, Err(Error::Stage { stage: found, .. }) if found == stage));
        assert_eq!(fs::read(file.path()).unwrap(), before);
        assert!(!desk.path("third.enc").exists());
    }
}

#[test]
fn another_embedding_drops_a_signed_reveal() {
    let desk = Desk::new();
    let mut state = desk.prepared().state.clone();
    let signer = KeyPair::from_bytes([1; 32]);
    let kind = TransactionKind::DeactivateModel { model_id: state.model_id };
    let signed = TransactionData::new(kind, signer.address(), Vec::new()).sign(&signer);
    state.registration.commit = Some(Sent::found(3));
    state.set_embedding(RevealOf::Registration, vec![0.5, 1.0]);
    state.registration.reveal = Some(Sent::unsent(&signed));

    state.set_embedding(RevealOf::Registration, vec![0.5, 1.0]);
    assert_eq!(state.registration.stage(), Stage::RevealSigned);
    state.set_embedding(RevealOf::Registration, vec![0.5, 2.0]);
    assert_eq!(state.registration.stage(), Stage::Committed);
    assert_eq!(state.registration.embedding.as_deref(), Some(&[0.5, 2.0][..]));

    // What is public cannot be changed any more.
    state.registration.reveal = Some(Sent::found(4));
    state.set_embedding(RevealOf::Registration, vec![3.0]);
    assert_eq!(state.registration.embedding.as_deref(), Some(&[0.5, 2.0][..]));
}

#[test]
fn an_update_that_cannot_be_encrypted_leaves_the_one_before() {
    let desk = Desk::new();
    let mut file = desk.prepared();
    file.update(|state| {
        state.registration.commit = Some(Sent::found(3));
        state.registration.reveal = Some(Sent::found(4));
    })
    .unwrap();
    desk.preparation("new.enc").run_update(&mut file, &Options::new()).unwrap();
    let before = fs::read(file.path()).unwrap();

    // The same weights once more are prepared already.
    desk.preparation("new.enc").run_update(&mut file, &Options::new()).unwrap();
    assert_eq!(fs::read(file.path()).unwrap(), before);

    // The output exists.
    fs::write(desk.path("taken.enc"), "x").unwrap();
    let refused = desk.preparation("taken.enc").run_update(&mut file, &Options::new());
    assert!(matches!(refused, Err(Error::Weights(soma_crypto::Error::OutputExists { .. }))));
    assert_eq!(fs::read(file.path()).unwrap(), before);

    // Interrupted on the way.
    let options = Options::new().with_progress(|_| ControlFlow::Break(()));
    let refused = desk.preparation("third.enc").run_update(&mut file, &options);
    assert!(matches!(refused, Err(Error::Weights(_))), "{refused:?}");
    assert_eq!(fs::read(file.path()).unwrap(), before);
    assert!(!desk.path("third.enc").exists());

    // Nothing stands in the way of the next one.
    desk.preparation("third.enc").run_update(&mut file, &Options::new()).unwrap();
    assert_eq!(file.state.spent.len(), 2);
}

#[test]
fn damage_is_told_without_the_key() {
    let desk = Desk::new();
    let file = desk.prepared();
    let (path, key) = (file.path().to_owned(), key_hex(&file));
    drop(file);
    let good = fs::read_to_string(&path).unwrap();
    let broken_key = key.replace(|c: char| c.is_ascii_digit(), "x");
    for (bad, part) in [
        (good[..good.len() / 2].to_owned(), "damaged at line"),
        (String::new(), "damaged"),
        (good.replace("state/1", "state/2"), "soma-model-state/2"),
        (good.replace("soma-model-state/1", "other"), "other"),
        (good.replace(&key, &broken_key), "damaged at line"),
        (good.replace("\"owner\"", "\"stranger\""), "damaged at line"),
        ("{\"format\": 5}".to_owned(), "damaged"),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = StateFile::open(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!error.contains(&key) && !error.contains(&broken_key), "{error}");
        let listed = desk.states().read().unwrap();
        assert!(listed.iter().any(|(listed, state)| *listed == path && state.is_err()));
    }
    assert!(matches!(StateFile::open(&desk.path("none.json")), Err(Error::Io { .. })));
    assert!(!desk.path(".none.json.lock").exists());
}
