"""`chain="localnet"`: four fixed ports, all of which must answer at once."""

import pytest
from conftest import SomaClient, funded, shannons, SOMA

import network as networks


@pytest.fixture(scope="module")
def default_ports():
    running = networks.start(ports=None)
    yield running
    running.stop()


async def test_localnet(default_ports):
    client = await SomaClient(chain="localnet")
    assert await client.get_server_version() == "soma-node/0.1.0"
    owner = await funded(client)
    assert await shannons(client, owner.address()) == 2 * SOMA
    assert await client.scoring_health() is True
    assert await client.advance_epoch() == 1


async def test_bad_combinations():
    for arguments in ({"chain": "localnet", "rpc_url": "http://127.0.0.1:1"}, {"chain": "moon"}, {}):
        with pytest.raises(ValueError):
            await SomaClient(**arguments)
