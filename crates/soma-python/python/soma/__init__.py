"""Register and run models on the SOMA network.

    from soma import Keypair, SomaClient

    client = await SomaClient("http://127.0.0.1:9000")
    sealed, key = SomaClient.encrypt_weights(weights)
    model = await client.commit_model(signer, url, sealed, 1000, stake_amount=1.0)

Everything that waits for the network returns a future of the running asyncio
loop; everything long runs without the interpreter lock. Amounts: an ``int`` is
shannons, a ``float`` or ``Decimal`` is SOMA (1 SOMA = 1,000,000,000 shannons).
"""

from ._errors import EpochTimeout as EpochTimeout
from ._errors import OutcomeUnknown as OutcomeUnknown
from ._errors import Refused as Refused
from ._errors import ServiceNotConfigured as ServiceNotConfigured
from ._errors import SomaError as SomaError
from ._errors import TransactionFailed as TransactionFailed
from ._errors import TransportError as TransportError
from ._soma import Keypair as Keypair
from ._soma import SomaClient as SomaClient
from ._soma import TransactionRequest as TransactionRequest
from ._soma import Wallet as Wallet
from ._soma import __version__ as __version__
from ._soma import build_add_stake as build_add_stake
from ._soma import build_add_stake_to_model as build_add_stake_to_model
from ._soma import build_commit_model as build_commit_model
from ._soma import build_commit_model_update as build_commit_model_update
from ._soma import build_deactivate_model as build_deactivate_model
from ._soma import build_pay_coins as build_pay_coins
from ._soma import build_reveal_model as build_reveal_model
from ._soma import build_reveal_model_update as build_reveal_model_update
from ._soma import build_set_model_commission_rate as build_set_model_commission_rate
from ._soma import build_transfer_coin as build_transfer_coin
from ._soma import build_transfer_objects as build_transfer_objects
from ._soma import build_withdraw_stake as build_withdraw_stake
from ._soma import load_embedding as load_embedding
from ._soma import new_model_id as new_model_id
from ._types import Account as Account
from ._types import Balance as Balance
from ._types import CommittedModel as CommittedModel
from ._types import DecryptedFile as DecryptedFile
from ._types import DownloadedFile as DownloadedFile
from ._types import EncryptedFile as EncryptedFile
from ._types import EpochNumber as EpochNumber
from ._types import FailedStatus as FailedStatus
from ._types import ImportedModel as ImportedModel
from ._types import PreparedModel as PreparedModel
from ._types import PublishedModel as PublishedModel
from ._types import RecoveredModel as RecoveredModel
from ._types import RevealedModel as RevealedModel
from ._types import Shape as Shape
from ._types import TransactionEffects as TransactionEffects

__all__ = [
    "Account",
    "Balance",
    "CommittedModel",
    "DecryptedFile",
    "DownloadedFile",
    "EncryptedFile",
    "EpochNumber",
    "EpochTimeout",
    "FailedStatus",
    "ImportedModel",
    "Keypair",
    "OutcomeUnknown",
    "PreparedModel",
    "PublishedModel",
    "RecoveredModel",
    "Refused",
    "RevealedModel",
    "ServiceNotConfigured",
    "Shape",
    "SomaClient",
    "SomaError",
    "TransactionEffects",
    "TransactionFailed",
    "TransactionRequest",
    "TransportError",
    "Wallet",
    "__version__",
    "build_add_stake",
    "build_add_stake_to_model",
    "build_commit_model",
    "build_commit_model_update",
    "build_deactivate_model",
    "build_pay_coins",
    "build_reveal_model",
    "build_reveal_model_update",
    "build_set_model_commission_rate",
    "build_transfer_coin",
    "build_transfer_objects",
    "build_withdraw_stake",
    "load_embedding",
    "new_model_id",
]
