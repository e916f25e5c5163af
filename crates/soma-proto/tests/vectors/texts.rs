//! Amounts, ids, digests, URLs and commitments.

use soma_proto::{Address, Amount, Commitment, ObjectId, TransactionDigest, WeightsUrl};

use crate::loader::for_each;

#[test]
fn commitments() {
    for_each("commitments", 14, |entry| {
        let input = match entry.optional("input_hex") {
            Some(input) => input.hex(),
            None => (0..entry.at("length").number()).map(|i| (i * 131 + 7) as u8).collect(),
        };
        assert_eq!(input.len() as u64, entry.at("length").number());
        assert_eq!(Commitment::of(input).to_hex(), entry.at("blake2b256_hex").text());
    });
}

#[test]
fn amount_text() {
    for_each("amount_text", 26, |entry| {
        let amount = entry.at("text").text().parse::<Amount>().ok();
        assert_eq!(amount.map(Amount::shannons), entry.optional("shannons").map(|n| n.number()));
        assert_eq!(
            amount.map(|amount| amount.to_string()).as_deref(),
            entry.optional("display").map(|text| text.text())
        );
    });
}

#[test]
fn id_parsing() {
    for_each("id_parsing", 15, |entry| {
        let text = entry.at("text").text();
        let address = text.parse::<Address>().ok();
        assert_eq!(
            address.map(|address| address.to_string()).as_deref(),
            entry.optional("as_address").map(|text| text.text())
        );
        let id = text.parse::<ObjectId>().ok();
        assert_eq!(
            id.map(|id| id.to_string()),
            entry.optional("as_object_id").map(|text| format!("0x{}", text.text()))
        );

        // JSON accepts the same texts.
        let json = serde_json::Value::from(text);
        assert_eq!(serde_json::from_value::<Address>(json.clone()).ok(), address);
        assert_eq!(serde_json::from_value::<ObjectId>(json).ok(), id);
    });
}

#[test]
fn digest_parsing() {
    for_each("digest_parsing", 8, |entry| {
        let digest = entry.at("text").text().parse::<TransactionDigest>().ok();
        let expected = entry.optional("digest_hex").map(|hex| hex.hex());
        assert_eq!(digest.map(|digest| digest.as_bytes().to_vec()), expected);
        if let Some(digest) = digest {
            assert_eq!(digest.to_string(), entry.at("text").text());
        }
    });
}

#[test]
fn url_normalisation() {
    for_each("url_normalisation", 10, |entry| {
        let raw = entry.at("raw").text();
        assert_eq!(Commitment::of(raw).to_hex(), entry.at("commitment_of_raw").text());
        let url = raw.parse::<WeightsUrl>().ok();
        assert_eq!(
            url.as_ref().map(WeightsUrl::as_str),
            entry.optional("carried").map(|text| text.text())
        );
        assert_eq!(
            url.map(|url| url.commitment().to_hex()).as_deref(),
            entry.optional("commitment_of_carried").map(|text| text.text())
        );
    });
}
