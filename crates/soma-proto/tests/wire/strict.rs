//! Bytes that a careless decoder would take.

use std::collections::BTreeMap;

use serde::Deserialize;
use soma_proto::bls::{AuthorityName, BlsKeyPair};
use soma_proto::checkpoint::{
    AuthorityQuorumSignInfo, CertifiedCheckpointSummary, CheckpointSummary, EndOfEpochData,
};
use soma_proto::committee::{Authority, CheckpointVerifier, Committee};
use soma_proto::effects::{ExecutionStatus, TransactionEffects, TransactionFee};
use soma_proto::merkle::merkle_root;
use soma_proto::object::derive_object_id;
use soma_proto::signature::{Intent, MultiSig, MultiSigPublicKey, UserSignature};
use soma_proto::system_state::{ModelRegistry, PoolTokenExchangeRate, StakingPool};
use soma_proto::{
    Address, Checksum, Commitment, DecryptionKey, Error, KeyPair, Object, ObjectDigest, ObjectId,
    ObjectRef, PublicKey, SignedTransaction, Tensor, TransactionData, TransactionDigest,
    TransactionKind, WeightsUrl,
};

fn refused<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> String {
    bcs::from_bytes::<T>(bytes).err().expect("the bytes are refused").to_string()
}

fn transfer(amount: Option<u64>) -> TransactionData {
    let coin = ObjectRef(ObjectId::new([1; 32]), 5, ObjectDigest::new([2; 32]));
    let kind = TransactionKind::TransferCoin { coin, amount, recipient: Address::new([3; 32]) };
    TransactionData::new(kind, KeyPair::from_bytes([9; 32]).address(), vec![coin])
}

#[test]
fn lengths_are_minimal() {
    let mut bytes = bcs::to_bytes(&TransactionDigest::new([7; 32])).unwrap();
    assert_eq!(bytes[0], 0x20);
    bytes.splice(0..1, [0xa0, 0x00]);
    refused::<TransactionDigest>(&bytes);
    // And fit into 32 bits.
    refused::<Vec<u8>>(&[0x80, 0x80, 0x80, 0x80, 0x10]);
    refused::<Vec<u8>>(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
}

#[test]
fn lengths_are_exact() {
    for length in [0, 31, 33] {
        let bytes = bcs::to_bytes(&vec![0_u8; length]).unwrap();
        refused::<TransactionDigest>(&bytes);
        refused::<DecryptionKey>(&bytes);
    }
    for length in [95, 97] {
        refused::<AuthorityName>(&bcs::to_bytes(&vec![0_u8; length]).unwrap());
    }
    // An object whose contents cannot hold an id.
    let object = Object::coin(ObjectId::ZERO, 1, 1, Address::ZERO, TransactionDigest::ZERO);
    let mut bytes = object.to_bcs();
    bytes[9] = 31;
    bytes.drain(10..19);
    refused::<Object>(&bytes);
}

#[test]
fn bools_and_options_are_zero_or_one() {
    let mut bytes = transfer(Some(1)).to_bcs();
    let tag = 2 + 73;
    assert_eq!(bytes[tag], 1);
    bytes[tag] = 2;
    TransactionData::from_bcs(&bytes).unwrap_err();
    refused::<bool>(&[2]);
}

#[test]
fn nothing_may_follow() {
    let mut bytes = transfer(None).to_bcs();
    bytes.push(0);
    let error = TransactionData::from_bcs(&bytes).unwrap_err();
    assert!(format!("{:?}", error).to_lowercase().contains("remaining"), "{error:?}");
}

#[test]
fn none_is_not_zero() {
    assert_ne!(transfer(None).to_bcs(), transfer(Some(0)).to_bcs());
}

#[test]
fn nesting_ends_somewhere() {
    #[derive(Debug, Deserialize)]
    struct Chain {
        _next: Option<Box<Self>>,
    }
    bcs::from_bytes::<Chain>(&[&[1; 499][..], &[0]].concat()).unwrap();
    refused::<Chain>(&[&[1; 500][..], &[0]].concat());
}

#[test]
fn maps_are_sorted_by_their_bytes() {
    // {1, 2, 255, 256, 257, 512, 65536}: little-endian keys.
    let rates: BTreeMap<u64, PoolTokenExchangeRate> =
        [1, 2, 255, 256, 257, 512, 65536].map(|epoch| (epoch, Default::default())).into();
    let pool = StakingPool { exchange_rates: rates, ..StakingPool::default() };
    let bytes = bcs::to_bytes(&pool).unwrap();
    // id, two absent options, three amounts, the count
    let (entries_at, entry) = (32 + 2 + 24 + 1, 24);
    let order: Vec<u64> = (0..7)
        .map(|n| u64::from_le_bytes(bytes[entries_at + n * entry..][..8].try_into().unwrap()))
        .collect();
    assert_eq!(order, [65536, 256, 512, 1, 257, 2, 255]);
    assert_eq!(bcs::from_bytes::<StakingPool>(&bytes).unwrap(), pool);

    let mut swapped = bytes.clone();
    swapped[entries_at..entries_at + 2 * entry].rotate_left(entry);
    assert_eq!(bcs::from_bytes::<StakingPool>(&swapped), Err(bcs::Error::NonCanonicalMap));
    let mut doubled = bytes;
    doubled.copy_within(entries_at..entries_at + entry, entries_at + entry);
    assert_eq!(bcs::from_bytes::<StakingPool>(&doubled), Err(bcs::Error::NonCanonicalMap));
}

#[test]
fn sets_are_sorted_where_a_whole_value_is_read() {
    let reporters = [Address::new([1; 32]), Address::new([2; 32])];
    let mut registry = ModelRegistry::default();
    registry.model_report_records.insert(ObjectId::ZERO, reporters.into());
    let mut bytes = registry.to_bcs();
    let length = bytes.len();
    bytes[length - 64..].rotate_left(32);
    // The decoder of the network does not mind the order of a set.
    assert_eq!(bcs::from_bytes::<ModelRegistry>(&bytes).unwrap(), registry);
    assert!(matches!(ModelRegistry::from_bcs(&bytes), Err(Error::NotCanonical { .. })));
}

#[test]
fn urls_are_in_normal_form() {
    let url: WeightsUrl = "https://example.com/".parse().unwrap();
    assert_eq!(url.commitment(), Commitment::of("https://example.com/"));
    let bytes = bcs::to_bytes("https://example.com").unwrap();
    let decoded: WeightsUrl = bcs::from_bytes(&bytes).unwrap();
    assert_eq!(decoded, url);
    assert_ne!(bcs::to_bytes(&decoded).unwrap(), bytes);
    refused::<WeightsUrl>(&bcs::to_bytes("example.com").unwrap());
}

#[test]
fn checksums_are_43_characters_of_one_alphabet() {
    let text = Checksum::new([0xff; 32]).to_base64url();
    assert_eq!(text.len(), 43);
    assert!(text.starts_with("____"));
    for bad in
        [format!("{text}="), text.replace('_', "/"), text[1..].to_owned(), text.replace("_8", "_9")]
    {
        Checksum::from_base64url(&bad).unwrap_err();
        refused::<Checksum>(&bcs::to_bytes(&bad).unwrap());
    }
}

#[test]
fn hex_parameters_do_not_pad() {
    assert_eq!("0x5".parse::<ObjectId>().unwrap(), ObjectId::SYSTEM_STATE);
    for bad in
        ["0x5", "", "0x", " ", &"a".repeat(63), &"a".repeat(65), &format!("0X{}", "a".repeat(64))]
    {
        Commitment::from_hex_or_base58(bad).unwrap_err();
        DecryptionKey::from_hex_or_base58(bad).unwrap_err();
        bad.parse::<Checksum>().unwrap_err();
    }
}

#[test]
fn tensors_fit_their_shape() {
    let tensor = |data: &[u8], shape: &[u64]| {
        let bytes = bcs::to_bytes(&(0_u8, data.to_vec(), shape.to_vec())).unwrap();
        bcs::from_bytes::<Tensor>(&bytes)
    };
    tensor(&[0; 8], &[2]).unwrap();
    tensor(&[0; 8], &[2, 1]).unwrap();
    tensor(&[0; 4], &[]).unwrap();
    tensor(&[], &[0]).unwrap();
    tensor(&[0; 7], &[2]).unwrap_err();
    tensor(&[0; 8], &[3]).unwrap_err();
    tensor(&[], &[]).unwrap_err();
    tensor(&[0; 8], &[u64::MAX, u64::MAX]).unwrap_err();
    tensor(&[], &[1 << 63, 2, 0]).unwrap_err();
    refused::<Tensor>(&[1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    // A length of two gigabytes with nothing behind it.
    refused::<Tensor>(&[0, 0xff, 0xff, 0xff, 0xff, 0x07]);
}

#[test]
fn one_transaction_is_signed() {
    let signed = transfer(None).sign(&KeyPair::from_bytes([9; 32]));
    let bytes = signed.to_bcs();
    refused::<SignedTransaction>(&[0]);
    let twice = [&[2], &bytes[1..], &bytes[1..]].concat();
    refused::<SignedTransaction>(&twice);
}

#[test]
fn signatures_are_for_one_purpose_and_one_sender() {
    let key = KeyPair::from_bytes([9; 32]);
    let signed = transfer(None).sign(&key);
    signed.verify().unwrap();

    let mut other = signed.clone();
    other.intent = Intent::CHECKPOINT;
    other.verify().unwrap_err();

    let mut other = signed.clone();
    other.signatures.push(other.signatures[0].clone());
    other.verify().unwrap_err();
    other.signatures.clear();
    other.verify().unwrap_err();

    transfer(None).sign(&KeyPair::from_bytes([8; 32])).verify().unwrap_err();

    let mut other = signed;
    other.data = transfer(Some(0));
    other.verify().unwrap_err();

    let genesis =
        TransactionData::new(TransactionKind::Genesis { objects: vec![] }, Address::ZERO, vec![]);
    let system = SignedTransaction::system(genesis);
    assert_eq!(system.signatures[0].to_bytes(), [0; 97]);
    system.verify().unwrap_err();
}

#[test]
fn flags_that_users_cannot_use() {
    for flag in [1, 3, 0xff] {
        let mut bytes = [0; 97];
        bytes[0] = flag;
        UserSignature::from_bytes(&bytes).unwrap_err();
    }
    UserSignature::from_bytes(&[]).unwrap_err();
    UserSignature::from_bytes(&[0; 96]).unwrap_err();
    UserSignature::from_bytes(&[0; 98]).unwrap_err();
    refused::<Intent>(&[9, 0, 1]);
    refused::<Intent>(&[0, 1, 1]);
    refused::<Intent>(&[0, 0, 2]);
}

#[test]
fn multisig_rules() {
    let keys: Vec<KeyPair> = (1..=4).map(|n| KeyPair::from_bytes([n; 32])).collect();
    let hash = [5; 32];
    let sign = |key: &KeyPair| match key.sign_hash(&hash) {
        UserSignature::Ed25519 { signature, .. } => signature,
        _ => unreachable!("one key makes a single signature"),
    };
    let members: Vec<(PublicKey, u8)> =
        keys.iter().zip(1..).map(|(key, weight)| (key.public_key(), weight)).collect();
    let account = MultiSigPublicKey::new(members.clone(), 5).unwrap();
    let by = |places: &[usize]| {
        let signatures = places.iter().map(|place| (*place, sign(&keys[*place])));
        UserSignature::MultiSig(Box::new(MultiSig::new(account.clone(), signatures).unwrap()))
    };

    by(&[1, 2]).verify(&hash, account.address()).unwrap();
    by(&[3, 0]).verify(&hash, account.address()).unwrap();
    by(&[0, 2]).verify(&hash, account.address()).unwrap_err();
    by(&[]).verify(&hash, account.address()).unwrap_err();
    by(&[1, 2]).verify(&[6; 32], account.address()).unwrap_err();
    by(&[1, 2]).verify(&hash, keys[1].address()).unwrap_err();

    // A wrong signature spoils the rest, even if the rest is enough.
    let spoiled = [(1, sign(&keys[1])), (2, sign(&keys[2])), (3, sign(&keys[0]))];
    let spoiled = MultiSig::new(account.clone(), spoiled).unwrap();
    UserSignature::MultiSig(Box::new(spoiled)).verify(&hash, account.address()).unwrap_err();

    // Members and signatures out of step.
    let mut bytes = by(&[1, 2]).to_bytes();
    let bitmap = 2 + 2 * 65;
    assert_eq!(bytes[bitmap], 0b0110);
    for bad in [0b0010, 0b1110, 0b1_0100] {
        bytes[bitmap] = bad;
        let read = UserSignature::from_bytes(&bytes).unwrap();
        read.verify(&hash, account.address()).unwrap_err();
    }
    MultiSig::new(account.clone(), [(4, [0; 64])]).unwrap_err();
    MultiSig::new(account, [(1, [0; 64]), (1, [0; 64])]).unwrap_err();

    let key = |n: u8| KeyPair::from_bytes([n; 32]).public_key();
    MultiSigPublicKey::new([], 1).unwrap_err();
    MultiSigPublicKey::new((0..11).map(|n| (key(n), 1)), 1).unwrap_err();
    MultiSigPublicKey::new((0..10).map(|n| (key(n), 255)), 2550).unwrap();
    MultiSigPublicKey::new([(key(1), 0), (key(2), 1)], 1).unwrap_err();
    MultiSigPublicKey::new([(key(1), 1), (key(1), 1)], 1).unwrap_err();
    MultiSigPublicKey::new([(key(1), 1)], 0).unwrap_err();
    MultiSigPublicKey::new([(key(1), 1)], 2).unwrap_err();
}

#[test]
fn secret_texts_are_strict() {
    let key = KeyPair::from_bytes([1; 32]);
    let text = key.to_bech32();
    assert_eq!(text.len(), 71);
    for bad in [
        text.replacen("somaprivkey", "suiprivkey", 1),
        text.replacen('q', "Q", 1),
        text[..70].to_owned(),
        format!("{}x", *text),
    ] {
        let error = KeyPair::from_bech32(&bad).unwrap_err().to_string();
        assert!(!error.contains(&bad[12..30]), "{error}");
    }
    let base64 = key.to_base64();
    assert_eq!(base64.len(), 44);
    KeyPair::from_base64(&base64[..43]).unwrap_err();
    KeyPair::from_base64(&base64.replacen("AA", "AQ", 1)).unwrap_err();
    KeyPair::from_base64(&format!(" {}", *base64)).unwrap_err();
    KeyPair::from_hex(&"1".repeat(63)).unwrap_err();
    KeyPair::from_hex(&"1".repeat(66)).unwrap_err();
    assert!(!format!("{key:?}").contains("01010101"));
    assert!(!format!("{:?}", DecryptionKey::new([1; 32])).contains('1'));
}

#[test]
fn an_unknown_node_error_says_what_to_do() {
    // Failure 54 of the kinds, 44 of the node errors.
    let error = refused::<ExecutionStatus>(&[1, 54, 44]);
    assert!(error.contains("44") && error.contains("message form"), "{error}");
    assert_eq!(
        bcs::from_bytes::<ExecutionStatus>(&[1, 54, 45]).unwrap(),
        serde_json::from_str(r#"{"Failure":{"error":{"SomaError":"UnexpectedOwnerType"}}}"#)
            .unwrap()
    );
    // Failures of a later release.
    refused::<ExecutionStatus>(&[1, 55]);
    TransactionEffects::from_bcs(&[1]).unwrap_err();
}

#[test]
fn ids_of_created_objects_leave_the_length_out() {
    let digest = TransactionDigest::new([3; 32]);
    let bytes = [&[3; 32][..], &2_u64.to_le_bytes()].concat();
    let expected = Commitment::of(bytes).into_inner();
    assert_eq!(derive_object_id(&digest, 2), ObjectId::new(expected));
}

#[test]
fn an_odd_level_gets_zeros() {
    let leaf = |n: u8| Commitment::of([0, n]).into_inner();
    let inner =
        |l: &[u8; 32], r: &[u8; 32]| Commitment::of([&[1], &l[..], r].concat()).into_inner();
    assert_eq!(merkle_root::<u8>(&[]), [0; 32]);
    assert_eq!(merkle_root(&[5_u8]), leaf(5));
    let right = inner(&leaf(3), &[0; 32]);
    assert_eq!(merkle_root(&[1_u8, 2, 3]), inner(&inner(&leaf(1), &leaf(2)), &right));
}

/// A committee, its keys by place, and a way to sign with some of them.
struct Chain {
    committee: Committee,
    keys: Vec<BlsKeyPair>,
}

impl Chain {
    fn new(epoch: u64, powers: &[u64]) -> Self {
        let mut keys: Vec<_> = (1..=powers.len())
            .map(|n| BlsKeyPair::from_bytes(&[&[0; 31][..], &[n as u8]].concat()).unwrap())
            .collect();
        keys.sort_by_key(BlsKeyPair::name);
        let names = || keys.iter().map(BlsKeyPair::name);
        let authority = |key: &BlsKeyPair, stake: u64| Authority {
            stake,
            address: String::new(),
            hostname: String::new(),
            protocol_key: PublicKey::default(),
            network_key: PublicKey::default(),
            authority_key: key.public_key(),
        };
        let committee = Committee {
            epoch,
            voting_rights: names().zip(powers.iter().copied()).collect(),
            expanded_keys: keys.iter().map(|key| (key.name(), key.public_key())).collect(),
            index_map: names().zip(0..).collect(),
            authorities: keys
                .iter()
                .zip(powers)
                .map(|(key, power)| (key.name(), authority(key, *power)))
                .collect(),
        };
        Self { committee, keys }
    }

    fn sign(&self, summary: CheckpointSummary, signers: &[u32]) -> CertifiedCheckpointSummary {
        let epoch = summary.epoch;
        let signatures: Vec<_> = signers
            .iter()
            .filter_map(|place| self.keys.get(*place as usize))
            .map(|key| key.sign_in_epoch(Intent::CHECKPOINT, &summary, epoch))
            .collect();
        let auth_signature = AuthorityQuorumSignInfo {
            epoch,
            signature: soma_proto::bls::BlsSignature::aggregate(&signatures).unwrap(),
            signers_map: signers.iter().copied().collect(),
        };
        CertifiedCheckpointSummary { summary, auth_signature }
    }
}

fn summary(epoch: u64, previous: Option<&CheckpointSummary>) -> CheckpointSummary {
    CheckpointSummary {
        epoch,
        sequence_number: previous.map_or(0, |previous| previous.sequence_number + 1),
        network_total_transactions: 1,
        content_digest: Default::default(),
        previous_digest: previous.map(CheckpointSummary::digest),
        epoch_rolling_transaction_fees: TransactionFee::default(),
        timestamp_ms: 7,
        checkpoint_commitments: vec![],
        end_of_epoch_data: None,
        version_specific_data: vec![],
    }
}

#[test]
fn certificates_need_a_quorum_of_their_epoch() {
    let chain = Chain::new(3, &[2000, 2000, 2666, 3333, 1]);
    let verify = |checkpoint: &CertifiedCheckpointSummary| chain.committee.verify(checkpoint);
    let good = chain.sign(summary(3, None), &[0, 1, 2, 4]);
    verify(&good).unwrap();
    verify(&chain.sign(summary(3, None), &[0, 1, 2, 3, 4])).unwrap();
    // 6666 is not enough, 6667 is.
    verify(&chain.sign(summary(3, None), &[0, 1, 2])).unwrap_err();
    verify(&chain.sign(summary(4, None), &[0, 1, 2, 4])).unwrap_err();
    // Somebody who is not there.
    verify(&chain.sign(summary(3, None), &[0, 1, 2, 3, 5])).unwrap_err();

    let mut bad = good.clone();
    bad.summary.timestamp_ms += 1;
    verify(&bad).unwrap_err();
    let mut bad = good.clone();
    bad.auth_signature.epoch = 4;
    verify(&bad).unwrap_err();
    let mut bad = good;
    bad.auth_signature.signers_map = [0, 1, 3].into_iter().collect();
    verify(&bad).unwrap_err();

    // A member without a vote cannot be named.
    let silent = Chain::new(3, &[7000, 0]);
    silent.committee.verify(&silent.sign(summary(3, None), &[0])).unwrap();
    silent.committee.verify(&silent.sign(summary(3, None), &[0, 1])).unwrap_err();
}

#[test]
fn checkpoints_form_a_chain() {
    let (old, new) = (Chain::new(3, &[10_000]), Chain::new(4, &[1, 9999]));
    let first = old.sign(summary(3, None), &[0]);
    let mut last = summary(3, Some(&first.summary));
    last.end_of_epoch_data = Some(EndOfEpochData {
        next_epoch_validator_committee: new.committee.clone(),
        next_epoch_protocol_version: 1,
        epoch_commitments: vec![],
    });
    let last = old.sign(last, &[0]);
    let next = new.sign(summary(4, Some(&last.summary)), &[1]);

    let mut verifier = CheckpointVerifier::new(old.committee.clone());
    verifier.advance(&first).unwrap();
    verifier.advance(&first).unwrap_err();
    verifier.advance(&next).unwrap_err();
    let unlinked = old.sign(summary(3, Some(&summary(2, None))), &[0]);
    verifier.advance(&unlinked).unwrap_err();
    let mut early = summary(3, Some(&first.summary));
    early.timestamp_ms = 6;
    verifier.advance(&old.sign(early, &[0])).unwrap_err();
    verifier.advance(&last).unwrap();
    assert_eq!(verifier.committee(), &new.committee);
    let stale = old.sign(summary(3, Some(&last.summary)), &[0]);
    verifier.advance(&stale).unwrap_err();
    verifier.advance(&next).unwrap();
}

/// Found by fuzzing: what the parser prints for this URL reads as another one.
#[test]
fn a_url_without_a_normal_form_is_refused() {
    let refused = "file://e//e://".parse::<WeightsUrl>();
    assert!(refused.is_err_and(|error| error.to_string().contains("no normal form")));
}
