"""Model organisms: tiny language models that search in words, whose timing and skill are planted and known by rule."""

from .annotator import organism_annotator, problem_of
from .corpus import decision_tokens
from .labeller import Reading, Step, is_solved, labelled, read, steps
from .language import BEHAVIOUR, MOVE_OF, MOVES, Move
from .machine import STATES, Machine, State
from .policy import IDEAL, Habits, Writer, mixed, write
from .rollouts import is_organism, organisms_traces
from .task import Problem, Split, problems
from .world import WAYS, Way

__all__ = [
    "BEHAVIOUR",
    "IDEAL",
    "MOVES",
    "MOVE_OF",
    "STATES",
    "WAYS",
    "Habits",
    "Machine",
    "Move",
    "Problem",
    "Reading",
    "Split",
    "State",
    "Step",
    "Way",
    "Writer",
    "decision_tokens",
    "is_organism",
    "is_solved",
    "labelled",
    "mixed",
    "organism_annotator",
    "organisms_traces",
    "problem_of",
    "problems",
    "read",
    "steps",
    "write",
]
