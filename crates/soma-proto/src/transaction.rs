//! Transactions, unsigned and signed.

use serde::{Deserialize, Serialize};

use crate::canonical::bcs_form;
pub use crate::dialect::{
    AddValidator, ChangeEpoch, CommitModel, CommitModelUpdate, ConsensusCommitPrologue,
    RevealModel, SubmitData, TransactionKind, UpdateValidatorMetadata,
};
use crate::signature::{Intent, UserSignature};
use crate::{Address, Error, KeyPair, ObjectRef, Result, TransactionDigest, hash};

/// What is signed: kind, sender and the coins that pay.
///
/// ```text
/// transaction-data = %x00 kind address gas
/// gas              = uleb *reference
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum TransactionData {
    /// The only version so far.
    V1(TransactionDataV1),
}

/// Version 1 of [`TransactionData`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct TransactionDataV1 {
    /// What it does.
    pub kind: TransactionKind,
    /// Who signs it.
    pub sender: Address,
    /// The coins that pay; all are merged into the first.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub gas_payment: Vec<ObjectRef>,
}

bcs_form!(TransactionData, SignedTransaction);

impl TransactionData {
    /// A transaction of version 1.
    pub const fn new(kind: TransactionKind, sender: Address, gas_payment: Vec<ObjectRef>) -> Self {
        Self::V1(TransactionDataV1 { kind, sender, gas_payment })
    }

    /// What it does.
    pub const fn kind(&self) -> &TransactionKind {
        let Self::V1(data) = self;
        &data.kind
    }

    /// Who signs it.
    pub const fn sender(&self) -> Address {
        let Self::V1(data) = self;
        data.sender
    }

    /// The coins that pay.
    pub fn gas_payment(&self) -> &[ObjectRef] {
        let Self::V1(data) = self;
        &data.gas_payment
    }

    /// Blake2b-256 over `TransactionData::` and the BCS bytes. Signatures are
    /// not part of it.
    pub fn digest(&self) -> TransactionDigest {
        TransactionDigest::new(hash::named("TransactionData", self))
    }

    /// What a key signs: Blake2b-256 over the intent and the BCS bytes.
    pub fn signing_hash(&self) -> [u8; 32] {
        hash::blake2b256(&[&Intent::TRANSACTION.to_bytes(), &self.to_bcs()])
    }

    /// Signs with one key. The sender is not compared with the key.
    pub fn sign(self, key: &KeyPair) -> SignedTransaction {
        let signature = key.sign_transaction(&self);
        SignedTransaction::new(self, vec![signature])
    }
}

/// A transaction with its signatures.
///
/// ```text
/// signed-transaction = %x01 intent transaction-data signatures
/// intent             = %x00 %x00 %x01
/// signatures         = uleb *(uleb signature)
/// ```
///
/// On the wire it is a list that always has one element, hence the first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct SignedTransaction {
    /// What was signed for.
    pub intent: Intent,
    /// What was signed.
    pub data: TransactionData,
    /// The signatures.
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::vec()"))]
    pub signatures: Vec<UserSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "SenderSignedTransaction")]
struct Element<D, S> {
    intent: Intent,
    data: D,
    #[serde(rename = "tx_signatures")]
    signatures: S,
}

impl SignedTransaction {
    /// A transaction of the network itself, with the signature of zero bytes.
    pub fn system(data: TransactionData) -> Self {
        Self::new(data, vec![UserSignature::SYSTEM])
    }

    /// A transaction and the signatures under it.
    pub const fn new(data: TransactionData, signatures: Vec<UserSignature>) -> Self {
        Self { intent: Intent::TRANSACTION, data, signatures }
    }

    /// Checks that the sender signed it, and nobody else.
    ///
    /// # Errors
    /// [`Error::Signature`] with the reason. A transaction of the system, which
    /// nobody signs, always fails.
    pub fn verify(&self) -> Result<()> {
        if self.data.kind().is_system() {
            return Err(Error::Signature("only the network itself sends this kind"));
        }
        if self.intent != Intent::TRANSACTION {
            return Err(Error::Signature("it was given for another purpose"));
        }
        match self.signatures.as_slice() {
            [signature] => signature.verify(&self.data.signing_hash(), self.data.sender()),
            _ => Err(Error::Signature("a transaction has exactly one signature")),
        }
    }

    /// The digest of the data; signatures are not part of it.
    pub fn digest(&self) -> TransactionDigest {
        self.data.digest()
    }
}

impl Serialize for SignedTransaction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut seq = serializer.serialize_seq(Some(1))?;
        seq.serialize_element(&Element {
            intent: self.intent,
            data: &self.data,
            signatures: &self.signatures,
        })?;
        seq.end()
    }
}

impl<'de> Deserialize<'de> for SignedTransaction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut elements =
            Vec::<Element<TransactionData, Vec<UserSignature>>>::deserialize(deserializer)?;
        match (elements.pop(), elements.is_empty()) {
            (Some(Element { intent, data, signatures }), true) => {
                Ok(Self { intent, data, signatures })
            }
            _ => Err(serde::de::Error::custom("expected exactly one signed transaction")),
        }
    }
}
