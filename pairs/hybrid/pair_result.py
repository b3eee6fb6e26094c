"""What came of one pair: figures of every arm, what was chosen, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from ...rundir import from_row, looked_at
from ..verdict_sentence import Verdict
from .arm import Tuned
from .evidence import Evidence
from .judging import Judged
from .measure import ArmResult
from .pair_run import PairRun, rows_of
from .verdict_rules import verdict_of


@dataclass(frozen=True, eq=False, kw_only=True)
class PairResult:
    """What came of one pair."""

    name: str
    base: dict[str, Any]  # LanguageModel.identity()
    thinking: dict[str, Any]
    tuned: Tuned
    search: pd.DataFrame  # of everything that was tried on validation problems
    components: dict[str, Any]  # counts of what the hybrid was made of
    next_sentence: pd.DataFrame  # of `next_sentence.py`
    arms: dict[str, ArmResult]
    judged: Judged | None = None  # with a judge's grades where the rule is unsure
    run: PairRun | None = None  # models, components and responses; None where the result was read from a file

    @classmethod
    def of(cls, run: PairRun, judged: Judged | None = None) -> PairResult:
        """Take what a run has measured."""
        probes = run.components.probes
        auroc = probes.auroc_when[run.tuned.layer]
        return cls(
            name=run.pair.name,
            base=run.pair.base.identity(),
            thinking=run.pair.thinking.identity(),
            tuned=run.tuned,
            search=run.search,
            components={
                "problems_digest": run.pair.digest,
                "chance": run.pair.chance,
                "can_be_prompted": run.pair.can_be_prompted,
                "n_validation": len(run.pair.validation),
                "n_rollouts": len(run.components.traces),
                "n_disagreements": probes.n_disagreements,
                "n_gate_tokens": probes.n_tokens,
                "auroc_when": None if math.isnan(auroc) else auroc,
                "behaviours": list(run.components.behaviours),
            },
            next_sentence=run.next_sentence,
            arms=run.measures,
            judged=judged,
            run=run,
        )

    @property
    def verdict(self) -> Verdict:
        """What the arms say by the rules of docs/verdicts.md; `str()` of it is the sentence."""
        chance, can_be_prompted = (self.components[name] for name in ("chance", "can_be_prompted"))
        return verdict_of(Evidence(arms=self.arms, chance=chance, has_prompt=can_be_prompted))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the run as plain values."""
        return {
            "base": self.base,
            "thinking": self.thinking,
            "verdict": self.verdict.to_dict(),
            "tuned": asdict(self.tuned),
            "search": rows_of(self.search),
            "components": self.components,
            "next_sentence": rows_of(self.next_sentence),
            "judge": None if self.judged is None else self.judged.to_dict(),
            "arms": {name: arm.to_dict() for name, arm in self.arms.items()},
        }

    @classmethod
    def from_dict(cls, name: str, row: Mapping[str, Any]) -> PairResult:
        """Read what `to_dict` returned."""
        return cls(
            name=name,
            base=dict(row["base"]),
            thinking=dict(row["thinking"]),
            tuned=from_row(Tuned, row["tuned"]),
            search=pd.DataFrame(row["search"]),
            components=dict(row["components"]),
            next_sentence=pd.DataFrame(row["next_sentence"]),
            arms={arm: ArmResult.from_dict(figures) for arm, figures in row["arms"].items()},
            judged=None if row["judge"] is None else Judged.from_dict(row["judge"]),
        )

    @looked_at(".verdict, .to_dict()")
    def __repr__(self) -> str:
        return f"PairResult({self.name}: {len(self.arms)} arms; {self.verdict.headline})"
