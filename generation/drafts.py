"""Write drafts of a next sentence, of which texts keep only what is read into them.

    draft   writes on from the text of some rows, token by token, until a token ends the sentence; the text stays
    read    appends tokens to the texts

Drafts run over one key-value cache, which is cut back after each of them. Texts grow by different lengths, so the cache
holds gaps: they are masked, and have no part in position ids. Once texts that have ended, or gaps, take up much of it,
what goes on is run anew. A model whose attention looks back a limited way counts gaps, a cache of another kind cannot
be cut back, and hooks may depend on the row: such a model is run over the whole texts at each draft.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ..models import LanguageModel
from ..models.cache_argument import filled_cache
from ..models.causality import check_causal
from ..models.device_copies import uploaded
from ..rundir import InputError
from .cached_model import CachedModel, is_hooked
from .sampling import Sampling, choose_tokens
from .vocabulary import end_tokens

FEWEST = 0.8  # of the rows that were run: with fewer going on, all are run anew
WIDEST = 1.3  # columns for each token of the longest text


class Drafts:
    """One model at work on some texts."""

    def __init__(self, model: LanguageModel, texts: Sequence[Sequence[int]], ends: Bool[Tensor, " vocabulary"]) -> None:
        """Take the texts; nothing is run before the first draft.

        Args:
            model: That writes.
            texts: Token ids of each row, one token or more: the prompt, and what is written after it already.
            ends: Tokens that end a draft.

        Raises:
            InputError: The model reads both ways, or takes no key-value cache.
        """
        check_causal(model)
        if not model.takes_cache:
            raise InputError(
                f"{model.name} takes no key-value cache, and drafts of texts of different lengths cannot be written "
                "with it together; choose a model of another kind"
            )
        self.texts = [list(text) for text in texts]
        self._model, self._ends = model, ends
        self._going = set(range(len(texts)))
        self._cache: _TextsCache | None = None
        self._is_cacheable = not is_hooked(model)

    def end(self, row: int) -> None:
        """Leave a row out from now on.

        Args:
            row: That has ended.
        """
        self._going.discard(row)

    @torch.inference_mode()
    def draft(
        self,
        rows: Sequence[int],
        sampling: Sampling,
        uniform: Callable[[int], float],
        *,
        n_tokens: int,
        prefixes: Mapping[int, Sequence[int]] | None = None,
    ) -> dict[int, list[int]]:
        """Write a sentence after the text of some rows, and leave the texts as they are.

        Args:
            rows: Which; none of them has ended.
            sampling: Temperature and nucleus.
            uniform: Draws the next number of a row, in [0, 1).
            n_tokens: At most.
            prefixes: Row -> tokens that its sentence begins with, in place of the model's.

        Returns:
            Row -> the sentence, with the token that ended it; cut where the text fills the model's context.
        """
        prefixes = prefixes or {}
        drafts: dict[int, list[int]] = {row: [] for row in rows}
        writer = self._writer(rows)
        going = list(rows)
        for place in range(n_tokens):
            logits = writer.logits(going)
            uniforms = uploaded(torch.tensor([uniform(row) for row in going], dtype=torch.float32), logits.device)
            # The draft waits for the device here, once a token.
            tokens = choose_tokens(logits, sampling, uniforms).cpu()
            for slot, row in enumerate(going):
                if place < len(prefixes.get(row, ())):
                    tokens[slot] = prefixes[row][place]
                drafts[row].append(int(tokens[slot]))
            is_on = ~self._ends[tokens]
            if self._model.context_tokens is not None:
                lengths = torch.tensor([len(self.texts[row]) + place + 1 for row in going])
                is_on &= lengths < self._model.context_tokens
            if place + 1 == n_tokens or not is_on.any():
                break
            writer.extend(going, tokens, is_on)
            going = [row for row, is_going_on in zip(going, is_on.tolist(), strict=True) if is_going_on]
        writer.cut_back()
        return drafts

    @torch.inference_mode()
    def read(self, sentences: Mapping[int, Sequence[int]]) -> None:
        """Append a sentence to the text of some rows.

        Args:
            sentences: Row -> its tokens.
        """
        for row, tokens in sentences.items():
            self.texts[row] += tokens
        if self._cache is None:
            return
        longest = max((len(self.texts[row]) for row in self._going), default=0)
        if len(self._going) < FEWEST * self._cache.n_rows or self._cache.n_columns > WIDEST * longest:
            self._cache = None
        else:
            self._cache.read({row: tokens for row, tokens in sentences.items() if row in self._going})

    def _writer(self, rows: Sequence[int]) -> _TextsCache | _Anew:
        if self._cache is None and self._is_cacheable:
            cache = _TextsCache(self._model, {row: self.texts[row] for row in sorted(self._going)})
            self._is_cacheable = cache.can_be_cut
            self._cache = cache if cache.can_be_cut else None
        return self._cache or _Anew(self._model, [self.texts[row] for row in rows])


class _TextsCache:
    """The keys and values of texts, and the logits after each."""

    def __init__(self, model: LanguageModel, texts: Mapping[int, Sequence[int]]) -> None:
        self._model = model
        self._slots = {row: slot for slot, row in enumerate(texts)}
        stops = end_tokens(model)
        self._pad = stops[0] if stops else 0
        self._lengths = torch.zeros(len(texts), dtype=torch.long, device=model.device)
        self._mask = torch.zeros((len(texts), 0), dtype=torch.long, device=model.device)
        self._cache: object | None = None
        self._logits = self._run(*self._laid_out(texts))
        self._kept = self._state

    @property
    def n_rows(self) -> int:
        return len(self._slots)

    @property
    def n_columns(self) -> int:
        return self._mask.shape[1]

    @property
    def can_be_cut(self) -> bool:
        """Whether the model fills a cache that can be cut back and does not count gaps."""
        cache = self._cache
        return type(cache) is DynamicCache and all(type(layer) is DynamicLayer for layer in cache.layers)

    @property
    def _state(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._mask, self._lengths, self._logits

    def logits(self, rows: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        """Give the logits of the next token of some rows."""
        return self._logits[uploaded([self._slots[row] for row in rows], self._logits.device)]

    def extend(self, rows: Sequence[int], tokens: Int[Tensor, " rows"], is_on: Bool[Tensor, " rows"]) -> None:
        """Run one more token of those rows that go on."""
        self._append({row: [int(token)] for row, token, on in zip(rows, tokens, is_on, strict=True) if on})

    def read(self, sentences: Mapping[int, Sequence[int]]) -> None:
        """Run more tokens of some rows, for good."""
        if any(sentences.values()):
            self._append(sentences)
            self._kept = self._state

    def cut_back(self) -> None:
        """Discard what was run since the last `read`."""
        n_more = self._mask.shape[1] - self._kept[0].shape[1]
        if n_more:
            assert isinstance(self._cache, DynamicCache)
            self._cache.crop(-n_more)
        self._mask, self._lengths, self._logits = self._kept

    def _append(self, sentences: Mapping[int, Sequence[int]]) -> None:
        ids, is_token = self._laid_out(sentences)
        logits = self._run(ids, is_token)
        self._logits = torch.where(is_token[:, -1:].bool(), logits, self._logits)

    def _laid_out(
        self, tokens_by_row: Mapping[int, Sequence[int]]
    ) -> tuple[Int[Tensor, "rows columns"], Int[Tensor, "rows columns"]]:
        """Lay out tokens at the right of their rows, and say where they stand."""
        width = max(map(len, tokens_by_row.values()))
        ids, is_token = [[self._pad] * width for _ in self._slots], [[0] * width for _ in self._slots]
        for row, tokens in tokens_by_row.items():
            if tokens:
                ids[self._slots[row]][-len(tokens) :] = tokens
                is_token[self._slots[row]][-len(tokens) :] = [1] * len(tokens)
        both = uploaded(torch.tensor([ids, is_token]), self._model.device)
        return both[0], both[1]

    def _run(
        self, ids: Int[Tensor, "rows columns"], is_token: Int[Tensor, "rows columns"]
    ) -> Float[Tensor, "rows vocabulary"]:
        self._mask = torch.cat([self._mask, is_token], dim=1)
        inputs = {"attention_mask": self._mask, "logits_to_keep": 1, "use_cache": True}
        if self._model.takes_position_ids:
            inputs["position_ids"] = (self._lengths[:, None] + is_token.cumsum(1) - 1).clamp_min(0)
        if self._cache is not None:
            inputs[self._model.cache_name] = self._cache
        output = self._model.model(ids, **inputs)
        self._lengths = self._lengths + is_token.sum(1)
        self._cache = filled_cache(output)
        logits: Tensor = output.logits[:, -1].float()
        return logits


class _Anew:
    """A model that is run over whole texts, for one draft."""

    def __init__(self, model: LanguageModel, texts: Sequence[Sequence[int]]) -> None:
        self._writer = CachedModel(model, texts)

    def logits(self, rows: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        """Give the logits of the next token of the rows that go on."""
        return self._writer.step()

    def extend(self, rows: Sequence[int], tokens: Int[Tensor, " rows"], is_on: Bool[Tensor, " rows"]) -> None:
        """Run one more token of those rows that go on."""
        device = self._writer.model.device
        remaining = None if bool(is_on.all()) else uploaded(is_on.nonzero()[:, 0], device)
        self._writer.extend(uploaded(tokens, device), remaining)

    def cut_back(self) -> None:
        """Keep all: no more than one draft is written."""
