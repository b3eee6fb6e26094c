"""The engine: texts and segments in, the mean activation of every segment out, batch by batch.

1. Texts that begin alike form groups; groups and single texts form batches within a budget of tokens.
2. A plain batch is one pass, padded on the right: with causal attention no mask is needed, since nothing real looks at
   padding. A batch wider than the budget goes column by column over a KV cache.
3. A shared batch runs the prefixes once (padded on the left, so that what follows is contiguous), then what follows
   them, over the prefixes' cache.
4. While a GPU works on a batch, the one before is copied to pinned memory and handed out.
5. Where memory runs out, the budget is halved and the batch taken again; what is done stays done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import Cache, DynamicCache

from ...models import LanguageModel
from ...rundir import InputError
from .batching import Batch, batches, batches_of_groups
from .budget import FEWEST_TOKENS, PASS_COST_TOKENS, first_budget
from .cache import can_continue, rotary_limit, shared_cache
from .compiled import CompiledBlocks
from .pooling import Buffer, pass_over, to_device
from .prefixes import Group, groups
from .segments import Segments, layout

Text = Int[np.ndarray, " n_tokens"]


@dataclass(frozen=True, eq=False, slots=True)
class Pooled:
    """What one batch gave: mean activations and mean norms of segments, float32."""

    segments: Int[np.ndarray, " n_segments"]
    means: Float[Tensor, "n_layers n_segments d_model"]
    norms: Float[Tensor, "n_layers n_segments"]
    n_tokens: int  # of the texts that are done with it


@dataclass(frozen=True, eq=False, slots=True)
class _Pass:
    """Rows that go through the model together: the tokens of each from `start` on, over what the cache holds."""

    rows: list[Text]
    start: list[int]  # the position, in its texts, of each row's first token
    pad_left: bool = False


class Engine:
    """Runs texts through `model` and averages activations of `layers` over segments of them.

    tokens_per_batch: padded tokens of one forward pass; found by itself if left out. share_prefixes: run what texts
    have in common once. compile: run blocks compiled (`compiled.py`). on_device: hand results out where they are,
    instead of on the CPU.
    """

    def __init__(
        self,
        model: LanguageModel,
        layers: Sequence[int],
        *,
        tokens_per_batch: int | None = None,
        share_prefixes: bool = True,
        compile: bool = False,
        on_device: bool = False,
    ) -> None:
        self.model, self.layers = model, list(layers)
        self.tokens_per_batch = tokens_per_batch or first_budget(model, self.layers)
        self._pass_cost = PASS_COST_TOKENS["cuda" if model.device.type == "cuda" else "cpu"]
        self._can_continue = can_continue(model)
        self._rotary_limit = rotary_limit(model)
        self._share_prefixes = share_prefixes and self._can_continue
        self._on_device = on_device
        self._compiled = CompiledBlocks(list(model.blocks)[: self.layers[-1] + 1]) if compile else None

    def run(self, texts: Sequence[Text], segments: Segments) -> Iterator[Pooled]:
        """The means of every segment, in the order in which batches finish; texts without a segment are not run."""
        wanted = [int(text) for text in np.unique(segments.text)]
        if self._share_prefixes:
            found = groups([texts[text] for text in wanted])
            found = [Group(tuple(wanted[member] for member in group.texts), group.n_prefix) for group in found]
        else:
            found = [Group((text,), 0) for text in wanted]
        lengths = [len(text) for text in texts]
        waiting = self._batches(found, lengths)
        under_way: _UnderWay | None = None
        while waiting:
            batch = waiting.pop()
            begun, why = None, ""
            try:
                begun = self._begin(batch, texts, segments)
            except torch.OutOfMemoryError as error:
                why = str(error)  # the error itself holds on to the frames, and so to the memory, of the pass
            if begun is None:
                if under_way is not None:
                    yield under_way.finish()
                    under_way = None
                left = [group for each in (batch, *reversed(waiting)) for group in each.groups]
                self._use_less_memory(why)
                waiting = self._batches(left, lengths)
                continue
            if under_way is not None:
                yield under_way.finish()
            under_way = begun
        if under_way is not None:
            yield under_way.finish()

    def _batches(self, found: list[Group], lengths: list[int]) -> list[Batch]:
        """What is to be run, the last first."""
        limit = self._rotary_limit
        alone = [group for group in found if limit is not None and lengths[group.texts[0]] > limit]
        others = [group for group in found if group not in alone]
        made = batches_of_groups(others, lengths, self.tokens_per_batch, self._pass_cost)
        return [*(Batch((group,)) for group in alone), *made][::-1]

    def _use_less_memory(self, why: str) -> None:
        if self.tokens_per_batch < 2 * FEWEST_TOKENS:
            raise InputError(
                f"out of memory on {self.model.device} with only {self.tokens_per_batch} tokens a batch ({why}). "
                "Use a smaller or quantised model, read fewer layers, or give it more devices (device_map='auto')."
            )
        self.tokens_per_batch //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _begin(self, batch: Batch, texts: Sequence[Text], segments: Segments) -> _UnderWay:
        here = segments.of_texts(np.unique(batch.texts))
        named, local = np.unique(here.segment, return_inverse=True)
        n_positions = np.bincount(local, weights=here.stop - here.first)
        local_segments = Segments(local, here.text, here.first, here.stop)
        into = Buffer(self.model, self.layers, len(named))
        if batch.is_shared:
            self._run_shared(batch, texts, local_segments, into)
        else:
            self._run_plain(batch.texts, texts, local_segments, into)
        n_tokens = sum(len(texts[text]) for text in batch.texts)
        return _UnderWay(named, into.means(n_positions), n_tokens, self.layers, self._on_device)

    def _run_plain(self, rows: list[int], texts: Sequence[Text], segments: Segments, into: Buffer) -> None:
        width = max(len(texts[text]) for text in rows)
        if width <= self.tokens_per_batch or not self._can_continue:
            self._pass(_Pass([texts[text] for text in rows], [0] * len(rows)), _row_of(rows), segments, into)
            return
        cache = DynamicCache(config=self.model.model.config)
        for start in range(0, width, self.tokens_per_batch):
            part = [texts[text][start : start + self.tokens_per_batch] for text in rows]
            self._pass(_Pass(part, [start] * len(rows)), _row_of(rows), segments, into, cache)

    def _run_shared(self, batch: Batch, texts: Sequence[Text], segments: Segments, into: Buffer) -> None:
        prefixes = DynamicCache(config=self.model.model.config)
        heads = [texts[group.texts[0]][: group.n_prefix] for group in batch.groups]
        n_prefix = np.array([group.n_prefix for group in batch.groups])
        group_of = {text: number for number, group in enumerate(batch.groups) for text in group.texts}
        width = int(n_prefix.max())
        is_head = np.arange(width) >= width - n_prefix[:, None]  # (group, position), padded on the left
        mask = None if is_head.all() else is_head
        self._pass(_Pass(heads, [0] * len(heads), pad_left=True), group_of, segments, into, prefixes, mask)
        followers = batch.texts
        tails = [texts[text][n_prefix[group_of[text]] :] for text in followers]
        for part in batches([len(tail) for tail in tails], self.tokens_per_batch, self._pass_cost):
            rows = [followers[index] for index in part]
            over = np.array([group_of[text] for text in rows])
            n_tail = max(len(tails[index]) for index in part)
            is_tail = np.arange(n_tail) < np.array([len(tails[index]) for index in part])[:, None]
            mask = np.concatenate([is_head[over], is_tail], axis=1)
            self._pass(
                _Pass([tails[index] for index in part], n_prefix[over].tolist()),
                _row_of(rows),
                segments,
                into,
                shared_cache(prefixes, to_device(over, self.model.device)),
                None if mask.all() else mask,
            )

    def _pass(
        self,
        rows: _Pass,
        row_of: dict[int, int],
        segments: Segments,
        into: Buffer,
        cache: Cache | None = None,
        mask: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
    ) -> None:
        """One forward pass. row_of: the row in which each text is read. mask: over what is cached and what is run."""
        width = max(map(len, rows.rows))
        ids = np.zeros((len(rows.rows), width), dtype=np.int64)
        shifts = np.array([width - len(row) if rows.pad_left else 0 for row in rows.rows])
        for index, (tokens, shift) in enumerate(zip(rows.rows, shifts, strict=True)):
            ids[index, shift : shift + len(tokens)] = tokens
        starts, n_here = np.array(rows.start), np.array([len(tokens) for tokens in rows.rows])
        device = self.model.device
        inputs: dict[str, Any] = {"input_ids": to_device(ids, device), "use_cache": cache is not None}
        if cache is not None:
            inputs["past_key_values"] = cache
        if mask is not None:
            inputs["attention_mask"] = to_device(mask.astype(np.int64), device)
        if self.model.takes_position_ids:
            # Consecutive also over padding: transformers takes a jump for the border of packed texts, and masks it.
            positions = starts[:, None] + np.clip(np.arange(width) - shifts[:, None], 0, None)
            limit = self.model.context_tokens
            inputs["position_ids"] = to_device(positions if limit is None else np.minimum(positions, limit - 1), device)
        chosen = segments.take(np.isin(segments.text, list(row_of)))
        row = np.array([row_of[text] for text in chosen.text.tolist()], dtype=np.int64)
        if len(row):
            first, stop = (np.clip(each - starts[row], 0, n_here[row]) for each in (chosen.first, chosen.stop))
            offset = row * width + shifts[row]
            where = layout(chosen.segment, first + offset, stop + offset)
        else:
            where = None
        with self._compiled.used() if self._compiled and cache is None else nullcontext():
            pass_over(self.model, inputs, self.layers, where, into)


class _UnderWay:
    """A batch whose passes have been launched; on a GPU its results are on their way to pinned memory."""

    def __init__(
        self,
        segments: Int[np.ndarray, " n_segments"],
        found: list[tuple[list[int], Tensor, Tensor]],
        n_tokens: int,
        layers: list[int],
        on_device: bool,
    ) -> None:
        self._segments, self._n_tokens = segments, n_tokens
        one_device = len(found) == 1
        if on_device and one_device:
            self._found, self._events = found, []
        else:
            self._found = [(here, _pinned(means), _pinned(norms)) for here, means, norms in found]
            self._events = [_event(means) for _, means, _ in found if means.is_cuda]
        self._layers = layers

    def finish(self) -> Pooled:
        for event in self._events:
            event.synchronize()
        if len(self._found) == 1:
            _, means, norms = self._found[0]
        else:
            parts = enumerate(self._found)
            place_of = {layer: (part, slot) for part, each in parts for slot, layer in enumerate(each[0])}
            places = [place_of[layer] for layer in self._layers]
            means = torch.stack([self._found[part][1][slot] for part, slot in places])
            norms = torch.stack([self._found[part][2][slot] for part, slot in places])
        return Pooled(self._segments, means, norms, self._n_tokens)


def _row_of(texts: Sequence[int]) -> dict[int, int]:
    return {text: row for row, text in enumerate(texts)}


def _pinned(tensor: Tensor) -> Tensor:
    if not tensor.is_cuda:
        return tensor.cpu()
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return copy.copy_(tensor, non_blocking=True)


def _event(tensor: Tensor) -> torch.cuda.Event:
    event: torch.cuda.Event = torch.cuda.current_stream(tensor.device).record_event()
    return event
