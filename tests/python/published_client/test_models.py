"""The life of a model, through the calls that both releases have."""

import secrets

import pytest
from conftest import SOMA, SomaClient, connect, failure, funded, run, shannons, stake

URL = "http://127.0.0.1:9200/weights.enc"
EMBEDDING = [0.25, -0.5, 0.75, 1.0]


def new_id():
    return "0x" + secrets.token_hex(32)


def sealed(size=4096):
    encrypted, key = SomaClient.encrypt_weights(secrets.token_bytes(size))
    return encrypted, key, SomaClient.commitment(encrypted)


async def committed(client, owner, url=URL, size=4096, commission=1_000):
    encrypted, key, digest = sealed(size)
    model = await client.commit_model(owner, url, encrypted, commission, stake_amount=stake(1))
    return model, encrypted, key, digest


async def test_commit_and_reveal(fresh):
    owner = await funded(fresh)
    model, encrypted, key, digest = await committed(fresh, owner)
    assert model.startswith("0x") and len(model) == 66
    assert await shannons(fresh, owner.address()) == SOMA - 501_900
    assert await fresh.get_model_manifests([model]) == []
    await fresh.advance_epoch()
    await fresh.reveal_model(owner, model, URL, encrypted, key, EMBEDDING)
    assert await shannons(fresh, owner.address()) == SOMA - 501_900 - 1_600
    [manifest] = await fresh.get_model_manifests([model])
    assert (manifest.url, manifest.size) == (URL, len(encrypted))
    assert (manifest.checksum, manifest.decryption_key) == (digest, key)


async def test_commit_with_the_smallest_stake_when_none_is_given(fresh):
    owner = await funded(fresh)
    encrypted, _, _ = sealed()
    await fresh.commit_model(owner, URL, encrypted, 0)
    assert await shannons(fresh, owner.address()) == SOMA - 501_900


async def test_reveal_in_the_epoch_of_the_commit(fresh):
    owner = await funded(fresh)
    model, encrypted, key, _ = await committed(fresh, owner)
    with pytest.raises(RuntimeError, match="ModelRevealEpochMismatch|RevealEpochMismatch"):
        await fresh.reveal_model(owner, model, URL, encrypted, key, EMBEDDING)


async def test_another_url_then_the_right_one(fresh):
    owner = await funded(fresh)
    model, encrypted, key, _ = await committed(fresh, owner)
    await fresh.advance_epoch()
    with pytest.raises(RuntimeError, match="UrlMismatch"):
        await fresh.reveal_model(owner, model, URL + "x", encrypted, key, EMBEDDING)
    await fresh.reveal_model(owner, model, URL, encrypted, key, EMBEDDING)


async def test_a_second_owner_is_refused(fresh, fresh_net):
    owner, other_client = await funded(fresh), await connect(fresh_net)
    thief = await funded(other_client)
    model, encrypted, key, _ = await committed(fresh, owner)
    await fresh.advance_epoch()
    with pytest.raises(RuntimeError, match="NotModelOwner"):
        await other_client.reveal_model(thief, model, URL, encrypted, key, EMBEDDING)
    await fresh.reveal_model(owner, model, URL, encrypted, key, EMBEDDING)
    for call, *arguments in (
        (other_client.build_deactivate_model,),
        (other_client.build_set_model_commission_rate, 1),
        (other_client.build_commit_model_update, "ab" * 32, "cd" * 32),
    ):
        tx = await call(thief.address(), model, *arguments)
        assert failure(await run(other_client, thief, tx)) == "NotModelOwner"


@pytest.mark.parametrize(
    "change, name",
    [
        ({"stake_amount": 100}, "ModelMinStakeNotMet"),
        ({"commission_rate": 10_001}, "ModelCommissionRateTooHigh"),
        ({"stake_amount": 5 * SOMA}, "InsufficientCoinBalance"),
    ],
)
async def test_refused_commits(client, change, name):
    owner = await funded(client)
    arguments = {"stake_amount": SOMA, "commission_rate": 0} | change
    tx = await client.build_commit_model(
        owner.address(),
        new_id(),
        "ab" * 32,
        "cd" * 32,
        arguments["stake_amount"],
        arguments["commission_rate"],
        new_id(),
    )
    assert failure(await run(client, owner, tx)) == name
    assert await shannons(client, owner.address()) == 2 * SOMA - 1_000


async def test_another_architecture(client):
    """The builder asks the network for the version; here it is changed in the bytes."""
    owner = await funded(client)
    weights = "cd" * 32
    tx = await client.build_commit_model(
        owner.address(), new_id(), "ab" * 32, weights, SOMA, 0, new_id()
    )
    before, after = bytes(tx).split(bytes.fromhex(weights))
    assert after[:8] == (1).to_bytes(8, "little")
    tx = before + bytes.fromhex(weights) + (999).to_bytes(8, "little") + after[8:]
    assert failure(await run(client, owner, tx)) == "ModelArchitectureVersionMismatch"


async def test_an_id_in_use_is_refused(client):
    """Rule L-10 of the local network."""
    owner = await funded(client, coins=2)
    model, pool = new_id(), new_id()

    async def commit(model_id, pool_id):
        tx = await client.build_commit_model(
            owner.address(), model_id, "ab" * 32, "cd" * 32, SOMA, 0, pool_id
        )
        return failure(await run(client, owner, tx))

    assert await commit(model, pool) is None
    assert await commit(model, new_id()) == "InvalidArguments"
    assert await commit(new_id(), pool) == "InvalidArguments"


async def test_wrong_checksum_or_embedding(fresh):
    """Rule L-14 of the local network: the model stays committed."""
    owner = await funded(fresh)
    model, encrypted, key, digest = await committed(fresh, owner)
    await fresh.advance_epoch()

    async def reveal(checksum, embedding):
        tx = await fresh.build_reveal_model(
            owner.address(), model, URL, checksum, len(encrypted), key, embedding
        )
        return failure(await run(fresh, owner, tx))

    assert await reveal("ab" * 32, EMBEDDING) == "InvalidArguments"
    assert await reveal(digest, EMBEDDING + [1.0]) == "EmbeddingDimensionMismatch"
    assert await reveal(digest, [0.0] * 4) == "InvalidArguments"
    assert await reveal(digest, [float("inf")] * 4) == "InvalidArguments"
    assert await reveal(digest, EMBEDDING) is None


async def test_update(fresh):
    owner = await funded(fresh)
    model, encrypted, key, _ = await committed(fresh, owner)
    await fresh.advance_epoch()
    await fresh.reveal_model(owner, model, URL, encrypted, key, EMBEDDING)

    encrypted, key, digest = sealed(8192)
    url = URL + ".2"
    url_commitment = SomaClient.commitment(url.encode())
    tx = await fresh.build_commit_model_update(owner.address(), model, url_commitment, digest)
    assert (await run(fresh, owner, tx)).transaction_fee.total_fee == 1_600

    async def reveal():
        tx = await fresh.build_reveal_model_update(
            owner.address(), model, url, digest, len(encrypted), key, EMBEDDING
        )
        return failure(await run(fresh, owner, tx))

    assert await reveal() == "ModelRevealEpochMismatch"
    await fresh.advance_epoch()
    assert await reveal() is None
    [manifest] = await fresh.get_model_manifests([model])
    assert (manifest.url, manifest.size, manifest.checksum) == (url, 8192, digest)
    assert await reveal() == "ModelNoPendingUpdate"


async def test_a_missed_reveal_costs_half_the_stake(fresh):
    owner = await funded(fresh)
    model, encrypted, key, _ = await committed(fresh, owner)
    await fresh.advance_epoch()
    await fresh.advance_epoch()
    with pytest.raises(RuntimeError, match="ModelNotPending"):
        await fresh.reveal_model(owner, model, URL, encrypted, key, EMBEDDING)
    [receipt] = await fresh.list_owned_objects(owner.address(), object_type="staked_soma")
    before = await shannons(fresh, owner.address())
    effects = await run(fresh, owner, await fresh.build_withdraw_stake(owner.address(), receipt))
    # Epoch 2: the value fee is down to 8 bps, half of it for stake; on the principal.
    fee = 1_000 + 900 + SOMA * 4 // 10_000
    assert effects.transaction_fee.total_fee == fee
    assert await shannons(fresh, owner.address()) == before + SOMA // 2 - fee


async def test_commission_stake_and_deactivation(fresh):
    owner = await funded(fresh, coins=2)
    model, encrypted, key, _ = await committed(fresh, owner)
    await fresh.advance_epoch()
    await fresh.reveal_model(owner, model, URL, encrypted, key, EMBEDDING)

    async def outcome(build):
        return failure(await run(fresh, owner, await build))

    address = owner.address()
    assert await outcome(fresh.build_set_model_commission_rate(address, model, 500)) is None
    assert (
        await outcome(fresh.build_set_model_commission_rate(address, model, 10_001))
        == "ModelCommissionRateTooHigh"
    )
    [coin] = await fresh.list_owned_objects(address, object_type="coin", limit=1)
    assert await outcome(fresh.build_add_stake_to_model(address, model, coin, SOMA // 5)) is None
    assert len(await fresh.list_owned_objects(address, object_type="staked_soma")) == 2
    assert await outcome(fresh.build_deactivate_model(address, model)) is None
    assert await outcome(fresh.build_deactivate_model(address, model)) == "ModelNotActive"


async def test_only_validators_report(client):
    owner = await funded(client)
    for build in (client.build_report_model, client.build_undo_report_model):
        tx = await build(owner.address(), new_id())
        assert failure(await run(client, owner, tx)) == "NotAValidator"
