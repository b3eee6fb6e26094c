"""Collect moments: what mean differences, effect sizes, PCA and LDA need, without storing activations."""

from .moments import Moments, open_moments
from .stream import collect_moments
from .summary import Summary

__all__ = ["Moments", "Summary", "collect_moments", "open_moments"]
