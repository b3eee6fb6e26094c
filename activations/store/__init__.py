"""Store activations on disk: safetensors shards of one tensor a read, site and layer, and a manifest with digests."""

from .shard import Part, ReadPart
from .store import Store
from .stored import StoredActivations

__all__ = ["Part", "ReadPart", "Store", "StoredActivations"]
