"""Let both models of a pair answer the test problems many times, and count what is right."""

from __future__ import annotations

from collections.abc import Sequence

from ...rundir import RunDirectory
from ...traces.questions import Question
from ..pair import Pair
from ..sampling import Response, Role, Sampler
from .counts import Matched, ProblemCounts
from .settings import PasskSettings

BASE: Role = "base"
THINKING: Role = "thinking"


def sample_counts(pair: Pair, settings: PasskSettings, run: RunDirectory, progress: bool) -> Matched:
    """Sample both models and count right responses.

    Args:
        pair: The models and problems.
        settings: How is sampled.
        run: Keeps `responses/base.jsonl` and `responses/thinking.jsonl`, a row for each response, batch by batch.
        progress: Whether bars are shown.

    Returns:
        The counts by question.
    """
    counts: dict[str, tuple[ProblemCounts, ...]] = {}
    notes = []
    names = _names(pair.test)
    for role in (BASE, THINKING):
        sampler = Sampler(
            pair=pair,
            role=role,
            sampling=settings.sampling,
            seed=settings.seed,
            n_rows=settings.n_rows,
            step_by_step=settings.step_by_step,
        )
        rows = sampler.responses(run, progress)
        counts[role] = tuple(_counted(name, some) for name, some in zip(names, rows, strict=True))
        responses = [response for some in rows for response in some]
        if n_unsure := sum(response.is_solved is None for response in responses):
            notes.append(f"{n_unsure} responses of {sampler.model.name} cannot be graded by rule, and count as wrong")
        if n_cut := sum(response.is_truncated for response in responses):
            notes.append(
                f"{n_cut} of {len(responses)} responses of {sampler.model.name} were cut off (--max-new-tokens)"
            )
    problems = tuple(question.problem for question in pair.test)
    groups = None if len(set(problems)) == len(problems) else problems
    return Matched(base=counts[BASE], thinking=counts[THINKING], groups=groups, notes=tuple(notes))


def _counted(name: str, responses: Sequence[Response]) -> ProblemCounts:
    knows_steps = all(response.has_right_steps is not None for response in responses)
    return ProblemCounts(
        id=name,
        n=len(responses),
        c=sum(response.is_solved is True for response in responses),
        right_steps=sum(response.has_right_steps is True for response in responses) if knows_steps else None,
    )


def _names(questions: Sequence[Question]) -> list[str]:
    """Name questions by their problem; several of one problem by their number too."""
    names: list[str] = []
    times: dict[str, int] = {}
    for question in questions:
        times[question.problem] = times.get(question.problem, 0) + 1
        number = times[question.problem]
        names.append(question.problem if number == 1 else f"{question.problem} ({number})")
    return names
