"""The examples of the package, run as an owner would run them."""

import pathlib
import subprocess
import sys

import nbclient
import nbformat
import pytest
from conftest import COMMIT_FEE, HERE, REVEAL_FEE, SOMA, safetensors

from soma import SomaClient

EXAMPLES = HERE.parents[2] / "crates" / "soma-python" / "examples"
# A commit and a reveal, and the two of an update.
BALANCE = SOMA - COMMIT_FEE - 3 * REVEAL_FEE


@pytest.fixture
def surroundings(fresh_net, served, tmp_path, monkeypatch):
    for name, value in {
        "SOMA_RPC_URL": fresh_net.rpc_url,
        "SOMA_FAUCET_URL": fresh_net.faucet_url,
        "SOMA_ADMIN_URL": fresh_net.admin_url,
        "SOMA_FILES_URL": fresh_net.ready["files_url"],
        "SOMA_FILES_DIR": str(served),
        # The kernel's own history and settings stay out of the home folder.
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter"),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


async def test_the_script(fresh, fresh_net, served, surroundings):
    weights = surroundings / "weights.safetensors"
    weights.write_bytes(safetensors(3_000_000))
    done = subprocess.run(
        [
            sys.executable,
            EXAMPLES / "register_model.py",
            weights,
            served,
            fresh_net.ready["files_url"],
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert lines["status"] == "Active"
    assert lines["balance"] == f"{BALANCE / SOMA:.9f} SOMA"
    [model] = await fresh.list_models()
    [manifest] = await fresh.get_model_manifests([model.model_id])
    assert manifest.url == lines["weights"]
    assert manifest.decryption_key == (surroundings / "weights.2.key").read_text().strip()
    sealed = await fresh.fetch_model(model.model_id)
    assert SomaClient.decrypt_weights(sealed, manifest.decryption_key) == weights.read_bytes()


async def test_the_notebook(fresh, surroundings):
    notebook = nbformat.read(EXAMPLES / "register_model.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    executor = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(surroundings)}}
    )
    await executor.async_execute()
    [last] = [cell for cell in notebook.cells if cell.cell_type == "code"][-1].outputs
    assert last.data["text/plain"] == f"Decimal('{BALANCE / SOMA:.9f}')"
    [model] = await fresh.list_models()
    assert model.status == "Active"
    key = pathlib.Path(surroundings / "model.2.key").read_text()
    [manifest] = await fresh.get_model_manifests([model.model_id])
    assert manifest.decryption_key == key
