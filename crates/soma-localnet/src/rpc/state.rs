//! `soma.rpc.StateService`: what an address owns. Targets and challenges are
//! not served: none is ever found.

use prost::Message as _;
use soma_proto::grpc::convert::{object_message, parse_address, parse_object_id};
use soma_proto::grpc::mask::{self, MaskTree, Root};
use soma_proto::grpc::pb;
use soma_proto::grpc::pb::state_service_server::StateService;
use soma_proto::grpc::status::Violation;
use soma_proto::{Address, ObjectId, ObjectType};
use tonic::{Request, Response, Status};

use super::{Node, PAGE_BYTES, failure, not_found, page_size};
use crate::store::OwnedKey;

/// Stands for "all types" in a page token.
const ALL_TYPES: u8 = 0xff;

#[tonic::async_trait]
impl StateService for Node {
    async fn list_owned_objects(
        &self,
        request: Request<pb::ListOwnedObjectsRequest>,
    ) -> Result<Response<pb::ListOwnedObjectsResponse>, Status> {
        let request = request.into_inner();
        let mask = MaskTree::validated(
            request.read_mask.as_ref(),
            mask::DEFAULT_OWNED_OBJECT,
            Root::Object,
        )?;
        let owner = owner(request.owner.as_deref(), parse_address)?;
        let ty = match &request.object_type {
            Some(name) => Some(parse(name, "object_type", str::parse::<ObjectType>)?),
            None => None,
        };
        let first = match &request.page_token {
            Some(token) => read_token(token, &owner, ty)?,
            None => OwnedKey::first(&owner, ty),
        };

        let limit = page_size(request.page_size);
        let snapshot = self.snapshot()?;
        let keys = snapshot.owned(first..=OwnedKey::last(&owner, ty), limit + 1);
        let mut page = pb::ListOwnedObjectsResponse::default();
        let mut bytes = 0;
        for key in keys.map_err(failure)? {
            if page.objects.len() == limit || bytes >= PAGE_BYTES {
                page.next_page_token = Some(token(&key, ty));
                break;
            }
            if let Some(object) = snapshot.object(&key.id()).map_err(failure)? {
                let message = object_message(&object, &mask);
                bytes += message.encoded_len();
                page.objects.push(message);
            }
        }
        Ok(Response::new(page))
    }

    async fn get_balance(
        &self,
        request: Request<pb::GetBalanceRequest>,
    ) -> Result<Response<pb::GetBalanceResponse>, Status> {
        let owner = owner(request.into_inner().owner.as_deref(), str::parse)?;
        let balance = self.snapshot()?.balance(&owner).map_err(failure)?;
        Ok(Response::new(pb::GetBalanceResponse { balance: Some(balance) }))
    }

    async fn get_target(
        &self,
        request: Request<pb::GetTargetRequest>,
    ) -> Result<Response<pb::GetTargetResponse>, Status> {
        let request = request.into_inner();
        MaskTree::validated(request.read_mask.as_ref(), mask::DEFAULT_TARGET, Root::Target)?;
        Err(self.absent("Target", "target_id", request.target_id.as_deref(), ObjectType::Target)?)
    }

    async fn list_targets(
        &self,
        request: Request<pb::ListTargetsRequest>,
    ) -> Result<Response<pb::ListTargetsResponse>, Status> {
        let request = request.into_inner();
        MaskTree::validated(request.read_mask.as_ref(), mask::DEFAULT_TARGETS, Root::Target)?;
        one_of(request.status_filter.as_deref(), &["open", "filled", "claimed"])?;
        no_token(request.page_token.is_some())?;
        Ok(Response::new(pb::ListTargetsResponse::default()))
    }

    async fn get_challenge(
        &self,
        request: Request<pb::GetChallengeRequest>,
    ) -> Result<Response<pb::GetChallengeResponse>, Status> {
        let request = request.into_inner();
        MaskTree::validated(request.read_mask.as_ref(), mask::DEFAULT_CHALLENGE, Root::Challenge)?;
        let id = request.challenge_id.as_deref();
        Err(self.absent("Challenge", "challenge_id", id, ObjectType::Challenge)?)
    }

    async fn list_challenges(
        &self,
        request: Request<pb::ListChallengesRequest>,
    ) -> Result<Response<pb::ListChallengesResponse>, Status> {
        let request = request.into_inner();
        let mask = request.read_mask.as_ref();
        MaskTree::validated(mask, mask::DEFAULT_CHALLENGES, Root::Challenge)?;
        if let Some(text) = &request.target_id {
            parse(text, "target_id", str::parse::<ObjectId>)?;
        }
        one_of(request.status_filter.as_deref(), &["pending", "resolved"])?;
        no_token(request.page_token.is_some())?;
        Ok(Response::new(pb::ListChallengesResponse::default()))
    }
}

impl Node {
    /// The error that there is no such target or challenge.
    fn absent(
        &self,
        what: &str,
        field: &str,
        id: Option<&str>,
        ty: ObjectType,
    ) -> Result<Status, Status> {
        let text = id.ok_or_else(|| Violation::missing(field))?;
        let id = parse(text, field, parse_object_id)?;
        let object = self.snapshot()?.object(&id).map_err(failure)?;
        match object.map(|object| object.object_type()).filter(|found| *found != ty) {
            Some(found) => {
                Err(Violation::invalid(field, format!("object {id} is a {found}, no {ty}")).into())
            }
            None => Ok(not_found(format!("{what} {id} not found"))),
        }
    }
}

fn owner(
    text: Option<&str>,
    read: impl FnOnce(&str) -> soma_proto::Result<Address>,
) -> Result<Address, Violation> {
    parse(text.ok_or_else(|| Violation::missing("owner"))?, "owner", read)
}

fn parse<T>(
    text: &str,
    field: &str,
    read: impl FnOnce(&str) -> soma_proto::Result<T>,
) -> Result<T, Violation> {
    read(text).map_err(|error| Violation::invalid(field, error.to_string()))
}

fn one_of(text: Option<&str>, words: &[&str]) -> Result<(), Violation> {
    match text {
        Some(text) if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
            Err(Violation::invalid("status_filter", format!("expected {}", words.join(", "))))
        }
        _ => Ok(()),
    }
}

/// The lists are empty, so no page of them ever had a token.
fn no_token(given: bool) -> Result<(), Violation> {
    if given { Err(Violation::invalid("page_token", "not a token of this list")) } else { Ok(()) }
}

/// The filter and the first key of the next page.
fn token(key: &OwnedKey, ty: Option<ObjectType>) -> Vec<u8> {
    let mut token = vec![ty.map_or(ALL_TYPES, |ty| ty as u8)];
    token.extend_from_slice(&key.0);
    token
}

fn read_token(
    token: &[u8],
    owner: &Address,
    ty: Option<ObjectType>,
) -> Result<OwnedKey, Violation> {
    let violation = |reason| Violation::invalid("page_token", reason);
    let (filter, key) = token.split_first().ok_or_else(|| violation("an empty token"))?;
    let key: [u8; 73] = key.try_into().map_err(|_| violation("not a page token"))?;
    let key = OwnedKey(key);
    let same = *filter == ty.map_or(ALL_TYPES, |ty| ty as u8)
        && (OwnedKey::first(owner, ty)..=OwnedKey::last(owner, ty)).contains(&key);
    if same { Ok(key) } else { Err(violation("the token belongs to another request")) }
}
