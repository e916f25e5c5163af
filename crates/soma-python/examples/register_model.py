"""Registers a model and gives it new weights an epoch later, step by step.

    soma start localnet --files-dir served
    python register_model.py weights.safetensors served http://127.0.0.1:9200

The network and its services are those of a local network unless SOMA_RPC_URL,
SOMA_FAUCET_URL and SOMA_ADMIN_URL name others. The folder `served` stands for
the storage that validators fetch from; use your own upload in its place.
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from soma import Keypair, SomaClient, build_commit_model_update, build_reveal_model_update

RPC_URL = os.environ.get("SOMA_RPC_URL", "http://127.0.0.1:9000")
FAUCET_URL = os.environ.get("SOMA_FAUCET_URL", "http://127.0.0.1:9123")
ADMIN_URL = os.environ.get("SOMA_ADMIN_URL", "http://127.0.0.1:9125")


async def register(
    client: SomaClient, signer: Keypair, weights: Path, served: Path, files_url: str
) -> str:
    """Encrypts, commits, and reveals in the next epoch."""
    sealed = weights.with_suffix(".enc")
    # The key is on disk before the first encrypted byte, and so before the commit.
    encrypted = await SomaClient.encrypt_file(
        weights, sealed, key_file=weights.with_suffix(".key"), progress=show
    )
    shutil.copy(sealed, served / sealed.name)
    weights_url = f"{files_url}/{sealed.name}"

    model_id = await client.commit_model(signer, weights_url, sealed, 1000, stake_amount=1.0)
    print(f"committed {model_id} in epoch {model_id.commit_epoch}")
    print("status:", (await client.get_model(model_id)).status)

    # Elsewhere: await client.wait_for_next_epoch(timeout=...)
    await client.advance_epoch()
    # In place of this, the vector that `compute_loss` gave in training.
    embedding = [0.1] * await client.get_embedding_dim()
    await client.reveal_model(
        signer, model_id, weights_url, sealed, encrypted.decryption_key, embedding
    )
    print("status:", (await client.get_model(model_id)).status)
    return model_id


async def update(
    client: SomaClient, signer: Keypair, model_id: str, weights: Path, served: Path, files_url: str
) -> None:
    """The same for new weights, with the plain builders and a key of their own."""
    sealed = weights.with_suffix(".2.enc")
    encrypted = await SomaClient.encrypt_file(
        weights, sealed, key_file=weights.with_suffix(".2.key"), progress=show
    )
    shutil.copy(sealed, served / sealed.name)
    weights_url = f"{files_url}/{sealed.name}"

    url_commitment = SomaClient.commitment(SomaClient.normalize_url(weights_url).encode())
    tx = build_commit_model_update(model_id, url_commitment, encrypted.commitment)
    await client.submit(signer, tx)

    await client.advance_epoch()
    embedding = [0.2] * await client.get_embedding_dim()
    tx = build_reveal_model_update(
        model_id,
        weights_url,
        encrypted.commitment,
        encrypted.size,
        encrypted.decryption_key,
        embedding,
    )
    await client.submit(signer, tx)
    [manifest] = await client.get_model_manifests([model_id])
    print("weights:", manifest.url)


def show(done: int, total: int | None) -> None:
    """Any callable does, and so does a bar of tqdm."""
    print(f"encrypted {done} of {total} bytes", file=sys.stderr)


async def main(weights: Path, served: Path, files_url: str) -> None:
    async with SomaClient(RPC_URL, faucet_url=FAUCET_URL, admin_url=ADMIN_URL) as client:
        # An account of the `soma` command would be: signer = Wallet()
        signer = Keypair.generate()
        await client.request_faucet(signer.address())
        model_id = await register(client, signer, weights, served, files_url)
        await update(client, signer, model_id, weights, served, files_url)
        balance = await client.get_balance(signer.address())
        print(f"balance: {balance.soma} SOMA")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
