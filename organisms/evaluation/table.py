"""The figures of a family of organisms, on test problems that no training saw.

Of each model: `accuracy` (greedy, on its own kind of problems: doubled ones for `sft`, ordinary ones for the rest),
also by family; `doubled_accuracy`; `response_tokens`; `step_correctness/<move>`: given right words before, the model
says the sentence rightly (in right responses that go through every step, and in those of the base corpus).

Held against the base, on the same problems: `accuracy_of_base`; the `gap` to it; `content_kl` and `decision_kl`,
KL(base || model) in nats a token along the model's own sampled responses; `led_accuracy` of the base when every first
word of a sentence is the model's, the `share_forced` of its tokens for which that made a difference, and the share of
the gap that is recovered by it.

Of base and rl: `pass@k` by sampling, on ordinary problems (`ordinary_pass@k`) and on those that only differences solve,
the way that reward drops (`dropped_pass@k`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedModel

from ...models import organism_names
from ...rundir import InputError, settings_of
from ...stats import (
    Groups,
    Interval,
    mean_over_groups,
    pass_at_k,
    proportion_over_groups,
    ratio_over_groups,
)
from ..policy import DRILL, IDEAL_DOUBLING
from ..rollouts import organism_model
from ..sampling import respond, sample_texts, solved
from ..task import Problem, problems
from ._truth import (
    LEARNT_DOUBLING,
    habitual_texts,
    texts_by,
    unseen,
)
from .measure import divergence, skill

logger = logging.getLogger(__name__)

Table: TypeAlias = dict[str, dict[str, Interval]]

PASS_AT = (1, 4, 16, 64, 256)
SMALLEST_GAP = 0.05  # a share of a gap that may be smaller than this says nothing


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """problems: for accuracy and forcing. texts: responses read for skill and divergence. pass_problems and samples of
    each: for pass@k. seed: of problems and samples."""

    problems: int = 500
    texts: int = 300
    pass_problems: int = 60
    samples: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.problems < 20 or self.samples < 0:
            raise InputError(
                f"a family is measured on 20 problems or more, with 0 samples or more; not {self.problems} and "
                f"{self.samples}"
            )


def evaluate(
    models: Mapping[str, PreTrainedModel],
    settings: EvaluateSettings | None = None,
) -> Table:
    """Model name -> figure -> value with interval. `models` must hold `base`; what is compared is compared to it."""
    chosen = settings_of(settings, EvaluateSettings)
    plain = _Ground(models["base"], unseen(chosen.problems, chosen.seed))
    doubled = _Ground(models["base"], unseen(chosen.problems, chosen.seed, doubled=True))
    table: Table = {}
    for name, model in models.items():
        logger.info(f"{name}: accuracy, steps and divergence")
        table[name] = _row(model, doubled if name in LEARNT_DOUBLING else plain, doubled, chosen)
    dropped = list(islice(problems("test", chosen.seed, {"differences": 1.0}), chosen.pass_problems))
    for name in ("base", "rl"):
        for kind, test_problems in (("ordinary", plain.problems[: chosen.pass_problems]), ("dropped", dropped)):
            if chosen.samples and name in models:
                logger.info(
                    f"{name}: pass@k, {chosen.samples} responses to each of {len(test_problems)} {kind} problems"
                )
                figures = sampled_pass_at_k(models[name], test_problems, chosen)
                table[name] |= {f"{kind}_{figure}": value for figure, value in figures.items()}
    return table


class _Ground:
    """Problems, and how the base does on them."""

    def __init__(self, base: PreTrainedModel, problems: list[Problem]) -> None:
        self.base, self.problems = base, problems
        self.by_base = solved(problems, respond(base, problems))
        self.groups = [problem.group for problem in problems]


def _row(model: PreTrainedModel, own: _Ground, doubled: _Ground, chosen: EvaluateSettings) -> dict[str, Interval]:
    is_base = model is own.base
    responses = respond(model, own.problems)
    right = solved(own.problems, responses)
    figures = {"accuracy": proportion_over_groups(right, own.groups)}
    for family in sorted({problem.family or "" for problem in own.problems}):
        of_family = np.array([problem.family == family for problem in own.problems])
        figures[f"accuracy/{family}"] = proportion_over_groups(right[of_family], np.array(own.groups)[of_family])
    figures["accuracy_of_base"] = proportion_over_groups(own.by_base, own.groups)
    figures["doubled_accuracy"] = proportion_over_groups(
        right if own is doubled else solved(doubled.problems, respond(model, doubled.problems)), doubled.groups
    )
    figures["response_tokens"] = mean_over_groups(
        _array(response.n_tokens for response in responses), groups=own.groups
    )
    if own is doubled:
        right_texts = texts_by(IDEAL_DOUBLING, own.problems)
    else:
        right_texts = [*texts_by(DRILL, own.problems[: chosen.texts]), *habitual_texts(own.problems)]
    figures |= {f"step_correctness/{move}": figure for move, figure in skill(model, right_texts).items()}
    if is_base:
        return figures
    texts = sample_texts(model, own.problems[: chosen.texts], chosen.seed)
    figures |= {f"{kind}_kl": figure for kind, figure in divergence(own.base, model, texts).items()}
    led = respond(own.base, own.problems, guide=model)
    led_right = solved(own.problems, led)
    figures["led_accuracy"] = proportion_over_groups(led_right, own.groups)
    figures["gap"] = mean_over_groups(right - own.by_base, groups=own.groups)
    if figures["gap"].low > SMALLEST_GAP:
        figures["gap_recovered"] = gap_recovered(own.by_base, right, led_right, own.groups)
    figures["share_forced"] = ratio_over_groups(
        _array(response.n_forced for response in led),
        _array(response.n_tokens for response in led),
        groups=own.groups,
    )
    return figures


def _array(values: Iterable[int]) -> Float[np.ndarray, " n"]:
    return np.fromiter(values, dtype=np.float64)


def organisms_evaluate(
    directory: Path | None = None,
    settings: EvaluateSettings | None = None,
) -> Table:
    """The table of a trained family, or of the organisms that come with reasonlens.

    Raises InputError if the directory holds no base.
    """
    if directory is None:
        names = [name.removeprefix("organism/") for name in organism_names() if "@" not in name]
        where: dict[str, str | Path] = {name: f"organism/{name}" for name in names}
    else:
        names = [path.parent.name for path in sorted(directory.glob("[!.]*/config.json"))]
        where = {name: directory / name for name in names}
    if "base" not in where:
        where_to = "the package" if directory is None else directory
        raise InputError(f"there is no model base in {where_to}: train a family with `reasonlens organisms train`")
    ordered = sorted(where, key=lambda name: (name != "base", name))
    return evaluate({name: organism_model(where[name]) for name in ordered}, settings)


def gap_recovered(
    base: Float[np.ndarray, " n"],
    model: Float[np.ndarray, " n"],
    led: Float[np.ndarray, " n"],
    groups: Groups | None = None,
) -> Interval:
    """(led - base) / (model - base) in accuracy, unclipped, paired over problems."""
    return ratio_over_groups(led - base, model - base, groups=groups)


def sampled_pass_at_k(
    model: PreTrainedModel, problems: Sequence[Problem], settings: EvaluateSettings
) -> dict[str, Interval]:
    """Sample responses, and estimate pass@k for k to their number, mean over problems."""
    repeated = [problem for problem in problems for _ in range(settings.samples)]
    right = solved(repeated, respond(model, repeated, settings.seed)).reshape(len(problems), settings.samples)
    n_right = right.sum(axis=1)
    return {
        f"pass@{k}": mean_over_groups(
            pass_at_k(n_right, settings.samples, k), groups=[problem.group for problem in problems]
        )
        for k in PASS_AT
        if k <= settings.samples
    }
