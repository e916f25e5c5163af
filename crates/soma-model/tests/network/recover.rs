//! Models that are found again with the wallet's key and the host alone.

use std::fs;
use std::path::Path;

use soma_crypto::Options;
use soma_model::state::Round;
use soma_model::{
    Check, Error, Preparation, Recovered, Recovery, RevealOf, Stage, StateFile, StateFolder,
    TypedUrl, companion, transfer, weights_key,
};
use soma_proto::KeyPair;
use soma_proto::system_state::ModelStatus;

use crate::world::{TERMS, World};

/// Weights in a folder, under a key of the owner's wallet.
fn in_folder(world: &World, wallet: Option<&KeyPair>) -> Preparation {
    Preparation {
        sealed_file: None,
        url: format!("{}/models/", world.network.files_url().unwrap()).parse().unwrap(),
        wallet: wallet.cloned(),
        ..world.preparation("unused")
    }
}

/// Puts what was prepared where its URL says.
fn upload(world: &World, file: &StateFile, with_companion: bool) -> TypedUrl {
    let round = file.state.current().1;
    let served = world.served("models");
    fs::create_dir_all(&served).unwrap();
    let put = |path: &Path| fs::copy(path, served.join(path.file_name().unwrap())).unwrap();
    put(&round.sealed_file);
    if with_companion {
        put(&companion::path(&round.sealed_file));
    }
    round.weights_url.clone().into()
}

async fn recover(
    world: &World,
    folder: &StateFolder,
    keys: &[&KeyPair],
    url: &TypedUrl,
    embedding: Option<Vec<f32>>,
) -> soma_model::Result<Recovered> {
    let (client, storage) = (&world.client, &world.storage);
    Recovery { client, storage, keys: keys.to_vec(), folder, embedding }.run(url).await
}

fn elsewhere(world: &World, name: &str) -> StateFolder {
    StateFolder::new(world.folder.path().join(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_companion_at_every_stage() {
    let world = World::new().await;
    let (session, owner) = (world.session(), &world.owner);
    let stranger = KeyPair::from_bytes([9; 32]);
    let keys = [&stranger, owner];
    let mut file =
        in_folder(&world, Some(owner)).run(&world.states(), None, &Options::new()).unwrap();
    let url = upload(&world, &file, true);

    // Before the commit: ids, key and vector.
    let found = recover(&world, &elsewhere(&world, "a"), &keys, &url, None).await.unwrap();
    assert_eq!((found.owner, found.of), (owner.address(), None));
    assert_eq!(found.state.ids(), file.state.ids());
    assert_eq!(found.state.registration, file.state.registration);
    // That much and no more is known: it may be for any chain.
    let [finding] = found.report.findings.as_slice() else { panic!("{:?}", found.report) };
    assert!(finding.message.contains("nobody has committed to these weights yet"), "{finding:?}");
    assert!(finding.remedy.as_ref().unwrap().contains("soma model commit --prepared"));
    assert_eq!((found.state.chain_id, found.state.owner), (None, None));
    // Its commit is that of the state that was lost.
    let mut again = StateFile::open(&found.path).unwrap();
    let done = session.commit(&mut again, TERMS).await.unwrap();
    drop((again, session.commit(&mut file, TERMS).await.unwrap()));

    // Between commit and reveal.
    let found = recover(&world, &elsewhere(&world, "b"), &keys, &url, None).await.unwrap();
    assert_eq!(found.of, Some(RevealOf::Registration));
    let round = &found.state.registration;
    assert_eq!(
        (round.stage(), round.commit.as_ref().unwrap().epoch),
        (Stage::Committed, Some(done.epoch))
    );
    world.next_epoch().await;
    let mut again = StateFile::open(&found.path).unwrap();
    session.reveal(&mut again, RevealOf::Registration).await.unwrap();
    assert_eq!(world.status(&again).await, ModelStatus::Active);

    // An update, between its two steps, and after them.
    in_folder(&world, Some(owner)).run_update(&mut again, &Options::new()).unwrap();
    let url = upload(&world, &again, true);
    let found = recover(&world, &elsewhere(&world, "u"), &keys, &url, None).await.unwrap();
    let remedy = found.report.findings[0].remedy.clone().unwrap();
    assert!(remedy.contains("soma model update-commit --prepared"), "{remedy}");
    session.commit_update(&mut again).await.unwrap();
    let found = recover(&world, &elsewhere(&world, "c"), &keys, &url, None).await.unwrap();
    assert_eq!(found.of, Some(RevealOf::Update));
    assert_eq!(found.state.registration.stage(), Stage::Revealed);
    assert!(found.state.chain_id.is_some() && found.report.findings.is_empty());
    world.next_epoch().await;
    let mut third = StateFile::open(&found.path).unwrap();
    session.reveal(&mut third, RevealOf::Update).await.unwrap();
    let found = recover(&world, &elsewhere(&world, "d"), &keys, &url, None).await.unwrap();
    assert_eq!((found.of, found.state.current().1.stage()), (None, Stage::Revealed));

    // A state that is there is left alone.
    let refused = recover(&world, &elsewhere(&world, "d"), &keys, &url, None).await;
    assert!(matches!(refused, Err(Error::File(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_companion_the_chain_tells_the_rest() {
    let world = World::new().await;
    let (session, owner) = (world.session(), &world.owner);
    let mut file =
        in_folder(&world, Some(owner)).run(&world.states(), None, &Options::new()).unwrap();
    let url = upload(&world, &file, false);
    let warned = session.commit(&mut file, TERMS).await.unwrap().report;
    let companion: Vec<_> = warned.warnings().filter(|f| f.check == Check::Companion).collect();
    assert!(companion[0].remedy.as_ref().unwrap().contains(".state"), "{warned:?}");

    let found = recover(&world, &elsewhere(&world, "a"), &[owner], &url, None).await.unwrap();
    assert_eq!(found.state.ids(), file.state.ids());
    assert_eq!(found.report.findings[0].check, Check::Embedding);
    let vector = file.state.registration.embedding.clone();
    let found = recover(&world, &elsewhere(&world, "b"), &[owner], &url, vector).await.unwrap();
    world.next_epoch().await;
    let mut again = StateFile::open(&found.path).unwrap();
    session.reveal(&mut again, RevealOf::Registration).await.unwrap();

    // An update: what was revealed comes from the chain.
    in_folder(&world, Some(owner)).run_update(&mut again, &Options::new()).unwrap();
    let url = upload(&world, &again, false);
    session.commit_update(&mut again).await.unwrap();
    let vector = again.state.current().1.embedding.clone();
    let found = recover(&world, &elsewhere(&world, "c"), &[owner], &url, vector).await.unwrap();
    assert_eq!(found.of, Some(RevealOf::Update));
    let first = &found.state.registration;
    assert_eq!(first.decryption_key, again.state.registration.decryption_key);
    assert_eq!(first.embedding, again.state.registration.embedding);
    world.next_epoch().await;
    let mut last = StateFile::open(&found.path).unwrap();
    session.reveal(&mut last, RevealOf::Update).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_found() {
    let world = World::new().await;
    let (owner, stranger) = (&world.owner, KeyPair::from_bytes([9; 32]));
    let folder = elsewhere(&world, "a");
    let reason = |result: soma_model::Result<Recovered>| result.unwrap_err().to_string();

    let random = in_folder(&world, None).run(&world.states(), None, &Options::new()).unwrap();
    let url = upload(&world, &random, false);
    let told = reason(recover(&world, &folder, &[owner, &stranger], &url, None).await);
    assert!(told.contains("none of the 2 keys"), "{told}");

    let file = in_folder(&world, Some(owner)).run(&world.states(), None, &Options::new()).unwrap();
    let url = upload(&world, &file, true);
    let told = reason(recover(&world, &folder, &[&stranger], &url, None).await);
    assert!(told.contains("none of the 1 keys"), "{told}");

    // A companion of another object is not believed.
    let other = in_folder(&world, Some(owner)).run(&elsewhere(&world, "o"), None, &Options::new());
    let other = upload(&world, &other.unwrap(), true);
    let name = |url: &TypedUrl| url.normal().as_url().path().rsplit('/').next().unwrap().to_owned();
    let served = world.served("models");
    let companion = |url| served.join(format!("{}.state", name(url)));
    fs::copy(companion(&other), companion(&url)).unwrap();
    let found = recover(&world, &folder, &[owner], &url, None).await.unwrap();
    assert_ne!(found.state.ids(), file.state.ids(), "it was never committed to");
    assert_eq!(found.state.registration.decryption_key, file.state.registration.decryption_key);
    let checks: Vec<_> = found.report.warnings().map(|finding| finding.check).collect();
    assert_eq!(checks, [Check::ModelId, Check::Embedding]);
    assert_eq!(found.state.chain_id, None);

    let plain = format!("{}/w.enc", world.network.files_url().unwrap()).parse().unwrap();
    let told = reason(recover(&world, &folder, &[owner], &plain, None).await);
    assert!(told.contains("64 hex digits"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_preparation_has_a_name_of_its_own() {
    let world = World::new().await;
    let owner = &world.owner;
    let run = |wallet| in_folder(&world, wallet).run(&world.states(), None, &Options::new());
    let first = run(Some(owner)).unwrap();
    let round = first.state.registration.clone();
    let name = round.weights_url.as_url().path().rsplit('/').next().unwrap().to_owned();
    assert_eq!(round.sealed_file.file_name().unwrap().to_str().unwrap(), name);
    assert_eq!(round.decryption_key, weights_key(owner, &name.parse().unwrap()));
    let (id, path) = (first.state.model_id, first.path().to_owned());
    drop(first);

    // The same weights again, written anew: the same model, as long as nobody
    // committed to it.
    let mut again = run(Some(owner)).unwrap();
    let plain_modified = again.state.registration.plain_modified;
    let round = Round { plain_modified, ..round };
    assert_eq!((again.state.model_id, &again.state.registration), (id, &round));
    // The encrypted file is gone, or of other weights: a new name, a new key.
    fs::remove_file(&round.sealed_file).unwrap();
    again.update(|state| state.registration.sealed = None).unwrap();
    drop(again);
    let renamed = run(Some(owner)).unwrap();
    assert_eq!((renamed.state.model_id, renamed.path()), (id, path.as_path()));
    assert_ne!(renamed.state.registration.decryption_key, round.decryption_key);
    assert_ne!(renamed.state.registration.weights_url, round.weights_url);
    drop(renamed);
    let random = run(None).unwrap();
    assert_ne!(random.state.model_id, id);
    let url = &random.state.registration.weights_url;
    let name = url.as_url().path().rsplit('/').next().unwrap().parse().unwrap();
    assert_ne!(random.state.registration.decryption_key, weights_key(owner, &name));
    assert!(!companion::path(&random.state.registration.sealed_file).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_another_machine_under_a_passphrase() {
    let world = World::new().await;
    let file = world.prepared("one.enc");
    let passphrase = "correct horse battery staple";
    let bytes = transfer::export(&file.state, passphrase).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert_eq!(transfer::import(&bytes, passphrase).unwrap(), file.state);
    for (bytes, passphrase, words) in [
        (&bytes[..], "correct horse battery stable", "another one"),
        (&bytes[..bytes.len() - 1], passphrase, "damaged"),
        (b"{}", passphrase, "not a state"),
    ] {
        let told = transfer::import(bytes, passphrase).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
        assert!(!told.contains("horse"), "{told}");
    }
    let short = transfer::export(&file.state, "hunter2").unwrap_err().to_string();
    assert!(short.contains("12 characters") && !short.contains("hunter2"), "{short}");
}
