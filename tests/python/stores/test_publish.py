"""`soma model publish` and `soma storage` against moto."""

import json
import os
import pathlib
import random
import threading
import time
from urllib.parse import urlparse

from conftest import BUCKET

MIB = 1 << 20
# Long enough for a machine with much else to do.
PATIENCE = 300


def key_of(url):
    return urlparse(url).path.removeprefix(f"/{BUCKET}/")


def place(store):
    return ("--endpoint", store.url)


def publish(name, store, *more):
    return (
        *("model", "publish", name, "--to", f"s3://{BUCKET}/models", *place(store)),
        *("--stake-amount", "1", "--embedding-file", "e.json"),
        *(more or ("--part-size", "5MiB")),
    )


def test_what_arrives_is_what_is_committed_to(owner, store):
    owner.weights("w.safetensors", 23 * MIB)
    done = owner.soma(*publish("w.safetensors", store))
    digest, size = store.digest(key_of(done["weights_url"]))
    assert done["weights_commitment"] == digest
    assert done["weights_size"] == done["bytes_read"] == done["bytes_sent"] == size
    assert not store.unfinished()


def test_a_gibibyte_survives_five_kills(owner, store):
    """Parts of 8 MiB, killed at random moments. A seed that was printed makes the same
    moments again, as far as the machine does."""
    kills, in_flight, part_size = 5, 8, 8 * MIB
    seed = int(os.environ.get("SOMA_TEST_SEED", time.time_ns()))
    print(f"SOMA_TEST_SEED={seed}")
    dice = random.Random(seed)
    path = owner.weights("w.safetensors", 1024 * MIB)
    count = -(-path.stat().st_size // part_size)
    words = publish("w.safetensors", store, "--part-size", "8MiB")
    began = len(store.parts())

    confirmed = set()
    for _ in range(kills):
        before = len(store.parts())
        # Before the first part, too; never so late that it might be done.
        until, pause = before + dice.randrange(count // 8), dice.uniform(0, 0.05)
        process = owner.start(*words)
        wait_for(process, lambda until=until: len(store.parts()) >= until)
        time.sleep(pause)
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        repeated = confirmed.intersection(store.parts()[before:])
        assert not repeated, "what is on record is not sent again"
        confirmed = on_record(owner)

    before = len(store.parts())
    process = owner.start(*words)
    peak = PeakMemory(process)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    done = json.loads(out)
    assert not confirmed.intersection(store.parts()[before:])
    twice = len(store.parts()) - began - count
    # Only those that were in flight at a kill, whose arrival nobody has seen.
    assert 0 <= twice <= kills * in_flight, f"{twice} parts were sent twice"
    digest, size = store.digest(key_of(done["weights_url"]))
    assert (done["weights_commitment"], done["weights_size"]) == (digest, size)
    assert size == path.stat().st_size
    assert 0 < peak.result() < 256 * MIB, f"{peak.result() // MIB} MiB"
    # One that was begun a moment before a kill is left, and empty.
    assert parts_of_unfinished(store) == 0
    print(f"{count} parts, {twice} sent twice, peak {peak.result() // MIB} MiB")


def wait_for(process, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.001)


class PeakMemory:
    """The most that a process has had resident, in bytes, read until it ends."""

    def __init__(self, process):
        self.status = pathlib.Path(f"/proc/{process.pid}/status")
        self.peak = 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while True:
            try:
                lines = self.status.read_text().splitlines()
            except OSError:
                return
            found = [line for line in lines if line.startswith("VmHWM:")]
            # One that has ended and was not waited for has no memory.
            if not found:
                return
            self.peak = max(self.peak, int(found[0].split()[1]) * 1024)
            time.sleep(0.005)

    def result(self):
        self.thread.join()
        return self.peak


def on_record(owner):
    """Numbers of the parts that the only state file says have arrived, if it is there."""
    states = list((owner.config / "models").glob("[!.]*.json"))
    assert len(states) <= 1, "every run finds the same state file"
    uploads = [json.loads(state.read_text())["registration"]["upload"] for state in states]
    records = [(upload["record"] or {}).get("parts", []) for upload in uploads]
    marks = (pair for parts in records for pair in enumerate(parts, 1))
    return {number for number, mark in marks if mark is not None}


def parts_of_unfinished(store):
    """Parts that have arrived, of all unfinished uploads."""
    listed = store.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    parts = 0
    for upload in listed:
        answer = store.s3.list_parts(
            Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
        )
        parts += len(answer.get("Parts", []))
    return parts


def test_orphans_are_aborted_and_uploads_under_way_are_not(owner, store):
    stranger, orphan = "models/other-program", f"models/{'0f' * 32}"
    for key in (stranger, orphan):
        begun = store.s3.create_multipart_upload(Bucket=BUCKET, Key=key)
        store.s3.upload_part(
            Bucket=BUCKET, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * 100
        )
    owner.weights("w.safetensors", 40 * MIB)
    slowly = ("--part-size", "5MiB", "--limit-rate", "5MiB")
    process = owner.start(*publish("w.safetensors", store, *slowly))
    wait_for(process, lambda: len(store.unfinished()) == 3 and parts_of_unfinished(store) >= 3)
    process.kill()
    process.communicate()

    clean = ("storage", "clean", f"s3://{BUCKET}/models", *place(store))
    clean += ("--older-than", "0s")
    listed = owner.soma(*clean, "--dry-run")["uploads"]
    kept = {upload["key"]: upload["kept"] for upload in listed}
    assert (kept.pop(stranger), kept.pop(orphan)) == ("other_name", None)
    assert list(kept.values()) == ["on_record"]
    assert len(store.unfinished()) == 3
    owner.soma(*clean)
    assert stranger in store.unfinished() and orphan not in store.unfinished()
    assert len(store.unfinished()) == 2
    done = owner.soma(*publish("w.safetensors", store))
    assert store.digest(key_of(done["weights_url"]))[0] == done["weights_commitment"]
    for upload in store.s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]:
        store.s3.abort_multipart_upload(
            Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
        )


def test_a_store_without_secrets_is_found_out(owner, store):
    """moto lets strangers list what it has, which no bucket for weights should."""
    process = owner.start("storage", "probe", f"s3://{BUCKET}/models", *place(store))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert '"kind": "StoreUnfit"' in err and "list failed" in err
    assert '"trial": "write"' in out
