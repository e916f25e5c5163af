"""What needs no network: keys, the cipher, hashes, units."""

import hashlib

import pytest
from conftest import VECTORS, Keypair, SomaClient
from hypothesis import given
from hypothesis import strategies as st


def plain(case):
    return bytes((i * 131 + 7) % 256 for i in range(case["length"]))


@pytest.mark.parametrize("case", VECTORS["keypairs"], ids=lambda case: case["name"])
def test_keys(case):
    if case["source"] == "secret_key":
        keypair = Keypair.from_secret_key(case["secret_key_hex"])
    else:
        keypair = Keypair.from_mnemonic(case["mnemonic"])
    assert keypair.address() == case["address"]
    assert keypair.to_secret_key() == case["client_secret_text"]


@pytest.mark.parametrize("case", VECTORS["mnemonic_rejections"], ids=lambda case: case["label"])
def test_bad_phrases_are_refused(case):
    with pytest.raises(ValueError):
        Keypair.from_mnemonic(case["mnemonic"])


@pytest.mark.parametrize("secret", ["", "0x", "zz" * 32, "00" * 31, b"\0" * 33])
def test_bad_secrets_are_refused(secret):
    with pytest.raises(ValueError):
        Keypair.from_secret_key(secret)


@pytest.mark.parametrize(
    "case", VECTORS["aes256ctr"], ids=lambda case: f"{case['key_name']}-{case['length']}"
)
def test_cipher(case):
    key = bytes.fromhex(case["key_hex"])
    encrypted, text = SomaClient.encrypt_weights(plain(case), key)
    assert text == case["key_hex"]
    assert SomaClient.commitment(encrypted) == case["ciphertext_blake2b256"]
    assert SomaClient.decrypt_weights(encrypted, text) == plain(case)


@given(st.binary(max_size=5000))
def test_commitment_is_blake2b_256(data):
    assert SomaClient.commitment(data) == hashlib.blake2b(data, digest_size=32).hexdigest()


def test_each_encryption_draws_a_key():
    (first, one), (second, two) = (SomaClient.encrypt_weights(b"weights") for _ in range(2))
    assert one != two
    assert first != second


@pytest.mark.parametrize("case", VECTORS["units_to_soma"], ids=lambda case: str(case["shannons"]))
def test_to_soma(case):
    assert SomaClient.to_soma(case["shannons"]) == float(case["soma"])
