//! Signatures of users.

use super::{At as _, invalid, list, message, value};
use crate::grpc::mask::MaskTree;
use crate::grpc::pb;
use crate::signature::{MultiSig, MultiSigPublicKey, UserSignature};
use crate::{Error, PublicKey, Result};

/// The scheme of every simple key and signature; it must be written though it
/// is zero.
const ED25519: i32 = pb::SignatureScheme::Ed25519 as i32;

impl From<&UserSignature> for pb::UserSignature {
    fn from(signature: &UserSignature) -> Self {
        use pb::user_signature::Signature;

        let (scheme, signature) = match signature {
            UserSignature::Ed25519 { signature, public_key } => (
                ED25519,
                Signature::Simple(pb::SimpleSignature {
                    scheme: Some(ED25519),
                    signature: Some(signature.to_vec()),
                    public_key: Some(public_key.as_bytes().to_vec()),
                }),
            ),
            UserSignature::MultiSig(multisig) => (
                pb::SignatureScheme::Multisig.into(),
                Signature::Multisig(multisig.as_ref().into()),
            ),
        };
        Self { scheme: Some(scheme), signature: Some(signature) }
    }
}

impl TryFrom<pb::UserSignature> for UserSignature {
    type Error = Error;

    /// The scheme must be there but is not compared with the signature.
    fn try_from(signature: pb::UserSignature) -> Result<Self> {
        use pb::user_signature::Signature;

        value(signature.scheme).at("scheme")?;
        match value(signature.signature).at("signature")? {
            Signature::Simple(simple) => simple.try_into().at("simple"),
            Signature::Multisig(multisig) => multisig
                .try_into()
                .map(|multisig| Self::MultiSig(Box::new(multisig)))
                .at("multisig"),
        }
    }
}

impl TryFrom<pb::SimpleSignature> for UserSignature {
    type Error = Error;

    fn try_from(simple: pb::SimpleSignature) -> Result<Self> {
        if value(simple.scheme).at("scheme")? != ED25519 {
            return Err(invalid("only Ed25519 keys sign alone")).at("scheme");
        }
        Ok(Self::Ed25519 {
            signature: signature_bytes(simple.signature).at("signature")?,
            public_key: public_key(simple.public_key).at("public_key")?,
        })
    }
}

impl From<&MultiSig> for pb::MultisigAggregatedSignature {
    fn from(multisig: &MultiSig) -> Self {
        let key = multisig.public_key();
        let members = key.members().map(|(key, weight)| pb::MultisigMember {
            public_key: Some(pb::MultisigMemberPublicKey {
                scheme: Some(ED25519),
                public_key: Some(key.as_bytes().to_vec()),
            }),
            weight: Some(weight.into()),
        });
        let signatures = multisig.signatures().map(|signature| pb::MultisigMemberSignature {
            scheme: Some(ED25519),
            signature: Some(signature.to_vec()),
        });
        Self {
            signatures: signatures.collect(),
            bitmap: Some(multisig.bitmap().into()),
            committee: Some(pb::MultisigCommittee {
                members: members.collect(),
                threshold: Some(key.threshold().into()),
            }),
        }
    }
}

impl TryFrom<pb::MultisigAggregatedSignature> for MultiSig {
    type Error = Error;

    fn try_from(multisig: pb::MultisigAggregatedSignature) -> Result<Self> {
        let bitmap: u16 = small(multisig.bitmap).at("bitmap")?;
        let key = message(multisig.committee).at("committee")?;
        let signatures: Vec<MemberSignature> = list(multisig.signatures).at("signatures")?;
        let places = (0..16_usize).filter(|place| bitmap & (1 << place) != 0);
        if places.clone().count() != signatures.len() {
            return Err(invalid("one bit for each signature is wanted")).at("bitmap");
        }
        Self::new(key, places.zip(signatures.into_iter().map(|signature| signature.0)))
    }
}

impl TryFrom<pb::MultisigCommittee> for MultiSigPublicKey {
    type Error = Error;

    fn try_from(committee: pb::MultisigCommittee) -> Result<Self> {
        let members: Vec<Member> = list(committee.members).at("members")?;
        let threshold = small(committee.threshold).at("threshold")?;
        Self::new(members.into_iter().map(|member| (member.0, member.1)), threshold)
    }
}

struct Member(PublicKey, u8);

impl TryFrom<pb::MultisigMember> for Member {
    type Error = Error;

    fn try_from(member: pb::MultisigMember) -> Result<Self> {
        let key = value(member.public_key).at("public_key")?;
        let weight = small(member.weight).at("weight")?;
        Ok(Self(public_key(key.public_key).at("public_key.public_key")?, weight))
    }
}

struct MemberSignature([u8; 64]);

impl TryFrom<pb::MultisigMemberSignature> for MemberSignature {
    type Error = Error;

    fn try_from(signature: pb::MultisigMemberSignature) -> Result<Self> {
        signature_bytes(signature.signature).map(Self).at("signature")
    }
}

/// Of a signature what the mask selects.
pub(super) fn signature_message(signature: &UserSignature, mask: &MaskTree) -> pb::UserSignature {
    let mut message = pb::UserSignature::from(signature);
    if !mask.contains("scheme") {
        message.scheme = None;
    }
    let selected = match message.signature {
        Some(pb::user_signature::Signature::Multisig(_)) => mask.contains("multisig"),
        _ => mask.contains("simple"),
    };
    if !selected {
        message.signature = None;
    }
    message
}

/// An Ed25519 key of 32 raw bytes.
pub(super) fn public_key(field: Option<Vec<u8>>) -> Result<PublicKey> {
    PublicKey::from_bytes(value(field)?)
}

fn signature_bytes(field: Option<Vec<u8>>) -> Result<[u8; 64]> {
    let bytes = value(field)?;
    bytes.as_slice().try_into().map_err(|_| Error::Length {
        what: "signature",
        expected: 64,
        found: bytes.len(),
    })
}

/// A number that is small on our side.
fn small<T: TryFrom<u32>>(field: Option<u32>) -> Result<T> {
    value(field)?.try_into().map_err(|_| invalid("out of range"))
}
