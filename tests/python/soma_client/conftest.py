"""Fixtures of the suites of the package `soma`, as it was installed from its wheel."""

import asyncio
import json
import os
import pathlib
import secrets
import subprocess
import sys
import time

import pytest
from hypothesis import settings

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import network as networks  # noqa: E402

from soma import Keypair, SomaClient, Wallet  # noqa: E402

# A busy machine is no failure.
settings.register_profile("soma", deadline=None)
settings.load_profile("soma")

SOMA = 1_000_000_000
DIM = 4
EMBEDDING = [0.25, -0.5, 0.75, 1.0]
COMMIT_FEE, REVEAL_FEE = 501_900, 1_600
# A commit with a state file makes a coin of 20 reveal fees for the reveal.
ASIDE, ASIDE_FEE = 32_000, 1_632


@pytest.fixture(scope="session")
def net():
    """A network for tests that leave its epoch alone."""
    running = networks.start("--embedding-dim", str(DIM))
    yield running
    running.stop()


@pytest.fixture
def served(tmp_path):
    """The folder whose files `fresh_net` serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


@pytest.fixture
def fresh_net(served):
    """A network for one test: epoch 0, moved by hand, with a host of files."""
    running = networks.start(
        "--embedding-dim", str(DIM), "--files-dir", str(served), "--files-port", "0"
    )
    yield running
    running.stop()


async def connect(running):
    return await SomaClient(
        running.rpc_url,
        scoring_url=running.scoring_url,
        admin_url=running.admin_url,
        faucet_url=running.faucet_url,
    )


@pytest.fixture
async def client(net):
    return await connect(net)


@pytest.fixture
async def fresh(fresh_net):
    return await connect(fresh_net)


@pytest.fixture
def url(fresh_net):
    return fresh_net.ready["files_url"] + "/weights.enc"


async def funded(client, coins=1):
    """A new key pair with `coins` coins of 2 SOMA."""
    keypair = Keypair.generate()
    for _ in range(coins):
        await client.request_faucet(keypair.address())
    return keypair


def safetensors(size):
    """A file of weights: our checks look whether the key opens one."""
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"weights": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + secrets.token_bytes(size)


async def until(condition, seconds=60):
    """Waits for a condition, with a deadline that only a broken program reaches."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


def is_held(state):
    """Whether a process is at work on a state file; asked of the system, not by locking it."""
    state = pathlib.Path(state)
    inode = (state.parent / f".{state.name}.lock").stat().st_ino
    locks = pathlib.Path("/proc/locks").read_text().splitlines()
    return any(f":{inode} " in line for line in locks)


class Cli:
    """The `soma` binary with a configuration folder of its own."""

    def __init__(self, folder, running):
        self.config = folder / "config"
        self.environment = os.environ | {
            "SOMA_CONFIG_DIR": str(self.config),
            "SOMA_RPC_URL": running.rpc_url,
            "SOMA_FAUCET_URL": running.faucet_url,
            "SOMA_ADMIN_URL": running.admin_url,
        }

    def __call__(self, *words):
        done = subprocess.run(
            [networks.SOMA, *map(str, words), "--json"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return json.loads(done.stdout)


@pytest.fixture
def cli(tmp_path, fresh_net, monkeypatch):
    """The binary and this process share one configuration folder."""
    program = Cli(tmp_path, fresh_net)
    monkeypatch.setenv("SOMA_CONFIG_DIR", str(program.config))
    program("-y", "wallet", "new", "--alias", "me")
    return program


@pytest.fixture
async def wallet(fresh, cli):
    """The wallet of the command line, with 2 SOMA."""
    wallet = Wallet()
    await fresh.request_faucet(wallet.active)
    return wallet


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors(100_000))
    return path
