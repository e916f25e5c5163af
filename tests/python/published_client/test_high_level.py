"""The one-call methods of 0.1.5, with the balance after each step."""

import secrets

import pytest
from conftest import SOMA, Keypair, SomaClient, funded, shannons

URL = "http://127.0.0.1:9200/weights.enc"


async def test_transfers_and_payments(fresh):
    owner, friend = await funded(fresh), Keypair.generate().address()
    expected = 2 * SOMA
    await fresh.transfer_coin(owner, friend, 0.5)
    expected -= SOMA // 2 + 1_000 + 600 + 500_000
    assert await shannons(fresh, owner.address()) == expected
    await fresh.pay_coins(owner, [friend, friend], [0.1, 0.2])
    expected -= 3 * SOMA // 10 + 1_000 + 900 + 300_000
    assert await shannons(fresh, owner.address()) == expected
    assert await shannons(fresh, friend) == 8 * SOMA // 10
    with pytest.raises(RuntimeError, match="InsufficientCoinBalance"):
        await fresh.transfer_coin(owner, friend, 50.0)


async def test_transfer_objects(fresh):
    owner, friend = await funded(fresh, coins=2), Keypair.generate().address()
    [first, second] = await fresh.list_owned_objects(owner.address(), object_type="coin")
    await fresh.transfer_objects(owner, friend, [second.id])
    assert [coin.id for coin in await fresh.list_owned_objects(friend)] == [second.id]


async def test_staking(fresh):
    owner = await funded(fresh)
    state = await fresh.get_latest_system_state()
    validator = state.validators.validators[0].metadata.soma_address
    await fresh.add_stake(owner, validator, 1.0)
    assert await shannons(fresh, owner.address()) == SOMA - 501_900
    [receipt] = await fresh.list_owned_objects(owner.address(), object_type="staked_soma")
    await fresh.withdraw_stake(owner, receipt.id)
    assert await shannons(fresh, owner.address()) == 2 * SOMA - 2 * 501_900


async def test_the_life_of_a_model(fresh):
    owner = await funded(fresh, coins=2)
    embedding = [1.0, 2.0, 3.0, 4.0]
    sealed, key = SomaClient.encrypt_weights(secrets.token_bytes(5_000))
    model = await fresh.commit_model(owner, URL, sealed, 1_000, stake_amount=1.0)
    registry = (await fresh.get_latest_system_state()).model_registry
    assert model in vars(registry.pending_models) or model in registry.pending_models
    await fresh.advance_epoch()
    await fresh.reveal_model(owner, model, URL, sealed, key, embedding)
    await fresh.add_stake_to_model(owner, model, 0.25)
    await fresh.set_model_commission_rate(owner, model, 700)
    sealed2, key2 = SomaClient.encrypt_weights(secrets.token_bytes(6_000))
    await fresh.commit_model_update(owner, model, URL + "2", sealed2)
    await fresh.advance_epoch()
    await fresh.reveal_model_update(owner, model, URL + "2", sealed2, key2, embedding)
    [manifest] = await fresh.get_model_manifests([model])
    assert (manifest.url, manifest.size, manifest.decryption_key) == (URL + "2", 6_000, key2)
    await fresh.deactivate_model(owner, model)
    with pytest.raises(RuntimeError, match="ModelNotActive"):
        await fresh.deactivate_model(owner, model)


async def test_only_validators_report(fresh):
    owner = await funded(fresh)
    for report in (fresh.report_model, fresh.undo_report_model):
        with pytest.raises(RuntimeError, match="NotAValidator"):
            await report(owner, "0x" + "ab" * 32)


async def test_stake_is_an_amount_of_soma(fresh):
    owner = await funded(fresh)
    sealed, _ = SomaClient.encrypt_weights(b"weights")
    await fresh.commit_model(owner, URL, sealed, 0, stake_amount=1.25)
    fee = 1_000 + 900 + 125 * SOMA // 100 * 5 // 10_000
    assert await shannons(fresh, owner.address()) == 2 * SOMA - 125 * SOMA // 100 - fee


async def test_fees_fall_on_an_idle_network(fresh):
    seen = []
    for _ in range(5):
        seen.append((await fresh.get_latest_system_state()).parameters.value_fee_bps)
        await fresh.advance_epoch()
    assert seen == [10, 9, 8, 7, 7]
