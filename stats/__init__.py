"""Statistics: intervals that cover, resampling over groups, exact tests and corrections."""

from .interval import N_RESAMPLES, Figure, mean, ratio, share

__all__ = ["N_RESAMPLES", "Figure", "mean", "ratio", "share"]
