//! Which of flags, variables and configuration decides.

use std::path::Path;

use soma_wallet::{ClientConfig, Environment, Error, Overrides, Target};

const NONE: Overrides = Overrides { env: None, rpc_url: None, faucet_url: None, admin_url: None };

fn config(folder: &Path) -> ClientConfig {
    let mut config =
        ClientConfig::create(folder.join("client.yaml"), Path::new("/k"), None).unwrap();
    config.add_env(Environment::new("mine", "https://rpc.example.org").unwrap()).unwrap();
    config.switch_env("mine").unwrap();
    config
}

fn env(name: &str) -> Overrides {
    Overrides { env: Some(name.to_owned()), ..NONE }
}

fn rpc(url: &str) -> Overrides {
    Overrides { rpc_url: Some(url.to_owned()), ..NONE }
}

#[test]
fn precedence() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let resolve = |flags: &Overrides, vars: &Overrides| {
        Target::resolve(Some(&config), flags, vars).unwrap().environment.rpc
    };
    let both = Overrides { env: Some("testnet".to_owned()), ..rpc("http://10.0.0.1:1") };
    assert_eq!(resolve(&NONE, &NONE), "https://rpc.example.org");
    assert_eq!(resolve(&NONE, &env("localnet")), "http://127.0.0.1:9000");
    assert_eq!(resolve(&NONE, &both), "http://10.0.0.1:1");
    assert_eq!(resolve(&env("testnet"), &both), "https://fullnode.testnet.soma.org:443");
    assert_eq!(resolve(&rpc("http://10.0.0.2:1"), &both), "http://10.0.0.2:1");
    let unknown = Target::resolve(Some(&config), &env("nowhere"), &NONE);
    assert!(matches!(unknown, Err(Error::UnknownEnvironment { .. })));
    assert!(matches!(
        Target::resolve(Some(&config), &rpc("nonsense"), &NONE),
        Err(Error::Url { .. })
    ));
}

#[test]
fn a_url_of_an_environment_is_that_environment() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let target = Target::resolve(Some(&config), &NONE, &rpc("http://127.0.0.1:9000/")).unwrap();
    assert_eq!(target.environment.alias, "localnet");
}

#[test]
fn services() {
    let vars = Overrides::from_vars(|name| match name {
        "SOMA_FAUCET_URL" => Some("http://127.0.0.1:1".to_owned()),
        "SOMA_ADMIN_URL" => Some(String::new()),
        _ => None,
    });
    let target = Target::resolve(None, &NONE, &vars).unwrap();
    assert_eq!(target.environment.alias, "localnet");
    assert_eq!(target.faucet_url().unwrap(), "http://127.0.0.1:1");
    assert_eq!(target.admin_url().unwrap(), "http://127.0.0.1:9125");
    let flags = Overrides { faucet_url: Some("http://127.0.0.1:2".to_owned()), ..NONE };
    let target = Target::resolve(None, &flags, &vars).unwrap();
    assert_eq!(target.faucet_url().unwrap(), "http://127.0.0.1:2");
    let target = Target::resolve(None, &env("testnet"), &NONE).unwrap();
    assert_eq!(target.faucet_url().unwrap(), "https://faucet.testnet.soma.org");
    assert!(target.admin_url().is_err());
    assert!(Target::resolve(None, &env("mine"), &NONE).is_err());
}
