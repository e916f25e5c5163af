"""The guide, as an owner types it, and what the network makes of it."""

import asyncio
from pathlib import Path

import pytest
from conftest import COMMIT_FEE, DIM, REVEAL_FEE, SOMA, funded, safetensors

import soma
from soma import (
    Keypair,
    Refused,
    SomaClient,
    SomaError,
    TransactionFailed,
    build_commit_model_update,
    build_reveal_model,
    build_reveal_model_update,
)


async def test_the_guide(fresh, served, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("weights.safetensors").write_bytes(safetensors(50_000))
    client, signer, amount, commission_rate = fresh, await funded(fresh), SOMA, 1_000
    embedding = [0.5] * DIM

    # Prepare: encrypt, upload, hash.
    weights = open("weights.safetensors", "rb").read()
    encrypted_weights, decryption_key = SomaClient.encrypt_weights(weights)
    (served / "weights.enc").write_bytes(encrypted_weights)
    weights_url = url
    url_commitment = SomaClient.commitment(weights_url.encode())
    weights_commitment = SomaClient.commitment(encrypted_weights)
    assert len(encrypted_weights) == len(weights) and encrypted_weights != weights

    # Commit.
    model_id = await client.commit_model(
        signer,
        weights_url,
        encrypted_weights,
        commission_rate,
        stake_amount=amount,
    )
    info = await client.get_model(model_id)
    assert info.status == "Committed"
    assert info.weights_url_commitment == url_commitment
    assert info.weights_commitment == weights_commitment
    assert (info.summary.stake_balance, info.summary.commission_rate) == (SOMA, 1_000)
    assert info.staking_pool_id == model_id.staking_pool_id
    assert info.reveal_epoch == model_id.commit_epoch + 1 == 1
    assert await client.get_balance(signer.address()) == SOMA - COMMIT_FEE

    # Reveal in the next epoch.
    assert await client.advance_epoch() == 1
    answer = await client.reveal_model(
        signer,
        model_id,
        weights_url,
        encrypted_weights,
        decryption_key,
        embedding,
    )
    assert answer is None
    info = await client.get_model(model_id, embedding=True)
    assert (info.status, info.weights_url) == ("Active", weights_url)
    assert (info.weights_size, info.decryption_key) == (len(weights), decryption_key)
    assert info.embedding == embedding
    balance = SOMA - COMMIT_FEE - REVEAL_FEE
    assert await client.get_balance(signer.address()) == balance
    assert SomaClient.decrypt_weights(await client.fetch_model(model_id), decryption_key) == weights

    # New weights: commit to them, reveal them an epoch later.
    encrypted_weights, decryption_key = SomaClient.encrypt_weights(safetensors(60_000))
    (served / "second.enc").write_bytes(encrypted_weights)
    weights_url = url.replace("weights.enc", "second.enc")
    url_commitment = SomaClient.commitment(weights_url.encode())
    weights_commitment = weights_checksum = SomaClient.commitment(encrypted_weights)
    weights_size = len(encrypted_weights)

    tx = build_commit_model_update(model_id, url_commitment, weights_commitment)
    effects = await client.submit(signer, tx)
    assert (effects.status, effects.executed_epoch) == ("Success", 1)
    assert (await client.get_model(model_id)).pending_update.commit_epoch == 1

    assert await client.advance_epoch() == 2
    tx = build_reveal_model_update(
        model_id,
        weights_url,
        weights_checksum,
        weights_size,
        decryption_key,
        embedding,
    )
    effects = await client.submit(signer, tx)
    assert effects.status == "Success"
    [manifest] = await client.get_model_manifests([model_id])
    assert (manifest.url, manifest.size) == (weights_url, weights_size)
    assert (manifest.checksum, manifest.decryption_key) == (weights_checksum, decryption_key)
    # 1,600 for each of the two.
    assert await client.get_balance(signer.address()) == balance - 2 * 1_600

    # The rest of the guide.
    await client.set_model_commission_rate(signer, model_id, 500)
    assert (await client.get_model(model_id)).next_epoch_commission_rate == 500
    await client.add_stake_to_model(signer, model_id, 0.2)
    # The stake of the commit, and this one.
    receipts = await client.list_owned_objects(signer.address(), object_type="staked_soma")
    assert len(receipts) == 2
    [listed] = await client.list_models(owner=signer.address())
    assert (listed.model_id, listed.status) == (model_id, "Active")
    await client.deactivate_model(signer, model_id)
    assert (await client.get_model(model_id)).status == "Inactive"


async def test_what_commit_gives(fresh, url):
    signer = await funded(fresh)
    model = await fresh.commit_model(signer, url, b"sealed", 0)
    assert isinstance(model, str) and model.startswith("0x") and len(model) == 66
    effects = await fresh.get_transaction(model.digest)
    assert effects.executed_epoch == model.commit_epoch == 0
    [receipt] = await fresh.list_owned_objects(signer.address(), object_type="staked_soma")
    assert model.stake_id == receipt.id
    assert model.state is None


async def test_a_url_is_committed_to_in_its_normal_form(fresh, url):
    signer = await funded(fresh)
    spelled = url.replace("http://", "HTTP://").replace("/weights", "/a/../weights")
    sealed, key = SomaClient.encrypt_weights(safetensors(100))
    model = await fresh.commit_model(signer, spelled, sealed, 0)
    info = await fresh.get_model(model)
    assert info.weights_url_commitment == SomaClient.commitment(url.encode())
    assert SomaClient.normalize_url(spelled) == url
    await fresh.advance_epoch()
    await fresh.reveal_model(signer, model, spelled, sealed, key, [1.0] * DIM)
    assert (await fresh.get_model(model)).weights_url == url


async def test_too_early(fresh, url):
    """In the epoch of the commit: refused before sending, and failed by the chain when sent."""
    signer = await funded(fresh)
    sealed, key = SomaClient.encrypt_weights(safetensors(100))
    model = await fresh.commit_model(signer, url, sealed, 0)
    balance = await fresh.get_balance(signer.address())
    rest = (url, SomaClient.commitment(sealed), len(sealed), key, [1.0] * DIM)
    with pytest.raises(Refused, match="ModelRevealEpochMismatch") as refused:
        await fresh.reveal_model(signer, model, url, sealed, key, [1.0] * DIM)
    assert refused.value.failure == "ModelRevealEpochMismatch"
    assert {finding["severity"] for finding in refused.value.findings} >= {"error"}
    with pytest.raises(Refused):
        await fresh.submit(signer, build_reveal_model(model, *rest))
    assert await fresh.get_balance(signer.address()) == balance

    data = await fresh.build_reveal_model(signer.address(), model, *rest)
    # The node would learn URL and key.
    with pytest.raises(Refused, match="ModelRevealEpochMismatch"):
        await fresh.simulate_transaction(data)
    with pytest.raises(TransactionFailed, match="ModelRevealEpochMismatch") as failed:
        await fresh.submit(signer, data)
    error = failed.value
    assert error.failure == "ModelRevealEpochMismatch"
    assert (await fresh.get_transaction(error.digest)).status.startswith("ModelRevealEpochMismatch")
    assert error.effects.V1 is error.effects
    assert error.effects.transaction_digest == error.digest
    assert await fresh.get_balance(signer.address()) == balance - 1_000
    await fresh.advance_epoch()
    data = await fresh.build_reveal_model(signer.address(), model, *rest)
    assert (await fresh.simulate_transaction(data)).status == "Success"


async def test_not_revealed(fresh, url):
    """Two epochs on the model is inactive and half the stake is gone."""
    signer = await funded(fresh)
    sealed, key = SomaClient.encrypt_weights(safetensors(100))
    model = await fresh.commit_model(signer, url, sealed, 0, stake_amount=SOMA)
    await fresh.advance_epoch()
    await fresh.advance_epoch()
    info = await fresh.get_model(model)
    assert (info.status, info.summary.stake_balance) == ("Inactive", SOMA // 2)
    with pytest.raises(Refused, match="ModelNotPending"):
        await fresh.reveal_model(signer, model, url, sealed, key, [1.0] * DIM)


async def test_everything_that_is_wrong_is_said_at_once(fresh, url):
    owner, thief = await funded(fresh), await funded(fresh)
    sealed, _ = SomaClient.encrypt_weights(safetensors(100))
    model = await fresh.commit_model(owner, url, sealed, 0)
    with pytest.raises(Refused) as refused:
        await fresh.reveal_model(thief, model, url + "x", sealed + b"x", "00" * 32, [1.0] * 3)
    failures = {finding.get("failure") for finding in refused.value.findings}
    assert {
        "NotModelOwner",
        "ModelRevealEpochMismatch",
        "ModelWeightsUrlMismatch",
        "EmbeddingDimensionMismatch",
    } <= failures
    assert await fresh.get_balance(thief.address()) == 2 * SOMA


async def test_submit_takes_bytes_of_the_signer_only(client):
    owner, friend = await funded(client), Keypair.generate().address()
    [coin] = await client.list_owned_objects(owner.address(), object_type="coin")
    data = await client.build_transfer_coin(owner.address(), friend, coin, 5)
    with pytest.raises(ValueError, match="sender"):
        await client.submit(Keypair.generate(), data)
    with pytest.raises(ValueError):
        await client.submit(owner, data[:-1])
    with pytest.raises(TypeError):
        await client.submit(owner, "text")
    effects = await client.submit(owner, data)
    assert effects.status == "Success"
    assert [one.id for one in effects.created] == [
        coin.id for coin in await client.list_owned_objects(friend)
    ]


async def test_requests_of_every_kind(fresh, url):
    """The plain builders, through submit: no sender, no gas, nothing awaited."""
    owner, friend = await funded(fresh, coins=3), Keypair.generate().address()
    address = owner.address()

    async def coins():
        return await fresh.list_owned_objects(address, object_type="coin")

    state = await fresh.get_latest_system_state()
    validator = state.validators.validators[0].metadata.soma_address
    first, second, _ = await coins()
    await fresh.submit(owner, soma.build_transfer_coin(friend, first, 7))
    # The others paid, so their versions are new.
    second = await fresh.get_object(second.id)
    await fresh.submit(owner, soma.build_transfer_objects(friend, [second]))
    assert second.id in [coin.id for coin in await fresh.list_owned_objects(friend)]
    first, before = await fresh.get_object(first.id), await fresh.get_balance(friend)
    await fresh.submit(owner, soma.build_pay_coins([friend, friend], [1, 0.000_000_002], [first]))
    assert await fresh.get_balance(friend) == before + 1 + 2
    model, pool = soma.new_model_id(), soma.new_model_id()
    sealed, key = SomaClient.encrypt_weights(safetensors(10))
    commitments = SomaClient.commitment(url.encode()), SomaClient.commitment(sealed)
    await fresh.submit(owner, soma.build_commit_model(model, *commitments, 1.0, 0, pool))
    await fresh.advance_epoch()
    reveal = soma.build_reveal_model(model, url, commitments[1], len(sealed), key, [1.0] * DIM)
    await fresh.submit(owner, reveal)
    coin = max(await coins(), key=lambda coin: coin.version)
    await fresh.submit(owner, soma.build_add_stake_to_model(model, coin, 0.1))
    coin = await fresh.get_object(coin.id)
    await fresh.submit(owner, soma.build_add_stake(validator, coin, 0.1))
    receipts = await fresh.list_owned_objects(address, object_type="staked_soma")
    assert len(receipts) == 3
    await fresh.submit(owner, soma.build_withdraw_stake(receipts[0]))
    await fresh.submit(owner, soma.build_set_model_commission_rate(model, 77))
    assert (await fresh.get_model(model)).next_epoch_commission_rate == 77
    await fresh.submit(owner, soma.build_deactivate_model(model))
    assert (await fresh.get_model(model)).status == "Inactive"


async def test_many_at_once(client):
    """A slow answer holds up nobody else."""
    owners = await asyncio.gather(*(funded(client) for _ in range(8)))
    friend = Keypair.generate().address()
    await asyncio.gather(*(client.transfer_coin(owner, friend, 0.25) for owner in owners))
    assert await client.get_balance(friend) == 2 * SOMA


async def test_the_file_of_a_model(fresh, served, url):
    """It is fetched from where the owner put it, and compared with what the chain says."""
    signer = await funded(fresh)
    sealed, key = SomaClient.encrypt_weights(safetensors(20 << 20))
    with pytest.raises(SomaError, match="no model 0xabab"):
        await fresh.fetch_model("0x" + "ab" * 32)
    model = await fresh.commit_model(signer, url, sealed, 0)
    with pytest.raises(SomaError, match="not revealed"):
        await fresh.fetch_model(model)
    await fresh.advance_epoch()
    await fresh.reveal_model(signer, model, url, sealed, key, [1.0] * DIM)
    with pytest.raises(SomaError, match="404"):
        await fresh.fetch_model(model)
    (served / "weights.enc").write_bytes(sealed)
    assert await fresh.fetch_model(model) == sealed
    (served / "weights.enc").write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(SomaError, match=SomaClient.commitment(sealed)):
        await fresh.fetch_model(model)
    (served / "weights.enc").write_bytes(sealed[:-1])
    with pytest.raises(SomaError):
        await fresh.fetch_model(model)
