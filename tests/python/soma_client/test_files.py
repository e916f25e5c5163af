"""Files of any size: same bytes, nothing left half-done, and the loop runs on."""

import asyncio
import hashlib
import os
import stat
import threading

import pytest
from conftest import until

from soma import SomaClient, SomaError

MIB = 1 << 20


def painted(path, length):
    block = bytes(range(251)) * 4_000
    with open(path, "wb") as file:
        for _ in range(length // len(block) + 1):
            file.write(block)
        file.truncate(length)
    return path


@pytest.fixture
def plain(tmp_path):
    return painted(tmp_path / "weights", 3 * MIB + 7)


def names(folder):
    return sorted(os.listdir(folder))


async def test_there_and_back(plain, tmp_path):
    done = await SomaClient.encrypt_file(plain, tmp_path / "sealed")
    sealed = (tmp_path / "sealed").read_bytes()
    assert done.size == len(sealed) == plain.stat().st_size
    assert done.commitment == hashlib.blake2b(sealed, digest_size=32).hexdigest()
    assert (done.output, done.key_file) == (str(tmp_path / "sealed"), None)
    assert sealed == SomaClient.encrypt_weights(plain.read_bytes(), done.decryption_key)[0]
    assert await SomaClient.commitment_file(tmp_path / "sealed") == done.commitment
    opened = await SomaClient.decrypt_file(
        str(tmp_path / "sealed"),
        str(tmp_path / "opened"),
        done.decryption_key,
        commitment=done.commitment,
    )
    assert (opened.size, opened.commitment) == (done.size, done.commitment)
    assert (tmp_path / "opened").read_bytes() == plain.read_bytes()
    assert names(tmp_path) == ["opened", "sealed", "weights"]


async def test_the_key_is_not_in_the_text_of_the_result(plain, tmp_path):
    done = await SomaClient.encrypt_file(plain, tmp_path / "sealed")
    assert done.decryption_key not in repr(done) + str(done)


async def test_every_encryption_draws_a_key(plain, tmp_path):
    one = await SomaClient.encrypt_file(plain, tmp_path / "1")
    two = await SomaClient.encrypt_file(plain, tmp_path / "2")
    assert one.decryption_key != two.decryption_key
    assert one.commitment != two.commitment


async def test_a_key_file(plain, tmp_path):
    place = tmp_path / "key"
    done = await SomaClient.encrypt_file(plain, tmp_path / "sealed", key_file=place)
    assert place.read_text() == done.decryption_key + "\n"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    # It is never overwritten, and then nothing is encrypted.
    with pytest.raises(FileExistsError):
        await SomaClient.encrypt_file(plain, tmp_path / "other", key_file=place)
    assert place.read_text() == done.decryption_key + "\n"
    assert names(tmp_path) == ["key", "sealed", "weights"]


async def test_an_output_is_not_overwritten_unasked(plain, tmp_path):
    output = tmp_path / "sealed"
    output.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        await SomaClient.encrypt_file(plain, output, key_file=tmp_path / "key")
    assert output.read_bytes() == b"precious"
    assert names(tmp_path) == ["sealed", "weights"]
    done = await SomaClient.encrypt_file(plain, output, overwrite=True)
    assert SomaClient.commitment(output) == done.commitment


async def test_the_wrong_ciphertext_gets_no_name(plain, tmp_path):
    with pytest.raises(SomaError, match="ab" * 32):
        await SomaClient.decrypt_file(plain, tmp_path / "out", "00" * 32, commitment="ab" * 32)
    assert names(tmp_path) == ["weights"]


async def test_files_that_are_not_there(tmp_path):
    nothing, output = tmp_path / "nothing", tmp_path / "output"
    with pytest.raises(FileNotFoundError, match="nothing"):
        await SomaClient.encrypt_file(nothing, output, key_file=tmp_path / "key")
    with pytest.raises(FileNotFoundError):
        await SomaClient.commitment_file(nothing)
    with pytest.raises(FileNotFoundError):
        await SomaClient.decrypt_file(nothing, output, "00" * 32)
    with pytest.raises(OSError):
        await SomaClient.commitment_file(tmp_path)
    assert names(tmp_path) == []


class Bar:
    """What tqdm's bar does with a total that it was not given."""

    def __init__(self, total=None):
        self.total, self.n = total, 0

    def update(self, n=1):
        assert n >= 0
        self.n += n


async def test_progress(plain, tmp_path):
    size, seen = plain.stat().st_size, []
    done = await SomaClient.encrypt_file(
        plain, tmp_path / "sealed", progress=lambda *state: seen.append(state)
    )
    assert seen[-1] == (size, size)
    assert [count for count, _ in seen] == sorted({count for count, _ in seen})
    bars = [Bar(), Bar(total=5), Bar()]
    await SomaClient.commitment_file(plain, progress=bars[0])
    await SomaClient.decrypt_file(
        tmp_path / "sealed", tmp_path / "opened", done.decryption_key, progress=bars[1]
    )
    await SomaClient.encrypt_file(plain, tmp_path / "again", progress=bars[2])
    assert [bar.n for bar in bars] == [size] * 3
    assert [bar.total for bar in bars] == [size, 5, size]


async def test_the_bar_of_tqdm(plain, tmp_path):
    tqdm = pytest.importorskip("tqdm")
    with open(os.devnull, "w") as nowhere, tqdm.tqdm(unit="B", file=nowhere) as bar:
        await SomaClient.encrypt_file(plain, tmp_path / "sealed", progress=bar)
        assert bar.n == bar.total == plain.stat().st_size


async def test_an_exception_in_progress_stops_the_pass(plain, tmp_path):
    def refuse(done, total):
        raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        await SomaClient.encrypt_file(
            plain, tmp_path / "sealed", key_file=tmp_path / "key", progress=refuse
        )
    with pytest.raises(ZeroDivisionError):
        await SomaClient.commitment_file(plain, progress=refuse)
    assert names(tmp_path) == ["weights"]
    with pytest.raises(TypeError, match="progress"):
        await SomaClient.commitment_file(plain, progress=5)


class Held:
    """Progress that holds a pass up in its own thread until it is let go."""

    def __init__(self):
        self.loop, self.begun = asyncio.get_running_loop(), asyncio.Event()
        self.free, self.ended = threading.Event(), False

    def __call__(self, done, total):
        self.loop.call_soon_threadsafe(self.begun.set)
        self.ended |= done == total
        assert self.free.wait(60)


@pytest.fixture
def holes(tmp_path):
    """A file that takes long enough for its progress to be told in between."""
    path = tmp_path / "weights"
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    return path


@pytest.mark.parametrize("what", ["encrypt", "encrypt with key file", "decrypt", "commitment"])
async def test_a_cancelled_pass_leaves_nothing(what, holes, tmp_path):
    held = Held()
    pass_over = {
        "encrypt": lambda: SomaClient.encrypt_file(holes, tmp_path / "out", progress=held),
        "encrypt with key file": lambda: SomaClient.encrypt_file(
            holes, tmp_path / "out", key_file=tmp_path / "key", progress=held
        ),
        "decrypt": lambda: SomaClient.decrypt_file(
            holes, tmp_path / "out", "00" * 32, progress=held
        ),
        "commitment": lambda: SomaClient.commitment_file(holes, progress=held),
    }[what]()
    await held.begun.wait()
    assert ("key" in names(tmp_path)) == (what == "encrypt with key file")
    pass_over.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pass_over
    held.free.set()
    await until(lambda: names(tmp_path) == ["weights"])
    assert not held.ended


async def test_a_task_that_awaits_can_be_cancelled_too(holes, tmp_path):
    held = Held()

    async def job():
        await SomaClient.encrypt_file(holes, tmp_path / "out", progress=held)

    task = asyncio.create_task(job())
    await held.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.free.set()
    await until(lambda: names(tmp_path) == ["weights"])


async def test_the_loop_runs_on(plain):
    """The pass goes on only after the loop has ticked fifty times."""
    held, ticks = Held(), 0
    pass_over = SomaClient.commitment_file(plain, progress=held)
    await held.begun.wait()
    while not pass_over.done():
        await asyncio.sleep(0.01)
        ticks += 1
        if ticks == 50:
            held.free.set()
    await pass_over
    assert ticks >= 50


async def test_several_files_at_once(tmp_path):
    plains = [painted(tmp_path / f"{index}", MIB + index) for index in range(12)]
    done = await asyncio.gather(
        *(SomaClient.encrypt_file(plain, f"{plain}.enc") for plain in plains)
    )
    for plain, one in zip(plains, done):
        assert one.size == plain.stat().st_size
        assert SomaClient.decrypt_weights(
            tmp_path / f"{plain.name}.enc", one.decryption_key
        ) == plain.read_bytes()
