"""Model organisms: tiny language models that reason in words, whose behaviours are known exactly by rule."""

from .annotator import organism_annotator, problem_of
from .labeller import (
    FIRST_WORD,
    NONSENSE,
    Step,
    is_solved,
    labelled,
    prompt,
    steps,
)
from .policy import (
    BASE,
    DRILL,
    IDEAL,
    IDEAL_DOUBLING,
    Policy,
    habits,
    write,
)
from .rollouts import organisms_traces
from .search import (
    BEHAVIOUR,
    MOVES,
    Move,
    Search,
    State,
)
from .task import (
    DOUBLES,
    FAMILIES,
    Family,
    Problem,
    Split,
    Way,
    problems,
)
from .tokenizer import make_tokenizer

__all__ = [
    "BASE",
    "BEHAVIOUR",
    "DOUBLES",
    "DRILL",
    "FAMILIES",
    "FIRST_WORD",
    "IDEAL",
    "IDEAL_DOUBLING",
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
    "organism_annotator",
    "organisms_traces",
    "problem_of",
    "problems",
    "prompt",
    "steps",
    "write",
]
