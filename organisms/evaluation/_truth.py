"""The known truth of an organism: what it does in each state, and which of its steps are right.

Along fixed texts the policies of two models differ only by the models; along a model's own responses it is the policy
that the model in fact has there.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from ...stats import Interval
from ..policy import (
    DRILL,
    IDEAL_DOUBLING,
    Policy,
    habits,
    write,
)
from ..sampling import sample_texts
from ..search import BEHAVIOUR
from ..task import DOUBLES, Problem, problems
from .measure import Texts, policy, skill

LEARNT_DOUBLING = ("sft",)


def truth(model: PreTrainedModel, name: str, n_problems: int) -> dict[str, Any]:
    """Policy and skill of the member of this name, as JSON; see `models.organism.Organism.truth` for what is in it.

    The habits are read along three times as many texts: few of them come to a clash.
    """
    plain, doubled = unseen(n_problems), unseen(n_problems, doubled=True)
    return {
        "policy": {
            "habits": _plain(policy(model, habitual_texts(unseen(3 * n_problems)))),
            "own": _plain(policy(model, sample_texts(model, doubled if name in LEARNT_DOUBLING else plain, seed=0))),
        },
        "skill": {
            "plain": _plain(skill(model, [*texts_by(DRILL, plain), *habitual_texts(plain)])),
            "doubled": _plain(skill(model, texts_by(IDEAL_DOUBLING, doubled))),
        },
        "behaviours": dict(BEHAVIOUR),
    }


def unseen(n: int, seed: int = 0, doubled: bool = False) -> list[Problem]:
    return list(islice(problems("test", seed, DOUBLES if doubled else None), n))


def habitual_texts(problems: list[Problem], seed: int = 0) -> Texts:
    """Responses by the habits of the base corpus: the same ground for every model."""
    generator = np.random.default_rng([seed, 1])
    return [(problem, write(problem, habits(generator), generator)) for problem in problems]


def texts_by(policy: Policy, problems: list[Problem], seed: int = 0) -> Texts:
    """Right responses by a policy."""
    generator = np.random.default_rng([seed, 2])
    return [(problem, write(problem, policy, generator)) for problem in problems]


def _plain(table: Mapping[Any, Any]) -> dict[str, Any]:
    return {key: value.to_dict() if isinstance(value, Interval) else _plain(value) for key, value in table.items()}
