"""Where a base model would not say what a thinking model wrote, and running it again there with another activation.

1. The base reads the rollouts, teacher-forced. Where its likeliest token is not the next one, and the next one belongs
   to a labelled sentence, stands an example: the activation of block L there, the token, and the sentence's label.
2. Keys and values of all that stands before examples are kept, once (`PrefixCache`). An example is then one token that
   runs through the blocks above L only, from whatever activation is put in: the place at which decoding steers, with
   gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...activations.engine.batching import batches
from ...generation.above import UpperBlocks
from ...models import LanguageModel
from ...models.causality import check_causal
from ...models.device_copies import uploaded
from ...models.one_pass import one_pass
from ...traces import Template, Trace, encode
from ...vectors.extraction.prefix_cache import PrefixCache


@dataclass(frozen=True, eq=False, slots=True)
class Disagreements:
    """One row for each token that the base would not have said."""

    activations: Float[Tensor, "n d_model"]  # of the base at block L, at the token before
    token: Int[Tensor, " n"]  # what the thinking model wrote
    label: tuple[str, ...]  # of the sentence that the token belongs to
    problem: tuple[str, ...]
    text: Int[np.ndarray, " n"]  # number of the rollout
    position: Int[np.ndarray, " n"]  # of the token before
    token_ids: tuple[Int[np.ndarray, " n_tokens"], ...]  # of each rollout, prompt and all
    n_tokens: int  # of labelled sentences, of which these are some

    def __len__(self) -> int:
        return len(self.label)


@torch.no_grad()
def disagreements(
    model: LanguageModel,
    traces: Sequence[Trace],
    layer: int,
    *,
    template: Template = "auto",
    truncate: bool = False,
    tokens_per_batch: int = 4096,
) -> Disagreements:
    """Of a base model with labelled rollouts of a thinking model."""
    encoded = encode(model, traces, template=template, truncate=truncate)
    check_causal(model)
    above = UpperBlocks(model, layer)
    labels = [_labels(text.spans, [span.label for span in text.trace.spans], len(text)) for text in encoded]
    rows: list[tuple[int, int, Tensor]] = []  # rollout, position, activation
    for part in batches([len(text) for text in encoded], tokens_per_batch):
        ids = np.zeros((len(part), max(len(encoded[number]) for number in part)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, number in enumerate(part):
            ids[row, : len(encoded[number])], mask[row, : len(encoded[number])] = encoded[number].token_ids, 1
        inputs: dict[str, Any] = {"attention_mask": uploaded(torch.from_numpy(mask), model.device), "use_cache": False}
        with above.watching():
            logits = model.model(uploaded(torch.from_numpy(ids), model.device), **inputs).logits
            assert above.activations is not None
            activations = above.activations.float().to(model.device)
        likeliest = logits.argmax(dim=-1).cpu().numpy()
        for row, number in enumerate(part):
            for position, label in enumerate(labels[number][1:]):
                if label is not None and likeliest[row, position] != ids[row, position + 1]:
                    rows.append((number, position, activations[row, position].clone()))
    rows.sort(key=lambda row: row[:2])
    text = np.array([number for number, _, _ in rows], dtype=np.int64)
    places = np.array([place for _, place, _ in rows], dtype=np.int64)
    next_tokens = [int(encoded[number].token_ids[place + 1]) for number, place, _ in rows]
    return Disagreements(
        activations=torch.stack([activation for _, _, activation in rows]) if rows else torch.zeros(0, model.d_model),
        token=torch.tensor(next_tokens, dtype=torch.long),
        label=tuple(str(labels[number][place + 1]) for number, place, _ in rows),
        problem=tuple(encoded[number].trace.problem for number in text.tolist()),
        text=text,
        position=places,
        token_ids=tuple(rollout.token_ids for rollout in encoded),
        n_tokens=sum(label is not None for rollout_labels in labels for label in rollout_labels[1:]),
    )


def _labels(spans: Sequence[tuple[int, int] | None], names: Sequence[str], n_tokens: int) -> list[str | None]:
    """Of the sentence that each token belongs to."""
    labels: list[str | None] = [None] * n_tokens
    for span, name in zip(spans, names, strict=True):
        if span is not None:
            labels[span[0] : span[1]] = [name] * (span[1] - span[0])
    return labels


class Rerun:
    """What the model says at each disagreement, had block L put out another activation there."""

    def __init__(
        self,
        model: LanguageModel,
        layer: int,
        examples: Disagreements,
        *,
        tokens_per_batch: int = 4096,
        cache_gigabytes: float = 4.0,
    ) -> None:
        self._model, self._examples = model, examples
        self._above = UpperBlocks(model, layer)
        last = np.zeros(len(examples.token_ids), dtype=np.int64)
        np.maximum.at(last, examples.text, examples.position)
        prefixes = [ids[:stop] for ids, stop in zip(examples.token_ids, last.tolist(), strict=True)]
        self._cache = PrefixCache.of(model, prefixes, tokens_per_batch, cache_gigabytes) if len(examples) else None
        with torch.no_grad(), self._above.watching():  # says whether a block puts out a tuple
            model.body(torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=False)

    def logits(
        self, rows: Int[np.ndarray, " rows"], activations: Float[Tensor, "rows d_model"]
    ) -> Float[Tensor, "rows vocabulary"]:
        """Of the token after each of some disagreements. Differentiable in `activations`."""
        activations = activations.to(self._model.model.dtype)
        position = self._examples.position[rows]
        texts = [self._examples.token_ids[number] for number in self._examples.text[rows].tolist()]
        if self._cache is None:
            return self._from_the_beginning(texts, position, activations)
        width = int(position.max())
        before = np.arange(width) - (width - position[:, None])  # padded on the left
        begins = self._cache.starts[self._examples.text[rows]]
        mask = np.concatenate([before >= 0, np.ones((len(rows), 1), dtype=bool)], axis=1)
        ids = np.array([text[place] for text, place in zip(texts, position.tolist(), strict=True)])
        with self._above.handing_through(activations[:, None]):
            output = self._model.model(
                self._moved(ids[:, None]),
                attention_mask=self._moved(mask.astype(np.int64)),
                position_ids=self._moved(position[:, None]),
                use_cache=True,
                **{self._model.cache_name: self._cache.gather(begins[:, None] + before.clip(min=0))},
            )
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _from_the_beginning(
        self, texts: Sequence[Int[np.ndarray, " n"]], position: Int[np.ndarray, " rows"], activations: Tensor
    ) -> Float[Tensor, "rows vocabulary"]:
        """For models that cannot go on from a kept prefix."""
        width = int(position.max()) + 1
        ids, mask = np.zeros((2, len(texts), width), dtype=np.int64)
        for row, (text, place) in enumerate(zip(texts, position.tolist(), strict=True)):
            ids[row, width - place - 1 :], mask[row, width - place - 1 :] = text[: place + 1], 1

        def hook(module: object, args: object, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            hidden = torch.cat([hidden[:, :-1].detach(), activations[:, None]], dim=1)
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        inputs: dict[str, Any] = {"attention_mask": self._moved(mask), "use_cache": False, "logits_to_keep": 1}
        if self._model.takes_position_ids:
            inputs["position_ids"] = self._moved((mask.cumsum(axis=1) - 1).clip(min=0))
        with one_pass(self._model, {self._above.layer: hook}):
            logits: Tensor = self._model.model(self._moved(ids), **inputs).logits[:, -1].float()
        return logits

    def _moved(self, array: Int[np.ndarray, "rows tokens"]) -> Int[Tensor, "rows tokens"]:
        return uploaded(torch.from_numpy(np.ascontiguousarray(array)), self._model.device)
