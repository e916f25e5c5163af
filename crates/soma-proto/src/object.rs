//! Objects: everything of value on the chain.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::canonical::bcs_form;
use crate::{Address, Error, ObjectDigest, ObjectId, Result, TransactionDigest, byte_buf, hash};

/// Id, version and digest of one state of an object; 73 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ObjectRef(pub ObjectId, pub u64, pub ObjectDigest);

impl ObjectRef {
    /// The object.
    pub const fn id(&self) -> ObjectId {
        self.0
    }

    /// Its version.
    pub const fn version(&self) -> u64 {
        self.1
    }

    /// The digest of that version.
    pub const fn digest(&self) -> ObjectDigest {
        self.2
    }
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum ObjectType {
    /// The one system state.
    SystemState,
    /// Money.
    Coin,
    /// A receipt for stake.
    StakedSoma,
    /// A target that models compete for.
    Target,
    /// A challenge to a submission.
    Challenge,
}

impl ObjectType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::SystemState, Self::Coin, Self::StakedSoma, Self::Target, Self::Challenge];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SystemState => "SystemState",
            Self::Coin => "Coin",
            Self::StakedSoma => "StakedSoma",
            Self::Target => "Target",
            Self::Challenge => "Challenge",
        }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ObjectType {
    type Err = Error;

    /// Reads the exact-case name.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|ty| ty.as_str() == text).ok_or_else(|| {
            Error::text(
                "object type",
                "expected Coin, StakedSoma, SystemState, Target or Challenge",
            )
        })
    }
}

/// Who may use an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
#[non_exhaustive]
pub enum Owner {
    /// One account.
    AddressOwner(Address),
    /// Anybody, through the rules.
    Shared {
        /// The version at which it became shared.
        initial_shared_version: u64,
    },
    /// Nobody; it never changes.
    Immutable,
}

impl Owner {
    /// The account, if one owns the object.
    pub const fn address(&self) -> Option<Address> {
        match self {
            Self::AddressOwner(address) => Some(*address),
            _ => None,
        }
    }
}

/// Type, version and contents of an object.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct ObjectData {
    /// What it is.
    pub object_type: ObjectType,
    /// Its version.
    pub version: u64,
    /// The id (32 bytes), then the BCS of the inner value.
    #[serde(serialize_with = "byte_buf::serialize", deserialize_with = "contents_with_id")]
    #[cfg_attr(feature = "proptest", proptest(strategy = "crate::arbitrary::contents()"))]
    contents: Vec<u8>,
}

/// Reads contents that are long enough to begin with an id.
fn contents_with_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let contents = byte_buf::deserialize(deserializer)?;
    if contents.len() < ObjectId::LENGTH {
        return Err(de::Error::custom("object contents are too short for an id"));
    }
    Ok(contents)
}

impl fmt::Debug for ObjectData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectData")
            .field("object_type", &self.object_type)
            .field("version", &self.version)
            .field("contents", &hex::encode(&self.contents))
            .finish()
    }
}

/// An object in one of its versions.
///
/// ```text
/// object   = type version contents owner previous
/// type     = OCTET              ; index of the type
/// version  = 8OCTET             ; little-endian
/// contents = uleb 32OCTET *OCTET ; the id, then the inner value
/// previous = %x20 32OCTET       ; transaction that wrote this version
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct Object {
    /// Type, version and contents.
    pub data: ObjectData,
    /// Who may use it.
    pub owner: Owner,
    /// The transaction that wrote this version.
    pub previous_transaction: TransactionDigest,
}

bcs_form!(Object, StakedSoma);

impl Object {
    /// An object from its parts; `inner` is the BCS of the inner value.
    pub fn new(
        id: ObjectId,
        object_type: ObjectType,
        version: u64,
        inner: &[u8],
        owner: Owner,
        previous_transaction: TransactionDigest,
    ) -> Self {
        let mut contents = Vec::with_capacity(ObjectId::LENGTH + inner.len());
        contents.extend_from_slice(id.as_bytes());
        contents.extend_from_slice(inner);
        Self { data: ObjectData { object_type, version, contents }, owner, previous_transaction }
    }

    /// A coin of `balance` shannons.
    pub fn coin(
        id: ObjectId,
        version: u64,
        balance: u64,
        owner: Address,
        previous: TransactionDigest,
    ) -> Self {
        let inner = balance.to_le_bytes();
        Self::new(id, ObjectType::Coin, version, &inner, Owner::AddressOwner(owner), previous)
    }

    /// A receipt for stake.
    pub fn staked_soma(
        id: ObjectId,
        version: u64,
        staked: &StakedSoma,
        owner: Address,
        previous: TransactionDigest,
    ) -> Self {
        let inner = staked.to_bcs();
        Self::new(id, ObjectType::StakedSoma, version, &inner, Owner::AddressOwner(owner), previous)
    }

    /// Replaces the inner value.
    pub fn set_inner(&mut self, inner: &[u8]) {
        self.data.contents.truncate(ObjectId::LENGTH);
        self.data.contents.extend_from_slice(inner);
    }

    /// Its id.
    pub fn id(&self) -> ObjectId {
        ObjectId::from_bytes(&self.data.contents[..ObjectId::LENGTH])
            .expect("contents begin with an id")
    }

    /// What it is.
    pub const fn object_type(&self) -> ObjectType {
        self.data.object_type
    }

    /// Its version.
    pub const fn version(&self) -> u64 {
        self.data.version
    }

    /// The BCS of the inner value: what messages carry as `contents`.
    pub fn inner(&self) -> &[u8] {
        &self.data.contents[ObjectId::LENGTH..]
    }

    /// Blake2b-256 over `Object::` and the BCS of the object.
    pub fn digest(&self) -> ObjectDigest {
        ObjectDigest::new(hash::named("Object", self))
    }

    /// Id, version and digest.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef(self.id(), self.version(), self.digest())
    }

    /// The balance in shannons, if this is a coin.
    pub fn coin_balance(&self) -> Option<u64> {
        if self.object_type() != ObjectType::Coin {
            return None;
        }
        self.inner().try_into().ok().map(u64::from_le_bytes)
    }

    /// The receipt, if this is one.
    pub fn as_staked_soma(&self) -> Option<StakedSoma> {
        if self.object_type() != ObjectType::StakedSoma {
            return None;
        }
        bcs::from_bytes(self.inner()).ok()
    }
}

/// A receipt for stake; whoever owns it may withdraw the stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "proptest", derive(proptest_derive::Arbitrary))]
pub struct StakedSoma {
    /// The pool it is a share of.
    pub pool_id: ObjectId,
    /// The first epoch in which it counts.
    pub stake_activation_epoch: u64,
    /// What was paid in, in shannons.
    pub principal: u64,
}

/// The id of the `n`-th object that a transaction creates, counted from 0.
pub fn derive_object_id(transaction: &TransactionDigest, n: u64) -> ObjectId {
    ObjectId::new(hash::blake2b256(&[transaction.as_bytes(), &n.to_le_bytes()]))
}

/// The id of the `n`-th object of a genesis, counted from 0.
pub fn genesis_object_id(n: u64) -> ObjectId {
    ObjectId::new(hash::blake2b256(&[b"soma-genesis-object-id", &n.to_le_bytes()]))
}
