"""Fixtures of the suites that drive a client package against our network.

The package is `soma_sdk` as published, or any other that offers the same
calls: its import name is taken from SOMA_CLIENT_MODULE.
"""

import importlib
import importlib.metadata
import json
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import network as networks  # noqa: E402

MODULE = os.environ.get("SOMA_CLIENT_MODULE", "soma_sdk")
SDK = importlib.import_module(MODULE)
SomaClient, Keypair = SDK.SomaClient, SDK.Keypair
RELEASE = importlib.metadata.version("soma-sdk") if MODULE == "soma_sdk" else "0.1.5"
# 0.1.4 lacks the one-call methods and counts in shannons where 0.1.5 counts in SOMA.
HIGH_LEVEL = RELEASE != "0.1.4"
VECTORS = json.loads(
    (HERE.parents[2] / "crates/soma-proto/tests/data/vectors.json").read_text()
)
SOMA = 1_000_000_000

collect_ignore = [] if HIGH_LEVEL else ["test_high_level.py", "test_presets.py"]


@pytest.fixture(scope="session")
def net():
    running = networks.start()
    yield running
    running.stop()


@pytest.fixture
def fresh_net():
    """A network for one test: its epoch is 0 and its money is untouched."""
    running = networks.start("--embedding-dim", "4")
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


async def shannons(client, address):
    """The balance as an integer, whichever unit this release answers in."""
    balance = await client.get_balance(address)
    return round(balance * SOMA) if isinstance(balance, float) else int(balance)


async def funded(client, coins=1):
    """A new key pair with `coins` coins of 2 SOMA."""
    keypair = Keypair.generate()
    for _ in range(coins):
        answer = await client.request_faucet(keypair.address())
        assert answer.status == "Success"
    return keypair


async def run(client, keypair, tx_data):
    """Signs and executes; the flat effects."""
    return (await client.execute_transaction(keypair.sign(bytes(tx_data)))).V1


def failure(effects):
    """The name of the failure, or None."""
    status = effects.status
    if status == "Success":
        return None
    error = status.Failure.error
    return error if isinstance(error, str) else next(iter(vars(error)))


def stake(amount_soma):
    """A stake argument in the unit of this release."""
    return float(amount_soma) if HIGH_LEVEL else int(amount_soma * SOMA)
