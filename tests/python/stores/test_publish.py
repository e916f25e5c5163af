"""`soma model publish` and `soma storage` against moto."""

import json
import time
from urllib.parse import urlparse

from conftest import BUCKET

MIB = 1 << 20


def key_of(url):
    return urlparse(url).path.removeprefix(f"/{BUCKET}/")


def place(store):
    return ("--endpoint", store.url)


def publish(name, store, *more):
    return (
        *("model", "publish", name, "--to", f"s3://{BUCKET}/models", *place(store)),
        *("--part-size", "5MiB", "--stake-amount", "1", "--embedding-file", "e.json", *more),
    )


def test_what_arrives_is_what_is_committed_to(owner, store):
    owner.weights("w.safetensors", 23 * MIB)
    done = owner.soma(*publish("w.safetensors", store))
    digest, size = store.digest(key_of(done["weights_url"]))
    assert done["weights_commitment"] == digest
    assert done["weights_size"] == done["bytes_read"] == done["bytes_sent"] == size
    assert not store.unfinished()


def test_killed_and_continued(owner, store):
    owner.weights("w.safetensors", 60 * MIB)
    words = publish("w.safetensors", store, "--limit-rate", "20MiB")
    # Killed as soon as the store has heard of it, and again as soon as a part is
    # on record.
    for reached in (lambda: count(store) > 0, lambda: on_record(owner) > 0):
        process = owner.start(*words)
        deadline = time.monotonic() + 120
        while not reached():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.communicate()
    done = owner.soma(*publish("w.safetensors", store))
    digest, size = store.digest(key_of(done["weights_url"]))
    assert (done["weights_commitment"], done["weights_size"]) == (digest, size)
    assert done["bytes_sent"] < size, "what had arrived is not sent again"
    assert not store.unfinished()


def on_record(owner):
    """Parts that the only state file says have arrived."""
    [state] = (owner.config / "models").glob("[!.]*.json")
    upload = json.loads(state.read_text())["registration"]["upload"]
    return sum(part is not None for part in (upload["record"] or {}).get("parts", []))


def count(store):
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
    process = owner.start(*publish("w.safetensors", store, "--limit-rate", "5MiB"))
    deadline = time.monotonic() + 120
    while len(store.unfinished()) < 3 or count(store) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
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
