//! `soma.rpc.TransactionExecutionService`: executing and simulating.

use soma_ledger::{Category, Checks, Execution, Rejection};
use soma_proto::grpc::convert::{
    ExecutedTransactionView, executed_transaction_message, signed_transaction,
    simulated_transaction,
};
use soma_proto::grpc::mask::{self, MaskTree, Root};
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::simulate_transaction_request::TransactionChecks;
use soma_proto::grpc::pb::transaction_execution_service_server::TransactionExecutionService;
use soma_proto::grpc::status::status;
use soma_proto::{Object, ObjectId, ObjectType, SignedTransaction};
use tonic::{Code, Request, Response, Status};

use super::{Node, failure, view};
use crate::executor::Refused;
use crate::store::object_types;

#[tonic::async_trait]
impl TransactionExecutionService for Node {
    async fn execute_transaction(
        &self,
        request: Request<pb::ExecuteTransactionRequest>,
    ) -> Result<Response<pb::ExecuteTransactionResponse>, Status> {
        let request = request.into_inner();
        let mask = MaskTree::validated(
            request.read_mask.as_ref(),
            mask::DEFAULT_EXECUTE,
            Root::ExecutedTransaction,
        )?;
        let transaction = signed_transaction(request.transaction, request.signatures)?;
        // Here rather than in the executor: callers verify side by side, and
        // before a stored result is handed out.
        check_signature(&transaction).map_err(rejected)?;
        let stored = self.executor.execute(transaction).await.map_err(refused)?;
        let mut objects = Vec::new();
        if mask.transaction_objects().is_some() {
            objects = view::objects(&self.snapshot()?, [&*stored]).map_err(failure)?;
        }
        let objects: Vec<_> = objects.iter().collect();
        let transaction = Some(view::executed(&stored, &objects, &mask));
        Ok(Response::new(pb::ExecuteTransactionResponse { transaction }))
    }

    async fn simulate_transaction(
        &self,
        request: Request<pb::SimulateTransactionRequest>,
    ) -> Result<Response<pb::SimulateTransactionResponse>, Status> {
        let request = request.into_inner();
        let mask = MaskTree::unvalidated(request.read_mask.as_ref(), mask::DEFAULT_SIMULATE);
        let checks = match request.checks() {
            TransactionChecks::Enabled => Checks::Enabled,
            TransactionChecks::Disabled => Checks::Disabled,
        };
        let data = simulated_transaction(request.transaction)?;
        let execution = self.executor.simulate(data, checks).await.map_err(|why| match why {
            // Everything that the executor refuses is INTERNAL here.
            Refused::Rejected(rejection) => status(Code::Internal, rejection.to_string()),
            unavailable @ Refused::Unavailable(_) => refused(unavailable),
        })?;
        let transaction = mask.child("transaction").map(|mask| simulated(&execution, mask));
        Ok(Response::new(pb::SimulateTransactionResponse { transaction }))
    }
}

fn check_signature(transaction: &SignedTransaction) -> Result<(), Rejection> {
    let (data, sender) = (&transaction.data, transaction.data.sender());
    if data.kind().is_system() {
        return Err(Rejection::SystemTransaction { kind: data.kind().name() });
    }
    let [signature] = transaction.signatures.as_slice() else {
        let found = transaction.signatures.len();
        return Err(Rejection::SignerSignatureNumberMismatch { found });
    };
    if signature.address() != sender {
        return Err(Rejection::SignerSignatureAbsent { sender });
    }
    signature
        .verify(&data.signing_hash(), sender)
        .map_err(|error| Rejection::InvalidSignature { reason: error.to_string() })
}

/// The answer of SimulateTransaction: transaction, effects, balance changes
/// and objects, nothing else.
fn simulated(execution: &Execution, mask: &MaskTree) -> pb::ExecutedTransaction {
    let types = object_types(execution);
    let changed = &execution.effects.v1().changed_objects;
    let object_type = |id: &ObjectId| -> Option<ObjectType> {
        let place = changed.binary_search_by_key(id, |(id, _)| *id).ok()?;
        types.get(place).copied()
    };
    let objects: Vec<&Object> = execution.inputs.iter().chain(&execution.written).collect();
    let balance_changes: Vec<_> =
        execution.balance_changes.iter().map(|change| (change.address, change.amount)).collect();
    let view = ExecutedTransactionView {
        transaction: Some(&execution.transaction.data),
        effects: Some(&execution.effects),
        object_type: &object_type,
        balance_changes: &balance_changes,
        objects: &objects,
        ..ExecutedTransactionView::new(execution.effects.v1().transaction_digest)
    };
    let mut message = executed_transaction_message(&view, mask);
    message.digest = None;
    message
}

fn refused(refused: Refused) -> Status {
    match refused {
        Refused::Rejected(rejection) => rejected(rejection),
        Refused::Unavailable(reason) => status(Code::Unavailable, reason),
    }
}

/// The codes of the last column of.
fn rejected(rejection: Rejection) -> Status {
    let text = rejection.to_string();
    match rejection.category() {
        Category::FailedPrecondition => status(Code::FailedPrecondition, text),
        _ if rejection.is_signature() => {
            status(Code::InvalidArgument, format!("Invalid user signature: {text}"))
        }
        _ => status(Code::InvalidArgument, text),
    }
}
