"""Random inputs through the client package and through our crates: the same bytes."""

import hashlib
import json
import os
import struct
import subprocess

import ada_url
import pytest
from conftest import Keypair, SomaClient, funded, run
from drawn import RELAXED, TRANSACTIONS, base58, namespaced, references, secrets, urls
from hypothesis import given, settings
from hypothesis import strategies as st

BUILDER = os.environ.get("SOMA_BUILDER", "target/debug/builder")


@pytest.fixture(scope="module")
def builder():
    process = subprocess.Popen(
        [BUILDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )

    def ask(may_fail=False, **request):
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert may_fail or "error" not in answer, answer
        return answer

    yield ask
    process.stdin.close()
    process.wait(10)


def digest_of(transaction):
    """Base58 of the Blake2b-256 of the name of the type and the bytes."""
    return base58(hashlib.blake2b(b"TransactionData::" + transaction, digest_size=32).digest())


def as_json(arguments):
    """JSON has no infinity, so an embedding goes as its bytes."""
    if "embedding" not in arguments:
        return arguments
    embedding = arguments["embedding"]
    return arguments | {"embedding": struct.pack(f"<{len(embedding)}f", *embedding).hex()}


@pytest.mark.parametrize("op", TRANSACTIONS)
async def test_transactions(client, builder, op):
    build = getattr(client, f"build_{op}")
    examples = []

    @RELAXED
    @given(TRANSACTIONS[op], secrets, references)
    def draw(arguments, secret, gas):
        examples.append((arguments, secret, gas))

    draw()
    for arguments, secret, gas in examples:
        keypair = Keypair.from_secret_key(secret)
        theirs = await build(
            keypair.address(),
            **{name: namespaced(value) for name, value in arguments.items()},
            gas=namespaced(gas),
        )
        ours = builder(
            op=op, secret=secret, sender=keypair.address(), gas=gas, arguments=as_json(arguments)
        )
        assert bytes(theirs).hex() == ours["data"]
        assert bytes(keypair.sign(theirs)).hex() == ours["signed"]
        assert digest_of(bytes(theirs)) == ours["digest"]
    assert len(examples) >= 30


async def test_digests_of_executed_transactions(client):
    """What the node calls a transaction is the hash of what the client signed."""
    keypair = await funded(client)
    for amount in (1, 1_000_000):
        [coin] = await client.list_owned_objects(keypair.address(), object_type="coin")
        to = Keypair.generate().address()
        tx = await client.build_transfer_coin(keypair.address(), to, coin, amount)
        effects = await run(client, keypair, tx)
        assert (effects.status, effects.transaction_digest) == ("Success", digest_of(bytes(tx)))


@RELAXED
@given(st.binary(max_size=3000), st.binary(min_size=32, max_size=32))
def test_ciphertext_and_commitment(builder, data, key):
    encrypted, _ = SomaClient.encrypt_weights(data, key)
    ours = builder(op="encrypt", data=data.hex(), key=key.hex())
    assert encrypted.hex() == ours["encrypted"]
    assert SomaClient.commitment(encrypted) == ours["commitment"]


@RELAXED
@given(secrets)
def test_addresses(builder, secret):
    assert Keypair.from_secret_key(secret).address() == builder(op="keypair", secret=secret)["address"]


@settings(RELAXED, max_examples=500)
@given(urls.filter(lambda url: "^" not in url))
def test_urls_have_the_normal_form_of_the_standard(builder, url):
    """Against an implementation of the URL standard that shares nothing with ours.

    The standard escapes `^` in paths since 2024; the network's parser does not, nor does ours,
    as the transactions above show.
    """
    try:
        normal = ada_url.URL(url).href
    except ValueError:
        assert "error" in builder(op="url", url=url, may_fail=True)
        return
    ours = builder(op="url", url=url)
    assert ours["url"] == normal
    assert ours["commitment"] == hashlib.blake2b(normal.encode(), digest_size=32).hexdigest()
    assert SomaClient.commitment(normal.encode()) == ours["commitment"]
