"""The figures of a family of organisms, on test problems that no training saw.

accuracy              greedy; the doubled problems for `sft`, ordinary ones for the rest (`doubled_accuracy` for all)
step_correctness/...  of each move: the words are right, given right words before (`measure.skill`)
content_kl, decision_kl   KL(base || model), nats a token, along the model's own sampled responses
pass@k                on problems that only the second way solves; sampled, unbiased over n samples
gap_recovered         of the gap from base to model, by forcing the model's first words on the base
share_forced          of the base's tokens under that forcing
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel

from ...models import InputError, load, organism_names
from ..labeller import is_solved
from ..policy import DRILL, IDEAL_DOUBLING
from ..sampling import Response, respond
from ..task import Problem, problems
from .figure import Figure, ratio, share
from .measure import divergence, skill
from .truth import own_texts, test_problems, texts_by

Table: TypeAlias = dict[str, dict[str, Figure]]

PASS_AT = (1, 4, 16, 64, 256)
LEARNT_DOUBLING = ("sft",)
SMALLEST_GAP = 0.05  # below this a share of the gap says nothing


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """problems: for accuracy and forcing. texts: responses read for skill, policy and divergence. pass_problems,
    samples: for pass@k."""

    problems: int = 500
    texts: int = 300
    pass_problems: int = 100
    samples: int = 256
    seed: int = 0


def evaluate(
    models: Mapping[str, PreTrainedModel],
    settings: EvaluateSettings | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Table:
    """Model name -> figure -> value with interval. `models` must hold `base`; what is compared is compared to it."""
    chosen = settings or EvaluateSettings()
    plain = _Ground(models["base"], test_problems(chosen.problems, chosen.seed))
    doubled = _Ground(models["base"], test_problems(chosen.problems, chosen.seed, doubled=True))
    table: Table = {}
    for name, model in models.items():
        note(f"{name}: accuracy, steps and divergence")
        table[name] = _row(model, doubled if name in LEARNT_DOUBLING else plain, doubled, chosen)
    hard = list(islice(problems("test", chosen.seed, {"differences": 1.0}), chosen.pass_problems))
    for name in ("base", "rl"):
        if chosen.samples and name in models:
            note(f"{name}: pass@k, {chosen.samples} responses to each of {len(hard)} problems")
            table[name] |= pass_at_k(models[name], hard, chosen)
    return table


class _Ground:
    """Problems, and how the base does on them."""

    def __init__(self, base: PreTrainedModel, asked: list[Problem]) -> None:
        self.base, self.asked = base, asked
        self.by_base = solved(asked, respond(base, asked))


def _row(model: PreTrainedModel, own: _Ground, doubled: _Ground, chosen: EvaluateSettings) -> dict[str, Figure]:
    is_base = model is own.base
    responses = respond(model, own.asked)
    right = solved(own.asked, responses)
    figures = {"accuracy": share(right)}
    for family in sorted({problem.family or "" for problem in own.asked}):
        figures[f"accuracy/{family}"] = share(right[[problem.family == family for problem in own.asked]])
    figures["accuracy_of_base"] = share(own.by_base)
    figures["doubled_accuracy"] = share(
        right if own is doubled else solved(doubled.asked, respond(model, doubled.asked))
    )
    figures["response_tokens"] = ratio(_array(response.n_tokens for response in responses), np.ones(len(responses)))
    right_texts = texts_by(IDEAL_DOUBLING if own is doubled else DRILL, own.asked[: chosen.texts])
    figures |= {f"step_correctness/{move}": figure for move, figure in skill(model, right_texts).items()}
    if is_base:
        return figures
    said = own_texts(model, own.asked[: chosen.texts])
    figures |= {f"{kind}_kl": figure for kind, figure in divergence(own.base, model, said).items()}
    led = respond(own.base, own.asked, guide=model)
    led_right = solved(own.asked, led)
    figures["led_accuracy"] = share(led_right)
    if right.mean() - own.by_base.mean() > SMALLEST_GAP:
        figures["gap_recovered"] = gap_recovered(own.by_base, right, led_right)
    figures["share_forced"] = ratio(
        _array(response.n_forced for response in led), _array(response.n_tokens for response in led)
    )
    return figures


def _array(values: Iterable[int]) -> Float[np.ndarray, " n"]:
    return np.fromiter(values, dtype=np.float64)


def evaluate_family(
    directory: Path | None = None,
    settings: EvaluateSettings | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Table:
    """The table of a trained family, or of the organisms that come with reasonlens.

    Raises InputError if the directory holds no base.
    """
    if directory is None:
        names = [name.removeprefix("organism/") for name in organism_names() if "@" not in name]
        where: dict[str, str | Path] = {name: f"organism/{name}" for name in names}
    else:
        names = [path.parent.name for path in sorted(directory.glob("*/config.json"))]
        where = {name: directory / name for name in names}
    if "base" not in where:
        raise InputError(f"there is no model base in {directory}: train a family with `reasonlens organisms train`")
    ordered = sorted(where, key=lambda name: (name != "base", name))
    return evaluate({name: load(where[name], device="cpu").model for name in ordered}, settings, note)


def gap_recovered(
    base: Float[np.ndarray, " n"], model: Float[np.ndarray, " n"], led: Float[np.ndarray, " n"]
) -> Figure:
    """(led - base) / (model - base) in accuracy, unclipped, paired over problems."""
    return ratio(led - base, model - base)


def solved(asked: Sequence[Problem], responses: Sequence[Response]) -> Float[np.ndarray, " n"]:
    """1 for a right answer, 0 for a wrong one or none."""
    return np.array(
        [float(is_solved(problem, response.text)) for problem, response in zip(asked, responses, strict=True)]
    )


def pass_at_k(model: PreTrainedModel, asked: Sequence[Problem], settings: EvaluateSettings) -> dict[str, Figure]:
    """pass@k for k to the number of samples: 1 - C(n - c, k) / C(n, k), mean over problems (arXiv 2107.03374)."""
    sampler = torch.Generator().manual_seed(settings.seed)
    repeated = [problem for problem in asked for _ in range(settings.samples)]
    right = solved(repeated, respond(model, repeated, sampler)).reshape(len(asked), settings.samples)
    n, correct = settings.samples, right.sum(1)
    figures = {}
    for k in (k for k in PASS_AT if k <= n):
        # The product form: no factorial of hundreds.
        missed = np.ones(len(asked))
        for drawn in range(k):
            missed *= np.clip((n - correct - drawn) / (n - drawn), 0.0, None)
        figures[f"pass@{k}"] = ratio(1 - missed, np.ones(len(asked)))
    return figures
