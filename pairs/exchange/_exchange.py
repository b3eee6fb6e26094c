"""Which share of the gap between a base and a thinking model is *when* to do what, and which is *how* to do it.

1. Both models answer the test problems alone.
2. They answer together: one decides what each sentence does, the other one writes it (`sentences.py`), both ways.
3. The Shapley shares of the gap follow from the four accuracies (`pair_exchange.py`).

Nothing is steered or trained, and nothing is known of a pair but its two models, their texts and a labeller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...models._load import ModelLike
from ...rundir import RunDirectory, expanded, members_of, settings_of
from ...rundir.result_files import REPORT, RESULTS, TABLE
from ..identity import folders_of, inputs_of
from ..opening import TRAINED_ORGANISMS, Problems, open_pairs
from ..pair import Pair, check_lengths
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
    settings = settings_of(settings, ExchangeSettings)
    if pairs is None:
        pairs = open_pairs(
            base,
            thinking,
            problems,
            n_train=1,
            n_validation=1,
            n_test=settings.n_test,
            seed=settings.seed,
            device=device,
        )
    pairs = members_of(pairs, Pair, "pairs", "give what question_pair or organism_pair returned")
    folders = folders_of(pairs)
    for pair in pairs:
        check_lengths(pair)
    place = None if out is None else expanded(out)
    compared = {name: value for name, value in asdict(settings).items() if name != "n_rows"}
    results: dict[str, PairExchange] = {}
    with RunDirectory(place, "exchange", settings=compared, options={"n_rows": settings.n_rows}) as run:
        run.record()
        for pair in pairs:
            own = RunDirectory(
                run.file(folders[pair.name]), "exchange of a pair", settings=compared, inputs=inputs_of(pair)
            )
            with own, run.stage(pair.name):
                own.record()
                results[pair.name] = PairExchange.of(pair, run_cells(pair, settings, own, progress))
                own.finish()
        result = ExchangeResult(pairs=results, settings=settings)
        if place is not None:
            result.write(place)
        run.finish((RESULTS, TABLE, REPORT))
    return result
