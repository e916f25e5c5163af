"""What hosts serve for models: fetched, downloaded, verified, audited."""

import asyncio
import os

import pytest
from conftest import EMBEDDING, funded, safetensors, until
from relay import Relay, elsewhere

from soma import DownloadedFile, SomaClient, SomaError

MIB = 1 << 20


async def register(client, url, sealed, key):
    """An active model whose weights a host may serve or not."""
    owner = await funded(client)
    model = await client.commit_model(owner, url, sealed, 0)
    await client.advance_epoch()
    await client.reveal_model(owner, model, url, sealed, key, EMBEDDING)
    return model


@pytest.fixture
def plain():
    return safetensors(9 * MIB)


@pytest.fixture
async def model(fresh, served, url, plain):
    sealed, key = SomaClient.encrypt_weights(plain)
    (served / "weights.enc").write_bytes(sealed)
    return await register(fresh, url, sealed, key)


async def test_fetched_and_downloaded(fresh, model, served, plain, tmp_path):
    sealed, seen = (served / "weights.enc").read_bytes(), []
    assert await fresh.fetch_model(model) == sealed
    done = await fresh.download_model(
        model, tmp_path / "copy", progress=lambda *state: seen.append(state)
    )
    assert isinstance(done, DownloadedFile)
    assert (tmp_path / "copy").read_bytes() == sealed
    assert (done.output, done.size) == (str(tmp_path / "copy"), len(sealed))
    assert done.commitment == SomaClient.commitment(sealed)
    assert seen[-1] == (len(sealed), len(sealed))
    # Never overwritten unasked.
    with pytest.raises(FileExistsError):
        await fresh.download_model(model, tmp_path / "copy", decrypt=True)
    assert (tmp_path / "copy").read_bytes() == sealed
    await fresh.download_model(model, str(tmp_path / "copy"), decrypt=True, overwrite=True)
    assert (tmp_path / "copy").read_bytes() == plain
    with pytest.raises(FileNotFoundError):
        await fresh.download_model(model, tmp_path / "nothing" / "copy")
    # A size is its owner's word.
    with pytest.raises(SomaError, match="more than the 1048576 allowed"):
        await fresh.download_model(model, tmp_path / "small", max_size=MIB)
    assert not any("small" in name for name in os.listdir(tmp_path))
    # The result could not name such a file.
    before = os.listdir(os.fsencode(tmp_path))
    with pytest.raises(ValueError, match="UTF-8"):
        await fresh.download_model(model, os.fsencode(tmp_path).decode() + "/\udcff")
    assert os.listdir(os.fsencode(tmp_path)) == before


async def test_an_exception_in_progress_ends_a_download(fresh, model, tmp_path):
    def refuse(done, total):
        raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        await fresh.download_model(model, tmp_path / "copy", progress=refuse)


async def test_a_model_as_it_should_be(fresh, model, url, plain):
    for header_only in (False, True):
        found = await fresh.verify_model(model, header_only=header_only)
        assert (found.model_id, found.status, found.ok) == (model, "Active", True)
        assert (found.findings, found.weights_url) == ([], url)
        assert found.weights_size == len(plain)
    seen = []
    found = await fresh.audit_models(progress=lambda *state: seen.append(state))
    assert (found.ok, found.total, found.faulty, seen[-1]) == (True, 1, 0, (1, 1))
    assert found.models[0].model_id == model
    small = await fresh.verify_model(model, max_size=MIB)
    assert (small.ok, small.findings[0].check) == (False, "size")


async def test_a_file_that_was_changed(fresh, model, served, tmp_path):
    path = served / "weights.enc"
    spoiled = bytearray(path.read_bytes())
    spoiled[-1] ^= 1
    path.write_bytes(spoiled)
    with pytest.raises(SomaError, match="mismatch"):
        await fresh.fetch_model(model)
    with pytest.raises(SomaError, match="mismatch"):
        await fresh.download_model(model, tmp_path / "copy")
    assert [name for name in os.listdir(tmp_path) if "copy" in name] == []
    # Its beginning is as it was.
    assert (await fresh.verify_model(model, header_only=True)).ok
    found = await fresh.verify_model(model)
    [finding] = found.findings
    assert (found.ok, finding.severity, finding.check) == (False, "error", "host")
    found = await fresh.audit_models(active_only=True)
    assert (found.ok, found.total, found.faulty) == (False, 1, 1)
    assert model in found.markdown

    path.unlink()
    [finding] = (await fresh.verify_model(model)).findings
    assert "404" in finding.message
    with pytest.raises(SomaError, match="404"):
        await fresh.fetch_model(model)


async def test_a_url_of_the_chain_that_leads_into_our_own_network(
    fresh, fresh_net, model, served, tmp_path
):
    """It is no argument of the caller's, so it is no ValueError. What the node calls its
    chain does not count."""
    async with Relay(fresh_net.rpc_url, elsewhere()) as relay:
        through = await SomaClient(relay.url)
        assert await through.get_chain_identifier() == "localnet"
        for call in (
            through.fetch_model,
            lambda model: through.download_model(model, tmp_path / "copy"),
        ):
            with pytest.raises(SomaError, match="plain http"):
                await call(model)
        sealed = (served / "weights.enc").read_bytes()
        assert await through.fetch_model(model, allow_private=True) == sealed
        [finding, *_] = (await through.verify_model(model)).findings
        assert (finding.check, "plain http" in finding.message) == ("url", True)
        assert (await through.verify_model(model, allow_private=True)).ok


async def test_weights_that_are_not_revealed(fresh, url, tmp_path):
    owner = await funded(fresh)
    model = await fresh.commit_model(owner, url, b"sealed", 0)
    for call in (fresh.fetch_model, lambda model: fresh.download_model(model, tmp_path / "copy")):
        with pytest.raises(SomaError, match="not revealed"):
            await call(model)
    assert (await fresh.verify_model(model)).status == "Committed"
    with pytest.raises(SomaError, match="no model"):
        await fresh.verify_model("0x" + "ab" * 32)
    assert not (tmp_path / "copy").exists()


class Host:
    """Serves one object, but no byte behind `until`: there it waits."""

    def __init__(self, data, until):
        self.data, self.until = data, until
        self.starts, self.open = [], set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        host, port = self.server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}/weights.enc"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for connection in self.open:
            connection.cancel()
        await asyncio.gather(*self.open, return_exceptions=True)

    async def serve(self, reader, writer):
        connection = asyncio.current_task()
        self.open.add(connection)
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                await self.answer(request.decode().lower(), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(connection)
            writer.close()

    async def answer(self, request, reader, writer):
        size = len(self.data)
        start, end, status = 0, size, "200 OK"
        for line in request.splitlines():
            if line.startswith("range: bytes="):
                first, last = line.removeprefix("range: bytes=").split("-")
                start, end = int(first), int(last) + 1 if last else size
                status = "206 Partial Content"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\n"
            f"Content-Range: bytes {start}-{end - 1}/{size}\r\n\r\n".encode()
        )
        if request.startswith("get"):
            self.starts.append(start)
            writer.write(self.data[start : min(end, self.until)])
            if end > self.until:
                # Until the other side goes away.
                await reader.read()
                raise ConnectionResetError
        await writer.drain()


async def test_a_cancelled_download_goes_on(fresh, plain, tmp_path):
    sealed, key = SomaClient.encrypt_weights(plain)
    async with Host(sealed, until=5 * MIB) as host:
        model = await register(fresh, host.url, sealed, key)
        part = tmp_path / ".copy.part"
        downloading = fresh.download_model(model, tmp_path / "copy")
        await until(lambda: part.exists() and part.stat().st_size >= MIB)
        downloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await downloading
        await until(lambda: not host.open)
        host.until = len(sealed)
        host.starts.clear()
        await fresh.download_model(model, tmp_path / "copy")
        assert min(host.starts) >= MIB
    assert (tmp_path / "copy").read_bytes() == sealed
    assert not part.exists()


@pytest.mark.parametrize("what", ["fetch", "verify", "audit"])
async def test_nobody_is_called_after_a_cancellation(what, fresh, plain):
    sealed, key = SomaClient.encrypt_weights(plain)
    async with Host(sealed, until=5 * MIB) as host:
        model = await register(fresh, host.url, sealed, key)
        call = {
            "fetch": lambda: fresh.fetch_model(model),
            "verify": lambda: fresh.verify_model(model),
            "audit": lambda: fresh.audit_models(),
        }[what]()
        # The look at its beginning is over; now all of it is on its way.
        await until(lambda: len(host.starts) >= (1 if what == "fetch" else 3))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: not host.open)
