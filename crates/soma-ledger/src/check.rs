//! What is looked at before anything is executed.

use std::collections::BTreeSet;

use soma_proto::signature::Intent;
use soma_proto::{
    Address, Object, ObjectDigest, ObjectId, ObjectRef, ObjectType, Owner, SignedTransaction,
    TransactionData,
};

use crate::state::INITIAL_SHARED_VERSION;
use crate::{Ledger, Rejection, SYSTEM_STATE_ID};

/// Bytes that a block of the network has room for.
const MAX_TRANSACTION_BYTES: usize = 262_144;

/// Rows 2 to 5: who sent it.
pub(crate) fn signed(transaction: &SignedTransaction) -> Result<(), Rejection> {
    let data = &transaction.data;
    user_kind(data)?;
    let [signature] = transaction.signatures.as_slice() else {
        return Err(Rejection::SignerSignatureNumberMismatch {
            found: transaction.signatures.len(),
        });
    };
    let sender = data.sender();
    if signature.address() != sender {
        return Err(Rejection::SignerSignatureAbsent { sender });
    }
    let invalid = |reason: String| Rejection::InvalidSignature { reason };
    if transaction.intent != Intent::TRANSACTION {
        return Err(invalid("the intent is not that of a transaction".to_owned()));
    }
    signature.verify(&data.signing_hash(), sender).map_err(|e| invalid(e.to_string()))?;
    let found = transaction.to_bcs().len();
    if found > MAX_TRANSACTION_BYTES {
        return Err(Rejection::TooLarge { found, limit: MAX_TRANSACTION_BYTES });
    }
    Ok(())
}

/// Row 5: only the network itself may send some kinds (L-1).
pub(crate) fn user_kind(data: &TransactionData) -> Result<(), Rejection> {
    let kind = data.kind();
    if kind.is_system() {
        return Err(Rejection::SystemTransaction { kind: kind.name() });
    }
    Ok(())
}

/// Rows 6 to 15: what it uses. `pretend` is a coin that does not exist, but
/// counts as if it did.
pub(crate) fn inputs(
    ledger: &Ledger,
    data: &TransactionData,
    pretend: Option<&Object>,
) -> Result<(), Rejection> {
    let owned = data.kind().owned_inputs();
    let gas = data.gas_payment();
    distinct(data, &owned)?;
    let load = |references: &[ObjectRef]| -> Result<Vec<(ObjectRef, Live)>, Rejection> {
        references
            .iter()
            .map(|reference| Ok((*reference, live(ledger, reference, pretend)?)))
            .collect()
    };
    let owned = load(&owned)?;
    let gas = load(gas)?;
    gas_coins(&gas)?;
    for (reference, live) in owned.iter().chain(&gas) {
        input(live, reference, data.sender())?;
    }
    for (reference, live) in owned.iter().chain(&gas) {
        let current = live.version;
        if reference.version() < current {
            let reference = *reference;
            return Err(Rejection::ObjectVersionUnavailableForConsumption { reference, current });
        }
    }
    Ok(())
}

/// Row 6. A coin may pay and be an argument, but may stand in neither list
/// twice (L-2).
fn distinct(data: &TransactionData, owned: &[ObjectRef]) -> Result<(), Rejection> {
    let state = data.kind().uses_system_state().then_some(SYSTEM_STATE_ID);
    for list in [owned, data.gas_payment()] {
        let mut seen: BTreeSet<ObjectId> = state.into_iter().collect();
        for reference in list {
            let id = reference.id();
            if !seen.insert(id) {
                return Err(Rejection::DuplicateObjectRefInput { id });
            }
        }
    }
    Ok(())
}

/// Rows 10 and 11.
fn gas_coins(gas: &[(ObjectRef, Live)]) -> Result<(), Rejection> {
    let error = |reason: String| Rejection::GasPaymentError { reason };
    if gas.is_empty() {
        return Err(error("there is no gas coin".to_owned()));
    }
    for (reference, live) in gas {
        let id = reference.id();
        if live.owner.address().is_none() {
            return Err(error(format!("object {id} is not owned by an account")));
        }
        if live.object_type != ObjectType::Coin {
            return Err(error(format!("object {id} is a {}, not a Coin", live.object_type)));
        }
    }
    Ok(())
}

/// Rows 13 to 15. An older version is not judged here: the ledger does not
/// know what it was like.
fn input(live: &Live, reference: &ObjectRef, sender: Address) -> Result<(), Rejection> {
    if reference.version() < live.version {
        return Ok(());
    }
    let id = reference.id();
    let expected = live.digest;
    if reference.digest() != expected {
        let found = reference.digest();
        return Err(Rejection::InvalidObjectDigest { id, expected, found });
    }
    match live.owner {
        Owner::AddressOwner(owner) if owner == sender => Ok(()),
        Owner::AddressOwner(owner) => Err(Rejection::IncorrectUserSignature { id, owner, sender }),
        _ => Err(Rejection::NotOwnedObjectError { id }),
    }
}

/// What the checks need to know of a live object.
struct Live {
    version: u64,
    digest: ObjectDigest,
    owner: Owner,
    object_type: ObjectType,
}

/// The live object that a reference names (row 8).
fn live(
    ledger: &Ledger,
    reference: &ObjectRef,
    pretend: Option<&Object>,
) -> Result<Live, Rejection> {
    let not_found = Rejection::ObjectNotFound { reference: *reference };
    let live = if reference.id() == SYSTEM_STATE_ID {
        let state = ledger.state_reference();
        Live {
            version: state.version(),
            digest: state.digest(),
            owner: Owner::Shared { initial_shared_version: INITIAL_SHARED_VERSION },
            object_type: ObjectType::SystemState,
        }
    } else {
        let object = pretend
            .filter(|object| object.id() == reference.id())
            .or_else(|| ledger.objects.get(&reference.id()))
            .ok_or_else(|| not_found.clone())?;
        Live {
            version: object.version(),
            digest: object.digest(),
            owner: object.owner,
            object_type: object.object_type(),
        }
    };
    if reference.version() > live.version {
        return Err(not_found);
    }
    Ok(live)
}
