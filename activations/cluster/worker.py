"""Run windows of traces in an actor, and return a shard's entry or moments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...models import load
from ...models.content import weights_digest
from ...traces import Trace
from .._collect import default_spans_per_shard, read_part, store_description
from ..collection import ReadAndSite
from ..collector import Collector
from ..moments import Moments
from ..moments.stream import window_moments
from ..settings import CollectSettings
from ..store.store import Entry, write_entry


class Worker:
    """Holds one model; the arguments and results of its methods can be sent between machines."""

    def __init__(
        self, model: str, load_options: dict[str, Any], settings: CollectSettings, n_threads: int, moments: bool
    ) -> None:
        torch.set_num_threads(n_threads)
        self._collector = Collector(load(model, **load_options), settings, on_device=moments)

    def describe(
        self, dtype: torch.dtype, spans_per_shard: int | None
    ) -> tuple[dict[str, Any], dict[str, Any], str, int]:
        """Describe a store and moments (less what the caller adds), digest the weights, and count a batch's tokens."""
        collector = self._collector
        n_spans = spans_per_shard or default_spans_per_shard(collector, dtype)
        store = store_description(collector, dtype, n_spans)
        moments = collector.settings.describe(collector.model)
        return store, moments, weights_digest(collector.model), collector.engine.tokens_per_batch

    def shard(
        self, out: str, index: int, name: str, traces: list[Trace], description: dict[str, Any], tokens_per_batch: int
    ) -> Entry:
        """Write a shard into the store at `out`, which this machine can write to, and return its entry."""
        self._collector.engine.tokens_per_batch = tokens_per_batch
        part = read_part(self._collector, traces)
        return write_entry(Path(out), index, name, part, len(traces), description)

    def moments(self, traces: list[Trace], covariance: bool, tokens_per_batch: int) -> dict[ReadAndSite, Moments]:
        """Compute the moments of one window by read and site."""
        self._collector.engine.tokens_per_batch = tokens_per_batch
        return window_moments(self._collector, traces, covariance)
