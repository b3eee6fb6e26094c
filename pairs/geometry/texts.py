"""Let both models of a pair write, label the sentences, and let both read all of it: the spans that are compared.

Each model's first response to each test question is a text. Both models read every text, each with the prompt as it is
asked itself, so that a span has two activations that differ by the model alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Int

from ...activations import Activations, Example, collect
from ...models import LanguageModel
from ...probes.folds import common_labels
from ...rundir import InputError, RunDirectory, brief, listed
from ...traces import Template, Trace
from ..pair import Pair
from ..sampling import Role, Sampler
from .settings import GeometrySettings

ROLES: tuple[Role, ...] = get_args(Role)
LEAST_PROBLEMS = 6


@dataclass(frozen=True, eq=False, kw_only=True)
class PairActivations:
    """What both models made of the same spans.

    Attributes:
        base: Activations of the base.
        thinking: Of the thinking model, example by example those of the same spans.
        behaviours: That are in enough problems to be compared; spans of others serve as negatives.
    """

    base: Activations
    thinking: Activations
    behaviours: tuple[str, ...]

    __repr__ = brief

    @property
    def problems(self) -> Int[np.ndarray, " n_examples"]:
        """The number of each span's problem, 0 .. n_problems - 1, in the order of first occurrence."""
        number = {problem: place for place, problem in enumerate(dict.fromkeys(self.base.problems))}
        return np.array([number[problem] for problem in self.base.problems], dtype=np.int64)

    @property
    def n_problems(self) -> int:
        """The number of problems."""
        return len(set(self.base.problems))

    @property
    def layer_pairs(self) -> list[tuple[int, int]]:
        """Which block of the thinking model stands beside each block of the base: at the same share of the depth."""
        own, others = self.base.layers, self.thinking.layers
        if len(own) == 1:
            return [(own[0], others[-1])]
        places = np.linspace(0, len(others) - 1, len(own)).round().astype(int)
        return [(layer, others[place]) for layer, place in zip(own, places, strict=True)]


def activations_of(pair: Pair, settings: GeometrySettings, run: RunDirectory, progress: bool) -> PairActivations:
    """Let both models write and read.

    Args:
        pair: The models and problems.
        settings: How much is sampled, and which blocks are read.
        run: Keeps the responses and the activations.
        progress: Whether progress is shown.

    Returns:
        Activations of the spans that both models can read.

    Raises:
        InputError: Too few problems or behaviours are left.
    """
    texts = [text for role in ROLES for text in _texts(pair, role, settings, run, progress)]
    n_problems = len({text.problem for text in texts})
    if n_problems < LEAST_PROBLEMS:
        raise InputError(
            f"{pair.name}: the models write labelled sentences to {n_problems} problems, and {LEAST_PROBLEMS} are the "
            "least: give more (--test)"
        )
    templates = {"base": pair.base_template, "thinking": pair.thinking_template}
    base, thinking = (
        run.once(
            f"activations/{role}.safetensors",
            make=lambda role=role: _read(_model(pair, role), texts, templates[role], settings, progress),  # type: ignore[misc]
            save=Activations.save,
            open=_opened,
        )
        for role in ROLES
    )
    base, thinking = aligned(base, thinking)
    behaviours = common_labels(base.labels, base.problems, 2 * settings.n_folds)
    behaviours = [name for name in base.behaviours if name in behaviours]
    if len(behaviours) < 2:
        raise InputError(
            f"{pair.name}: two behaviours in at least {2 * settings.n_folds} problems are needed, of "
            f"{listed(base.behaviours)}: give more problems (--test) or fewer folds (--folds)"
        )
    return PairActivations(base=base, thinking=thinking, behaviours=tuple(behaviours))


def aligned(base: Activations, thinking: Activations) -> tuple[Activations, Activations]:
    """Select the spans that both models read, in one order.

    Args:
        base: Activations of one model.
        thinking: Of the other.

    Returns:
        Both, example by example of the same span.
    """
    if _keys(base.examples) == _keys(thinking.examples):
        return base, thinking
    places = {key: place for place, key in enumerate(_keys(thinking.examples))}
    rows = [(row, places[key]) for row, key in enumerate(_keys(base.examples)) if key in places]
    own, others = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return base.at_rows(own), thinking.at_rows(others)


def _keys(examples: Sequence[Example]) -> list[tuple[str, int, int, str]]:
    return [(example.trace, example.start, example.end, example.label) for example in examples]


def _texts(pair: Pair, role: Role, settings: GeometrySettings, run: RunDirectory, progress: bool) -> list[Trace]:
    sampler = Sampler(pair=pair, role=role, sampling=settings.sampling, seed=settings.seed, n_rows=settings.n_rows)
    texts = []
    for number, (question, responses) in enumerate(zip(pair.test, sampler.responses(run, progress), strict=True)):
        text = responses[0].text
        spans = tuple(pair.annotator(question.prompt, text)) if text.strip() else ()
        if spans:
            texts.append(Trace(f"{role}-{number}", question.prompt, text, spans, question.problem))
    return texts


def _model(pair: Pair, role: Role) -> LanguageModel:
    return pair.base if role == "base" else pair.thinking


def _read(
    model: LanguageModel, texts: list[Trace], template: Template, settings: GeometrySettings, progress: bool
) -> Activations:
    return collect(
        model, texts, layers=settings.layers, read=settings.read, template=template, truncate=True, progress=progress
    )


def _opened(path: Path) -> Activations:
    return Activations.open(path).load()
