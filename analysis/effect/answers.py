"""Let a model answer problems unsteered, and steered at a layer and strength; each problem once.

KL(steered || unsteered) of the next token is summed over the tokens of each steered response, which both models read
after the same prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...generation import divergence_nats, encode_prompts, write
from ...models import LanguageModel
from ...models.one_pass import one_pass
from ...rundir import RowLog
from ...rundir.progress import ProgressBar
from ...stats import CellMeasure, Halving, Interval, ratio_difference_over_groups
from ...vectors import Direction, Directions, steer
from .find_settings import FindSettings
from .outcome import labelled
from .task import Task

KEY = ("behaviour", "layer", "strength", "first")
COLUMNS = {
    "behaviour": str,  # empty where nothing is steered
    "layer": int,
    "strength": float,
    "first": int,  # number of the first problem that the row counts
    "n_sentences": list[int],  # of each problem from there on
    "labels": list[list[str]],
    "n_tokens": int,
    "n_steered": int,
    "kl_nats": float,  # of all tokens together
}
Cell = tuple[int, float]


@dataclass(eq=False)
class Answers:
    """What the model has answered, unsteered and steered; each problem is answered once in each cell."""

    model: LanguageModel
    directions: Directions
    task: Task
    settings: FindSettings
    force: bool
    log: RowLog
    bar: ProgressBar

    def __post_init__(self) -> None:
        questions = [question.prompt for question in self.task.questions]
        self._prompts = encode_prompts(self.model, questions, self.settings.template)

    def measured(self, behaviour: str, cell: Cell, n: int) -> CellMeasure:
        rows = self._rows(behaviour, cell, n)
        n_tokens = max(sum(row["n_tokens"] for row in rows), 1)
        return CellMeasure(
            objective=self.rate(behaviour, cell, n),
            kl_nats=sum(row["kl_nats"] for row in rows) / n_tokens,
            gentleness=(sum(row["n_steered"] for row in rows) / n_tokens, abs(cell[1])),
        )

    def rate(self, behaviour: str, cell: Cell | None, n: int) -> float:
        """Compute the share of sentences that show a behaviour in the answers to the first n problems."""
        shown, sentences = self._counts(behaviour, cell, n)
        return float(shown.sum() / max(sentences.sum(), 1))

    def effect(self, behaviour: str, search: Halving[Cell]) -> Interval:
        """Compute by how much the choice raises the rate, with an interval over paired problems."""
        assert search.choice is not None
        n = search.choice.n
        counts = (*self._counts(behaviour, search.choice.cell, n), *self._counts(behaviour, None, n))
        return ratio_difference_over_groups(*counts, groups=[question.problem for question in self.task.questions[:n]])

    def _counts(
        self, behaviour: str, cell: Cell | None, n: int
    ) -> tuple[Float[np.ndarray, " problems"], Float[np.ndarray, " problems"]]:
        rows = self._rows(behaviour, cell, n)
        shown = [labels.count(behaviour) for row in rows for labels in row["labels"]]
        sentences = [number for row in rows for number in row["n_sentences"]]
        return np.array(shown[:n], dtype=float), np.array(sentences[:n], dtype=float)

    def _rows(self, behaviour: str, cell: Cell | None, n: int) -> list[dict[str, Any]]:
        """Answer those of the first n problems that are not answered; unsteered, all of them."""
        name, (layer, strength) = ("", (-1, 0.0)) if cell is None else (behaviour, cell)
        last = len(self._prompts) if cell is None else n
        rows: list[dict[str, Any]] = []
        first = 0
        while first < n:
            key = (name, layer, strength, first)
            if key not in self.log:
                row = self._answered(name, layer, strength, range(first, last))
                self.log.add([dict(zip(KEY, key, strict=True)) | row])
                self.bar.update(last - first)
            rows.append(dict(self.log[key]))
            first += len(rows[-1]["n_sentences"])
        return rows

    def _answered(self, behaviour: str, layer: int, strength: float, numbers: range) -> dict[str, Any]:
        prompts, questions = self._prompts[numbers.start : numbers.stop], [self.task.questions[n] for n in numbers]
        options: dict[str, Any] = {
            "layer": layer,
            "strength": strength,
            "operation": self.settings.operation,
            "when": self.settings.when,
            "force": self.force,
        }
        sampling, seed = self.settings.sampling, self.settings.seed
        if not behaviour:
            written = write(self.model, prompts, sampling, seed=seed, numbers=numbers)
            n_steered, kl_nats = 0, 0.0
        else:
            direction = self.directions[behaviour]
            with steer(self.model, direction, **options) as steered:
                written = write(self.model, prompts, sampling, seed=seed, numbers=numbers)
            n_steered = steered.n_steered
            kl_nats = sum(
                total_divergence(self.model, prompt, response.tokens, direction, options)
                for prompt, response in zip(prompts, written, strict=True)
            )
        labels, n_sentences = labelled(questions, written, self.task.annotator)
        return {
            "n_sentences": n_sentences,
            "labels": labels,
            "n_tokens": sum(response.n_tokens for response in written),
            "n_steered": n_steered,
            "kl_nats": kl_nats,
        }


@torch.inference_mode()
def total_divergence(
    model: LanguageModel, prompt: Sequence[int], response: Sequence[int], direction: Direction, options: dict[str, Any]
) -> float:
    """Add up KL(steered || unsteered) of the next token over the tokens of a response, in nats.

    Args:
        model: The model, which reads prompt and response once steered and once not.
        prompt: Token ids.
        response: Token ids; the first is chosen at the last token of the prompt.
        direction: What steers.
        options: Of `steer`.

    Returns:
        The sum; 0 for an empty response.
    """
    if not response:
        return 0.0
    ids = torch.tensor([[*prompt, *response[:-1]]], device=model.device)

    def logits() -> Float[Tensor, "tokens vocabulary"]:
        with one_pass(model):
            every: Tensor = model.model(ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
        return every[len(prompt) - 1 :]

    unsteered = logits()
    with steer(model, direction, n_prompt_tokens=len(prompt), **options):
        return float(divergence_nats(logits(), unsteered).sum())
