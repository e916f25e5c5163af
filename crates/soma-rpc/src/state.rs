//! Reads of the index: balances and what an address owns.

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use soma_proto::grpc::mask::{FULL_OBJECT, field_mask};
use soma_proto::grpc::pb;
use soma_proto::{Address, Object, ObjectType};

use crate::answer::Answer;
use crate::gas::Coin;
use crate::{Client, Result};

/// Objects on a page when all pages are wanted: the most a node gives.
const FULL_PAGE: u32 = 1_000;

/// A page of what an address owns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The objects; may be empty although more follow.
    pub objects: Vec<Object>,
    /// Asks for the next page. Opaque; absent on the last page.
    pub next: Option<Vec<u8>>,
}

impl Client {
    /// The sum of an address's coins in shannons; stake is not part of it.
    /// An address that nobody has paid has 0.
    ///
    /// # Errors
    /// [`Error::Status`](crate::Error::Status),
    /// [`Error::Malformed`](crate::Error::Malformed) and those of the connection.
    pub async fn balance(&self, owner: &Address) -> Result<u64> {
        let request = pb::GetBalanceRequest { owner: Some(owner.to_string()) };
        let answer = self.read("GetBalance", self.state().get_balance(request)).await?;
        Answer("GetBalance").need("balance", answer.balance)
    }

    /// One page of what an address owns; `next` is that of the page before.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub async fn owned_page(
        &self,
        owner: &Address,
        object_type: Option<ObjectType>,
        page_size: u32,
        next: Option<&[u8]>,
    ) -> Result<Page> {
        let call = "ListOwnedObjects";
        let request = pb::ListOwnedObjectsRequest {
            owner: Some(owner.to_string()),
            page_size: Some(page_size),
            // A token of no bytes is not "the first page" but an error.
            page_token: next.filter(|token| !token.is_empty()).map(<[u8]>::to_vec),
            read_mask: Some(field_mask(FULL_OBJECT)),
            object_type: object_type.map(|ty| ty.as_str().to_owned()),
        };
        let answer = self.read(call, self.state().list_owned_objects(request)).await?;
        let objects =
            answer.objects.into_iter().map(|object| Answer(call).read("objects", Some(object)));
        Ok(Page {
            objects: objects.collect::<Result<_>>()?,
            next: answer.next_page_token.filter(|token| !token.is_empty()),
        })
    }

    /// Everything an address owns, page after page, in the node's order.
    ///
    /// # Errors
    /// Each item as [`Client::balance`]; the stream ends after an error.
    pub fn owned_objects(
        &self,
        owner: Address,
        object_type: Option<ObjectType>,
    ) -> impl Stream<Item = Result<Object>> + Send + 'static {
        let client = self.clone();
        futures::stream::try_unfold(Some(None::<Vec<u8>>), move |at| {
            let client = client.clone();
            async move {
                let Some(token) = at else { return Ok(None) };
                let page =
                    client.owned_page(&owner, object_type, FULL_PAGE, token.as_deref()).await?;
                if page.objects.is_empty() && page.next.is_some() && page.next == token {
                    let reason = "the token of an empty page leads to the same page again";
                    return Err(Answer("ListOwnedObjects").malformed("next_page_token", reason));
                }
                let next = page.next.map(Some);
                Ok(Some((futures::stream::iter(page.objects).map(Ok), next)))
            }
        })
        .try_flatten()
    }

    /// All coins of an address, in the node's order.
    ///
    /// # Errors
    /// As [`Client::balance`].
    pub async fn coins(&self, owner: &Address) -> Result<Vec<Coin>> {
        let mut objects = std::pin::pin!(self.owned_objects(*owner, Some(ObjectType::Coin)));
        let mut coins = Vec::new();
        while let Some(object) = objects.try_next().await? {
            let reason = "an object that is no coin in a list of coins";
            let balance = object
                .coin_balance()
                .ok_or_else(|| Answer("ListOwnedObjects").malformed("objects.contents", reason))?;
            coins.push(Coin { reference: object.reference(), balance });
        }
        Ok(coins)
    }
}
