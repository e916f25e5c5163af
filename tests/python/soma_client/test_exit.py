"""The end of the interpreter, with work just done, under way, or given up."""

import subprocess
import sys

import pytest

BEGIN = """
import asyncio, pathlib, sys
from soma import SomaClient
path, url = pathlib.Path(sys.argv[1]), sys.argv[2]
"""
ENDS = {
    "a file was hashed": """
async def main():
    return await SomaClient.commitment_file(path)
print(asyncio.run(main()))
""",
    "the node was asked": """
async def main():
    client = await SomaClient(url)
    return await asyncio.gather(*(client.get_model_min_stake() for _ in range(20)))
print(asyncio.run(main()))
""",
    "nobody waits for a file": """
async def main():
    SomaClient.encrypt_file(path, path.with_name("out"), progress=lambda *state: None)
print(asyncio.run(main()))
""",
    "nobody waits for the node": """
async def main():
    client = await SomaClient(url)
    client.wait_for_next_epoch(3600)
    client.get_model_min_stake()
print(asyncio.run(main()))
""",
    "a pass was cancelled": """
async def main():
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    tell = lambda *state: loop.call_soon_threadsafe(begun.set)
    pass_over = SomaClient.encrypt_file(path, path.with_name("out"), progress=tell)
    await begun.wait()
    pass_over.cancel()
print(asyncio.run(main()))
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_process_ends_in_order(end, net, tmp_path):
    """Threads that are still inside the interpreter when it ends would crash one run in two."""
    path = tmp_path / "weights"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    for _ in range(12):
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + ENDS[end], path, net.rpc_url],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
