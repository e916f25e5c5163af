"""One registration, two clients: begun with the package, finished with `soma`, and back."""

import base64
import json
import os
import secrets
import subprocess

import pytest
from conftest import SOMA, SomaClient, connect, failure, funded, run, shannons, stake

import network as networks

EMBEDDING = [0.25, -0.5, 0.75, 1.0]


def weights(size):
    """A safetensors file: ours looks whether the key opens the file."""
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"weights": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + secrets.token_bytes(size)


class Cli:
    """The `soma` binary with a wallet that holds a key of the package."""

    def __init__(self, folder, running, keypair):
        self.folder = folder
        self.environment = os.environ | {
            "SOMA_CONFIG_DIR": str(folder / "config"),
            "SOMA_RPC_URL": running.rpc_url,
            "SOMA_FAUCET_URL": running.faucet_url,
            "SOMA_ADMIN_URL": running.admin_url,
        }
        imported = self("-y", "wallet", "import", "--file", self.file("key", keypair.to_secret_key()))
        assert imported["address"] == keypair.address()

    def __call__(self, *words):
        words = [str(word) for word in words]
        done = subprocess.run(
            [networks.SOMA, *words, "--json"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return json.loads(done.stdout)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    def reveal(self, what, model, encrypted, key, url):
        # Ours looks whether validators will find the file there.
        (self.folder / "served" / url.rsplit("/", 1)[1]).write_bytes(encrypted)
        return self(
            "model", what, model,
            "--weights-url", url,
            "--weights-file", self.file("weights.enc", encrypted),
            "--decryption-key-file", self.file("model.key", key),
            "--embedding-file", self.file("embedding.json", json.dumps(EMBEDDING)),
        )  # fmt: skip


@pytest.fixture
def serving_net(tmp_path):
    """A network for one test that serves the files in a folder."""
    (tmp_path / "served").mkdir()
    served = ("--files-dir", str(tmp_path / "served"), "--files-port", "0")
    running = networks.start("--embedding-dim", "4", *served)
    yield running
    running.stop()


@pytest.fixture
def url(serving_net):
    return serving_net.ready["files_url"] + "/weights.enc"


@pytest.fixture
async def fresh(serving_net):
    return await connect(serving_net)


@pytest.fixture
async def owner(fresh):
    return await funded(fresh)


@pytest.fixture
def cli(tmp_path, serving_net, owner):
    return Cli(tmp_path, serving_net, owner)


async def test_begun_with_the_package_finished_with_ours(fresh, owner, cli, url):
    encrypted, key = SomaClient.encrypt_weights(weights(4_096))
    model = await fresh.commit_model(owner, url, encrypted, 1_000, stake_amount=stake(1))
    info = cli("model", "info", model)
    assert (info["model_id"], info["status"]) == (model, "Committed")
    summary = info["summary"]
    assert (summary["owner"], summary["stake_balance"]) == (owner.address(), SOMA)
    assert (summary["commission_rate"], summary["commit_epoch"]) == (1_000, 0)

    await fresh.advance_epoch()
    cli.reveal("reveal", model, encrypted, key, url)
    assert cli("model", "info", model)["status"] == "Active"
    [manifest] = await fresh.get_model_manifests([model])
    assert (manifest.url, manifest.size) == (url, len(encrypted))
    assert manifest.checksum == SomaClient.commitment(encrypted)
    assert manifest.decryption_key == key
    # 501,900 for the commit, 1,600 for the reveal.
    assert await shannons(fresh, owner.address()) == SOMA - 501_900 - 1_600


async def test_begun_with_ours_finished_with_the_package(fresh, owner, cli, url, tmp_path):
    plain = weights(10_000)
    sealed, key_file = tmp_path / "sealed.enc", tmp_path / "sealed.key"
    cli("weights", "encrypt", cli.file("plain", plain), "-o", sealed, "--key-file", key_file)
    encrypted, key = sealed.read_bytes(), key_file.read_text().strip()
    assert SomaClient.decrypt_weights(encrypted, key) == plain
    committed = cli(
        "model", "commit",
        "--weights-url-commitment", SomaClient.commitment(url.encode()),
        "--weights-commitment", SomaClient.commitment(encrypted),
        "--stake-amount", "1", "--commission-rate", "250",
    )  # fmt: skip
    model = committed["model_id"]
    assert await shannons(fresh, owner.address()) == SOMA - 501_900
    assert await fresh.get_model_manifests([model]) == []

    await fresh.advance_epoch()
    await fresh.reveal_model(owner, model, url, encrypted, key, EMBEDDING)
    info = cli("model", "info", model)
    assert (info["status"], info["summary"]["commission_rate"]) == ("Active", 250)
    assert (info["weights_url"], info["weights_size"]) == (url, len(plain))
    assert await shannons(fresh, owner.address()) == SOMA - 501_900 - 1_600


async def test_updates_cross_too(fresh, owner, cli, url):
    encrypted, key = SomaClient.encrypt_weights(weights(10))
    model = await fresh.commit_model(owner, url, encrypted, 0, stake_amount=stake(1))
    await fresh.advance_epoch()
    await fresh.reveal_model(owner, model, url, encrypted, key, EMBEDDING)

    # Ours commits an update, the package reveals it.
    encrypted, key = SomaClient.encrypt_weights(weights(20))
    digest = SomaClient.commitment(encrypted)
    cli(
        "model", "update-commit", model,
        "--weights-url-commitment", SomaClient.commitment((url + "2").encode()),
        "--weights-commitment", digest,
    )  # fmt: skip
    await fresh.advance_epoch()
    tx = await fresh.build_reveal_model_update(
        owner.address(), model, url + "2", digest, len(encrypted), key, EMBEDDING
    )
    assert (await run(fresh, owner, tx)).status == "Success"
    [manifest] = await fresh.get_model_manifests([model])
    assert (manifest.url, manifest.decryption_key) == (url + "2", key)

    # And the other way round.
    encrypted, key = SomaClient.encrypt_weights(weights(30))
    tx = await fresh.build_commit_model_update(
        owner.address(),
        model,
        SomaClient.commitment((url + "3").encode()),
        SomaClient.commitment(encrypted),
    )
    assert (await run(fresh, owner, tx)).status == "Success"
    assert cli("model", "info", model)["pending_update"]["commit_epoch"] == 2
    await fresh.advance_epoch()
    cli.reveal("update-reveal", model, encrypted, key, url + "3")
    [manifest] = await fresh.get_model_manifests([model])
    assert (manifest.url, manifest.decryption_key) == (url + "3", key)


async def test_signed_by_one_sent_by_the_other(fresh, owner, cli, url):
    [coin] = await fresh.list_owned_objects(owner.address(), object_type="coin")
    tx = await fresh.build_transfer_coin(owner.address(), "ab" * 32, coin, 1_000)
    signed = base64.b64encode(bytes(owner.sign(tx))).decode()
    sent = cli("tx", "execute-combined-signed", "--signed-tx-bytes", signed)
    assert sent["status"] == "Success"
    assert await shannons(fresh, "ab" * 32) == 1_000

    signed = cli("send", "--to", "cd" * 32, "--amount", "0.5", "--serialize-signed-transaction")
    effects = (await fresh.execute_transaction(base64.b64decode(signed))).V1
    assert failure(effects) is None
    assert await shannons(fresh, "cd" * 32) == SOMA // 2
    # Ours finds it by the digest that the package shows.
    looked_up = cli("tx", "info", effects.transaction_digest)
    assert looked_up["digest"] == effects.transaction_digest
    assert looked_up["status"] == "Success"


async def test_money_is_counted_alike(fresh, owner, cli):
    await fresh.request_faucet(owner.address())
    coins = await fresh.list_owned_objects(owner.address(), object_type="coin")
    shown = cli("balance", "--with-coins")
    assert shown["total_balance"] == await shannons(fresh, owner.address()) == 4 * SOMA
    assert {coin for coin, _ in shown["coins"]} == {coin.id for coin in coins}
    [one] = [one for one in cli("objects", "list")["objects"] if one["object_id"] == coins[0].id]
    assert (one["version"], one["digest"]) == (coins[0].version, coins[0].digest)
