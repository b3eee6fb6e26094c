"""Verdicts: what training taught a pair, when or how, by all evidence that fits in a budget of time."""

from ._verdict import verdict
from .budget import Climb
from .evidence_line import EvidenceLine, LineReading
from .looks import Look
from .result import VerdictResult
from .settings import VerdictSettings

__all__ = ["Climb", "EvidenceLine", "LineReading", "Look", "VerdictResult", "VerdictSettings", "verdict"]
