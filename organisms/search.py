"""How a problem is searched in words: the states of a search, what may be said in each, and how it is said rightly.

    we want 19 . sums next . take 3 red . need 16 . look 12 7 9 20 no . wait go back . take 12 blue . need 7 .
    look 3 7 yes . check 12 blue 7 red fine . answer 12 and 7 .

What comes next is a decision, taken with the first word of a sentence. How the sentence goes on is not: its words
follow from the problem, the state and the move. So the policy of a model (which move in which state) and its skill (are
the words right) can be measured apart, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .task import Problem, Way

Move = Literal[
    "want", "sums", "differences", "doubles", "take", "double", "need", "look", "check", "back", "doubt", "answer"
]
State = Literal[
    "start",
    "way",
    "next",
    "taken",
    "doubled",
    "needed",
    "missed",
    "found",
    "fine",
    "clash",
    "spent",
    "lost",
    "done",
]

# Behaviour of a move: what the labeller calls its sentence.
BEHAVIOUR: dict[Move, str] = {
    "want": "initializing",
    "sums": "subgoal-setting",
    "differences": "subgoal-setting",
    "doubles": "subgoal-setting",
    "take": "example-testing",
    "double": "deduction",
    "need": "deduction",
    "look": "searching",
    "check": "verification",
    "back": "backtracking",
    "doubt": "uncertainty-estimation",
    "answer": "answering",
}

# What may come next. In these states there is something to decide:
DECISIONS: tuple[State, ...] = ("way", "missed", "found", "fine", "clash", "spent")
MOVES: dict[State, tuple[Move, ...]] = {
    "start": ("want",),
    "way": ("sums", "differences", "doubles"),  # the task is set, no way to go yet
    "next": ("take",),  # a way is chosen and numbers are left to take
    "taken": ("need", "double"),  # the one or the other, by the way
    "doubled": ("need",),
    "needed": ("look",),
    "missed": ("back", "answer", "doubt"),  # what is needed is not there
    "found": ("check", "answer", "doubt"),  # it is there; its colour may clash
    "fine": ("answer", "doubt", "back"),  # checked, and the colours differ
    "clash": ("back", "answer", "doubt"),  # checked, and the colours are the same
    "spent": ("sums", "differences", "doubles", "answer"),  # every number was taken in this way
    "lost": ("answer",),  # in all ways
    "done": (),
}


@dataclass(slots=True)
class Search:
    """A search under way. `sentences(move)` says what may be said, `advance(move)` goes on."""

    problem: Problem
    state: State = "start"
    way: Way | None = None
    spent: set[Way] = field(default_factory=set)
    tried_numbers: list[int] = field(default_factory=list)
    partner: int | None = None

    @property
    def moves(self) -> tuple[Move, ...]:
        """The moves that may come next."""
        if self.state == "taken":
            return ("double",) if self.way == "doubles" else ("need",)
        closed = {"sums", "differences", "doubles"} - {*self.problem.ways} | self.spent
        return tuple(move for move in MOVES[self.state] if move not in closed)

    @property
    def need(self) -> int | None:
        return self.problem.need(self.way, self.tried_numbers[-1]) if self.way else None

    def sentences(self, move: Move) -> tuple[str, ...]:
        """The right wordings of a move, the usual one first."""
        match move:
            case "want":
                return (f"we want {self.problem.target} .",)
            case "sums" | "differences" | "doubles":
                return (f"{move} next .",)
            case "take":
                number = self.problem.numbers[len(self.tried_numbers)]
                return (f"take {number} {self.problem.colour(number)} .",)
            case "double":
                return (f"double {2 * self.tried_numbers[-1]} .",)
            case "need":
                return (f"need {self.need or 'none'} .",)
            case "look":
                return (f"look {' '.join(self._looks())} .",)
            case "check":
                first, second = self.pair
                colours = [self.problem.colour(number) for number in (first, second)]
                verdict = "clash" if colours[0] == colours[1] else "fine"
                wording = f"{first} {colours[0]} {second} {colours[1]} {verdict} ."
                return f"check {wording}", f"verify {wording}"
            case "back":
                return "wait go back .", "hmm go back ."
            case "doubt":
                return "maybe .", "not sure ."
            case "answer":
                return ("answer {} and {} .".format(*self.pair),)

    @property
    def pair(self) -> tuple[int, int]:
        """What would be answered now: the pair that was found, or the number taken and the last of the others."""
        others = [number for number in self.problem.numbers if number != self.tried_numbers[-1]]
        return self.tried_numbers[-1], others[-1] if self.partner is None else self.partner

    def _looks(self) -> list[str]:
        """The other numbers in order, as far as the one that is needed."""
        others = [number for number in self.problem.numbers if number != self.tried_numbers[-1]]
        if self.need in others:
            return [*map(str, others[: others.index(self.need) + 1]), "yes"]
        return [*map(str, others), "no"]

    def advance(self, move: Move) -> None:
        """Go on as after a right sentence of this move. Raises ValueError where it may not come."""
        if move not in self.moves:
            raise ValueError(
                f"{move!r} may not come in state {self.state!r}, only {', '.join(self.moves) or 'nothing'}"
            )
        match move:
            case "want":
                self.state = "way"
            case "sums" | "differences" | "doubles":
                self.way, self.tried_numbers, self.partner, self.state = move, [], None, "next"
            case "take":
                self.tried_numbers.append(self.problem.numbers[len(self.tried_numbers)])
                self.partner, self.state = None, "taken"
            case "double":
                self.state = "doubled"
            case "need":
                self.state = "missed" if self.need is None else "needed"
            case "look":
                is_there = self.need in self.problem.numbers and self.need != self.tried_numbers[-1]
                self.partner = self.need if is_there else None
                self.state = "found" if is_there else "missed"
            case "check":
                first, second = self.pair
                self.state = "clash" if self.problem.colour(first) == self.problem.colour(second) else "fine"
            case "back":
                self.state = "next"
                if len(self.tried_numbers) == len(self.problem.numbers) and self.way:
                    self.spent.add(self.way)
                    self.state = "lost" if len(self.spent) == len(self.problem.ways) else "spent"
            case "doubt":
                pass
            case "answer":
                self.state = "done"
