"""Publishing: one call from a file to a committed model, which can be interrupted anywhere."""

import asyncio
import os
from pathlib import Path

import pytest
from conftest import ASIDE_FEE, COMMIT_FEE, EMBEDDING, REVEAL_FEE, SOMA, is_held, safetensors, until
from relay import Relay

from soma import PublishedModel, Refused, SomaClient, TransportError


@pytest.fixture
def host(url):
    """The URL of the folder that is served; it takes uploads."""
    return url.removesuffix("weights.enc")


def states(cli):
    """The state files of the wallet's folder."""
    folder = cli.config / "models"
    names = os.listdir(folder) if folder.exists() else []
    return [folder / name for name in names if name.endswith(".json") and name[0] != "."]


async def test_from_a_file_to_an_active_model(fresh, cli, wallet, weights, host, served):
    seen, terms = [], {"embedding": EMBEDDING, "verify_url": True}
    model = await fresh.publish(
        wallet, weights, host, 250, 1.0, progress=lambda *state: seen.append(state), **terms
    )
    size = weights.stat().st_size
    assert isinstance(model, PublishedModel) and seen[-1] == (size, size)
    assert (model.weights_size, model.bytes_read, model.commit_epoch) == (size, size, 0)
    assert (model.revealed_epoch, model.reveal_digest) == (None, None)
    assert all(finding["severity"] != "error" for finding in model.findings)
    assert model.weights_url.startswith(host)
    assert [Path(model.state)] == states(cli)
    sealed = served / model.weights_url.removeprefix(host)
    assert SomaClient.commitment(sealed) == model.weights_commitment
    await fresh.advance_epoch()
    # The same call goes on with what is left to do.
    again = await fresh.publish(wallet, weights, host, 250, 1.0, wait=True, **terms)
    assert (again, again.bytes_read, again.digest) == (model, None, model.digest)
    assert again.revealed_epoch == 1
    assert (await fresh.get_transaction(again.reveal_digest)).status == "Success"
    # Then there is nothing left to do, and nothing is paid for (the balance tells below).
    third = await fresh.publish(wallet, weights, host, 250, 1.0, **terms)
    assert (third, third.bytes_sent, third.revealed_epoch) == (model, None, 1)
    info = await fresh.get_model(model)
    assert (info.status, info.weights_url) == ("Active", model.weights_url)
    [manifest] = await fresh.get_model_manifests([model])
    assert SomaClient.decrypt_weights(sealed, manifest.decryption_key) == weights.read_bytes()
    assert await fresh.get_balance(wallet.active) == SOMA - COMMIT_FEE - ASIDE_FEE - REVEAL_FEE


async def test_new_weights_of_a_model(fresh, cli, wallet, weights, host):
    model = await fresh.publish(wallet, weights, host, embedding=EMBEDDING)
    await fresh.advance_epoch()
    assert (await fresh.reveal_when_open(model)).epoch == 1
    weights.write_bytes(safetensors(120_000))
    update = await fresh.publish(wallet, weights, host, embedding=EMBEDDING, update=model)
    assert (update, update.commit_epoch) == (model, 1)
    assert update.weights_url != model.weights_url
    await fresh.advance_epoch()
    [resumed] = cli("model", "resume")["models"]
    assert resumed["revealed_epoch"] == 2
    assert (await fresh.get_model(model)).weights_url == update.weights_url


async def test_into_a_directory(fresh, cli, wallet, weights, host, served):
    with pytest.raises(ValueError, match="fetch"):
        await fresh.publish(wallet, weights, served.as_uri())
    assert states(cli) == []
    model = await fresh.publish(
        wallet, weights, served.as_uri(), embedding=EMBEDDING, public_url=host, random_key=True
    )
    assert model.weights_url.startswith(host)
    assert (await fresh.get_model(model)).status == "Committed"


async def test_a_cancelled_upload_goes_on(fresh, cli, wallet, weights, host):
    """Cancelled while the weights trickle out: nothing was paid, and the same call ends it."""
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    publishing = fresh.publish(
        wallet,
        weights,
        host,
        embedding=EMBEDDING,
        limit_rate=1_000,
        progress=lambda *state: loop.call_soon_threadsafe(begun.set),
    )
    await begun.wait()
    [state] = states(cli)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    await until(lambda: not is_held(state))
    assert await fresh.get_balance(wallet.active) == 2 * SOMA
    [standing] = await fresh.model_status()
    assert (standing.stage, standing.next) == ("unsealed", "prepare")
    model = await fresh.publish(wallet, weights, host, embedding=EMBEDDING)
    assert model == standing.model_id
    assert states(cli) == [state]
    # Once more changes nothing.
    again = await fresh.publish(wallet, weights, host, embedding=EMBEDDING)
    assert (again, again.digest, again.bytes_sent) == (model, model.digest, None)
    assert await fresh.get_balance(wallet.active) == SOMA - COMMIT_FEE - ASIDE_FEE


async def test_an_exception_in_progress_ends_the_upload(fresh, cli, wallet, weights, host):
    def refuse(done, total):
        raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        await fresh.publish(
            wallet, weights, host, embedding=EMBEDDING, limit_rate=1_000, progress=refuse
        )
    assert await fresh.get_balance(wallet.active) == 2 * SOMA


async def test_what_was_foreseen_to_fail_leaves_nothing(fresh, fresh_net, cli, wallet, weights, host):
    with pytest.raises(Refused, match="shannons are needed"):
        await fresh.publish(wallet, weights, host, 0, 3.0, embedding=EMBEDDING)
    with pytest.raises(Refused, match="embedding"):
        await fresh.publish(wallet, weights, host, embedding=[1.0])
    async with Relay(fresh_net.rpc_url) as relay:
        through = await SomaClient(relay.url)
        # The question for the owner's coins never arrives.
        relay.lose = wallet.active.encode()
        with pytest.raises(TransportError):
            await through.publish(wallet, weights, host, embedding=EMBEDDING)
    assert states(cli) == []


async def test_bad_arguments(fresh, wallet, weights, host, tmp_path):
    (tmp_path / "text").write_text("no weights")
    for error, call in {
        "scheme": lambda: fresh.publish(wallet, weights, "ftp://host/folder/"),
        "bucket": lambda: fresh.publish(wallet, weights, "s3://"),
        "URL": lambda: fresh.publish(wallet, weights, host, public_url="nowhere"),
        "addressing": lambda: fresh.publish(wallet, weights, host, addressing="odd"),
        "stake": lambda: fresh.publish(wallet, weights, host, 0, 1.0, update="0x" + "ab" * 32),
        "commission": lambda: fresh.publish(wallet, weights, host, 5, update="0x" + "ab" * 32),
        "safetensors": lambda: fresh.publish(wallet, tmp_path / "text", host),
    }.items():
        with pytest.raises(ValueError, match=error):
            await call()


async def test_urls_with_secrets_are_in_no_text(fresh, wallet, weights, host):
    secret = "https://me:hunter2@[host/folder/?X-Amz-Signature=c0ffee"
    for name in ("public_url", "endpoint"):
        with pytest.raises(ValueError, match=f"^{name} is no URL") as error:
            await fresh.publish(wallet, weights, host, **{name: secret})
        assert not any(text in str(error.value) for text in ("hunter2", "c0ffee", "folder"))


async def test_files_that_cannot_be_used(fresh, cli, wallet, weights, host, tmp_path, url):
    nothing, odd = tmp_path / "nothing", f"{tmp_path}/\udcff.safetensors"
    Path(odd).write_bytes(weights.read_bytes())
    for call in (
        lambda weights: fresh.publish(wallet, weights, host, embedding=EMBEDDING),
        lambda weights: fresh.prepare_model(weights, url),
    ):
        with pytest.raises(FileNotFoundError, match="nothing"):
            await call(nothing)
        with pytest.raises(ValueError, match="not UTF-8"):
            await call(odd)
    for name in ("out", "state"):
        with pytest.raises(ValueError, match="not UTF-8"):
            await fresh.prepare_model(weights, url, **{name: odd})
    with pytest.raises(FileNotFoundError):
        await fresh.model_status(nothing)
    assert states(cli) == []
    assert not weights.with_suffix(".enc").exists()
    # A state file where no folder can be made, and a folder of them that is none.
    with pytest.raises(FileExistsError, match="cannot create folder"):
        await fresh.prepare_model(weights, url, state=weights / "state.json")
    (cli.config / "models").write_text("a file")
    with pytest.raises(NotADirectoryError, match="models"):
        await fresh.publish(wallet, weights, host, embedding=EMBEDDING)
