//! The services whose messages are BCS: faucet, admin, scoring.
//!
//! One BCS value fills one gRPC message. The content type is the plain
//! `application/grpc`, and a struct without fields is a message of no bytes.

use std::fmt;
use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

pub use super::generated::admin::{admin_client, admin_server};
pub use super::generated::faucet::{faucet_client, faucet_server};
pub use super::generated::scoring::{scoring_client, scoring_server};

/// What a faucet answers when it has paid.
pub const FAUCET_SUCCESS: &str = "Success";

/// Asks a faucet for money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasRequest {
    /// Address text: 64 hex digits, or `0x` and 1 to 64 of them.
    pub recipient: String,
}

/// What a faucet paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasResponse {
    /// [`FAUCET_SUCCESS`], or what went wrong.
    pub status: String,
    /// One entry for each coin made.
    pub coins_sent: Vec<GasCoinInfo>,
}

/// A coin that a faucet made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasCoinInfo {
    /// Shannons.
    pub amount: u64,
    /// Id text of the coin.
    pub id: String,
    /// Digest text of the transaction that made it.
    pub transfer_tx_digest: String,
}

/// Ends the running epoch. No bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvanceEpochRequest {}

/// The epoch that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvanceEpochResponse {
    /// Its number.
    pub epoch: u64,
}

/// Asks whether scoring is available. No bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRequest {}

/// Whether scoring is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResponse {
    /// Whether it is.
    pub ok: bool,
}

/// Writes messages `T` and reads messages `U`.
pub struct BcsCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BcsCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> fmt::Debug for BcsCodec<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BcsCodec")
    }
}

impl<T, U> Codec for BcsCodec<T, U>
where
    T: Serialize + Send + 'static,
    U: DeserializeOwned + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = BcsEncoder<T>;
    type Decoder = BcsDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        BcsEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        BcsDecoder(PhantomData)
    }
}

/// Writes messages.
pub struct BcsEncoder<T>(PhantomData<T>);

impl<T> fmt::Debug for BcsEncoder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BcsEncoder")
    }
}

impl<T: Serialize> Encoder for BcsEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        ::bcs::serialize_into(&mut buffer.writer(), &item)
            .map_err(|error| Status::internal(format!("cannot encode the message: {error}")))
    }
}

/// Reads messages.
pub struct BcsDecoder<U>(PhantomData<U>);

impl<U> fmt::Debug for BcsDecoder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BcsDecoder")
    }
}

impl<U: DeserializeOwned> Decoder for BcsDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        ::bcs::from_bytes(&bytes)
            .map(Some)
            .map_err(|error| Status::internal(format!("cannot decode the message: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_network() {
        let hex = |bytes: Vec<u8>| ::hex::encode(bytes);
        let request = GasRequest { recipient: format!("0x{}", "a".repeat(64)) };
        assert_eq!(hex(::bcs::to_bytes(&request).unwrap())[..6], *"423078");
        let response = AdvanceEpochResponse { epoch: 7 };
        assert_eq!(hex(::bcs::to_bytes(&response).unwrap()), "0700000000000000");
        assert_eq!(hex(::bcs::to_bytes(&HealthResponse { ok: true }).unwrap()), "01");
    }

    #[test]
    fn no_bytes_are_a_struct_without_fields() {
        assert_eq!(::bcs::to_bytes(&AdvanceEpochRequest {}).unwrap(), []);
        assert_eq!(::bcs::from_bytes::<AdvanceEpochRequest>(&[]), Ok(AdvanceEpochRequest {}));
        assert!(::bcs::from_bytes::<HealthRequest>(&[0]).is_err());
    }
}
