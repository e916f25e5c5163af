"""Coins: transfers, payments, fees and failures, to the shannon."""

import types

import pytest
from conftest import SOMA, Keypair, failure, funded, run, shannons


async def coins_of(client, address):
    return await client.list_owned_objects(address, object_type="coin")


async def test_transfer_from_the_gas_coin(client):
    owner, friend = await funded(client), Keypair.generate().address()
    [coin] = await coins_of(client, owner.address())
    tx = await client.build_transfer_coin(owner.address(), friend, coin, 500_000)
    effects = await run(client, owner, tx)
    fee = effects.transaction_fee
    assert (fee.base_fee, fee.operation_fee, fee.value_fee, fee.total_fee) == (1000, 600, 500, 2100)
    assert await shannons(client, friend) == 500_000
    assert await shannons(client, owner.address()) == 2 * SOMA - 500_000 - 2_100


async def test_transfer_of_the_whole_gas_coin(client):
    owner, friend = await funded(client), Keypair.generate().address()
    [coin] = await coins_of(client, owner.address())
    effects = await run(client, owner, await client.build_transfer_coin(owner.address(), friend, coin))
    assert effects.status == "Success"
    value_fee = 2 * SOMA * 10 // 10_000
    assert await shannons(client, friend) == 2 * SOMA - 1_000 - 600 - value_fee
    assert await coins_of(client, owner.address()) == []


async def test_separate_gas(client):
    owner, friend = await funded(client, coins=2), Keypair.generate().address()
    gas, coin = await coins_of(client, owner.address())
    tx = await client.build_transfer_coin(owner.address(), friend, coin, 2 * SOMA, gas)
    effects = await run(client, owner, tx)
    # The coin itself changes hands: nothing is created.
    assert effects.transaction_fee.operation_fee == 600
    assert [one.id for one in await coins_of(client, friend)] == [coin.id]


async def test_pay_three(client):
    owner = await funded(client)
    friends = [Keypair.generate().address() for _ in range(3)]
    [coin] = await coins_of(client, owner.address())
    tx = await client.build_pay_coins(owner.address(), friends, [100, 200, 300], [coin])
    effects = await run(client, owner, tx)
    assert effects.transaction_fee.total_fee == 2_200
    assert [await shannons(client, friend) for friend in friends] == [100, 200, 300]
    assert await shannons(client, owner.address()) == 2 * SOMA - 600 - 2_200


async def test_transfer_objects(client):
    owner, friend = await funded(client, coins=3), Keypair.generate().address()
    gas, *others = await coins_of(client, owner.address())
    tx = await client.build_transfer_objects(owner.address(), friend, others, gas)
    effects = await run(client, owner, tx)
    assert effects.transaction_fee.total_fee == 1_900
    assert await shannons(client, friend) == 4 * SOMA


async def test_too_little_money(client):
    owner = await funded(client)
    [coin] = await coins_of(client, owner.address())
    tx = await client.build_transfer_coin(owner.address(), owner.address(), coin, 3 * SOMA)
    effects = await run(client, owner, tx)
    assert failure(effects) == "InsufficientCoinBalance"
    # A failed transaction costs the base fee and nothing else.
    assert await shannons(client, owner.address()) == 2 * SOMA - 1_000


async def test_the_same_transaction_twice(client):
    owner = await funded(client)
    [coin] = await coins_of(client, owner.address())
    tx = await client.build_transfer_coin(owner.address(), Keypair.generate().address(), coin, 7)
    signed = owner.sign(tx)
    first = (await client.execute_transaction(signed)).V1
    balance = await shannons(client, owner.address())
    second = (await client.execute_transaction(signed)).V1
    assert first.transaction_digest == second.transaction_digest
    assert await shannons(client, owner.address()) == balance
    looked_up = (await client.get_transaction(str(first.transaction_digest))).V1
    assert looked_up.transaction_digest == first.transaction_digest
    assert looked_up.status == "Success"


async def test_a_spent_coin_is_refused(client):
    owner = await funded(client)
    [coin] = await coins_of(client, owner.address())
    friend = Keypair.generate().address()
    await run(client, owner, await client.build_transfer_coin(owner.address(), friend, coin, 1))
    with pytest.raises(RuntimeError):
        await run(client, owner, await client.build_transfer_coin(owner.address(), friend, coin, 2))


async def test_another_owners_coin_is_refused(client):
    owner, thief = await funded(client), await funded(client)
    [coin] = await coins_of(client, owner.address())
    tx = await client.build_transfer_coin(thief.address(), thief.address(), coin, 1)
    with pytest.raises(RuntimeError):
        await run(client, thief, tx)
    # A signature by another key than the sender's.
    tx = await client.build_transfer_coin(owner.address(), thief.address(), coin, 1)
    with pytest.raises(RuntimeError):
        await run(client, thief, tx)
    assert await shannons(client, owner.address()) == 2 * SOMA


async def test_unknown_input_is_refused(client):
    owner = await funded(client)
    ghost = types.SimpleNamespace(id="0x" + "ab" * 32, version=3, digest="1" * 32)
    tx = await client.build_transfer_coin(owner.address(), owner.address(), ghost, 1)
    with pytest.raises(RuntimeError):
        await run(client, owner, tx)


async def test_simulation_changes_nothing(client):
    owner, friend = await funded(client), Keypair.generate().address()
    [coin] = await coins_of(client, owner.address())
    tx = await client.build_transfer_coin(owner.address(), friend, coin, 500_000)
    effects = (await client.simulate_transaction(tx)).V1
    assert (effects.status, effects.transaction_fee.total_fee) == ("Success", 2_100)
    assert await shannons(client, owner.address()) == 2 * SOMA
    executed = await run(client, owner, tx)
    assert executed.transaction_digest == effects.transaction_digest


async def test_more_than_a_thousand_coins(fresh):
    """Lists come in pages of at most 1000; nothing is lost or shown twice."""
    owner = await funded(fresh)
    address = owner.address()
    for _ in range(3):
        gas = (await fresh.list_owned_objects(address, object_type="coin", limit=1))[0]
        tx = await fresh.build_pay_coins(address, [address] * 400, [10_000] * 400, [gas])
        assert (await run(fresh, owner, tx)).status == "Success"
    coins = await fresh.list_owned_objects(address, object_type="coin")
    assert len(coins) == len({coin.id for coin in coins}) == 1_201
    assert len(await fresh.list_owned_objects(address, limit=7)) == 7
    assert len(await fresh.list_owned_objects(address)) == 1_201
    # Base 3000, 401 objects written each time, value 4,000,000 at 10 bps each time.
    fees = 3 * (1_000 + 300 * 401 + 4_000)
    assert await shannons(fresh, address) == 2 * SOMA - fees


async def test_what_a_transfer_did(client):
    """Every field of the effects, of a transfer from the gas coin."""
    owner, friend = await funded(client), Keypair.generate().address()
    [coin] = await coins_of(client, owner.address())
    tx = await client.build_transfer_coin(owner.address(), friend, coin, 5)
    effects = await run(client, owner, tx)
    [made] = await coins_of(client, friend)
    [left] = await coins_of(client, owner.address())
    assert effects.version == coin.version + 1 == made.version == left.version
    assert effects.dependencies == [coin.previous_transaction]
    assert made.previous_transaction == left.previous_transaction == effects.transaction_digest
    assert effects.unchanged_shared_objects == []
    changed = dict(effects.changed_objects)
    assert list(changed) == sorted([made.id, left.id])
    assert effects.changed_objects[effects.gas_object_index][0] == left.id == coin.id
    mine, theirs = {"AddressOwner": owner.address()}, {"AddressOwner": friend}
    assert changed[made.id] == {
        "input_state": "NotExist",
        "output_state": {"ObjectWrite": (made.digest, theirs)},
        "id_operation": "Created",
    }
    assert changed[left.id] == {
        "input_state": {"Exist": ((coin.version, coin.digest), mine)},
        "output_state": {"ObjectWrite": (left.digest, mine)},
        "id_operation": "None",
    }
    assert (made.data.object_type, left.data.object_type) == ("Coin", "Coin")
    assert bytes(made.data.contents[32:]) == (5).to_bytes(8, "little")


async def test_a_coin_that_is_used_up_is_deleted(client):
    owner, friend = await funded(client), Keypair.generate().address()
    [coin] = await coins_of(client, owner.address())
    effects = await run(client, owner, await client.build_transfer_coin(owner.address(), friend, coin))
    changed = dict(effects.changed_objects)
    assert changed[coin.id]["output_state"] == "NotExist"
    assert changed[coin.id]["id_operation"] == "Deleted"
    assert len(changed) == 2
    with pytest.raises(RuntimeError):
        await client.get_object(coin.id)


async def test_a_coin_too_small_to_pay(client):
    owner = await funded(client)
    address = owner.address()
    [coin] = await coins_of(client, address)
    tx = await client.build_pay_coins(address, [address], [500], [coin])
    assert (await run(client, owner, tx)).status == "Success"
    [dust] = [one for one in await coins_of(client, address) if one.id != coin.id]
    before = await shannons(client, address)
    effects = await run(client, owner, await client.build_transfer_coin(address, address, dust, 1, dust))
    assert failure(effects) == "InsufficientGas"
    assert effects.changed_objects == []
    assert await shannons(client, address) == before


async def test_an_unknown_transaction(client):
    with pytest.raises(RuntimeError, match="not found"):
        await client.get_transaction("1" * 32)
