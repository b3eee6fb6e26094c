"""Which share of the gap between a base and a thinking model is *when* to do what, and which is *how* to do it.

1. Both models answer the test problems alone.
2. They answer together: one decides what each sentence does, the other one writes it (`sentences.py`), both ways.
3. The Shapley shares of the gap follow from the four accuracies (`pair_exchange.py`).

Nothing is steered or trained, and nothing is known of a pair but its two models, their texts and a labeller.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...models._load import ModelLike
from ...rundir import settings_of
from ..measuring import measure_each, pairs_to_measure
from ..opening import TRAINED_ORGANISMS, Problems
from ..pair import Pair
from .cells import run_cells
from .pair_exchange import PairExchange
from .result import ExchangeResult
from .settings import ExchangeSettings


def exchange(
    base: ModelLike | None = None,
    thinking: ModelLike | Sequence[ModelLike] = TRAINED_ORGANISMS,
    problems: Problems | None = None,
    *,
    pairs: Sequence[Pair] | None = None,
    settings: ExchangeSettings | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> ExchangeResult:
    """Let one model of a pair decide what each sentence does and the other one write it, and share out the gap.

    Args:
        base: Model without the training; None: of each organism the base that it was trained from.
        thinking: Model with it, or several: each makes a pair with the base.
        problems: `gsm8k`, `math-500`, `reasoning-gym:KIND`, a file of questions and answers, a problem set, or
            questions; None: organisms, which have problems of their own.
        pairs: What is exchanged in place of all these (`question_pair`, `organism_pair`).
        settings: How sentences are exchanged and how much is sampled; default `ExchangeSettings()`.
        out: Directory for results.json, table.csv, report.html and all responses; the same call goes on there where it
            was cut off. None keeps nothing.
        device: For models given by name; default CUDA where there is one.
        progress: Whether progress is shown.

    Returns:
        The shares of each pair with intervals over problems, and what the cells solved.

    Raises:
        InputError: Models, problems or settings cannot be used, or `out` holds another run or is being written.
    """
    chosen = settings_of(settings, ExchangeSettings)
    return measure_each(
        "exchange",
        pairs_to_measure(base, thinking, problems, pairs, chosen, device),
        chosen,
        out,
        lambda pair, run: PairExchange.of(pair, run_cells(pair, chosen, run, progress)),
        lambda measured: ExchangeResult(pairs=measured, settings=chosen),
    )
