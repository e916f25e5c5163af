"""A second implementation of S3 beside the one of the Rust tests: moto's server."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
from urllib.parse import parse_qs

import boto3
import pytest
from moto.server import ThreadedMotoServer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import network as networks  # noqa: E402

BUCKET = "weights"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


class Store:
    """moto, a bucket, and a client that is not ours."""

    def __init__(self, server, requests):
        host, port = server.get_host_and_port()
        self.requests = requests
        self.url = f"http://{host}:{port}"
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self.s3.create_bucket(Bucket=BUCKET)

    def parts(self):
        """Numbers of the parts that were asked to be stored, as they came."""
        queries = [parse_qs(query) for method, query in self.requests if method == "PUT"]
        return [int(query["partNumber"][0]) for query in queries if "partNumber" in query]

    def digest(self, key):
        """Blake2b-256 and size of an object, by Python's own hashlib."""
        body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"]
        digest, size = hashlib.blake2b(digest_size=32), 0
        for chunk in iter(lambda: body.read(1 << 20), b""):
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size

    def unfinished(self):
        listed = self.s3.list_multipart_uploads(Bucket=BUCKET)
        return {upload["Key"] for upload in listed.get("Uploads", [])}


class Owner:
    """Somebody with a wallet, money, weights and an embedding."""

    def __init__(self, folder, net):
        self.folder = folder
        self.config = folder / "config"
        self.environment = {
            "PATH": os.environ["PATH"],
            "SOMA_CONFIG_DIR": str(self.config),
            "SOMA_RPC_URL": net.rpc_url,
            "SOMA_FAUCET_URL": net.faucet_url,
            "SOMA_ADMIN_URL": net.admin_url,
            **CREDENTIALS,
        }
        self.soma("-y", "wallet", "new", "--alias", "me")
        self.soma("faucet")
        length = self.soma("status")["embedding_dim"]
        (folder / "e.json").write_text(json.dumps([0.1] * length))

    def start(self, *words):
        return subprocess.Popen(
            [networks.SOMA, *words, "--json"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def soma(self, *words):
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return json.loads(out)

    def weights(self, name, size):
        """A safetensors file of `size` bytes of data."""
        header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
        path = self.folder / name
        with path.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header.encode())
            file.truncate(8 + len(header) + size)
        return path


@pytest.fixture(scope="session")
def store():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    requests = noted(server)
    yield Store(server, requests)
    server.stop()


def noted(server):
    """Method and query of everything that the server is asked from now on."""
    requests, answer = [], server._server.app

    def note(environ, start_response):
        requests.append((environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")))
        return answer(environ, start_response)

    server._server.app = note
    return requests


@pytest.fixture
def net():
    running = networks.start("--embedding-dim", "4")
    yield running
    running.stop()


@pytest.fixture
def owner(tmp_path, net):
    return Owner(tmp_path, net)
