"""The exchange of sentences as a piece of evidence: the one from which the sentence is read.

Problems are exchanged part by part, each in a directory of its own and with random numbers of its own, and the figures
are of all parts together: so a larger size goes on from a smaller one. Each model alone answers several times: that
costs little, and gap and losses rest on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from ...rundir import RunDirectory
from ...stats import LEVEL, Interval, accuracy_over_groups
from ..exchange import ExchangeResult, ExchangeSettings, PairExchange
from ..exchange.cells import THINKING, Answer, run_cells
from ..exchange.instrument import shipped_instrument
from ..exchange.reading import moved_by_exchange, reading_of
from ..identity import inputs_of
from ..pair import Pair
from .evidence_line import EvidenceLine, LineReading
from .findings import UNLABELLED
from .piece import Rung, Subject

N_ALONE = 4
SHARE = "share of the gap"
SOLVED = "share of the problems"
RESPONSES = "share of the responses"
MOST_LABELLED = 0.5  # of the responses; with fewer, what the labeller misses would count as how
DECIDES = (
    "This is the calibrated instrument: of pairs of known truth it reads how much of the gap is when, so the sentence "
    "is its own. What counts as one behaviour is up to the labeller."
)


def exchange_line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
    """Exchange sentences on the problems of all rungs.

    Args:
        subject: The pair.
        rungs: Each answers more problems.

    Returns:
        The when-share beside its controls.

    Raises:
        InputError: The models cannot exchange sentences.
    """
    settings = subject.settings
    chosen = ExchangeSettings(
        plans=settings.plans,
        sampling=replace(settings.sampling, n_samples=1),
        n_alone=N_ALONE,
        n_rows=settings.n_rows,
        seed=settings.seed,
    )
    answers: dict[str, list[Answer]] = {}
    first = 0
    for number, rung in enumerate(rungs):
        for cell, some in _part(subject, chosen, number, first, rung.n_problems).items():
            answers.setdefault(cell, []).extend(some)
        first = rung.n_problems
    pair = PairExchange.of(subject.pair_on(0, first), answers, subject.level)
    result = ExchangeResult(
        pairs={subject.pair.name: pair}, settings=replace(chosen, n_test=first), level=subject.level
    )
    result.write(subject.place / "exchange")
    labelled = _labelled(subject.pair_on(0, first), answers[THINKING], subject.level)
    return line_of_exchange(pair, labelled, rungs[-1].size, subject.level, takes_plans=bool(settings.plans))


def _part(
    subject: Subject, settings: ExchangeSettings, number: int, first: int, last: int
) -> dict[str, Sequence[Answer]]:
    """Exchange on some problems, with random numbers of their own."""
    pair = subject.pair_on(first, last)
    own = replace(settings, n_test=last - first, seed=(16 * settings.seed + number) % 2**32)
    compared = {name: value for name, value in asdict(own).items() if name != "n_rows"}
    place = subject.place / "exchange" / f"problems-{first}-{last}"
    with RunDirectory(place, "exchange of a part", settings=compared, inputs=inputs_of(pair)) as run:
        run.record()
        answers = run_cells(pair, own, run, subject.progress)
        run.finish()
    return dict(answers)


def _labelled(pair: Pair, answers: Sequence[Answer], level: float) -> Interval:
    """Compute the share of a model's responses in which the labeller finds a behaviour."""
    n_each = len(answers) // len(pair.test)
    shows = [
        bool(pair.annotator(pair.test[number // n_each].prompt, answer.text)) for number, answer in enumerate(answers)
    ]
    return accuracy_over_groups(
        np.reshape(shows, (len(pair.test), n_each)).mean(axis=1),
        [question.problem for question in pair.test],
        level=level,
    )


def line_of_exchange(
    pair: PairExchange, labelled: Interval, size: str, level: float = LEVEL, *, takes_plans: bool = True
) -> EvidenceLine:
    """Read the line off an exchange.

    Args:
        pair: Its figures.
        labelled: Share of the thinking model's responses that show a behaviour that the labeller knows.
        size: How much was exchanged, in words.
        level: Of the intervals.
        takes_plans: Whether plans were the decider's word by word.

    Returns:
        The line.
    """
    verdict = reading_of(pair, takes_plans=takes_plans)
    share = pair.when_share
    readings = []
    if share.value == share.value:
        error = shipped_instrument().error_at(pair.gap.value)
        widened = Interval(share.value, share.low - error, share.high + error, share.n)
        readings += [
            LineReading(name="when-share", role="figure", share=share, unit=SHARE),
            LineReading(name="widened by the instrument's error", role="figure", share=widened, unit=SHARE),
        ]
        if pair.lost is not None:
            apart = error + moved_by_exchange(pair.lost, pair)
            widened = Interval(share.value, share.low - apart, share.high + apart, share.n)
            readings.append(
                LineReading(name="and by what an exchange may cost", role="figure", share=widened, unit=SHARE)
            )
        if pair.control_share is not None:
            readings.append(
                LineReading(name="behaviours in random order", role="control", share=pair.control_share, unit=SHARE)
            )
    readings.append(LineReading(name="thinking model above the base", role="figure", share=pair.gap, unit=SOLVED))
    if pair.lost is not None:
        readings.append(
            LineReading(name="lost by an exchange with itself", role="control", share=pair.lost, unit=SOLVED)
        )
    readings.append(
        LineReading(name="thinking model's responses with a behaviour", role="control", share=labelled, unit=RESPONSES)
    )
    cells = ", ".join(f"{name} {cell.accuracy}" for name, cell in pair.cells.items())
    return EvidenceLine(
        piece="exchange",
        title="Of the gap, how much goes with who decides what a sentence does?",
        size=size,
        readings=tuple(readings),
        says=f"solved: {cells}",
        decides=DECIDES,
        findings=(UNLABELLED,) if labelled.value < MOST_LABELLED else (),
        verdict=verdict,
        folder="exchange",
        level=level,
    )
