//! `soma.rpc.SubscriptionService`: the stream of new checkpoints.

use futures::StreamExt as _;
use futures::stream::BoxStream;
use soma_proto::Object;
use soma_proto::grpc::mask::{self, MaskTree};
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::subscription_service_server::SubscriptionService;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Node, view};
use crate::hub::{Published, Refused};

#[tonic::async_trait]
impl SubscriptionService for Node {
    type SubscribeCheckpointsStream =
        BoxStream<'static, Result<pb::SubscribeCheckpointsResponse, Status>>;

    /// The subscriber is registered when this returns, which is when the
    /// headers leave: a client waits for them before it executes anything. The
    /// first message is the next checkpoint.
    async fn subscribe_checkpoints(
        &self,
        request: Request<pb::SubscribeCheckpointsRequest>,
    ) -> Result<Response<Self::SubscribeCheckpointsStream>, Status> {
        let mask = request.into_inner().read_mask;
        let mask = MaskTree::unvalidated(mask.as_ref(), mask::DEFAULT_SUBSCRIBE);
        let receiver = self.hub.subscribe().map_err(|refused| match refused {
            Refused::Full => Status::unavailable("too many existing subscriptions"),
            Refused::Closed => Status::unavailable("the network is stopping"),
        })?;
        let stream =
            ReceiverStream::new(receiver).map(move |checkpoint| Ok(message(&checkpoint, &mask)));
        Ok(Response::new(stream.boxed()))
    }
}

fn message(published: &Published, mask: &MaskTree) -> pb::SubscribeCheckpointsResponse {
    let objects: Vec<&Object> = published.objects.iter().collect();
    let transactions = published.transactions.iter().map(|stored| &**stored);
    let checkpoint = view::checkpoint(&published.checkpoint, transactions, &objects, mask);
    pb::SubscribeCheckpointsResponse {
        cursor: Some(published.checkpoint.certified.summary.sequence_number),
        checkpoint: Some(checkpoint),
    }
}
