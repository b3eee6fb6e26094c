"""How likely a base is to write what a thinking model writes: losses, ranks, and matches of behaviours.

1. Both models answer the test problems, several times each.
2. Both read some of these responses, token by token (`token_reading.py`, `perplexity.py`).
3. The behaviours of all responses are compared (`matching.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...models._load import ModelLike
from ...rundir import InputError, RunDirectory, settings_of
from ...traces import Trace
from ..measuring import measure_each, pairs_to_measure
from ..opening import TRAINED_ORGANISMS, Problems
from ..pair import Pair
from ..sampling import Response, Role, Sampler
from .matching import match_curves
from .pair_likelihood import PairLikelihood
from .perplexity import loss_of, rank_shares
from .result import LikelihoodResult
from .settings import LikelihoodSettings
from .token_reading import TokenReading, read_texts
from .vectors_loss import VectorLoss, vector_losses

logger = logging.getLogger(__name__)

ROLES: tuple[Role, ...] = ("base", "thinking")


def likelihood(
    base: ModelLike | None = None,
    thinking: ModelLike | Sequence[ModelLike] = TRAINED_ORGANISMS,
    problems: Problems | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    settings: LikelihoodSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> LikelihoodResult:
    """Measure how likely a base is to write what a thinking model writes.

    Args:
        base: Model without the training; None: of each organism the base that it was trained from.
        thinking: Model with it, or several: each makes a pair with the base.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pairs: What is measured in place of all these (`question_pair`, `organism_pair`).
        settings: How much is sampled and read; default `LikelihoodSettings()`.
        out: Directory for results.json, table.csv, report.html and all responses; the same call goes on there where it
            was cut off. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        Losses, ranks and matches of each pair, with intervals over problems.

    Raises:
        InputError: Models, problems or settings cannot be used, or `out` holds another run or is being written.
    """
    chosen = settings_of(settings, LikelihoodSettings)
    return measure_each(
        "likelihood",
        pairs_to_measure(base, thinking, problems, pairs, chosen, device),
        chosen,
        out,
        lambda pair, run: _of_pair(pair, chosen, run, progress),
        lambda measured: LikelihoodResult(pairs=measured, settings=chosen),
    )


def _of_pair(pair: Pair, settings: LikelihoodSettings, run: RunDirectory, progress: bool) -> PairLikelihood:
    traces = {role: _traces(pair, role, settings, run, progress) for role in ROLES}
    # A response without text has nothing to be read, and counts where behaviours are matched.
    some = {
        role: [trace for of_question in of_role for trace in of_question[: settings.n_read] if trace.text.strip()]
        for role, of_role in traces.items()
    }
    for role in ROLES:
        if len({trace.problem for trace in some[role]}) < 2:
            raise InputError(
                f"{pair.name}: the {role} model writes a text to fewer than two problems, so none are read"
            )
    readings = {
        (writer, reader): _read(pair, reader, writer, some[writer], progress) for writer in ROLES for reader in ROLES
    }
    return PairLikelihood(
        base=pair.base.name,
        thinking=pair.thinking.name,
        losses=tuple(
            loss_of(writer, reader, some[writer], readings[writer, reader]) for writer in ROLES for reader in ROLES
        ),
        ranks=tuple(
            rank_shares(some["thinking"], readings["thinking", "base"], some["base"], readings["base", "base"])
        ),
        matches=tuple(
            match_curves(_behaviours(pair, traces["thinking"]), _behaviours(pair, traces["base"]), settings.seed)
        ),
        vectors=_vectors(pair, settings, some, progress),
    )


def _traces(
    pair: Pair, role: Role, settings: LikelihoodSettings, run: RunDirectory, progress: bool
) -> list[list[Trace]]:
    """Sample a model, and label what it writes: the responses to each question."""
    # With the same random numbers two like models would write the same texts, and match better than they should.
    seed = settings.seed + ROLES.index(role)
    sampler = Sampler(pair=pair, role=role, sampling=settings.sampling, seed=seed, n_rows=settings.n_rows)
    return [
        [_trace(pair, role, number, sample, response) for sample, response in enumerate(responses)]
        for number, responses in enumerate(sampler.responses(run, progress))
    ]


def _trace(pair: Pair, role: Role, number: int, sample: int, response: Response) -> Trace:
    question = pair.test[number]
    spans = tuple(pair.annotator(question.prompt, response.text))
    return Trace(f"{role}-{number}-{sample}", question.prompt, response.text, spans, question.problem)


def _read(pair: Pair, reader: Role, writer: Role, traces: Sequence[Trace], progress: bool) -> list[TokenReading]:
    model, template = {
        "base": (pair.base, pair.base_template),
        "thinking": (pair.thinking, pair.thinking_template),
    }[reader]
    return read_texts(model, traces, template, desc=f"{pair.name}: {reader} reads {writer}", progress=progress)


def _behaviours(pair: Pair, traces: Sequence[Sequence[Trace]]) -> dict[str, list[list[str]]]:
    """Problem -> the behaviours of each response, in order; a problem that is put in several ways counts once."""
    behaviours: dict[str, list[list[str]]] = {}
    for question, of_question in zip(pair.test, traces, strict=True):
        behaviours.setdefault(question.problem, [[span.label for span in trace.spans] for trace in of_question])
    return behaviours


def _vectors(
    pair: Pair, settings: LikelihoodSettings, traces: Mapping[Role, Sequence[Trace]], progress: bool
) -> tuple[VectorLoss, ...]:
    if not settings.has_vectors:
        return ()
    losses: list[VectorLoss] = []
    for writer in reversed(ROLES):
        try:
            losses += vector_losses(pair.base, writer, traces[writer], pair.base_template, settings.seed, progress)
        except InputError as error:
            logger.warning(f"{pair.name}: no vectors for responses of the {writer} model: {error}")
    return tuple(losses)
