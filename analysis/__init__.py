"""Questions asked of activations, probes and directions, and the figures and pages that answer them."""

from ._locate import locate
from ._probe import probe
from ._score import score
from .before_after import BeforeAfter, compare_before_after
from .location import Location
from .probing import ProbeSettings, Probing
from .settings import LocateSettings
from .stability import Stability, boundary_stability

__all__ = [
    "BeforeAfter",
    "LocateSettings",
    "Location",
    "ProbeSettings",
    "Probing",
    "Stability",
    "boundary_stability",
    "compare_before_after",
    "locate",
    "probe",
    "score",
]
