"""Reopen what runs have written: list runs, read a result back, put two runs side by side."""

from ._compare import compare
from ._runs import runs
from .classes import read_result
from .comparison import RunComparison
from .run_list import RunList

__all__ = ["RunComparison", "RunList", "compare", "read_result", "runs"]
