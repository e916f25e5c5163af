//! The files of a wallet: forms, modes, concurrent writers, damage.

use std::fs;
use std::path::Path;

use soma_proto::{Address, CheckpointDigest, KeyPair};
use soma_wallet::{ClientConfig, Environment, Error, Identity, Keystore, NewKey, Wallet};

const REFERENCE: &str = include_str!("data/reference_client.yaml");

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn key(seed: u8) -> KeyPair {
    KeyPair::from_bytes([seed; 32])
}

mod config {
    use super::*;

    #[test]
    fn a_file_of_the_published_tools_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.yaml");
        fs::write(&path, REFERENCE).unwrap();
        let config = ClientConfig::open(&path).unwrap();
        assert_eq!(config.keystore(), Path::new("/home/ana/.soma/soma_config/soma.keystore"));
        let names: Vec<_> = config.envs().iter().map(|env| env.alias.as_str()).collect();
        assert_eq!(names, ["testnet", "local"]);
        let active = config.active_env().unwrap();
        assert_eq!(active.rpc, "https://fullnode.testnet.soma.org:443");
        assert_eq!(
            active.chain_id.unwrap().to_string(),
            "7p6ULEUmXQ7mRDv5w8aQVqxwediUYXz4GojCgYsfjfup"
        );
        assert_eq!(config.env("localnet").unwrap().alias, "local");
        let auth = config.env("local").unwrap().basic_auth.clone().unwrap();
        assert_eq!((auth.user(), auth.password()), ("ana", "hush"));
        assert_eq!(
            config.active_address().unwrap().to_string(),
            "a0ccc8bcc83f6c628340134f8546a21e0618fd1aaa02432bba454c4a2c2233da"
        );
    }

    #[test]
    fn unknown_keys_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.yaml");
        fs::write(&path, REFERENCE).unwrap();
        let mut config = ClientConfig::open(&path).unwrap();
        config.switch_env("localnet").unwrap();
        config.set_chain_id("local", CheckpointDigest::new([9; 32])).unwrap();
        let extra = Environment::new("extra", "https://rpc.example.org").unwrap();
        config.add_env(extra).unwrap();
        let written = fs::read_to_string(&path).unwrap();
        let expected = "\
---
keystore:
  File: /home/ana/.soma/soma_config/soma.keystore
external_keys: null
envs:
- alias: testnet
  rpc: https://fullnode.testnet.soma.org:443
  basic_auth: null
  chain_id: 7p6ULEUmXQ7mRDv5w8aQVqxwediUYXz4GojCgYsfjfup
- alias: local
  rpc: http://127.0.0.1:9000
  basic_auth: ana:hush
  label: kept by some later release
  chain_id: cRKEhErT5WJKc9ZWHFm3dGnJ2UBJWMTMvKmZNAdCP9g
- alias: extra
  rpc: https://rpc.example.org
  basic_auth: null
active_env: local
active_address: a0ccc8bcc83f6c628340134f8546a21e0618fd1aaa02432bba454c4a2c2233da
telemetry:
  enabled: false
  endpoints:
  - a
  - b
";
        let digest = CheckpointDigest::new([9; 32]).to_string();
        assert_eq!(
            written,
            expected.replace("cRKEhErT5WJKc9ZWHFm3dGnJ2UBJWMTMvKmZNAdCP9g", &digest)
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]

        /// Whatever the texts, a reader gets back what the writer had.
        #[test]
        fn any_text_survives(alias in ".{1,20}", auth in "[a-z]{1,4}:.{0,12}", seed: [u8; 32]) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("client.yaml");
            let address = Address::new(seed);
            let mut config =
                ClientConfig::create(&path, Path::new("/k"), Some(address)).unwrap();
            let env = Environment::new(alias, "http://[::1]:9000/?a=b#c").unwrap()
                .with_basic_auth(Some(auth.parse().unwrap()))
                .with_chain_id(CheckpointDigest::new(seed));
            config.add_env(env.clone()).unwrap();
            config.switch_env(&env.alias).unwrap();
            let read = ClientConfig::open(&path).unwrap();
            proptest::prop_assert_eq!(read.active_env().unwrap(), &env);
            proptest::prop_assert_eq!(read.active_address(), Some(address));
        }
    }

    #[test]
    fn tags_null_and_missing_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.yaml");
        fs::write(&path, "keystore: !File /k\nenvs:\n- {alias: a, rpc: 'http://x'}\n").unwrap();
        let config = ClientConfig::open(&path).unwrap();
        assert_eq!(config.keystore(), Path::new("/k"));
        assert_eq!(config.active_env().unwrap().alias, "a");
        assert_eq!(config.active_address(), None);
        fs::write(&path, "keystore: {File: /k}\n").unwrap();
        let config = ClientConfig::open(&path).unwrap();
        assert!(matches!(config.active_env(), Err(Error::NoEnvironment)));
    }

    #[test]
    fn an_address_that_looks_like_a_number_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let zeros = "0".repeat(64);
        let digits = "12345678".repeat(8);
        let small = format!("{}e0", "1".repeat(62));
        let huge = format!("1e{}", "9".repeat(62));
        let plain = format!("{}ee", "1".repeat(62));
        for (text, quoted) in
            [(&zeros, true), (&digits, true), (&small, true), (&huge, true), (&plain, false)]
        {
            let path = folder.path().join(format!("{text}.yaml"));
            let address: Address = text.parse().unwrap();
            let mut config = ClientConfig::create(&path, Path::new("/k"), Some(address)).unwrap();
            assert_eq!(config.active_address(), Some(address));
            let line = match quoted {
                true => format!("\nactive_address: '{text}'\n"),
                false => format!("\nactive_address: {text}\n"),
            };
            assert!(fs::read_to_string(&path).unwrap().contains(&line), "{text}");
            config.set_active_address(None).unwrap();
            assert!(fs::read_to_string(&path).unwrap().contains("\nactive_address: null\n"));
        }
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.yaml");
        assert!(matches!(ClientConfig::open(&path), Err(Error::NoConfig { .. })));
        for (text, part) in [
            ("", "keystore"),
            ("[]", "expected a YAML mapping"),
            ("envs: []", "keystore"),
            ("keystore: {InMem: {aliases: {}, keys: {}}}", "keystore"),
            ("keystore: {File: /k}\nenvs: 5", "envs"),
            ("keystore: {File: /k}\nenvs: [{alias: a}]", "entry 1: `rpc` is missing"),
            ("keystore: {File: /k}\nenvs: [{alias: a, rpc: x, chain_id: 0O}]", "chain_id"),
            ("keystore: {File: /k}\nactive_address: 12", "quote it"),
            ("keystore: {File: /k}\nactive_address: zz", "active_address"),
            ("keystore: {File: /k", "line"),
        ] {
            fs::write(&path, text).unwrap();
            let error = ClientConfig::open(&path).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("client.yaml"), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_of_another_kind_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.yaml");
        for text in [
            "secret-in-clear",
            "secret-in-clear secret-in-clear\n",
            "\"secret-in-clear\"",
            "secret-in-clear: 1\nsecret-in-clear: 2\n",
            "*secret-in-clear",
            "[secret-in-clear",
            "keystore: {File: /k}\nsecret-in-clear",
        ] {
            fs::write(&path, text).unwrap();
            let error = ClientConfig::open(&path).unwrap_err().to_string();
            assert!(!error.contains("secret-in-clear"), "{error}");
            assert!(error.contains("YAML mapping") && error.contains("client.yaml"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_keystore_that_cannot_be_named_is_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"h\xf6me"));
        let path = folder.path().join("client.yaml");
        let error = ClientConfig::create(&path, &odd.join("soma.keystore"), None).unwrap_err();
        assert!(matches!(error, Error::PathNotUtf8 { .. }), "{error:?}");
        let made = Wallet::create(&odd.join("client.yaml"), NewKey::default());
        assert!(matches!(made, Err(Error::PathNotUtf8 { .. })), "{made:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    }

    #[test]
    fn environments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.yaml");
        let mut config = ClientConfig::create(&path, Path::new("/k"), None).unwrap();
        let names: Vec<_> = config.envs().iter().map(|env| env.alias.clone()).collect();
        assert_eq!(names, ["localnet", "testnet"]);
        assert_eq!(config.active_env().unwrap().alias, "localnet");
        assert_eq!(config.env("local").unwrap().alias, "localnet");
        let again = Environment::new("testnet", "https://x.example").unwrap();
        assert!(matches!(config.add_env(again), Err(Error::EnvironmentExists { .. })));
        assert!(matches!(config.remove_env("local"), Err(Error::EnvironmentActive { .. })));
        assert_eq!(config.switch_env("testnet").unwrap(), "testnet");
        assert_eq!(config.remove_env("local").unwrap(), "localnet");
        let error = config.switch_env("localnet").unwrap_err().to_string();
        assert_eq!(error, "no environment `localnet` in the configuration; it has testnet");
        assert!(matches!(
            ClientConfig::create(&path, Path::new("/k"), None),
            Err(Error::FileExists { .. })
        ));
    }

    #[test]
    fn writers_do_not_undo_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.yaml");
        ClientConfig::create(&path, Path::new("/k"), None).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let mut config = ClientConfig::open(path).unwrap();
                    for n in 0..5 {
                        let name = format!("env-{writer}-{n}");
                        config.add_env(Environment::new(name, "http://x").unwrap()).unwrap();
                    }
                });
            }
        });
        assert_eq!(ClientConfig::open(&path).unwrap().envs().len(), 2 + 4 * 5);
    }
}

mod keystore {
    use super::*;

    #[test]
    fn a_bad_entry_refuses_the_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soma.keystore");
        let good = key(1).to_base64();
        let bls = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
        let short = "AAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==";
        for bad in [bls, short, "secret-in-clear", ""] {
            fs::write(&path, format!("[\"{}\", \"{bad}\"]", *good)).unwrap();
            let error = Keystore::open(&path).unwrap_err().to_string();
            assert!(error.contains("entry 2") && error.contains("soma.keystore"), "{error}");
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
        for bad in ["", "{}", "[5]", "\"secret-in-clear\"", "[\"secret-in-clear\""] {
            fs::write(&path, bad).unwrap();
            let error = Keystore::open(&path).unwrap_err().to_string();
            assert!(!error.contains("secret-in-clear"), "{error}");
        }
    }

    #[test]
    fn names_are_made_when_the_alias_file_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soma.keystore");
        fs::write(&path, format!("[\"{}\",\"{}\"]", *key(1).to_base64(), *key(2).to_base64()))
            .unwrap();
        let keystore = Keystore::open(&path).unwrap();
        let names: Vec<_> = keystore.iter().map(|(_, alias, _)| alias.to_owned()).collect();
        assert_eq!(names.len(), 2);
        assert_ne!(names[0], names[1]);
        let again = Keystore::open(&path).unwrap();
        let kept: Vec<_> = again.iter().map(|(_, alias, _)| alias.to_owned()).collect();
        assert_eq!(names, kept);
        for (address, alias, _) in keystore.iter() {
            let identity: Identity = alias.parse().unwrap();
            assert_eq!(keystore.resolve(&identity).unwrap(), address);
        }
    }

    #[test]
    fn an_empty_keystore_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let keystore = Keystore::open(folder.path().join("soma.keystore")).unwrap();
        assert!(keystore.is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_of_other_keys_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soma.keystore");
        let stranger = key(9).public_key().to_string();
        let aliases = folder.path().join("soma.aliases");
        fs::write(
            &aliases,
            format!("[{{\"alias\":\"stranger\",\"public_key_base64\":\"{stranger}\",\"x\":1}}]"),
        )
        .unwrap();
        let mut keystore = Keystore::open(&path).unwrap();
        let taken = keystore.add(key(1), Some("stranger".parse().unwrap()));
        assert!(matches!(taken, Err(Error::AliasInUse { .. })));
        keystore.add(key(1), Some("mine".parse().unwrap())).unwrap();
        assert!(matches!(
            keystore.resolve(&"stranger".parse().unwrap()),
            Err(Error::UnknownAlias { .. })
        ));
        let written: serde_json::Value =
            serde_json::from_slice(&fs::read(&aliases).unwrap()).unwrap();
        let kept = written.as_array().unwrap().iter().find(|e| e["alias"] == "stranger").unwrap();
        assert_eq!(kept["public_key_base64"], stranger);
        assert_eq!(kept["x"], 1);
        assert_eq!(keystore.add(key(9), None).unwrap().as_str(), "stranger");
    }

    #[test]
    fn a_damaged_alias_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soma.keystore");
        let public = key(1).public_key().to_string();
        let other = key(2).public_key().to_string();
        let entry = |key: &str| format!("{{\"alias\":\"a\",\"public_key_base64\":\"{key}\"}}");
        for bad in [
            "{".to_owned(),
            "[{}]".to_owned(),
            format!("[{}]", entry("%")),
            format!("[{},{}]", entry(&public), entry(&other)),
        ] {
            fs::write(folder.path().join("soma.aliases"), bad).unwrap();
            let error = Keystore::open(&path).unwrap_err();
            assert!(matches!(error, Error::AliasFile { .. }), "{error}");
        }
    }

    #[test]
    fn add_rename_remove() {
        let folder = tempfile::tempdir().unwrap();
        let mut keystore = Keystore::open(folder.path().join("soma.keystore")).unwrap();
        let address = key(1).address();
        keystore.add(key(1), Some("one".parse().unwrap())).unwrap();
        assert!(matches!(keystore.add(key(1), None), Err(Error::KeyExists { .. })));
        keystore.add(key(2), Some("two".parse().unwrap())).unwrap();
        assert!(matches!(
            keystore.rename("one", Some("two".parse().unwrap())),
            Err(Error::AliasInUse { .. })
        ));
        keystore.rename("one", Some("uno".parse().unwrap())).unwrap();
        assert_eq!(keystore.alias(&address), Some("uno"));
        let random = keystore.rename("uno", None).unwrap();
        assert_eq!(keystore.alias(&address), Some(random.as_str()));
        assert!(matches!(keystore.rename("uno", None), Err(Error::UnknownAlias { .. })));
        assert_eq!(keystore.remove(&address).unwrap(), random.as_str());
        assert!(matches!(keystore.remove(&address), Err(Error::UnknownKey { .. })));
        assert_eq!(keystore.len(), 1);
        assert_eq!(Keystore::open(keystore.path()).unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soma.keystore");
        Keystore::open(&path).unwrap().add(key(1), None).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Keystore::open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn writers_do_not_undo_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soma.keystore");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let mut keystore = Keystore::open(path).unwrap();
                    for n in 0..5 {
                        keystore.add(key(writer * 5 + n), None).unwrap();
                    }
                });
            }
        });
        assert_eq!(Keystore::open(&path).unwrap().len(), 20);
    }

    #[test]
    fn debug_shows_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let mut keystore = Keystore::open(folder.path().join("soma.keystore")).unwrap();
        keystore.add(key(1), None).unwrap();
        let shown = format!("{keystore:?}");
        assert!(shown.contains(&key(1).address().to_string()));
        assert!(!shown.contains(&*key(1).to_base64()) && !shown.contains(&*key(1).to_hex()));
    }
}

mod wallet {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_first_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/client.yaml");
        assert!(matches!(Wallet::open(&path), Err(Error::NoConfig { .. })));
        let (wallet, created) = Wallet::create(&path, NewKey::default()).unwrap();
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(wallet.keystore().len(), 1);
        assert_eq!(wallet.active_address(), Some(created.address));
        assert_eq!(wallet.keystore().alias(&created.address), Some(created.alias.as_str()));
        assert!(wallet.keystore().path().is_absolute());
        assert!(matches!(Wallet::create(&path, NewKey::default()), Err(Error::FileExists { .. })));
        assert_eq!(Wallet::open(&path).unwrap().keystore().len(), 1);
    }

    #[test]
    fn the_phrase_of_a_new_key_brings_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let (mut wallet, created) =
            Wallet::create(&folder.path().join("client.yaml"), NewKey::default()).unwrap();
        let phrase = created.phrase.unwrap();
        let identity = Identity::from(created.address);
        let removed = wallet.remove(&identity).unwrap();
        assert_eq!((removed.alias, removed.active), (created.alias.to_string(), None));
        assert!(matches!(wallet.resolve(None), Err(Error::NoActiveAddress)));
        let path = soma_wallet::DerivationPath::default();
        let back = wallet.import(&phrase, &path, None).unwrap();
        assert_eq!(back.address, created.address);
        assert!(back.phrase.is_none());
        assert_eq!(wallet.active_address(), Some(created.address));
    }

    #[test]
    fn the_active_address_moves_on() {
        let folder = tempfile::tempdir().unwrap();
        let (mut wallet, first) =
            Wallet::create(&folder.path().join("client.yaml"), NewKey::default()).unwrap();
        let second = wallet.new_key(NewKey::default()).unwrap();
        assert_eq!(wallet.active_address(), Some(first.address), "making a key does not switch");
        assert!(matches!(
            wallet.switch(&Address::new([7; 32]).into()),
            Err(Error::UnknownKey { .. })
        ));
        wallet.switch(&second.address.into()).unwrap();
        let removed = wallet.remove(&Identity::Alias(second.alias.to_string())).unwrap();
        assert_eq!(removed.active, Some(first.address));
    }

    #[test]
    fn published_keys_sign_on_local_chains_only() {
        let folder = tempfile::tempdir().unwrap();
        let (mut wallet, _) =
            Wallet::create(&folder.path().join("client.yaml"), NewKey::default()).unwrap();
        let path = soma_wallet::DerivationPath::default();
        let account = wallet.import(soma_wallet::development::PHRASE, &path, None).unwrap().address;
        wallet.signer(&account, "localnet").unwrap();
        assert!(matches!(wallet.signer(&account, "testnet"), Err(Error::DevelopmentKey { .. })));
    }
}
