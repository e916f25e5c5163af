//! Parts that do not make a ledger.

use soma_ledger::{Error, Ledger, SYSTEM_STATE_ID};
use soma_proto::{Object, ObjectId, TransactionDigest};

use crate::world::*;

fn coin(id: ObjectId, balance: u64) -> Object {
    Object::coin(id, 1, balance, address(ALICE), TransactionDigest::ZERO)
}

#[test]
fn an_id_stands_once() {
    let world = World::new();
    let twice = world.parts().objects[0].id();
    for id in [twice, SYSTEM_STATE_ID] {
        let mut parts = world.parts();
        parts.objects.push(coin(id, 1));
        let error = Ledger::restore(parts).expect_err("an object too many");
        assert!(matches!(error, Error::UnexpectedObject { id: found } if found == id), "{error}");
    }
}

#[test]
fn all_money_fits_into_64_bits() {
    let supply = 10_000_000 * SOMA;
    let restore = |balance| {
        let mut parts = World::new().parts();
        parts.objects.push(coin(ObjectId::new([0xc0; 32]), balance));
        Ledger::restore(parts)
    };
    let ledger = restore(u64::MAX - supply).expect("the largest sum that fits");
    assert_eq!(ledger.supply().total(), u128::from(u64::MAX));
    let error = restore(u64::MAX - supply + 1).expect_err("one more");
    let expected = u128::from(u64::MAX) + 1;
    assert!(matches!(error, Error::Overflow { total } if total == expected), "{error}");
    assert!(error.to_string().contains("18446744073709551616 shannons"), "{error}");
}
