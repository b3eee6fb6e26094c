"""Say what a geometry shows, by written rules (docs/geometry.md); only ends of intervals decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..verdict_sentence import Verdict, conclude, deciding_interval
from .cosines import DirectionCosine
from .grafts import GraftFigures, Grafts
from .probe_transfer import WAYS, ProbeTransfer
from .similarity import LayerSimilarity
from .subspaces import SubspaceOverlap

MOST, LITTLE = 0.5, 0.25  # of the gap, as in docs/verdicts.md
OPEN = 0.1  # of the responses
ATTENTION, MLP = "attention", "mlp"
NAMES = {ATTENTION: "attention", MLP: "the MLPs", "other": "the other parts of blocks"}
CONTROL = "permuted differences"


class _Token(Protocol):
    @property
    def rank(self) -> int: ...
    @property
    def score(self) -> float: ...
    @property
    def random_95(self) -> float: ...


def spoken(
    cosines: Sequence[DirectionCosine],
    overlaps: Sequence[SubspaceOverlap],
    transfers: Sequence[ProbeTransfer],
    similarities: Sequence[LayerSimilarity],
    tokens: Sequence[_Token],
) -> list[str]:
    """Say what was measured of directions, subspaces, probes, layers and tokens.

    Args:
        cosines: Of directions.
        overlaps: Of subspaces.
        transfers: Of probes.
        similarities: Of layers.
        tokens: That directions promote.

    Returns:
        A sentence for each part that was measured.
    """
    sentences = []
    if cosines:
        above = sum(one.is_above_shuffled for one in cosines)
        least = min(cosines, key=lambda one: one.cosine.value)
        sentences.append(
            f"Of {len(cosines)} directions (behaviours x layers) {above} are more alike in both models than under "
            f"shuffled labels. The least alike is {least.behaviour} at block {least.layer}: cosine {least.cosine} "
            f"(n = {least.cosine.n} problems), beside {least.shuffled} of shuffled labels and {least.random} of random "
            "directions."
        )
    if overlaps:
        above = sum(one.is_above_shuffled for one in overlaps)
        low = min(overlaps, key=lambda one: one.overlap.value)
        sentences.append(
            f"The behaviours' subspaces ({low.n_dimensions} dimensions) overlap by {low.overlap} at least (block "
            f"{low.layer}), beside {low.shuffled} of shuffled labels and {low.random} of random subspaces; {above} of "
            f"{len(overlaps)} layers lie above shuffled labels."
        )
    for trained_on, tested_on in WAYS:
        way = [one for one in transfers if (one.trained_on, one.tested_on) == (trained_on, tested_on)]
        if way:
            above = sum(one.is_above for one in way)
            worst = max(way, key=lambda one: one.own.value - one.auroc.value)
            sentences.append(
                f"Probes of the {_spoken(trained_on)} tested on the {_spoken(tested_on)}: {above} of {len(way)} "
                f"(behaviours x layers) are above their strongest baseline and shuffled labels. Most is lost by "
                f"{worst.behaviour} at block {worst.layer}: AUROC {worst.auroc}, own probe {worst.own}, baseline "
                f"{worst.baseline}."
            )
    like = [one for one in similarities if one.is_like]
    if like:
        low_layer = min(like, key=lambda one: one.cka.value)
        sentences.append(
            f"Layers at the same depth have a debiased CKA of {low_layer.cka} at least (block {low_layer.layer}), "
            f"beside {low_layer.permuted} with spans permuted and {low_layer.within} permuted within problems."
        )
    first = [one for one in tokens if one.rank == 1]
    if first:
        above = sum(abs(one.score) > one.random_95 for one in first)
        sentences.append(
            f"Of {len(first)} directions, either way, {above} move one token further than 95% of random directions "
            "move any."
        )
    return sentences


def graft_verdict(grafts: Grafts) -> Verdict:
    """Conclude which weights carry the gap: the first rule that applies.

    Args:
        grafts: What they solve.

    Returns:
        The sentence, with the figures that decided it.
    """
    parts = grafts.parts
    named = {one.name: one for one in parts}
    because = "; ".join(f"{_part(one.name)} {one.gap}" for one in parts)
    figures = [deciding_interval(one.name, "gap", one.gap) for one in parts]
    controls = [deciding_interval(one.name, "control_gap", one.control_gap) for one in parts]
    if grafts.open_share > OPEN:
        return conclude(
            "open",
            "Cannot say: responses that were cut off, or cannot be told, may decide it",
            f"up to {grafts.open_share:.1%} of the responses of one end or graft",
            ("--max-new-tokens",),
        )
    if grafts.no_gap:
        return conclude("no gap", "No gap to carry is shown", grafts.no_gap, ())
    recovering = [one for one in parts if one.control_gap.low > 0]
    if recovering:
        reason = "; ".join(f"{_part(one.name)}, moved at random, {one.control_gap}" for one in recovering)
        return conclude(
            "control", "Cannot say: weights moved at random recover some of the gap", reason, (CONTROL,), *controls
        )
    reason = f"of the gap their differences alone recover: {because} (n = {parts[0].accuracy.n} problems)"
    carriers = [one for one in parts if _carries_most(one)]
    if len(carriers) > 1:
        names = " and ".join(_part(one.name) for one in carriers)
        return conclude("several", f"Most of the gap is recovered by each of {names}", reason, (CONTROL,), *figures)
    if carriers and all(_is_ahead(grafts, carriers[0].name, one.name) for one in parts if one is not carriers[0]):
        verb = "recover" if carriers[0].name == MLP else "recovers"
        headline = f"{_capital(_part(carriers[0].name))} alone {verb} most of the gap, and more than any other part"
        return conclude("one", headline, reason, (CONTROL, *named), *figures)
    ahead = _ahead(grafts)
    if all(one.gap.high < LITTLE for one in parts):
        return conclude(
            "little", "No part recovers more than little of the gap by itself", reason, (CONTROL,), *figures
        )
    if ahead is not None:
        first, second = ahead
        most = f", and {_part(first)} most of the gap" if carriers and carriers[0].name == first else ""
        verb = "recover" if first == MLP else "recovers"
        headline = f"{_capital(_part(first))} {verb} more than {_part(second)}{most}"
        return conclude("more", headline, f"{_difference(grafts, first, second)}; {reason}", (CONTROL,), *figures)
    if all(name in named and _recovers_some(named[name]) for name in (ATTENTION, MLP)):
        headline = "Attention and the MLPs each recover some of the gap; which recovers more cannot be said"
        return conclude("both", headline, f"{_difference(grafts, ATTENTION, MLP)}; {reason}", (CONTROL,), *figures)
    if all(one.gap.high < MOST for one in parts):
        return conclude("no part", "No part recovers most of the gap by itself", reason, (CONTROL,), *figures)
    return conclude("unsure", "Cannot say which weights carry the gap", reason, (CONTROL,), *figures)


def _carries_most(one: GraftFigures) -> bool:
    return one.gap.low >= MOST and one.above_control.low > 0


def _recovers_some(one: GraftFigures) -> bool:
    return one.gap.low > 0 and one.above_control.low > 0


def _is_ahead(grafts: Grafts, name: str, other: str) -> bool:
    for contrast in grafts.contrasts:
        if (contrast.first, contrast.second) == (name, other):
            return contrast.difference.low > 0
        if (contrast.first, contrast.second) == (other, name):
            return contrast.difference.high < 0
    return False


def _ahead(grafts: Grafts) -> tuple[str, str] | None:
    """Name the one of attention and MLPs that recovers some of the gap and solves more; None: neither."""
    for first, second in ((ATTENTION, MLP), (MLP, ATTENTION)):
        if _is_ahead(grafts, first, second) and _recovers_some(grafts.of(first)):
            return first, second
    return None


def _difference(grafts: Grafts, first: str, second: str) -> str:
    for contrast in grafts.contrasts:
        if {contrast.first, contrast.second} == {first, second}:
            return f"accuracy of {_part(contrast.first)} less that of {_part(contrast.second)}: {contrast.difference}"
    return ""


def _part(name: str) -> str:
    return NAMES.get(name, name)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _spoken(role: str) -> str:
    return "base" if role == "base" else "thinking model"
