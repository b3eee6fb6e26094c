"""Directions of behaviours: finding them, and their files."""

from .directions import Directions
from .mean_difference import Against, mean_difference, mean_difference_directions

__all__ = ["Against", "Directions", "mean_difference", "mean_difference_directions"]
