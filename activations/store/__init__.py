"""Store activations on disk: safetensors shards with one tensor for each layer, and a manifest with their digests."""

from .shard import Part
from .store import Store
from .stored import StoredActivations

__all__ = ["Part", "Store", "StoredActivations"]
