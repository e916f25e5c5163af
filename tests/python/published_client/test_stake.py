"""Staking with validators and on models, through the builders."""

import pytest
from conftest import HIGH_LEVEL, SOMA, failure, funded, run, shannons


async def only(client, address, object_type):
    [one] = await client.list_owned_objects(address, object_type=object_type)
    return one


async def validator_address(client):
    return (await client.get_latest_system_state()).validators.validators[0].metadata.soma_address


@pytest.mark.skipif(not HIGH_LEVEL, reason="0.1.4 cannot name the validator: its system state call fails")
async def test_stake_and_withdraw_in_the_same_epoch(fresh):
    owner = await funded(fresh)
    coin = await only(fresh, owner.address(), "coin")
    validator = await validator_address(fresh)
    effects = await run(fresh, owner, await fresh.build_add_stake(owner.address(), validator, coin, SOMA))
    assert effects.transaction_fee.total_fee == 501_900
    receipt = await only(fresh, owner.address(), "staked_soma")
    effects = await run(fresh, owner, await fresh.build_withdraw_stake(owner.address(), receipt))
    assert effects.transaction_fee.total_fee == 501_900
    assert await shannons(fresh, owner.address()) == 2 * SOMA - 2 * 501_900


@pytest.mark.skipif(not HIGH_LEVEL, reason="0.1.4 cannot name the validator: its system state call fails")
async def test_stake_of_a_whole_coin(fresh):
    owner = await funded(fresh)
    coin = await only(fresh, owner.address(), "coin")
    tx = await fresh.build_add_stake(owner.address(), await validator_address(fresh), coin)
    effects = await run(fresh, owner, tx)
    fee = 1_000 + 900 + 2 * SOMA * 5 // 10_000
    assert (effects.status, effects.transaction_fee.total_fee) == ("Success", fee)
    assert await shannons(fresh, owner.address()) == 0


async def test_unknown_validator(client):
    owner = await funded(client)
    coin = await only(client, owner.address(), "coin")
    tx = await client.build_add_stake(owner.address(), "ab" * 32, coin, SOMA)
    assert failure(await run(client, owner, tx)) == "ValidatorNotFound"
    assert await shannons(client, owner.address()) == 2 * SOMA - 1_000


async def test_unknown_model(client):
    owner = await funded(client)
    coin = await only(client, owner.address(), "coin")
    tx = await client.build_add_stake_to_model(owner.address(), "0x" + "ab" * 32, coin, SOMA)
    assert failure(await run(client, owner, tx)) == "ModelNotFound"


async def test_a_coin_is_no_receipt(client):
    owner = await funded(client, coins=2)
    gas, coin = await client.list_owned_objects(owner.address(), object_type="coin")
    tx = await client.build_withdraw_stake(owner.address(), coin, gas)
    assert failure(await run(client, owner, tx)) == "InvalidObjectType"
