"""A result made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from math import nan

from reasonlens.pairs.decisions import (
    CHOOSERS,
    Concentration,
    DecisionsResult,
    DecisionsSettings,
    GroupDivergence,
    PairDecisions,
    SwapPoint,
)
from reasonlens.pairs.decisions.concentration import CURVE_AT
from reasonlens.pairs.verdict_sentence import conclude, deciding_interval
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"


def share(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.07, 100)


def group(name: str) -> GroupDivergence:
    return GroupDivergence(
        dimension="behaviour",
        group=name,
        n_tokens=70,
        token_share=share(0.3),
        nats=share(0.02),
        divergence_share=share(0.5),
        lift=share(1.7),
    )


def point(writer: str, chooser: str, budget: float) -> SwapPoint:
    return SwapPoint(
        writer=writer,
        chooser=chooser,
        budget=budget,
        swapped=share(budget),
        changed=share(budget / 2),
        accuracy=share(0.3 + budget),
        truncated=0.0,
        gap=share(budget),
        excess=share(0.1) if budget == 0.08 else Interval(nan, n=100),
        strongest="entropy" if chooser == "divergence" else "",
        in_top=(share(0.2), share(0.6), share(0.9)),
        own_in_top=(share(0.4), share(0.8), Interval(nan, n=100)),
    )


def decisions_result() -> DecisionsResult:
    """One pair, one budget."""
    concentrations = tuple(
        Concentration(
            writer=writer,
            n_tokens=1000,
            js=share(0.02),
            kl_thinking_base=share(0.1),
            kl_base_thinking=share(0.2),
            near_zero=share(0.8),
            gini=share(0.9),
            top=(share(0.2), share(0.5), share(0.7)),
            curve=tuple(share(at**4) for at in CURVE_AT),
            groups=(group(EVIL), group("verification")),
        )
        for writer in ("base", "thinking")
    )
    points = [point(writer, chooser, 0.08) for writer in ("base", "thinking") for chooser in CHOOSERS]
    points += [point(writer, "ends", budget) for writer in ("base", "thinking") for budget in (0.0, 1.0)]
    verdict = conclude("part", f"Swapping {EVIL}", "figures", ("random",), deciding_interval("x", "gap", share(0.4)))
    pair = PairDecisions(
        base=EVIL,
        thinking=EVIL,
        gap=share(0.4),
        concentrations=concentrations,
        points=tuple(points),
        verdicts={"base": verdict, "thinking": verdict},
    )
    return DecisionsResult(pairs={EVIL: pair}, settings=DecisionsSettings(budgets=(0.08,)))
