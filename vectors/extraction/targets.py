"""Target sentences: what a model is to find likelier with a vector added, each after all that stands before it.

A target is one labelled sentence with its whole prefix as the model sees it (prompt, template, earlier sentences). Its
tokens [first, stop) are predicted at the positions [first - 1, stop - 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...activations.engine.batching import batches
from ...models import InputError, LanguageModel
from ...probes.folds import common_labels, grouped_folds
from ...traces import Trace, encode
from .optimised_settings import OptimisedSettings


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """A sentence, tokens [first, stop) of `token_ids`."""

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
    for text in encode(model, traces, template=settings.template, truncate=settings.truncate):
        for span, tokens in zip(text.trace.spans, text.spans, strict=True):
            if tokens is not None and tokens[0] > 1:
                stop = min(tokens[1], tokens[0] + settings.max_target_tokens)
                found.append(Target(text.token_ids[:stop], tokens[0], span.label, text.trace.problem))
    return found


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Targets as one batch, padded on the right."""

    targets: tuple[int, ...]  # their places among those that were asked for
    ids: Int[Tensor, "rows tokens"]
    is_text: Bool[Tensor, "rows tokens"]
    steered: Float[Tensor, "rows tokens 1"]  # 1 where a vector is added
    predicting: Int[Tensor, " n_kept"]  # positions at which any row predicts a token of its sentence
    row: Int[Tensor, " n_predicted"]
    place: Int[Tensor, " n_predicted"]  # in `predicting`
    token: Int[Tensor, " n_predicted"]  # what is predicted there
    is_first: Bool[Tensor, " n_predicted"]  # of its sentence


def batched(targets: Sequence[Target], settings: OptimisedSettings, device: torch.device) -> Iterator[Rows]:
    """All of them, in batches of like length."""
    for members in batches([target.stop for target in targets], settings.tokens_per_batch):
        width = max(targets[member].stop for member in members)
        ids = np.zeros((len(members), width), dtype=np.int64)
        is_text, steered = np.zeros(ids.shape, dtype=bool), np.zeros(ids.shape, dtype=np.float32)
        row: list[int] = []
        position: list[int] = []
        token: list[int] = []
        is_first: list[bool] = []
        for number, member in enumerate(members):
            target = targets[member]
            ids[number, : target.stop], is_text[number, : target.stop] = target.token_ids, True
            last = target.first if settings.where == "before" else target.stop - 1
            steered[number, target.first - 1 : last] = 1
            row += [number] * (target.stop - target.first)
            position += range(target.first - 1, target.stop - 1)
            token += target.token_ids[target.first :].tolist()
            is_first += [True] + [False] * (target.stop - target.first - 1)
        predicting, place = np.unique(position, return_inverse=True)
        yield Rows(
            tuple(members),
            *(torch.from_numpy(each).to(device) for each in (ids, is_text, steered[..., None], predicting)),
            *(torch.as_tensor(each, device=device) for each in (row, place, token, is_first)),
        )
