"""The name of the published client, served by `soma`."""

from soma import Keypair as Keypair
from soma import SomaClient as SomaClient

__all__ = ["Keypair", "SomaClient"]
