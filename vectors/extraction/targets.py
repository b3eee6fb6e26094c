"""Select target sentences: those that a vector is to make likelier, each after all the text before it.

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
from ...rundir import InputError, listed
from ...traces import Trace, encode
from .optimised_settings import OptimisedSettings


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """A labelled sentence: the tokens [first, stop) of `token_ids`."""

    text: int  # the number of its text
    token_ids: Int[np.ndarray, " stop"]
    first: int
    behaviour: str
    problem: str

    @property
    def stop(self) -> int:
        """The end of the sentence in `token_ids`."""
        return len(self.token_ids)


@dataclass(frozen=True, eq=False, slots=True)
class Targets:
    """The sentences of each behaviour: those to train on, and those of other problems that decide when to stop."""

    training: dict[str, list[Target]]
    held_out: dict[str, list[Target]]

    @property
    def all(self) -> list[Target]:
        """All sentences, training first."""
        return [
            target
            for by_behaviour in (self.training, self.held_out)
            for targets in by_behaviour.values()
            for target in targets
        ]

    @property
    def behaviours(self) -> tuple[str, ...]:
        """The behaviours that have sentences."""
        return tuple(self.training)

    @classmethod
    def of(cls, model: LanguageModel, traces: Sequence[Trace], settings: OptimisedSettings) -> Targets:
        """Select and split the sentences of `traces`.

        Args:
            model: The model whose tokenizer encodes the traces.
            traces: Traces with labelled sentences.
            settings: Which behaviours, how many sentences of each, and how many folds.

        Returns:
            The sentences; one fold of the problems is held out.

        Raises:
            InputError: No sentence shows a behaviour, or none is in enough problems to hold some out.
        """
        targets = labelled_sentences(model, traces, settings)
        labels, problems = [target.behaviour for target in targets], [target.problem for target in targets]
        for behaviour in settings.behaviours or ():
            if behaviour not in labels:
                raise InputError(
                    f"no sentence shows {behaviour!r:.60}; the labels here are {listed(sorted(set(labels)), 10)}. "
                    "Check the spelling."
                )
        behaviours = settings.behaviours or tuple(common_labels(labels, problems, settings.n_folds))
        if not behaviours:
            raise InputError(
                f"no behaviour is in {settings.n_folds} problems or more, which are needed to hold some out; give more "
                "traces, or fewer folds"
            )
        folds = grouped_folds(labels, problems, behaviours, settings.n_folds, settings.seed)
        random = np.random.default_rng(settings.seed)
        training: dict[str, list[Target]] = {}
        held_out: dict[str, list[Target]] = {}
        for behaviour in behaviours:
            shows_behaviour = np.array([label == behaviour for label in labels])
            for part, is_member in (
                (training, shows_behaviour & (folds != 0)),
                (held_out, shows_behaviour & (folds == 0)),
            ):
                rows = random.permutation(np.flatnonzero(is_member))[: settings.max_spans]
                part[behaviour] = [targets[row] for row in sorted(rows)]
        return cls(training, held_out)


def labelled_sentences(model: LanguageModel, traces: Sequence[Trace], settings: OptimisedSettings) -> list[Target]:
    """Return every labelled sentence that has a token before it other than the first of the text, which is a sink."""
    targets = []
    encoded = encode(model, traces, template=settings.template, truncate=settings.truncate)
    for number, text in enumerate(encoded):
        for span, tokens in zip(text.trace.spans, text.spans, strict=True):
            if tokens is not None and tokens[0] > 1:
                stop = min(tokens[1], tokens[0] + settings.max_target_tokens)
                targets.append(Target(number, text.token_ids[:stop], tokens[0], span.label, text.trace.problem))
    return targets
