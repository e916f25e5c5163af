//! From a kind of transaction to its result, or to a preview of it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Serialize, Serializer};
use soma_model::payment::{Payment, Purse};
use soma_model::{Gas, Prepared, Scope, Severity, StateFolder, check_disclosure};
use soma_proto::{
    Address, KeyPair, ObjectId, SignedTransaction, TransactionData, TransactionDigest,
    TransactionKind,
};
use soma_rpc::{Client, Executed};
use soma_wallet::{Target, Wallet};

use crate::commands::model;
use crate::context::{Context, client_on_chain};
use crate::error::{Failure, Result};
use crate::output::transaction::{SimulationReport, TransactionReport};
use crate::output::{Page, Report};

/// Flags of every command that changes the chain.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Transaction options")]
pub(crate) struct TransactionArgs {
    /// Build the transaction, print its digest, and stop.
    #[arg(long, global = true)]
    tx_digest: bool,
    /// Try the transaction out on the node without signing it.
    #[arg(long, global = true)]
    simulate: bool,
    /// Build the transaction, print it as Base64, and stop.
    #[arg(long, global = true, conflicts_with = "serialize_signed_transaction")]
    serialize_unsigned_transaction: bool,
    /// Build and sign the transaction, print it as Base64, and stop.
    #[arg(long, global = true)]
    serialize_signed_transaction: bool,
    /// A coin that pays the fee; may be repeated. Chosen for you if left out.
    #[arg(long, global = true, value_name = "COIN_ID")]
    pub(crate) gas: Vec<ObjectId>,
    /// Seconds to wait until the transaction is in a checkpoint.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

/// What is done with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sign, execute, wait.
    Execute,
    /// Show the digest.
    Digest,
    /// Try it out.
    Simulate,
    /// Show the bytes.
    SerializeUnsigned,
    /// Sign and show the bytes.
    SerializeSigned,
}

impl TransactionArgs {
    /// The mode; the first flag in the order of their declaration wins.
    pub(crate) fn mode(&self) -> Result<Mode> {
        // Before a subcommand clap does not see that two flags exclude each other.
        if self.serialize_unsigned_transaction && self.serialize_signed_transaction {
            return Err(Failure::usage(
                "--serialize-unsigned-transaction and --serialize-signed-transaction exclude each other",
            ));
        }
        Ok(match self {
            Self { tx_digest: true, .. } => Mode::Digest,
            Self { simulate: true, .. } => Mode::Simulate,
            Self { serialize_unsigned_transaction: true, .. } => Mode::SerializeUnsigned,
            Self { serialize_signed_transaction: true, .. } => Mode::SerializeSigned,
            _ => Mode::Execute,
        })
    }

    /// Whether the transaction is sent.
    pub(crate) fn sends(&self) -> Result<bool> {
        Ok(self.mode()? == Mode::Execute)
    }

    /// Whether none of the flags was given, as a command that only reads wants it.
    pub(crate) fn is_plain(&self) -> bool {
        self.mode().is_ok_and(|mode| mode == Mode::Execute) && self.gas.is_empty()
    }

    /// How long to wait for a checkpoint.
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// An account about to change the chain: its wallet, its network, its fees.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) wallet: Wallet,
    pub(crate) target: Target,
    pub(crate) client: Client,
    pub(crate) address: Address,
    chain: String,
    /// The state files beside the wallet: they name the coins that are set aside for
    /// reveals.
    states: StateFolder,
}

impl Sender {
    /// The active account on the active network.
    pub(crate) async fn active(context: &Context) -> Result<Self> {
        let wallet = context.wallet()?;
        let address = wallet.resolve(None)?;
        Self::new(context, wallet, address).await
    }

    /// An account of the wallet, on the chain that is on file.
    pub(crate) async fn new(context: &Context, wallet: Wallet, address: Address) -> Result<Self> {
        let target = context.target(Some(&wallet))?;
        let (client, chain) = client_on_chain(&target.environment).await?;
        let states = model::folder_beside(wallet.config().path());
        Ok(Self { wallet, target, client, address, chain, states })
    }

    /// The coins of the account without those that are set aside by now, and the fees
    /// in force.
    pub(crate) async fn purse(&self) -> Result<Purse> {
        Ok(Purse::ask(&self.client, self.address, &self.states.set_aside()?).await?)
    }

    /// Which coins pay for a step of the owner's workflow.
    pub(crate) fn gas(&self, args: &TransactionArgs) -> Result<Gas> {
        self.gas_of(None, args)
    }

    /// As [`Sender::gas`], for a reveal of `model`: the coin that is set aside for
    /// it first.
    pub(crate) fn gas_of(&self, model: Option<&ObjectId>, args: &TransactionArgs) -> Result<Gas> {
        Ok(match args.gas.as_slice() {
            [] => Gas::sparing(&self.states.set_aside()?, model),
            named => Gas::Coins(named.to_vec()),
        })
    }

    /// Pays for a kind that names no coin, and runs it.
    pub(crate) async fn run_kind(
        &self,
        kind: TransactionKind,
        args: &TransactionArgs,
    ) -> Result<Outcome> {
        let payment = self.purse().await?.pay_for(kind, &args.gas)?;
        self.run(payment, args).await
    }

    /// Runs a transaction in the mode that the flags ask for.
    pub(crate) async fn run(&self, payment: Payment, args: &TransactionArgs) -> Result<Outcome> {
        self.run_data(payment.into_transaction(self.address), args).await
    }

    /// Runs a built transaction in the mode that the flags ask for.
    pub(crate) async fn run_data(
        &self,
        data: TransactionData,
        args: &TransactionArgs,
    ) -> Result<Outcome> {
        Ok(match args.mode()? {
            Mode::Digest => Outcome::Digest(data.digest()),
            Mode::Simulate => {
                check_disclosure(&self.client, &data, self.scope()).await?;
                Outcome::Simulated(SimulationReport::new(&self.client.simulate(&data).await?))
            }
            Mode::SerializeUnsigned => Outcome::Serialized(STANDARD.encode(data.to_bcs())),
            Mode::SerializeSigned => {
                let signed = data.sign(self.key()?);
                Outcome::Serialized(STANDARD.encode(signed.to_bcs()))
            }
            Mode::Execute => {
                let signed = data.sign(self.key()?);
                execute(&self.client, &signed, args.timeout()).await?
            }
        })
    }

    /// Runs a step of the owner's workflow, after its checks. A preview tells what
    /// they found and goes on, unless it shows a node what must not be known yet.
    pub(crate) async fn run_step(
        &self,
        prepared: Prepared,
        args: &TransactionArgs,
        context: &Context,
    ) -> Result<Outcome> {
        let prepared = match args.mode()? {
            Mode::Execute => prepared.checked()?,
            Mode::Simulate => prepared.disclosable()?,
            _ => prepared,
        };
        for finding in &prepared.report.findings {
            match finding.severity {
                Severity::Notice => context.out.note(&finding.message),
                _ => context.out.warn(&finding.message),
            }
        }
        self.run_data(prepared.data, args).await
    }

    /// The name of the chain.
    pub(crate) fn chain(&self) -> &str {
        &self.chain
    }

    /// Where strangers fetch weights from.
    pub(crate) fn scope(&self) -> Scope {
        Scope::of(&self.target.environment)
    }

    /// The key of the account, unless it must not be used on this chain.
    pub(crate) fn key(&self) -> Result<&KeyPair> {
        Ok(self.wallet.signer(&self.address, &self.chain)?)
    }
}

/// Executes a signed transaction and waits for its checkpoint.
pub(crate) async fn execute(
    client: &Client,
    signed: &SignedTransaction,
    timeout: Duration,
) -> Result<Outcome> {
    let executed = client.execute_and_wait(signed, timeout).await?;
    Ok(Outcome::Executed(Box::new(executed)))
}

/// What came of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It was executed, successfully or not.
    Executed(Box<Executed>),
    /// Its digest.
    Digest(TransactionDigest),
    /// What it would do.
    Simulated(SimulationReport),
    /// Its bytes in Base64.
    Serialized(String),
}

impl Outcome {
    /// The executed transaction, if it came to that and succeeded.
    pub(crate) fn success(&self) -> Option<&Executed> {
        match self {
            Self::Executed(executed) if executed.effects.is_success() => Some(executed),
            _ => None,
        }
    }

    /// The failure to end with, if the chain failed the transaction.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Executed(executed) => {
                executed.effects.failure().map(|e| Failure::on_chain(e, executed.digest))
            }
            _ => None,
        }
    }

    /// Whether it is a text that stands for itself, for scripts.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self, Self::Digest(_) | Self::Serialized(_))
    }

    /// The form in which bytes are shown: model commands put them into an object.
    pub(crate) fn wrap_bytes(self) -> Wrapped {
        Wrapped(self)
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Executed(executed) => TransactionReport::new(executed).serialize(serializer),
            Self::Digest(digest) => digest.serialize(serializer),
            Self::Simulated(report) => report.serialize(serializer),
            Self::Serialized(bytes) => serializer.serialize_str(bytes),
        }
    }
}

impl Report for Outcome {
    fn text(&self, page: &mut Page) {
        match self {
            Self::Executed(executed) => TransactionReport::new(executed).text(page),
            Self::Digest(digest) => page.line(digest.to_string()),
            Self::Simulated(report) => report.text(page),
            Self::Serialized(bytes) => page.line(bytes),
        }
    }
}

/// An outcome as model commands show it.
#[derive(Clone, Debug)]
pub(crate) struct Wrapped(pub(crate) Outcome);

impl Serialize for Wrapped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Bytes<'a> {
            serialized_transaction: &'a str,
        }
        match &self.0 {
            Outcome::Serialized(bytes) => {
                Bytes { serialized_transaction: bytes }.serialize(serializer)
            }
            outcome => outcome.serialize(serializer),
        }
    }
}

impl Report for Wrapped {
    fn text(&self, page: &mut Page) {
        self.0.text(page);
    }
}

/// Prints an outcome; a transaction that failed on chain is a failure all the same.
pub(crate) fn print(outcome: &Outcome, context: &Context) -> Result<()> {
    context.out.print(outcome)?;
    match outcome.failure() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
