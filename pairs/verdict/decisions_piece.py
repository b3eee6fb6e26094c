"""Decision tokens as a piece of evidence: how few of the thinking model's tokens recover how much of the gap?"""

from __future__ import annotations

from ..decisions import DecisionsResult, DecisionsSettings, decisions
from ..decisions.choosers import CHOOSERS
from .evidence_line import EvidenceLine, LineReading
from .piece import Rung, Subject

BUDGET = 0.08
OF_GAP = "share of the gap"
OF_TOKENS = "Gini coefficient, 0: all positions alike"
DECIDES = (
    "This tells neither when nor how, and is silent: few tokens hold most of the divergence in organisms that were "
    "taught when and in those that were taught how. It says where training acts."
)


def decisions_line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
    """Swap the tokens at which the models diverge most.

    Args:
        subject: The pair.
        rungs: The last one is measured.

    Returns:
        What the thinking model's tokens recover in the base, beside as many changes elsewhere.

    Raises:
        InputError: The pair cannot be sampled.
    """
    rung = rungs[-1]
    n_validation = rung.n_problems // 5
    setup = subject.setup(f"decisions/{rung.n_problems}", rung, n_validation=n_validation)
    result = decisions(
        pairs=[setup.pair],
        settings=DecisionsSettings(budgets=(BUDGET,), headline=BUDGET, n_validation=n_validation, **setup.common),
        out=setup.out,
        progress=subject.progress,
    )
    return line_of_decisions(result, rung.size, setup.folder)


def line_of_decisions(result: DecisionsResult, size: str, folder: str) -> EvidenceLine:
    """Read the line off a measurement of decision tokens.

    Args:
        result: Of one pair.
        size: How much was measured, in words.
        folder: Where it lies.

    Returns:
        The line.
    """
    (pair,) = result.pairs.values()
    budget = result.settings.headline
    readings = [
        LineReading(
            name=f"{'as many changed' if number else f'{budget:.0%} of the tokens swapped'}, {chooser.about}",
            role="control" if number else "figure",
            share=pair.point("base", budget, name).gap,
            unit=OF_GAP,
        )
        for number, (name, chooser) in enumerate(CHOOSERS.items())
    ]
    for writer in ("base", "thinking"):
        readings.append(
            LineReading(
                name=f"divergence over texts of the {'base' if writer == 'base' else 'thinking model'}",
                role="figure",
                share=pair.concentration(writer).gini,
                unit=OF_TOKENS,
            )
        )
    return EvidenceLine(
        piece="decisions",
        title="At how few tokens do they part, and what are these worth?",
        size=size,
        readings=tuple(readings),
        says=str(pair.verdicts["base"]).rstrip("."),
        decides=DECIDES,
        findings=(),
        verdict=None,
        folder=folder,
    )
