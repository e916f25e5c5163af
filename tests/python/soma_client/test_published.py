"""Same input, same bytes as the published client, both in one process."""

import inspect
import types

import pytest
from conftest import Keypair, SomaClient
from drawn import RELAXED, TRANSACTIONS, ids, namespaced, references, secrets, urls
from hypothesis import given
from hypothesis import strategies as st
from soma_sdk import Keypair as PublishedKeypair
from soma_sdk import SomaClient as PublishedClient

import soma

BUILDERS = TRANSACTIONS | {
    "report_model": st.fixed_dictionaries({"model_id": ids}),
    "undo_report_model": st.fixed_dictionaries({"model_id": ids}),
}


@pytest.fixture
async def published(net):
    return await PublishedClient(net.rpc_url)


@pytest.mark.parametrize("op", BUILDERS)
async def test_builders_and_signatures(client, published, op):
    name, examples = f"build_{op}", []

    @RELAXED
    @given(BUILDERS[op], secrets, references)
    def draw(arguments, secret, gas):
        examples.append((arguments, secret, gas))

    draw()
    for arguments, secret, gas in examples:
        arguments = {name: namespaced(value) for name, value in arguments.items()}
        theirs, ours = PublishedKeypair.from_secret_key(secret), Keypair.from_secret_key(secret)
        sender = theirs.address()
        assert ours.address() == sender
        # Theirs by position, in the order of ours; a reference may be a dictionary as well.
        build = getattr(client, name)
        ordered = [arguments[name] for name in inspect.signature(build).parameters if name in arguments]
        expected = await getattr(published, name)(sender, *ordered, namespaced(gas))
        made = await build(sender, **arguments, gas=gas)
        assert made == bytes(expected)
        assert ours.sign(made) == bytes(theirs.sign(expected))
    assert len(examples) >= 30


@pytest.mark.parametrize("op", sorted(set(TRANSACTIONS) - {"commit_model"}))
@RELAXED
@given(st.data())
def test_plain_builders_do_the_same(op, data):
    """A request is the transaction without its sender: equal arguments, equal requests."""
    arguments = data.draw(TRANSACTIONS[op])
    embedding = arguments.get("embedding", [])
    build = getattr(soma, f"build_{op}")
    if not all(abs(number) < float("inf") for number in embedding):
        with pytest.raises(ValueError):
            build(**arguments)
        return
    named = {name: namespaced(value) for name, value in arguments.items()}
    request = build(**arguments)
    assert request == build(**named)
    assert request.kind.lower() == op.replace("_", "")


@RELAXED
@given(st.binary(max_size=5_000), st.binary(min_size=32, max_size=32))
def test_ciphertexts_and_commitments(data, key):
    theirs = PublishedClient.encrypt_weights(data, key)
    assert SomaClient.encrypt_weights(data, key) == tuple(theirs)
    assert SomaClient.commitment(theirs[0]) == PublishedClient.commitment(theirs[0])
    assert PublishedClient.decrypt_weights(SomaClient.encrypt_weights(data, key)[0], key) == data


def test_a_large_ciphertext():
    """Large enough for threads, and for carries in every byte that a counter of this size has."""
    data, key = bytes(range(256)) * (96 << 10), bytes(range(32))
    sealed, _ = SomaClient.encrypt_weights(data, key)
    assert sealed == PublishedClient.encrypt_weights(data, key)[0]
    assert SomaClient.commitment(sealed) == PublishedClient.commitment(sealed)


@RELAXED
@given(urls)
def test_commitments_to_urls(url):
    normal = SomaClient.normalize_url(url)
    assert SomaClient.commitment(normal.encode()) == PublishedClient.commitment(normal.encode())


@RELAXED
@given(secrets)
def test_keys(secret):
    theirs, ours = PublishedKeypair.from_secret_key(secret), Keypair.from_secret_key(secret)
    assert ours.address() == theirs.address()
    assert ours.to_secret_key() == theirs.to_secret_key()


def test_phrases():
    keypair, phrase = Keypair.generate_with_mnemonic()
    assert PublishedKeypair.from_mnemonic(phrase).address() == keypair.address()


def public(owner):
    return {name for name in dir(owner) if not name.startswith("_")}


# Calls of miners and validators, which owners of models do not need.
OUT_OF_SCOPE = {
    "build_add_validator",
    "build_claim_challenge_bond",
    "build_claim_rewards",
    "build_initiate_challenge",
    "build_remove_validator",
    "build_report_challenge",
    "build_report_submission",
    "build_report_validator",
    "build_set_commission_rate",
    "build_submit_data",
    "build_undo_report_challenge",
    "build_undo_report_submission",
    "build_undo_report_validator",
    "build_update_validator_metadata",
    "claim_rewards",
    "fetch_submission_data",
    "get_challenge",
    "get_targets",
    "list_challenges",
    "list_targets",
    "score",
    "submit_data",
}


def test_nothing_else_is_missing():
    assert public(PublishedKeypair) <= public(Keypair)
    assert public(PublishedClient) - public(SomaClient) == OUT_OF_SCOPE


async def test_objects_of_one_serve_the_other(client, published):
    """A reference that ours shows is one that theirs takes, and the other way round."""
    owner = Keypair.generate()
    await client.request_faucet(owner.address())
    [coin] = await client.list_owned_objects(owner.address(), object_type="coin")
    reference = types.SimpleNamespace(id=coin.id, version=coin.version, digest=coin.digest)
    theirs = await published.build_transfer_coin(owner.address(), "ab" * 32, coin, 5)
    ours = await client.build_transfer_coin(owner.address(), "ab" * 32, reference, 5)
    assert bytes(theirs) == ours
    effects = await client.submit(owner, bytes(theirs))
    assert effects.status == "Success"
    shown = (await published.get_transaction(effects.transaction_digest)).V1
    assert shown.transaction_digest == effects.transaction_digest
