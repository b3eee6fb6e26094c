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

MIN_HELD_OUT = 3  # problems; figures of fewer say nothing


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
    """The sentences of each behaviour, by problems: to train on, to decide when to stop, and to measure on alone."""

    training: dict[str, list[Target]]
    stopping: dict[str, list[Target]]
    held_out: dict[str, list[Target]]  # none where a behaviour is in too few problems

    @property
    def all(self) -> list[Target]:
        """All sentences: training, stopping, held out."""
        return [
            target
            for by_behaviour in (self.training, self.stopping, self.held_out)
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
            The sentences. Half of one fold of the problems decides when to stop, and the other half is held out. A
            behaviour that is in fewer than `MIN_HELD_OUT` problems of a half has none held out, and stops on both.

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
        stopping: dict[str, list[Target]] = {}
        held_out: dict[str, list[Target]] = {}
        halves = _halves([problem for problem, fold in zip(problems, folds, strict=True) if fold == 0], settings.seed)
        is_held_out = np.array([problem in halves[1] for problem in problems])
        is_stopping = np.array([problem in halves[0] for problem in problems])
        for behaviour in behaviours:
            shows_behaviour = np.array([label == behaviour for label in labels])
            in_halves = [
                {problem for problem, is_member in zip(problems, shows_behaviour & half, strict=True) if is_member}
                for half in (is_stopping, is_held_out)
            ]
            has_held_out = min(map(len, in_halves)) >= MIN_HELD_OUT
            for part, is_member in (
                (training, shows_behaviour & (folds != 0)),
                (stopping, shows_behaviour & (is_stopping if has_held_out else folds == 0)),
                (held_out, shows_behaviour & is_held_out & has_held_out),
            ):
                rows = random.permutation(np.flatnonzero(is_member))[: settings.max_spans]
                part[behaviour] = [targets[row] for row in sorted(rows)]
        stops = {target.problem for stopping_targets in stopping.values() for target in stopping_targets}
        for (
            behaviour,
            candidates,
        ) in held_out.items():  # with a bias, all behaviours' stopping problems stop each vector
            apart = [target for target in candidates if target.problem not in stops]
            held_out[behaviour] = apart if len({target.problem for target in apart}) >= MIN_HELD_OUT else []
        return cls(training, stopping, held_out)

    def problems_by_part(self) -> dict[str, list[str]]:
        """List the problems that train, stop and are held out; no problem is in two of these."""
        parts = {"train": self.training, "stop": self.stopping, "held_out": self.held_out}
        return {
            name: sorted({target.problem for targets in part.values() for target in targets})
            for name, part in parts.items()
        }


def _halves(problems: Sequence[str], seed: int) -> tuple[set[str], set[str]]:
    """Split problems in two at random."""
    names = sorted(set(problems))
    order = np.random.default_rng([seed, 2]).permutation(len(names)).tolist()
    return {names[row] for row in order[::2]}, {names[row] for row in order[1::2]}


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
