"""The sentence of a verdict, by rules that are gone through in order (docs/verdicts.md).

The sentence is the exchange's: its when-share alone is calibrated on pairs of known truth. Other lines can agree with
it, contradict it or be silent; none of them replaces it, and a contradiction is said in the headline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..exchange.reading import CANNOT_SAY, NO_GAP, WORSE
from ..verdict_sentence import Verdict, conclude
from .evidence_line import EvidenceLine
from .findings import FINDINGS, UNLABELLED
from .pieces import EXCHANGE


def sentence_of(lines: Sequence[EvidenceLine], unmeasured: Mapping[str, str]) -> Verdict:
    """Say what all evidence of a pair comes to, by the first rule that applies.

    Args:
        lines: What was measured.
        unmeasured: Piece -> why there is no line of it.

    Returns:
        The sentence, the figures that decided it, and what would have refuted it.
    """
    exchange = next((line for line in lines if line.piece == EXCHANGE), None)
    others = [line for line in lines if line.piece != EXCHANGE]
    if exchange is None or exchange.verdict is None:
        reason = unmeasured.get(EXCHANGE, "it did not fit in the budget")
        because = f"sentences could not be exchanged, and no other evidence is calibrated ({reason.rstrip('.')})"
        return conclude("not exchanged", CANNOT_SAY, because, (EXCHANGE,))
    own = exchange.verdict
    if own.headline not in (NO_GAP, WORSE) and UNLABELLED in exchange.findings:
        because = f"{FINDINGS[UNLABELLED].words}, and what is not labelled counts as how; the exchange: {own.because}"
        return conclude("unlabelled", CANNOT_SAY, because, ("a labeller of these texts",), *own.figures)
    agreeing = {line.piece: words for line in others if (words := _words(line, own.headline, is_for=True))}
    contradicting = {line.piece: words for line in others if (words := _words(line, own.headline, is_for=False))}
    silent = [line.piece for line in others if line.piece not in agreeing and line.piece not in contradicting]
    because = own.because
    for verb, some in (("contradicts this", contradicting), ("agrees", agreeing)):
        because += "".join(f"; {piece} {verb}: {words}" for piece, words in some.items())
    if silent:
        because += f"; {listed_names(silent)} {'is' if len(silent) == 1 else 'are'} silent"
    if not contradicting:
        return conclude(own.rule, own.headline, because, own.refutable_by, *own.figures)
    verb = "contradicts" if len(contradicting) == 1 else "contradict"
    headline = f"{own.headline}, but {listed_names(list(contradicting))} {verb} this"
    return conclude("contradicted", headline, because, own.refutable_by, *own.figures)


def stance_of(line: EvidenceLine, headline: str) -> str:
    """Say whether a line agrees with a headline of the exchange, contradicts it or is silent.

    Args:
        line: The line.
        headline: Of the exchange's own sentence.

    Returns:
        `decides` of the exchange itself; else `agrees`, `contradicts` or `silent`.
    """
    if line.piece == EXCHANGE:
        return "decides"
    if _words(line, headline, is_for=False):
        return "contradicts"
    return "agrees" if _words(line, headline, is_for=True) else "silent"


def listed_names(names: Sequence[str]) -> str:
    """Join names: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _words(line: EvidenceLine, headline: str, *, is_for: bool) -> str:
    findings = [FINDINGS[name] for name in line.findings]
    return "; ".join(
        finding.words for finding in findings if headline in (finding.agrees if is_for else finding.disagrees)
    )
