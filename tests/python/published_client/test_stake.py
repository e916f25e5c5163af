"""Staking with validators and on models, through the builders."""

import pytest
from conftest import (
    HIGH_LEVEL,
    SOMA,
    SomaClient,
    connect,
    failure,
    funded,
    run,
    shannons,
    stake,
    validator_address,
)

import network as networks


async def only(client, address, object_type):
    [one] = await client.list_owned_objects(address, object_type=object_type)
    return one


async def test_the_validators_address(client):
    address = await validator_address(client)
    assert len(address) == 64
    if HIGH_LEVEL:
        [validator] = (await client.get_latest_system_state()).validators.validators
        assert validator.metadata.soma_address == address


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


async def staked(client, owner):
    """Stakes 1 SOMA in epoch 0; the receipt."""
    address = owner.address()
    coin = await only(client, address, "coin")
    tx = await client.build_add_stake(address, await validator_address(client), coin, SOMA)
    assert (await run(client, owner, tx)).status == "Success"
    return await only(client, address, "staked_soma")


async def test_no_reward_in_the_first_epoch_of_a_stake(fresh):
    """The value fee is down to 9 bps in epoch 1, 4 of them for stake."""
    owner = await funded(fresh)
    receipt = await staked(fresh, owner)
    assert await fresh.advance_epoch() == 1
    tx = await fresh.build_withdraw_stake(owner.address(), receipt)
    effects = await run(fresh, owner, tx)
    assert (effects.status, effects.transaction_fee.total_fee) == ("Success", 401_900)
    assert await shannons(fresh, owner.address()) == 2 * SOMA - 501_900 - 401_900


async def test_rewards_of_a_whole_epoch():
    """Epochs of full length pay: 1 SOMA staked in epoch 0 is worth more in epoch 2.

    Only the clock ends such an epoch. A machine that is too slow to stake in epoch 0 and to
    withdraw in epoch 2 tries again with longer ones.
    """
    for seconds in (4, 16, 64, 256):
        running = networks.start("--embedding-dim", "4", epoch_duration_ms=seconds * 1_000)
        try:
            client = await connect(running)
            owner = await funded(client)
            if not await stake_and_withdraw_in_time(client, owner, seconds):
                continue
            # Shares bought at the rate of epoch 1 and sold at that of epoch 2. Epoch 0 hands out
            # 70 % of 1,370 SOMA and of its fees, 2,001,600 for the faucet and 501,900 for the
            # stake, less 2 % commission; epoch 1 of the emission alone. Without those fees it
            # would be 1,044,838,739.
            left = SOMA - 501_900 + 1_044_838_736 - 401_900
            assert await shannons(client, owner.address()) == left
            assert await client.list_owned_objects(owner.address(), object_type="staked_soma") == []
            return
        finally:
            running.stop()
    pytest.fail("no epoch was long enough")


async def stake_and_withdraw_in_time(client, owner, seconds):
    """Whether the stake was made in epoch 0 and withdrawn in epoch 2."""
    address = owner.address()
    coin = await only(client, address, "coin")
    tx = await client.build_add_stake(address, await validator_address(client), coin, SOMA)
    effects = await run(client, owner, tx)
    assert effects.status == "Success"
    if effects.executed_epoch != 0:
        return False
    receipt = await only(client, address, "staked_soma")
    while await epoch_of(client) < 2:
        await client.wait_for_next_epoch(seconds * 10.0)
    effects = await run(client, owner, await client.build_withdraw_stake(address, receipt))
    assert effects.status == "Success"
    if effects.executed_epoch != 2:
        return False
    assert effects.transaction_fee.total_fee == 401_900
    return True


async def epoch_of(client):
    return int((await client.get_epoch(None)).epoch.epoch)


async def test_stake_on_a_model_comes_back(fresh):
    """A model's stake, withdrawn an epoch later, is what was put in."""
    owner, friend = await funded(fresh), await funded(fresh)
    encrypted, key = SomaClient.encrypt_weights(b"weights")
    url = "http://127.0.0.1:9200/weights.enc"
    model = await fresh.commit_model(owner, url, encrypted, 0, stake_amount=stake(1))
    await fresh.advance_epoch()
    await fresh.reveal_model(owner, model, url, encrypted, key, [1.0, 0.0, 0.0, 0.0])
    coin = await only(fresh, friend.address(), "coin")
    tx = await fresh.build_add_stake_to_model(friend.address(), model, coin, SOMA)
    assert (await run(fresh, friend, tx)).transaction_fee.total_fee == 401_900
    receipt = await only(fresh, friend.address(), "staked_soma")
    await fresh.advance_epoch()
    tx = await fresh.build_withdraw_stake(friend.address(), receipt)
    assert (await run(fresh, friend, tx)).transaction_fee.total_fee == 401_900
    assert await shannons(fresh, friend.address()) == 2 * SOMA - 2 * 401_900
