"""Run one model over its prompts and then token by token over a key-value cache.

1. Prompts are padded on the left and run once; equal prompts are run once for all of their rows.
2. A step runs the newest token of each row. Position ids count a row's own tokens, so padding has no part in them.
3. Rows that have ended leave the batch: the cache keeps the rows that go on, as beam search selects them. On an
   accelerator they stay, unread, so that steps have one shape, until they are many (`fixed_cache.py`).
4. The output of one block can be read at each step, and the step's logits computed anew with another output there for
   some rows (`above.py`): the cache keeps the unchanged state.

A model that fills no cache of transformers' dynamic kind is run over the whole text at each step.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, cast
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import DynamicCache
from transformers.cache_utils import Cache

from ..models import LanguageModel
from ..models.cache_argument import filled_cache
from ..models.causality import check_causal
from ..models.device_copies import uploaded
from ..models.one_pass import one_pass
from .above import UpperBlocks
from .fixed_cache import FEWER, can_be_fixed, make_room
from .vocabulary import end_tokens

_PROMPT_ROWS: WeakKeyDictionary[Cache, Int[Tensor, " rows"]] = WeakKeyDictionary()
_TEXTS: MutableMapping[Tensor, object] = WeakTensorKeyDictionary()  # by identity


def prompt_rows(cache: Cache) -> Int[Tensor, " rows"] | None:
    """Look up from which row of the prompts' pass each row of a cache comes.

    Args:
        cache: That a model fills.

    Returns:
        None for a cache whose rows are still those of its first pass, or that no `CachedModel` has filled.
    """
    return _PROMPT_ROWS.get(cache)


def text_of(ids: Int[Tensor, "rows tokens"]) -> object | None:
    """Look up which batch of texts the ids of a pass belong to, for hooks on a model that is run without a cache.

    Args:
        ids: The very tensor that the model is called with.

    Returns:
        The same object for all passes of one `CachedModel`, other ones for others; None for ids that none runs.
    """
    return _TEXTS.get(ids)


# What a model that reads along is told: the token of each row, and the places of the rows that go on (None: all).
OnHost: TypeAlias = tuple[Sequence[int], Sequence[int] | None]


class Follower(Protocol):
    """A model that reads along what another one writes, and says what it would write itself."""

    @property
    def activations(self) -> Float[Tensor, "rows d_follower"]:
        """The output of the block that is read, at the last token of each row; of no width where none is read."""
        ...

    def step(self) -> Float[Tensor, "rows vocabulary"]:
        """Run what is new.

        Returns:
            The logits of the next token over the writer's vocabulary.
        """
        ...

    def extend(
        self,
        tokens: Int[Tensor, " rows"],
        remaining: Int[Tensor, " remaining"] | None,
        on_host: OnHost | None = None,
    ) -> None:
        """Append the token written in each row, then keep some rows only.

        Args:
            tokens: Of all rows of the last step.
            remaining: Places of the rows that go on, in order; None: all.
            on_host: Both, as the host knows them without waiting for a device; None: not given.
        """
        ...


class CachedModel:
    """A language model over the cache of its own prompts and the response so far; itself a `Follower`."""

    def __init__(
        self, model: LanguageModel, prompts: Sequence[Sequence[int]], *, read_layer: int | None = None
    ) -> None:
        """Lay out the prompts; nothing is run before the first `step`.

        Args:
            model: The language model.
            prompts: Token ids of each row's prompt, one token or more each.
            read_layer: The block whose output `activations` shows at every step; None: none but within `reading`.
        """
        check_causal(model)
        self.model = model
        self.logits: Float[Tensor, "rows vocabulary"] | None = None  # of the last step
        every = [tuple(prompt) for prompt in prompts]
        self._is_hooked = is_hooked(model)
        self._text_key = object()  # holds no memory of the batch, unlike `self`
        distinct = every if self._is_hooked else list(dict.fromkeys(every))
        # Which row of the ids, mask and cache each row of the batch comes from; None: each from its own.
        self._source: Int[Tensor, " rows"] | None = None
        if len(distinct) < len(every):
            place = {prompt: number for number, prompt in enumerate(distinct)}
            self._source = uploaded([place[prompt] for prompt in every], model.device)
        width = max(map(len, distinct))
        stops = end_tokens(model)
        self._pad = stops[0] if stops else 0
        rows = [[self._pad] * (width - len(prompt)) + list(prompt) for prompt in distinct]
        self._ids = uploaded(rows, model.device)  # of what is to be run next
        self._lengths = uploaded([len(prompt) for prompt in distinct], model.device)
        columns = torch.arange(width, device=model.device)
        self._mask = (columns >= width - self._lengths[:, None]).long()
        self._text: Int[Tensor, "rows columns"] | None = self._ids  # kept only where a pass may have to start anew
        self._cache: Cache | None = None
        self._n_columns = width  # of the mask, less those that are free
        self._room: int | None = None  # columns of a cache of one shape; None: it grows from step to step
        self._is_at_prompt = True  # the last pass, or the next one, is that of the prompts
        self._upper: UpperBlocks | None = None if read_layer is None else UpperBlocks(model, read_layer)

    @property
    def last_ids(self) -> Int[Tensor, " rows"]:
        """The last token of each row."""
        return self._of_rows(self._ids[:, -1])

    @property
    def is_cached(self) -> bool:
        """Whether steps run over a cache; decided by the first step."""
        return self._cache is not None

    @property
    def activations(self) -> Float[Tensor, "rows d_model"]:
        """The output of the block that is read, at the last token of each row; of no width where none is read."""
        if self._upper is None or self._upper.activations is None:
            return self._ids.new_empty(len(self.last_ids), 0, dtype=torch.float32)
        return self._of_rows(self._upper.activations[:, -1].to(self.model.device))

    @contextmanager
    def reading(self, layer: int | None) -> Iterator[None]:
        """Read the output of a block at each step within the context.

        Args:
            layer: Of the block; None: of no block.

        Yields:
            Nothing: `activations` shows the output.
        """
        if layer is None:
            yield
            return
        self._upper = UpperBlocks(self.model, layer)
        try:
            yield
        finally:
            self._upper = None

    def step(self) -> Float[Tensor, "rows vocabulary"]:
        """Run what is new: the prompts at first, then one token of each row.

        Returns:
            The logits of the next token, float32.
        """
        if self._upper is not None and self._cache is not None:
            self._upper.remember(self._cache)
        inputs = self._inputs(self._ids, self._lengths, self._mask)
        if self._cache is None and self._is_hooked:
            _TEXTS[self._ids] = self._text_key
        cached = {"use_cache": self._is_at_prompt} if self._cache is None else {self.model.cache_name: self._cache}
        with one_pass(self.model) if self._upper is None else self._upper.watching():
            output = self.model.model(self._ids, **{"use_cache": True, **cached, **inputs})
        if self._cache is None and self._is_at_prompt:
            self._take_cache(output)
        self.logits = self._of_rows(output.logits[:, -1].float())
        return self.logits

    def extend(
        self,
        tokens: Int[Tensor, " rows"],
        remaining: Int[Tensor, " remaining"] | None,
        on_host: OnHost | None = None,
    ) -> None:
        """Append the token written in each row, then keep some rows only.

        Args:
            tokens: Of all rows of the last step.
            remaining: Places of the rows that go on, in order; None: all.
            on_host: Both, as the host knows them without waiting for a device; None: not given.
        """
        device = self._ids.device
        tokens = tokens.to(device)
        source = self._source
        if remaining is not None:
            remaining = remaining.to(device)
            tokens = tokens[remaining]
            source = remaining if source is None else source[remaining]
        if self._cache is None and self._is_hooked:
            # Hooks on whole texts recognise a text that goes on by its rows: rows that have ended stay, and are padded.
            self._source = source
            padded = tokens.new_full((len(self._ids),), self._pad)
            tokens = tokens if source is None else padded.index_copy(0, source, tokens)
        elif self._room is not None or (self._cache is not None and self._can_be_fixed()):
            self._extend_fixed(tokens, source)
            return
        else:
            if source is not None:
                self._select(source)
            self._source = None
        self._is_at_prompt = False
        self._lengths = self._lengths + 1
        self._n_columns += 1
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        if self._text is not None:
            self._text = torch.cat([self._text, tokens[:, None]], dim=1)
        self._ids = tokens[:, None] if self._cache is not None or self._text is None else self._text

    def _can_be_fixed(self) -> bool:
        assert self._cache is not None
        return self._text is None and can_be_fixed(self.model, self._cache)

    def _extend_fixed(self, tokens: Int[Tensor, " rows"], source: Int[Tensor, " rows"] | None) -> None:
        """Append tokens to a batch whose rows stay; `source` are the places of those that go on, None: all."""
        assert self._cache is not None
        if source is not None and (self._is_at_prompt or len(source) <= FEWER * len(self._ids)):
            self._select(source)
            source = None
        column = self._n_columns
        if self._room is None or column == self._room:
            self._room = make_room(self._cache, column + 1)
            self._mask = torch.nn.functional.pad(self._mask[:, :column], (0, self._room - column))
        if source is None:
            self._mask[:, column] = 1
            self._ids = tokens[:, None]
        else:
            self._mask[:, column].index_fill_(0, source, 1)  # of a row that has ended the column is padding
            self._ids = torch.full_like(self._ids[:, :1], self._pad).index_copy(0, source, tokens[:, None])
        self._lengths = self._lengths + self._mask[:, column]
        self._n_columns, self._source, self._is_at_prompt = column + 1, source, False

    def logits_with(
        self, activations: Float[Tensor, "some d_model"], rows: Int[Tensor, " some"]
    ) -> Float[Tensor, "some vocabulary"]:
        """Compute the logits of the last step anew, had the block that is read put out something else.

        Args:
            activations: Output of the block at the last token of some rows.
            rows: Places of these rows in the batch.

        Returns:
            Logits of their next token, float32. The cache is left as it is.
        """
        assert self._upper is not None, "no block is read"
        rows = rows if self._source is None else self._source[rows]
        is_whole = self._is_at_prompt or self._cache is None or self._text is not None
        ids = (self._ids if self._text is None else self._text)[rows]
        inputs = self._inputs(ids, self._lengths[rows], self._mask[rows])
        if is_whole:
            return self._upper.logits_of_whole(activations, ids, inputs)
        assert self._cache is not None
        return self._upper.logits(activations, rows, self._cache, ids, inputs)

    def _inputs(
        self, ids: Int[Tensor, "rows new"], lengths: Int[Tensor, " rows"], mask: Int[Tensor, "rows columns"]
    ) -> dict[str, Any]:
        """Make what a pass takes besides the ids and the cache."""
        inputs: dict[str, Any] = {"attention_mask": mask, "logits_to_keep": 1}
        if self.model.takes_position_ids:
            n_new = ids.shape[1]
            columns = torch.arange(-n_new, 0, device=ids.device)
            inputs["position_ids"] = (lengths[:, None] + columns).clamp_min(0)
        return inputs

    def _take_cache(self, output: Any) -> None:
        """Keep the cache that the first pass has filled if its rows can be selected; else keep the text."""
        cache = filled_cache(output) if self.model.takes_cache else None
        # Another class (MiniMax has one) may hold states that selecting rows does not reach.
        self._cache = cache if type(cache) is DynamicCache else None
        if self._cache is not None and (self._upper is None or self._upper.fits(self._cache)):
            self._text = None

    def _select(self, source: Int[Tensor, " rows"]) -> None:
        """Keep some rows of what was run, in this order, one perhaps several times."""
        self._mask, self._lengths = self._mask[source], self._lengths[source]
        if self._text is not None:
            self._text = self._text[source]
        if self._cache is not None:
            # As batch_select_indices does, of every kind of layer, and on a CPU in a third of its time.
            self._cache.reorder_cache(cast(torch.LongTensor, source))
            before = _PROMPT_ROWS.get(self._cache)
            _PROMPT_ROWS[self._cache] = source if before is None else before[source]

    def _of_rows(self, values: Tensor) -> Tensor:
        """Repeat what was computed once for equal prompts."""
        return values if self._source is None else values[self._source]


def is_hooked(model: LanguageModel) -> bool:
    """Tell whether hooks act on the model's passes: what they do may depend on the row, so no rows are shared."""
    modules = (model.model, model.body, *model.blocks)
    return any(module._forward_hooks or module._forward_pre_hooks for module in modules)
