"""pass@k as a piece of evidence: can the base solve it too, if it may try several times?"""

from __future__ import annotations

from ...stats import Interval
from ..passk import PasskResult, PasskSettings, passk
from .evidence_line import EvidenceLine, LineReading
from .findings import AHEAD, BEHIND, OUT_OF_REACH
from .piece import Rung, Subject

FEW = 0.25  # of what the thinking model solves at once: less than that is out of the base's reach
LEAST_SAMPLES = 8  # with fewer nothing is out of reach
SOLVED = "share of the problems"
DECIDES = (
    "This says whether there is a gap. That a base catches up with more samples says that it can, not that it lacked "
    "only the moment: who does a step rightly now and then also catches up. A base that stays far behind speaks "
    "against when alone."
)


def passk_line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
    """Sample both models on the problems of the last rung; samples of the rungs below are gone on with.

    Args:
        subject: The pair.
        rungs: Each draws more samples.

    Returns:
        pass@1 and pass@k of both, beside chance.

    Raises:
        InputError: The pair cannot be sampled.
    """
    setup = subject.setup("passk", rungs[-1])  # one folder: samples are added
    result = passk(pair=setup.pair, settings=PasskSettings(**setup.common), out=setup.out, progress=subject.progress)
    return line_of_passk(result, rungs[-1].size)


def line_of_passk(result: PasskResult, size: str) -> EvidenceLine:
    """Read the line off pass@k.

    Args:
        result: What was estimated.
        size: How much was sampled, in words.

    Returns:
        The line.
    """
    curves = result.curves
    last = curves.k[-1]
    readings = [
        LineReading(name=f"pass@{k}, {model}", role="figure", share=line[place], unit=SOLVED)
        for k, place in ((1, 0), (last, -1))
        for model, line in (("base", curves.base), ("thinking model", curves.thinking))
    ]
    if result.chance is not None:
        reached = Interval(result.chance.pass_at[-1], n=curves.base[0].n)
        readings.append(LineReading(name=f"pass@{last}, guesses", role="chance", share=reached, unit=SOLVED))
    first = curves.difference_band[0]
    findings = [AHEAD] if first.low > 0 else [BEHIND] if first.high < 0 else []
    if last >= LEAST_SAMPLES and curves.base[-1].high < FEW * curves.thinking[0].low:
        findings.append(OUT_OF_REACH)
    return EvidenceLine(
        piece="passk",
        title="Does the base solve it too, if it may try several times?",
        size=size,
        readings=tuple(readings),
        says="; ".join(result.sentences()[1:4]),
        decides=DECIDES,
        findings=tuple(findings),
        verdict=None,
        folder="passk",
    )
