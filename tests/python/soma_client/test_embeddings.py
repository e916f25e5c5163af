"""Embeddings: from whatever training gave, refused before anything is sent."""

import json
import struct

import numpy
import pytest
from conftest import DIM, EMBEDDING, SOMA, funded, safetensors
from hypothesis import given
from hypothesis import strategies as st

from soma import Refused, SomaClient, build_reveal_model, load_embedding

floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50)


class Tensor:
    """What a tensor in training shows: no numbers until it is detached."""

    def __init__(self, values, attached=True):
        self.values, self.attached = values, attached

    def detach(self):
        return Tensor(self.values, attached=False)

    def tolist(self):
        if self.attached:
            raise RuntimeError("call detach() first")
        return numpy.asarray(self.values, dtype=numpy.float32).tolist()


def spellings(numbers, folder):
    array = numpy.array(numbers, dtype=numpy.float32)
    yield list(numbers)
    yield tuple(numbers)
    yield array
    yield array.astype(numpy.float64)
    yield memoryview(array)
    yield Tensor(numbers)
    yield (number for number in numbers)
    texts = {
        "list.json": json.dumps(numbers),
        "lines.txt": "\n".join(map(repr, numbers)),
        "commas.txt": ",".join(map(repr, numbers)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        yield folder / name
        yield str(folder / name)
    numpy.save(folder / "array.npy", array)
    yield folder / "array.npy"


def test_every_spelling_gives_the_same_numbers(tmp_path):
    numbers = [0.25, -0.5, 1e-30, 16777216.0, -0.0]
    expected = struct.pack("<5f", *numbers)
    for source in spellings(numbers, tmp_path):
        assert struct.pack("<5f", *load_embedding(source)) == expected, source


@given(floats)
def test_no_bit_is_lost(numbers):
    assert load_embedding(numbers) == numbers
    assert load_embedding(numpy.array(numbers, dtype=numpy.float32)) == numbers
    # More digits than 32 bits hold are rounded as NumPy rounds them.
    finer = numpy.array(numbers, dtype=numpy.float64) * (1 + 2**-40)
    with numpy.errstate(over="ignore"):
        rounded = finer.astype(numpy.float32)
    if numpy.isfinite(rounded).all():
        assert load_embedding(finer) == rounded.tolist()


@pytest.mark.parametrize(
    "source, error",
    [
        ([], ValueError),
        (numpy.zeros(0), ValueError),
        (numpy.zeros((2, 2)), ValueError),
        ([[1.0], [2.0]], ValueError),
        ([1.0, float("nan")], ValueError),
        ([float("inf")], ValueError),
        ([1e39], ValueError),
        (numpy.array([numpy.nan]), ValueError),
        (["1.0"], TypeError),
        (b"1.0", TypeError),
        (1.0, TypeError),
        (None, TypeError),
        (numpy.float32(1.0), TypeError),
    ],
    ids=repr,
)
def test_what_is_no_embedding(source, error):
    with pytest.raises(error):
        load_embedding(source)
    with pytest.raises(error):
        build_reveal_model("0x" + "ab" * 32, "http://h/w", "cd" * 32, 1, "ef" * 32, source)


def test_files_that_hold_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_embedding(tmp_path / "nothing.json")
    for name, text in {"words": "one two", "empty": "", "nan": "[1.0, NaN]"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=name):
            load_embedding(tmp_path / name)
    numpy.save(tmp_path / "square.npy", numpy.zeros((2, 2), dtype=numpy.float32))
    with pytest.raises(ValueError):
        load_embedding(tmp_path / "square.npy")


async def test_refused_before_anything_is_sent(fresh, url, tmp_path):
    owner = await funded(fresh)
    sealed, key = SomaClient.encrypt_weights(safetensors(100))
    model = await fresh.commit_model(owner, url, sealed, 0)
    await fresh.advance_epoch()
    balance = await fresh.get_balance(owner.address())
    with pytest.raises(ValueError, match="number 2"):
        await fresh.reveal_model(owner, model, url, sealed, key, [1.0, float("nan"), 1.0, 1.0])
    for wrong in ([1.0] * (DIM - 1), [1.0] * (DIM + 1)):
        with pytest.raises(Refused, match="EmbeddingDimensionMismatch") as refused:
            await fresh.reveal_model(owner, model, url, sealed, key, wrong)
        assert refused.value.failure == "EmbeddingDimensionMismatch"
    with pytest.raises(Refused):
        await fresh.reveal_model(owner, model, url, sealed, key, [0.0] * DIM)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(safetensors(100))
    with pytest.raises(Refused, match="EmbeddingDimensionMismatch"):
        await fresh.prepare_model(weights, url, embedding=[1.0] * (DIM + 1), state=tmp_path / "s")
    assert not (tmp_path / "s").exists() and not (tmp_path / "weights.enc").exists()
    assert await fresh.get_balance(owner.address()) == balance == SOMA - 501_900
    assert (await fresh.get_model(model)).status == "Committed"

    await fresh.reveal_model(owner, model, url, sealed, key, numpy.array(EMBEDDING))
    assert (await fresh.get_model(model, embedding=True)).embedding == EMBEDDING
