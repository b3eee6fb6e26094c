"""Run texts through a model and compute the mean activation of every segment, batch by batch.

1. Texts with a common prefix form groups; groups and single texts form batches within a budget of tokens.
2. A plain batch is one pass, padded on the right: with causal attention it needs no mask, since no real token attends
   to padding. A batch wider than the budget runs in parts over a KV cache.
3. A shared batch runs the prefixes once (padded on the left, so that what follows is contiguous), then the rest of each
   text, over the prefixes' cache.
4. While a GPU works on a batch, the results of the previous one are copied to pinned memory (`transfer.py`).
5. Linear layers of float32 on a CPU are multiplied by oneDNN where that is faster (`models.products`).
6. If memory runs out, the budget is halved and the batch repeated; finished batches are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from transformers import Cache, DynamicCache

from ...models import LanguageModel
from ...models.causality import check_causal
from ...models.find_place import places_of
from ...models.products import LinearByOneDNN, onednn_is_faster
from ...models.sites import BLOCK_OUTPUT, Site
from ...rundir import InputError
from .batching import Batch, batches, batches_of_groups
from .budget import MIN_TOKENS, PASS_COST_TOKENS, first_budget, prefix_cost
from .cache import can_continue, rotary_limit, shared_cache
from .compiled import CompiledBlocks
from .layer_means import slots_by_device
from .pooling import Buffer, pass_over
from .prefixes import Group, groups
from .results import Pooled, RunningBatch
from .segments import CUT, Segments, layout
from .transfer import HostCopies, to_device

Text = Int[np.ndarray, " n_tokens"]


@dataclass(frozen=True, eq=False, slots=True)
class _Pass:
    """Rows that run together: the tokens of each from `start` on, over what the cache holds."""

    rows: list[Text]
    start: list[int]  # the position, in its text, of each row's first token
    pad_left: bool = False


class Engine:
    """Runs texts through `model` and averages activations of `layers` over their segments, at each of `sites`.

    `tokens_per_batch` are the padded tokens of one forward pass (None: chosen for the device). `share_prefixes` runs
    what several texts have in common once. `compile` runs blocks compiled (`compiled.py`). With `on_device`, means
    stay where they were computed instead of going to the CPU, if that is one device; with `apart`, those of several
    devices stay too, in a part for each.
    """

    def __init__(
        self,
        model: LanguageModel,
        layers: Sequence[int],
        *,
        sites: Sequence[Site] = (BLOCK_OUTPUT,),
        tokens_per_batch: int | None = None,
        share_prefixes: bool = True,
        compile: bool = False,
        on_device: bool = False,
        apart: bool = False,
    ) -> None:
        self.model, self.layers, self.sites = model, list(layers), tuple(sites)
        self.tokens_per_batch = tokens_per_batch or first_budget(model, self.layers, self.sites)
        self._is_fitted = tokens_per_batch is None
        self._places = places_of(model, self.layers, self.sites)
        self._pass_cost = PASS_COST_TOKENS["cuda" if model.device.type == "cuda" else "cpu"]
        self._prefix_cost = prefix_cost(model)
        self._can_continue = can_continue(model)
        self._rotary_limit = rotary_limit(model)
        self._share_prefixes = share_prefixes and self._can_continue
        by_device = slots_by_device(model, self.layers)
        self._stays = on_device and (apart or len(by_device) == 1)
        # Where means are handed on, and which of the layers there.
        self.results = by_device if self._stays else {torch.device("cpu"): list(range(len(self.layers)))}
        self._copies = HostCopies()
        self._products: Callable[[], AbstractContextManager[Any]] = nullcontext
        if model.device.type == "cpu" and onednn_is_faster():
            self._products = LinearByOneDNN
        self._compiled = CompiledBlocks(model, self.layers[-1]) if compile else None

    def fit_again(self) -> None:
        """Fit a budget that was chosen for the device into the memory that is free now, once."""
        if self._is_fitted:
            self._is_fitted = False
            self.tokens_per_batch = min(self.tokens_per_batch, first_budget(self.model, self.layers, self.sites))

    def run(self, texts: Sequence[Text], segments: Segments) -> Iterator[Pooled]:
        """Yield the means of every segment, in the order in which batches finish.

        Args:
            texts: The token ids of each text.
            segments: What is averaged. The batches are those of all texts with an interval, also one that only cuts;
                a batch in which nothing is read is not run.

        Yields:
            The results of each batch.

        Raises:
            InputError: Memory runs out even with the smallest batch, or the model does not read from left to right.
        """
        check_causal(self.model)  # not where all is read already, and nothing is to run
        used_texts = [int(text) for text in np.unique(segments.text)]
        if self._share_prefixes:
            text_groups = groups([texts[text] for text in used_texts])
            text_groups = [
                Group(tuple(used_texts[member] for member in group.texts), group.n_prefix) for group in text_groups
            ]
        else:
            text_groups = [Group((text,), 0) for text in used_texts]
        lengths = [len(text) for text in texts]
        waiting = self._batches(text_groups, lengths)
        running: RunningBatch | None = None
        while waiting:
            batch = waiting.pop()
            started, reason = None, ""
            try:
                started = self._start(batch, texts, segments)
            except torch.OutOfMemoryError as error:
                reason = str(error)  # the error object would keep the frames, and so the memory, of the pass alive
            if started is None:
                if running is not None:
                    yield running.finish()
                    running = None
                remaining = [group for later in (batch, *reversed(waiting)) for group in later.groups]
                self._use_less_memory(reason)
                waiting = self._batches(remaining, lengths)
                continue
            if running is not None:
                yield running.finish()
            running = started
        if running is not None:
            yield running.finish()

    def _batches(self, text_groups: list[Group], lengths: list[int]) -> list[Batch]:
        """Divide the groups into batches; the first to run is the last in the list."""
        limit = self._rotary_limit
        alone = [group for group in text_groups if limit is not None and lengths[group.texts[0]] > limit]
        others = [group for group in text_groups if group not in alone]
        together = batches_of_groups(others, lengths, self.tokens_per_batch, self._pass_cost)
        return [*(Batch((group,)) for group in alone), *together][::-1]

    def _use_less_memory(self, reason: str) -> None:
        if self.tokens_per_batch < 2 * MIN_TOKENS:
            raise InputError(
                f"out of memory on {self.model.device} with only {self.tokens_per_batch} tokens a batch ({reason}). "
                "Use a smaller or quantised model, read fewer layers, or give it more devices (device_map='auto')."
            )
        self.tokens_per_batch //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _start(self, batch: Batch, texts: Sequence[Text], segments: Segments) -> RunningBatch:
        intervals = segments.of_texts(np.unique(batch.texts))
        is_read = intervals.segment != CUT
        segment_numbers, read_numbers = np.unique(intervals.segment[is_read], return_inverse=True)
        n_positions = np.bincount(read_numbers, weights=(intervals.stop - intervals.first)[is_read])
        local = np.full(len(is_read), CUT)
        local[is_read] = read_numbers
        local_segments = replace(intervals, segment=local)
        buffer = Buffer(self.model, self.layers, self.sites, len(segment_numbers))
        if len(segment_numbers):
            run = self._run_shared if batch.is_shared else self._run_plain
            run(batch, texts, local_segments, buffer)
        n_tokens = sum(len(texts[text]) for text in batch.texts)
        return RunningBatch(
            segment_numbers, buffer.means(n_positions), n_tokens, self.layers, self._copies, self._stays
        )

    def _run_plain(self, batch: Batch, texts: Sequence[Text], segments: Segments, buffer: Buffer) -> None:
        rows = batch.texts
        width = max(len(texts[text]) for text in rows)
        if width <= self.tokens_per_batch or not self._can_continue:
            self._pass(_Pass([texts[text] for text in rows], [0] * len(rows)), _row_of(rows), segments, buffer)
            return
        cache = DynamicCache(config=self.model.model.config)
        for start in range(0, width, self.tokens_per_batch):
            part = [texts[text][start : start + self.tokens_per_batch] for text in rows]
            self._pass(_Pass(part, [start] * len(rows)), _row_of(rows), segments, buffer, cache)

    def _run_shared(self, batch: Batch, texts: Sequence[Text], segments: Segments, buffer: Buffer) -> None:
        prefixes = DynamicCache(config=self.model.model.config)
        heads = [texts[group.texts[0]][: group.n_prefix] for group in batch.groups]
        n_prefix = np.array([group.n_prefix for group in batch.groups])
        group_of = {text: number for number, group in enumerate(batch.groups) for text in group.texts}
        width = int(n_prefix.max())
        is_head = np.arange(width) >= width - n_prefix[:, None]  # (group, position), padded on the left
        mask = None if is_head.all() else is_head
        self._pass(_Pass(heads, [0] * len(heads), pad_left=True), group_of, segments, buffer, prefixes, mask)
        followers = batch.texts
        tails = [texts[text][n_prefix[group_of[text]] :] for text in followers]
        costs = [
            len(tail) + math.ceil(self._prefix_cost * int(n_prefix[group_of[text]]))
            for text, tail in zip(followers, tails, strict=True)
        ]
        for part in batches(costs, self.tokens_per_batch, self._pass_cost):
            rows = [followers[index] for index in part]
            prefix_of = np.array([group_of[text] for text in rows])
            n_tail = max(len(tails[index]) for index in part)
            is_tail = np.arange(n_tail) < np.array([len(tails[index]) for index in part])[:, None]
            mask = np.concatenate([is_head[prefix_of], is_tail], axis=1)
            self._pass(
                _Pass([tails[index] for index in part], n_prefix[prefix_of].tolist()),
                _row_of(rows),
                segments,
                buffer,
                shared_cache(prefixes, to_device(prefix_of, self.model.device)),
                None if mask.all() else mask,
            )

    def _pass(
        self,
        rows: _Pass,
        row_of: dict[int, int],
        segments: Segments,
        buffer: Buffer,
        cache: Cache | None = None,
        mask: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
    ) -> None:
        """Run one forward pass; `row_of` is the row of each text, `mask` covers cached and new tokens."""
        width = max(map(len, rows.rows))
        ids = np.zeros((len(rows.rows), width), dtype=np.int64)
        shifts = np.array([width - len(row) if rows.pad_left else 0 for row in rows.rows])
        for index, (tokens, shift) in enumerate(zip(rows.rows, shifts, strict=True)):
            ids[index, shift : shift + len(tokens)] = tokens
        starts, n_tokens = np.array(rows.start), np.array([len(tokens) for tokens in rows.rows])
        device = self.model.device
        inputs: dict[str, Any] = {"input_ids": to_device(ids, device), "use_cache": cache is not None}
        if cache is not None:
            inputs[self.model.cache_name] = cache
        if mask is not None:
            inputs["attention_mask"] = to_device(mask.astype(np.int64), device)
        if self.model.takes_position_ids:
            # Consecutive over padding, too: transformers takes a jump for a border between packed texts, and masks it.
            positions = starts[:, None] + np.clip(np.arange(width) - shifts[:, None], 0, None)
            limit = self.model.context_tokens
            inputs["position_ids"] = to_device(positions if limit is None else np.minimum(positions, limit - 1), device)
        chosen = segments.take(np.isin(segments.text, list(row_of)))
        row = np.array([row_of[text] for text in chosen.text.tolist()], dtype=np.int64)
        if len(row):
            first, stop = (np.clip(edge - starts[row], 0, n_tokens[row]) for edge in (chosen.first, chosen.stop))
            offset = row * width + shifts[row]
            where = layout(chosen.segment, first + offset, stop + offset, chosen.group)
        else:
            where = None
        with self._compiled.used() if self._compiled and cache is None else self._products():
            pass_over(self.model, inputs, self._places, where, buffer)


def _row_of(texts: Sequence[int]) -> dict[int, int]:
    return {text: row for row, text in enumerate(texts)}
