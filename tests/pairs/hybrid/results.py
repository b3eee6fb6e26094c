"""Results of hybrids made by hand, with a hostile name in every place that a model or a user could fill."""

from __future__ import annotations

from math import nan
from typing import Any

import pandas as pd

from reasonlens.pairs.hybrid import HybridResult, HybridSettings, PairResult, RowRecord, SteeredTrace
from reasonlens.pairs.hybrid.arm import Role, Tuned
from reasonlens.pairs.hybrid.judging import Judged
from reasonlens.pairs.hybrid.measure import ArmResult
from reasonlens.stats import Interval, RecoveredGap

SHARES = ("as_thinking", "as_base", "elsewhere_as_thinking", "elsewhere_as_base")
EVIL = "<script>alert('x')</script>"


def arm_result(name: str, gap: float, spread: float = 0.05, *, role: Role = "hybrid", **figures: Any) -> ArmResult:
    """An arm that recovers `gap`, the ends of its interval `spread` away, and is beaten by the hybrid."""
    known: dict[str, Any] = {
        **{"arm": name, "role": role, "n": 500, "n_problems": 500, "n_seeds": 1},
        **{"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6},
        **{"gain": gap / 2, "gain_low": gap / 2 - spread, "gain_high": gap / 2 + spread, "no_gap": ""},
        **{"gap": gap, "gap_low": gap - spread, "gap_high": gap + spread, "p_value": 0.1, "steered": 0.05},
        **{"behind": 0.2, "behind_low": 0.1, "behind_high": 0.3},
        **{"effective": 0.05, "changed": 0.04, "truncated": 0.0, "tokens": 50.0, "unsure": 0.02},
        **{"answered_in_thoughts": 0.01, "n_steered": 100},
        **{f"{share}{end}": 0.1 for share in SHARES for end in ("", "_low", "_high")},
    }
    return ArmResult(**(known | figures))


def hybrid_result() -> HybridResult:
    """Two pairs, one of them without a gap, one judged."""
    roles: dict[str, Role] = {"base": "end", "thinking": "end", "hybrid": "hybrid", "random-vectors": "control"}
    gaps = {"base": 0.0, "thinking": 1.0, "hybrid": 0.8, "random-vectors": 0.1}
    arms = {name: arm_result(name, gap, role=roles[name]) for name, gap in gaps.items()}
    nothing = {name: arm_result(name, nan, role=roles[name], gain=0.0, no_gap=f"{EVIL} is worse") for name in gaps}
    judged = Judged(
        model=EVIL,
        accuracy={"hybrid": 0.5},
        n_asked={"hybrid": 4},
        n_ungraded={"hybrid": 1},
        gap=RecoveredGap(Interval(0.7, 0.5, 0.9, 4)),
    )
    return HybridResult(
        pairs={EVIL: _pair(EVIL, arms, judged), "other": _pair("other", nothing, None)}, settings=HybridSettings()
    )


def steered_trace() -> SteeredTrace:
    """Four tokens: one written, one taken over, two steered."""
    record = RowRecord(
        text=EVIL,
        tokens=(1, 2, 3, 2),
        base=(1, 1, 1, 2),
        thinking=(1, 2, 3, 3),
        base_likeliest=(1, 1, 1, 2),
        thinking_likeliest=(1, 2, 3, 3),
        gated=(False, True, True, True),
        behaviour=(-1, -1, 1, 0),
        strength=(0.0, 0.0, 0.5, 0.25),
        kl_nats=(0.0, 0.0, 1.5, 0.25),
        base_logprob=(-0.1, -2.0, -3.5, -0.2),
        thinking_logprob=(-0.1, -0.3, None, -4.0),
        is_truncated=True,
    )
    return SteeredTrace(
        question=EVIL,
        arm=EVIL,
        is_right=False,
        record=record,
        behaviours=("deduction", EVIL),
        pieces=(" a", f" {EVIL}", " c", " b"),
        base=(" a", " a", " a", " b"),
        thinking=(" a", " b", " c", " c"),
    )


def _pair(name: str, arms: dict[str, ArmResult], judged: Judged | None) -> PairResult:
    cell = {"arm": "hybrid", "layer": 2, "strength": 0.5, "behaviour_strengths": "", "threshold": None}
    tried = {"rung": 0, "n": 4, "accuracy": 0.5, "steered": 0.1, "kl_nats": 0.2, "dropped": EVIL}
    probed = {"behaviour": EVIL, "model": "base", "layer": 2, "auroc": 0.9, "auroc_low": 0.8, "auroc_high": 0.95}
    return PairResult(
        name=name,
        base={"name": EVIL},
        thinking={"name": EVIL},
        tuned=Tuned(layer=2, strength=0.5, threshold=0.0, behaviour_strengths=(0.5, 1.0)),
        search=pd.DataFrame([cell | tried]),
        components={
            **{
                "chance": None,
                "can_be_prompted": True,
                "problems_digest": "0" * 64,
                "n_validation": 4,
                "n_rollouts": 8,
                "n_disagreements": 3,
            },
            **{"n_gate_tokens": 90, "auroc_when": None, "behaviours": ["deduction", EVIL]},
        },
        next_sentence=pd.DataFrame([probed | {"n": 40, "n_shows": 9}]),
        arms=arms,
        judged=judged,
    )
