"""Questions asked of activations, probes and directions, and the figures and pages that answer them."""

from .locate import Location, locate
from .settings import LocateSettings

__all__ = ["LocateSettings", "Location", "locate"]
