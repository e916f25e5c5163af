"""What can go wrong, apart from bad arguments.

Bad arguments are ``TypeError``, ``ValueError`` and ``OverflowError``, files
that cannot be read or written are ``OSError``. Everything else is a
``SomaError``, which is a ``RuntimeError``.
"""

from __future__ import annotations


class SomaError(RuntimeError):
    """Something went wrong that is not a bad argument."""

    __module__ = "soma"


class TransportError(SomaError):
    """No connection, no answer in time, or an answer of no use, of a node or a store.

    No transaction is in doubt: the same call may be made again. An upload or a
    download goes on where it stopped.
    """

    __module__ = "soma"


class ServiceNotConfigured(SomaError):
    """The call needs a service whose URL the client was not given."""

    __module__ = "soma"


class Refused(SomaError):
    """Checks on this side forbid the step; no transaction was sent.

    ``publish`` may have uploaded the weights; the same call does not do it again.

    Attributes:
        failure: The name of the failure that the chain would have answered
            with, for example ``"ModelRevealEpochMismatch"``; ``None`` if the
            chain does not look.
        findings: All findings, as dictionaries with ``severity``, ``check``,
            ``message`` and, where they apply, ``remedy`` and ``failure``.
    """

    __module__ = "soma"

    failure: str | None = None
    findings: list[dict[str, str]]


class TransactionFailed(SomaError):
    """The chain executed the transaction and failed it; the base fee is spent.

    Attributes:
        digest: The transaction's digest.
        failure: The name of the failure, for example ``"ModelNotActive"``.
        effects: The effects, as :meth:`SomaClient.get_transaction` gives them.
    """

    __module__ = "soma"

    digest: str
    failure: str
    effects: object


class OutcomeUnknown(SomaError):
    """A transaction was sent and nobody knows what became of it.

    ``await client.get_transaction(error.digest)`` settles it. Never build
    another transaction in its place before that.

    Attributes:
        digest: The transaction's digest.
    """

    __module__ = "soma"

    digest: str


class EpochTimeout(SomaError):
    """The epoch did not change in the time given."""

    __module__ = "soma"
