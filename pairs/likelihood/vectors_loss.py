"""To which loss a vector for each behaviour gets in the base: whether the base holds what the thinking model writes.

For each behaviour one vector is optimised that, added to the base's residual stream at the token before a sentence of
the thinking model's, makes the sentence likelier. The loss that it converges to on held-out problems was published as
evidence beside hybrids (arXiv 2510.07364: 0.83 to 1.21 nats a token for RL pairs, 1.48 to 2.01 for SFT pairs). It
says how hard to foretell the language is; beside it stand the loss without a vector, with a random one, and that of
the base's own sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models import LanguageModel
from ...rundir import brief
from ...traces import Template, Trace
from ...vectors.extraction import OptimisedSettings, optimised_directions


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorLoss:
    """The loss of one behaviour's sentences in the base, nats a token, on problems that did not train the vector.

    Attributes:
        writer: Whose sentences they are: `thinking` or `base`.
        behaviour: Of the sentences.
        layer: Of the blocks tried, the one at which the vector's loss on stopping problems is least.
        loss: With the vector, on held-out problems; NaN where there are fewer than three of them.
        unsteered: Without any.
        random: With a random vector of the same length.
        n_sentences: Of training, stopping and held-out problems.
    """

    writer: str
    behaviour: str
    layer: int
    loss: float
    unsteered: float
    random: float
    n_sentences: int

    __repr__ = brief


def vector_losses(
    base: LanguageModel, writer: str, traces: Sequence[Trace], template: Template, seed: int, progress: bool
) -> list[VectorLoss]:
    """Optimise a vector for each behaviour at a quarter, a half and three quarters of the way up.

    Args:
        base: The model that the vectors are added to.
        writer: Whose responses they are.
        traces: Labelled responses.
        template: How the base is given prompts.
        seed: Of what is drawn.
        progress: Whether a bar is shown.

    Returns:
        A row for each behaviour.

    Raises:
        InputError: Behaviours are in too few problems.
    """
    layers = sorted({max(round(base.n_layers * share) - 1, 0) for share in (0.25, 0.5, 0.75)})
    settings = OptimisedSettings(template=template, seed=seed, truncate=True)
    directions = optimised_directions(base, list(traces), layers=layers, settings=settings, progress=progress)
    rows = []
    for behaviour, scores in directions.scores.items():
        best = int(np.argmin(scores["stopping_loss"]))

        def at_best(name: str, scores: dict[str, list[float]] = scores, best: int = best) -> float:
            return float(scores[name][best]) if name in scores else float("nan")

        rows.append(
            VectorLoss(
                writer=writer,
                behaviour=behaviour,
                layer=directions.layers[best],
                loss=at_best("held_out_loss"),
                unsteered=at_best("held_out_loss_unsteered"),
                random=at_best("held_out_loss_random"),
                n_sentences=directions.n_examples[behaviour],
            )
        )
    return rows
