"""Target sentences as batches: what the model is given, where a vector is added, and what is to be predicted.

With a prefix cache a row holds the tokens from the one before its sentence on; without, its whole text so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...activations.engine.batching import batches
from ...models import LanguageModel
from .optimised_settings import OptimisedSettings
from .prefix_cache import PrefixCache
from .targets import Target

CACHED_COST = 8  # a token in the cache costs so much less than one that is run


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Targets as one batch, padded on the right."""

    targets: tuple[int, ...]  # their places among those that were asked for
    inputs: Callable[[], dict[str, Any]]  # of the model's forward pass
    steered: Float[Tensor, "rows tokens 1"]  # 1 where a vector is added
    predicting: Int[Tensor, " n_kept"]  # positions at which any row predicts a token of its sentence
    row: Int[Tensor, " n_predicted"]
    place: Int[Tensor, " n_predicted"]  # in `predicting`
    token: Int[Tensor, " n_predicted"]  # what is predicted there
    is_first: Bool[Tensor, " n_predicted"]  # of its sentence


@dataclass(frozen=True, eq=False, slots=True)
class Batches:
    """Makes batches of targets for one model."""

    model: LanguageModel
    settings: OptimisedSettings
    cache: PrefixCache | None = None

    @classmethod
    def of(cls, model: LanguageModel, targets: Sequence[Target], settings: OptimisedSettings) -> Batches:
        """With what stands before `targets` kept, where the model and its size allow."""
        texts: dict[int, Target] = {}
        for target in targets:
            if target.text not in texts or texts[target.text].first < target.first:
                texts[target.text] = target
        whole = [np.zeros(0, dtype=np.int64)] * (max(texts) + 1)
        for number, target in texts.items():
            whole[number] = target.token_ids[: target.first - 1]
        kept = PrefixCache.of(model, whole, settings.tokens_per_batch, settings.cache_gigabytes)
        return cls(model, settings, kept)

    def __call__(self, targets: Sequence[Target]) -> Iterator[Rows]:
        """All of them, in batches of like length."""
        lengths = [target.stop - self._start(target) + self._start(target) // CACHED_COST for target in targets]
        for members in batches(lengths, self.settings.tokens_per_batch):
            yield self._rows(members, [targets[member] for member in members])

    def _start(self, target: Target) -> int:
        """How many tokens of it are in the cache."""
        return 0 if self.cache is None else target.first - 1

    def _rows(self, members: Sequence[int], targets: Sequence[Target]) -> Rows:
        starts = np.array([self._start(target) for target in targets])
        width = max(target.stop - start for target, start in zip(targets, starts, strict=True))
        ids = np.zeros((len(targets), width), dtype=np.int64)
        is_text, steered = np.zeros(ids.shape, dtype=bool), np.zeros(ids.shape, dtype=np.float32)
        row: list[int] = []
        position: list[int] = []
        token: list[int] = []
        is_first: list[bool] = []
        for number, (target, start) in enumerate(zip(targets, starts.tolist(), strict=True)):
            stop = target.stop - start
            ids[number, :stop], is_text[number, :stop] = target.token_ids[start:], True
            first = target.first - start
            last = first if self.settings.where == "before" else stop - 1
            steered[number, first - 1 : last] = 1
            row += [number] * (stop - first)
            position += range(first - 1, stop - 1)
            token += target.token_ids[target.first :].tolist()
            is_first += [True] + [False] * (stop - first - 1)
        predicting, place = np.unique(np.array(position), return_inverse=True)
        device = self.model.device
        return Rows(
            tuple(members),
            lambda: self._inputs(targets, ids, is_text, starts),
            *(torch.from_numpy(each).to(device) for each in (steered[..., None], predicting)),
            *(torch.as_tensor(each, device=device) for each in (row, place, token, is_first)),
        )

    def _inputs(
        self,
        targets: Sequence[Target],
        ids: Int[np.ndarray, "rows tokens"],
        is_text: Bool[np.ndarray, "rows tokens"],
        starts: Int[np.ndarray, " rows"],
    ) -> dict[str, Any]:
        given: dict[str, Any] = {"use_cache": False}
        mask = is_text
        if self.cache is not None:
            before = np.arange(int(starts.max())) - (int(starts.max()) - starts[:, None])  # padded on the left
            begins = np.array([self.cache.starts[target.text] for target in targets])
            given = {"use_cache": True, "past_key_values": self.cache.over(begins[:, None] + before.clip(min=0))}
            mask = np.concatenate([before >= 0, is_text], axis=1)
        if self.model.takes_position_ids:
            positions = starts[:, None] + np.arange(ids.shape[1])
            limit = self.model.context_tokens
            given["position_ids"] = self._moved(positions if limit is None else np.minimum(positions, limit - 1))
        return given | {"input_ids": self._moved(ids), "attention_mask": self._moved(mask.astype(np.int64))}

    def _moved(self, array: Int[np.ndarray, "rows tokens"]) -> Int[Tensor, "rows tokens"]:
        return torch.from_numpy(array).to(self.model.device)
