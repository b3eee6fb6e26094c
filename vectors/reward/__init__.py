"""Train vectors that a frozen model adds at its blocks, by the reward of what it then writes."""

from .attempts import Attempts, Reading
from .learning import Learnt, learn
from .units import coordinate_sizes

__all__ = ["Attempts", "Learnt", "Reading", "coordinate_sizes", "learn"]
