//! Transactions, as requests and in answers.

use super::read::address;
use super::{At as _, each, list, masked, message, value};
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::grpc::status::Violation;
use crate::{Error, Result, SignedTransaction, TransactionData, TransactionKind};

impl From<&TransactionData> for pb::Transaction {
    fn from(data: &TransactionData) -> Self {
        transaction_message(data, &MaskTree::everything())
    }
}

/// Of a transaction what the mask selects, with its true digest.
pub fn transaction_message(data: &TransactionData, mask: &MaskTree) -> pb::Transaction {
    masked!(
        mask,
        pb::Transaction {
            digest: Some(data.digest().to_string()),
            kind: Some(data.kind().into()),
            sender: Some(data.sender().to_string()),
            gas_payment: data.gas_payment().iter().map(Into::into).collect(),
        }
    )
}

impl TryFrom<pb::Transaction> for TransactionData {
    type Error = Error;

    /// The digest is not looked at.
    fn try_from(transaction: pb::Transaction) -> Result<Self> {
        let kind = message(transaction.kind).at("kind")?;
        let sender = address(transaction.sender).at("sender")?;
        let gas_payment = list(transaction.gas_payment).at("gas_payment")?;
        Ok(Self::new(kind, sender, gas_payment))
    }
}

impl From<&TransactionKind> for pb::TransactionKind {
    fn from(kind: &TransactionKind) -> Self {
        Self { kind: Some(kind.into()) }
    }
}

impl TryFrom<pb::TransactionKind> for TransactionKind {
    type Error = Error;

    fn try_from(kind: pb::TransactionKind) -> Result<Self> {
        value(kind.kind)?.try_into()
    }
}

/// The message of a transaction that a node will read back unchanged.
///
/// Messages cannot express everything that can be signed: a `PayCoins` without
/// amounts, for example, or a tensor of two dimensions. Sent nevertheless, such
/// a transaction would fail with a wrong signature.
///
/// # Errors
/// [`Error::Field`] if the transaction has no message form.
pub fn transaction_request(data: &TransactionData) -> Result<pb::Transaction> {
    let message = pb::Transaction::from(data);
    if TransactionData::try_from(message.clone())? != *data {
        return Err(super::invalid(format!(
            "this {} cannot be sent to a node: its message form has another meaning",
            data.kind().name()
        )))
        .at("transaction.kind");
    }
    Ok(message)
}

/// The request that submits a transaction.
///
/// # Errors
/// As [`transaction_request`].
pub fn execute_request(
    transaction: &SignedTransaction,
    mask: &[&str],
) -> Result<pb::ExecuteTransactionRequest> {
    Ok(pb::ExecuteTransactionRequest {
        transaction: Some(transaction_request(&transaction.data)?),
        signatures: transaction.signatures.iter().map(Into::into).collect(),
        read_mask: Some(crate::grpc::mask::field_mask(mask)),
    })
}

/// The transaction in a request to execute, for a node.
///
/// # Errors
/// The first field at fault.
pub fn signed_transaction(
    transaction: Option<pb::Transaction>,
    signatures: Vec<pb::UserSignature>,
) -> Result<SignedTransaction, Violation> {
    let data = simulated_transaction(transaction)?;
    let signatures = each(signatures, TryInto::try_into).at("signatures")?;
    Ok(SignedTransaction::new(data, signatures))
}

/// The transaction in a request to simulate, for a node.
///
/// # Errors
/// The first field at fault.
pub fn simulated_transaction(
    transaction: Option<pb::Transaction>,
) -> Result<TransactionData, Violation> {
    let transaction = transaction.ok_or_else(|| Violation::missing("transaction"))?;
    TransactionData::try_from(transaction).map_err(|error| {
        let description = format!("invalid transaction: {error}");
        Violation { description, ..Violation::from(error).within("transaction") }
    })
}
