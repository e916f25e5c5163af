//! Builds with our crates what a client package builds, so that both can be
//! compared byte for byte.
//!
//! One JSON request per line on standard input, one JSON answer per line on
//! standard output. Requests name an `op` and carry the arguments of the
//! published client's builders.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead as _, Write as _};

use serde::Deserialize;
use serde_json::{Value, json};
use soma_crypto::{Cipher, Key};
use soma_proto::dialect::{CommitModel, CommitModelUpdate, RevealModel};
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, KeyPair, Manifest, ModelWeightsManifest,
    ObjectRef, Tensor, TransactionData, TransactionKind, WeightsUrl,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Reference {
    id: String,
    version: u64,
    digest: String,
}

impl Reference {
    fn parse(&self) -> Result<ObjectRef> {
        Ok(ObjectRef(self.id.parse()?, self.version, self.digest.parse()?))
    }
}

#[derive(Deserialize)]
struct Transaction {
    op: String,
    secret: String,
    sender: String,
    gas: Reference,
    #[serde(default)]
    arguments: Value,
}

fn main() -> Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&line?).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn answer(line: &str) -> Result<Value> {
    let request: Value = serde_json::from_str(line)?;
    match request["op"].as_str().ok_or("no op")? {
        "keypair" => {
            let key = KeyPair::from_hex(text(&request, "secret")?)?;
            Ok(json!({ "address": key.address().to_string() }))
        }
        "encrypt" => {
            let mut data = hex::decode(text(&request, "data")?)?;
            let key = Key::from_hex(text(&request, "key")?)?;
            Cipher::new(&key).apply(0, &mut data)?;
            let commitment = soma_crypto::hash(&data).to_string();
            Ok(json!({ "encrypted": hex::encode(data), "commitment": commitment }))
        }
        "url" => {
            let url: WeightsUrl = text(&request, "url")?.parse()?;
            Ok(json!({ "url": url.as_str(), "commitment": url.commitment().to_hex() }))
        }
        _ => transaction(serde_json::from_value(request)?),
    }
}

fn transaction(request: Transaction) -> Result<Value> {
    let kind = kind(&request.op, &request.arguments)?;
    let sender: Address = request.sender.parse()?;
    let data = TransactionData::new(kind, sender, vec![request.gas.parse()?]);
    let key = KeyPair::from_hex(&request.secret)?;
    let (bytes, digest) = (data.to_bcs(), data.digest());
    let signed = data.sign(&key);
    Ok(json!({
        "data": hex::encode(bytes),
        "digest": digest.to_string(),
        "signed": hex::encode(signed.to_bcs()),
    }))
}

fn kind(op: &str, arguments: &Value) -> Result<TransactionKind> {
    let id = |name| -> Result<_> { Ok(text(arguments, name)?.parse()?) };
    let address = |name| -> Result<Address> { Ok(text(arguments, name)?.parse()?) };
    let commitment =
        |name| -> Result<_> { Ok(Commitment::from_hex_or_base58(text(arguments, name)?)?) };
    let reference = |name: &str| -> Result<ObjectRef> {
        serde_json::from_value::<Reference>(arguments[name].clone())?.parse()
    };
    let references = |name: &str| -> Result<Vec<ObjectRef>> {
        let list: Vec<Reference> = serde_json::from_value(arguments[name].clone())?;
        list.iter().map(Reference::parse).collect()
    };
    let amount = arguments["amount"].as_u64();
    Ok(match op {
        "transfer_coin" => TransactionKind::TransferCoin {
            coin: reference("coin")?,
            amount,
            recipient: address("recipient")?,
        },
        "pay_coins" => TransactionKind::PayCoins {
            coins: references("coins")?,
            amounts: Some(serde_json::from_value(arguments["amounts"].clone())?),
            recipients: serde_json::from_value(arguments["recipients"].clone())?,
        },
        "transfer_objects" => TransactionKind::TransferObjects {
            objects: references("objects")?,
            recipient: address("recipient")?,
        },
        "add_stake" => TransactionKind::AddStake {
            address: address("validator")?,
            coin_ref: reference("coin")?,
            amount,
        },
        "add_stake_to_model" => TransactionKind::AddStakeToModel {
            model_id: id("model_id")?,
            coin_ref: reference("coin")?,
            amount,
        },
        "withdraw_stake" => {
            TransactionKind::WithdrawStake { staked_soma: reference("staked_soma")? }
        }
        "commit_model" => TransactionKind::CommitModel(CommitModel {
            model_id: id("model_id")?,
            weights_url_commitment: commitment("weights_url_commitment")?,
            weights_commitment: commitment("weights_commitment")?,
            architecture_version: 1,
            stake_amount: number(arguments, "stake_amount")?,
            commission_rate: number(arguments, "commission_rate")?,
            staking_pool_id: id("staking_pool_id")?,
        }),
        "commit_model_update" => TransactionKind::CommitModelUpdate(CommitModelUpdate {
            model_id: id("model_id")?,
            weights_url_commitment: commitment("weights_url_commitment")?,
            weights_commitment: commitment("weights_commitment")?,
        }),
        "reveal_model" => TransactionKind::RevealModel(reveal(arguments)?),
        "reveal_model_update" => TransactionKind::RevealModelUpdate(reveal(arguments)?),
        "set_model_commission_rate" => TransactionKind::SetModelCommissionRate {
            model_id: id("model_id")?,
            new_rate: number(arguments, "new_rate")?,
        },
        "deactivate_model" => TransactionKind::DeactivateModel { model_id: id("model_id")? },
        other => return Err(format!("unknown op {other}").into()),
    })
}

fn reveal(arguments: &Value) -> Result<RevealModel> {
    let checksum: Checksum = text(arguments, "weights_checksum")?.parse()?;
    let url: WeightsUrl = text(arguments, "weights_url")?.parse()?;
    // As bytes, because JSON has no infinity.
    let embedding: Vec<f32> = hex::decode(text(arguments, "embedding")?)?
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().expect("chunks of four")))
        .collect();
    Ok(RevealModel {
        model_id: text(arguments, "model_id")?.parse()?,
        weights_manifest: ModelWeightsManifest {
            manifest: Manifest::new(url, checksum, number(arguments, "weights_size")?),
            decryption_key: DecryptionKey::from_hex_or_base58(text(arguments, "decryption_key")?)?,
        },
        embedding: Tensor::vector(&embedding),
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().ok_or_else(|| format!("no text {name}").into())
}

fn number(value: &Value, name: &str) -> Result<u64> {
    value[name].as_u64().ok_or_else(|| format!("no number {name}").into())
}
