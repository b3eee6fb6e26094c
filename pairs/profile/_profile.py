"""Which behaviours a base and the models trained from it show, which follows which, and what training changed of that.

Every model answers the test problems; its sentences are labelled; rates and transitions are counted over all, over the
right and over the wrong responses, and compared with the base's on the same problems. The control compares the base
with itself: every other response with those between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models._load import ModelLike
from ...rundir import InputError, RunDirectory, settings_of
from ...stats import mean_over_groups
from ..measuring import measure_each, pairs_to_measure
from ..opening import TRAINED_ORGANISMS, Problems
from ..pair import Pair
from ..sampling import Response, Role, Sampler
from .model_profile import ModelProfile, profile_of
from .policy import ALL, RIGHT, WRONG, Policy, policy_of
from .result import ProfileResult
from .settings import ProfileSettings

CONTROL = "the same, other samples"


def profile(
    base: ModelLike | None = None,
    thinking: ModelLike | Sequence[ModelLike] = TRAINED_ORGANISMS,
    problems: Problems | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    settings: ProfileSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> ProfileResult:
    """Count which behaviours a base and models trained from it show, and which follows which.

    Args:
        base: Model without the training; None: of each organism the base that it was trained from.
        thinking: Model with it, or several: each makes a pair with the base.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pairs: What is measured in place of all these (`question_pair`, `organism_pair`).
        settings: How much is sampled; default `ProfileSettings()`.
        out: Directory for results.json, table.csv, report.html and all responses; the same call goes on there where it
            was cut off. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        The profiles of each pair, with intervals over problems.

    Raises:
        InputError: Models, problems or settings cannot be used, or `out` holds another run or is being written.
    """
    chosen = settings_of(settings, ProfileSettings)
    return measure_each(
        "profile",
        pairs_to_measure(base, thinking, problems, pairs, chosen, device),
        chosen,
        out,
        lambda pair, run: _of_pair(pair, chosen, run, progress),
        lambda measured: ProfileResult(pairs=measured, settings=chosen),
    )


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A response, by its behaviours."""

    behaviours: tuple[str, ...]
    is_solved: bool | None


Labelled = Mapping[str, Sequence[_Labelled]]  # problem -> its responses


def _of_pair(pair: Pair, settings: ProfileSettings, run: RunDirectory, progress: bool) -> tuple[ModelProfile, ...]:
    base, thinking = (_labelled(pair, role, settings, run, progress) for role in ("base", "thinking"))
    responses = [response for of_model in (base, thinking) for some in of_model.values() for response in some]
    behaviours = sorted({name for response in responses for name in response.behaviours})
    if not behaviours:
        raise InputError(f"{pair.name}: no sentence of either model shows a behaviour; nothing can be counted")
    of_base = _profiles(pair.base.name, base, behaviours, None)
    policies = {kind: _policy(base, kind, behaviours) for kind in (ALL, RIGHT, WRONG)}
    return (*of_base, *_profiles(pair.thinking.name, thinking, behaviours, policies), _control(pair, base, behaviours))


def _profiles(
    name: str, labelled: Labelled, behaviours: Sequence[str], base: Mapping[str, Policy] | None
) -> list[ModelProfile]:
    solved = [sum(one.is_solved is True for one in some) / len(some) for some in labelled.values()]
    accuracy = mean_over_groups(np.array(solved))
    policies = {kind: _policy(labelled, kind, behaviours) for kind in (ALL, RIGHT, WRONG)}
    return [
        profile_of(name, kind, accuracy, policy, base[kind] if base else None)
        for kind, policy in policies.items()
        if policy.n_responses.any()
    ]


def _control(pair: Pair, base: Labelled, behaviours: Sequence[str]) -> ModelProfile:
    """Compare the base with itself."""
    halves = [{problem: some[part : len(some) // 2 * 2 : 2] for problem, some in base.items()} for part in (0, 1)]
    first, second = (_policy(half, ALL, behaviours) for half in halves)
    (of_base, *_) = _profiles(pair.base.name, base, behaviours, None)
    return profile_of(CONTROL, ALL, of_base.accuracy, second, first)


def _policy(labelled: Labelled, kind: str, behaviours: Sequence[str]) -> Policy:
    outcomes = {ALL: (True, False, None), RIGHT: (True,), WRONG: (False,)}[kind]
    return policy_of(
        {problem: [one.behaviours for one in some if one.is_solved in outcomes] for problem, some in labelled.items()},
        behaviours,
    )


def _labelled(
    pair: Pair, role: Role, settings: ProfileSettings, run: RunDirectory, progress: bool
) -> dict[str, list[_Labelled]]:
    sampler = Sampler(pair=pair, role=role, sampling=settings.sampling, seed=settings.seed, n_rows=settings.n_rows)
    labelled: dict[str, list[_Labelled]] = {}
    for question, responses in zip(pair.test, sampler.responses(run, progress), strict=True):
        labelled.setdefault(question.problem, []).extend(
            _Labelled(_behaviours(pair, question.prompt, response), response.is_solved) for response in responses
        )
    return labelled


def _behaviours(pair: Pair, prompt: str, response: Response) -> tuple[str, ...]:
    return tuple(span.label for span in pair.annotator(prompt, response.text))
