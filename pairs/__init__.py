"""What is asked of a base and a thinking model together."""

from .opening import open_pairs
from .pair import Pair, organism_pair, question_pair

__all__ = ["Pair", "open_pairs", "organism_pair", "question_pair"]
