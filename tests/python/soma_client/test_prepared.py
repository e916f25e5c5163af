"""State files: the package and the command line carry on for each other."""

import asyncio
import json
import os
import stat
import threading
from pathlib import Path

import numpy
import pytest
from conftest import (
    ASIDE,
    ASIDE_FEE,
    COMMIT_FEE,
    EMBEDDING,
    REVEAL_FEE,
    SOMA,
    is_held,
    safetensors,
    until,
)
from relay import Relay

from soma import (
    CommittedModel,
    Keypair,
    PreparedModel,
    Refused,
    RevealedModel,
    SomaClient,
    SomaError,
)


@pytest.fixture
def sealed(served):
    return served / "weights.enc"


def status(cli, model):
    [one] = [one for one in cli("model", "status")["models"] if one["model_id"] == model]
    return one["stage"], one["next"]


async def test_prepared_here_finished_there(fresh, cli, wallet, weights, sealed, url):
    seen = []
    prepared = await fresh.prepare_model(
        weights,
        url,
        out=sealed,
        embedding=numpy.array(EMBEDDING, dtype=numpy.float32),
        progress=lambda *state: seen.append(state),
    )
    assert isinstance(prepared, PreparedModel)
    size = weights.stat().st_size
    assert (seen[-1], prepared.weights_size) == ((size, size), size)
    assert prepared.weights_commitment == SomaClient.commitment(sealed)
    assert prepared.weights_url_commitment == SomaClient.commitment(url.encode())
    state = Path(prepared.state)
    assert state == cli.config / "models" / f"{prepared.model_id}.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    key = json.loads(state.read_text())["registration"]["decryption_key"]
    assert SomaClient.decrypt_weights(sealed, key) == weights.read_bytes()
    assert key not in repr(prepared)
    assert status(cli, prepared.model_id) == ("prepared", "commit")

    cli("model", "commit", "--prepared", "--stake-amount", 1, "--commission-rate", 250)
    assert (await fresh.get_model(prepared.model_id)).status == "Committed"
    await fresh.advance_epoch()
    cli("model", "reveal", "--prepared", "--wait")
    info = await fresh.get_model(prepared.model_id, embedding=True)
    assert (info.status, info.embedding) == ("Active", EMBEDDING)
    assert await fresh.get_balance(wallet.active) == SOMA - COMMIT_FEE - ASIDE_FEE - REVEAL_FEE
    # Everything is done; who asks again is told so and pays nothing.
    assert await fresh.reveal_when_open(prepared) is None
    assert await fresh.resume() == []
    [standing] = await fresh.model_status()
    assert (standing.stage, standing.next) == ("revealed", "nothing")


async def test_prepared_there_finished_here(fresh, cli, wallet, weights, sealed, url, tmp_path):
    (tmp_path / "embedding.json").write_text(json.dumps(EMBEDDING))
    prepared = cli(
        "model", "prepare",
        "--weights-file", weights, "--weights-url", url, "--out", sealed,
        "--embedding-file", tmp_path / "embedding.json",
    )  # fmt: skip
    model = await fresh.commit_prepared(wallet, prepared["model_id"], 250, 1.0)
    assert isinstance(model, CommittedModel) and model == prepared["model_id"]
    assert model.staking_pool_id == prepared["staking_pool_id"]
    assert (model.state, model.commit_epoch) == (prepared["state_file"], 0)
    assert status(cli, model) == ("committed", "wait")
    [standing] = await fresh.model_status(model)
    assert (standing.next, standing.reveal_epoch) == ("wait", 1)

    # The same step again: nothing is paid twice.
    again = await fresh.commit_prepared(wallet, model, 250, 1.0)
    assert (again, again.digest) == (model, model.digest)
    assert await fresh.get_balance(wallet.active) == SOMA - COMMIT_FEE - ASIDE_FEE

    revealing = fresh.reveal_when_open(model)
    await asyncio.sleep(0)
    await fresh.advance_epoch()
    revealed = await revealing
    assert isinstance(revealed, RevealedModel)
    assert (revealed.model_id, revealed.epoch) == (model, 1)
    assert (await fresh.get_transaction(revealed.digest)).executed_epoch == 1
    assert (await fresh.get_model(model)).status == "Active"
    assert status(cli, model) == ("revealed", "nothing")


async def test_a_cancelled_wait_is_carried_on_there(fresh, cli, wallet, weights, sealed, url):
    prepared = await fresh.prepare_model(weights, url, out=sealed, embedding=EMBEDDING)
    model = await fresh.commit_prepared(wallet, prepared)
    waiting = fresh.reveal_when_open(model)
    await until(lambda: is_held(model.state))
    # Who only looks need not wait until the next day.
    [standing] = await fresh.model_status(model)
    assert (standing.stage, standing.next) == ("committed", "wait")
    with pytest.raises(SomaError):
        await fresh.reveal_when_open(model)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not is_held(model.state))
    await fresh.advance_epoch()
    [resumed] = cli("model", "resume")["models"]
    assert resumed["revealed_epoch"] == 1
    assert (await fresh.get_model(model)).status == "Active"
    assert await fresh.get_balance(wallet.active) == SOMA - COMMIT_FEE - ASIDE_FEE - REVEAL_FEE


async def test_a_cancelled_commit_stops_where_it_is(
    fresh, fresh_net, cli, wallet, weights, sealed, url
):
    """Signed, lost on its way, cancelled: nothing goes on unasked, and it is paid once."""
    prepared = await fresh.prepare_model(weights, url, out=sealed, embedding=EMBEDDING)
    async with Relay(fresh_net.rpc_url) as relay:
        through = await SomaClient(relay.url)
        relay.lose = bytes.fromhex(prepared.weights_commitment)
        committing = through.commit_prepared(wallet, prepared)
        await relay.lost.wait()
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        await until(lambda: not is_held(prepared.state))
        [standing] = await fresh.model_status(prepared)
        assert (standing.stage, standing.next) == ("commit_signed", "settle")
        signed = json.loads(Path(prepared.state).read_text())["registration"]["commit"]["digest"]
        # The very transaction that is on file, whoever sends it.
        relay.lose = None
        model = await through.commit_prepared(wallet, prepared)
    assert (model, model.digest) == (prepared.model_id, signed)
    assert await fresh.get_balance(wallet.active) == SOMA - COMMIT_FEE - ASIDE_FEE


async def test_resume_takes_what_the_command_line_left(fresh, cli, wallet, weights, sealed, url):
    prepared = await fresh.prepare_model(weights, url, out=sealed, embedding=EMBEDDING)
    cli("model", "commit", "--prepared", "--stake-amount", 1)
    await fresh.advance_epoch()
    [resumed] = await fresh.resume()
    assert (resumed.model_id, resumed.revealed_epoch) == (prepared.model_id, 1)
    assert resumed.error is None


async def test_one_that_fails_does_not_stop_the_others(
    fresh, cli, wallet, weights, sealed, served, url
):
    await fresh.request_faucet(wallet.active)
    models = []
    for name in ("weights.enc", "other.enc"):
        prepared = await fresh.prepare_model(
            weights, url.replace("weights.enc", name), out=served / name, embedding=EMBEDDING
        )
        models.append(await fresh.commit_prepared(wallet, prepared))
    # The first one's key is lost: its file opens with no other.
    path = Path(models[0].state)
    state = json.loads(path.read_text())
    state["registration"]["decryption_key"] = "00" * 32
    path.write_text(json.dumps(state))
    await fresh.advance_epoch()
    first, second = sorted(await fresh.resume(), key=lambda one: models.index(one.model_id))
    assert first.error and first.revealed_epoch is None
    assert second.error is None and second.revealed_epoch == 1


async def test_a_state_that_cannot_be_read_is_told(fresh, cli, wallet, weights, sealed, url):
    prepared = await fresh.prepare_model(weights, url, out=sealed, embedding=EMBEDDING)
    model = await fresh.commit_prepared(wallet, prepared)
    broken = cli.config / "models" / "broken.json"
    broken.write_text("{")
    [unreadable] = [one for one in await fresh.model_status() if one.error]
    assert unreadable.state == str(broken) and "damaged" in unreadable.error
    [standing] = [one for one in await fresh.model_status() if not one.error]
    assert (standing.model_id, standing.next) == (model, "wait")
    await fresh.advance_epoch()
    seen = []
    results = await fresh.resume(ended=lambda one: seen.append(one.state))
    assert seen == [one.state for one in results] and len(seen) == 2
    by_state = {one.state: one for one in results}
    assert by_state[str(broken)].model_id is None and "damaged" in by_state[str(broken)].error
    assert by_state[model.state].revealed_epoch == 1


async def test_no_payment_takes_the_coin_of_a_reveal(fresh, cli, wallet, weights, sealed, url):
    prepared = await fresh.prepare_model(weights, url, out=sealed, embedding=EMBEDDING)
    model = await fresh.commit_prepared(wallet, prepared)
    coin = json.loads(Path(model.state).read_text())["gas_coin"]
    left = await fresh.get_balance(wallet.active)
    friend = Keypair.generate().address()
    with pytest.raises(Refused, match="InsufficientCoinBalance"):
        await fresh.transfer_coin(wallet, friend, left - 10_000)
    # All but that coin and the fee of the payment can go.
    spare = left - ASIDE
    await fresh.transfer_coin(wallet, friend, spare - 1_600 - spare // 1_000)
    coins = await fresh.list_owned_objects(wallet.active, "coin")
    assert coin in [one.id for one in coins]
    await fresh.advance_epoch()
    assert (await fresh.reveal_when_open(model)).epoch == 1


async def test_a_commit_keeps_what_the_reveal_needs(fresh, cli, wallet, weights, sealed, url):
    """`commit_model` with the key writes a state file before it sends."""
    encrypted, key = SomaClient.encrypt_weights(weights)
    sealed.write_bytes(encrypted)
    model = await fresh.commit_model(
        wallet, url, sealed, 0, decryption_key=key, embedding=EMBEDDING
    )
    assert Path(model.state) == cli.config / "models" / f"{model}.json"
    assert status(cli, model) == ("committed", "wait")
    await fresh.advance_epoch()
    assert (await fresh.reveal_when_open(model)).epoch == 1
    assert (await fresh.get_model(model)).decryption_key == key


async def test_a_state_file_elsewhere(fresh, wallet, weights, sealed, url, tmp_path):
    place = tmp_path / "states" / "mine.json"
    prepared = await fresh.prepare_model(weights, url, out=sealed, embedding=EMBEDDING, state=place)
    assert prepared.state == str(place)
    model = await fresh.commit_prepared(wallet, place)
    await fresh.advance_epoch()
    assert (await fresh.reveal_when_open(place, wallet)).model_id == model
    # Nothing of it is in the folder of the wallet.
    assert await fresh.model_status() == []


async def test_an_update(fresh, cli, wallet, weights, sealed, served, url):
    prepared = await fresh.prepare_model(weights, url, out=sealed, embedding=EMBEDDING)
    model = await fresh.commit_prepared(wallet, prepared)
    await fresh.advance_epoch()
    await fresh.reveal_when_open(model)
    weights.write_bytes(safetensors(120_000))
    second = url.replace("weights.enc", "second.enc")
    prepared = await fresh.prepare_model_update(
        model, weights, second, out=served / "second.enc", embedding=EMBEDDING
    )
    assert prepared.model_id == model
    await fresh.commit_prepared(wallet, prepared)
    assert (await fresh.get_model(model)).pending_update.commit_epoch == 1
    await fresh.advance_epoch()
    assert (await fresh.reveal_when_open(model)).epoch == 2
    info = await fresh.get_model(model)
    assert (info.weights_url, info.weights_size) == (second, weights.stat().st_size)


async def test_nothing_is_risked_for_a_file_that_is_not_up(fresh, wallet, weights, url, tmp_path):
    prepared = await fresh.prepare_model(weights, url, embedding=EMBEDDING)
    assert prepared.sealed_file == str(weights.with_suffix(".enc"))
    with pytest.raises(Refused, match="404"):
        await fresh.commit_prepared(wallet, prepared)
    assert await fresh.get_balance(wallet.active) == 2 * SOMA


async def test_preparing_keeps_what_is_there(fresh, cli, weights, sealed, url, tmp_path):
    sealed.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        await fresh.prepare_model(weights, url, out=sealed)
    assert sealed.read_bytes() == b"precious"
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ValueError):
        await fresh.prepare_model(tmp_path / "text", url)
    assert await fresh.model_status() == []
    await fresh.prepare_model(weights, url, out=sealed, overwrite=True)
    assert len(await fresh.model_status()) == 1


async def test_a_cancelled_preparation_leaves_nothing(fresh, cli, url, tmp_path):
    """Held up in its own thread when it has begun, then cancelled."""
    weights, folder = tmp_path / "large.safetensors", cli.config / "models"
    size = 1 << 30
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with open(weights, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    loop, begun, free = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def progress(done, total):
        loop.call_soon_threadsafe(begun.set)
        assert free.wait(60)

    preparing = fresh.prepare_model(weights, url, out=tmp_path / "out", progress=progress)
    await begun.wait()
    # The key is on disk before the first byte that it encrypts.
    assert [name for name in os.listdir(folder) if name.endswith(".json")]
    preparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await preparing
    free.set()
    await until(lambda: not (tmp_path / "out").exists())
    await until(lambda: not [n for n in os.listdir(tmp_path) if "out" in n and n != "out"])
    await until(lambda: not [n for n in os.listdir(folder) if n.endswith(".json") and n[0] != "."])
