"""Random inputs through the client package and through our crates: the same bytes."""

import json
import os
import struct
import subprocess

import pytest
from conftest import Keypair, SomaClient
from drawn import RELAXED, TRANSACTIONS, namespaced, references, secrets, urls
from hypothesis import given
from hypothesis import strategies as st

BUILDER = os.environ.get("SOMA_BUILDER", "target/debug/builder")


@pytest.fixture(scope="module")
def builder():
    process = subprocess.Popen(
        [BUILDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )

    def ask(**request):
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert "error" not in answer, answer
        return answer

    yield ask
    process.stdin.close()
    process.wait(10)


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
    assert len(examples) >= 30


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


@RELAXED
@given(urls)
def test_url_commitments_are_of_the_normal_form(builder, url):
    ours = builder(op="url", url=url)
    assert SomaClient.commitment(ours["url"].encode()) == ours["commitment"]
