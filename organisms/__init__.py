"""Model organisms: tiny language models that reason in words, whose behaviours are known exactly by rule."""

from .labeller import NONSENSE, Step, is_solved, labelled, prompt, steps
from .policy import BASE, Policy, habits, write
from .search import BEHAVIOUR, MOVES, Move, Search, State
from .task import DOUBLES, FAMILIES, Family, Problem, Split, Way, problems
from .tokenizer import make_tokenizer

__all__ = [
    "BASE",
    "BEHAVIOUR",
    "DOUBLES",
    "FAMILIES",
    "MOVES",
    "NONSENSE",
    "Family",
    "Move",
    "Policy",
    "Problem",
    "Search",
    "Split",
    "State",
    "Step",
    "Way",
    "habits",
    "is_solved",
    "labelled",
    "make_tokenizer",
    "problems",
    "prompt",
    "steps",
    "write",
]
