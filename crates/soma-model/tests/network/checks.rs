//! Every check before money moves: what it says, and what it says to do.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use soma_crypto::Options;
use soma_localnet::account_keys;
use soma_model::state::Terms;
use soma_model::{
    Check, CommitPlan, Error, Finding, Gas, Host, Network, Preparation, Report, RevealOf, Scope,
    Session, Severity, StateFile, embedding,
};
use soma_proto::{CheckpointDigest, Commitment, DecryptionKey, KeyPair, ObjectId};

use crate::clock;
use crate::world::{Fault, STAKE, TERMS, World, bad_host, refusal};

/// The finding of a check, with these words in its message and in its remedy.
#[track_caller]
fn expect(report: &Report, severity: Severity, check: Check, message: &str, remedy: &str) {
    let told = |finding: &&Finding| {
        finding.severity == severity
            && finding.check == check
            && finding.message.contains(message)
            && finding.remedy.as_deref().unwrap_or_default().contains(remedy)
    };
    let found = report.findings.iter().filter(told).count();
    assert_eq!(found, 1, "{check}: {message:?} ({remedy:?}) in {report:#?}");
}

/// A state that is in order, changed.
fn spoiled(world: &World, name: &str, spoil: impl FnOnce(&mut soma_model::State)) -> StateFile {
    let mut file = world.prepared(name);
    file.update(spoil).unwrap();
    file
}

async fn check(world: &World, file: &StateFile) -> Report {
    world.session().check(file).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_say_of_what_is_in_order() {
    let world = World::new().await;
    let mut file = world.prepared("good.enc");
    assert_eq!(check(&world, &file).await, Report::default());
    world.session().commit(&mut file, TERMS).await.unwrap();
    world.next_epoch().await;
    assert_eq!(check(&world, &file).await, Report::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terms() {
    use Severity::{Error, Warning};
    let world = World::new().await;
    let commit = async |session: Session<'_>, terms: Terms| {
        let mut file = world.prepared(&format!("{}-{}", terms.stake_amount, terms.commission_rate));
        refusal(session.commit(&mut file, terms).await.unwrap_err())
    };

    let rate = commit(world.session(), Terms { commission_rate: 10_001, ..TERMS }).await;
    expect(&rate, Error, Check::Commission, "100.01 %", "500 is 5 %");
    let stake = commit(world.session(), Terms { stake_amount: STAKE - 1, ..TERMS }).await;
    expect(&stake, Error, Check::Stake, "below the minimum of 1000000000", "--stake-amount");
    let poor = KeyPair::from_bytes([9; 32]);
    let coins = commit(Session { key: &poor, ..world.session() }, TERMS).await;
    expect(&coins, Error, Check::Coins, "are missing", "faucet");
    let named = Gas::Coins(vec![ObjectId::new([7; 32])]);
    let coins = commit(Session { gas: named, ..world.session() }, TERMS).await;
    expect(&coins, Error, Check::Coins, "not a coin of the sender", "soma objects gas");

    // One that is high is let through, with a word.
    let mut file = world.prepared("high.enc");
    let terms = Terms { commission_rate: 5_001, ..TERMS };
    let done = world.session().commit(&mut file, terms).await.unwrap();
    expect(&done.report, Warning, Check::Commission, "more than half", "500 is 5 %");

    // Too late in the epoch, by the clock of this machine.
    let mut network = Network::ask(&world.client).await.unwrap();
    let late_ms = network.late_ms();
    assert!(network.now_ms < late_ms, "it has just begun");
    network.now_ms = late_ms;
    let plan = CommitPlan::new(Commitment::ZERO, Commitment::of("w"), STAKE);
    let report = plan.check(&network, None, None);
    expect(&report, Warning, Check::Window, "the reveal to epoch 2", "--late");
    // The clocks.
    let finding = network.check_clock(Some(network.now_ms + 60_000)).unwrap();
    expect(&Report::from_iter([finding]), Warning, Check::Clock, "60 s behind", "timedatectl");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_chain_and_owner() {
    use Severity::Error;
    let world = World::new().await;
    let mut first = world.prepared("first.enc");
    world.session().commit(&mut first, TERMS).await.unwrap();
    let (model, pool) = (first.state.model_id, first.state.staking_pool_id);

    let taken = spoiled(&world, "a.enc", |state| state.model_id = model);
    expect(&check(&world, &taken).await, Error, Check::ModelId, "in use by", "new-id");
    let taken = spoiled(&world, "b.enc", |state| state.staking_pool_id = pool);
    expect(&check(&world, &taken).await, Error, Check::PoolId, "in use by model", "new-id");
    let other = CheckpointDigest::new([7; 32]);
    let foreign = spoiled(&world, "c.enc", |state| state.chain_id = Some(other));
    let report = check(&world, &foreign).await;
    expect(&report, Error, Check::Chain, &other.to_string(), "choose the environment");
    let [_, stranger, ..] = account_keys();
    let foreign = spoiled(&world, "d.enc", |state| state.owner = Some(stranger.address()));
    expect(&check(&world, &foreign).await, Error, Check::Owner, "the sender is", "wallet switch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host() {
    use Severity::{Error, Warning};
    let world = World::new().await;
    let file = world.prepared("one.enc");
    fs::remove_file(world.served("one.enc")).unwrap();
    expect(&check(&world, &file).await, Error, Check::Host, "answered with 404", "upload");

    for (fault, message, remedy) in [
        (Fault::Closed, "answered with 403", "public"),
        (Fault::NoRanges, "does not serve byte ranges", "range"),
        (Fault::LastByte, "hashes to", "upload the encrypted file again"),
        (Fault::LongAndNoRanges, "bytes, expected", "upload the right file"),
    ] {
        let name = format!("{message}.enc").replace(' ', "-");
        let file = world.prepared(&name);
        let host = bad_host(fs::read(world.served(&name)).unwrap(), fault);
        let path = file.path().to_owned();
        drop(file);
        let mut file = StateFile::open(&path).unwrap();
        file.update(|state| state.registration.weights_url = format!("{host}/w").parse().unwrap())
            .unwrap();
        expect(&check(&world, &file).await, Error, Check::Host, message, remedy);
    }

    // Seen from a public network.
    let file = world.prepared("public.enc");
    let host = Host { scope: Scope::Public, ..world.session().host };
    let report = Session { host, ..world.session() }.check(&file).await.unwrap();
    expect(&report, Error, Check::Url, "plain http", "https");
    expect(&report, Warning, Check::ObjectName, "can be guessed", "ending in /");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_and_the_embedding() {
    use Severity::{Error, Warning};
    let world = World::new().await;
    let key = DecryptionKey::new([6; 32]);
    let other = spoiled(&world, "a.enc", |state| state.registration.decryption_key = key);
    let report = check(&world, &other).await;
    expect(&report, Error, Check::Key, "does not open", "the key that encrypted this file");

    for (numbers, message, remedy) in [
        (vec![0.5], "wants 3 numbers, the embedding has 1", "compute_loss"),
        (vec![0.5, f32::INFINITY, 1.0], "number 2 is inf", "compute_loss"),
        (vec![0.0; 3], "all numbers are zero", "never chosen"),
    ] {
        let name = format!("{message}.enc").replace([' ', ','], "-");
        let file = spoiled(&world, &name, |state| state.registration.embedding = Some(numbers));
        expect(&check(&world, &file).await, Error, Check::Embedding, message, remedy);
    }
    let file = spoiled(&world, "none.enc", |state| state.registration.embedding = None);
    let report = check(&world, &file).await;
    expect(&report, Warning, Check::Embedding, "not on file", "needed for the reveal");
    assert!(!embedding::check(&[], 3).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_used_before() {
    let world = World::new().await;
    let mut first = world.prepared("first.enc");
    world.session().commit(&mut first, TERMS).await.unwrap();
    world.next_epoch().await;
    world.session().reveal(&mut first, RevealOf::Registration).await.unwrap();
    let key = first.state.registration.decryption_key.clone();
    let (model, first_path) = (first.state.model_id.to_string(), first.path().to_owned());

    // Other weights under the same key.
    let second = spoiled(&world, "second.enc", |state| state.registration.decryption_key = key);
    let report = check(&world, &second).await;
    let place = first_path.display().to_string();
    expect(&report, Severity::Error, Check::Key, &place, "prepare the weights again");

    // The first state is gone, but the key was revealed.
    drop(first);
    fs::remove_file(first_path).unwrap();
    let report = check(&world, &second).await;
    expect(&report, Severity::Error, Check::Key, "everybody knows the key", "prepare");
    assert!(report.to_string().contains(&model), "{report}");
}

/// A state file may lie in anybody's folder; the keys of the wallet's own folder count
/// there, too.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_elsewhere() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::new().await;
    let first = world.prepared("first.enc");
    let key = first.state.registration.decryption_key.clone();
    let project = world.folder.path().join("project");
    fs::create_dir(&project).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let shared = |name: &str, bytes: &[u8]| {
        fs::write(project.join(name), bytes).unwrap();
        fs::set_permissions(project.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        project.join(name)
    };
    let package = shared("package.json", br#"{"name": "weights", "format": "esm"}"#);
    let list = shared("list.json", b"[1, 2]");
    // Memory for all of it would be missed on any machine.
    let huge = shared("huge.json", b"{}");
    File::options().write(true).open(&huge).unwrap().set_len(8 << 40).unwrap();
    // Whoever opens this one waits for ever.
    let pipe = project.join("pipe.json");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // These hold keys, whatever else is wrong with them.
    let damaged = shared("damaged.json", br#"{"format": "soma-model-state/1", "model_id"#);
    let later = shared("later.json", br#"{"format": "soma-model-state/9"}"#);

    let preparation = world.preparation("elsewhere.enc");
    let path = Some(project.join("state.json"));
    let mut file = preparation.run(&world.states(), path, &Options::new()).unwrap();
    assert_eq!(check(&world, &file).await, Report::default());
    for (path, expected) in
        [(package, 0o644), (list, 0o644), (huge, 0o644), (damaged, 0o600), (later, 0o600)]
    {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }

    file.update(|state| state.registration.decryption_key = key).unwrap();
    let report = check(&world, &file).await;
    let place = first.path().display().to_string();
    expect(&report, Severity::Error, Check::Key, &place, "prepare the weights again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_of_a_reveal() {
    let world = World::new().await;
    let mut file = world.prepared("one.enc");
    world.session().commit(&mut file, TERMS).await.unwrap();
    let early = check(&world, &file).await;
    expect(&early, Severity::Error, Check::Window, "into epoch 1, from about", "--wait");
    world.next_epoch().await;
    let network = Network::ask(&world.client).await.unwrap();
    let standing = soma_model::Standing::ask(&world.client, &file.state.model_id).await.unwrap();
    let plan = file.state.reveal_plan(RevealOf::Registration).unwrap();
    let now_ms = network.clock.start_timestamp_ms + network.clock.duration_ms - 1_000;
    let short = Network { now_ms, ..network };
    let report = plan.check(&short, Some(&standing), world.owner.address(), Scope::Local);
    expect(&report, Severity::Warning, Check::Window, "closes at about", "now");
    world.next_epoch().await;
    let missed = check(&world, &file).await;
    expect(&missed, Severity::Error, Check::Status, "inactive", "a new model id");
}

#[test]
fn a_disk_that_is_too_full() {
    let folder = tempfile::tempdir().unwrap();
    // More than any disk has free, and takes no room itself.
    let data = 8_u64 << 40;
    let json = format!(r#"{{"w":{{"dtype":"U8","shape":[{data}],"data_offsets":[0,{data}]}}}}"#);
    let weights_file = folder.path().join("large.safetensors");
    let mut head = (json.len() as u64).to_le_bytes().to_vec();
    head.extend(json.as_bytes());
    fs::write(&weights_file, &head).unwrap();
    let file = File::options().write(true).open(&weights_file).unwrap();
    file.set_len(head.len() as u64 + data).unwrap();
    let preparation = Preparation {
        weights_file,
        sealed_file: None,
        url: "http://127.0.0.1/".parse().unwrap(),
        embedding: None,
        wallet: None,
    };
    let states = soma_model::StateFolder::new(folder.path().join("models"));
    let report = match preparation.run(&states, None, &Options::new()) {
        Err(Error::Refused(report)) => report,
        other => panic!("{other:?}"),
    };
    expect(&report, Severity::Error, Check::Disk, "are needed in", "make room");
    assert!(states.read().unwrap().is_empty());
}

/// What is found, in this order and nothing else: how bad it is, of which check, and words
/// of the message. Each finding says what to do.
#[track_caller]
fn expect_all(report: &Report, expected: &[(Severity, Check, &str)]) {
    let found: Vec<_> = report.findings.iter().map(|it| (it.severity, it.check)).collect();
    let wanted: Vec<_> = expected.iter().map(|(severity, check, _)| (*severity, *check)).collect();
    assert_eq!(found, wanted, "{report:#?}");
    for (finding, (.., words)) in report.findings.iter().zip(expected) {
        assert!(finding.message.contains(words), "{words:?} in {finding:#?}");
        assert!(finding.remedy.is_some(), "{finding:?}");
    }
    // An error is told in a line of its own.
    let errors = report.errors().count();
    assert_eq!(report.to_string().lines().count(), errors, "{report}");
}

/// All that can be wrong with a commit at the same time. Two things cannot: an embedding
/// with a number that is not finite is not all zero, and of a file of another length, or
/// without ranges, neither header nor checksum are looked at. These are in a second report.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once_is_one_report() {
    use Severity::{Error, Warning};

    let world = World::new().await;
    let mut taken = world.prepared("taken.enc");
    world.session().commit(&mut taken, TERMS).await.unwrap();
    let key = taken.state.registration.decryption_key.clone();

    let full = world.folder.path().join("full");
    let preparation = world.preparation("bad.enc");
    let path = Some(full.join("bad.json"));
    let mut file = preparation.run(&world.states(), path, &Options::new()).unwrap();
    let host = bad_host(fs::read(world.served("bad.enc")).unwrap(), Fault::LongAndNoRanges);
    let [_, stranger, ..] = account_keys();
    file.update(|state| {
        state.chain_id = Some(CheckpointDigest::new([7; 32]));
        state.owner = Some(stranger.address());
        state.model_id = taken.state.model_id;
        state.staking_pool_id = taken.state.staking_pool_id;
        let round = &mut state.registration;
        round.weights_url = format!("{host}/w?sig=1#part").parse().unwrap();
        round.decryption_key = key.clone();
        round.embedding = Some(vec![f32::NEG_INFINITY]);
    })
    .unwrap();
    // From now on the file lies where the system says that no byte is free.
    fs::rename(&full, world.folder.path().join("moved")).unwrap();
    std::os::unix::fs::symlink("/proc/self", &full).unwrap();
    // By its node's account the network is an hour ahead, at the end of an epoch.
    let network = Network::ask(&world.client).await.unwrap();
    let newest_ms = network.now_ms + 3_600_000;
    let epoch_start_ms = network.now_ms - network.clock.duration_ms + 60_000;
    let node = clock::told(world.network.rpc_url().unwrap(), newest_ms, epoch_start_ms).await;
    let client = node.client();

    let poor = KeyPair::from_bytes([9; 32]);
    let host = Host { scope: Scope::Public, ..world.session().host };
    let session = Session { client: &client, key: &poor, host, ..world.session() };
    let terms = Terms { stake_amount: 1, commission_rate: 10_001 };
    let report = refusal(session.commit(&mut file, terms).await.unwrap_err());
    expect_all(
        &report,
        &[
            (Error, Check::Chain, "the model is for chain"),
            (Error, Check::Owner, "the model was committed by"),
            (Error, Check::Url, "signed and will expire"),
            (Warning, Check::Url, "the part after #"),
            (Error, Check::Url, "plain http"),
            (Warning, Check::ObjectName, "can be guessed"),
            (Warning, Check::Clock, "s behind the chain's"),
            (Error, Check::Embedding, "wants 3 numbers, the embedding has 1"),
            (Error, Check::Embedding, "number 1 is -inf"),
            (Error, Check::Key, "used for other weights before"),
            (Error, Check::Disk, "bytes are needed in"),
            (Error, Check::Host, "bytes, expected"),
            (Error, Check::Host, "does not serve byte ranges"),
            (Error, Check::Commission, "100.01 %"),
            (Error, Check::Stake, "below the minimum"),
            (Error, Check::ModelId, "in use by"),
            (Error, Check::PoolId, "in use by model"),
            (Warning, Check::Window, "the reveal to epoch 2"),
            (Error, Check::Coins, "are missing"),
        ],
    );
    assert!(file.state.registration.commit.is_none());

    let mut file = world.prepared("other.enc");
    let host = bad_host(fs::read(world.served("other.enc")).unwrap(), Fault::LastByte);
    file.update(|state| {
        let round = &mut state.registration;
        round.weights_url = format!("{host}/w").parse().unwrap();
        round.decryption_key = key;
        round.embedding = Some(vec![0.0; 3]);
    })
    .unwrap();
    let report = refusal(world.session().commit(&mut file, TERMS).await.unwrap_err());
    expect_all(
        &report,
        &[
            (Error, Check::Embedding, "all numbers are zero"),
            (Error, Check::Key, "used for other weights before"),
            (Error, Check::Key, "does not open the file at the URL as safetensors"),
            (Error, Check::Host, "hashes to"),
        ],
    );
    assert!(file.state.registration.commit.is_none());
}
