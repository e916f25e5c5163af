"""Exceptions: their kinds, what they carry, and that the old ones still catch them."""

import asyncio
import time

import pytest
from conftest import funded
from relay import Relay

import soma
from soma import (
    EpochTimeout,
    Keypair,
    OutcomeUnknown,
    Refused,
    ServiceNotConfigured,
    SomaClient,
    SomaError,
    TransactionFailed,
    TransportError,
)

NOWHERE = "http://127.0.0.1:9"


def test_all_are_runtime_errors():
    kinds = [
        EpochTimeout,
        OutcomeUnknown,
        Refused,
        ServiceNotConfigured,
        TransactionFailed,
        TransportError,
    ]
    assert all(issubclass(kind, SomaError) for kind in kinds)
    assert issubclass(SomaError, RuntimeError)


async def test_no_node():
    client = await SomaClient(NOWHERE)
    with pytest.raises(TransportError, match="127.0.0.1:9"):
        await client.get_server_version()
    with pytest.raises(TransportError):
        await client.get_balance("ab" * 32)


async def test_services_beside_the_node(net):
    with pytest.raises(TransportError):
        await SomaClient(net.rpc_url, faucet_url=NOWHERE)
    client = await SomaClient(net.rpc_url)
    for call, service in (
        (client.advance_epoch, "admin_url"),
        (client.scoring_health, "scoring_url"),
        (lambda: client.request_faucet("ab" * 32), "faucet_url"),
    ):
        with pytest.raises(ServiceNotConfigured, match=service):
            await call()


async def test_a_client_of_a_with_block(net):
    async with SomaClient(net.rpc_url, faucet_url=net.faucet_url) as client:
        assert await client.get_chain_identifier() == "localnet"
    assert repr(client) == f"SomaClient({net.rpc_url}/)"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"rpc_url": "not a URL"},
        {"chain": "moon"},
        {"chain": "localnet", "rpc_url": NOWHERE},
        {"chain": "localnet", "faucet_url": NOWHERE},
    ],
    ids=str,
)
def test_bad_constructions(arguments):
    with pytest.raises(ValueError):
        SomaClient(**arguments)


async def test_bad_arguments(client):
    owner = Keypair.generate()
    address, model, url = owner.address(), "0x" + "ab" * 32, "http://127.0.0.1/w"
    for error, call in {
        ("hex", ValueError): lambda: client.get_balance("zz" * 32),
        ("length", ValueError): lambda: client.get_balance("ab" * 31),
        ("id", ValueError): lambda: client.get_model("ab"),
        ("number", TypeError): lambda: client.get_balance(5),
        ("URL", ValueError): lambda: client.commit_model(owner, "nowhere", b"", 0),
        ("rate", OverflowError): lambda: client.set_model_commission_rate(owner, model, -1),
        ("signer", TypeError): lambda: client.deactivate_model(5, model),
        ("key", ValueError): lambda: client.reveal_model(owner, model, url, b"", "ab", [1.0]),
        ("empty", ValueError): lambda: client.reveal_model(owner, model, url, b"", b"k" * 32, []),
        ("pairs", ValueError): lambda: client.pay_coins(owner, [address], [1, 2]),
        ("digest", ValueError): lambda: client.get_transaction("0"),
        ("status", ValueError): lambda: client.list_models(status="odd"),
        ("text", TypeError): lambda: client.get_model_manifests(model),
        ("seconds", ValueError): lambda: client.wait_for_next_epoch(-1.0),
    }.items():
        with pytest.raises(error[1]):
            await call()
            pytest.fail(error[0])


def test_a_key_is_in_no_text():
    keypair = Keypair.generate()
    secret = keypair.to_secret_key()
    assert secret not in repr(keypair) + str(keypair)
    request = soma.build_reveal_model("0x" + "ab" * 32, "http://h/w", "cd" * 32, 1, secret, [1.0])
    assert secret not in repr(request) + str(request)
    with pytest.raises(ValueError) as error:
        SomaClient.decrypt_weights(b"", secret[:-1] + "g")
    assert secret[:-1] not in str(error.value)


async def test_the_chain_says_no(client):
    owner = await funded(client)
    with pytest.raises(Refused, match="there is no model 0xabab"):
        await client.deactivate_model(owner, "0x" + "ab" * 32)
    data = await client.build_deactivate_model(owner.address(), "0x" + "ab" * 32)
    with pytest.raises(TransactionFailed, match="DeactivateModel failed: ModelNotActive") as failed:
        await client.submit(owner, data)
    assert failed.value.failure == "ModelNotActive"
    # Executing gives the effects of a failure as well, as the published client does.
    effects = await client.execute_transaction(owner.sign(data))
    assert effects.transaction_digest == failed.value.digest
    assert effects.status == str(effects.status) != "Success"
    assert effects.status.Failure.error == "ModelNotActive"


async def test_the_epoch_does_not_change(client):
    with pytest.raises(EpochTimeout, match="epoch 0"):
        await client.wait_for_next_epoch(0.3)


async def test_nobody_knows_what_became_of_it(client, net):
    owner, friend = await funded(client), Keypair.generate().address()
    [coin] = await client.list_owned_objects(owner.address(), object_type="coin")
    data = await client.build_transfer_coin(owner.address(), friend, coin, 5)
    async with Relay(net.rpc_url) as relay:
        through = await SomaClient(relay.url)
        assert await through.get_chain_identifier() == "localnet"
        relay.hold()
        with pytest.raises(OutcomeUnknown) as unknown:
            await through.execute_transaction(owner.sign(data), timeout=3.0)
        assert relay.asked.is_set()
    # The digest settles it; here the transaction did arrive.
    effects = await client.get_transaction(unknown.value.digest)
    assert effects.status == "Success"
    assert await client.get_balance(friend) == 5
    assert unknown.value.digest in str(unknown.value)


async def test_a_transfer_that_was_sent_is_followed_to_its_end(client, net):
    """Lost on its way and then cancelled: it is sent again though nobody waits for it."""
    owner, friend = await funded(client), Keypair.generate().address()
    async with Relay(net.rpc_url) as relay:
        through = await SomaClient(relay.url)
        relay.lose = friend.encode()
        transfer = through.transfer_coin(owner, friend, 5)
        await relay.lost.wait()
        transfer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await transfer
        assert await client.get_balance(friend) == 0
        relay.lose = None
        deadline = time.monotonic() + 60
        while await client.get_balance(friend) != 5:
            assert time.monotonic() < deadline, "it was given up"
            await asyncio.sleep(0.05)


async def test_a_transfer_that_was_not_sent_never_is(client, net):
    """Cancelled while the node is asked for coins; its answers come all the same."""
    owner, friend = await funded(client), Keypair.generate().address()
    async with Relay(net.rpc_url) as relay:
        through = await SomaClient(relay.url)
        await through.get_chain_identifier()
        relay.hold()
        transfer = through.transfer_coin(owner, friend, 5)
        await relay.asked.wait()
        transfer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await transfer
        relay.release()
        # Nothing is held: the same coin pays for the next one at once.
        await through.transfer_coin(owner, friend, 7)
        assert relay.asked_about(friend.encode()) == 1
    assert await client.get_balance(friend) == 7
