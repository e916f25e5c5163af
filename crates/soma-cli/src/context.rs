//! What a command works with: wallet, environment, client, output.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use soma_proto::Address;
use soma_rpc::{Client, ClientBuilder};
use soma_wallet::{
    ConfigDir, CreatedKey, Environment, Identity, NewKey, Overrides, Target, Wallet,
};

use crate::cli::GlobalArgs;
use crate::error::{Failure, Result};
use crate::output::Output;
use crate::prompt::{self, Empty};

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where results go.
    pub(crate) out: Output,
    global: GlobalArgs,
}

impl Context {
    /// The context of one command line.
    pub(crate) const fn new(global: GlobalArgs, out: Output) -> Self {
        Self { out, global }
    }

    /// Asks before something that cannot be undone. With `-y`, and where nobody
    /// can answer because the command was given in a script, the answer is yes.
    pub(crate) fn confirm(&self, question: &str) -> Result<()> {
        if self.global.yes || !prompt::has_terminal() || prompt::confirm(question, Empty::No) {
            return Ok(());
        }
        Err(Failure::new("Aborted", "nothing was done"))
    }

    /// Asks before a secret is shown; in a script only `-y` will do.
    pub(crate) fn confirm_secret(&self, question: &str) -> Result<()> {
        if self.global.yes {
            return Ok(());
        }
        if !prompt::has_terminal() {
            return Err(Failure::new("Aborted", "a secret key is shown only on a terminal")
                .with_hint("-y shows it all the same"));
        }
        self.confirm(question)
    }

    /// The global flags that make another run work with the same things.
    pub(crate) fn flags_for_another_run(&self) -> Result<Vec<String>> {
        let mut words = Vec::new();
        if let Some(path) = &self.global.config {
            let path = std::path::absolute(path)
                .map_err(|e| Failure::new("System", format!("{}: {e}", path.display())))?;
            words.extend(["--client.config".to_owned(), path.display().to_string()]);
        }
        if let Some(env) = &self.global.env {
            words.extend(["--client.env".to_owned(), env.clone()]);
        }
        Ok(words)
    }

    /// Where the wallet's configuration is.
    pub(crate) fn config_path(&self) -> Result<PathBuf> {
        match &self.global.config {
            Some(path) => Ok(path.clone()),
            None => Ok(ConfigDir::from_env()?.client_yaml()),
        }
    }

    /// The wallet, made on the first run.
    pub(crate) fn wallet(&self) -> Result<Wallet> {
        match self.existing_wallet()? {
            Some(wallet) => Ok(wallet),
            None => {
                let (wallet, created) = self.create_wallet(NewKey::default())?;
                self.tell_first_key(&created);
                Ok(wallet)
            }
        }
    }

    /// The wallet, if there is one.
    pub(crate) fn existing_wallet(&self) -> Result<Option<Wallet>> {
        match Wallet::open(&self.config_path()?) {
            Ok(wallet) => Ok(Some(wallet)),
            // A file that was named has to be there.
            Err(soma_wallet::Error::NoConfig { .. }) if self.global.config.is_none() => Ok(None),
            Err(e @ soma_wallet::Error::NoConfig { .. }) if !self.global.yes => Err(e.into()),
            Err(soma_wallet::Error::NoConfig { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes a wallet with one key, after asking.
    pub(crate) fn create_wallet(&self, key: NewKey) -> Result<(Wallet, CreatedKey)> {
        let path = self.config_path()?;
        self.confirm_creation(&path)?;
        Ok(Wallet::create(&path, key)?)
    }

    /// The wallet for a key that is brought in: on the first run none is made.
    pub(crate) fn wallet_or_empty(&self) -> Result<Wallet> {
        if let Some(wallet) = self.existing_wallet()? {
            return Ok(wallet);
        }
        let path = self.config_path()?;
        self.confirm_creation(&path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let dir = ConfigDir::at(folder.unwrap_or(Path::new(".")));
        dir.create()?;
        soma_wallet::ClientConfig::create(&path, &dir.keystore(), None)?;
        Ok(Wallet::open(&path)?)
    }

    /// The services to talk to, by flags, variables and configuration.
    pub(crate) fn target(&self, wallet: Option<&Wallet>) -> Result<Target> {
        let flags = Overrides { env: self.global.env.clone(), ..Overrides::default() };
        let config = wallet.map(Wallet::config);
        Ok(Target::resolve(config, &flags, &Overrides::from_env())?)
    }

    /// The services to talk to for a command that needs no key.
    pub(crate) fn target_without_wallet(&self) -> Result<Target> {
        self.target(self.existing_wallet()?.as_ref())
    }

    /// The account that is meant: an address needs no wallet.
    pub(crate) fn account(&self, identity: Option<&Identity>) -> Result<Address> {
        match identity {
            Some(Identity::Address(address)) => Ok(*address),
            _ => Ok(self.wallet()?.resolve(identity)?),
        }
    }

    fn confirm_creation(&self, path: &Path) -> Result<()> {
        if self.global.yes {
            return Ok(());
        }
        if !prompt::has_terminal() {
            return Err(soma_wallet::Error::NoConfig { path: path.to_owned() }.into());
        }
        let question = format!("There is no wallet at {} yet. Create one?", path.display());
        match prompt::confirm(&question, Empty::Yes) {
            true => Ok(()),
            false => Err(Failure::new("Aborted", "no wallet was created")),
        }
    }

    /// Tells about the key of a new wallet. Its phrase goes to a terminal only.
    fn tell_first_key(&self, created: &CreatedKey) {
        self.out.note(&format!(
            "Created a wallet with the key {} ({})",
            created.alias, created.address
        ));
        match &created.phrase {
            Some(phrase) if io::stderr().is_terminal() => {
                self.out.note(&format!("Recovery phrase, shown only now: {}", phrase.as_str()));
            }
            _ => self
                .out
                .note("Its recovery phrase is not shown here; soma wallet export shows its key"),
        }
    }
}

/// A runtime for one command.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("System", format!("cannot start: {e}")))?
        .block_on(future)
}

/// A client of an environment's node.
pub(crate) fn client(environment: &Environment) -> Result<Client> {
    let mut builder = ClientBuilder::new(&environment.rpc);
    if let Some(auth) = &environment.basic_auth {
        builder = builder.with_basic_auth(auth.user(), auth.password());
    }
    Ok(builder.build()?)
}

/// As [`client`], with the name of the chain that the node serves. Stops if that
/// is another chain than the one on file: money must not move on the wrong one.
pub(crate) async fn client_on_chain(environment: &Environment) -> Result<(Client, String)> {
    let client = client(environment)?;
    let info = client.service_info().await?;
    if let Some(chain_id) = info.chain_id {
        environment.check_chain(chain_id)?;
    }
    Ok((client, info.chain.unwrap_or_default()))
}
