"""What counts as weights, and that every kind of it gives the same bytes."""

import array
import copy
import hashlib
import io
import mmap
import os
import pickle
import sys
import threading
import time

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soma import SomaClient

KEY = bytes(range(32))
# Around the steps in which buffers are read, and the parts that threads take.
LENGTHS = [0, 1, 15, 16, 17, 1 << 20, (1 << 20) + 1, (4 << 20) - 1, (9 << 20) + 5]


def painted(length):
    """Bytes with a period that no block or step divides, so that swapped ones show."""
    return (bytes(range(251)) * (length // 251 + 1))[:length]


def spellings(data, folder):
    """The same bytes in everything that is taken."""
    path = folder / f"weights.{len(data)}"
    path.write_bytes(data)
    yield "bytes", data
    yield "bytearray", bytearray(data)
    yield "memoryview", memoryview(data)
    yield "array", array.array("B", data)
    yield "numpy", numpy.frombuffer(data, dtype=numpy.uint8)
    if len(data) % 4 == 0:
        yield "numpy of floats", numpy.frombuffer(data, dtype=numpy.float32)
        yield "numpy of two dimensions", numpy.frombuffer(data, dtype=numpy.int16).reshape(-1, 2)
    yield "path", path
    yield "binary file", open(path, "rb")
    yield "unbuffered file", open(path, "rb", buffering=0)
    yield "file in memory", io.BytesIO(data)
    if data:
        with open(path, "rb") as file:
            yield "map", mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@pytest.mark.parametrize("length", LENGTHS)
def test_every_spelling_gives_the_same_bytes(length, tmp_path):
    data = painted(length)
    digest = hashlib.blake2b(data, digest_size=32).hexdigest()
    sealed, _ = SomaClient.encrypt_weights(data, KEY)
    assert len(sealed) == length
    for name, source in spellings(data, tmp_path):
        assert SomaClient.commitment(source) == digest, name
    for name, source in spellings(data, tmp_path):
        assert SomaClient.encrypt_weights(source, KEY) == (sealed, KEY.hex()), name
    for name, source in spellings(sealed, tmp_path):
        opened = SomaClient.decrypt_weights(source, KEY)
        assert (type(opened), opened) == (bytes, data), name


def test_the_vector_of_the_specification():
    """`abc` under a key of zeros, made with the published client."""
    assert SomaClient.encrypt_weights(b"abc", bytes(32))[0] == bytes.fromhex("bdf7a3")


@given(st.binary(max_size=3_000), st.binary(min_size=32, max_size=32))
def test_there_and_back(data, key):
    sealed, text = SomaClient.encrypt_weights(data, key)
    assert text == key.hex()
    for same in (key, bytearray(key), text, text.upper(), "0x" + text):
        assert SomaClient.decrypt_weights(sealed, same) == data


@given(st.binary(min_size=1, max_size=200), st.integers(0, 199))
@settings(max_examples=50)
def test_a_file_is_read_from_where_it_stands(data, at):
    file = io.BytesIO(data)
    file.seek(min(at, len(data)))
    rest = data[at:]
    assert SomaClient.commitment(file) == SomaClient.commitment(rest)


@given(st.binary(max_size=3_000))
def test_a_ciphertext_knows_its_commitment(data):
    sealed, _ = SomaClient.encrypt_weights(data, KEY)
    digest = hashlib.blake2b(sealed, digest_size=32).hexdigest()
    assert SomaClient.commitment(sealed) == digest
    assert SomaClient.commitment(bytes(bytearray(sealed))) == digest


def test_a_ciphertext_is_bytes_in_every_way():
    sealed, _ = SomaClient.encrypt_weights(b"weights" * 1_000, KEY)
    plain = bytes(bytearray(sealed))
    assert isinstance(sealed, bytes)
    assert (sealed, hash(sealed), repr(sealed)) == (plain, hash(plain), repr(plain))
    assert {sealed: 1}[plain] == 1
    parts = [sealed[:], sealed[3:10], sealed + b"", b"".join([sealed, b"x"]), sealed * 2]
    for part in [*parts, sealed.replace(b"\x00", b"\x01")]:
        assert SomaClient.commitment(part) == hashlib.blake2b(part, digest_size=32).hexdigest()
    for copied in (copy.copy(sealed), copy.deepcopy(sealed)):
        assert copied == plain
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        unpickled = pickle.loads(pickle.dumps(sealed, protocol))
        assert (type(unpickled), unpickled) == (bytes, plain)
    written = io.BytesIO()
    pickler = pickle.Pickler(written)
    pickler.dispatch_table = {}
    pickler.dump(sealed)
    assert pickle.loads(written.getvalue()) == plain


def test_a_commitment_cannot_be_passed_on_to_other_bytes():
    sealed, _ = SomaClient.encrypt_weights(b"weights", KEY)
    kind = type(sealed)

    class Other(bytes):
        pass

    for forge in (
        lambda: kind(b"other"),
        lambda: bytes.__new__(kind, b"other"),
        lambda: object.__new__(kind),
        lambda: type("Derived", (kind,), {}),
        lambda: setattr(Other(b"other"), "__class__", kind),
        lambda: setattr(kind, "commitment", None),
        lambda: setattr(sealed, "commitment", None),
    ):
        with pytest.raises((TypeError, AttributeError)):
            forge()


def test_ciphertexts_come_and_go():
    """Memory that is used again remembers nothing, and none is lost."""
    kind = type(SomaClient.encrypt_weights(b"", KEY)[0])
    before = sys.getrefcount(kind)
    for size in [0, 1, 7, 64, 500, 513, 100_000, 5 << 20] * 20:
        data = os.urandom(size)
        sealed, key = SomaClient.encrypt_weights(data)
        assert SomaClient.commitment(sealed) == hashlib.blake2b(sealed, digest_size=32).hexdigest()
        opened = SomaClient.decrypt_weights(sealed, key)
        assert (type(opened), opened) == (bytes, data)
    sealed = None
    after = sys.getrefcount(kind)
    assert after == before


def test_keys_in_base58():
    """Later releases of the network write keys so; 32 bytes of ones are this text."""
    text = "1" * 32
    sealed, key = SomaClient.encrypt_weights(b"weights", text)
    assert key == "00" * 32
    assert SomaClient.decrypt_weights(sealed, text) == b"weights"


@pytest.mark.parametrize("source", ["weights.safetensors", 5, None, [1, 2], {}], ids=repr)
def test_what_are_no_weights(source):
    for call in (SomaClient.commitment, SomaClient.encrypt_weights):
        with pytest.raises(TypeError):
            call(source)


def test_a_text_file_is_no_weights(tmp_path):
    (tmp_path / "text").write_text("weights")
    with open(tmp_path / "text") as file, pytest.raises(TypeError, match="binary"):
        SomaClient.commitment(file)


def test_a_view_with_gaps_is_refused():
    """Its bytes are not in one piece; whoever wants them makes a copy himself."""
    strided = numpy.arange(10)[::2]
    with pytest.raises((TypeError, BufferError, ValueError)):
        SomaClient.commitment(strided)
    assert SomaClient.commitment(strided.copy()) == SomaClient.commitment(strided.tobytes())


@pytest.mark.parametrize("key", [b"short", "ab" * 31, "zz" * 32, 5], ids=repr)
def test_bad_keys(key):
    with pytest.raises((ValueError, TypeError)):
        SomaClient.encrypt_weights(b"weights", key)


def test_a_missing_file(tmp_path):
    for call in (SomaClient.commitment, SomaClient.encrypt_weights):
        with pytest.raises(FileNotFoundError, match="nothing"):
            call(tmp_path / "nothing")


def test_an_exception_of_a_file_is_the_callers_own():
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise ZeroDivisionError("in the file")

    with pytest.raises(ZeroDivisionError, match="in the file"):
        SomaClient.commitment(Broken())


def beats_inside(work):
    """How often another thread ran in the middle third of `work`."""
    beats, ended = [], threading.Event()

    def beat():
        while not ended.is_set():
            beats.append(time.perf_counter())
            time.sleep(0)

    thread = threading.Thread(target=beat)
    thread.start()
    begin = time.perf_counter()
    work()
    end = time.perf_counter()
    ended.set()
    thread.join()
    third = (end - begin) / 3
    return sum(begin + third < beat < end - third for beat in beats)


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("call", [SomaClient.commitment, SomaClient.encrypt_weights])
def test_other_threads_run_meanwhile(kind, call):
    """Under a lock held all along no try would show a beat in the middle of the pass."""
    data = kind(256 << 20)
    assert any(beats_inside(lambda: call(data)) for _ in range(20))
