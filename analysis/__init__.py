"""Answer questions about one model: where behaviours are read, whether they return, and what steering changes."""

from ._directions import directions
from ._figure import figure
from ._locate import locate
from ._probe import probe
from ._sample import sample
from ._score import score
from ._stability import StabilitySettings, stability
from ._token_view import token_view
from .before_after import compare_before_after
from .before_after_result import BeforeAfter
from .boundaries import sample_boundaries
from .location import Location
from .probing import ProbeSettings, Probing
from .sample_settings import SampleSettings
from .samples import Samples
from .settings import LocateSettings
from .stability_result import Stability
from .trace_check import traces_check
from .trace_display import ShownTraces, traces_show
from .trace_findings import TraceCheck

__all__ = [
    "BeforeAfter",
    "LocateSettings",
    "Location",
    "ProbeSettings",
    "Probing",
    "ShownTraces",
    "SampleSettings",
    "Samples",
    "Stability",
    "StabilitySettings",
    "TraceCheck",
    "compare_before_after",
    "directions",
    "figure",
    "locate",
    "probe",
    "sample",
    "sample_boundaries",
    "score",
    "stability",
    "token_view",
    "traces_check",
    "traces_show",
]
