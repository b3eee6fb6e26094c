"""Say in sentences what pass@k shows of a pair, and what must not be read into it."""

from __future__ import annotations

from collections.abc import Sequence

from .attempts import AttemptCurves, ranges
from .chance import Chance
from .coverage import Coverage
from .grading import Graded

NO_CHANCE = "chance is not known here (--chance): where few answers are possible, guesses reach much at large k"


def findings(answers: Graded, steps: Graded | None, chance: Chance | None) -> list[str]:
    """Say what was found.

    Args:
        answers: Estimates where a sample is right if its answer is.
        steps: Estimates where every step has to be right too; None: not known.
        chance: What guesses reach; None: not known.

    Returns:
        One sentence after the other, without full stops.
    """
    curves = answers.curves
    first, last = (
        f"pass@{curves.k[place]} is {curves.base[place]} of the base and {curves.thinking[place]} of the thinking model"
        for place in (0, -1)
    )
    sentences = [
        f"{curves.base[0].n} problems: {first}; {last}",
        f"{_standing(curves)}, and neither at {_places(curves.undecided_k, curves)} (95%, for all k together)",
        f"the base {'catches up' if curves.crossover is None else 'is first as good'} {crossover_text(curves)}",
        *_coverage(answers.coverage),
    ]
    if steps is not None:
        sentences.append(
            f"with every step right too, {_standing(steps.curves)}; crossover {crossover_text(steps.curves)}"
        )
    return [*sentences, NO_CHANCE if chance is None else _chance(curves, chance)]


def crossover_text(curves: AttemptCurves) -> str:
    """Write the crossover with its confidence set.

    Args:
        curves: Of one grading.

    Returns:
        Such as "at k = 20 (95%: 14–34)".
    """
    possible = [ranges(curves.crossover_set, curves.k)] if curves.crossover_set else []
    possible += [f"beyond {curves.k[-1]}"] if curves.crossover_may_be_beyond else []
    value = f"at no k up to {curves.k[-1]}" if curves.crossover is None else f"at k = {curves.crossover}"
    return f"{value} (95%: {' or '.join(possible) or 'none'})"


def _standing(curves: AttemptCurves) -> str:
    return (
        f"the thinking model is surely ahead at {_places(curves.gain_k, curves)}, surely behind at "
        f"{_places(curves.loss_k, curves)}"
    )


def _places(ks: Sequence[int], curves: AttemptCurves) -> str:
    return f"k = {ranges(ks, curves.k)}" if len(ks) else "no k"


def _coverage(coverage: Coverage) -> list[str]:
    test = "exact" if coverage.is_exact else "drawn"
    return [
        f"both models have a right sample of {coverage.both} problems, the base alone of {coverage.only_base} "
        f"({coverage.surely_only_base} beyond chance), the thinking model alone of {coverage.only_thinking} "
        f"({coverage.surely_only_thinking} beyond chance), neither of {coverage.neither}; that they cover as many has "
        f"p = {coverage.p:.2g} ({test} test over problems)",
        f"a problem without a right sample is not unsolvable: in {coverage.m} samples that happens in one case of 20 "
        f"or more to success rates of up to {coverage.hidden_rate:.2%}",
    ]


def _chance(curves: AttemptCurves, chance: Chance) -> str:
    lead = f"chance ({chance.guesser}) reaches {chance.pass_at[-1]:.3g} at k = {curves.k[-1]}"
    not_above = [
        k for k, band, reached in zip(curves.k, curves.base_band, chance.pass_at, strict=True) if not band.low > reached
    ]
    if not_above:
        return f"{lead}; the base is not surely above it at k = {ranges(not_above, curves.k)}, where it may be guessing"
    return f"{lead}; the base is surely above it at every k"
