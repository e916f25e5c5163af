//! The services beside a node: faucet, admin, scoring. Their messages are BCS.

use std::time::Duration;

use soma_proto::grpc::bcs::admin_client::AdminClient;
use soma_proto::grpc::bcs::faucet_client::FaucetClient;
use soma_proto::grpc::bcs::scoring_client::ScoringClient;
use soma_proto::grpc::bcs::{AdvanceEpochRequest, FAUCET_SUCCESS, GasRequest, HealthRequest};
use soma_proto::{Address, ObjectId, TransactionDigest};

use crate::answer::Answer;
use crate::builder::AuthChannel;
use crate::client::within;
use crate::{ClientBuilder, Error, Result};

/// A faucet answers only when its payment is in a checkpoint.
const FAUCET_TIMEOUT: Duration = Duration::from_secs(60);

/// A node gives up changing the epoch after 120 s; its own answer is the better one.
const ADVANCE_TIMEOUT: Duration = Duration::from_secs(125);

/// A coin that a faucet made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaucetCoin {
    /// Shannons.
    pub amount: u64,
    /// Its id.
    pub id: ObjectId,
    /// The transaction that made it.
    pub transaction: TransactionDigest,
}

/// Gives away coins on test networks.
#[derive(Clone)]
pub struct Faucet {
    client: FaucetClient<AuthChannel>,
    url: String,
}

impl Faucet {
    /// The faucet at `url`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn new(url: impl Into<String>) -> Result<Self> {
        let (channel, url) = ClientBuilder::new(url).channel()?;
        Ok(Self { client: FaucetClient::new(channel), url })
    }

    /// The faucet's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks once. The coins are on chain when the answer is there.
    ///
    /// # Errors
    /// [`Error::Faucet`] if it answers with anything but success,
    /// [`Error::Status`], [`Error::Malformed`], and those of the connection.
    pub async fn request(&self, recipient: &Address) -> Result<Vec<FaucetCoin>> {
        let call = "RequestGas";
        let request = GasRequest { recipient: recipient.to_string() };
        let mut client = self.client.clone();
        let answer = within(FAUCET_TIMEOUT, call, &self.url, client.request_gas(request)).await?;
        if answer.status != FAUCET_SUCCESS {
            let status = answer.status.chars().filter(|c| !c.is_control()).collect();
            return Err(Error::Faucet { status });
        }
        let read = Answer(call);
        let coins = answer.coins_sent.into_iter().map(|coin| {
            Ok(FaucetCoin {
                amount: coin.amount,
                id: read.parse("coins_sent.id", Some(&coin.id))?,
                transaction: read
                    .parse("coins_sent.transfer_tx_digest", Some(&coin.transfer_tx_digest))?,
            })
        });
        coins.collect()
    }

    /// Asks until at least `amount` shannons have come. A request carries no
    /// amount, so the last one may bring more than was missing. `each` hears of
    /// the coins of each request.
    ///
    /// # Errors
    /// As [`Faucet::request`]; coins that came before the error stay.
    pub async fn request_amount(
        &self,
        recipient: &Address,
        amount: u64,
        mut each: impl FnMut(&[FaucetCoin]),
    ) -> Result<Vec<FaucetCoin>> {
        let mut coins = Vec::new();
        let mut sum = 0_u64;
        while sum < amount || coins.is_empty() {
            let more = self.request(recipient).await?;
            let got: u64 = more.iter().fold(0, |sum, coin| sum.saturating_add(coin.amount));
            if got == 0 {
                return Err(Error::Faucet { status: "success without coins".to_owned() });
            }
            each(&more);
            sum = sum.saturating_add(got);
            coins.extend(more);
        }
        Ok(coins)
    }
}

impl std::fmt::Debug for Faucet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faucet").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Moves a local network on.
#[derive(Clone)]
pub struct Admin {
    client: AdminClient<AuthChannel>,
    url: String,
}

impl Admin {
    /// The administration service at `url`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn new(url: impl Into<String>) -> Result<Self> {
        let (channel, url) = ClientBuilder::new(url).channel()?;
        Ok(Self { client: AdminClient::new(channel), url })
    }

    /// Ends the running epoch; gives the number of the one that runs then.
    ///
    /// # Errors
    /// [`Error::Status`] and those of the connection.
    pub async fn advance_epoch(&self) -> Result<u64> {
        let mut client = self.client.clone();
        let answer = client.advance_epoch(AdvanceEpochRequest {});
        Ok(within(ADVANCE_TIMEOUT, "AdvanceEpoch", &self.url, answer).await?.epoch)
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Whether the scoring service at `url` says that it is well.
///
/// # Errors
/// [`Error::Url`], [`Error::Status`] and those of the connection.
pub async fn scoring_health(url: impl Into<String>) -> Result<bool> {
    let builder = ClientBuilder::new(url);
    let (channel, url) = builder.channel()?;
    let mut client = ScoringClient::new(channel);
    let answer = client.health(HealthRequest {});
    Ok(within(builder.read_timeout(), "Health", &url, answer).await?.ok)
}
