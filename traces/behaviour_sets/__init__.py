"""Define sets of behaviours: names, definitions, examples and tell-tale words, each set a small YAML file."""

from .behaviour_set import NONE, Behaviour, BehaviourSet
from .files import BUILT_IN, open_behaviour_set

__all__ = ["BUILT_IN", "NONE", "Behaviour", "BehaviourSet", "open_behaviour_set"]
