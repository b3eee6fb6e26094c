"""Optimised vectors: found by gradient descent so that, added at one block, they make a behaviour's sentences likelier.

    v = argmin mean over the behaviour's sentences of -log p(sentence | all before it, v added at layer L)

(As category vectors of arXiv 2510.07364.) Nothing in the model's own activations has to look like the vector: it is
found by what it does. With `bias`, a general vector b is found first on the sentences of all behaviours and frozen, and
v is what a behaviour needs beside it: what makes any sentence of these texts likelier is then no part of v.

Problems that training never sees decide when to stop, and on them stand beside each vector: the loss and the first
token's probability unsteered, and with vectors of random direction and the same length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from ...activations import CollectSettings, Read, collect
from ...models import load
from ...models._load import ModelLike
from ...rundir import InputError
from ...rundir.progress import ProgressBar
from ...traces import Trace, digest
from ..directions import Directions
from .descent import Descended, Task, descend
from .likelihood import frozen, likelihood
from .optimised_settings import OptimisedSettings
from .rows import Batches
from .targets import Target, Targets

BIAS = "bias"


def optimised_directions(
    model: ModelLike,
    traces: Sequence[Trace],
    layers: str | Sequence[int] | None = None,
    settings: OptimisedSettings | None = None,
    *,
    progress: bool = False,
) -> Directions:
    """A vector for every behaviour and layer, in the units of the residual stream, pointing towards the behaviour.

    Unlike other methods it needs the model and traces, whose sentences it makes likelier: those of a thinking model to
    steer its base. Each layer is a search of its own; None: all. With `settings.bias` the general vector is kept as
    "bias", to be added together with a behaviour's.

    Scores, on held-out problems at each layer: `held_out_loss` (nats a token) and `first_token_probability`, the same
    with `_unsteered` and `_random`; `steps`; with `n_resamples` also `bootstrap_cosine`.

    Raises InputError for a layer that does not exist and for behaviours in too few problems.
    """
    settings = settings or OptimisedSettings()
    handle, texts = load(model), list(traces)
    wanted = CollectSettings(layers=layers).layers_of(handle)
    targets = Targets.of(handle, texts, settings)
    if BIAS in targets.behaviours and settings.bias:
        raise InputError(f"a behaviour is called {BIAS!r}, as is the general vector; rename it, or leave the bias out")
    norms = collect(
        handle, texts, layers=wanted, template=settings.template, truncate=settings.truncate, progress=False
    ).residual_norm.tolist()
    names = (*(() if settings.bias_only else targets.behaviours), *([BIAS] if settings.bias else []))
    vectors: dict[str, list[Tensor]] = {name: [] for name in names}
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    n_steps = len(wanted) * (2 if settings.bias and not settings.bias_only else 1) * settings.max_steps
    with frozen(handle), ProgressBar(desc="optimising vectors", unit="step", total=n_steps, progress=progress) as bar:
        batches = Batches.of(handle, targets.all, settings)
        for layer, norm in zip(wanted, norms, strict=True):
            search = _Search(batches, layer, norm, targets, bar)
            for name, (vector, figures) in search.found():
                vectors[name].append(vector)
                for figure, value in figures.items():
                    scores[name].setdefault(figure, []).append(value)
    sentences = {name: targets.training[name] + targets.held_out[name] for name in targets.behaviours}
    everything = [target for each in sentences.values() for target in each]
    whence = "at the token before a sentence" if settings.where == "before" else "at every token that predicts it"
    read = Read.before() if settings.where == "before" else Read.window(-1, max(settings.max_target_tokens - 1, 1))
    return Directions(
        vectors={name: torch.stack(rows) for name, rows in vectors.items()},
        layers=wanted,
        method=f"optimised, added {whence}, dose at most {settings.max_dose:g}"
        f"{', on top of a frozen bias' if settings.bias else ''}, seed {settings.seed}",
        model=handle.identity(),
        read=str(read),
        residual_norm=tuple(norms),
        n_examples={name: len(sentences.get(name, everything)) for name in names},
        n_problems=len({target.problem for target in everything}),
        scores=scores,
        data_digest=digest(texts),
    )


class _Search:
    """The search at one layer."""

    def __init__(
        self,
        batches: Batches,
        layer: int,
        norm: float,
        targets: Targets,
        bar: ProgressBar,
    ) -> None:
        self._batches, self._layer, self._norm = batches, layer, norm
        self._targets, self._settings, self._bar = targets, batches.settings, bar
        self._random = np.random.default_rng([self._settings.seed, layer])

    def found(self) -> Iterator[tuple[str, tuple[Tensor, dict[str, float]]]]:
        """The name, vector and figures of every behaviour, and of the bias."""
        bias = None
        if self._settings.bias:
            evenly = Task(_in_turn(self._targets.training), _in_turn(self._targets.held_out))
            general = self._descend([evenly], None)
            bias = general.doses[0]
            yield BIAS, (bias * self._norm, self._figures(evenly.held_out, bias, None, general.steps[0]))
            if self._settings.bias_only:
                return
        names = self._targets.behaviours
        tasks = [Task(self._targets.training[name], self._targets.held_out[name]) for name in names]
        again = [
            Task(_resampled(task.training, self._random), task.held_out)
            for task in tasks
            for _ in range(self._settings.n_resamples)
        ]
        searched = self._descend([*tasks, *again], bias)
        resampled = searched.doses[len(tasks) :].view(
            len(tasks), self._settings.n_resamples, self._batches.model.d_model
        )
        for place, (name, task) in enumerate(zip(names, tasks, strict=True)):
            dose = searched.doses[place]
            figures = self._figures(task.held_out, dose, bias, searched.steps[place])
            if self._settings.n_resamples:
                cosines = cosine_similarity(resampled[place], dose[None], dim=-1).numpy()
                figures |= {
                    "bootstrap_cosine": float(cosines.mean()),
                    "bootstrap_cosine_low": float(np.quantile(cosines, 0.025)),
                    "bootstrap_cosine_high": float(np.quantile(cosines, 0.975)),
                }
            yield name, (dose * self._norm, figures)

    def _descend(self, tasks: list[Task], bias: Tensor | None) -> Descended:
        return descend(
            self._batches,
            self._layer,
            self._norm,
            tasks,
            bias=bias,
            random=self._random,
            done=self._bar.update,
        )

    def _figures(
        self, held_out: Sequence[Target], dose: Float[Tensor, " d_model"], bias: Tensor | None, step: int
    ) -> dict[str, float]:
        """Of a vector on held-out sentences, beside nothing and random directions of its length."""
        generator = torch.Generator().manual_seed(int(self._random.integers(2**31)))
        under = torch.zeros_like(dose) if bias is None else bias
        drawn = normalize(torch.randn(self._settings.n_random, len(dose), generator=generator), dim=-1) * dose.norm()
        figures = {"steps": float(step)}
        arms = {"": [dose + under], "_unsteered": [torch.zeros_like(dose)], "_random": [each + under for each in drawn]}
        if bias is not None:
            arms["_bias"] = [under]
        for arm, doses in arms.items():
            found = [self._likelihood(held_out, each) for each in doses]
            figures[f"held_out_loss{arm}"] = float(np.mean([loss for loss, _ in found]))
            figures[f"first_token_probability{arm}"] = float(np.mean([first for _, first in found]))
        return figures

    def _likelihood(self, held_out: Sequence[Target], dose: Float[Tensor, " d_model"]) -> tuple[float, float]:
        vectors = (dose * self._norm).to(self._batches.model.device).expand(len(held_out), -1)
        found = likelihood(self._batches, self._layer, held_out, vectors)
        return float(found.loss.mean()), float(found.first.mean())


def _in_turn(by_behaviour: dict[str, list[Target]]) -> list[Target]:
    """As many sentences of each behaviour: the fewest that one has."""
    n = min(map(len, by_behaviour.values()))
    return [targets[at * len(targets) // n] for at in range(n) for targets in by_behaviour.values()]


def _resampled(targets: Sequence[Target], random: np.random.Generator) -> list[Target]:
    """The sentences of as many problems, drawn with replacement."""
    by_problem: dict[str, list[Target]] = {}
    for target in targets:
        by_problem.setdefault(target.problem, []).append(target)
    problems = list(by_problem.values())
    return [target for drawn in random.integers(len(problems), size=len(problems)) for target in problems[drawn]]
