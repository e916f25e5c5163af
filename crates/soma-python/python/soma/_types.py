"""Values that calls return."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from ._soma import Keypair, Wallet


class Shape(SimpleNamespace):
    """An answer of the network: its fields are attributes."""


class Balance(int):
    """An amount in shannons; computes and prints as the integer."""

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

    staking_pool_id: str
    commit_epoch: int
    digest: str
    stake_id: str | None
    state: str | None


class Account(str):
    """An address of a wallet; signs wherever a signer is asked for."""

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

    epoch: str
    protocolConfig: Shape


class FailedStatus(str):
    """The status of a failed transaction: name and reason of the failure.

    ``Failure.error`` is the failure as earlier clients showed it.
    """

    Failure: Any


class TransactionEffects(Shape):
    """What a transaction did.

    ``status`` is ``"Success"`` or a :class:`FailedStatus`; amounts are
    shannons.
    """

    @property
    def V1(self) -> TransactionEffects:
        """The same object, for code written for earlier clients."""
        return self
