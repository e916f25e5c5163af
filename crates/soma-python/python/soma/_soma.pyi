"""The native part of the package; the docstrings are in the module itself."""

import os
from asyncio import Future
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from types import SimpleNamespace, TracebackType
from typing import Any, ClassVar, Final, Literal, Protocol, SupportsFloat, SupportsIndex, TypeAlias, final

from typing_extensions import Buffer

from ._types import (
    Account,
    Balance,
    CommittedModel,
    DecryptedFile,
    DownloadedFile,
    EncryptedFile,
    ImportedModel,
    PreparedModel,
    PublishedModel,
    RecoveredModel,
    RevealedModel,
    Shape,
    TransactionEffects,
)

__all__ = [
    "Keypair",
    "SomaClient",
    "TransactionRequest",
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

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

class _ObjectReference(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> str: ...

class _Array(Protocol):
    def tolist(self) -> Any: ...

class _Bar(Protocol):
    def update(self, n: int, /) -> object: ...

class _ModelIds(Protocol):
    @property
    def model_ids(self) -> Iterable[str]: ...

# An integer is shannons, everything else SOMA.
_Amount: TypeAlias = SupportsIndex | SupportsFloat
_Path: TypeAlias = str | os.PathLike[str]
_Source: TypeAlias = Buffer | os.PathLike[str] | _Readable
_Weights: TypeAlias = _Source | str
_Key: TypeAlias = bytes | bytearray | str
_Embedding: TypeAlias = Iterable[SupportsFloat] | _Array | _Path
_Reference: TypeAlias = SimpleNamespace | Mapping[str, Any] | _ObjectReference
_Progress: TypeAlias = Callable[[int, int | None], object] | _Bar
_State: TypeAlias = (
    _Path | CommittedModel | PreparedModel | PublishedModel | RecoveredModel | ImportedModel
)
_Signer: TypeAlias = Keypair | Wallet | Account | str

__version__: Final[str]

@final
class Keypair:
    @staticmethod
    def generate() -> Keypair: ...
    @staticmethod
    def generate_with_mnemonic(words: int = 12) -> tuple[Keypair, str]: ...
    @staticmethod
    def from_secret_key(secret: _Key) -> Keypair: ...
    @staticmethod
    def from_mnemonic(mnemonic: str) -> Keypair: ...
    @staticmethod
    def from_encoded(text: str) -> Keypair: ...
    @staticmethod
    def from_env(name: str = "SOMA_SECRET_KEY") -> Keypair: ...
    def address(self) -> str: ...
    def sign(self, tx_data_bytes: bytes) -> bytes: ...
    def to_secret_key(self) -> str: ...
    def to_encoded(self) -> str: ...

@final
class Wallet:
    def __new__(cls, path: _Path | None = None) -> Wallet: ...
    @property
    def active(self) -> Account | None: ...
    @property
    def accounts(self) -> list[Account]: ...
    def keypair(self, identity: str) -> Keypair: ...
    def __getitem__(self, identity: str, /) -> Account: ...
    def __len__(self) -> int: ...

@final
class TransactionRequest:
    __hash__: ClassVar[None]  # type: ignore[assignment]
    @property
    def kind(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class SomaClient:
    def __new__(
        cls,
        rpc_url: str | None = None,
        scoring_url: str | None = None,
        admin_url: str | None = None,
        faucet_url: str | None = None,
        *,
        chain: str | None = None,
    ) -> SomaClient: ...
    def __await__(self) -> Generator[Any, None, SomaClient]: ...
    def __aenter__(self) -> Future[SomaClient]: ...
    def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> Future[bool]: ...

    # Weights, hashes, units.
    @staticmethod
    def encrypt_weights(data: _Source, key: _Key | None = None) -> tuple[bytes, str]: ...
    @staticmethod
    def decrypt_weights(data: _Source, key: _Key) -> bytes: ...
    @staticmethod
    def commitment(data: _Source) -> str: ...
    @staticmethod
    def normalize_url(url: str) -> str: ...
    @staticmethod
    def to_shannons(soma: SupportsFloat | SupportsIndex) -> int: ...
    @staticmethod
    def to_soma(shannons: int) -> float: ...
    @staticmethod
    def encrypt_file(
        source: _Path,
        output: _Path,
        *,
        key_file: _Path | None = None,
        overwrite: bool = False,
        progress: _Progress | None = None,
    ) -> Future[EncryptedFile]: ...
    @staticmethod
    def decrypt_file(
        source: _Path,
        output: _Path,
        key: _Key,
        *,
        commitment: str | None = None,
        overwrite: bool = False,
        progress: _Progress | None = None,
    ) -> Future[DecryptedFile]: ...
    @staticmethod
    def commitment_file(path: _Path, *, progress: _Progress | None = None) -> Future[str]: ...

    # The chain and its epochs.
    def get_chain_identifier(self) -> Future[str]: ...
    def get_server_version(self) -> Future[str]: ...
    def get_protocol_version(self) -> Future[int]: ...
    def get_architecture_version(self) -> Future[int]: ...
    def get_embedding_dim(self) -> Future[int]: ...
    def get_model_min_stake(self) -> Future[int]: ...
    def check_api_version(self) -> Future[None]: ...
    def get_latest_system_state(self) -> Future[Shape]: ...
    def get_epoch(self, epoch: int | None = None) -> Future[Shape]: ...
    def wait_for_next_epoch(self, timeout: float = 120.0) -> Future[int]: ...
    def advance_epoch(self) -> Future[int]: ...
    def get_latest_checkpoint(self) -> Future[Shape]: ...
    def get_checkpoint_summary(self, sequence_number: int) -> Future[Shape]: ...
    def scoring_health(self) -> Future[bool]: ...

    # Money and objects.
    def get_balance(self, address: str) -> Future[Balance]: ...
    def list_owned_objects(
        self, owner: str, object_type: str | None = None, limit: int | None = None
    ) -> Future[list[Shape]]: ...
    def get_object(self, object_id: str) -> Future[Shape]: ...
    def get_object_with_version(self, object_id: str, version: int) -> Future[Shape]: ...
    def request_faucet(self, address: str) -> Future[Shape]: ...
    def transfer_coin(self, signer: _Signer, recipient: str, amount: _Amount) -> Future[None]: ...
    def transfer_objects(
        self, signer: _Signer, recipient: str, object_ids: Sequence[str]
    ) -> Future[None]: ...
    def pay_coins(
        self, signer: _Signer, recipients: Sequence[str], amounts: Sequence[_Amount]
    ) -> Future[None]: ...
    def add_stake(
        self, signer: _Signer, validator: str, amount: _Amount | None = None
    ) -> Future[None]: ...
    def add_stake_to_model(
        self, signer: _Signer, model_id: str, amount: _Amount | None = None
    ) -> Future[None]: ...
    def withdraw_stake(self, signer: _Signer, staked_soma_id: str) -> Future[None]: ...

    # Models.
    def commit_model(
        self,
        signer: _Signer,
        weights_url: str,
        encrypted_weights: _Weights,
        commission_rate: int,
        stake_amount: _Amount | None = None,
        *,
        decryption_key: _Key | None = None,
        embedding: _Embedding | None = None,
        state: _Path | None = None,
    ) -> Future[CommittedModel]: ...
    def reveal_model(
        self,
        signer: _Signer,
        model_id: str,
        weights_url: str,
        encrypted_weights: _Weights,
        decryption_key: _Key,
        embedding: _Embedding,
    ) -> Future[None]: ...
    def commit_model_update(
        self, signer: _Signer, model_id: str, weights_url: str, encrypted_weights: _Weights
    ) -> Future[None]: ...
    def reveal_model_update(
        self,
        signer: _Signer,
        model_id: str,
        weights_url: str,
        encrypted_weights: _Weights,
        decryption_key: _Key,
        embedding: _Embedding,
    ) -> Future[None]: ...
    def deactivate_model(self, signer: _Signer, model_id: str) -> Future[None]: ...
    def set_model_commission_rate(
        self, signer: _Signer, model_id: str, new_rate: int
    ) -> Future[None]: ...
    def report_model(self, signer: _Signer, model_id: str) -> Future[None]: ...
    def undo_report_model(self, signer: _Signer, model_id: str) -> Future[None]: ...
    def get_model(self, model_id: str, *, embedding: bool = False) -> Future[Shape]: ...
    def list_models(
        self, owner: str | None = None, status: str | None = None
    ) -> Future[list[Shape]]: ...
    def get_model_manifests(
        self, model_ids_or_target: Sequence[str] | _ModelIds
    ) -> Future[list[Shape]]: ...

    # What hosts serve.
    def fetch_model(self, model_id: str, *, allow_private: bool = False) -> Future[bytes]: ...
    def download_model(
        self,
        model_id: str,
        output: _Path,
        *,
        decrypt: bool = False,
        overwrite: bool = False,
        max_size: int | None = None,
        allow_private: bool = False,
        progress: _Progress | None = None,
    ) -> Future[DownloadedFile]: ...
    def verify_model(
        self,
        model_id: str,
        *,
        header_only: bool = False,
        max_size: int | None = None,
        allow_private: bool = False,
    ) -> Future[Shape]: ...
    def audit_models(
        self,
        *,
        active_only: bool = False,
        header_only: bool = False,
        max_size: int | None = None,
        parallel: int = 8,
        allow_private: bool = False,
        progress: _Progress | None = None,
    ) -> Future[Shape]: ...

    # Models with a state file.
    def publish(
        self,
        signer: _Signer,
        weights: _Path,
        to: str,
        commission_rate: int = 0,
        stake_amount: _Amount | None = None,
        *,
        embedding: _Embedding | None = None,
        wait: bool = False,
        update: str | None = None,
        public_url: str | None = None,
        endpoint: str | None = None,
        region: str | None = None,
        addressing: Literal["auto", "path", "host"] = "auto",
        part_size: int | None = None,
        parallel: int | None = None,
        memory: int | None = None,
        limit_rate: int | None = None,
        new: bool = False,
        random_key: bool = False,
        verify_url: bool = False,
        progress: _Progress | None = None,
    ) -> Future[PublishedModel]: ...
    def prepare_model(
        self,
        weights: _Path,
        weights_url: str,
        *,
        out: _Path | None = None,
        embedding: _Embedding | None = None,
        state: _Path | None = None,
        overwrite: bool = False,
        progress: _Progress | None = None,
    ) -> Future[PreparedModel]: ...
    def prepare_model_update(
        self,
        state: _State,
        weights: _Path,
        weights_url: str,
        *,
        out: _Path | None = None,
        embedding: _Embedding | None = None,
        overwrite: bool = False,
        progress: _Progress | None = None,
    ) -> Future[PreparedModel]: ...
    def commit_prepared(
        self,
        signer: _Signer,
        state: _State,
        commission_rate: int = 0,
        stake_amount: _Amount | None = None,
        *,
        check_host: bool = True,
    ) -> Future[CommittedModel]: ...
    def reveal_when_open(
        self, state_or_id: _State, signer: _Signer | None = None, *, check_host: bool = True
    ) -> Future[RevealedModel | None]: ...
    def resume(
        self,
        signer: _Signer | None = None,
        *,
        check_host: bool = True,
        ended: Callable[[Shape], object] | None = None,
    ) -> Future[list[Shape]]: ...
    def model_status(self, state: _State | None = None) -> Future[list[Shape]]: ...
    def recover_model(
        self,
        weights_url: str,
        signer: _Signer | None = None,
        *,
        embedding: _Embedding | None = None,
    ) -> Future[RecoveredModel]: ...
    @staticmethod
    def export_state(state: _State, output: _Path, passphrase: str) -> Future[None]: ...
    @staticmethod
    def import_state(
        source: _Path, passphrase: str, *, state: _Path | None = None
    ) -> Future[ImportedModel]: ...

    # Transactions.
    def submit(
        self, signer: _Signer, tx: TransactionRequest | bytes
    ) -> Future[TransactionEffects]: ...
    def execute_transaction(
        self, tx_bytes: bytes, *, timeout: float = 60.0
    ) -> Future[TransactionEffects]: ...
    def simulate_transaction(self, tx_data_bytes: bytes) -> Future[TransactionEffects]: ...
    def get_transaction(self, digest: str) -> Future[TransactionEffects]: ...
    def build_transfer_coin(
        self,
        sender: str,
        recipient: str,
        coin: _Reference,
        amount: _Amount | None = None,
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_transfer_objects(
        self,
        sender: str,
        recipient: str,
        objects: Sequence[_Reference],
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_pay_coins(
        self,
        sender: str,
        recipients: Sequence[str],
        amounts: Sequence[_Amount],
        coins: Sequence[_Reference],
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_add_stake(
        self,
        sender: str,
        validator: str,
        coin: _Reference,
        amount: _Amount | None = None,
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_add_stake_to_model(
        self,
        sender: str,
        model_id: str,
        coin: _Reference,
        amount: _Amount | None = None,
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_withdraw_stake(
        self, sender: str, staked_soma: _Reference, gas: _Reference | None = None
    ) -> Future[bytes]: ...
    def build_commit_model(
        self,
        sender: str,
        model_id: str,
        weights_url_commitment: str,
        weights_commitment: str,
        stake_amount: _Amount,
        commission_rate: int,
        staking_pool_id: str,
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_reveal_model(
        self,
        sender: str,
        model_id: str,
        weights_url: str,
        weights_checksum: str,
        weights_size: int,
        decryption_key: _Key,
        embedding: _Embedding,
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_commit_model_update(
        self,
        sender: str,
        model_id: str,
        weights_url_commitment: str,
        weights_commitment: str,
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_reveal_model_update(
        self,
        sender: str,
        model_id: str,
        weights_url: str,
        weights_checksum: str,
        weights_size: int,
        decryption_key: _Key,
        embedding: _Embedding,
        gas: _Reference | None = None,
    ) -> Future[bytes]: ...
    def build_deactivate_model(
        self, sender: str, model_id: str, gas: _Reference | None = None
    ) -> Future[bytes]: ...
    def build_set_model_commission_rate(
        self, sender: str, model_id: str, new_rate: int, gas: _Reference | None = None
    ) -> Future[bytes]: ...
    def build_report_model(
        self, sender: str, model_id: str, gas: _Reference | None = None
    ) -> Future[bytes]: ...
    def build_undo_report_model(
        self, sender: str, model_id: str, gas: _Reference | None = None
    ) -> Future[bytes]: ...

def build_transfer_coin(
    recipient: str, coin: _Reference, amount: _Amount | None = None
) -> TransactionRequest: ...
def build_transfer_objects(recipient: str, objects: Sequence[_Reference]) -> TransactionRequest: ...
def build_pay_coins(
    recipients: Sequence[str], amounts: Sequence[_Amount], coins: Sequence[_Reference]
) -> TransactionRequest: ...
def build_add_stake(
    validator: str, coin: _Reference, amount: _Amount | None = None
) -> TransactionRequest: ...
def build_add_stake_to_model(
    model_id: str, coin: _Reference, amount: _Amount | None = None
) -> TransactionRequest: ...
def build_withdraw_stake(staked_soma: _Reference) -> TransactionRequest: ...
def build_commit_model(
    model_id: str,
    weights_url_commitment: str,
    weights_commitment: str,
    stake_amount: _Amount,
    commission_rate: int,
    staking_pool_id: str,
    architecture_version: int | None = None,
) -> TransactionRequest: ...
def build_commit_model_update(
    model_id: str, weights_url_commitment: str, weights_commitment: str
) -> TransactionRequest: ...
def build_reveal_model(
    model_id: str,
    weights_url: str,
    weights_checksum: str,
    weights_size: int,
    decryption_key: _Key,
    embedding: _Embedding,
) -> TransactionRequest: ...
def build_reveal_model_update(
    model_id: str,
    weights_url: str,
    weights_checksum: str,
    weights_size: int,
    decryption_key: _Key,
    embedding: _Embedding,
) -> TransactionRequest: ...
def build_deactivate_model(model_id: str) -> TransactionRequest: ...
def build_set_model_commission_rate(model_id: str, new_rate: int) -> TransactionRequest: ...
def load_embedding(source: _Embedding) -> list[float]: ...
def new_model_id() -> str: ...
