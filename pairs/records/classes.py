"""Read any result back: the class of each format of results.json, listed in one place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

from ...analysis import BeforeAfter, Location, Probing, Samples, Stability, TraceCheck
from ...analysis.effect import SteeringMatrix, SteeringSearch, StrengthCurves
from ...analysis.label import Labelling
from ...analysis.token_scores import TokenScores
from ...figures import Result
from ...rundir import InputError, expanded, is_there, read_json
from ...rundir.result_files import RESULTS
from .._regrade import Regraded
from ..decisions import DecisionsResult
from ..dynamics import DynamicsResult
from ..elicit import ElicitResult
from ..exchange import Calibration, ExchangeResult
from ..geometry import GeometryResult
from ..hybrid import HybridResult
from ..likelihood import LikelihoodResult
from ..passk import PasskResult
from ..profile import ProfileResult
from ..reward import TrainedVectors
from ..verdict import VerdictResult
from .comparison import RunComparison

CLASSES: tuple[type[Any], ...] = (
    BeforeAfter,
    Calibration,
    DynamicsResult,
    ElicitResult,
    GeometryResult,
    VerdictResult,
    DecisionsResult,
    ExchangeResult,
    HybridResult,
    Labelling,
    LikelihoodResult,
    Location,
    PasskResult,
    Probing,
    ProfileResult,
    Regraded,
    RunComparison,
    Samples,
    Stability,
    SteeringMatrix,
    SteeringSearch,
    StrengthCurves,
    TokenScores,
    TraceCheck,
    TrainedVectors,
)
BY_FORMAT: dict[str, type[Any]] = {sys.modules[one.__module__].FORMAT: one for one in CLASSES}


def read_result(run: str | Path) -> Result:
    """Read back the result of a run, whichever command wrote it.

    Args:
        run: Its directory, or a results.json.

    Returns:
        The result, without what lies in files of its own (`figures.Result`).

    Raises:
        InputError: There is no result, or it is of no kind or version that is known here.
    """
    path = expanded(run)
    file = path / RESULTS if path.is_dir() else path
    if not is_there(file):
        raise InputError(f"{path} holds no {RESULTS}: the run has not ended, or this is no run")
    content = read_json(file, "results")
    name = content.get("format") if isinstance(content, dict) else None
    if name not in BY_FORMAT:
        alike = [one for one in BY_FORMAT if str(name).split("/")[0] == one.split("/")[0]]
        if alike:
            raise InputError(f"{file} is of {name}, and this version reads {alike[0]}: run the command again")
        raise InputError(f"{file} is of the format {name!r}, of no result that is known: {', '.join(BY_FORMAT)}")
    return cast("Result", BY_FORMAT[name].from_dict(content))
