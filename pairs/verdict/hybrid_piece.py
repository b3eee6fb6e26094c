"""The hybrid as a piece of evidence: how much of the gap does a steered base recover?"""

from __future__ import annotations

from ...stats import Interval
from ..hybrid import HybridResult, HybridSettings, hybrid
from ..hybrid.evidence import CEILING, PROMPTED, best_control
from ..hybrid.measure import ArmResult
from .evidence_line import EvidenceLine, LineReading, ReadingRole
from .findings import STEERED_MOST, STEERED_PART
from .piece import Rung, Subject

SHARE = "share of the gap recovered"
GAIN = "share of the problems, above the base"
SAYS = {"when": STEERED_MOST, "part": STEERED_PART}  # by the rule of the hybrid's own verdict
DECIDES = (
    "What a steered base recovers with no control speaks for when. That it recovers little speaks for nothing: other "
    "vectors might do more. Vectors also bring back skill that is merely unsure."
)


def hybrid_line(subject: Subject, rungs: tuple[Rung, ...]) -> EvidenceLine:
    """Steer the base at the thinking model's moments, with every control that a verdict requires.

    Of the problems of the last rung two fifths are trained on, one fifth is chosen on, and two fifths are measured on.

    Args:
        subject: The pair.
        rungs: The last one is measured.

    Returns:
        The gap that is recovered, beside the best control and the ceiling.

    Raises:
        InputError: No vectors or gates can be made for the pair.
    """
    rung = rungs[-1]
    n_train, n_validation = 2 * rung.n_problems // 5, rung.n_problems // 5
    setup = subject.setup(f"hybrid/{rung.n_problems}", rung, n_train, n_validation)
    result = hybrid(
        pairs=[setup.pair],
        settings=HybridSettings.quick(
            n_train=n_train, n_validation=n_validation, rollout=setup.common["sampling"], **setup.common
        ),
        out=setup.out,
        progress=subject.progress,
    )
    return line_of_hybrid(result, rung.size, setup.folder)


def line_of_hybrid(result: HybridResult, size: str, folder: str) -> EvidenceLine:
    """Read the line off a hybrid.

    Args:
        result: Of one pair.
        size: How much was measured, in words.
        folder: Where it lies.

    Returns:
        The line.
    """
    (pair,) = result.pairs.values()
    arms, best = pair.arms, best_control(pair.arms)
    chosen: list[tuple[str, ReadingRole, ArmResult]] = [("hybrid", "figure", arms["hybrid"])]
    if best is not None:
        chosen.append((f"best control ({best.arm})", "control", best))
    for name, arm in ((CEILING, "ceiling: the thinking model's own tokens"), (PROMPTED, "asked to think step by step")):
        if name in arms:
            chosen.append((arm, "control", arms[name]))
    has_gap = arms["hybrid"].gap == arms["hybrid"].gap
    return EvidenceLine(
        piece="hybrid",
        title="How much of the gap does a base recover that is steered at the thinking model's moments?",
        size=size,
        readings=tuple(
            LineReading(
                name=name,
                role=role,
                share=Interval(arm.gap, arm.gap_low, arm.gap_high, arm.n_problems)
                if has_gap
                else Interval(arm.gain, arm.gain_low, arm.gain_high, arm.n_problems),
                unit=SHARE if has_gap else GAIN,
            )
            for name, role, arm in chosen
        ),
        says=str(pair.verdict).removesuffix("."),
        decides=DECIDES,
        findings=tuple(finding for rule, finding in SAYS.items() if rule == pair.verdict.rule),
        verdict=pair.verdict,
        folder=folder,
    )
