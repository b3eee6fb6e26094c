"""A comparison of two runs made by hand, with a hostile name in every place that a user could fill."""

from __future__ import annotations

import pandas as pd

from reasonlens.pairs.records import RunComparison
from reasonlens.pairs.records.settings_of_runs import RunSetting
from reasonlens.stats import Interval

EVIL = "<script>alert('x')</script>"


def run_comparison() -> RunComparison:
    rows = [
        {
            "behaviour": behaviour,
            "layer": layer,
            "measure": "auroc",
            "first": 0.8,
            "second": 0.7 + 0.1 * layer,
            **Interval(0.1 - 0.1 * layer, 0.02 - 0.1 * layer, 0.18).columns("difference"),
        }
        for behaviour in (EVIL, "deduction")
        for layer in (0, 2)
    ]
    return RunComparison(
        first=f"one {EVIL}",
        second=f"two {EVIL}",
        measure="auroc",
        keys=("behaviour", "layer"),
        frame=pd.DataFrame(rows),
        n_alone=(1, 0),
        differs=(RunSetting(name=f"sampling.{EVIL}", first=EVIL, second="0.7"),),
    )
