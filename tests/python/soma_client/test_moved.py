"""State that was lost and is found again, or that moves from machine to machine."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from conftest import EMBEDDING, is_held, until
from relay import Relay, elsewhere

from soma import ImportedModel, Keypair, RecoveredModel, SomaClient, SomaError

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
async def model(fresh, cli, wallet, weights, url):
    """A committed model of the wallet, published under a name that can be found again."""
    host = url.removesuffix("weights.enc")
    return await fresh.publish(wallet, weights, host, embedding=EMBEDDING)


async def test_a_lost_state_is_found_again(fresh, cli, wallet, model):
    state = Path(model.state)
    with pytest.raises(FileExistsError):
        # There is nothing to recover.
        await fresh.recover_model(model.weights_url)
    state.unlink()
    with pytest.raises(SomaError, match="none of the 1 keys"):
        await fresh.recover_model(model.weights_url, Keypair.generate())
    with pytest.raises(SomaError, match="64 hex digits"):
        await fresh.recover_model(model.weights_url + ".enc")
    assert not state.exists()
    found = await fresh.recover_model(model.weights_url)
    assert isinstance(found, RecoveredModel)
    assert (found.model_id, found.owner, found.state) == (model, wallet.active, model.state)
    assert (found.waiting, found.has_embedding) == ("registration", True)
    await fresh.advance_epoch()
    assert (await fresh.reveal_when_open(found)).epoch == 1
    assert (await fresh.get_model(model)).status == "Active"


async def test_on_a_public_network_no_url_leads_into_our_own(fresh_net, wallet, model):
    Path(model.state).unlink()
    async with Relay(fresh_net.rpc_url, elsewhere()) as relay:
        through = await SomaClient(relay.url)
        with pytest.raises(ValueError, match="plain http"):
            await through.recover_model(model.weights_url, wallet)
    assert not Path(model.state).exists()


async def test_what_is_missing_is_said(fresh, wallet, model, served):
    Path(model.state).unlink()
    # The state beside the object is lost as well, and the embedding with it.
    (served / (model.weights_url.rpartition("/")[2] + ".state")).unlink()
    found = await fresh.recover_model(model.weights_url, wallet)
    assert not found.has_embedding
    assert [finding["check"] for finding in found.findings] == ["embedding"]
    Path(found.state).unlink()
    found = await fresh.recover_model(model.weights_url, wallet, embedding=EMBEDDING)
    assert (found.has_embedding, found.findings) == (True, [])


async def test_exported_here_imported_there(fresh, cli, model, tmp_path):
    moved, secret = tmp_path / "moved.age", tmp_path / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    before = Path(model.state).read_bytes()
    assert await SomaClient.export_state(model, moved, PASSPHRASE) is None
    assert stat.S_IMODE(moved.stat().st_mode) == 0o600
    assert moved.read_bytes().startswith(b"age-encryption.org/v1\n")
    Path(model.state).unlink()
    imported = cli("model", "import-state", moved, "--passphrase-file", secret)
    assert (imported["model_id"], imported["state_file"]) == (model, model.state)
    assert Path(model.state).read_bytes() == before


async def test_exported_there_imported_here(fresh, cli, model, tmp_path):
    moved, secret = tmp_path / "moved.age", tmp_path / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    cli("model", "export-state", "--out", moved, "--passphrase-file", secret)
    with pytest.raises(FileExistsError):
        await SomaClient.import_state(moved, PASSPHRASE)
    with pytest.raises(ValueError, match="another one"):
        await SomaClient.import_state(moved, "another passphrase", state=tmp_path / "state")
    with pytest.raises(ValueError, match="not a state"):
        await SomaClient.import_state(secret, PASSPHRASE, state=tmp_path / "state")
    with pytest.raises(FileNotFoundError):
        await SomaClient.import_state(tmp_path / "nothing", PASSPHRASE)
    assert not (tmp_path / "state").exists()
    imported = await SomaClient.import_state(moved, PASSPHRASE, state=tmp_path / "state")
    assert isinstance(imported, ImportedModel)
    assert (imported.model_id, imported.state) == (model, str(tmp_path / "state"))
    os.remove(model.state)
    await fresh.advance_epoch()
    assert (await fresh.reveal_when_open(imported)).model_id == model


async def test_what_cannot_be_exported(model, tmp_path):
    (tmp_path / "there").write_text("precious")
    with pytest.raises(FileExistsError):
        await SomaClient.export_state(model, tmp_path / "there", PASSPHRASE)
    assert (tmp_path / "there").read_text() == "precious"
    with pytest.raises(ValueError, match="12 characters"):
        await SomaClient.export_state(model, tmp_path / "moved", "too short")
    assert not (tmp_path / "moved").exists()


async def test_a_cancelled_export_leaves_nothing(model, tmp_path):
    exporting = SomaClient.export_state(model, tmp_path / "moved", PASSPHRASE)
    await until(lambda: is_held(model.state))
    exporting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exporting
    await until(lambda: not is_held(model.state))
    assert not (tmp_path / "moved").exists()
