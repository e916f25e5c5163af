"""The builders give the bytes on record, so the server reads what they mean."""

import struct
import types

import pytest
from conftest import VECTORS, Keypair

CASES = [case for case in VECTORS["transactions"] if case["in_scope"]]


def keypair_named(name):
    [case] = [case for case in VECTORS["keypairs"] if case["name"] == name]
    return Keypair.from_secret_key(case["secret_key_hex"])


def argument(value):
    if isinstance(value, dict) and set(value) == {"id", "version", "digest"}:
        return types.SimpleNamespace(**value)
    if isinstance(value, list):
        return [argument(one) for one in value]
    return value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_builder(client, case):
    build = getattr(client, "build_" + case["builder"])
    inputs = {name: argument(value) for name, value in case["inputs"].items()}
    if "embedding_f32_le_hex" in inputs:
        data = bytes.fromhex(inputs.pop("embedding_f32_le_hex"))
        inputs["embedding"] = list(struct.unpack(f"<{len(data) // 4}f", data))
    data = await build(case["sender"], **inputs)
    assert bytes(data).hex() == case["tx_data_bcs_hex"]
    signed = keypair_named(case["sender_keypair"]).sign(data)
    assert bytes(signed).hex() == case["signed_tx_bcs_hex"]
