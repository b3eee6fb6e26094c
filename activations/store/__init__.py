"""Activations on disk: shards of safetensors with one contiguous tensor a layer, and a manifest with their digests."""

from .shard import Part
from .store import Store
from .stored import StoredActs

__all__ = ["Part", "Store", "StoredActs"]
