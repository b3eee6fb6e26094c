"""Make batches of target sentences: the model's inputs, where a vector is added, and which tokens are predicted.

With a prefix cache a row holds the tokens from the one before its sentence on; without one, its whole text so far.
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
from ...models.device_copies import uploaded
from .optimised_settings import OptimisedSettings
from .prefix_cache import PrefixCache
from .targets import Target

CACHED_TOKENS_PER_TOKEN = 8  # so many tokens in the cache cost about as much as one that is run


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """One batch of targets, padded on the right."""

    targets: tuple[int, ...]  # their numbers among the targets that were asked for
    inputs: Callable[[], dict[str, Any]]  # makes the arguments of the model's forward pass
    steering_mask: Float[Tensor, "rows tokens 1"]  # 1 where a vector is added
    logit_positions: Int[Tensor, " n_kept"]  # positions at which some row predicts a token of its sentence
    row: Int[Tensor, " n_predicted"]
    logit_index: Int[Tensor, " n_predicted"]  # index into `logit_positions`
    token: Int[Tensor, " n_predicted"]  # the token that is predicted there
    first: Int[Tensor, " rows"]  # which of these are the first of their sentence, in the order of the rows
    n_tokens: Int[Tensor, " rows"]  # of each sentence


@dataclass(frozen=True, eq=False, slots=True)
class Batches:
    """Makes batches of targets for one model."""

    model: LanguageModel
    settings: OptimisedSettings
    cache: PrefixCache | None = None

    @classmethod
    def of(cls, model: LanguageModel, targets: Sequence[Target], settings: OptimisedSettings) -> Batches:
        """Run and store the text before `targets`, where the model and the size of the cache allow it."""
        last_target: dict[int, Target] = {}
        for target in targets:
            if target.text not in last_target or last_target[target.text].first < target.first:
                last_target[target.text] = target
        prefixes = [np.zeros(0, dtype=np.int64)] * (max(last_target) + 1)
        for text, target in last_target.items():
            prefixes[text] = target.token_ids[: target.first - 1]
        cache = PrefixCache.of(model, prefixes, settings.tokens_per_batch, settings.cache_gigabytes)
        return cls(model, settings, cache)

    def __call__(self, targets: Sequence[Target]) -> Iterator[Rows]:
        """Yield all targets in batches of similar length."""
        costs = [
            target.stop - self._n_cached(target) + self._n_cached(target) // CACHED_TOKENS_PER_TOKEN
            for target in targets
        ]
        for members in batches(costs, self.settings.tokens_per_batch):
            yield self._rows(members, [targets[member] for member in members])

    def _n_cached(self, target: Target) -> int:
        """Count the tokens of a target that are in the cache."""
        return 0 if self.cache is None else target.first - 1

    def _rows(self, members: Sequence[int], targets: Sequence[Target]) -> Rows:
        starts = np.array([self._n_cached(target) for target in targets])
        width = max(target.stop - start for target, start in zip(targets, starts, strict=True))
        ids = np.zeros((len(targets), width), dtype=np.int64)
        is_text, steering_mask = np.zeros(ids.shape, dtype=bool), np.zeros(ids.shape, dtype=np.float32)
        row: list[int] = []
        position: list[int] = []
        token: list[int] = []
        first_place: list[int] = []
        n_tokens: list[int] = []
        for number, (target, start) in enumerate(zip(targets, starts.tolist(), strict=True)):
            stop = target.stop - start
            ids[number, :stop], is_text[number, :stop] = target.token_ids[start:], True
            first = target.first - start
            last = first if self.settings.where == "before" else stop - 1
            steering_mask[number, first - 1 : last] = 1
            row += [number] * (stop - first)
            position += range(first - 1, stop - 1)
            token += target.token_ids[target.first :].tolist()
            first_place.append(len(row) - (stop - first))
            n_tokens.append(stop - first)
        logit_positions, logit_index = np.unique(np.array(position), return_inverse=True)
        device = self.model.device
        return Rows(
            tuple(members),
            lambda: self._inputs(targets, ids, is_text, starts),
            *(uploaded(torch.from_numpy(array), device) for array in (steering_mask[..., None], logit_positions)),
            *(uploaded(torch.as_tensor(one), device) for one in (row, logit_index, token, first_place, n_tokens)),
        )

    def _inputs(
        self,
        targets: Sequence[Target],
        ids: Int[np.ndarray, "rows tokens"],
        is_text: Bool[np.ndarray, "rows tokens"],
        starts: Int[np.ndarray, " rows"],
    ) -> dict[str, Any]:
        inputs: dict[str, Any] = {"use_cache": False}
        mask = is_text
        if self.cache is not None:
            prefix_position = np.arange(int(starts.max())) - (int(starts.max()) - starts[:, None])  # padded on the left
            text_starts = np.array([self.cache.starts[target.text] for target in targets])
            cache = self.cache.gather(text_starts[:, None] + prefix_position.clip(min=0))
            inputs = {"use_cache": True, self.model.cache_name: cache}
            mask = np.concatenate([prefix_position >= 0, is_text], axis=1)
        if self.model.takes_position_ids:
            positions = starts[:, None] + np.arange(ids.shape[1])
            limit = self.model.context_tokens
            inputs["position_ids"] = self._to_device(positions if limit is None else np.minimum(positions, limit - 1))
        return inputs | {"input_ids": self._to_device(ids), "attention_mask": self._to_device(mask.astype(np.int64))}

    def _to_device(self, array: Int[np.ndarray, "rows tokens"]) -> Int[Tensor, "rows tokens"]:
        return uploaded(torch.from_numpy(array), self.model.device)
