"""Questions asked of activations, probes and directions, and the figures and pages that answer them."""

from .locate import LocateSettings, Location, locate

__all__ = ["LocateSettings", "Location", "locate"]
