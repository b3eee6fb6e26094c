"""Exchanges: of two models one decides what each sentence does, and the other one writes it."""

from ._calibrate import calibrate
from ._exchange import exchange
from .calibrated_pair import CalibratedPair
from .calibration import Calibration
from .pair_exchange import CellFigures, PairExchange
from .result import ExchangeResult
from .settings import ExchangeSettings

__all__ = [
    "CalibratedPair",
    "Calibration",
    "CellFigures",
    "ExchangeResult",
    "ExchangeSettings",
    "PairExchange",
    "calibrate",
    "exchange",
]
