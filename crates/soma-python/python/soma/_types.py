"""Values that calls return."""

from __future__ import annotations

from types import SimpleNamespace

# Only type checkers need these; `typing` itself would cost more than all else.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Any

    from ._soma import Keypair, Wallet


class Shape(SimpleNamespace):
    """An answer of the network: its fields are attributes."""

    __module__ = "soma"


class EncryptedFile(Shape):
    """A file that was encrypted; its text does not show the key.

    Attributes:
        output: The ciphertext's file.
        size: Its length in bytes, that of the weights too.
        commitment: Blake2b-256 of the ciphertext, 64 hex digits.
        decryption_key: 64 hex digits; keep them until the reveal.
        key_file: Where the key was written, or ``None``.
    """

    __module__ = "soma"

    output: str
    size: int
    commitment: str
    decryption_key: str
    key_file: str | None

    def __repr__(self) -> str:
        return f"EncryptedFile({self.output!r}, size={self.size}, commitment={self.commitment!r})"


class DecryptedFile(Shape):
    """A file that was decrypted.

    Attributes:
        output: The weights' file.
        size: Its length in bytes.
        commitment: Blake2b-256 of the ciphertext that was read, 64 hex digits.
    """

    __module__ = "soma"

    output: str
    size: int
    commitment: str


class PreparedModel(Shape):
    """A model, or an update of one, that is ready to be committed to.

    Attributes:
        model_id: The model.
        staking_pool_id: Its stake pool.
        state: The state file; it holds the key.
        sealed_file: The encrypted weights, to be served at the URL.
        weights_url: The URL in normal form.
        weights_url_commitment: Blake2b-256 of that, 64 hex digits.
        weights_commitment: Blake2b-256 of the encrypted weights, 64 hex digits.
        weights_size: Their length in bytes.
    """

    __module__ = "soma"

    model_id: str
    staking_pool_id: str
    state: str
    sealed_file: str
    weights_url: str
    weights_url_commitment: str
    weights_commitment: str
    weights_size: int


class RevealedModel(Shape):
    """A model that was revealed.

    Attributes:
        model_id: The model.
        epoch: The epoch in which it was revealed.
        digest: The transaction; ``None`` if it was revealed by other means.
    """

    __module__ = "soma"

    model_id: str
    epoch: int
    digest: str | None


class DownloadedFile(Shape):
    """The weights of a model in a file.

    Attributes:
        output: The file.
        size: Its length in bytes.
        commitment: Blake2b-256 of the encrypted weights, 64 hex digits.
    """

    __module__ = "soma"

    output: str
    size: int
    commitment: str


class RecoveredModel(Shape):
    """A model that was found again.

    Attributes:
        model_id: The model.
        owner: The account whose key opens its weights.
        state: The new state file.
        weights_url: Where the encrypted weights are.
        waiting: What waits for its reveal: ``"registration"``, ``"update"`` or ``None``.
        has_embedding: Whether the state has the embedding that the reveal needs.
        findings: What is not as it should be, as :class:`Refused` has it.
    """

    __module__ = "soma"

    model_id: str
    owner: str
    state: str
    weights_url: str
    waiting: str | None
    has_embedding: bool
    findings: list[dict[str, str]]


class ImportedModel(Shape):
    """A model whose state came from another machine.

    Attributes:
        model_id: The model.
        state: The state file.
    """

    __module__ = "soma"

    model_id: str
    state: str


class Balance(int):
    """An amount in shannons; computes and prints as the integer."""

    __module__ = "soma"

    @property
    def soma(self) -> Decimal:
        """The same amount in SOMA, exactly."""
        from decimal import Decimal

        return Decimal(int(self)).scaleb(-9)


class CommittedModel(str):
    """The id of a model that was just committed.

    Attributes:
        staking_pool_id: The model's stake pool.
        commit_epoch: The epoch in which the commit was executed; the reveal
            belongs into the next one.
        digest: The transaction.
        stake_id: The staked-coin object of the owner, or ``None``.
        state: The state file, or ``None`` if there is none.
    """

    __module__ = "soma"

    staking_pool_id: str
    commit_epoch: int
    digest: str
    stake_id: str | None
    state: str | None


class PublishedModel(str):
    """The id of a model whose weights were published.

    Attributes:
        staking_pool_id: The model's stake pool.
        state: The state file; it holds the key.
        weights_url: The URL of the encrypted weights in normal form.
        weights_url_commitment: Blake2b-256 of that, 64 hex digits.
        weights_commitment: Blake2b-256 of the encrypted weights, 64 hex digits.
        weights_size: Their length in bytes.
        bytes_read: Bytes that this call read from the weights; ``None`` if they were
            up already.
        bytes_sent: Bytes that it handed to connections, repeated ones included.
        commit_epoch: The epoch of the commit; the reveal belongs into the next one.
        digest: The commit's transaction; ``None`` if it is no longer to be had.
        revealed_epoch: The epoch of the reveal; ``None`` if it was not waited for.
        reveal_digest: The reveal's transaction, likewise.
        findings: What the checks before the commit found, as :class:`Refused` has it.
    """

    __module__ = "soma"

    staking_pool_id: str
    state: str
    weights_url: str
    weights_url_commitment: str
    weights_commitment: str
    weights_size: int
    bytes_read: int | None
    bytes_sent: int | None
    commit_epoch: int
    digest: str | None
    revealed_epoch: int | None
    reveal_digest: str | None
    findings: list[dict[str, str]]


class Account(str):
    """An address of a wallet; signs wherever a signer is asked for."""

    __module__ = "soma"

    alias: str
    wallet: Wallet

    def address(self) -> str:
        """The address: 64 hex digits without ``0x``."""
        return str(self)

    def sign(self, tx_data_bytes: bytes) -> bytes:
        """Signs BCS(TransactionData) with the wallet's key."""
        return self.keypair().sign(tx_data_bytes)

    def keypair(self) -> Keypair:
        """The key itself."""
        return self.wallet.keypair(str(self))


class EpochNumber(int):
    """The number of an epoch.

    It also carries the message as earlier clients showed it: ``epoch`` and
    ``protocolConfig.protocolVersion`` as text.
    """

    __module__ = "soma"

    epoch: str
    protocolConfig: Shape


class FailedStatus(str):
    """The status of a failed transaction: name and reason of the failure.

    ``Failure.error`` is the failure as earlier clients showed it.
    """

    __module__ = "soma"

    Failure: Any


class TransactionEffects(Shape):
    """What a transaction did.

    ``status`` is ``"Success"`` or a :class:`FailedStatus`; amounts are
    shannons.
    """

    __module__ = "soma"

    @property
    def V1(self) -> TransactionEffects:
        """The same object, for code written for earlier clients."""
        return self
