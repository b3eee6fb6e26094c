"""Target sentences: what a model is to find likelier with a vector added, each after all that stands before it.

A target is one labelled sentence with its whole prefix as the model sees it (prompt, template, earlier sentences). Its
tokens [first, stop) are predicted at the positions [first - 1, stop - 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ...models import LanguageModel
from ...probes.folds import common_labels, grouped_folds
from ...rundir import InputError
from ...traces import Trace, encode
from .optimised_settings import OptimisedSettings


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """A sentence, tokens [first, stop) of `token_ids`."""

    text: int  # the number of its text
    token_ids: Int[np.ndarray, " stop"]
    first: int
    behaviour: str
    problem: str

    @property
    def stop(self) -> int:
        return len(self.token_ids)


@dataclass(frozen=True, eq=False, slots=True)
class Targets:
    """The sentences of each behaviour to train on, and those of other problems to stop by."""

    training: dict[str, list[Target]]
    held_out: dict[str, list[Target]]

    @property
    def all(self) -> list[Target]:
        return [target for part in (self.training, self.held_out) for each in part.values() for target in each]

    @property
    def behaviours(self) -> tuple[str, ...]:
        return tuple(self.training)

    @classmethod
    def of(cls, model: LanguageModel, traces: Sequence[Trace], settings: OptimisedSettings) -> Targets:
        """Raises InputError for a behaviour in too few problems to hold some out."""
        found = sentences(model, traces, settings)
        labels, problems = [each.behaviour for each in found], [each.problem for each in found]
        for behaviour in settings.behaviours or ():
            if behaviour not in labels:
                raise InputError(
                    f"no sentence shows {behaviour!r}; the labels here are {', '.join(sorted(set(labels)))}. Check the "
                    "spelling."
                )
        wanted = settings.behaviours or tuple(common_labels(labels, problems, settings.n_folds))
        if not wanted:
            raise InputError(
                f"no behaviour is in {settings.n_folds} problems or more, which are needed to hold some out; give more "
                "traces, or fewer folds"
            )
        folds = grouped_folds(labels, problems, wanted, settings.n_folds, settings.seed)
        random = np.random.default_rng(settings.seed)
        training: dict[str, list[Target]] = {}
        held_out: dict[str, list[Target]] = {}
        for behaviour in wanted:
            shows = np.array([label == behaviour for label in labels])
            for kept, where in ((training, shows & (folds != 0)), (held_out, shows & (folds == 0))):
                rows = random.permutation(np.flatnonzero(where))[: settings.max_spans]
                kept[behaviour] = [found[row] for row in sorted(rows)]
        return cls(training, held_out)


def sentences(model: LanguageModel, traces: Sequence[Trace], settings: OptimisedSettings) -> list[Target]:
    """Every labelled sentence that has a token before it other than the first of the text, which is a sink."""
    found = []
    encoded = encode(model, traces, template=settings.template, truncate=settings.truncate)
    for number, text in enumerate(encoded):
        for span, tokens in zip(text.trace.spans, text.spans, strict=True):
            if tokens is not None and tokens[0] > 1:
                stop = min(tokens[1], tokens[0] + settings.max_target_tokens)
                found.append(Target(number, text.token_ids[:stop], tokens[0], span.label, text.trace.problem))
    return found
