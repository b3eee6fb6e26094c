"""Find vectors by gradient descent: added at one block's output, they make a behaviour's sentences likelier.

    v = argmin mean over the behaviour's sentences of -log p(sentence | all before it, v added at layer L)

(As the category vectors of arXiv 2510.07364.) The vector is defined by its effect; nothing in the model's own
activations has to resemble it. With `bias`, a general vector b is optimised first on the sentences of all behaviours
and frozen, and v is what a behaviour needs in addition: what makes any sentence of these texts likelier is then no
part of v.

Problems that training never uses decide when to stop. On others, which neither train nor stop it, each vector is
compared with no steering and with vectors of random direction and the same length; the figures on the stopping
problems, which the choice of the step flatters, stand beside.
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
from ...models.device_copies import uploaded
from ...rundir import InputError, settings_of
from ...rundir.progress import ProgressBar
from ...stats import Interval, percentile_ends
from ...traces import TraceSource, digest, resolve_traces
from .._directions import Directions
from .descent import DescentResult, Task, descend
from .likelihood import frozen, sentence_likelihood
from .optimised_settings import OptimisedSettings
from .rows import Batches
from .targets import Target, Targets

BIAS = "bias"


def optimised_directions(
    model: ModelLike,
    traces: TraceSource,
    layers: str | Sequence[int] | None = None,
    settings: OptimisedSettings | None = None,
    *,
    progress: bool = False,
) -> Directions:
    """Optimise a vector for every behaviour and layer that makes the behaviour's sentences likelier.

    Unlike the other methods this one needs the model itself. The traces may come from another model: those of a
    thinking model give vectors that steer its base model.

    Args:
        model: The model to steer: a name, a handle or a loaded model.
        traces: "bundled", a file, or traces with labelled sentences (objects, or dictionaries as in the file).
        layers: The layers, each searched on its own ("8:24", [12, 16]); None means all.
        settings: How the search is done; None means the defaults.
        progress: Show a progress bar over steps.

    Returns:
        The vectors, in the units of the residual stream, pointing towards the behaviour. With `settings.bias` the
        general vector is stored as "bias", to be added together with a behaviour's. Scores at each layer:
        `held_out_loss` (nats a token) and `first_token_probability` on problems that neither trained nor stopped the
        vector (missing where there are fewer than three of them), `stopping_loss` and
        `stopping_first_token_probability` on those that stopped it, each also with the suffix `_unsteered`, `_random`
        and (with `bias`) `_bias`; `steps`; with `n_resamples` also `bootstrap_cosine`.

    Raises:
        InputError: A layer does not exist, a behaviour is in too few problems, or one is called "bias" while
            `settings.bias` is on.
    """
    settings = settings_of(settings, OptimisedSettings)
    handle, texts = load(model), resolve_traces(traces)
    layer_numbers = CollectSettings(layers=layers).layers_of(handle)
    targets = Targets.of(handle, texts, settings)
    if BIAS in targets.behaviours and settings.bias:
        raise InputError(f"a behaviour is called {BIAS!r}, as is the general vector; rename it, or leave the bias out")
    norms = collect(
        handle, texts, layers=layer_numbers, template=settings.template, truncate=settings.truncate, progress=False
    ).residual_norm.tolist()
    names = (*(() if settings.bias_only else targets.behaviours), *([BIAS] if settings.bias else []))
    vectors: dict[str, list[Tensor]] = {name: [] for name in names}
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    n_steps = len(layer_numbers) * (2 if settings.bias and not settings.bias_only else 1) * settings.max_steps
    with frozen(handle), ProgressBar(desc="optimising vectors", unit="step", total=n_steps, progress=progress) as bar:
        batches = Batches.of(handle, targets.all, settings)
        for layer, norm in zip(layer_numbers, norms, strict=True):
            search = _LayerSearch(batches, layer, norm, targets, bar)
            for name, (vector, vector_scores) in search.run():
                vectors[name].append(vector)
                for score, value in vector_scores.items():
                    scores[name].setdefault(score, []).append(value)
    sentences = {
        name: targets.training[name] + targets.stopping[name] + targets.held_out[name] for name in targets.behaviours
    }
    all_sentences = [target for behaviour_sentences in sentences.values() for target in behaviour_sentences]
    position = "at the token before a sentence" if settings.where == "before" else "at every token that predicts it"
    read = Read.before() if settings.where == "before" else Read.window(-1, max(settings.max_target_tokens - 1, 1))
    return Directions(
        vectors={name: torch.stack(rows) for name, rows in vectors.items()},
        layers=layer_numbers,
        method=f"optimised, added {position}, strength at most {settings.max_strength:g}"
        f"{', on top of a frozen bias' if settings.bias else ''}, seed {settings.seed}",
        model=handle.identity(),
        read=str(read),
        residual_norm=tuple(norms),
        n_examples={name: len(sentences.get(name, all_sentences)) for name in names},
        n_problems=len({target.problem for target in all_sentences}),
        n_problems_showing={
            name: len({target.problem for target in sentences.get(name, all_sentences)}) for name in names
        },
        scores=scores,
        data_digest=digest(texts),
        split=targets.problems_by_part(),
    )


class _LayerSearch:
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

    def run(self) -> Iterator[tuple[str, tuple[Tensor, dict[str, float]]]]:
        """Optimise the bias and every behaviour's vector; yield name, vector and scores of each."""
        bias = None
        if self._settings.bias:
            task = Task(_balanced(self._targets.training), _balanced(self._targets.stopping))
            result = self._descend([task], None)
            bias = result.relative_vectors[0]
            held_out = _balanced({name: part for name, part in self._targets.held_out.items() if part})
            yield BIAS, (bias * self._norm, self._scores(task.stopping, held_out, bias, None, result.steps[0]))
            if self._settings.bias_only:
                return
        names = self._targets.behaviours
        tasks = [Task(self._targets.training[name], self._targets.stopping[name]) for name in names]
        resampled_tasks = [
            Task(_resample_problems(task.training, self._random), task.stopping)
            for task in tasks
            for _ in range(self._settings.n_resamples)
        ]
        result = self._descend([*tasks, *resampled_tasks], bias)
        resampled = result.relative_vectors[len(tasks) :].view(
            len(tasks), self._settings.n_resamples, self._batches.model.d_model
        )
        for index, (name, task) in enumerate(zip(names, tasks, strict=True)):
            relative_vector = result.relative_vectors[index]
            scores = self._scores(
                task.stopping, self._targets.held_out[name], relative_vector, bias, result.steps[index]
            )
            if self._settings.n_resamples:
                cosines = cosine_similarity(resampled[index], relative_vector[None], dim=-1).numpy()
                scores |= Interval(float(cosines.mean()), *percentile_ends(cosines)).columns("bootstrap_cosine")
            yield name, (relative_vector * self._norm, scores)

    def _descend(self, tasks: list[Task], bias: Tensor | None) -> DescentResult:
        return descend(
            self._batches,
            self._layer,
            self._norm,
            tasks,
            bias=bias,
            random=self._random,
            on_steps=self._bar.update,
        )

    def _scores(
        self,
        stopping: Sequence[Target],
        held_out: Sequence[Target],
        relative_vector: Float[Tensor, " d_model"],
        bias: Tensor | None,
        step: int,
    ) -> dict[str, float]:
        """Compare a vector with no steering and random directions of its length, on stopping and held-out sentences."""
        generator = torch.Generator().manual_seed(int(self._random.integers(2**31)))
        base = torch.zeros_like(relative_vector) if bias is None else bias
        noise = torch.randn(self._settings.n_random, len(relative_vector), generator=generator)
        random_vectors = normalize(noise, dim=-1) * relative_vector.norm()
        scores = {"steps": float(step)}
        arms = {
            "": [relative_vector + base],
            "_unsteered": [torch.zeros_like(relative_vector)],
            "_random": [random_vector + base for random_vector in random_vectors],
        }
        if bias is not None:
            arms["_bias"] = [base]
        for arm, arm_vectors in arms.items():
            for part, targets in (("stopping_", stopping), ("held_out_", held_out)):
                if not targets:
                    continue
                results = [self._mean_likelihood(targets, arm_vector) for arm_vector in arm_vectors]
                first_token = f"{part.removeprefix('held_out_')}first_token_probability"
                scores[f"{part}loss{arm}"] = float(np.mean([loss for loss, _ in results]))
                scores[f"{first_token}{arm}"] = float(np.mean([probability for _, probability in results]))
        return scores

    def _mean_likelihood(
        self, targets: Sequence[Target], relative_vector: Float[Tensor, " d_model"]
    ) -> tuple[float, float]:
        vectors = uploaded(relative_vector * self._norm, self._batches.model.device).expand(len(targets), -1)
        result = sentence_likelihood(self._batches, self._layer, targets, vectors)
        return float(result.loss.mean()), float(result.first_token_probability.mean())


def _balanced(by_behaviour: dict[str, list[Target]]) -> list[Target]:
    """Take the same number of sentences of each behaviour, evenly spaced: as many as the rarest one has."""
    n = min(map(len, by_behaviour.values()), default=0)
    return [targets[row * len(targets) // n] for row in range(n) for targets in by_behaviour.values()]


def _resample_problems(targets: Sequence[Target], random: np.random.Generator) -> list[Target]:
    """Draw as many problems as there are, with replacement, and return their sentences."""
    by_problem: dict[str, list[Target]] = {}
    for target in targets:
        by_problem.setdefault(target.problem, []).append(target)
    problems = list(by_problem.values())
    chosen = random.integers(len(problems), size=len(problems))
    return [target for problem in chosen for target in problems[problem]]
